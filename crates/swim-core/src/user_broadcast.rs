//! The application's broadcasts: each goes once to every member that was alive when it was made.
//!
//! Go's memberlist never forwards them, so the originator visits everybody itself. Keeps the
//! order in which they were made; the number under way is bounded by the caller.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::roster::Slot;

/// All broadcasts under way, oldest first.
#[derive(Debug, Default)]
pub(crate) struct UserBroadcasts {
    queue: VecDeque<UserBroadcast>,
}

#[derive(Debug)]
struct UserBroadcast {
    message: Arc<[u8]>,
    waiting: SlotSet,
}

impl UserBroadcasts {
    pub(crate) fn push(&mut self, message: Arc<[u8]>, members: impl Iterator<Item = Slot>) {
        let mut waiting = SlotSet::default();
        members.for_each(|slot| waiting.insert(slot));
        if waiting.len > 0 {
            self.queue.push_back(UserBroadcast { message, waiting });
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// The length of the oldest message that `slot` still waits for.
    pub(crate) fn oldest_for(&self, slot: Slot) -> Option<usize> {
        let oldest = self.queue.iter().find(|broadcast| broadcast.waiting.contains(slot))?;
        Some(oldest.message.len())
    }

    /// Takes what `slot` waits for, oldest first, as long as the next one fits into `free`.
    pub(crate) fn take(
        &mut self,
        slot: Slot,
        mut free: usize,
        overhead: usize,
        most: usize,
    ) -> Vec<Arc<[u8]>> {
        let mut taken = Vec::new();
        for broadcast in &mut self.queue {
            if !broadcast.waiting.contains(slot) {
                continue;
            }
            let cost = broadcast.message.len() + overhead;
            if cost > free || taken.len() >= most {
                break;
            }
            free -= cost;
            broadcast.waiting.remove(slot);
            taken.push(broadcast.message.clone());
        }
        self.queue.retain(|broadcast| broadcast.waiting.len > 0);
        taken
    }

    /// Somebody whom the oldest broadcast has not reached.
    pub(crate) fn next_waiting(&self) -> Option<Slot> {
        self.queue.front()?.waiting.first()
    }

    /// Nobody waits in this slot any more.
    pub(crate) fn forget(&mut self, slot: Slot) {
        for broadcast in &mut self.queue {
            broadcast.waiting.remove(slot);
        }
        self.queue.retain(|broadcast| broadcast.waiting.len > 0);
    }
}

/// One bit for each slot: ten thousand members cost 1,250 bytes a broadcast.
#[derive(Debug, Default)]
struct SlotSet {
    words: Vec<u64>,
    len: usize,
}

impl SlotSet {
    fn insert(&mut self, slot: Slot) {
        let (word, bit) = (slot.index() / 64, slot.index() % 64);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        if self.words[word] & (1 << bit) == 0 {
            self.words[word] |= 1 << bit;
            self.len += 1;
        }
    }

    fn contains(&self, slot: Slot) -> bool {
        let (word, bit) = (slot.index() / 64, slot.index() % 64);
        self.words.get(word).is_some_and(|word| word & (1 << bit) != 0)
    }

    fn remove(&mut self, slot: Slot) {
        if self.contains(slot) {
            self.words[slot.index() / 64] &= !(1 << (slot.index() % 64));
            self.len -= 1;
        }
    }

    fn first(&self) -> Option<Slot> {
        let word = self.words.iter().position(|word| *word != 0)?;
        Slot::at(word * 64 + self.words[word].trailing_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(indices: &[usize]) -> impl Iterator<Item = Slot> {
        indices.iter().filter_map(|index| Slot::at(*index))
    }

    fn take(queue: &mut UserBroadcasts, slot: usize, free: usize) -> Vec<Vec<u8>> {
        let slot = Slot::at(slot).unwrap();
        queue.take(slot, free, 2, 254).iter().map(|message| message.to_vec()).collect()
    }

    #[test]
    fn everybody_gets_each_broadcast_once_and_in_order() {
        let mut queue = UserBroadcasts::default();
        queue.push(b"first".as_slice().into(), slots(&[1, 70]));
        queue.push(b"second".as_slice().into(), slots(&[1]));

        assert_eq!(queue.next_waiting(), Slot::at(1));
        assert_eq!(take(&mut queue, 1, 100), [b"first".to_vec(), b"second".to_vec()]);
        assert_eq!(take(&mut queue, 1, 100), Vec::<Vec<u8>>::new());
        assert_eq!((queue.len(), queue.next_waiting()), (1, Slot::at(70)));
        assert_eq!(take(&mut queue, 70, 100), [b"first".to_vec()]);
        assert_eq!((queue.len(), queue.next_waiting()), (0, None));
    }

    #[test]
    fn a_later_short_one_does_not_overtake_an_earlier_long_one() {
        let mut queue = UserBroadcasts::default();
        queue.push([0; 50].as_slice().into(), slots(&[1]));
        queue.push([1; 5].as_slice().into(), slots(&[1]));
        assert!(take(&mut queue, 1, 40).is_empty());
        assert_eq!(take(&mut queue, 1, 60).len(), 2);
    }

    #[test]
    fn the_forgotten_are_not_waited_for() {
        let mut queue = UserBroadcasts::default();
        queue.push(b"news".as_slice().into(), slots(&[3]));
        queue.forget(Slot::at(3).unwrap());
        assert_eq!(queue.len(), 0);
    }
}
