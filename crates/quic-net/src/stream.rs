//! The state of one stream: what waits to be written, what was read, and who is done.
//!
//! Pure bookkeeping beside quiche's own: it decides nothing about connections and never
//! touches one.

use std::collections::VecDeque;
use std::time::Instant;

/// A bidirectional stream that the application knows by its handle.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// QUIC stream id, from the first byte on.
    pub(crate) id: Option<u64>,
    /// The name that the peer's certificate must prove.
    pub(crate) expected: Option<Vec<u8>>,
    pub(crate) deadline: Option<Instant>,
    /// When the connection counts as refusing credit to a stream that is not open yet.
    pub(crate) credit_deadline: Option<Instant>,
    /// The application knows that the stream may be written.
    pub(crate) announced: bool,
    /// Bytes that quiche has not taken yet.
    pub(crate) outgoing: VecDeque<u8>,
    /// The application has written everything.
    pub(crate) finished: bool,
    /// quiche has taken everything, or the peer does not want it.
    pub(crate) sent: bool,
    /// First byte of the peer, read to see whom the stream is for.
    pub(crate) first: Option<u8>,
    /// The peer's FIN was read.
    pub(crate) received: bool,
    /// The application was told less than it wanted to write.
    pub(crate) wants_room: bool,
    /// The application is done: what still arrives is discarded until this moment.
    pub(crate) discard_until: Option<Instant>,
}

impl Stream {
    /// Whether neither direction has anything left to do.
    pub(crate) fn is_over(&self) -> bool {
        self.sent && self.received && self.first.is_none()
    }

    pub(crate) fn has_output(&self) -> bool {
        !self.sent && (self.finished || !self.outgoing.is_empty())
    }

    /// The next moment at which something is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        let credit = self.credit_deadline.filter(|_| self.id.is_none());
        [self.deadline, credit, self.discard_until].into_iter().flatten().min()
    }
}

/// A packet on its way as a unidirectional stream.
#[derive(Debug)]
pub(crate) struct OutgoingPacket {
    pub(crate) id: Option<u64>,
    /// Length prefix and payload.
    pub(crate) bytes: Vec<u8>,
    pub(crate) sent: usize,
    pub(crate) deadline: Instant,
}

impl OutgoingPacket {
    pub(crate) fn new(payload: &[u8], deadline: Instant) -> Self {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
        Self { id: None, bytes: [&length[..], payload].concat(), sent: 0, deadline }
    }
}

/// A packet arriving as a unidirectional stream.
#[derive(Debug)]
pub(crate) struct IncomingPacket {
    pub(crate) bytes: Vec<u8>,
    /// When it must have arrived whole; none once it is settled.
    pub(crate) deadline: Option<Instant>,
    /// Handed on or given up: what still arrives is discarded up to the stream's end. To stop
    /// the stream would make a Go sender, which ends it in a frame of its own, report a failed
    /// send, and quiche never gives back the credit of a stream that was stopped before its end.
    pub(crate) settled: bool,
}

impl IncomingPacket {
    pub(crate) fn new(deadline: Instant) -> Self {
        Self { bytes: Vec::new(), deadline: Some(deadline), settled: false }
    }

    pub(crate) fn settled() -> Self {
        Self { bytes: Vec::new(), deadline: None, settled: true }
    }

    /// The announced payload length, once its four bytes have arrived.
    pub(crate) fn announced(&self) -> Option<usize> {
        let length = u32::from_be_bytes(*self.bytes.first_chunk::<4>()?);
        Some(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// The payload, if all of it has arrived.
    pub(crate) fn payload(&self) -> Option<&[u8]> {
        let length = self.announced()?;
        self.bytes.get(4..4usize.checked_add(length)?)
    }
}

/// How a QUIC stream id reads (RFC 9000 section 2.1).
pub(crate) fn is_bidirectional(id: u64) -> bool {
    id & 2 == 0
}

/// Whether the dialing side opened the stream.
pub(crate) fn is_from_dialer(id: u64) -> bool {
    id & 1 == 0
}
