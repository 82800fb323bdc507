//! The transmit-limited queue: news about members on their way to everybody.
//!
//! Holds at most one message about each member (the newest replaces the older), so it is bounded
//! by the members remembered. Decides which messages go into a packet; sends nothing.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

use crate::roster::Slot;

/// Fewest transmissions first; among them the longest first, then the newest.
type Rank = (u32, Reverse<usize>, Reverse<u64>);

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Broadcasts {
    ranked: BTreeMap<Rank, News>,
    by_subject: BTreeMap<Slot, Rank>,
    next_id: u64,
}

#[derive(Debug)]
struct News {
    subject: Slot,
    message: Arc<[u8]>,
}

impl Broadcasts {
    /// Queues `message`, replacing an older one about the same member.
    pub(crate) fn push(&mut self, subject: Slot, message: &[u8]) {
        self.remove(subject);
        let rank = (0, Reverse(message.len()), Reverse(self.next_id));
        self.next_id += 1;
        self.ranked.insert(rank, News { subject, message: message.into() });
        self.by_subject.insert(subject, rank);
    }

    pub(crate) fn remove(&mut self, subject: Slot) {
        if let Some(rank) = self.by_subject.remove(&subject) {
            self.ranked.remove(&rank);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.ranked.len()
    }

    /// Takes what fits into `free` bytes, each message costing `overhead` more than its length,
    /// and counts one transmission for each. A message is finished after `limit` of them.
    pub(crate) fn take(
        &mut self,
        mut free: usize,
        overhead: usize,
        limit: u32,
        most: usize,
    ) -> Vec<Arc<[u8]>> {
        let mut taken = Vec::new();
        let mut again = Vec::new();
        let mut tier = self.ranked.first_key_value().map(|(rank, _)| rank.0);
        while let (Some(transmits), true) = (tier, taken.len() < most) {
            let Some(rank) = free
                .checked_sub(overhead)
                .and_then(|longest| self.longest_within(transmits, longest))
            else {
                tier = self.tier_after(transmits);
                continue;
            };
            let Some(news) = self.ranked.remove(&rank) else {
                break;
            };
            free -= overhead + news.message.len();
            taken.push(news.message.clone());
            if transmits + 1 >= limit {
                self.by_subject.remove(&news.subject);
            } else {
                again.push(((transmits + 1, rank.1, rank.2), news));
            }
        }
        // Only afterwards, so that no message goes twice into one packet.
        for (rank, news) in again {
            self.by_subject.insert(news.subject, rank);
            self.ranked.insert(rank, news);
        }
        if self.ranked.is_empty() {
            self.next_id = 0;
        }
        taken
    }

    fn longest_within(&self, transmits: u32, longest: usize) -> Option<Rank> {
        let from = Included((transmits, Reverse(longest), Reverse(u64::MAX)));
        let (rank, _) = self.ranked.range((from, Unbounded)).next()?;
        (rank.0 == transmits).then_some(*rank)
    }

    fn tier_after(&self, transmits: u32) -> Option<u32> {
        let from = Excluded((transmits, Reverse(0), Reverse(0)));
        let (rank, _) = self.ranked.range((from, Unbounded)).next()?;
        Some(rank.0)
    }
}

/// How often each message is sent in a cluster of `members`: Go's
/// `RetransmitMult * ceil(log10(n + 1))`.
pub(crate) fn retransmit_limit(multiplier: u32, members: usize) -> u32 {
    let mut digits = 0;
    let mut reach: usize = 1;
    while reach < members.saturating_add(1) {
        reach = reach.saturating_mul(10);
        digits += 1;
    }
    multiplier.saturating_mul(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(n: usize) -> Slot {
        Slot::at(n).unwrap()
    }

    fn take(queue: &mut Broadcasts, free: usize, limit: u32) -> Vec<String> {
        let taken = queue.take(free, 2, limit, 255);
        taken.iter().map(|message| String::from_utf8_lossy(message).into_owned()).collect()
    }

    #[test]
    fn the_limit_grows_with_the_order_of_magnitude() {
        let limit = |members| retransmit_limit(3, members);
        assert_eq!([0, 1, 9, 10, 99, 100].map(limit), [0, 3, 3, 6, 6, 9]);
    }

    #[test]
    fn news_about_a_member_replace_older_news() {
        let mut queue = Broadcasts::default();
        queue.push(slot(1), b"bob suspect");
        queue.push(slot(2), b"cyd alive");
        queue.push(slot(1), b"bob alive");
        assert_eq!(queue.len(), 2);
        assert_eq!(take(&mut queue, 100, 4), ["bob alive", "cyd alive"]);
    }

    #[test]
    fn long_messages_go_first_and_short_ones_fill_the_rest() {
        let mut queue = Broadcasts::default();
        queue.push(slot(1), b"aa");
        queue.push(slot(2), b"bbbbbbbb");
        queue.push(slot(3), b"cccc");
        assert_eq!(take(&mut queue, 14, 4), ["bbbbbbbb", "aa"]);
        assert_eq!(take(&mut queue, 14, 4), ["cccc", "aa"]);
    }

    #[test]
    fn everything_is_sent_as_often_as_the_limit_says_and_never_twice_in_a_packet() {
        let mut queue = Broadcasts::default();
        for n in 1..=3 {
            queue.push(slot(n), b"news");
        }
        let counts = [(); 4].map(|()| take(&mut queue, 20, 3).len());
        assert_eq!(counts, [3, 3, 3, 0]);
        assert_eq!((queue.len(), queue.next_id), (0, 0));
    }

    #[test]
    fn a_packet_holds_at_most_so_many() {
        let mut queue = Broadcasts::default();
        for n in 0..10 {
            queue.push(slot(n), b"x");
        }
        assert_eq!(queue.take(1000, 2, 4, 4).len(), 4);
    }
}
