//! Small things that a node puts off for a moment.
//!
//! Keeps them in order of their time, and bounded; the node decides what each means when it is
//! due.

use std::collections::BTreeMap;
use std::time::Instant;

use swim_core::MemberName;

/// Errands that can wait at once; further ones are dropped, for all of them only save time.
const MAX_ERRANDS: usize = 4_096;

/// Something to do later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// Ping a Go peer, so that it notices our restart.
    Greet(MemberName),
    /// Close all connections, after our own leave.
    CloseAll,
}

/// What waits, by the time at which it is due.
#[derive(Default)]
pub(crate) struct Errands {
    waiting: BTreeMap<(Instant, u64), Errand>,
    added: u64,
}

impl Errands {
    pub(crate) fn add(&mut self, at: Instant, errand: Errand) {
        if self.waiting.len() < MAX_ERRANDS {
            self.added += 1;
            self.waiting.insert((at, self.added), errand);
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.waiting.keys().next().map(|(at, _)| *at)
    }

    /// The first that is due.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Errand> {
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
    fn errands_come_in_the_order_of_their_times_and_not_before() {
        let start = Instant::now();
        let later = start + Duration::from_secs(1);
        let greet = Errand::Greet(MemberName::try_from("bob").unwrap());
        let mut errands = Errands::default();
        errands.add(later, Errand::CloseAll);
        errands.add(start, greet.clone());
        assert_eq!(errands.next(), Some(start));
        assert_eq!(errands.take_due(start), Some(greet));
        assert_eq!(errands.take_due(start), None);
        assert_eq!(errands.take_due(later), Some(Errand::CloseAll));
        assert_eq!(errands.next(), None);
    }
}
