//! Whose suspicions are refuted again and again, so that they are believed less.
//!
//! A member that reaches few others keeps suspecting members that everybody else reaches. Each
//! suspicion alone looks like any other; only that so many are refuted tells them apart.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::member_name::MemberName;
use crate::time::Time;

/// After so many refuted suspicions, less those that were forgotten, a member is doubted. Two
/// happen to anybody who loses some packets.
const DOUBTED_FROM: u32 = 3;
/// The most that is counted against a member, so that it is trusted again in bounded time.
const MAX_REFUTED: u32 = 8;
/// One refuted suspicion is forgotten in so many probe intervals: a member whose suspicions are
/// right most of the time is never doubted.
const FORGOTTEN_IN: u32 = 30;
/// The most members that are counted; further ones are counted once there is room.
const MAX_MEMBERS: usize = 256;

/// Refuted suspicions, by the member that they came from.
#[derive(Debug, Default)]
pub(crate) struct RefutedSuspicions(BTreeMap<MemberName, Refuted>);

/// What is counted against one member.
#[derive(Clone, Copy, Debug)]
struct Refuted {
    count: u32,
    /// When the last one was counted.
    last: Time,
    /// Since when the last of them is being forgotten.
    since: Time,
}

impl RefutedSuspicions {
    /// A suspicion that came from `by` was refuted. `interval` is the probe interval; within one,
    /// one is counted, since one bad moment makes a member suspect many.
    pub(crate) fn note_refuted(&mut self, by: &MemberName, interval: Duration, now: Time) {
        if self.0.len() >= MAX_MEMBERS && !self.0.contains_key(by) {
            self.0.retain(|_, refuted| refuted.left_at(now, interval).count > 0);
            if self.0.len() >= MAX_MEMBERS {
                return;
            }
        }
        let none = Refuted { count: 0, last: now, since: now };
        let refuted = self.0.entry(by.clone()).or_insert(none);
        *refuted = refuted.left_at(now, interval);
        if refuted.count == 0 || now - refuted.last >= interval {
            refuted.count = (refuted.count + 1).min(MAX_REFUTED);
            refuted.last = now;
        }
    }

    /// A member that `by` suspected is dead: it was right.
    pub(crate) fn note_death(&mut self, by: &MemberName) {
        if let Some(refuted) = self.0.get_mut(by) {
            refuted.count = refuted.count.saturating_sub(1);
        }
    }

    /// Whether the suspicions of `by` are believed less.
    pub(crate) fn are_many(&self, by: &MemberName, interval: Duration, now: Time) -> bool {
        let refuted = self.0.get(by).map(|refuted| refuted.left_at(now, interval));
        refuted.is_some_and(|refuted| refuted.count >= DOUBTED_FROM)
    }
}

impl Refuted {
    /// What is left at `now`.
    fn left_at(self, now: Time, interval: Duration) -> Self {
        let span = interval.saturating_mul(FORGOTTEN_IN).as_micros().max(1);
        let forgotten = (now - self.since).as_micros() / span;
        let forgotten = u32::try_from(forgotten).unwrap_or(u32::MAX);
        match self.count.checked_sub(forgotten).filter(|count| *count > 0) {
            Some(count) => {
                let since = self.since + interval.saturating_mul(FORGOTTEN_IN) * forgotten;
                Self { count, since, ..self }
            }
            None => Self { count: 0, since: now, ..self },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(1);

    fn name(text: &str) -> MemberName {
        MemberName::try_from(text).unwrap()
    }

    fn at(seconds: u64) -> Time {
        Time::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn three_refuted_suspicions_are_many_and_are_forgotten_one_by_one() {
        let mut refuted = RefutedSuspicions::default();
        let are_many = |refuted: &RefutedSuspicions, seconds| {
            refuted.are_many(&name("eve"), INTERVAL, at(seconds))
        };
        for second in [0, 1] {
            refuted.note_refuted(&name("eve"), INTERVAL, at(second));
        }
        assert!(!are_many(&refuted, 1));
        refuted.note_refuted(&name("eve"), INTERVAL, at(2));
        assert!(are_many(&refuted, 2) && are_many(&refuted, 29) && !are_many(&refuted, 30));
        assert!(!refuted.are_many(&name("ada"), INTERVAL, at(2)));
        for second in 31..50 {
            refuted.note_refuted(&name("eve"), INTERVAL, at(second));
        }
        assert!(are_many(&refuted, 50) && !are_many(&refuted, 50 + 6 * 30));
    }

    #[test]
    fn one_refuted_suspicion_now_and_then_is_no_reason_for_doubt() {
        let mut refuted = RefutedSuspicions::default();
        for n in 0..50 {
            refuted.note_refuted(&name("eve"), INTERVAL, at(31 * n));
            assert!(!refuted.are_many(&name("eve"), INTERVAL, at(31 * n)));
        }
    }

    #[test]
    fn many_at_once_count_once() {
        let mut refuted = RefutedSuspicions::default();
        for _ in 0..100 {
            refuted.note_refuted(&name("eve"), INTERVAL, at(1));
        }
        assert!(!refuted.are_many(&name("eve"), INTERVAL, at(1)));
    }

    #[test]
    fn a_death_speaks_for_whoever_suspected() {
        let mut refuted = RefutedSuspicions::default();
        for second in 0..3 {
            refuted.note_refuted(&name("eve"), INTERVAL, at(second));
        }
        refuted.note_death(&name("eve"));
        assert!(!refuted.are_many(&name("eve"), INTERVAL, at(2)));
    }

    #[test]
    fn the_table_is_bounded_and_makes_room_for_others_in_time() {
        let mut refuted = RefutedSuspicions::default();
        for n in 0..1000 {
            refuted.note_refuted(&name(&format!("m{n}")), INTERVAL, at(0));
        }
        assert_eq!(refuted.0.len(), MAX_MEMBERS);
        refuted.note_refuted(&name("late"), INTERVAL, at(40));
        assert_eq!(refuted.0.len(), 1);
    }
}
