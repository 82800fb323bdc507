//! How many pieces of streams quiche keeps for a connection.
//!
//! It keeps the data of each stream frame apart, which costs some 146 bytes of heap however short
//! the piece is, until it is read; flow control counts the bytes alone. A peer that sends every
//! other byte of its streams makes it hold half a million pieces in a window of 1 MiB. quiche tells
//! nobody how many there are, but decrypts packets in place, so that they can be counted.

use std::collections::BTreeMap;

use super::stream_frames::{StreamFrame, for_each_stream_frame};

/// The pieces that have arrived and may not have been read.
#[derive(Debug, Default)]
pub(crate) struct StreamPieces {
    streams: BTreeMap<u64, Pieces>,
    count: usize,
    /// With so many, those that have been read are looked for.
    sweep_at: usize,
}

/// Those of one stream.
#[derive(Debug, Default)]
struct Pieces {
    /// So much of the stream was read at the last sweep.
    read: u64,
    /// Where they end, by where they begin.
    ends: BTreeMap<u64, u64>,
}

impl StreamPieces {
    /// Counts the pieces in a packet with a short header that quiche has decrypted in place.
    pub(crate) fn note_packet(&mut self, packet: &[u8]) {
        for_each_stream_frame(packet, |frame| self.note(frame));
    }

    fn note(&mut self, StreamFrame { stream, offset, length }: StreamFrame) {
        let end = offset.saturating_add(length);
        let pieces = self.streams.entry(stream).or_default();
        if length == 0 || end <= pieces.read {
            return;
        }
        let before = pieces.ends.get(&offset).copied();
        pieces.ends.insert(offset, before.map_or(end, |before| before.max(end)));
        self.count += usize::from(before.is_none());
    }

    /// Whether more than `most` pieces are there to be read, or will be.
    pub(crate) fn exceed(&mut self, most: usize, quic: &quiche::Connection) -> bool {
        if self.count >= self.sweep_at.max(LEAST_SWEEP) {
            self.sweep(quic);
            self.sweep_at = (2 * self.count).min(most).max(self.count + LEAST_SWEEP);
        }
        self.count > most
    }

    /// Forgets what was read.
    fn sweep(&mut self, quic: &quiche::Connection) {
        self.streams.retain(|id, pieces| {
            if quic.stream_finished(*id) {
                return false;
            }
            let readable = quic.stream_readable_len(*id, usize::MAX);
            pieces.forget_read(u64::try_from(readable).unwrap_or(u64::MAX));
            true
        });
        self.count = self.streams.values().map(|pieces| pieces.ends.len()).sum();
    }
}

impl Pieces {
    /// So many bytes can be read; all before them has been.
    fn forget_read(&mut self, readable: u64) {
        let mut arrived = self.read;
        for (begin, end) in &self.ends {
            if *begin > arrived {
                break;
            }
            arrived = arrived.max(*end);
        }
        self.read = self.read.max(arrived.saturating_sub(readable));
        while let Some(first) = self.ends.first_entry()
            && *first.get() <= self.read
        {
            first.remove();
        }
    }
}

/// Fewer are not worth a look.
const LEAST_SWEEP: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_forgotten_up_to_the_first_gap() {
        let mut pieces = Pieces::default();
        pieces.ends.extend([(0, 4), (4, 6), (5, 9), (10, 12), (20, 30)]);
        pieces.forget_read(9);
        assert_eq!((pieces.read, pieces.ends.len()), (0, 5));
        pieces.forget_read(2);
        assert_eq!((pieces.read, pieces.ends.len()), (7, 3), "one is read in part");
        pieces.ends.insert(9, 10);
        pieces.forget_read(0);
        assert_eq!((pieces.read, pieces.ends.len()), (12, 1));
    }

    #[test]
    fn a_piece_that_comes_twice_counts_once() {
        let mut pieces = StreamPieces::default();
        for (offset, length) in [(0, 4), (4, 2), (0, 4), (4, 3), (9, 0)] {
            pieces.note(StreamFrame { stream: 4, offset, length });
        }
        assert_eq!(pieces.count, 2);
    }
}
