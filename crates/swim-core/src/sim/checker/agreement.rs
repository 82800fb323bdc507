//! All views are equal, and right: everybody sees who is there as it is, and nobody else alive.

use std::fmt;

use crate::member::{Member, MemberState};
use crate::member_name::MemberName;

/// One host at the end of a run.
pub(crate) struct FinalView {
    pub(crate) name: MemberName,
    /// What it says of itself, if it is up and has not left.
    pub(crate) present: Option<Member>,
    /// What it believes, ordered by name.
    pub(crate) view: Vec<Member>,
}

/// The first difference between what a member believes and what is so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{viewer} has {} where {} is; it holds {}",
    or_nobody(seen),
    or_nobody(actual),
    or_nobody(held)
)]
pub struct Disagreement {
    viewer: MemberName,
    /// Whom the viewer sees there as alive or suspect.
    seen: Option<MemberSummary>,
    /// Who is there.
    actual: Option<MemberSummary>,
    /// What the viewer holds of the member in question, alive or not.
    held: Option<MemberSummary>,
}

/// What a disagreement shows of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
struct MemberSummary {
    name: MemberName,
    state: MemberState,
    incarnation: u32,
}

impl MemberSummary {
    fn of(member: &Member) -> Self {
        let name = member.name().clone();
        Self { name, state: member.state(), incarnation: member.incarnation() }
    }
}

impl fmt::Display for MemberSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} at {}", self.name, self.state, self.incarnation)
    }
}

fn or_nobody(identity: &Option<MemberSummary>) -> String {
    identity.as_ref().map_or_else(|| "nobody".to_owned(), MemberSummary::to_string)
}

/// Checks that every present host sees every present host as it is, and nobody else as alive or
/// suspect.
pub(crate) fn check(hosts: &[FinalView]) -> Result<(), Disagreement> {
    let mut present: Vec<&Member> = hosts.iter().filter_map(|host| host.present.as_ref()).collect();
    present.sort_unstable_by(|a, b| a.name().cmp(b.name()));
    for host in hosts.iter().filter(|host| host.present.is_some()) {
        let living: Vec<&Member> =
            host.view.iter().filter(|member| member.state().is_live()).collect();
        for (seen, actual) in living.iter().zip(&present) {
            if !agree(seen, actual) {
                return Err(difference(host, Some(seen), Some(actual)));
            }
        }
        if living.len() != present.len() {
            let common = living.len().min(present.len());
            let (seen, actual) = (living.get(common), present.get(common));
            return Err(difference(host, seen.copied(), actual.copied()));
        }
    }
    Ok(())
}

fn agree(seen: &Member, actual: &Member) -> bool {
    seen.name() == actual.name()
        && seen.state() == actual.state()
        && seen.incarnation() == actual.incarnation()
        && seen.address() == actual.address()
        && seen.meta() == actual.meta()
        && seen.versions() == actual.versions()
}

fn difference(host: &FinalView, seen: Option<&Member>, actual: Option<&Member>) -> Disagreement {
    // The first difference of two ordered lists is at the lesser name.
    let subject = match (seen, actual) {
        (Some(seen), Some(actual)) if seen.name() < actual.name() => Some(seen.name()),
        (_, Some(actual)) => Some(actual.name()),
        (seen, None) => seen.map(Member::name),
    };
    let held = subject.and_then(|name| host.view.iter().find(|member| member.name() == name));
    Disagreement {
        viewer: host.name.clone(),
        seen: seen.map(MemberSummary::of),
        actual: actual.map(MemberSummary::of),
        held: held.map(MemberSummary::of),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::{Advertised, MemberRecord};
    use crate::time::Time;

    fn name(text: &str) -> MemberName {
        MemberName::try_from(text).unwrap()
    }

    fn member(name: &str, state: MemberState, incarnation: u32) -> Member {
        Member::new(MemberRecord {
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
        let bob = FinalView {
            name: name("bob"),
            present: Some(alive("bob")),
            view: vec![alive("ada"), alive("bob")],
        };
        let cyd = FinalView { name: name("cyd"), present: None, view: Vec::new() };
        let ada = FinalView { name: name("ada"), present: Some(alive("ada")), view };
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
