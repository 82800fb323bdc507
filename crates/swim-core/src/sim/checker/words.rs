//! Who is taken for dead at another member's word was said to be dead, and was asked in vain.
//!
//! That the word was heard, and for how long nothing followed, is known where packets are decoded.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::member_name::MemberName;
use crate::sim::fault::HostId;
use crate::time::Time;

/// Deaths that members heard of, and those that they came to believe.
#[derive(Default)]
pub(crate) struct Words {
    /// When a listener first heard that a subject is dead at an incarnation, by its clock.
    heard: BTreeMap<(HostId, MemberName, u32), Time>,
    believed: BTreeSet<(HostId, HostId)>,
}

/// A member was taken for dead at a word that nobody said, or without being asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "who is dead at somebody's word was asked in vain: host {listener} took {subject} at \
     {incarnation} for dead {since:?} after it had heard so, and waits {wait:?} for answers"
)]
pub(crate) struct DeadWithoutAsking {
    listener: usize,
    subject: MemberName,
    incarnation: u32,
    /// `None`: it never heard so.
    since: Option<Duration>,
    wait: Duration,
}

impl Words {
    pub(crate) fn forget(&mut self, listener: HostId) {
        self.heard.retain(|(other, _, _), _| *other != listener);
    }

    pub(crate) fn heard(
        &mut self,
        listener: HostId,
        subject: &MemberName,
        incarnation: u32,
        now: Time,
    ) {
        self.heard.entry((listener, subject.clone(), incarnation)).or_insert(now);
    }

    /// A listener takes a subject for dead at another one's word.
    pub(crate) fn believes(&mut self, listener: HostId, subject: HostId) {
        self.believed.insert((listener, subject));
    }

    /// Whether the death of a subject, seen at a listener since the last look, is such a one.
    pub(crate) fn are_believed(&self, listener: HostId, subject: HostId) -> bool {
        self.believed.contains(&(listener, subject))
    }

    /// Everything that happened has been looked at.
    pub(crate) fn end_look(&mut self) {
        self.believed.clear();
    }

    /// Whether the listener heard of a death and waited for an answer. Forgotten by this.
    pub(crate) fn check(
        &mut self,
        listener: HostId,
        (subject, incarnation): (&MemberName, u32),
        now: Time,
        wait: Duration,
    ) -> Result<(), DeadWithoutAsking> {
        let heard = self.heard.remove(&(listener, subject.clone(), incarnation));
        let since = heard.map(|heard| now - heard);
        if since.is_some_and(|since| since + Duration::from_millis(1) >= wait) {
            return Ok(());
        }
        let (listener, subject) = (listener.index(), subject.clone());
        Err(DeadWithoutAsking { listener, subject, incarnation, since, wait })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: HostId = HostId(0);
    const WAIT: Duration = Duration::from_secs(1);

    fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1_000)
    }

    #[test]
    fn a_word_counts_for_its_incarnation_after_the_time_of_an_answer() {
        let dan = MemberName::try_from("dan").unwrap();
        let mut words = Words::default();
        assert!(words.check(ADA, (&dan, 3), at(5_000), WAIT).is_err(), "nobody said so");
        words.heard(ADA, &dan, 3, at(0));
        words.heard(ADA, &dan, 3, at(900));
        assert!(words.check(ADA, (&dan, 4), at(5_000), WAIT).is_err(), "another life");
        assert!(words.check(ADA, (&dan, 3), at(1_000), WAIT).is_ok());
        words.heard(ADA, &dan, 3, at(0));
        assert!(words.check(ADA, (&dan, 3), at(700), WAIT).is_err(), "too soon to be asked");
    }

    #[test]
    fn a_belief_is_one_of_the_last_look() {
        let mut words = Words::default();
        words.believes(ADA, HostId(1));
        assert!(words.are_believed(ADA, HostId(1)) && !words.are_believed(HostId(1), ADA));
        words.end_look();
        assert!(!words.are_believed(ADA, HostId(1)));
    }
}
