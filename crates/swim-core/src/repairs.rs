//! When a view that differs from ours, and does not come closer by itself, is exchanged.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::member_index::MemberIndex;
use crate::time::Time;
use crate::view_digest::Halves;

/// The longest pause with a peer with which exchanges change nothing: differences may last, such as
/// a member that the application of one side does not admit.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Of how many digests heard last, from anybody, two must differ from our view.
const LOOKED_AT: u32 = 3;

/// Which exchanges were begun because views differed.
#[derive(Debug, Default)]
pub(crate) struct Repairs {
    /// A bit for each digest heard last, the latest lowest: whether it differed from our view.
    differed: u32,
    last: Option<Time>,
    peers: BTreeMap<MemberIndex, Repair>,
}

/// The last exchange with a peer.
#[derive(Clone, Copy, Debug)]
struct Repair {
    at: Time,
    /// Our view when it began.
    own: Halves,
    /// How long the next one waits if that is the same then.
    pause: Duration,
}

impl Repairs {
    /// A peer told a view, and ours is another one or the same.
    pub(crate) fn note(&mut self, differs: bool) {
        self.differed = (self.differed << 1 | u32::from(differs)) & ((1 << LOOKED_AT) - 1);
    }

    /// Whether to begin an exchange with a peer whose view has differed from ours for a while, both
    /// of them unchanged. Two are at least `apart`; while our own view stays the same, each with a
    /// peer doubles the pause with that peer, whatever it says of its view.
    pub(crate) fn begins(
        &mut self,
        peer: MemberIndex,
        own: Halves,
        apart: Duration,
        now: Time,
    ) -> bool {
        let is_early = self.last.is_some_and(|last| now < last + apart);
        if is_early || self.differed.count_ones() < LOOKED_AT - 1 {
            return false;
        }
        let mut pause = apart;
        if let Some(former) = self.peers.get(&peer).filter(|former| former.own == own) {
            if now < former.at + former.pause {
                return false;
            }
            pause = (former.pause * 2).min(LONGEST_PAUSE.max(apart));
        }
        self.last = Some(now);
        self.peers.insert(peer, Repair { at: now, own, pause });
        true
    }

    /// The member was purged.
    pub(crate) fn forget(&mut self, peer: MemberIndex) {
        self.peers.remove(&peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APART: Duration = Duration::from_secs(5);

    fn halves(live: u32) -> Halves {
        Halves { live, details: 0 }
    }

    fn at(seconds: u64) -> Time {
        Time::from_micros(seconds * 1_000_000)
    }

    fn differing() -> Repairs {
        let mut repairs = Repairs::default();
        [true; 3].into_iter().for_each(|differs| repairs.note(differs));
        repairs
    }

    #[test]
    fn one_view_among_three_is_not_enough() {
        let bob = MemberIndex::at(1).unwrap();
        let mut repairs = Repairs::default();
        for differs in [true, false, false, true] {
            repairs.note(differs);
            assert!(!repairs.begins(bob, halves(1), APART, at(0)));
        }
        repairs.note(true);
        assert!(repairs.begins(bob, halves(1), APART, at(0)));
    }

    #[test]
    fn exchanges_that_change_nothing_become_rare_and_others_do_not() {
        let [bob, cyd] = [1, 2].map(|index| MemberIndex::at(index).unwrap());
        let mut repairs = differing();
        let begun: Vec<u64> = (0..2_000)
            .filter(|second| repairs.begins(bob, halves(1), APART, at(*second)))
            .collect();
        assert_eq!(begun, [0, 5, 15, 35, 75, 155, 315, 615, 915, 1_215, 1_515, 1_815]);
        assert!(repairs.begins(cyd, halves(1), APART, at(2_000)), "bob's pause is bob's alone");
        assert!(!repairs.begins(bob, halves(3), APART, at(2_004)), "one at a time");
        assert!(repairs.begins(bob, halves(3), APART, at(2_005)), "we know more than before");
    }
}
