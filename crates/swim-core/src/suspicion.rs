//! How long a suspicion lasts: Lifeguard's timeout, which shrinks with every further member that
//! suspects the same one independently (section IV-B).

use std::time::Duration;

use crate::member_name::MemberName;
use crate::time::Time;

/// One suspicion under way.
#[derive(Debug)]
pub(crate) struct Suspicion {
    started: Time,
    timeout: SuspicionTimeout,
    /// The member whose suspicion it was, then those that confirmed it: at most
    /// `timeout.expected` of them.
    suspected_by: Vec<MemberName>,
    /// Whether the one whose suspicion it was said so itself, or it is our own.
    is_first_hand: bool,
    /// At which incarnation the member did not answer us either.
    own_evidence: Option<u32>,
    /// When the member's host first refused us and others.
    refused: Option<Time>,
}

/// The bounds of a suspicion's timeout, in a cluster of the present size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SuspicionTimeout {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
    /// Confirmations that bring the deadline down to `min`.
    pub(crate) expected: usize,
}

impl SuspicionTimeout {
    /// `members` is every member remembered, as Go counts them; `counted` are those of them whose
    /// number makes the timeout longer.
    pub(crate) fn new(
        members: usize,
        counted: usize,
        multiplier: u32,
        max_multiplier: u32,
        probe_interval: Duration,
    ) -> Self {
        let min =
            probe_interval.saturating_mul(multiplier).saturating_mul(scale_milli(counted)) / 1000;
        let wanted = usize::try_from(multiplier.saturating_sub(2)).unwrap_or(usize::MAX);
        // Too few others could confirm.
        let expected = if members.saturating_sub(2) < wanted { 0 } else { wanted };
        Self { min, max: min.saturating_mul(max_multiplier), expected }
    }

    /// Without confirmations: plain SWIM.
    pub(crate) fn fixed(self) -> Self {
        Self { expected: 0, ..self }
    }

    /// Of a suspicion by a member whose suspicions are refuted again and again: twice as long at
    /// most, and the first of the others to suspect counts as the first one does elsewhere.
    pub(crate) fn doubted(self) -> Self {
        Self { max: self.max.saturating_mul(2), expected: self.expected + 1, ..self }
    }

    /// The timeout after so many confirmations: logarithmic between the bounds, in whole
    /// milliseconds so that a seed replays on every machine.
    fn after(self, confirmations: usize) -> Duration {
        if self.expected == 0 || confirmations >= self.expected {
            return self.min;
        }
        let fraction =
            libm::log(as_f64(confirmations) + 1.0) / libm::log(as_f64(self.expected) + 1.0);
        let range = self.max.saturating_sub(self.min).as_secs_f64();
        let millis = libm::floor(1000.0 * (self.max.as_secs_f64() - fraction * range));
        Duration::from_millis(whole(millis)).max(self.min)
    }
}

impl Suspicion {
    pub(crate) fn new(
        by: MemberName,
        is_first_hand: bool,
        timeout: SuspicionTimeout,
        now: Time,
    ) -> Self {
        Self {
            started: now,
            timeout,
            suspected_by: vec![by],
            is_first_hand,
            own_evidence: None,
            refused: None,
        }
    }

    /// Whether it is known to be whose it is said to be.
    pub(crate) fn is_first_hand(&self) -> bool {
        self.is_first_hand
    }

    /// The member did not answer us, at this incarnation.
    pub(crate) fn add_own_evidence(&mut self, incarnation: u32) {
        self.own_evidence.get_or_insert(incarnation);
    }

    /// At which incarnation the member did not answer us first; hearsay may have raised it since.
    pub(crate) fn own_evidence(&self) -> Option<u32> {
        self.own_evidence
    }

    /// The member's host refused us and others, which confirms it as if everybody had. Returns when
    /// it first did.
    pub(crate) fn note_refused(&mut self, now: Time) -> Time {
        *self.refused.get_or_insert(now)
    }

    /// The member has answered since, us `itself` or somebody else, or it is another process.
    pub(crate) fn forget_evidence(&mut self, itself: bool) {
        self.refused = None;
        if itself {
            self.own_evidence = None;
        }
    }

    /// Whether the member's host refused us and others.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// Whether `from` counts as one more confirmation.
    pub(crate) fn confirm(&mut self, from: &MemberName) -> bool {
        if self.is_fully_confirmed() || self.suspected_by.contains(from) {
            return false;
        }
        self.suspected_by.push(from.clone());
        true
    }

    pub(crate) fn deadline(&self) -> Time {
        let confirmations = if self.is_refused() { usize::MAX } else { self.confirmations() };
        self.started + self.timeout.after(confirmations)
    }

    pub(crate) fn started(&self) -> Time {
        self.started
    }

    /// Whether further confirmations would not shorten it.
    pub(crate) fn is_fully_confirmed(&self) -> bool {
        self.confirmations() >= self.timeout.expected
    }

    fn confirmations(&self) -> usize {
        self.suspected_by.len() - 1
    }
}

/// `max(1, log10(members))` in thousandths.
fn scale_milli(members: usize) -> u32 {
    // The addend keeps exact powers of ten exact whatever the last bit of the logarithm.
    let log = libm::log10(as_f64(members.max(1))) * 1000.0 + 1e-6;
    u32::try_from(whole(log)).unwrap_or(u32::MAX).max(1000)
}

#[expect(clippy::cast_precision_loss, reason = "counts of members are far below 2^52")]
pub(crate) fn as_f64(count: usize) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and callers pass whole numbers above zero"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> MemberName {
        MemberName::try_from(text).unwrap()
    }

    #[test]
    fn the_minimum_grows_with_the_logarithm_of_the_members() {
        let min = |members| {
            SuspicionTimeout::new(members, members, 1, 6, Duration::from_secs(1)).min.as_millis()
        };
        assert_eq!([5, 10, 50, 100, 500, 1000].map(min), [1000, 1000, 1698, 2000, 2698, 3000]);
    }

    #[test]
    fn small_clusters_expect_no_confirmations() {
        let expected = |members| {
            SuspicionTimeout::new(members, members, 4, 6, Duration::from_secs(1)).expected
        };
        assert_eq!([1, 2, 3, 4, 100].map(expected), [0, 0, 0, 2, 2]);
    }

    #[test]
    fn the_deadline_shrinks_logarithmically() {
        let timeout = SuspicionTimeout {
            min: Duration::from_secs(2),
            max: Duration::from_secs(30),
            expected: 3,
        };
        let millis = [0, 1, 2, 3, 4].map(|count| timeout.after(count).as_millis());
        assert_eq!(millis, [30_000, 16_000, 7_810, 2_000, 2_000]);
        assert_eq!(timeout.fixed().after(0), timeout.min);
        let doubted = timeout.doubted();
        assert_eq!(doubted.after(0), 2 * timeout.max);
        assert!(doubted.after(3) > timeout.min && doubted.after(4) == timeout.min);
    }

    #[test]
    fn a_member_confirms_once_and_the_first_not_at_all() {
        let timeout = SuspicionTimeout {
            min: Duration::from_secs(2),
            max: Duration::from_secs(30),
            expected: 2,
        };
        let mut suspicion = Suspicion::new(name("ada"), true, timeout, Time::ZERO);
        assert!(!suspicion.confirm(&name("ada")));
        assert!(suspicion.confirm(&name("bob")) && !suspicion.confirm(&name("bob")));
        assert!(suspicion.confirm(&name("cyd")) && suspicion.is_fully_confirmed());
        assert!(!suspicion.confirm(&name("dan")));
        assert_eq!(suspicion.deadline(), Time::from_micros(2_000_000));
    }
}
