//! How long a suspicion lasts: Lifeguard's deadline, which shrinks with every independent
//! accuser.
//!
//! Pure data; it does not schedule itself and declares nobody dead.

use std::time::Duration;

use crate::member::MemberName;
use crate::time::Time;

/// One suspicion under way.
#[derive(Debug)]
pub(crate) struct Suspicion {
    started: Time,
    span: Span,
    /// The first accuser, then those that confirmed: at most `span.expected` of them.
    accusers: Vec<MemberName>,
}

/// Between which bounds suspicions last, in a cluster of the present size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
    /// Confirmations that bring the deadline down to `min`.
    pub(crate) expected: usize,
}

impl Span {
    /// `members` counts every member remembered, as Go does.
    pub(crate) fn new(
        members: usize,
        multiplier: u32,
        max_multiplier: u32,
        probe_interval: Duration,
    ) -> Self {
        let min =
            probe_interval.saturating_mul(multiplier).saturating_mul(scale_milli(members)) / 1000;
        let wanted = usize::try_from(multiplier.saturating_sub(2)).unwrap_or(usize::MAX);
        // Too few others could confirm.
        let expected = if members.saturating_sub(2) < wanted { 0 } else { wanted };
        Self { min, max: min.saturating_mul(max_multiplier), expected }
    }

    /// Without confirmations: plain SWIM.
    pub(crate) fn fixed(self) -> Self {
        Self { expected: 0, ..self }
    }
}

impl Suspicion {
    pub(crate) fn new(by: MemberName, span: Span, now: Time) -> Self {
        Self { started: now, span, accusers: vec![by] }
    }

    /// Whether `from` counts as one more accuser.
    pub(crate) fn confirm(&mut self, from: &MemberName) -> bool {
        if self.is_fully_confirmed() || self.accusers.contains(from) {
            return false;
        }
        self.accusers.push(from.clone());
        true
    }

    pub(crate) fn deadline(&self) -> Time {
        self.started + timeout(self.span, self.confirmations())
    }

    pub(crate) fn started(&self) -> Time {
        self.started
    }

    /// Whether it hopes for no more confirmations.
    pub(crate) fn is_fully_confirmed(&self) -> bool {
        self.confirmations() >= self.span.expected
    }

    fn confirmations(&self) -> usize {
        self.accusers.len() - 1
    }
}

/// The deadline after `confirmations`: logarithmic between the bounds (Lifeguard, section IV-B),
/// in whole milliseconds so that a seed replays on every machine.
fn timeout(span: Span, confirmations: usize) -> Duration {
    if span.expected == 0 || confirmations >= span.expected {
        return span.min;
    }
    let fraction = libm::log(as_f64(confirmations) + 1.0) / libm::log(as_f64(span.expected) + 1.0);
    let range = span.max.saturating_sub(span.min).as_secs_f64();
    let millis = libm::floor(1000.0 * (span.max.as_secs_f64() - fraction * range));
    Duration::from_millis(whole(millis)).max(span.min)
}

/// The order of magnitude of a cluster in thousandths, at least 1000.
fn scale_milli(members: usize) -> u32 {
    // The addend keeps exact powers of ten exact whatever the last bit of the logarithm.
    let log = libm::log10(as_f64(members.max(1))) * 1000.0 + 1e-6;
    u32::try_from(whole(log)).unwrap_or(u32::MAX).max(1000)
}

#[expect(clippy::cast_precision_loss, reason = "counts of members are far below 2^52")]
fn as_f64(count: usize) -> f64 {
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
    fn the_minimum_grows_with_the_order_of_magnitude() {
        let min = |members| Span::new(members, 1, 6, Duration::from_secs(1)).min.as_millis();
        assert_eq!([5, 10, 50, 100, 500, 1000].map(min), [1000, 1000, 1698, 2000, 2698, 3000]);
    }

    #[test]
    fn small_clusters_expect_no_confirmations() {
        let expected = |members| Span::new(members, 4, 6, Duration::from_secs(1)).expected;
        assert_eq!([1, 2, 3, 4, 100].map(expected), [0, 0, 0, 2, 2]);
    }

    #[test]
    fn the_deadline_shrinks_logarithmically() {
        let span = Span { min: Duration::from_secs(2), max: Duration::from_secs(30), expected: 3 };
        let millis = [0, 1, 2, 3, 4].map(|count| timeout(span, count).as_millis());
        assert_eq!(millis, [30_000, 16_000, 7_810, 2_000, 2_000]);
        assert_eq!(timeout(span.fixed(), 0), span.min);
    }

    #[test]
    fn an_accuser_counts_once_and_the_first_not_at_all() {
        let span = Span { min: Duration::from_secs(2), max: Duration::from_secs(30), expected: 2 };
        let mut suspicion = Suspicion::new(name("ada"), span, Time::ZERO);
        assert!(!suspicion.confirm(&name("ada")));
        assert!(suspicion.confirm(&name("bob")) && !suspicion.confirm(&name("bob")));
        assert!(suspicion.confirm(&name("cyd")) && suspicion.is_fully_confirmed());
        assert!(!suspicion.confirm(&name("dan")));
        assert_eq!(suspicion.deadline(), Time::from_micros(2_000_000));
    }
}
