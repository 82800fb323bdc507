//! What is still to happen, in order of time; at equal times in the order of planning.
//!
//! Decides nothing: a heap whose order does not depend on the machine it runs on.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::time::Time;

/// The future of a simulation.
pub(crate) struct Agenda<T> {
    entries: BinaryHeap<Entry<T>>,
    planned: u64,
}

struct Entry<T> {
    at: Time,
    order: u64,
    what: T,
}

impl<T> Agenda<T> {
    pub(crate) fn new() -> Self {
        Self { entries: BinaryHeap::new(), planned: 0 }
    }

    pub(crate) fn plan(&mut self, at: Time, what: T) {
        self.entries.push(Entry { at, order: self.planned, what });
        self.planned += 1;
    }

    pub(crate) fn next_at(&self) -> Option<Time> {
        self.entries.peek().map(|entry| entry.at)
    }

    pub(crate) fn pop(&mut self) -> Option<(Time, T)> {
        self.entries.pop().map(|entry| (entry.at, entry.what))
    }
}

impl<T> Ord for Entry<T> {
    /// Reversed: the heap gives its greatest entry first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_ties_keep_the_order_of_planning() {
        let mut agenda = Agenda::new();
        for (at, what) in [(20, "later"), (10, "first"), (10, "second"), (5, "soonest")] {
            agenda.plan(Time::from_micros(at), what);
        }
        assert_eq!(agenda.next_at(), Some(Time::from_micros(5)));
        let order: Vec<_> = std::iter::from_fn(|| agenda.pop()).map(|(_, what)| what).collect();
        assert_eq!(order, ["soonest", "first", "second", "later"]);
    }
}
