//! What is rare where many want a place for a handshake: reports, and handshakes that replace
//! others without an end.

use std::time::{Duration, Instant};

/// Counts both.
#[derive(Debug)]
pub(crate) struct Crowd {
    /// When it was last reported that handshakes are turned away.
    reported: Option<Instant>,
    /// Since when replacements are counted.
    since: Instant,
    replacements: usize,
}

impl Crowd {
    pub(crate) fn new(now: Instant) -> Self {
        Self { reported: None, since: now, replacements: 0 }
    }

    /// Whether it is to be reported that handshakes are turned away, which then counts as done.
    pub(crate) fn is_report_due(&mut self, now: Instant) -> bool {
        let is_due =
            self.reported.is_none_or(|last| now.saturating_duration_since(last) >= BETWEEN_REPORTS);
        if is_due {
            self.reported = Some(now);
        }
        is_due
    }

    /// Whether one more handshake may replace an equal one, of `half_open` places, which then
    /// counts.
    pub(crate) fn admit_replacement(&mut self, half_open: usize, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            (self.since, self.replacements) = (now, 0);
        }
        let admitted = self.replacements < half_open.saturating_mul(REPLACEMENTS);
        self.replacements += usize::from(admitted);
        admitted
    }
}

/// So many times as often as there are places, a handshake may replace an equal one in a second:
/// each costs us a signature. An honest one then has 60 ms at the least where one host takes the
/// whole share of its network.
const REPLACEMENTS: usize = 4;
/// How often it is reported that handshakes are turned away.
const BETWEEN_REPORTS: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test needs some moment to count from")]
    fn replacements_have_a_rate_and_reports_a_pause() {
        let begin = Instant::now();
        let mut crowd = Crowd::new(begin);
        let admitted = (0..100).filter(|_| crowd.admit_replacement(5, begin)).count();
        assert_eq!(admitted, 20);
        assert!(crowd.admit_replacement(5, begin + Duration::from_secs(1)));
        assert!(crowd.is_report_due(begin) && !crowd.is_report_due(begin));
        assert!(crowd.is_report_due(begin + BETWEEN_REPORTS));
    }
}
