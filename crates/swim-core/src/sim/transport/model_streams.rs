//! The state of modelled streams: two ends each, and the bytes on their way.
//!
//! Bounded by the streams that members open: each is gone at its deadline at the latest.

use std::collections::{BTreeMap, VecDeque};

use crate::output::StreamId;
use crate::sim::fault::HostId;
use crate::sim::hosts::ProcessNumber;
use crate::sim::sim_rng::SimRng;
use crate::time::Time;

/// Numbers all streams of a simulation in the order in which they were opened.
pub(crate) type StreamNumber = u64;

/// Which end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamSide {
    Opener,
    Acceptor,
}

impl StreamSide {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Opener => Self::Acceptor,
            Self::Acceptor => Self::Opener,
        }
    }
}

/// All streams under way.
#[derive(Default)]
pub(crate) struct ModelStreams {
    open: BTreeMap<StreamNumber, ModelStream>,
    by_end: BTreeMap<(HostId, StreamId), StreamNumber>,
    next: StreamNumber,
}

/// One stream.
pub(crate) struct ModelStream {
    pub(crate) deadline: Time,
    /// It is reset after this many more pieces.
    reset_after: Option<usize>,
    opener: StreamEnd,
    acceptor: StreamEnd,
}

/// One end of a stream.
pub(crate) struct StreamEnd {
    pub(crate) host: HostId,
    /// Which process of the host the end belongs to.
    pub(crate) process: ProcessNumber,
    pub(crate) id: StreamId,
    /// The member knows of it and has not closed it.
    pub(crate) open: bool,
    /// It has written its last byte.
    pub(crate) finished: bool,
    /// It has been given the peer's last byte.
    pub(crate) complete: bool,
    /// A delivery to it is planned.
    pub(crate) moving: bool,
    pub(crate) inbox: VecDeque<Piece>,
}

/// Bytes on their way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) bytes: Vec<u8>,
    pub(crate) fin: bool,
}

impl ModelStream {
    pub(crate) fn end(&self, side: StreamSide) -> &StreamEnd {
        match side {
            StreamSide::Opener => &self.opener,
            StreamSide::Acceptor => &self.acceptor,
        }
    }

    pub(crate) fn end_mut(&mut self, side: StreamSide) -> &mut StreamEnd {
        match side {
            StreamSide::Opener => &mut self.opener,
            StreamSide::Acceptor => &mut self.acceptor,
        }
    }

    /// Counts one piece that is delivered; false when the stream is reset instead.
    pub(crate) fn spend_piece(&mut self) -> bool {
        match &mut self.reset_after {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        }
    }

    /// Whether nothing more can happen on it.
    pub(crate) fn is_over(&self) -> bool {
        let quiet = |end: &StreamEnd| !end.open || (end.complete && end.finished);
        quiet(&self.opener) && (quiet(&self.acceptor) && self.acceptor.inbox.is_empty())
    }
}

impl ModelStreams {
    /// Adds a stream, of which the acceptor does not know yet.
    pub(crate) fn insert(
        &mut self,
        opener: (HostId, ProcessNumber, StreamId),
        acceptor: (HostId, ProcessNumber),
        deadline: Time,
    ) -> StreamNumber {
        let number = self.next;
        self.next += 1;
        let end = |host, process, id, open| StreamEnd {
            host,
            process,
            id,
            open,
            finished: open,
            complete: false,
            moving: false,
            inbox: VecDeque::new(),
        };
        let stream = ModelStream {
            deadline,
            reset_after: None,
            opener: end(opener.0, opener.1, opener.2, true),
            acceptor: end(acceptor.0, acceptor.1, StreamId::incoming(number), false),
        };
        self.by_end.insert((opener.0, opener.2), number);
        self.by_end.insert((acceptor.0, StreamId::incoming(number)), number);
        self.open.insert(number, stream);
        number
    }

    /// Resets a stream after so many more pieces.
    pub(crate) fn reset_after(&mut self, number: StreamNumber, pieces: usize) {
        if let Some(stream) = self.open.get_mut(&number) {
            stream.reset_after = Some(pieces);
        }
    }

    pub(crate) fn get_mut(&mut self, number: StreamNumber) -> Option<&mut ModelStream> {
        self.open.get_mut(&number)
    }

    /// The stream that a host calls `id`, and which end of it that is.
    pub(crate) fn find(&self, host: HostId, id: StreamId) -> Option<(StreamNumber, StreamSide)> {
        let number = *self.by_end.get(&(host, id))?;
        Some((number, if id.is_incoming() { StreamSide::Acceptor } else { StreamSide::Opener }))
    }

    pub(crate) fn remove(&mut self, number: StreamNumber) -> Option<ModelStream> {
        let stream = self.open.remove(&number)?;
        for end in [&stream.opener, &stream.acceptor] {
            // A restarted member may use the number of an outgoing stream again.
            if self.by_end.get(&(end.host, end.id)) == Some(&number) {
                self.by_end.remove(&(end.host, end.id));
            }
        }
        Some(stream)
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }
}

/// Cuts bytes into at most `most` pieces at random places; the last one carries the end.
pub(crate) fn split_randomly(
    bytes: Vec<u8>,
    fin: bool,
    most: usize,
    rng: &mut SimRng,
) -> Vec<Piece> {
    let count = rng.between(1, most.max(1));
    let mut cuts: Vec<usize> = (1..count).map(|_| rng.below(bytes.len() + 1)).collect();
    if cuts.is_empty() {
        return vec![Piece { bytes, fin }];
    }
    cuts.push(bytes.len());
    cuts.sort_unstable();
    cuts.dedup();
    let mut start = 0;
    let mut pieces = Vec::with_capacity(cuts.len());
    for end in cuts {
        pieces.push(Piece { bytes: bytes[start..end].to_vec(), fin: fin && end == bytes.len() });
        start = end;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_add_up_and_only_the_last_one_ends_the_stream() {
        let mut rng = SimRng::new(3, 3);
        let bytes: Vec<u8> = (0..200).collect();
        for most in 1..8 {
            let pieces = split_randomly(bytes.clone(), true, most, &mut rng);
            assert!((1..=most).contains(&pieces.len()));
            let (last, rest) = pieces.split_last().unwrap();
            assert!(last.fin && rest.iter().all(|piece| !piece.fin));
            let whole: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes.clone()).collect();
            assert_eq!(whole, bytes);
        }
    }

    #[test]
    fn an_empty_answer_still_ends_the_stream() {
        let pieces = split_randomly(Vec::new(), true, 4, &mut SimRng::new(1, 1));
        assert_eq!(pieces, [Piece { bytes: Vec::new(), fin: true }]);
    }

    #[test]
    fn both_ends_find_their_stream_until_it_is_removed() {
        let mut streams = ModelStreams::default();
        let (ada, bob) = (HostId(0), HostId(1));
        let id = StreamId::outgoing(5);
        let number = streams.insert((ada, 1, id), (bob, 1), Time::ZERO);
        assert_eq!(streams.find(ada, id), Some((number, StreamSide::Opener)));
        let incoming = StreamId::incoming(number);
        assert_eq!(streams.find(bob, incoming), Some((number, StreamSide::Acceptor)));
        assert!(streams.remove(number).is_some());
        assert_eq!((streams.find(ada, id), streams.len()), (None, 0));
    }
}
