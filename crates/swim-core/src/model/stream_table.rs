//! All modelled streams: what each end has written, read and awaits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::connection_table::ConnectionId;
use super::links::EndpointId;
use crate::member_name::MemberName;
use crate::output::StreamId;

/// Which end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StreamSide {
    Opener,
    Acceptor,
}

impl StreamSide {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Opener => Self::Acceptor,
            Self::Acceptor => Self::Opener,
        }
    }
}

/// All streams under way.
#[derive(Default)]
pub(super) struct StreamTable {
    held: BTreeMap<u64, Stream>,
    by_end: BTreeMap<(EndpointId, StreamId), (u64, StreamSide)>,
    by_connection: BTreeSet<(ConnectionId, u64)>,
    count: u64,
}

/// One stream.
pub(super) struct Stream {
    pub(super) connection: ConnectionId,
    /// Who must be at the other end.
    pub(super) expected: Option<MemberName>,
    pub(super) opener: StreamEnd,
    pub(super) acceptor: StreamEnd,
    /// It is reset after this many more pieces.
    pub(super) reset_after: Option<usize>,
    /// Its connection is established.
    pub(super) is_open: bool,
}

/// One end: what it sends, and what has arrived for it.
pub(super) struct StreamEnd {
    pub(super) endpoint: EndpointId,
    pub(super) life: u32,
    /// What its machine calls it, while the machine is interested.
    pub(super) id: Option<StreamId>,
    /// It has been told of the stream.
    pub(super) is_announced: bool,
    pub(super) out: Outbound,
    pub(super) into: Inbound,
}

/// What one end sends.
#[derive(Default)]
pub(super) struct Outbound {
    /// Written and not arrived yet.
    pub(super) bytes: VecDeque<u8>,
    pub(super) is_finished: bool,
    /// Everything has arrived, the end of the stream too, or nobody wants it.
    pub(super) is_done: bool,
    /// The writer was told less than it offered.
    pub(super) wants_room: bool,
    /// The next piece is under way.
    pub(super) is_moving: bool,
}

/// What has arrived for one end.
#[derive(Default)]
pub(super) struct Inbound {
    pub(super) unread: VecDeque<u8>,
    pub(super) has_ended: bool,
    pub(super) was_reset: bool,
    /// Nobody reads it any more.
    pub(super) discards: bool,
}

impl StreamEnd {
    pub(super) fn new(endpoint: EndpointId, life: u32, id: Option<StreamId>) -> Self {
        let is_announced = id.is_some();
        let (out, into) = (Outbound::default(), Inbound::default());
        Self { endpoint, life, id, is_announced, out, into }
    }
}

impl Stream {
    pub(super) fn end(&self, side: StreamSide) -> &StreamEnd {
        match side {
            StreamSide::Opener => &self.opener,
            StreamSide::Acceptor => &self.acceptor,
        }
    }

    pub(super) fn end_mut(&mut self, side: StreamSide) -> &mut StreamEnd {
        match side {
            StreamSide::Opener => &mut self.opener,
            StreamSide::Acceptor => &mut self.acceptor,
        }
    }

    /// Neither machine has it: nobody awaits anything.
    pub(super) fn is_nobodys(&self) -> bool {
        self.opener.id.is_none() && self.acceptor.id.is_none()
    }

    /// Nothing can happen on it any more.
    pub(super) fn is_over(&self) -> bool {
        [&self.opener, &self.acceptor].iter().all(|end| end.id.is_none() && end.out.is_done)
    }
}

impl StreamTable {
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn insert(&mut self, stream: Stream, id: StreamId) -> u64 {
        self.count += 1;
        let number = self.count;
        self.by_end.insert((stream.opener.endpoint, id), (number, StreamSide::Opener));
        self.by_connection.insert((stream.connection, number));
        self.held.insert(number, stream);
        number
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Stream> {
        self.held.get_mut(&number)
    }

    pub(super) fn find(
        &mut self,
        endpoint: EndpointId,
        id: StreamId,
    ) -> Option<(u64, StreamSide, &mut Stream)> {
        let (number, side) = *self.by_end.get(&(endpoint, id))?;
        Some((number, side, self.held.get_mut(&number)?))
    }

    /// Takes an end's name away: its machine hears nothing of the stream any more.
    pub(super) fn release(&mut self, number: u64, side: StreamSide) {
        let Some(stream) = self.held.get_mut(&number) else { return };
        let end = stream.end_mut(side);
        if let Some(id) = end.id.take() {
            self.by_end.remove(&(end.endpoint, id));
        }
        if stream.is_over() {
            self.remove(number);
        }
    }

    /// The acceptor has learnt of the stream and calls it `id`.
    pub(super) fn name_acceptor(&mut self, number: u64, id: StreamId) {
        let Some(stream) = self.held.get_mut(&number) else { return };
        stream.acceptor.id = Some(id);
        self.by_end.insert((stream.acceptor.endpoint, id), (number, StreamSide::Acceptor));
    }

    pub(super) fn remove(&mut self, number: u64) {
        let Some(stream) = self.held.remove(&number) else { return };
        self.by_connection.remove(&(stream.connection, number));
        for end in [stream.opener, stream.acceptor] {
            if let Some(id) = end.id {
                self.by_end.remove(&(end.endpoint, id));
            }
        }
    }

    pub(super) fn on_connection(&self, connection: ConnectionId) -> Vec<u64> {
        let range = (connection, 0)..=(connection, u64::MAX);
        self.by_connection.range(range).map(|(_, number)| *number).collect()
    }

    /// An endpoint's memory is gone: its ends of all streams are nobody's.
    pub(super) fn forget_endpoint(&mut self, endpoint: EndpointId) {
        let range = (endpoint, StreamId::FIRST)..=(endpoint, StreamId::LAST);
        let gone: Vec<(u64, StreamSide)> = self.by_end.range(range).map(|(_, end)| *end).collect();
        for (number, side) in gone {
            self.release(number, side);
        }
    }
}
