//! What a node does a moment later, in the order of time, bounded in number.

use std::collections::BTreeMap;
use std::time::Instant;

use swim_core::MemberName;

/// Tasks that can wait at once; further ones are dropped, since all of them only save time.
const MAX_TASKS: usize = 4_096;

/// What to do later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DelayedTask {
    /// Ping a Go peer, so that it notices our restart.
    Greet(MemberName),
    /// Close all connections, after our own leave.
    CloseAll,
}

/// What waits, by the time at which it is due.
#[derive(Default)]
pub(crate) struct DelayedTasks {
    waiting: BTreeMap<(Instant, u64), DelayedTask>,
    added: u64,
}

impl DelayedTasks {
    pub(crate) fn add(&mut self, at: Instant, task: DelayedTask) {
        if self.waiting.len() < MAX_TASKS {
            self.added += 1;
            self.waiting.insert((at, self.added), task);
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.waiting.keys().next().map(|(at, _)| *at)
    }

    /// The first that is due.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<DelayedTask> {
        let first = self.waiting.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(first.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "an origin for the times of this test")]
    fn tasks_come_in_the_order_of_their_times_and_not_before() {
        let start = Instant::now();
        let later = start + Duration::from_secs(1);
        let greet = DelayedTask::Greet(MemberName::try_from("bob").unwrap());
        let mut tasks = DelayedTasks::default();
        tasks.add(later, DelayedTask::CloseAll);
        tasks.add(start, greet.clone());
        assert_eq!(tasks.next(), Some(start));
        assert_eq!(tasks.take_due(start), Some(greet));
        assert_eq!(tasks.take_due(start), None);
        assert_eq!(tasks.take_due(later), Some(DelayedTask::CloseAll));
        assert_eq!(tasks.next(), None);
    }
}
