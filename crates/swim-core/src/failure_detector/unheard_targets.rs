//! Members from which nothing was ever heard: somebody may have invented them.

use std::time::Duration;

use crate::time::Time;

/// How long such members are probed less, after one of them did not answer.
const CAUTIOUS_FOR: Duration = Duration::from_secs(60);
/// So many others are probed before one of them is, meanwhile: a real one may die, too.
const OTHERS_BETWEEN: u32 = 3;

/// Whether such members did not answer lately.
#[derive(Debug, Default)]
pub(super) struct UnheardTargets {
    failed: Option<Time>,
    /// Probes of other members since the last one of them.
    others: u32,
}

impl UnheardTargets {
    /// One of them did not answer.
    pub(super) fn note_failure(&mut self, now: Time) {
        self.failed = Some(now);
    }

    /// A probe of one of them begins, or of another member.
    pub(super) fn note_probe(&mut self, was_heard: bool) {
        self.others = if was_heard { self.others.saturating_add(1) } else { 0 };
    }

    /// Whether one of them did not answer lately.
    pub(super) fn has_failed(&self, now: Time) -> bool {
        self.failed.is_some_and(|at| now - at < CAUTIOUS_FOR)
    }

    /// Whether the turn of one of them is left to the next member.
    pub(super) fn passes_over(&self, now: Time) -> bool {
        self.has_failed(now) && self.others < OTHERS_BETWEEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_three_of_four_probes_are_of_others_for_a_minute() {
        let mut unheard = UnheardTargets::default();
        let at = |seconds: u64| Time::from_micros(seconds * 1_000_000);
        assert!(!unheard.passes_over(at(1)));
        unheard.note_failure(at(2));
        for probe in 0..8 {
            assert_eq!(unheard.passes_over(at(61)), probe % 4 != 3, "{probe}");
            unheard.note_probe(unheard.passes_over(at(61)));
        }
        assert!(!unheard.passes_over(at(62)));
    }
}
