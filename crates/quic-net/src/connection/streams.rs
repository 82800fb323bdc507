//! Bidirectional streams on a connection.
//!
//! Decides when a stream opens and what it may queue; how it ends is in `endings`. Bytes stay in
//! quiche until the application reads them, so that its flow control slows down the sender.

mod endings;

use std::sync::Arc;
use std::time::{Duration, Instant};

use quiche::Error;

use super::{Changes, Connection, Phase};
use crate::error::{ReadError, StreamError, WriteError};
use crate::event::{EndpointEvent, Protocol, Read};
use crate::hello::{APPLICATION, EXTENSION};
use crate::shared::Shared;
use crate::stream::{Stream, is_bidirectional, is_from_dialer};
use crate::stream_token::StreamToken;

impl Connection {
    /// Takes a stream that will open as soon as the peer allows.
    pub(crate) fn adopt_stream(
        &mut self,
        shared: &mut Shared,
        handle: StreamToken,
        mut stream: Stream,
        now: Instant,
    ) {
        stream.credit_deadline = Some(credit_deadline(shared, stream.deadline, now));
        self.buffered += stream.outgoing.len();
        if stream.discard_until.is_none() {
            shared.owners.insert(handle, self.key);
        }
        self.streams.insert(handle, stream);
        self.waiting.push_back(handle);
        self.check_expected_names(shared);
        if self.phase != Phase::Handshaking {
            self.unanswered_since.get_or_insert(now);
            self.open_waiting(shared);
        }
        self.account(shared);
    }

    /// Gives up the streams that could not be opened here.
    pub(crate) fn release_waiting(&mut self) -> Vec<(StreamToken, Stream)> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut released = Vec::new();
        for handle in waiting {
            if let Some(stream) = self.streams.remove(&handle) {
                self.buffered = self.buffered.saturating_sub(stream.outgoing.len());
                released.push((handle, stream));
            }
        }
        released
    }

    pub(crate) fn read(
        &mut self,
        shared: &mut Shared,
        handle: StreamToken,
        buffer: &mut [u8],
        now: Instant,
    ) -> Result<Read, ReadError> {
        let stream = self.streams.get_mut(&handle).ok_or(ReadError::UnknownStream)?;
        let mut read = Read { bytes: 0, fin: false };
        if let Some((slot, first)) = buffer.first_mut().zip(stream.first) {
            *slot = first;
            stream.first = None;
            read.bytes = 1;
        }
        if let Some(id) = stream.id.filter(|_| !stream.received) {
            let room = buffer.get_mut(read.bytes..).unwrap_or_default();
            match self.quic.stream_recv(id, room) {
                Ok((length, fin)) => {
                    read.bytes += length;
                    stream.received |= fin;
                }
                Err(Error::Done) => {}
                Err(Error::StreamReset(code)) => {
                    self.forget(shared, handle, true);
                    return Err(ReadError::Reset(code));
                }
                Err(_) => stream.received = true,
            }
        }
        if read.bytes > 0 {
            self.last_payload = now;
        }
        read.fin = stream.received && stream.first.is_none();
        self.forget_if_over(shared, handle);
        Ok(read)
    }

    pub(crate) fn write(
        &mut self,
        shared: &mut Shared,
        handle: StreamToken,
        bytes: &[u8],
        finish: bool,
        now: Instant,
    ) -> Result<usize, WriteError> {
        let limits = &shared.config.limits;
        let stream = self.streams.get_mut(&handle).ok_or(WriteError::UnknownStream)?;
        if stream.finished || stream.sent {
            return Err(WriteError::Finished);
        }
        let own = (limits.stream_buffer / STREAM_PARTS).saturating_sub(stream.outgoing.len());
        let room = limits.stream_buffer.saturating_sub(self.buffered).min(own);
        let room = room.min(shared.room());
        // Whatever others hold, a stream that waits for nothing gets on.
        let room = if stream.outgoing.is_empty() { room.max(STREAM_MINIMUM) } else { room };
        let taken = bytes.len().min(room);
        stream.outgoing.extend(bytes.iter().take(taken));
        stream.finished = finish && taken == bytes.len();
        stream.wants_room = taken < bytes.len();
        self.buffered += taken;
        self.last_payload = now;
        self.unanswered_since.get_or_insert(now);
        if stream.id.is_some() {
            self.writing.insert(handle);
            self.write_stream(shared, handle);
        } else {
            let credit = credit_deadline(shared, stream.deadline, now);
            stream.credit_deadline.get_or_insert(credit);
            if self.phase != Phase::Handshaking {
                self.open_waiting(shared);
            }
        }
        self.account(shared);
        Ok(taken)
    }

    /// The application is done with a stream: what is queued still goes out, what arrives is
    /// discarded until FIN or for [`DISCARD`].
    pub(crate) fn stop(&mut self, shared: &mut Shared, handle: StreamToken, now: Instant) {
        let Some(stream) = self.streams.get_mut(&handle) else { return };
        stream.finished = true;
        stream.first = None;
        stream.deadline = None;
        stream.discard_until = Some(now + DISCARD);
        shared.owners.remove(&handle);
        let Some(id) = stream.id else {
            if stream.outgoing.is_empty() {
                self.forget(shared, handle, true);
            }
            return;
        };
        self.writing.insert(handle);
        self.write_stream(shared, handle);
        self.discard(shared, id, handle);
    }

    pub(crate) fn reset(&mut self, shared: &mut Shared, handle: StreamToken) {
        self.forget(shared, handle, true);
    }

    pub(crate) fn set_deadline(&mut self, handle: StreamToken, deadline: Option<Instant>) {
        if let Some(stream) = self.streams.get_mut(&handle) {
            stream.deadline = deadline;
        }
    }

    /// Reads everything that has become readable.
    pub(super) fn receive_streams(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        changes: &mut Changes,
    ) {
        while let Some(id) = self.quic.stream_readable_next() {
            if !is_bidirectional(id) {
                self.read_packet_stream(shared, id, now, changes);
            } else if self.phase == Phase::Confirmed {
                self.read_stream(shared, id, now);
            } else {
                self.held_streams.insert(id);
            }
        }
    }

    /// A bidirectional stream has something to read.
    pub(super) fn read_stream(&mut self, shared: &mut Shared, id: u64, now: Instant) {
        match self.handles.get(&id).copied() {
            Some(handle) => {
                let discards =
                    self.streams.get(&handle).is_some_and(|stream| stream.discard_until.is_some());
                if discards {
                    self.discard(shared, id, handle);
                } else {
                    shared.emit(EndpointEvent::StreamReadable { stream: handle });
                }
            }
            None if is_from_dialer(id) == self.dialed => self.stop_reading(id),
            None => self.greet_stream(shared, id, now),
        }
    }

    /// The peer opened a stream: its first byte tells whom it is for.
    fn greet_stream(&mut self, shared: &mut Shared, id: u64, now: Instant) {
        let Some(peer) = self.peer.clone() else { return };
        let mut first = [0];
        let (length, fin) = match self.quic.stream_recv(id, &mut first) {
            Ok(read) => read,
            Err(Error::Done) => return,
            Err(_) => {
                self.stop_writing(id);
                return;
            }
        };
        let application = first == [APPLICATION];
        let foreign = application && peer.protocol == Protocol::Classic;
        if length == 0 || first == [EXTENSION] || foreign {
            shared.stats.reserved_first_bytes += u64::from(length > 0);
            if !fin {
                self.stop_reading(id);
            }
            self.stop_writing(id);
            return;
        }
        self.last_payload = now;
        let handle = shared.mint_token(self.key);
        let stream =
            Stream { id: Some(id), first: Some(first[0]), received: fin, ..Stream::default() };
        self.streams.insert(handle, stream);
        self.handles.insert(id, handle);
        shared.emit(EndpointEvent::StreamOpened {
            stream: handle,
            peer: Arc::clone(&peer),
            application,
        });
        shared.emit(EndpointEvent::StreamReadable { stream: handle });
    }

    /// Opens streams as far as the peer's credit goes. A stream takes its place with its first
    /// byte, which tells whether the peer understands what follows.
    pub(super) fn open_waiting(&mut self, shared: &mut Shared) {
        let classic = self.protocol() == Some(Protocol::Classic);
        let credit = usize::try_from(self.quic.peer_streams_left_bidi()).unwrap_or(usize::MAX);
        let ready: Vec<StreamToken> = self.waiting.iter().copied().take(credit).collect();
        for handle in ready {
            let Some(stream) = self.streams.get_mut(&handle) else { continue };
            stream.credit_deadline = None;
            if !stream.announced && stream.discard_until.is_none() {
                stream.announced = true;
                shared.emit(EndpointEvent::StreamWritable { stream: handle });
            }
            if !stream.has_output() {
                continue;
            }
            let foreign = matches!(stream.outgoing.front(), Some(&(APPLICATION | EXTENSION)));
            if foreign && classic {
                self.fail(shared, handle, StreamError::ClassicPeer);
                continue;
            }
            let id = self.next_bidirectional;
            self.next_bidirectional += 4;
            stream.id = Some(id);
            self.waiting.retain(|waiting| *waiting != handle);
            self.handles.insert(id, handle);
            self.writing.insert(handle);
            self.write_stream(shared, handle);
        }
    }

    pub(super) fn write_streams(&mut self, shared: &mut Shared) {
        let writing: Vec<StreamToken> = self.writing.iter().copied().collect();
        for handle in writing {
            self.write_stream(shared, handle);
        }
    }

    fn write_stream(&mut self, shared: &mut Shared, handle: StreamToken) {
        let Some(stream) = self.streams.get_mut(&handle) else {
            self.writing.remove(&handle);
            return;
        };
        let Some(id) = stream.id else { return };
        let mut stopped = None;
        while stream.has_output() {
            let (chunk, behind) = stream.outgoing.as_slices();
            let last = stream.finished && behind.is_empty();
            let length = chunk.len();
            match send_within_credit(&mut self.quic, id, chunk, last) {
                Ok(taken) => {
                    stream.outgoing.drain(..taken);
                    self.buffered = self.buffered.saturating_sub(taken);
                    // The FIN counts only if everything before it was taken with it.
                    stream.sent = last && taken == length;
                    if taken < length {
                        break;
                    }
                }
                Err(Error::Done | Error::StreamLimit) => break,
                Err(Error::StreamStopped(code)) => {
                    stopped = Some(code);
                    break;
                }
                Err(_) => {
                    stream.sent = true;
                    self.buffered = self.buffered.saturating_sub(stream.outgoing.len());
                    stream.outgoing.clear();
                }
            }
        }
        if let Some(code) = stopped {
            self.fail(shared, handle, StreamError::Reset(code));
            return;
        }
        let room = stream.wants_room && stream.outgoing.is_empty();
        if room {
            stream.wants_room = false;
            shared.emit(EndpointEvent::StreamWritable { stream: handle });
        }
        if !stream.has_output() {
            self.writing.remove(&handle);
        }
        self.forget_if_over(shared, handle);
    }
}

/// Gives quiche as much as it can take. Offering more than the peer's flow control allows makes
/// quiche announce the blockage, which the peer acknowledges at once, which lets us try again:
/// a storm that lasts as long as the blockage.
pub(super) fn send_within_credit(
    quic: &mut quiche::Connection,
    id: u64,
    bytes: &[u8],
    fin: bool,
) -> Result<usize, Error> {
    let capacity = match quic.stream_capacity(id) {
        Ok(capacity) => capacity,
        Err(Error::InvalidStreamState(_)) => {
            // Not open yet, or over: an empty write tells which.
            quic.stream_send(id, &[], false)?;
            quic.stream_capacity(id)?
        }
        Err(error) => return Err(error),
    };
    match bytes.get(..capacity) {
        Some([]) if !bytes.is_empty() => Err(Error::Done),
        Some(part) if part.len() < bytes.len() => quic.stream_send(id, part, false),
        Some(_) | None => quic.stream_send(id, bytes, fin),
    }
}

/// When a stream that has to wait for credit counts as starved.
fn credit_deadline(shared: &Shared, deadline: Option<Instant>, now: Instant) -> Instant {
    let patience = shared.config.limits.credit_timeout;
    let half = deadline.map(|deadline| deadline.saturating_duration_since(now) / 2);
    now + half.map_or(patience, |half| half.min(patience))
}

/// A stream may fill one part in so many of its connection's send buffer.
const STREAM_PARTS: usize = 4;
/// What a stream with nothing queued may always queue, in bytes.
const STREAM_MINIMUM: usize = 4096;
/// How long the rest of a stream is discarded before the peer is told to stop.
const DISCARD: Duration = Duration::from_secs(5);
