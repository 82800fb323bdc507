//! The state of one bidirectional stream: what waits to be written, what was read, and which side
//! is done.
//!
//! quiche keeps the stream itself; this is what it does not know: the bytes that it has not taken
//! yet, the application's deadline, and the first byte, which is read ahead.

use std::collections::VecDeque;
use std::time::Instant;

use quiche::Error;

use crate::error::WriteError;
use crate::event::{PeerIdentity, Read};
use crate::first_byte::APPLICATION_BYTE;
use crate::quic_stream::send_within_credit;
use crate::stream_token::StreamToken;

/// A bidirectional stream that the application knows, or has known, by its token.
#[derive(Debug)]
pub(crate) struct StreamState {
    token: StreamToken,
    /// QUIC stream id, from our first byte on: ids are used in the order in which streams open.
    id: Option<u64>,
    /// The name that the peer's certificate must prove.
    expected: Option<Vec<u8>>,
    deadline: Option<Instant>,
    /// When the peer counts as refusing credit to a stream that is not open yet.
    credit_deadline: Option<Instant>,
    /// When the stream is given up unless the peer takes or acknowledges something before; set
    /// once nobody of ours waits for it any more.
    stalls_at: Option<Instant>,
    /// The application is done: what still arrives is discarded until this moment.
    discard_until: Option<Instant>,
    /// The application does not know the stream any more, and its token may name another one.
    detached: bool,
    /// The stream belongs to an application protocol: its first byte is `0xF5`.
    application: bool,
    /// The application knows that the stream may be written.
    announced: bool,
    /// Bytes that quiche has not taken yet; bounded by `stream_limits::write_room`.
    outgoing: VecDeque<u8>,
    /// The application has written everything.
    finished: bool,
    /// quiche has taken everything, or the peer does not want it.
    sent: bool,
    /// The application was told that less than it offered was taken.
    wants_room: bool,
    /// First byte of the peer, read to see whom the stream is for.
    first: Option<u8>,
    /// The peer's FIN was read, or nothing more will be.
    received: bool,
}

/// What quiche took of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flush {
    /// As much as there is credit for.
    Taken,
    /// As before, and the application may write again, which it waits for.
    Writable,
    /// Nothing: the peer stopped reading, with this code.
    Stopped(u64),
}

/// What a stream without an id does when the peer grants it one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Credit {
    /// The application is to be told, for the first time, that it may write.
    pub(crate) announce: bool,
    /// There is something to write: the stream takes an id.
    pub(crate) opens: bool,
    /// The first byte that it would write.
    pub(crate) first: Option<u8>,
}

impl StreamState {
    /// A stream of ours, not open yet.
    pub(crate) fn opening(token: StreamToken, expected: Option<&[u8]>, deadline: Instant) -> Self {
        let expected = expected.map(<[u8]>::to_vec);
        Self { expected, deadline: Some(deadline), ..Self::new(token) }
    }

    /// A stream that the peer opened, of which `first` was read.
    pub(crate) fn accepted(token: StreamToken, id: u64, first: u8, fin: bool) -> Self {
        let application = first == APPLICATION_BYTE;
        let received = fin;
        Self { id: Some(id), first: Some(first), application, received, ..Self::new(token) }
    }

    fn new(token: StreamToken) -> Self {
        Self {
            token,
            id: None,
            expected: None,
            deadline: None,
            credit_deadline: None,
            stalls_at: None,
            discard_until: None,
            detached: false,
            application: false,
            announced: false,
            outgoing: VecDeque::new(),
            finished: false,
            sent: false,
            wants_room: false,
            first: None,
            received: false,
        }
    }

    pub(crate) fn token(&self) -> StreamToken {
        self.token
    }

    pub(crate) fn id(&self) -> Option<u64> {
        self.id
    }

    /// Bytes that quiche has not taken yet.
    pub(crate) fn queued(&self) -> usize {
        self.outgoing.len()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether the application is done with the stream.
    pub(crate) fn is_detached(&self) -> bool {
        self.detached
    }

    /// Whether the stream belongs to an application protocol.
    pub(crate) fn is_application(&self) -> bool {
        self.application
    }

    /// Whether neither direction has anything left for us to do.
    pub(crate) fn is_over(&self) -> bool {
        self.sent && self.received && self.first.is_none()
    }

    /// Whether everything was read from quiche, up to the peer's FIN or reset.
    pub(crate) fn is_received(&self) -> bool {
        self.received
    }

    /// Whether quiche has taken everything.
    pub(crate) fn is_sent(&self) -> bool {
        self.sent
    }

    /// Whether bytes or a FIN wait for quiche.
    pub(crate) fn has_output(&self) -> bool {
        !self.sent && (self.finished || !self.outgoing.is_empty())
    }

    /// Whether the stream is meant for somebody else than `peer`.
    pub(crate) fn is_not_for(&self, peer: &PeerIdentity) -> bool {
        self.expected.as_deref().is_some_and(|name| !peer.is(name))
    }

    /// The next moment at which something is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        let credit = self.credit_deadline.filter(|_| self.id.is_none());
        [self.deadline, credit, self.discard_until, self.stalls_at].into_iter().flatten().min()
    }

    pub(crate) fn is_past_deadline(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    pub(crate) fn has_discarded_enough(&self, now: Instant) -> bool {
        self.discard_until.is_some_and(|until| until <= now)
    }

    /// Whether the peer has taken nothing for too long.
    pub(crate) fn has_stalled(&self, now: Instant) -> bool {
        self.stalls_at.is_some_and(|stall| stall <= now)
    }

    /// Gives the stream up at `stall`, unless the peer takes something before.
    pub(crate) fn set_stall(&mut self, stall: Instant) {
        self.stalls_at = Some(stall);
    }

    pub(crate) fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// Waits for credit until `deadline`, from now on.
    pub(crate) fn restart_credit_deadline(&mut self, deadline: Option<Instant>) {
        self.credit_deadline = deadline;
    }

    /// Waits for credit until `deadline`, unless the stream waits already.
    pub(crate) fn start_credit_deadline(&mut self, deadline: Instant) {
        self.credit_deadline.get_or_insert(deadline);
    }

    /// The stream takes its QUIC id.
    pub(crate) fn open(&mut self, id: u64) {
        debug_assert_eq!(self.id, None, "a stream opens once");
        self.id = Some(id);
        self.application = self.outgoing.front() == Some(&APPLICATION_BYTE);
    }

    /// The peer would let this stream open.
    pub(crate) fn grant_credit(&mut self) -> Credit {
        self.credit_deadline = None;
        let announce = !self.announced && !self.detached;
        self.announced |= announce;
        Credit { announce, opens: self.has_output(), first: self.outgoing.front().copied() }
    }

    /// Queues what there is `room` for; the rest, with the FIN, is to be offered again.
    pub(crate) fn queue(
        &mut self,
        bytes: &[u8],
        finish: bool,
        room: usize,
    ) -> Result<usize, WriteError> {
        if self.finished || self.sent {
            return Err(WriteError::Finished);
        }
        let part = bytes.get(..room).unwrap_or(bytes);
        self.outgoing.extend(part);
        self.finished = finish && part.len() == bytes.len();
        self.wants_room = part.len() < bytes.len();
        Ok(part.len())
    }

    /// Hands quiche what it takes. If that is anything, the stream is given up no sooner than at
    /// `stall`.
    pub(crate) fn flush(&mut self, quic: &mut quiche::Connection, stall: Instant) -> Flush {
        let Some(id) = self.id else { return Flush::Taken };
        let before = (self.outgoing.len(), self.sent);
        let flush = self.hand_over(quic, id);
        if before != (self.outgoing.len(), self.sent)
            && let Some(stalls_at) = &mut self.stalls_at
        {
            *stalls_at = stall;
        }
        flush
    }

    fn hand_over(&mut self, quic: &mut quiche::Connection, id: u64) -> Flush {
        while self.has_output() {
            let (chunk, behind) = self.outgoing.as_slices();
            let last = self.finished && behind.is_empty();
            let length = chunk.len();
            match send_within_credit(quic, id, chunk, last) {
                Ok(taken) => {
                    self.outgoing.drain(..taken);
                    // The FIN counts only if everything before it was taken with it.
                    self.sent = last && taken == length;
                    if taken < length {
                        break;
                    }
                }
                Err(Error::Done | Error::StreamLimit) => break,
                Err(Error::StreamStopped(code)) => return Flush::Stopped(code),
                Err(_) => {
                    self.sent = true;
                    self.outgoing.clear();
                }
            }
        }
        if self.wants_room && self.outgoing.is_empty() {
            self.wants_room = false;
            return Flush::Writable;
        }
        Flush::Taken
    }

    /// The peer stopped reading: nothing more is sent.
    pub(crate) fn end_writing(&mut self) {
        self.sent = true;
        self.outgoing.clear();
    }

    /// Nothing more is read.
    pub(crate) fn end_reading(&mut self) {
        self.received = true;
        self.first = None;
    }

    /// Reads what fits into `buffer`; the peer's reset code if it reset the stream.
    pub(crate) fn read(
        &mut self,
        quic: &mut quiche::Connection,
        buffer: &mut [u8],
    ) -> Result<Read, u64> {
        let mut bytes = 0;
        if let Some((space, first)) = buffer.first_mut().zip(self.first) {
            *space = first;
            self.first = None;
            bytes = 1;
        }
        if let Some(id) = self.id.filter(|_| !self.received) {
            match quic.stream_recv(id, buffer.get_mut(bytes..).unwrap_or_default()) {
                Ok((length, fin)) => {
                    bytes += length;
                    self.received |= fin;
                }
                Err(Error::Done) => {}
                Err(Error::StreamReset(code)) => return Err(code),
                Err(_) => self.received = true,
            }
        }
        Ok(Read { bytes, fin: self.received && self.first.is_none() })
    }

    /// Everything that arrived and was not read; the connection is about to go.
    pub(crate) fn take_rest(&mut self, quic: &mut quiche::Connection) -> Vec<u8> {
        let mut rest: Vec<u8> = self.first.take().into_iter().collect();
        let mut chunk = [0; 16 << 10];
        while let Some(id) = self.id.filter(|_| !self.received)
            && let Ok((length, fin)) = quic.stream_recv(id, &mut chunk)
        {
            rest.extend_from_slice(chunk.get(..length).unwrap_or_default());
            self.received = fin;
        }
        rest
    }

    /// The application is done: finishes our side, and discards what arrives until `until`. What
    /// is queued goes out as long as the peer takes something before `stall`.
    pub(crate) fn begin_discarding(&mut self, until: Instant, stall: Instant) {
        self.finished = true;
        self.first = None;
        self.deadline = None;
        self.detached = true;
        self.discard_until = Some(until);
        self.stalls_at = Some(stall);
    }

    /// All is sent and received; until `stall`, the peer may acknowledge it.
    pub(crate) fn await_acknowledgement(&mut self, stall: Instant) {
        debug_assert!(self.is_over(), "the peer acknowledges what is over");
        self.deadline = None;
        self.discard_until = None;
        self.detached = true;
        self.stalls_at = Some(stall);
    }

    /// Throws away what has arrived.
    pub(crate) fn discard(&mut self, quic: &mut quiche::Connection) {
        let Some(id) = self.id else { return };
        loop {
            match quic.stream_discard(id, usize::MAX) {
                Ok((_, false)) => {}
                Err(Error::Done) => break,
                Ok((_, true)) | Err(_) => {
                    self.received = true;
                    break;
                }
            }
        }
    }

    /// Discards nothing more. Returns the id that the peer is to be told to stop, if it may still
    /// send on it.
    pub(crate) fn end_discarding(&mut self) -> Option<u64> {
        self.discard_until = None;
        let is_open = !std::mem::replace(&mut self.received, true);
        self.id.filter(|_| is_open)
    }
}
