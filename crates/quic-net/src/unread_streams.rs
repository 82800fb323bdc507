//! What was received whole on streams whose connection closed before the application read it.

use std::collections::VecDeque;

use crate::event::Read;
use crate::stream_limits::UNREAD_STREAMS;
use crate::stream_token::StreamToken;

/// The remains of at most [`UNREAD_STREAMS`] streams, each at most a receive window long.
#[derive(Default)]
pub(crate) struct UnreadStreams {
    /// Oldest first.
    streams: VecDeque<(StreamToken, VecDeque<u8>)>,
    /// In all of them.
    bytes: usize,
}

impl UnreadStreams {
    /// Keeps what is left of a stream, at the price of the oldest if there are too many.
    pub(crate) fn insert(&mut self, token: StreamToken, rest: Vec<u8>) {
        self.bytes += rest.len();
        self.streams.push_back((token, rest.into()));
        if self.streams.len() > UNREAD_STREAMS
            && let Some((_, dropped)) = self.streams.pop_front()
        {
            self.bytes -= dropped.len();
        }
    }

    /// Reads from a stream that is kept here; `None` if it is not.
    pub(crate) fn read(&mut self, token: StreamToken, buffer: &mut [u8]) -> Option<Read> {
        let at = self.position(token)?;
        let (_, rest) = self.streams.get_mut(at)?;
        let bytes = rest.len().min(buffer.len());
        for (space, byte) in buffer.iter_mut().zip(rest.drain(..bytes)) {
            *space = byte;
        }
        self.bytes -= bytes;
        let fin = rest.is_empty();
        if fin {
            self.streams.remove(at);
        }
        Some(Read { bytes, fin })
    }

    pub(crate) fn remove(&mut self, token: StreamToken) {
        if let Some(at) = self.position(token)
            && let Some((_, dropped)) = self.streams.remove(at)
        {
            self.bytes -= dropped.len();
        }
    }

    pub(crate) fn contains(&self, token: StreamToken) -> bool {
        self.position(token).is_some()
    }

    pub(crate) fn bytes(&self) -> usize {
        debug_assert_eq!(
            self.bytes,
            self.streams.iter().map(|(_, rest)| rest.len()).sum::<usize>(),
            "every byte that comes or goes is counted"
        );
        self.bytes
    }

    fn position(&self, token: StreamToken) -> Option<usize> {
        self.streams.iter().position(|(kept, _)| *kept == token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_stream_gives_way_and_a_read_one_is_gone() {
        let mut unread = UnreadStreams::default();
        let token = |number: usize| StreamToken::from_caller(u64::try_from(number).unwrap());
        for number in 0..=UNREAD_STREAMS {
            unread.insert(token(number), vec![7; 10]);
        }
        assert!(!unread.contains(token(0)) && unread.contains(token(1)));
        assert_eq!(unread.bytes(), 10 * UNREAD_STREAMS);
        let mut buffer = [0; 6];
        assert_eq!(unread.read(token(1), &mut buffer), Some(Read { bytes: 6, fin: false }));
        assert_eq!(unread.read(token(1), &mut buffer), Some(Read { bytes: 4, fin: true }));
        assert_eq!(unread.read(token(1), &mut buffer), None);
        unread.remove(token(2));
        assert_eq!(unread.bytes(), 10 * (UNREAD_STREAMS - 2));
    }
}
