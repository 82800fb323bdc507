//! Who is probed out of turn: members of which others were believed that they are alive, though
//! they did not answer us; and those from which we never heard, of which others found that they
//! are dead at a former incarnation. Without that, whoever has heard of such a member from a liar,
//! at an incarnation that it never had, would hold it alive until its turn comes among all that
//! the liar invents.

use std::collections::BTreeSet;

use crate::member_index::MemberIndex;
use crate::payer::Payer;
use crate::payer_ledger::{PayerLedger, Share};
use crate::time::Time;

/// What one costs whoever brings us to it: a share regains whole units in each millisecond.
const COST: u64 = 60_000;
/// How many one peer may bring us to: four at once, and then four in a minute.
const SHARE: Share = Share { at_once: 4 * COST, a_second: 4 * COST / 60 };

/// At most the table of members, each once.
#[derive(Debug)]
pub(crate) struct Rechecks {
    /// What peers have used of their shares.
    used: PayerLedger,
    members: BTreeSet<MemberIndex>,
    /// Whether the last round was one of these: every other one at most, as others wait too.
    was_last: bool,
}

impl Default for Rechecks {
    fn default() -> Self {
        Self { used: PayerLedger::new(SHARE), members: BTreeSet::new(), was_last: false }
    }
}

impl Rechecks {
    /// The member has its turn soon, if the peer that brings us to it has some of its share left.
    pub(crate) fn add_for(&mut self, index: MemberIndex, by: Payer, now: Time) {
        if !self.members.contains(&index) && self.used.has_share(&by, now) {
            self.used.charge(by, COST, now);
            self.members.insert(index);
        }
    }

    /// The member has its turn soon.
    pub(crate) fn add(&mut self, index: MemberIndex) {
        self.members.insert(index);
    }

    /// Whose turn it is before all others'.
    pub(crate) fn next(&mut self) -> Option<MemberIndex> {
        let next = (!self.was_last).then(|| self.members.pop_first()).flatten();
        self.was_last = next.is_some();
        next
    }

    /// The member was purged.
    pub(crate) fn forget(&mut self, index: MemberIndex) {
        self.members.remove(&index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_round_is_one_of_them_at_most() {
        let mut rechecks = Rechecks::default();
        let [ada, bob] = [1, 2].map(|place| MemberIndex::at(place).unwrap());
        for index in [bob, ada, bob] {
            rechecks.add(index);
        }
        let turns: Vec<_> = (0..4).map(|_| rechecks.next()).collect();
        assert_eq!(turns, [Some(ada), None, Some(bob), None]);
        rechecks.add(ada);
        rechecks.forget(ada);
        assert_eq!(rechecks.next(), None);
    }

    #[test]
    fn a_peer_brings_us_to_four_at_once_and_to_four_in_a_minute() {
        let mut rechecks = Rechecks::default();
        let payer = |port| Payer::Address(([10, 0, 0, 1], port).into());
        let at = |seconds: u64| Time::from_micros(seconds * 1_000_000);
        let mut brings = |port, second| {
            for place in 1..20 {
                rechecks.add_for(MemberIndex::at(place).unwrap(), payer(port), at(second));
            }
            std::mem::take(&mut rechecks.members).len()
        };
        assert_eq!([brings(1, 0), brings(1, 0), brings(2, 0)], [4, 0, 4]);
        // What is left of a share may be used for one more.
        assert_eq!([brings(1, 31), brings(1, 61)], [3, 2]);
    }
}
