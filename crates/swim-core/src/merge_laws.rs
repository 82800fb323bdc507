//! What members hold in the end must not depend on the order in which they hear it, nor on how
//! often: the laws that claims about another member keep, as properties of [`judge`].

use proptest::prelude::*;

use crate::member::MemberState::{self, Alive, Dead, Left, Suspect};
use crate::verdict::{AddressMatch, Claim, Held, Proof, Subject, Verdict, judge};

type View = Option<(MemberState, u32)>;

/// A claim about a member at its address: what it is said to be, and at which incarnation.
type Said = (MemberState, u32);

fn hear(view: View, (state, incarnation): Said) -> View {
    let held = view.map(|(state, incarnation)| {
        let subject = Subject::Other;
        Held { subject, state, incarnation }
    });
    let claim = match state {
        Alive => Claim::Alive {
            incarnation,
            address: AddressMatch::Same,
            proof: Proof::Hearsay,
            differs: false,
        },
        Suspect => Claim::Suspect { incarnation },
        Dead => Claim::Dead { incarnation },
        Left => Claim::Left { incarnation },
    };
    match judge(held, claim) {
        Verdict::Apply => Some((state, incarnation)),
        Verdict::RaiseIncarnation => view.map(|(state, _)| (state, incarnation)),
        Verdict::Confirm => view.map(|(state, held)| (state, held.max(incarnation))),
        Verdict::Ignore(_) | Verdict::NotifyStale => view,
        verdict @ (Verdict::Reclaim
        | Verdict::Refute
        | Verdict::RepeatAlive
        | Verdict::Conflict
        | Verdict::Examine
        | Verdict::TellClaimant) => panic!("{verdict:?} about another member at its address"),
    }
}

fn hear_all(view: View, said: &[Said]) -> View {
    said.iter().fold(view, |view, said| hear(view, *said))
}

fn any_of(states: &'static [MemberState]) -> impl Strategy<Value = Said> {
    (prop::sample::select(states), 1..6_u32)
}

/// Some claims, and the same in another order.
fn two_orders(states: &'static [MemberState]) -> impl Strategy<Value = (Vec<Said>, Vec<Said>)> {
    let claims = prop::collection::vec(any_of(states), 1..8);
    claims.prop_flat_map(|claims| (Just(claims.clone()), Just(claims).prop_shuffle()))
}

const ALL: &[MemberState] = &[Alive, Suspect, Dead, Left];
/// All are at an address that is known.
const KNOWN: View = Some((Alive, 1));

proptest! {
    #[test]
    fn to_hear_it_twice_changes_nothing(before in prop::collection::vec(any_of(ALL), 0..6),
                                        said in any_of(ALL)) {
        let once = hear(hear_all(KNOWN, &before), said);
        prop_assert_eq!(hear(once, said), once);
    }

    #[test]
    fn incarnations_only_grow(said in prop::collection::vec(any_of(ALL), 1..8)) {
        let mut view = KNOWN;
        for said in said {
            let after = hear(view, said);
            prop_assert!(after.map(|(_, to)| to) >= view.map(|(_, from)| from));
            view = after;
        }
    }

    #[test]
    fn in_any_order_a_suspicion_or_life_of_the_highest_incarnation_stays(
        (one, other) in two_orders(&[Alive, Suspect]),
    ) {
        let highest = one.iter().map(|(state, at)| (*at, *state == Suspect)).max();
        let expected = highest.filter(|(at, is_suspect)| *at > 1 || *is_suspect);
        let expected = expected.map_or((Alive, 1), |(at, is_suspect)| {
            (if is_suspect { Suspect } else { Alive }, at)
        });
        prop_assert_eq!(hear_all(KNOWN, &one), Some(expected));
        prop_assert_eq!(hear_all(KNOWN, &other), Some(expected));
    }

    #[test]
    fn in_any_order_it_lives_if_life_is_told_above_all_else((one, other) in two_orders(ALL)) {
        let highest = |wanted: fn(MemberState) -> bool| {
            one.iter().filter(|(state, _)| wanted(*state)).map(|(_, at)| *at).max()
        };
        let life = highest(|state| state == Alive).max(Some(1));
        if life > highest(|state| state != Alive) {
            let lives = Some((Alive, life.unwrap_or(1)));
            prop_assert_eq!(hear_all(KNOWN, &one), lives);
            prop_assert_eq!(hear_all(KNOWN, &other), lives);
        }
    }

    // A suspicion above a leave is dropped with its incarnation: a push-pull takes a leave at its
    // word, so that it must stay where it was.
    #[test]
    fn in_any_order_it_is_doubted_or_dead_if_that_is_told_at_the_top(
        (one, other) in two_orders(&[Alive, Suspect, Dead]),
    ) {
        let at = |wanted: fn(MemberState) -> bool| {
            one.iter().filter(|(state, _)| wanted(*state)).map(|(_, at)| *at).max()
        };
        if at(|state| state != Alive) >= at(|state| state == Alive).max(Some(1)) {
            for order in [&one, &other] {
                let (state, held) = hear_all(KNOWN, order).unwrap();
                prop_assert!(state != Alive, "{:?} ends as {:?}", order, state);
                prop_assert_eq!(Some(held), at(|_| true).max(Some(1)));
            }
        }
    }
}
