//! How bidirectional streams end.
//!
//! Decides when a stream has waited too long, how long the rest of one that nobody reads is
//! discarded, and what is left of streams whose connection is gone. It never closes the
//! connection itself.

use std::time::{Duration, Instant};

use quiche::Error;

use super::credit_deadline;
use crate::connection::{Changes, Connection, Phase};
use crate::error::StreamError;
use crate::event::EndpointEvent;
use crate::shared::Shared;
use crate::stream::Stream;
use crate::stream_token::StreamToken;

impl Connection {
    /// Fails the streams that are meant for someone else than the peer.
    pub(in crate::connection) fn check_expected_names(&mut self, shared: &mut Shared) {
        let Some(peer) = self.peer.clone() else { return };
        let strangers: Vec<StreamToken> = self
            .waiting
            .iter()
            .copied()
            .filter(|handle| {
                let expected = self.streams.get(handle).and_then(|s| s.expected.as_deref());
                expected.is_some_and(|name| !peer.is(name))
            })
            .collect();
        for handle in strangers {
            self.fail(shared, handle, StreamError::NameMismatch);
        }
    }

    /// Ends what is overdue.
    pub(in crate::connection) fn expire(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        changes: &mut Changes,
    ) {
        changes.starved |= self.expire_packets(shared, now);
        let due: Vec<StreamToken> = self
            .streams
            .iter()
            .filter(|(_, stream)| stream.due().is_some_and(|due| due <= now))
            .map(|(handle, _)| *handle)
            .collect();
        for handle in due {
            let Some(stream) = self.streams.get_mut(&handle) else { continue };
            if stream.deadline.is_some_and(|deadline| deadline <= now) {
                self.fail(shared, handle, StreamError::TimedOut);
            } else if stream.discard_until.is_some_and(|until| until <= now) {
                self.end_discarding(shared, handle, now);
            } else if self.phase == Phase::Handshaking {
                // The dial has its own deadline; credit is judged once there is a connection.
                stream.credit_deadline = Some(credit_deadline(shared, stream.deadline, now));
            } else {
                stream.credit_deadline = None;
                changes.starved = true;
            }
        }
    }

    /// A stopped stream has discarded long enough: the peer is told to stop. What we still have
    /// to send gets [`LINGER`] more.
    fn end_discarding(&mut self, shared: &mut Shared, handle: StreamToken, now: Instant) {
        let Some(stream) = self.streams.get_mut(&handle) else { return };
        if let Some(id) = stream.id.filter(|_| stream.has_output() && !stream.received) {
            stream.received = true;
            stream.discard_until = Some(now + LINGER);
            self.stop_reading(id);
        } else {
            self.forget(shared, handle, true);
        }
    }

    /// Ends all streams with the connection; what was received whole can still be read.
    pub(in crate::connection) fn bury_streams(&mut self, shared: &mut Shared, reason: StreamError) {
        let handles: Vec<StreamToken> = self.streams.keys().copied().collect();
        for handle in handles {
            let Some(stream) = self.streams.get_mut(&handle) else { continue };
            if stream.discard_until.is_some() {
                continue;
            }
            let mut rest: Vec<u8> = stream.first.take().into_iter().collect();
            let mut chunk = [0; 16 << 10];
            while let Some(id) = stream.id.filter(|_| !stream.received)
                && let Ok((length, fin)) = self.quic.stream_recv(id, &mut chunk)
            {
                rest.extend_from_slice(&chunk[..length]);
                stream.received = fin;
            }
            shared.owners.remove(&handle);
            if stream.received && stream.sent {
                shared.leftovers.insert(handle, rest);
                shared.emit(EndpointEvent::StreamReadable { stream: handle });
            } else {
                shared.emit(EndpointEvent::StreamFailed { stream: handle, reason });
            }
        }
        self.streams.clear();
        self.handles.clear();
        self.waiting.clear();
        self.writing.clear();
        self.buffered = 0;
    }

    pub(super) fn discard(&mut self, shared: &mut Shared, id: u64, handle: StreamToken) {
        loop {
            match self.quic.stream_discard(id, usize::MAX) {
                Ok((_, false)) => {}
                Err(Error::Done) => break,
                Ok((_, true)) | Err(_) => {
                    if let Some(stream) = self.streams.get_mut(&handle) {
                        stream.received = true;
                    }
                    break;
                }
            }
        }
        self.forget_if_over(shared, handle);
    }

    pub(super) fn fail(&mut self, shared: &mut Shared, handle: StreamToken, reason: StreamError) {
        let known = shared.owners.contains_key(&handle);
        self.forget(shared, handle, true);
        if known {
            shared.emit(EndpointEvent::StreamFailed { stream: handle, reason });
        }
    }

    pub(super) fn forget_if_over(&mut self, shared: &mut Shared, handle: StreamToken) {
        if self.streams.get(&handle).is_some_and(Stream::is_over) {
            self.forget(shared, handle, false);
        }
    }

    /// Drops a stream; `abruptly` tells the peer to stop as well.
    pub(super) fn forget(&mut self, shared: &mut Shared, handle: StreamToken, abruptly: bool) {
        let Some(stream) = self.streams.remove(&handle) else { return };
        shared.owners.remove(&handle);
        self.buffered = self.buffered.saturating_sub(stream.outgoing.len());
        self.waiting.retain(|waiting| *waiting != handle);
        self.writing.remove(&handle);
        let Some(id) = stream.id else { return };
        self.handles.remove(&id);
        if abruptly {
            if !stream.received {
                self.stop_reading(id);
            }
            if !stream.sent {
                self.stop_writing(id);
            }
        }
    }
}

/// How long a stopped stream may go on sending after that.
const LINGER: Duration = Duration::from_secs(60);
