//! What the endpoint asks of one connection: to send, to carry streams, to retire, to close.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::handshake::{ConnectionPhase, refusal_detail};
use super::{Connection, Ending};
use crate::config::DescribeNames;
use crate::endpoint_context::EndpointContext;
use crate::error::{ReadError, SendFailure, WriteError};
use crate::event::{EndpointEvent, PeerIdentity, Protocol, Read};
use crate::first_byte::needs_extended;
use crate::reason::{CloseReason, EXPIRED, Refusal};
use crate::stream_slab::StreamSlot;
use crate::stream_state::StreamState;

impl Connection {
    /// Sends a packet, or queues it until the handshake is done.
    pub(crate) fn send_packet(
        &mut self,
        context: &mut EndpointContext,
        expected: Option<&[u8]>,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(), SendFailure> {
        let Some(peer) = self.handshake.peer().filter(|peer| peer.is_settled()) else {
            self.outbox.drop_oldest_waiting(context);
            self.account(context);
            self.outbox.wait(context, expected, bytes);
            self.account(context);
            return Ok(());
        };
        if expected.is_some_and(|name| !peer.is(name)) {
            return Err(SendFailure::NameMismatch);
        }
        if peer.protocol == Protocol::Classic && needs_extended(bytes.first()) {
            return Err(SendFailure::ClassicPeer);
        }
        self.lifecycle.note_sent(now);
        self.outbox.send(&mut self.quic, context, bytes, now);
        self.account(context);
        Ok(())
    }

    /// Takes a stream that will open as soon as the peer allows.
    pub(crate) fn adopt_stream(
        &mut self,
        context: &mut EndpointContext,
        stream: StreamState,
        now: Instant,
    ) {
        self.streams.adopt(context, stream, now);
        if let Some(peer) = self.handshake.peer().filter(|peer| peer.is_settled()) {
            self.streams.check_expected_names(&mut self.quic, context, peer);
            self.lifecycle.expect_answer(now);
            self.streams.open_waiting(&mut self.quic, context, peer.protocol, now);
        }
        self.account(context);
    }

    /// The connection belongs to `name`, if its certificate holds that and nothing has decided
    /// otherwise. Whether that is new.
    pub(crate) fn set_peer_name(&mut self, name: &[u8]) -> bool {
        let is_open = self.peer().is_some_and(|peer| peer.name.is_none());
        is_open && self.handshake.set_name(name)
    }

    /// Gives up the streams that could not be opened here.
    pub(crate) fn release_waiting(&mut self) -> Vec<StreamState> {
        self.streams.release_waiting()
    }

    /// See [`Endpoint::write`](crate::Endpoint::write).
    pub(crate) fn write(
        &mut self,
        context: &mut EndpointContext,
        slot: StreamSlot,
        bytes: &[u8],
        finish: bool,
        now: Instant,
    ) -> Result<usize, WriteError> {
        let written = self.streams.write(&mut self.quic, context, slot, bytes, finish, now)?;
        self.lifecycle.note_sent(now);
        if written.is_waiting
            && let Some(peer) = self.handshake.peer().filter(|peer| peer.is_settled())
        {
            self.streams.open_waiting(&mut self.quic, context, peer.protocol, now);
        }
        self.account(context);
        Ok(written.taken)
    }

    /// See [`Endpoint::read`](crate::Endpoint::read).
    pub(crate) fn read(
        &mut self,
        context: &mut EndpointContext,
        slot: StreamSlot,
        buffer: &mut [u8],
        now: Instant,
    ) -> Result<Read, ReadError> {
        let read = self.streams.read(&mut self.quic, context, slot, buffer, now)?;
        if read.bytes > 0 {
            self.lifecycle.note_payload(now);
        }
        Ok(read)
    }

    pub(crate) fn set_deadline(&mut self, slot: StreamSlot, deadline: Option<Instant>) {
        self.streams.set_deadline(slot, deadline);
    }

    /// See [`Endpoint::expect_progress`](crate::Endpoint::expect_progress).
    pub(crate) fn expect_progress(
        &mut self,
        context: &EndpointContext,
        slot: StreamSlot,
        now: Instant,
    ) {
        self.streams.expect_progress(context, slot, now);
    }

    /// See [`Endpoint::stop_reading`](crate::Endpoint::stop_reading).
    pub(crate) fn stop_reading(
        &mut self,
        context: &mut EndpointContext,
        slot: StreamSlot,
        now: Instant,
    ) {
        self.streams.stop_reading(&mut self.quic, context, slot, now);
        self.account(context);
    }

    /// See [`Endpoint::stop`](crate::Endpoint::stop).
    pub(crate) fn stop(&mut self, context: &mut EndpointContext, slot: StreamSlot, now: Instant) {
        self.streams.stop(&mut self.quic, context, slot, now);
        self.account(context);
    }

    /// See [`Endpoint::reset`](crate::Endpoint::reset).
    pub(crate) fn reset(&mut self, context: &mut EndpointContext, slot: StreamSlot) {
        self.streams.reset(&mut self.quic, context, slot);
        self.account(context);
    }

    /// Closes at once and returns the last datagrams to send, and where to.
    pub(crate) fn close(&mut self, reason: &CloseReason) -> Vec<(SocketAddr, Vec<u8>)> {
        if self.quic.is_closed() || self.quic.is_draining() {
            return Vec::new();
        }
        // The classic protocol's peers are sent nothing that they did not know before.
        let is_known = self.protocol() != Some(Protocol::Classic) || reason.code() != EXPIRED;
        let code = if is_known { reason.code() } else { 0 };
        if let Err(error) = self.quic.close(true, code, reason.to_string().as_bytes()) {
            log::trace!("{}: was closing already: {error:?}", self.address());
        }
        self.datagrams.emit_last(&mut self.quic)
    }

    /// Fails everything that waits here.
    pub(crate) fn fail_all(&mut self, context: &mut EndpointContext, ending: &Ending) {
        let phase = self.phase();
        let (stream_error, reason) = ending.failures(phase);
        self.streams.close_all(&mut self.quic, context, stream_error);
        // What a dialer sent before its peer refused it never arrived.
        let refused =
            self.dialed() && phase == ConnectionPhase::Established && self.lifecycle.was_used();
        let awaited = self.lifecycle.is_awaited() && phase != ConnectionPhase::Confirmed;
        if !self.outbox.is_empty() || refused || awaited {
            context.emit(EndpointEvent::SendFailed { to: self.address(), reason });
        }
        self.outbox.clear();
        self.inbox.clear();
        self.datagrams.clear(context);
        self.account(context);
    }

    /// Which side refused the other and why, for a log line.
    pub(crate) fn refusal_detail(
        &mut self,
        refusal: Refusal,
        describe_names: &DescribeNames,
    ) -> String {
        refusal_detail(&mut self.quic, refusal, describe_names)
    }

    /// Uses the connection for nothing new, and closes it at `close_at`. The first retirement
    /// counts; whether this one is.
    pub(crate) fn retire(&mut self, reason: CloseReason, close_at: Instant) -> bool {
        self.lifecycle.retire(reason, close_at)
    }

    /// Its own certificate is not the one in use any more.
    pub(crate) fn note_outdated(&mut self) {
        self.lifecycle.note_outdated();
    }

    /// The connection is the endpoint's `number`th to be confirmed, from 1.
    pub(crate) fn note_confirmation(&mut self, number: u64) {
        self.lifecycle.note_confirmation(number);
    }

    /// The application wants the peer: here it is, or the connection reports its confirmation, or
    /// its failure.
    pub(crate) fn await_peer(&mut self) -> Option<Arc<PeerIdentity>> {
        let is_confirmed = self.phase() == ConnectionPhase::Confirmed;
        self.lifecycle.set_awaited(!is_confirmed);
        self.handshake.peer().filter(|_| is_confirmed).map(Arc::clone)
    }

    /// Sends at most 1200 bytes in a packet while more may not pass. Packets that wait as
    /// datagrams and no longer fit go as streams.
    pub(super) fn watch_path_mtu(&mut self, context: &mut EndpointContext, now: Instant) {
        let is_lower = self.path_mtu.look(&mut self.quic, now);
        if is_lower {
            log::debug!("{}: large packets pass no more", self.address());
            context.count().path_mtu_lowered += 1;
        }
        let is_short = self.outbox.set_short(self.path_mtu.is_suspected());
        if is_lower || is_short {
            self.outbox.resend_long_datagrams(&mut self.quic, context, now);
        }
    }

    pub(super) fn keep_alive(&mut self, context: &EndpointContext, now: Instant) {
        if self.lifecycle.take_keep_alive(context.limits().keep_alive_period, now)
            && let Err(error) = self.quic.send_ack_eliciting()
        {
            log::trace!("{}: no keep-alive: {error:?}", self.address());
        }
    }
}
