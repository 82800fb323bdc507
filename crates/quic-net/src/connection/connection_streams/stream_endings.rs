//! How bidirectional streams end: by both sides' FIN, by a reset, by a deadline, with their
//! connection, or because the application is done with them.

use std::time::{Duration, Instant};

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

    /// The application is done with a stream: what is queued still goes out, what arrives is
    /// discarded until FIN or for [`DISCARD`].
    pub(crate) fn stop(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        slot: StreamSlot,
        now: Instant,
    ) {
        let stopped = self.slab.update(slot, |stream| {
            stream.begin_discarding(now + DISCARD);
            (stream.token(), stream.id(), stream.queued() > 0)
        });
        let Some((token, id, has_bytes)) = stopped else { return };
        context.streams_mut().remove(token);
        match id {
            Some(id) => {
                self.writing.insert(id);
                self.flush(quic, context, slot);
                self.discard(quic, context, slot);
            }
            None if has_bytes => {}
            None => self.reset(quic, context, slot),
        }
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
        if !stream.is_sent() {
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
            if stream.is_past_deadline(now) {
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
    /// send gets [`LINGER`] more.
    fn end_discarding(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        slot: StreamSlot,
        now: Instant,
    ) {
        match self.slab.update(slot, |stream| stream.end_discarding(now + LINGER)) {
            Some(Some(id)) => stop_reading(quic, id),
            Some(None) | None => self.reset(quic, context, slot),
        }
    }

    /// Ends all streams with the connection; what was received whole can still be read.
    pub(crate) fn close_all(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        reason: StreamError,
    ) {
        for slot in self.slab.slots() {
            let Some(mut stream) = self.forget(context, slot) else { continue };
            if stream.is_discarding() {
                continue;
            }
            let (token, rest) = (stream.token(), stream.take_rest(quic));
            if stream.is_received() && stream.is_sent() {
                context.unread_mut().insert(token, rest);
                context.emit(EndpointEvent::StreamReadable { stream: token });
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
    ) {
        self.slab.update(slot, |stream| stream.discard(quic));
        self.forget_if_over(context, slot);
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
        let known = (!stream.is_discarding()).then(|| stream.token());
        self.reset(quic, context, slot);
        if let Some(token) = known {
            context.emit(EndpointEvent::StreamFailed { stream: token, reason });
        }
    }

    pub(super) fn forget_if_over(&mut self, context: &mut EndpointContext, slot: StreamSlot) {
        if self.slab.get(slot).is_some_and(StreamState::is_over) {
            self.forget(context, slot);
        }
    }

    /// Takes a stream out of every table.
    fn forget(&mut self, context: &mut EndpointContext, slot: StreamSlot) -> Option<StreamState> {
        let stream = self.slab.remove(slot)?;
        // The token of a stopped stream may name another one by now.
        if !stream.is_discarding() {
            context.streams_mut().remove(stream.token());
        }
        match stream.id() {
            Some(id) => {
                self.by_id.remove(&id);
                self.writing.remove(&id);
            }
            None => self.waiting.retain(|waiting| *waiting != slot),
        }
        Some(stream)
    }
}

/// How long the rest of a stream is discarded before the peer is told to stop.
const DISCARD: Duration = Duration::from_secs(5);
/// How long a stopped stream may go on sending after that.
const LINGER: Duration = Duration::from_secs(60);
