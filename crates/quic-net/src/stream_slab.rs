//! The streams of one connection in numbered slots, with the two sums that are asked for all the
//! time: bytes queued, and the next deadline.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::stream_state::StreamState;

/// The place of a stream in its connection's slab; taken again by another stream afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StreamSlot(u32);

/// A growing table of streams. Every change goes through [`update`](Self::update), which keeps the
/// sums true.
#[derive(Default)]
pub(crate) struct StreamSlab {
    entries: Vec<Option<SlabEntry>>,
    free: Vec<StreamSlot>,
    /// Bytes queued by all streams together.
    queued: usize,
    /// When each stream is due next, if it is.
    deadlines: BTreeSet<(Instant, StreamSlot)>,
}

struct SlabEntry {
    stream: StreamState,
    /// The stream's place in `deadlines`.
    due: Option<Instant>,
}

impl StreamSlot {
    fn index(self) -> usize {
        // Lossless wherever a slab of so many streams fits into memory.
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl StreamSlab {
    /// Takes a stream; `None`, which drops it, at 2^32 streams.
    pub(crate) fn insert(&mut self, stream: StreamState) -> Option<StreamSlot> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                let slot = StreamSlot(u32::try_from(self.entries.len()).ok()?);
                self.entries.push(None);
                slot
            }
        };
        self.queued += stream.queued();
        let due = stream.due();
        self.deadlines.extend(due.map(|due| (due, slot)));
        let entry = self.entries.get_mut(slot.index())?;
        debug_assert!(entry.is_none(), "a free slot is empty");
        *entry = Some(SlabEntry { stream, due });
        Some(slot)
    }

    pub(crate) fn remove(&mut self, slot: StreamSlot) -> Option<StreamState> {
        let SlabEntry { stream, due } = self.entries.get_mut(slot.index())?.take()?;
        self.queued -= stream.queued();
        if let Some(due) = due {
            self.deadlines.remove(&(due, slot));
        }
        self.free.push(slot);
        if self.is_empty() {
            // Most connections have no stream most of the time; idle ones are to stay small.
            self.entries = Vec::new();
            self.free = Vec::new();
        }
        Some(stream)
    }

    pub(crate) fn get(&self, slot: StreamSlot) -> Option<&StreamState> {
        self.entries.get(slot.index())?.as_ref().map(|entry| &entry.stream)
    }

    /// Changes a stream; `None` if there is none in the slot.
    pub(crate) fn update<R>(
        &mut self,
        slot: StreamSlot,
        change: impl FnOnce(&mut StreamState) -> R,
    ) -> Option<R> {
        let entry = self.entries.get_mut(slot.index())?.as_mut()?;
        let queued = entry.stream.queued();
        let result = change(&mut entry.stream);
        self.queued = self.queued - queued + entry.stream.queued();
        let due = entry.stream.due();
        if due != entry.due {
            if let Some(before) = std::mem::replace(&mut entry.due, due) {
                self.deadlines.remove(&(before, slot));
            }
            self.deadlines.extend(due.map(|due| (due, slot)));
        }
        Some(result)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes queued by all streams together.
    pub(crate) fn queued(&self) -> usize {
        debug_assert_eq!(
            self.queued,
            self.streams().map(StreamState::queued).sum::<usize>(),
            "every change of a queue is counted"
        );
        self.queued
    }

    /// When the first stream is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let first = self.deadlines.first().map(|(due, _)| *due);
        debug_assert_eq!(
            first,
            self.streams().filter_map(StreamState::due).min(),
            "every change of a deadline is noted"
        );
        first
    }

    /// The streams that are due, longest overdue first.
    pub(crate) fn due(&self, now: Instant) -> Vec<StreamSlot> {
        self.deadlines.iter().take_while(|(due, _)| *due <= now).map(|(_, slot)| *slot).collect()
    }

    /// The slots of all streams, in the order of their tokens.
    pub(crate) fn slots(&self) -> Vec<StreamSlot> {
        let numbered = (0..).map(StreamSlot).zip(&self.entries);
        let held =
            numbered.filter_map(|(slot, entry)| Some((entry.as_ref()?.stream.token(), slot)));
        let mut held: Vec<_> = held.collect();
        held.sort_unstable();
        held.into_iter().map(|(_, slot)| slot).collect()
    }

    fn streams(&self) -> impl Iterator<Item = &StreamState> {
        self.entries.iter().flatten().map(|entry| &entry.stream)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stream_token::StreamToken;

    fn stream(number: u64, deadline: Instant) -> StreamState {
        StreamState::opening(StreamToken::from_caller(number), None, deadline)
    }

    #[test]
    fn sums_follow_every_change() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut slab = StreamSlab::default();
        let [late, soon] = [9, 3].map(|due| slab.insert(stream(due, at(due))).unwrap());
        assert_eq!((slab.len(), slab.next_deadline()), (2, Some(at(3))));

        slab.update(soon, |stream| stream.queue(b"twelve bytes", false, 100)).unwrap().unwrap();
        slab.update(late, |stream| stream.queue(b"twelve bytes", true, 5)).unwrap().unwrap();
        assert_eq!(slab.queued(), 17);

        slab.update(late, |stream| stream.set_deadline(Some(at(1))));
        assert_eq!(slab.due(at(2)), [late]);
        assert_eq!(slab.due(at(3)), [late, soon]);
        slab.update(late, |stream| stream.set_deadline(None));
        assert_eq!(slab.next_deadline(), Some(at(3)));

        assert_eq!(slab.slots(), [soon, late], "in the order of the tokens");
        assert_eq!(slab.remove(soon).map(|stream| stream.queued()), Some(12));
        assert_eq!((slab.queued(), slab.next_deadline()), (5, None));
        assert!(slab.remove(soon).is_none() && slab.update(soon, |_| ()).is_none());
        assert_eq!(slab.insert(stream(4, at(4))), Some(soon), "the slot is used again");
    }
}
