//! Members from which nothing was ever heard: somebody may have invented them.

use std::time::Duration;

use crate::time::Time;

/// How long such members are probed less, after one of them did not answer.
const CAUTIOUS_FOR: Duration = Duration::from_secs(60);
/// Of so many turns of theirs one is used meanwhile: a real one may die, too.
const ONE_TURN_IN: u32 = 4;

/// Whether such members did not answer lately.
#[derive(Debug, Default)]
pub(super) struct UnheardTargets {
    failed: Option<Time>,
    turns: u32,
}

impl UnheardTargets {
    /// One of them did not answer.
    pub(super) fn note_failure(&mut self, now: Time) {
        self.failed = Some(now);
    }

    /// Whether the turn of one of them is left to the next member.
    pub(super) fn passes_over(&mut self, now: Time) -> bool {
        if self.failed.is_none_or(|at| now - at >= CAUTIOUS_FOR) {
            return false;
        }
        self.turns = self.turns.wrapping_add(1);
        !self.turns.is_multiple_of(ONE_TURN_IN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_three_turns_of_four_are_left_to_others_for_a_minute() {
        let mut unheard = UnheardTargets::default();
        let at = |seconds: u64| Time::from_micros(seconds * 1_000_000);
        assert!(!unheard.passes_over(at(1)));
        unheard.note_failure(at(2));
        let passed = (0..8).filter(|_| unheard.passes_over(at(61))).count();
        assert_eq!(passed, 6);
        assert!(!unheard.passes_over(at(62)));
    }
}
