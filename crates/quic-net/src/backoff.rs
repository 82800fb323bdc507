//! How long an address is left alone after dials to it have failed.

use std::time::{Duration, Instant};

use crate::limits::Limits;

/// Why a connection is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// For a packet, which is best effort: the pause after a failed dial is kept.
    Packet,
    /// For a stream, or because the application asked for it: dials at once.
    Stream,
}

/// The failed dials of one address.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    /// In a row.
    failures: u32,
    /// No packet dials before this moment.
    not_before: Option<Instant>,
}

impl Backoff {
    /// A dial failed. `jitter` is a random number of at most 1.
    pub(crate) fn dial_failed(&mut self, limits: &Limits, jitter: f64, now: Instant) {
        let pause = limits.dial_backoff.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + jittered(pause.min(limits.dial_backoff_max), jitter));
    }

    /// A dial succeeded, or the address is to be tried anew.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether the address may be dialed.
    pub(crate) fn allows(&self, urgency: Urgency, now: Instant) -> bool {
        urgency == Urgency::Stream || !self.is_pausing(now)
    }

    /// Whether the pause is not over yet.
    pub(crate) fn is_pausing(&self, now: Instant) -> bool {
        self.not_before.is_some_and(|until| now < until)
    }

    /// Whether a dial has failed since the last success.
    pub(crate) fn has_failed(&self) -> bool {
        self.not_before.is_some()
    }
}

/// Half of the pause, and a random part of the other half: peers that failed together do not dial
/// together again.
fn jittered(pause: Duration, jitter: f64) -> Duration {
    pause.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_longest_and_hold_back_packets_only() {
        let limits = Limits::default();
        let now = Instant::now();
        let mut backoff = Backoff::default();
        assert!(backoff.allows(Urgency::Packet, now));
        for pause in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000].map(Duration::from_millis) {
            backoff.dial_failed(&limits, 1.0, now);
            let end = now + pause;
            assert!(!backoff.allows(Urgency::Packet, end - Duration::from_millis(1)));
            assert!(backoff.allows(Urgency::Packet, end) && backoff.allows(Urgency::Stream, now));
        }
        backoff.dial_failed(&limits, 0.0, now);
        assert!(backoff.allows(Urgency::Packet, now + limits.dial_backoff_max / 2));
        backoff.clear();
        assert!(!backoff.has_failed() && backoff.allows(Urgency::Packet, now));
    }
}
