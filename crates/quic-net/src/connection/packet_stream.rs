//! A packet that travels as a unidirectional stream, because it fits no datagram: its length in
//! four bytes, most significant first, then the payload.

use std::time::Instant;

use quiche::Error;

use crate::limits::MAX_PACKET;
use crate::quic_stream::send_within_credit;

/// A packet on its way out.
#[derive(Debug)]
pub(crate) struct OutgoingPacket {
    /// QUIC stream id, from its first byte on.
    id: Option<u64>,
    /// Length prefix and payload.
    bytes: Vec<u8>,
    /// How many of them quiche has taken.
    sent: usize,
    deadline: Instant,
}

impl OutgoingPacket {
    pub(crate) fn new(payload: &[u8], deadline: Instant) -> Self {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
        Self { id: None, bytes: [&length[..], payload].concat(), sent: 0, deadline }
    }

    pub(crate) fn id(&self) -> Option<u64> {
        self.id
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// All bytes of the stream.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes that quiche has not taken yet.
    pub(crate) fn unsent(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Writes to the stream `id` what quiche takes, and returns how much that was.
    pub(crate) fn write(&mut self, quic: &mut quiche::Connection, id: u64) -> usize {
        self.id = Some(id);
        let rest = self.bytes.get(self.sent..).unwrap_or_default();
        let taken = match send_within_credit(quic, id, rest, true) {
            Ok(taken) => taken,
            Err(Error::Done) => 0,
            // Stopped by the peer, which has all it wants.
            Err(_) => rest.len(),
        };
        self.sent += taken;
        taken
    }
}

/// A packet on its way in.
#[derive(Debug)]
pub(crate) struct IncomingPacket {
    bytes: Vec<u8>,
    /// How many there were when the deadline was set.
    bytes_by_deadline: usize,
    /// When it must have arrived whole; `None` once it is settled: handed on or given up. What
    /// still arrives then is discarded up to the stream's end. To stop the stream would make a Go
    /// sender, which ends it in a frame of its own, report a failed send, and quiche never gives
    /// back the credit of a stream that was stopped before its end.
    deadline: Option<Instant>,
}

impl IncomingPacket {
    pub(crate) fn new(deadline: Instant) -> Self {
        Self { bytes: Vec::new(), bytes_by_deadline: 0, deadline: Some(deadline) }
    }

    pub(crate) fn settled() -> Self {
        Self { bytes: Vec::new(), bytes_by_deadline: 0, deadline: None }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.deadline.is_none()
    }

    /// Bytes held.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes what arrived, unless the packet is settled or too long anyway.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        if !self.is_settled() && self.bytes.len() <= LENGTH + MAX_PACKET {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Sets the deadline anew if [`PROGRESS`] has arrived since it was set.
    pub(crate) fn renew_deadline(&mut self, deadline: Instant) {
        if !self.is_settled() && self.bytes.len() - self.bytes_by_deadline >= PROGRESS {
            self.bytes_by_deadline = self.bytes.len();
            self.deadline = Some(deadline);
        }
    }

    /// The announced payload length, once its four bytes have arrived.
    fn announced(&self) -> Option<usize> {
        let length = u32::from_be_bytes(*self.bytes.first_chunk::<LENGTH>()?);
        Some(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// Whether more is announced than a packet may have.
    pub(crate) fn is_too_long(&self) -> bool {
        self.announced().is_some_and(|length| length > MAX_PACKET)
    }

    /// The payload, if all of it has arrived and there is any.
    pub(crate) fn payload(&self) -> Option<&[u8]> {
        let end = LENGTH.checked_add(self.announced()?)?;
        self.bytes.get(LENGTH..end).filter(|payload| !payload.is_empty())
    }
}

/// Bytes that earn a packet as much time again: the longest one, 64 KiB, may so take up to 17 times
/// its timeout, at 410 B/s where that is 10 s.
const PROGRESS: usize = 4096;
/// Bytes of the length prefix.
const LENGTH: usize = 4;
