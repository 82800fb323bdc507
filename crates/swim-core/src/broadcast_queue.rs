//! The application's broadcasts: each goes once to every member that was alive when it was made.
//!
//! Go's memberlist never forwards them, so the originator sends them to everybody itself, in the
//! order in which they were made. Their number is bounded by `Config::max_broadcasts`.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::member_index::MemberIndex;
use crate::update_queue::Room;

/// Broadcasts that have not reached everybody, oldest first.
#[derive(Debug, Default)]
pub(crate) struct BroadcastQueue {
    queue: VecDeque<Broadcast>,
}

#[derive(Debug)]
struct Broadcast {
    message: Arc<[u8]>,
    waiting: MemberSet,
}

impl BroadcastQueue {
    pub(crate) fn push(&mut self, message: Arc<[u8]>, members: impl Iterator<Item = MemberIndex>) {
        let mut waiting = MemberSet::default();
        members.for_each(|member| waiting.insert(member));
        if waiting.len > 0 {
            self.queue.push_back(Broadcast { message, waiting });
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// The length of the oldest message that `member` still waits for.
    pub(crate) fn oldest_for(&self, member: MemberIndex) -> Option<usize> {
        let oldest = self.queue.iter().find(|broadcast| broadcast.waiting.contains(member))?;
        Some(oldest.message.len())
    }

    /// Hands to `put` what `member` waits for, oldest first, as long as the next one fits.
    pub(crate) fn take(
        &mut self,
        member: MemberIndex,
        room: &mut Room,
        mut put: impl FnMut(&[u8]),
    ) {
        for broadcast in &mut self.queue {
            if !broadcast.waiting.contains(member) {
                continue;
            }
            if room.longest() < Some(broadcast.message.len()) {
                break;
            }
            room.fill(&broadcast.message);
            broadcast.waiting.remove(member);
            put(&broadcast.message);
        }
        self.queue.retain(|broadcast| broadcast.waiting.len > 0);
    }

    /// Somebody whom the oldest broadcast has not reached.
    pub(crate) fn next_waiting(&self) -> Option<MemberIndex> {
        self.queue.front()?.waiting.first()
    }

    /// The member waits for nothing any more.
    pub(crate) fn forget(&mut self, member: MemberIndex) {
        for broadcast in &mut self.queue {
            broadcast.waiting.remove(member);
        }
        self.queue.retain(|broadcast| broadcast.waiting.len > 0);
    }
}

/// A set of members, one bit for each index: ten thousand members cost 1,250 bytes a broadcast.
#[derive(Debug, Default)]
struct MemberSet {
    words: Vec<u64>,
    len: usize,
}

impl MemberSet {
    fn insert(&mut self, member: MemberIndex) {
        let (word, bit) = (member.index() / 64, member.index() % 64);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        if self.words[word] & (1 << bit) == 0 {
            self.words[word] |= 1 << bit;
            self.len += 1;
        }
    }

    fn contains(&self, member: MemberIndex) -> bool {
        let (word, bit) = (member.index() / 64, member.index() % 64);
        self.words.get(word).is_some_and(|word| word & (1 << bit) != 0)
    }

    fn remove(&mut self, member: MemberIndex) {
        if self.contains(member) {
            self.words[member.index() / 64] &= !(1 << (member.index() % 64));
            self.len -= 1;
        }
    }

    fn first(&self) -> Option<MemberIndex> {
        let word = self.words.iter().position(|word| *word != 0)?;
        MemberIndex::at(word * 64 + self.words[word].trailing_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(indices: &[usize]) -> impl Iterator<Item = MemberIndex> {
        indices.iter().filter_map(|index| MemberIndex::at(*index))
    }

    fn take(queue: &mut BroadcastQueue, member: usize, free: usize) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        let mut room = Room { bytes: free, parts: 254 };
        queue.take(MemberIndex::at(member).unwrap(), &mut room, |message| {
            taken.push(message.to_vec());
        });
        taken
    }

    #[test]
    fn everybody_gets_each_broadcast_once_and_in_order() {
        let mut queue = BroadcastQueue::default();
        queue.push(b"first".as_slice().into(), members(&[1, 70]));
        queue.push(b"second".as_slice().into(), members(&[1]));

        assert_eq!(queue.next_waiting(), MemberIndex::at(1));
        assert_eq!(take(&mut queue, 1, 100), [b"first".to_vec(), b"second".to_vec()]);
        assert_eq!(take(&mut queue, 1, 100), Vec::<Vec<u8>>::new());
        assert_eq!((queue.len(), queue.next_waiting()), (1, MemberIndex::at(70)));
        assert_eq!(take(&mut queue, 70, 100), [b"first".to_vec()]);
        assert_eq!((queue.len(), queue.next_waiting()), (0, None));
    }

    #[test]
    fn a_later_short_one_does_not_overtake_an_earlier_long_one() {
        let mut queue = BroadcastQueue::default();
        queue.push([0; 50].as_slice().into(), members(&[1]));
        queue.push([1; 5].as_slice().into(), members(&[1]));
        assert!(take(&mut queue, 1, 40).is_empty());
        assert_eq!(take(&mut queue, 1, 60).len(), 2);
    }

    #[test]
    fn the_forgotten_are_not_waited_for() {
        let mut queue = BroadcastQueue::default();
        queue.push(b"text".as_slice().into(), members(&[3]));
        queue.forget(MemberIndex::at(3).unwrap());
        assert_eq!(queue.len(), 0);
    }
}
