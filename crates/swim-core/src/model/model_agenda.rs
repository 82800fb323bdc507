//! What the model has planned, in the order of its time.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::connection_table::ConnectionId;
use super::links::EndpointId;
use super::stream_table::StreamSide;
use crate::time::Time;

/// Something planned.
#[derive(Debug)]
pub(super) enum Move {
    /// A datagram reaches the end of its way.
    Datagram { connection: ConnectionId, to: EndpointId, life: u32, bytes: Vec<u8> },
    /// A dial gets through now, is tried again, or has taken too long.
    Dial { connection: ConnectionId },
    /// One end learns that its connection is gone.
    CloseConnection { connection: ConnectionId, at: EndpointId },
    /// A connection that made way ends once it carries no streams.
    CloseRetired { connection: ConnectionId, at: EndpointId },
    /// An end learns that a packet to this address was refused.
    Refusal { at: EndpointId, life: u32, from: SocketAddr },
    /// The next bytes of a stream reach one end.
    Piece { stream: u64, to: StreamSide },
    /// The opener's deadline.
    Expire { stream: u64 },
    /// The opener learns that the stream was refused.
    Refuse { stream: u64 },
    /// One end learns that the other has reset the stream.
    Reset { stream: u64, side: StreamSide },
    /// A stopped stream has discarded long enough.
    EndDiscard { stream: u64, side: StreamSide },
}

/// All moves planned; those at equal times in the order of planning.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    planned: BTreeMap<(Time, u64), Move>,
    count: u64,
}

impl Agenda {
    pub(super) fn plan(&mut self, at: Time, what: Move) {
        self.count += 1;
        self.planned.insert((at, self.count), what);
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.planned.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn take_due(&mut self, now: Time) -> Option<Move> {
        let first = self.planned.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(first.remove())
    }
}
