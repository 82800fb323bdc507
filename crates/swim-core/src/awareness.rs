//! Local health: how much we distrust our own sense of time (Lifeguard, section IV-A).
//!
//! Keeps the score and stretches intervals by it. What counts as a sign of ill health is decided
//! where it shows: by the probe rounds and by refutes.

use std::time::Duration;

/// A score from 0, healthy, to below the configured multiplier.
#[derive(Debug)]
pub(crate) struct Awareness {
    score: u8,
    multiplier: u8,
}

impl Awareness {
    /// `multiplier` is at least 1.
    pub(crate) fn new(multiplier: u8) -> Self {
        Self { score: 0, multiplier: multiplier.max(1) }
    }

    pub(crate) fn score(&self) -> u8 {
        self.score
    }

    pub(crate) fn improve(&mut self) {
        self.score = self.score.saturating_sub(1);
    }

    pub(crate) fn worsen(&mut self, by: usize) {
        let by = u8::try_from(by).unwrap_or(u8::MAX);
        self.score = self.score.saturating_add(by).min(self.multiplier - 1);
    }

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
        awareness.improve();
        assert_eq!(awareness.score(), 0);
        awareness.worsen(300);
        assert_eq!(awareness.score(), 7);
        awareness.improve();
        assert_eq!(awareness.score(), 6);
    }

    #[test]
    fn spans_grow_with_the_score() {
        let mut awareness = Awareness::new(8);
        let second = Duration::from_secs(1);
        assert_eq!(awareness.scale(second), second);
        awareness.worsen(2);
        assert_eq!(awareness.scale(second), second * 3);
    }
}
