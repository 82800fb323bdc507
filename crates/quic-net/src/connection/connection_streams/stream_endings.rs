//! How bidirectional streams end: by both sides' FIN, by a reset, by a deadline, with their
//! connection, or because the application is done with them.

use std::time::{Duration, Instant};

use quiche::Error;

use super::{ConnectionStreams, credit_deadline};
use crate::connection::handshake::ConnectionPhase;
use crate::endpoint_context::EndpointContext;
use crate::error::StreamError;
use crate::event::{EndpointEvent, PeerIdentity};
use crate::quic_stream::{stop_reading, stop_writing};
use crate::stream_slab::StreamSlot;
use crate::stream_state::StreamState;

impl ConnectionStreams {
    /// Fails the streams that are meant for someone else than the peer.
    pub(crate) fn check_expected_names(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        peer: &PeerIdentity,
    ) {
        let is_not_for =
            |slot: &StreamSlot| self.slab.get(*slot).is_some_and(|stream| stream.is_not_for(peer));
        let others: Vec<StreamSlot> = self.waiting.iter().copied().filter(is_not_for).collect();
        for slot in others {
            self.fail(quic, context, slot, StreamError::NameMismatch);
        }
    }

    /// The application is done with a stream: what is queued still goes out, as long as the peer
    /// takes some of it now and then, and what arrives is discarded until FIN or for [`DISCARD`].
    pub(crate) fn stop(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        slot: StreamSlot,
        now: Instant,
    ) {
        let stall = now + context.limits().stream_stall_timeout;
        let stopped = self.slab.update(slot, |stream| {
            stream.begin_discarding(now + DISCARD, stall);
            (stream.token(), stream.id(), stream.queued() > 0)
        });
        let Some((token, id, has_bytes)) = stopped else { return };
        context.streams_mut().remove(token);
        match id {
            Some(id) => {
                self.writing.insert(id);
                self.flush(quic, context, slot, now);
                self.discard(quic, context, slot, now);
            }
            None if has_bytes => {}
            None => self.reset(quic, context, slot),
        }
    }

    /// The application wants nothing more of what the peer sends, which it is told.
    pub(crate) fn stop_reading(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        slot: StreamSlot,
        now: Instant,
    ) {
        let Some(stream) = self.slab.get(slot).filter(|stream| !stream.is_received()) else {
            return;
        };
        if let Some(id) = stream.id() {
            stop_reading(quic, id);
            self.slab.update(slot, StreamState::end_reading);
            self.release_if_over(quic, context, slot, now);
        }
    }

    /// Finds the applications' streams whose peer has stopped reading, also while nothing waits to
    /// be written. quiche tells only how many there have been: `stopped`.
    pub(crate) fn collect_stopped(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        stopped: u64,
        now: Instant,
    ) {
        if std::mem::replace(&mut self.stopped, stopped) == stopped {
            return;
        }
        let open: Vec<(u64, StreamSlot)> =
            self.by_id.iter().map(|(id, slot)| (*id, *slot)).collect();
        for (id, slot) in open {
            if self
                .slab
                .get(slot)
                .is_some_and(|stream| stream.is_application() && !stream.is_sent())
                && let Err(Error::StreamStopped(code)) = quic.stream_capacity(id)
            {
                self.note_stopped(quic, context, slot, code, now);
            }
        }
    }

    /// The peer stopped reading. That ends a stream of an exchange; the application's may be read
    /// to its end.
    pub(super) fn note_stopped(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        slot: StreamSlot,
        code: u64,
        now: Instant,
    ) {
        let Some(stream) = self.slab.get(slot) else { return };
        if !stream.is_application() {
            self.fail(quic, context, slot, StreamError::Reset(code));
            return;
        }
        if !stream.is_detached() {
            context.emit(EndpointEvent::StreamStopped { stream: stream.token(), code });
        }
        if let Some(id) = stream.id() {
            self.writing.remove(&id);
        }
        self.slab.update(slot, StreamState::end_writing);
        self.release_if_over(quic, context, slot, now);
    }

    /// Ends both directions of a stream at once.
    pub(crate) fn reset(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        slot: StreamSlot,
    ) {
        let Some(stream) = self.forget(context, slot) else { return };
        let Some(id) = stream.id() else { return };
        if !stream.is_received() {
            stop_reading(quic, id);
        }
        // Also after a FIN that the peer has not acknowledged: it must not wait for the rest.
        if !stream.is_sent() || stream.is_detached() {
            stop_writing(quic, id);
        }
    }

    /// Ends what is overdue. True if the peer did not grant a stream in time.
    pub(crate) fn expire(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        phase: ConnectionPhase,
        now: Instant,
    ) -> bool {
        let mut starved = false;
        for slot in self.slab.due(now) {
            let Some(stream) = self.slab.get(slot) else { continue };
            if stream.is_past_deadline(now) || stream.has_stalled(now) {
                self.fail(quic, context, slot, StreamError::TimedOut);
            } else if stream.has_discarded_enough(now) {
                self.end_discarding(quic, context, slot, now);
            } else {
                // A dial has its own deadline; credit is judged once there is a connection.
                let again = (phase == ConnectionPhase::Handshaking)
                    .then(|| credit_deadline(context.limits(), stream.deadline(), now));
                starved |= again.is_none();
                self.slab.update(slot, |stream| stream.restart_credit_deadline(again));
            }
        }
        starved
    }

    /// A stopped stream has discarded long enough: the peer is told to stop. What we still have to
    /// send goes on.
    fn end_discarding(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        slot: StreamSlot,
        now: Instant,
    ) {
        if let Some(id) = self.slab.update(slot, StreamState::end_discarding).flatten() {
            stop_reading(quic, id);
        }
        self.release_if_over(quic, context, slot, now);
    }

    /// Ends all streams with the connection. What was received whole can still be read, for an
    /// application also where its own side was not finished.
    pub(crate) fn close_all(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        reason: StreamError,
    ) {
        for slot in self.slab.slots() {
            let Some(mut stream) = self.forget(context, slot) else { continue };
            if stream.is_detached() {
                continue;
            }
            let (token, rest) = (stream.token(), stream.take_rest(quic));
            let is_readable = stream.is_sent() || stream.is_application();
            if stream.is_received() && is_readable {
                context.unread_mut().insert(token, rest);
                context.emit(EndpointEvent::StreamReadable { stream: token });
                if !stream.is_sent() {
                    context.emit(EndpointEvent::StreamStopped { stream: token, code: 0 });
                }
            } else {
                context.emit(EndpointEvent::StreamFailed { stream: token, reason });
            }
        }
        self.pre_confirmation.clear();
    }

    /// Throws away what has arrived on a stopped stream.
    pub(super) fn discard(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        slot: StreamSlot,
        now: Instant,
    ) {
        self.slab.update(slot, |stream| stream.discard(quic));
        self.release_if_over(quic, context, slot, now);
    }

    /// Resets a stream, and tells the application unless it is done with it.
    pub(super) fn fail(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        slot: StreamSlot,
        reason: StreamError,
    ) {
        let Some(stream) = self.slab.get(slot) else { return };
        let known = (!stream.is_detached()).then(|| stream.token());
        self.reset(quic, context, slot);
        if let Some(token) = known {
            context.emit(EndpointEvent::StreamFailed { stream: token, reason });
        }
    }

    /// The application has nothing more to do with a stream that is over; we keep it, and with it
    /// the connection, until the peer has acknowledged everything.
    pub(super) fn release_if_over(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        slot: StreamSlot,
        now: Instant,
    ) {
        let Some(stream) = self.slab.get(slot).filter(|stream| stream.is_over()) else { return };
        let Some(id) = stream.id().filter(|id| !is_acknowledged(quic, *id)) else {
            self.forget(context, slot);
            return;
        };
        if self.unacknowledged.insert(id) {
            if !stream.is_detached() {
                context.streams_mut().remove(stream.token());
            }
            let stall = now + context.limits().stream_stall_timeout;
            self.slab.update(slot, |stream| stream.await_acknowledgement(stall));
        }
    }

    /// Forgets the streams of which the peer has acknowledged everything by now.
    pub(crate) fn collect_acknowledged(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
    ) {
        let done = self.unacknowledged.iter().copied().filter(|id| is_acknowledged(quic, *id));
        for id in done.collect::<Vec<u64>>() {
            if let Some(&slot) = self.by_id.get(&id) {
                self.forget(context, slot);
            }
        }
    }

    /// Takes a stream out of every table.
    fn forget(&mut self, context: &mut EndpointContext, slot: StreamSlot) -> Option<StreamState> {
        let stream = self.slab.remove(slot)?;
        // The token of a stopped stream may name another one by now.
        if !stream.is_detached() {
            context.streams_mut().remove(stream.token());
        }
        match stream.id() {
            Some(id) => {
                self.by_id.remove(&id);
                self.writing.remove(&id);
                self.unacknowledged.remove(&id);
            }
            None => self.waiting.retain(|waiting| *waiting != slot),
        }
        Some(stream)
    }
}

/// Whether quiche has forgotten a stream, which it does once everything that was sent on it is
/// acknowledged and the peer's end was read, or has dropped what the peer does not want.
fn is_acknowledged(quic: &mut quiche::Connection, id: u64) -> bool {
    quic.stream_capacity(id).is_err()
}

/// How long the rest of a stream is discarded before the peer is told to stop.
const DISCARD: Duration = Duration::from_secs(5);
