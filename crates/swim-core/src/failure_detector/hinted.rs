//! Members that may be gone, as something hints: they are probed before all others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::evidence::Hint;
use crate::member_index::MemberIndex;
use crate::time::Time;

/// How long a hint says why a member has failed, and a refusal that nobody confirmed counts.
const REMEMBERED: Duration = Duration::from_secs(60);
/// How far apart probes of one member because of hints are: at first, and at most. The pause
/// doubles with each one as long as hints go on: a firewall that refuses our packets alone does so
/// for ever, and more probes over a path that is closed find nothing but false suspicions.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(64);
/// The most members of which hints are remembered; further ones wait until some are forgotten.
const MAX_HINTED: usize = 4_096;
/// Where our packets to more members than these are refused and others' are not, it is our own
/// way out that refuses them.
const MOST_UNCONFIRMED: usize = 2;

/// What hints there were, and who is probed because of them.
#[derive(Debug, Default)]
pub(crate) struct Hinted {
    hints: BTreeMap<MemberIndex, Last>,
    waiting: BTreeSet<MemberIndex>,
    /// Members whose host refused packets of ours and not, as far as we heard, of others.
    unconfirmed: BTreeMap<MemberIndex, Time>,
}

/// The last hint about a member.
#[derive(Clone, Copy, Debug)]
struct Last {
    /// `None` where others suspect it and there was none.
    hint: Option<Hint>,
    at: Time,
    /// When it was last to be probed because of one.
    probed: Time,
    /// How long the next such probe waits after that.
    pause: Duration,
}

impl Hinted {
    /// There is a hint about a member, or others suspect it: it is probed as soon as may be, unless
    /// it was because of another one a moment ago.
    pub(crate) fn note(&mut self, index: MemberIndex, hint: Option<Hint>, now: Time) {
        if self.hints.len() >= MAX_HINTED {
            self.hints.retain(|_, last| now - last.at < REMEMBERED);
            if self.hints.len() >= MAX_HINTED && !self.hints.contains_key(&index) {
                return;
            }
        }
        let hint = hint.or_else(|| self.hint_about(index, now));
        // Of hints that have long been over nothing follows.
        let before = self.hints.get(&index).filter(|last| now - last.at < 2 * last.pause);
        let (probed, pause) = match before {
            Some(last) if now - last.probed < last.pause => (last.probed, last.pause),
            Some(last) => (now, (2 * last.pause).min(LONGEST_PAUSE)),
            None => (now, FIRST_PAUSE),
        };
        if probed == now {
            self.waiting.insert(index);
        }
        self.hints.insert(index, Last { hint, at: now, probed, pause });
    }

    /// The member is probed as soon as may be, whenever it was before.
    pub(crate) fn probe_again(&mut self, index: MemberIndex) {
        self.waiting.insert(index);
    }

    /// Whom to probe next.
    pub(crate) fn next(&mut self) -> Option<MemberIndex> {
        self.waiting.pop_first()
    }

    /// The last hint about a member, unless it was long ago.
    pub(crate) fn hint_about(&self, index: MemberIndex, now: Time) -> Option<Hint> {
        self.hints.get(&index).filter(|last| now - last.at < REMEMBERED)?.hint
    }

    /// Our ping to a member was refused; whether others' are is not known so far.
    pub(crate) fn note_refusal(&mut self, index: MemberIndex, now: Time) {
        self.unconfirmed.retain(|_, at| now - *at < REMEMBERED);
        if self.unconfirmed.len() <= MOST_UNCONFIRMED {
            self.unconfirmed.insert(index, now);
        }
    }

    /// Others' pings to a member were refused as well.
    pub(crate) fn note_confirmed(&mut self, index: MemberIndex) {
        self.unconfirmed.remove(&index);
    }

    /// Whether refusals seem to come from where the members are and not from our own side.
    pub(crate) fn can_trust_refusals(&self) -> bool {
        self.unconfirmed.len() <= MOST_UNCONFIRMED
    }

    /// The member answers.
    pub(crate) fn note_answer(&mut self, index: MemberIndex) {
        self.unconfirmed.remove(&index);
    }

    /// The member was purged.
    pub(crate) fn forget(&mut self, index: MemberIndex) {
        self.hints.remove(&index);
        self.waiting.remove(&index);
        self.unconfirmed.remove(&index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1_000)
    }

    fn member(place: usize) -> MemberIndex {
        MemberIndex::at(place).unwrap()
    }

    #[test]
    fn a_member_is_probed_less_and_less_while_hints_go_on() {
        let mut hinted = Hinted::default();
        let probed: Vec<u64> = (0..200_000)
            .step_by(500)
            .filter(|millis| {
                hinted.note(member(1), Some(Hint::Refused), at(*millis));
                hinted.next().is_some()
            })
            .collect();
        assert_eq!(probed, [0, 1, 3, 7, 15, 31, 63, 127, 191].map(|second| second * 1_000));
        hinted.note(member(1), Some(Hint::Reset), at(400_000));
        assert_eq!(hinted.next(), Some(member(1)), "the former hints have long been over");
    }

    #[test]
    fn the_last_hint_is_told_for_a_minute() {
        let mut hinted = Hinted::default();
        hinted.note(member(1), Some(Hint::Reset), at(0));
        hinted.note(member(1), None, at(500));
        assert_eq!(hinted.hint_about(member(1), at(60_499)), Some(Hint::Reset));
        assert_eq!(hinted.hint_about(member(1), at(60_500)), None);
        hinted.probe_again(member(1));
        hinted.forget(member(1));
        assert_eq!(hinted.next(), None);
    }

    #[test]
    fn refusals_that_nobody_confirms_are_our_own_sides() {
        let mut hinted = Hinted::default();
        for place in 1..=2 {
            hinted.note_refusal(member(place), at(0));
        }
        hinted.note_refusal(member(3), at(0));
        hinted.note_confirmed(member(3));
        assert!(hinted.can_trust_refusals());
        hinted.note_refusal(member(4), at(0));
        assert!(!hinted.can_trust_refusals());
        hinted.note_answer(member(4));
        assert!(hinted.can_trust_refusals());
        hinted.note_refusal(member(4), at(1));
        hinted.note_refusal(member(5), at(60_000));
        assert!(hinted.can_trust_refusals(), "the first two are forgotten");
    }
}
