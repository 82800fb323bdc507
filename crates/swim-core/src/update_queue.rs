//! The transmit-limited queue of updates about members (memberlist's `TransmitLimitedQueue`).
//!
//! It holds at most one update about each member, the newest, so it is bounded by the members
//! remembered.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

use crate::member_index::MemberIndex;
use crate::wire::compound::PART_HEADER;

/// Updates about ourselves first, those about members of which nothing was heard last; then those
/// that fewest members got; among them the longest first, then the newest.
type Rank = (Tier, Reverse<usize>, Reverse<u64>);
/// The first two parts of a rank.
type Tier = (Urgency, u32);

/// How soon an update is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// It is about ourselves: nobody else can refute what is said of us.
    Ours,
    Usual,
    /// It is about a member that only others speak of.
    Hearsay,
}

/// Updates that are still to be transmitted, in the order of their [`Rank`].
#[derive(Debug, Default)]
pub(crate) struct UpdateQueue {
    ranked: BTreeMap<Rank, QueuedUpdate>,
    by_subject: BTreeMap<MemberIndex, Rank>,
    next_id: u64,
    /// The subjects of updates that are still to go out at once.
    at_once: BTreeSet<MemberIndex>,
}

/// An update and who needs no copy of it.
#[derive(Debug)]
pub(crate) struct Update {
    pub(crate) subject: MemberIndex,
    pub(crate) urgency: Urgency,
    pub(crate) message: Arc<[u8]>,
    /// Where it came from, if somebody told us.
    pub(crate) told_by: Option<SocketAddr>,
}

/// An update in the queue.
#[derive(Debug)]
struct QueuedUpdate {
    update: Update,
    /// The members that were sent it, or knew it when a packet went to them.
    told: Vec<SocketAddr>,
    /// How often that happened, repetitions included and additions not.
    copies: u32,
    /// How often it was sent to somebody who is not there any more.
    spared: u32,
}

/// How far an update goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    /// How many members are sent it, and how often it is sent at least.
    pub(crate) limit: u32,
    /// How many other members there are.
    pub(crate) others: usize,
    /// How many members are sent it at once, as an addition to `limit`.
    pub(crate) at_once: u32,
}

/// Whom a packet goes to, as far as it matters for what is put into it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipient {
    pub(crate) index: Option<MemberIndex>,
    pub(crate) address: SocketAddr,
    /// A member that we hold alive or suspect: only what such a one is sent counts as sent.
    pub(crate) is_live: bool,
    /// It made us send the packet, so it may do so as often as it likes.
    pub(crate) asked: bool,
}

/// An update is finished after this many times its transmissions, too, if it was so often sent to
/// the dead: there may be nobody else.
const SPARED: u32 = 4;
/// The most updates that are passed over for one packet.
const MAX_PASSED_OVER: usize = 64;

/// How much of a packet is free. Each message takes its length and [`PART_HEADER`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) bytes: usize,
    pub(crate) parts: usize,
}

impl Room {
    /// The longest message that fits.
    pub(crate) fn longest(self) -> Option<usize> {
        if self.parts == 0 { None } else { self.bytes.checked_sub(PART_HEADER) }
    }

    /// `message` is in the packet.
    pub(crate) fn fill(&mut self, message: &[u8]) {
        debug_assert!(self.longest() >= Some(message.len()), "a message exceeds the room");
        self.bytes = self.bytes.saturating_sub(message.len() + PART_HEADER);
        self.parts = self.parts.saturating_sub(1);
    }
}

impl UpdateQueue {
    /// Queues an update, replacing an older one about the same member.
    pub(crate) fn push(&mut self, update: Update, at_once: bool) {
        self.remove(update.subject);
        if at_once {
            self.at_once.insert(update.subject);
        }
        let tier = (update.urgency, 0);
        let rank = (tier, Reverse(update.message.len()), Reverse(self.next_id));
        self.next_id += 1;
        self.by_subject.insert(update.subject, rank);
        let queued = QueuedUpdate { update, told: Vec::new(), copies: 0, spared: 0 };
        self.ranked.insert(rank, queued);
    }

    pub(crate) fn remove(&mut self, subject: MemberIndex) {
        self.at_once.remove(&subject);
        if let Some(rank) = self.by_subject.remove(&subject) {
            self.ranked.remove(&rank);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.ranked.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ranked.is_empty()
    }

    /// Hands to `put` what fits into `room` and the recipient does not know, and counts one
    /// transmission for each. An update is finished after `limit` of them, if they reached as many
    /// members, or all there are: one that asks again and again uses up nothing.
    pub(crate) fn take(
        &mut self,
        room: &mut Room,
        reach: Reach,
        to: Recipient,
        mut put: impl FnMut(&[u8]),
    ) {
        if self.ranked.is_empty() {
            return;
        }
        let mut again = Vec::new();
        let mut passed_over = 0;
        let mut tier = self.ranked.first_key_value().map(|(rank, _)| rank.0);
        while let (Some(at), true) = (tier, room.parts > 0 && passed_over < MAX_PASSED_OVER) {
            let rank = room.longest().and_then(|longest| self.longest_within(at, longest));
            let Some((rank, mut queued)) = rank.and_then(|rank| self.ranked.remove_entry(&rank))
            else {
                tier = self.tier_after(at);
                continue;
            };
            if queued.update.is_known_to(to) {
                passed_over += 1;
            } else {
                room.fill(&queued.update.message);
                put(&queued.update.message);
            }
            queued.note(to, false);
            again.push((rank, queued));
        }
        // Only afterwards, so that no update goes twice into one packet.
        for (rank, queued) in again {
            self.put_back(rank, queued, reach);
        }
        if self.ranked.is_empty() {
            self.next_id = 0;
        }
    }

    /// Hands to `put` what is to go out at once, as far as it fits. That counts as no transmission
    /// but makes who was told come later.
    pub(crate) fn take_at_once(
        &mut self,
        room: &mut Room,
        reach: Reach,
        to: Recipient,
        mut put: impl FnMut(&[u8]),
    ) {
        let subjects: Vec<MemberIndex> = self.at_once.iter().copied().take(room.parts).collect();
        for subject in subjects {
            let Some(rank) = self.by_subject.get(&subject).copied() else { continue };
            if room.longest() < Some(rank.1.0) {
                continue;
            }
            let Some(mut queued) = self.ranked.remove(&rank) else { continue };
            if !queued.update.is_known_to(to) {
                room.fill(&queued.update.message);
                put(&queued.update.message);
            }
            queued.note(to, true);
            self.put_back(rank, queued, reach);
        }
    }

    /// Where it comes now that somebody more was told, unless it is finished.
    fn put_back(&mut self, rank: Rank, queued: QueuedUpdate, reach: Reach) {
        let subject = queued.update.subject;
        let told = u32::try_from(queued.told.len()).unwrap_or(u32::MAX);
        let is_finished = queued.is_finished(reach);
        if is_finished || told >= reach.at_once {
            self.at_once.remove(&subject);
        }
        if is_finished {
            self.by_subject.remove(&subject);
            return;
        }
        let rank = ((rank.0.0, told), rank.1, rank.2);
        self.by_subject.insert(subject, rank);
        self.ranked.insert(rank, queued);
    }

    /// Nothing goes out at once any more; what is queued waits for its usual turn.
    pub(crate) fn clear_at_once(&mut self) {
        self.at_once.clear();
    }

    /// Whether there are any that are to go out at once.
    pub(crate) fn has_any_at_once(&self) -> bool {
        !self.at_once.is_empty()
    }

    fn longest_within(&self, tier: Tier, longest: usize) -> Option<Rank> {
        let from = Included((tier, Reverse(longest), Reverse(u64::MAX)));
        let (rank, _) = self.ranked.range((from, Unbounded)).next()?;
        (rank.0 == tier).then_some(*rank)
    }

    fn tier_after(&self, tier: Tier) -> Option<Tier> {
        let from = Excluded((tier, Reverse(0), Reverse(0)));
        let (rank, _) = self.ranked.range((from, Unbounded)).next()?;
        Some(rank.0)
    }
}

impl QueuedUpdate {
    /// A packet to somebody who knows it, or that brought it there.
    fn note(&mut self, to: Recipient, is_addition: bool) {
        if to.is_live {
            self.copies = self.copies.saturating_add(u32::from(!is_addition));
            if !self.told.contains(&to.address) {
                self.told.push(to.address);
            }
        } else if !to.asked {
            self.spared += 1;
        }
    }

    fn is_finished(&self, Reach { limit, others, .. }: Reach) -> bool {
        let members = usize::try_from(limit).unwrap_or(usize::MAX).min(others);
        let was_told = self.copies >= limit && self.told.len() >= members;
        was_told || self.spared >= limit.saturating_mul(SPARED)
    }
}

impl Update {
    /// Whoever told us knows it. Its subject may not, even if it says that the subject is alive:
    /// somebody may have invented that.
    fn is_known_to(&self, to: Recipient) -> bool {
        self.told_by == Some(to.address)
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
    use std::net::{Ipv4Addr, SocketAddrV4};

    fn index(n: usize) -> MemberIndex {
        MemberIndex::at(n).unwrap()
    }

    fn address(n: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], n))
    }

    /// A member that is there, at an address that told us nothing.
    const SOMEBODY: Recipient = Recipient {
        index: None,
        address: SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1)),
        is_live: true,
        asked: false,
    };

    fn update(subject: usize, message: &[u8]) -> Update {
        let subject = index(subject);
        let urgency = Urgency::Usual;
        Update { subject, urgency, message: message.into(), told_by: None }
    }

    fn push(queue: &mut UpdateQueue, subject: usize, message: &[u8]) {
        queue.push(update(subject, message), false);
    }

    fn take(queue: &mut UpdateQueue, bytes: usize, limit: u32) -> Vec<String> {
        take_for(queue, bytes, limit, SOMEBODY)
    }

    fn take_for(queue: &mut UpdateQueue, bytes: usize, limit: u32, to: Recipient) -> Vec<String> {
        let mut taken = Vec::new();
        let reach = Reach { limit, others: 0, at_once: 0 };
        queue.take(&mut Room { bytes, parts: 255 }, reach, to, |message| {
            taken.push(String::from_utf8_lossy(message).into_owned());
        });
        taken
    }

    #[test]
    fn what_the_dead_are_sent_is_not_counted_while_the_living_wait() {
        let mut queue = UpdateQueue::default();
        push(&mut queue, 1, b"text");
        let dead = Recipient { is_live: false, ..SOMEBODY };
        for _ in 0..7 {
            assert_eq!(take_for(&mut queue, 100, 2, dead), ["text"]);
        }
        assert_eq!(take(&mut queue, 100, 2), ["text"]);
        assert_eq!(take(&mut queue, 100, 2), ["text"]);
        assert_eq!(queue.len(), 0);
        // With nobody else there it ends all the same.
        push(&mut queue, 1, b"text");
        for _ in 0..8 {
            assert_eq!(take_for(&mut queue, 100, 2, dead), ["text"]);
        }
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn who_knows_an_update_is_passed_over_and_others_get_what_is_left() {
        let mut queue = UpdateQueue::default();
        let told_by = Some(address(7));
        queue.push(Update { told_by, ..update(1, b"bob alive") }, false);
        queue.push(update(2, b"cyd"), false);
        let teller = Recipient { address: address(7), ..SOMEBODY };
        assert_eq!(take_for(&mut queue, 100, 9, teller), ["cyd"]);
        // It is sent to whom it is about as well.
        let bob = Recipient { index: Some(index(1)), ..SOMEBODY };
        assert_eq!(take_for(&mut queue, 100, 9, bob), ["bob alive", "cyd"]);
    }

    #[test]
    fn who_asks_again_and_again_uses_nothing_up() {
        let mut queue = UpdateQueue::default();
        push(&mut queue, 1, b"text");
        let mut take = |port, is_live| {
            let to = Recipient { index: None, address: address(port), is_live, asked: true };
            let mut taken = 0;
            let mut room = Room { bytes: 100, parts: 255 };
            queue.take(&mut room, Reach { limit: 3, others: 9, at_once: 0 }, to, |_| taken += 1);
            taken
        };
        // A member, and somebody who is none.
        for _ in 0..50 {
            assert_eq!((take(6, true), take(5, false)), (1, 1));
        }
        assert_eq!((take(7, true), take(8, true)), (1, 1), "three members have it");
        assert_eq!(take(9, true), 0);
    }

    #[test]
    fn what_we_say_of_ourselves_goes_first_and_what_nobody_vouches_for_last() {
        let mut queue = UpdateQueue::default();
        queue
            .push(Update { urgency: Urgency::Hearsay, ..update(3, b"a name that is long") }, false);
        push(&mut queue, 2, b"cyd");
        queue.push(Update { urgency: Urgency::Ours, ..update(1, b"us") }, false);
        assert_eq!(take(&mut queue, 9, 4), ["us", "cyd"]);
        assert_eq!(take(&mut queue, 100, 4), ["us", "cyd", "a name that is long"]);
    }

    #[test]
    fn the_limit_grows_with_the_digits_of_the_members() {
        let limit = |members| retransmit_limit(3, members);
        assert_eq!([0, 1, 9, 10, 99, 100].map(limit), [0, 3, 3, 6, 6, 9]);
    }

    #[test]
    fn an_update_about_a_member_replaces_an_older_one() {
        let mut queue = UpdateQueue::default();
        push(&mut queue, 1, b"bob suspect");
        push(&mut queue, 2, b"cyd alive");
        push(&mut queue, 1, b"bob alive");
        assert_eq!(queue.len(), 2);
        assert_eq!(take(&mut queue, 100, 4), ["bob alive", "cyd alive"]);
    }

    #[test]
    fn long_messages_go_first_and_short_ones_fill_the_rest() {
        let mut queue = UpdateQueue::default();
        push(&mut queue, 1, b"aa");
        push(&mut queue, 2, b"bbbbbbbb");
        push(&mut queue, 3, b"cccc");
        assert_eq!(take(&mut queue, 14, 4), ["bbbbbbbb", "aa"]);
        assert_eq!(take(&mut queue, 14, 4), ["cccc", "aa"]);
    }

    #[test]
    fn everything_is_sent_as_often_as_the_limit_says_and_never_twice_in_a_packet() {
        let mut queue = UpdateQueue::default();
        for n in 1..=3 {
            push(&mut queue, n, b"text");
        }
        let counts = [(); 4].map(|()| take(&mut queue, 20, 3).len());
        assert_eq!(counts, [3, 3, 3, 0]);
        assert_eq!((queue.len(), queue.next_id), (0, 0));
    }

    #[test]
    fn a_packet_holds_at_most_so_many() {
        let mut queue = UpdateQueue::default();
        for n in 0..10 {
            push(&mut queue, n, b"x");
        }
        let (mut room, mut count) = (Room { bytes: 1000, parts: 4 }, 0);
        queue.take(&mut room, Reach { limit: 4, others: 0, at_once: 0 }, SOMEBODY, |_| count += 1);
        assert_eq!((count, room), (4, Room { bytes: 988, parts: 0 }));
    }
}
