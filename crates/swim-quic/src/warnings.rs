//! Holds back repeated warnings: one of a kind each second, with a count of the others.
//!
//! So an attacker or a misconfigured peer cannot flood a log or a subscriber, and no kind is
//! missed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::cluster_event::Event;

/// Least time between two warnings of one kind.
const INTERVAL: Duration = Duration::from_secs(1);

/// Kinds come from closed sets of the code, never from the network; this bounds a mistake.
const MAX_KINDS: usize = 256;

/// The warnings of one node.
#[derive(Default)]
pub(crate) struct Warnings {
    kinds: BTreeMap<String, Kind>,
}

struct Kind {
    last: Instant,
    held_back: u64,
}

impl Warnings {
    /// Logs a warning and returns the event for subscribers, unless one of its kind came less
    /// than a second ago.
    pub(crate) fn raise(&mut self, what: String, detail: String, now: Instant) -> Option<Event> {
        let mut count = 1;
        if let Some(kind) = self.kinds.get_mut(&what) {
            if now.saturating_duration_since(kind.last) < INTERVAL {
                kind.held_back += 1;
                return None;
            }
            count += std::mem::take(&mut kind.held_back);
            kind.last = now;
        } else if self.kinds.len() < MAX_KINDS {
            self.kinds.insert(what.clone(), Kind { last: now, held_back: 0 });
        }
        match count {
            1 => log::warn!("{what}: {detail}"),
            _ => log::warn!("{what} ({count} times): {detail}"),
        }
        Some(Event::Warning { what, detail, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "an origin for the times of this test")]
    fn one_of_a_kind_each_second_and_none_is_lost_from_the_count() {
        let start = Instant::now();
        let mut warnings = Warnings::default();
        let mut raise = |what: &str, after: u64| {
            let now = start + Duration::from_millis(after);
            match warnings.raise(what.to_owned(), "detail".to_owned(), now) {
                Some(Event::Warning { count, .. }) => Some(count),
                _ => None,
            }
        };
        assert_eq!(raise("label", 0), Some(1));
        assert_eq!(raise("label", 10), None);
        assert_eq!(raise("key", 20), Some(1), "another kind is not held back");
        assert_eq!(raise("label", 900), None);
        assert_eq!(raise("label", 1_000), Some(3));
        assert_eq!(raise("label", 2_000), Some(1));
    }
}
