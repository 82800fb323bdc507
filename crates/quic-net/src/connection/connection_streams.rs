//! The bidirectional streams of one connection: how they open, what is written and what is read.
//! How they end is in [`stream_endings`].
//!
//! Bytes stay in quiche until the application reads them, so that its flow control slows down the
//! sender. What bounds a stream's memory is in [`stream_limits`](crate::stream_limits).

mod stream_endings;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use quiche::Error;

use crate::connection_key::ConnectionKey;
use crate::endpoint_context::EndpointContext;
use crate::error::{ReadError, StreamError, WriteError};
use crate::event::{EndpointEvent, PeerIdentity, Protocol, Read};
use crate::first_byte::{APPLICATION_BYTE, needs_extended};
use crate::limits::Limits;
use crate::quic_stream::{ID_STEP, first_ids, is_from_dialer, stop_reading, stop_writing};
use crate::stream_directory::StreamLocation;
use crate::stream_limits::write_room;
use crate::stream_slab::{StreamSlab, StreamSlot};
use crate::stream_state::{Flush, StreamState};

/// The streams of one connection: a slab of states and an index by QUIC stream id. The endpoint's
/// directory leads from a token to the slot.
pub(crate) struct ConnectionStreams {
    connection: ConnectionKey,
    dialed: bool,
    slab: StreamSlab,
    /// Streams that have a QUIC id.
    by_id: BTreeMap<u64, StreamSlot>,
    /// Streams of ours that are not open yet, oldest first.
    waiting: VecDeque<StreamSlot>,
    /// Ids of streams with something for quiche to take.
    writing: BTreeSet<u64>,
    /// Ids of streams that are over for us, and of which the peer has not acknowledged all.
    unacknowledged: BTreeSet<u64>,
    /// Ids of streams of the peer that became readable before it was confirmed.
    pre_confirmation: BTreeSet<u64>,
    /// How many streams the peer had stopped reading when they were last looked at.
    stopped: u64,
    /// Our next stream's.
    next_id: u64,
}

/// Whether a write went to a stream that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Bytes queued or sent.
    pub(crate) taken: usize,
    /// The stream has no id yet.
    pub(crate) is_waiting: bool,
}

impl ConnectionStreams {
    pub(crate) fn new(connection: ConnectionKey, dialed: bool) -> Self {
        Self {
            connection,
            dialed,
            slab: StreamSlab::default(),
            by_id: BTreeMap::new(),
            waiting: VecDeque::new(),
            writing: BTreeSet::new(),
            unacknowledged: BTreeSet::new(),
            pre_confirmation: BTreeSet::new(),
            stopped: 0,
            next_id: first_ids(dialed).0,
        }
    }

    /// Streams held: those included that the application is done with, and those of which the
    /// peer has not acknowledged everything.
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// How much waits for room in quiche: bytes, and ends of streams.
    pub(crate) fn unwritten(&self) -> usize {
        self.slab.queued() + self.writing.len()
    }

    /// When the first stream is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.slab.next_deadline()
    }

    /// Whether streams of the peer wait for its confirmation.
    pub(crate) fn has_pre_confirmation(&self) -> bool {
        !self.pre_confirmation.is_empty()
    }

    /// Takes a stream that opens as soon as the peer allows.
    pub(crate) fn adopt(
        &mut self,
        context: &mut EndpointContext,
        mut stream: StreamState,
        now: Instant,
    ) {
        let deadline = credit_deadline(context.limits(), stream.deadline(), now);
        stream.restart_credit_deadline(Some(deadline));
        let (token, is_known) = (stream.token(), !stream.is_detached());
        match self.slab.insert(stream) {
            Some(slot) => {
                if is_known {
                    let location = StreamLocation { connection: self.connection, slot };
                    context.streams_mut().place(token, location);
                }
                self.waiting.push_back(slot);
            }
            None => {
                context.streams_mut().remove(token);
                let reason = StreamError::Unavailable;
                context.emit(EndpointEvent::StreamFailed { stream: token, reason });
            }
        }
    }

    /// Gives up the streams that could not be opened here.
    pub(crate) fn release_waiting(&mut self) -> Vec<StreamState> {
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().filter_map(|slot| self.slab.remove(slot)).collect()
    }

    /// Opens streams as far as the credit of the peer goes, which speaks `protocol`. A stream
    /// takes its place with its first byte, which tells whether the peer understands what follows.
    pub(crate) fn open_waiting(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        protocol: Protocol,
        now: Instant,
    ) {
        if self.waiting.is_empty() {
            return;
        }
        let credit = usize::try_from(quic.peer_streams_left_bidi()).unwrap_or(usize::MAX);
        let ready: Vec<StreamSlot> = self.waiting.iter().copied().take(credit).collect();
        for slot in ready {
            let Some((token, credit)) =
                self.slab.update(slot, |stream| (stream.token(), stream.grant_credit()))
            else {
                debug_assert!(false, "a stream that waits is in the slab");
                continue;
            };
            if credit.announce {
                context.emit(EndpointEvent::StreamWritable { stream: token });
            }
            if !credit.opens {
                continue;
            }
            if protocol == Protocol::Classic && needs_extended(credit.first.as_ref()) {
                self.fail(quic, context, slot, StreamError::ClassicPeer);
                continue;
            }
            let id = self.next_id;
            self.next_id += ID_STEP;
            self.slab.update(slot, |stream| stream.open(id));
            self.waiting.retain(|waiting| *waiting != slot);
            self.by_id.insert(id, slot);
            self.writing.insert(id);
            self.flush(quic, context, slot, now);
        }
    }

    pub(crate) fn set_deadline(&mut self, slot: StreamSlot, deadline: Option<Instant>) {
        self.slab.update(slot, |stream| stream.set_deadline(deadline));
    }

    /// See [`Endpoint::expect_progress`](crate::Endpoint::expect_progress).
    pub(crate) fn expect_progress(
        &mut self,
        context: &EndpointContext,
        slot: StreamSlot,
        now: Instant,
    ) {
        let stall = now + context.limits().stream_stall_timeout;
        self.slab.update(slot, |stream| stream.set_stall(stall));
    }

    /// Queues what there is room for, and hands it to quiche if the stream is open.
    pub(crate) fn write(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        slot: StreamSlot,
        bytes: &[u8],
        finish: bool,
        now: Instant,
    ) -> Result<Written, WriteError> {
        let queued = self.slab.queued();
        let (limits, endpoint_room) = (context.limits(), context.room());
        let queue = |stream: &mut StreamState| {
            let room = write_room(limits, stream.queued(), queued, endpoint_room);
            let taken = stream.queue(bytes, finish, room)?;
            if stream.id().is_none() {
                stream.start_credit_deadline(credit_deadline(limits, stream.deadline(), now));
            }
            Ok((taken, stream.id()))
        };
        let (taken, id) = self.slab.update(slot, queue).ok_or(WriteError::UnknownStream)??;
        if let Some(id) = id {
            self.writing.insert(id);
            self.flush(quic, context, slot, now);
        }
        Ok(Written { taken, is_waiting: id.is_none() })
    }

    /// Hands quiche what it takes, of all streams.
    pub(crate) fn flush_all(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        now: Instant,
    ) {
        let writing: Vec<u64> = self.writing.iter().copied().collect();
        for id in writing {
            match self.by_id.get(&id) {
                Some(&slot) => self.flush(quic, context, slot, now),
                None => debug_assert!(false, "a stream that writes has its id in the index"),
            }
        }
    }

    fn flush(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        slot: StreamSlot,
        now: Instant,
    ) {
        let stall = now + context.limits().stream_stall_timeout;
        let flush = |stream: &mut StreamState| stream.flush(quic, stall);
        let Some(flushed) = self.slab.update(slot, flush) else { return };
        if let Flush::Stopped(code) = flushed {
            self.note_stopped(quic, context, slot, code, now);
            return;
        }
        let Some(stream) = self.slab.get(slot) else { return };
        if flushed == Flush::Writable && !stream.is_detached() {
            context.emit(EndpointEvent::StreamWritable { stream: stream.token() });
        }
        if let Some(id) = stream.id().filter(|_| !stream.has_output()) {
            self.writing.remove(&id);
        }
        self.release_if_over(quic, context, slot, now);
    }

    /// Reads what fits into `buffer`.
    pub(crate) fn read(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        slot: StreamSlot,
        buffer: &mut [u8],
        now: Instant,
    ) -> Result<Read, ReadError> {
        let read = self.slab.update(slot, |stream| stream.read(quic, buffer));
        match read.ok_or(ReadError::UnknownStream)? {
            Ok(read) => {
                self.release_if_over(quic, context, slot, now);
                Ok(read)
            }
            Err(code) => {
                self.reset(quic, context, slot);
                Err(ReadError::Reset(code))
            }
        }
    }

    /// A stream became readable before the peer is confirmed.
    pub(crate) fn keep_until_confirmed(&mut self, id: u64) {
        self.pre_confirmation.insert(id);
    }

    /// The streams that became readable before the confirmation.
    pub(crate) fn take_pre_confirmation(&mut self) -> BTreeSet<u64> {
        std::mem::take(&mut self.pre_confirmation)
    }

    /// A stream of or to the confirmed peer has something to read. True if that is the first byte
    /// of a new stream for the application.
    pub(crate) fn handle_readable(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        id: u64,
        peer: &Arc<PeerIdentity>,
        now: Instant,
    ) -> bool {
        let Some(&slot) = self.by_id.get(&id) else {
            if is_from_dialer(id) != self.dialed {
                return self.accept(quic, context, id, peer);
            }
            stop_reading(quic, id);
            return false;
        };
        match self.slab.get(slot).filter(|stream| !stream.is_detached()) {
            Some(stream) => context.emit(EndpointEvent::StreamReadable { stream: stream.token() }),
            None => self.discard(quic, context, slot, now),
        }
        false
    }

    /// The peer opened a stream: its first byte tells whom it is for.
    fn accept(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        id: u64,
        peer: &Arc<PeerIdentity>,
    ) -> bool {
        let mut first = [0];
        let (length, fin) = match quic.stream_recv(id, &mut first) {
            Ok(read) => read,
            Err(Error::Done) => return false,
            Err(_) => {
                stop_writing(quic, id);
                return false;
            }
        };
        let application = first == [APPLICATION_BYTE];
        // Which extension it is, and whether it is known, is for the layer above to say.
        let foreign = needs_extended(first.first()) && peer.protocol == Protocol::Classic;
        if length == 0 || foreign {
            context.count().reserved_first_bytes += u64::from(length > 0);
            if !fin {
                stop_reading(quic, id);
            }
            stop_writing(quic, id);
            return false;
        }
        let token = context.streams_mut().mint();
        let Some(slot) = self.slab.insert(StreamState::accepted(token, id, first[0], fin)) else {
            return false;
        };
        self.by_id.insert(id, slot);
        let location = StreamLocation { connection: self.connection, slot };
        context.streams_mut().place(token, location);
        let peer = Arc::clone(peer);
        context.emit(EndpointEvent::StreamOpened { stream: token, peer, application });
        context.emit(EndpointEvent::StreamReadable { stream: token });
        true
    }
}

/// When a stream that has to wait for credit counts as starved: half of its time is left then.
fn credit_deadline(limits: &Limits, deadline: Option<Instant>, now: Instant) -> Instant {
    let patience = limits.credit_timeout;
    let half = deadline.map(|deadline| deadline.saturating_duration_since(now) / 2);
    now + half.map_or(patience, |half| half.min(patience))
}
