//! Virtual time: a queue of planned events, and the present moment.
//!
//! Events come out in order of time, at equal times in the order in which they were planned, so
//! that a run is the same on every computer.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::time::Time;

/// The present moment and everything planned after it.
pub(crate) struct EventQueue<T> {
    now: Time,
    entries: BinaryHeap<Entry<T>>,
    planned: u64,
    steps: u64,
}

struct Entry<T> {
    at: Time,
    order: u64,
    event: T,
}

impl<T> EventQueue<T> {
    pub(crate) fn new() -> Self {
        Self { now: Time::ZERO, entries: BinaryHeap::new(), planned: 0, steps: 0 }
    }

    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// How many events have been taken out.
    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// Plans an event; `at` must not lie in the past.
    pub(crate) fn plan(&mut self, at: Time, event: T) {
        debug_assert!(at >= self.now, "planned for {at}, but it is {}", self.now);
        self.entries.push(Entry { at, order: self.planned, event });
        self.planned += 1;
    }

    /// Takes the next event out, unless it lies after `until`; its time is the present from now on.
    pub(crate) fn next_before(&mut self, until: Time) -> Option<T> {
        let entry = self.entries.peek().filter(|entry| entry.at <= until)?;
        debug_assert!(entry.at >= self.now, "{} is over, it is {}", entry.at, self.now);
        self.now = entry.at;
        self.steps += 1;
        self.entries.pop().map(|entry| entry.event)
    }

    /// Lets time pass to a moment before which nothing is planned any more.
    pub(crate) fn pass_to(&mut self, moment: Time) {
        self.now = self.now.max(moment);
    }
}

impl<T> Ord for Entry<T> {
    /// Reversed, because `BinaryHeap` gives its greatest entry first.
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
        let mut queue = EventQueue::new();
        for (at, what) in [(20, "later"), (10, "first"), (10, "second"), (5, "soonest")] {
            queue.plan(Time::from_micros(at), what);
        }
        let end = Time::from_micros(100);
        let order: Vec<_> = std::iter::from_fn(|| queue.next_before(end)).collect();
        assert_eq!(order, ["soonest", "first", "second", "later"]);
        assert_eq!((queue.now(), queue.steps()), (Time::from_micros(20), 4));
    }

    #[test]
    fn what_lies_after_the_end_stays_planned_and_time_still_passes() {
        let mut queue = EventQueue::new();
        queue.plan(Time::from_micros(20), "later");
        assert_eq!(queue.next_before(Time::from_micros(19)), None);
        queue.pass_to(Time::from_micros(19));
        assert_eq!((queue.now(), queue.steps()), (Time::from_micros(19), 0));
        assert_eq!(queue.next_before(Time::from_micros(20)), Some("later"));
    }
}
