//! At the end of a calm all views are equal, and right.
//!
//! Looks at what machines show of their members; changes and forgives nothing.

use crate::member::Member;
use crate::sim::checker::Breach;

/// One host at the end.
pub(crate) struct Witness {
    pub(crate) name: String,
    /// What it says of itself, if it is up and has not left.
    pub(crate) present: Option<Member>,
    /// What it believes, ordered by name.
    pub(crate) view: Vec<Member>,
}

/// Checks that every present host sees every present host as it is, and nobody else as living.
pub(crate) fn check(witnesses: &[Witness]) -> Result<(), Breach> {
    let mut present: Vec<&Member> =
        witnesses.iter().filter_map(|witness| witness.present.as_ref()).collect();
    present.sort_unstable_by(|a, b| a.name().cmp(b.name()));
    for witness in witnesses.iter().filter(|witness| witness.present.is_some()) {
        let living: Vec<&Member> =
            witness.view.iter().filter(|member| member.state().is_live()).collect();
        for (seen, is) in living.iter().zip(&present) {
            if !agree(seen, is) {
                return Err(breach(witness, Some(seen), Some(is)));
            }
        }
        if living.len() != present.len() {
            let common = living.len().min(present.len());
            return Err(breach(witness, living.get(common).copied(), present.get(common).copied()));
        }
    }
    Ok(())
}

fn agree(seen: &Member, is: &Member) -> bool {
    seen.name() == is.name()
        && seen.state() == is.state()
        && seen.incarnation() == is.incarnation()
        && seen.address() == is.address()
        && seen.meta() == is.meta()
        && seen.versions() == is.versions()
}

fn breach(witness: &Witness, seen: Option<&Member>, is: Option<&Member>) -> Breach {
    let show = |member: Option<&Member>| {
        member.map_or("nobody".to_owned(), |member| {
            format!("{} {} at {}", member.name(), member.state(), member.incarnation())
        })
    };
    // The first difference of two ordered lists is at the lesser name.
    let subject = match (seen, is) {
        (Some(seen), Some(is)) if seen.name() < is.name() => Some(seen.name()),
        (_, Some(is)) => Some(is.name()),
        (seen, None) => seen.map(Member::name),
    };
    let held = subject.and_then(|name| witness.view.iter().find(|member| member.name() == name));
    Breach::new(
        "a calm ends in agreement",
        format!(
            "{} has {} where {} is; it holds {}",
            witness.name,
            show(seen),
            show(is),
            show(held)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::{Advertised, MemberName, MemberState, Record};
    use crate::time::Time;

    fn member(name: &str, state: MemberState, incarnation: u32) -> Member {
        Member::new(Record {
            name: MemberName::try_from(name).unwrap(),
            meta: None,
            changed: Time::ZERO,
            incarnation,
            advertised: Advertised::from_wire(&[10, 0, 0, 1], 7946).unwrap(),
            versions: None,
            state,
        })
    }

    /// Ada's view, while ada and bob are present and cyd is gone.
    fn ada_sees(view: Vec<Member>) -> bool {
        let alive = |name| member(name, MemberState::Alive, 1);
        let bob = Witness {
            name: "bob".into(),
            present: Some(alive("bob")),
            view: vec![alive("ada"), alive("bob")],
        };
        let cyd = Witness { name: "cyd".into(), present: None, view: Vec::new() };
        let ada = Witness { name: "ada".into(), present: Some(alive("ada")), view };
        check(&[ada, bob, cyd]).is_ok()
    }

    #[test]
    fn a_missing_a_dead_and_a_surplus_member_are_noticed() {
        use MemberState::{Alive, Dead, Suspect};
        let alive = |name| member(name, Alive, 1);
        assert!(ada_sees(vec![alive("ada"), alive("bob")]));
        assert!(ada_sees(vec![alive("ada"), alive("bob"), member("cyd", Dead, 3)]));
        assert!(!ada_sees(vec![alive("ada")]));
        assert!(!ada_sees(vec![alive("ada"), member("bob", Dead, 1)]));
        assert!(!ada_sees(vec![alive("ada"), member("bob", Suspect, 1)]));
        assert!(!ada_sees(vec![alive("ada"), member("bob", Alive, 2)]));
        assert!(!ada_sees(vec![alive("ada"), alive("bob"), alive("cyd")]));
    }
}
