//! No member wakes again and again for a deadline that it does not act on.

use crate::sim::fault::HostId;
use crate::time::Time;

/// After so many wakes at one moment a member counts as spinning. A thousand members waking at
/// the same moment with a few timers each stay far below.
const MAX_WAKES: u32 = 10_000;

/// Counts the wakes of all hosts at the present moment.
#[derive(Default)]
pub(crate) struct ProgressChecker {
    moment: Time,
    wakes: u32,
}

/// A host wakes, and time stands still.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("members make progress: host {host} spins on an overdue timer")]
pub(crate) struct Spinning {
    host: usize,
}

impl ProgressChecker {
    pub(crate) fn note_wake(&mut self, host: HostId, now: Time) -> Result<(), Spinning> {
        if now != self.moment {
            (self.moment, self.wakes) = (now, 0);
        }
        self.wakes += 1;
        if self.wakes > MAX_WAKES { Err(Spinning { host: host.index() }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wakes_at_one_moment_are_counted_and_passing_time_forgives_them() {
        let mut progress = ProgressChecker::default();
        let mut wake = |times: u32, second: u64| {
            let now = Time::from_micros(second * 1_000_000);
            (0..times).all(|_| progress.note_wake(HostId(3), now).is_ok())
        };
        assert!(wake(MAX_WAKES, 1) && wake(MAX_WAKES, 2));
        assert!(!wake(1, 2));
    }
}
