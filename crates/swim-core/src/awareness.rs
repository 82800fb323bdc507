//! Local health (Lifeguard, section IV-A): how slow this member itself seems to be.
//!
//! The score rises with each sign that this member, not its peer, is late: nacks that are missing
//! when a probe fails, and suspicions of ourselves that we must refute. It falls by one with each
//! probe that succeeds. Intervals are stretched by it.

use std::time::Duration;

/// The local health multiplier, less one: from 0, healthy, to below the configured maximum.
#[derive(Debug)]
pub(crate) struct Awareness {
    score: u8,
    max_multiplier: u8,
}

impl Awareness {
    /// `max_multiplier` is at least 1.
    pub(crate) fn new(max_multiplier: u8) -> Self {
        Self { score: 0, max_multiplier: max_multiplier.max(1) }
    }

    /// Another bound; at least 1.
    pub(crate) fn set_max_multiplier(&mut self, max_multiplier: u8) {
        self.max_multiplier = max_multiplier.max(1);
        self.apply_delta(0);
    }

    pub(crate) fn score(&self) -> u8 {
        self.score
    }

    /// Adds `delta`, within the bounds of the score.
    pub(crate) fn apply_delta(&mut self, delta: i32) {
        let score = i32::from(self.score).saturating_add(delta);
        let score = score.clamp(0, i32::from(self.max_multiplier) - 1);
        self.score = u8::try_from(score).unwrap_or(0);
    }

    /// `span` times the multiplier.
    pub(crate) fn scale(&self, span: Duration) -> Duration {
        span.saturating_mul(u32::from(self.score) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_stays_within_its_bounds() {
        let mut awareness = Awareness::new(8);
        awareness.apply_delta(-1);
        assert_eq!(awareness.score(), 0);
        awareness.apply_delta(300);
        assert_eq!(awareness.score(), 7);
        awareness.apply_delta(-1);
        assert_eq!(awareness.score(), 6);
    }

    #[test]
    fn spans_grow_with_the_score() {
        let mut awareness = Awareness::new(8);
        let second = Duration::from_secs(1);
        assert_eq!(awareness.scale(second), second);
        awareness.apply_delta(2);
        assert_eq!(awareness.scale(second), second * 3);
    }
}
