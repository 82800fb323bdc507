//! One QUIC connection: its parts, and the order in which they act.
//!
//! | part | owns |
//! |---|---|
//! | [`Datagrams`] | addresses, datagrams that overtook the handshake, anti-amplification limit |
//! | [`Handshake`] | phase, identity and HELLO of the peer, connection ids and reset tokens |
//! | [`ConnectionLifecycle`] | ages, silence, retirement, keep-alives |
//! | [`Outbox`] | packets that wait for the handshake or for stream credit |
//! | [`Inbox`] | packets that arrive as streams or wait for the confirmation |
//! | [`ConnectionStreams`] | bidirectional streams |
//! | [`PathMtu`] | whether the path still carries large packets |
//!
//! Which of several connections to a peer is used, and which has to go, the endpoint says.

mod certificates;
mod connection_commands;
mod connection_lifecycle;
mod connection_streams;
mod connection_view;
mod datagrams;
mod ending;
mod handshake;
mod handshake_share;
mod inbox;
mod outbox;
mod packet_stream;
mod path_mtu;
mod undecryptable;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use crate::connection_id::{Id, ResetToken};
use crate::connection_key::ConnectionKey;
use crate::endpoint_context::EndpointContext;
use crate::event::{EndpointEvent, PeerIdentity, Protocol};
use crate::first_byte::{EXTENSION_BYTE, PacketKind, classify};
use crate::limits::Limits;
use crate::quic_stream::is_bidirectional;
use crate::reason::CloseReason;
use connection_lifecycle::ConnectionLifecycle;
use connection_streams::ConnectionStreams;
use datagrams::Datagrams;
pub(crate) use datagrams::{Emission, LOCAL};
pub(crate) use ending::Ending;
pub(crate) use handshake::ConnectionPhase;
use handshake::Handshake;
use inbox::Inbox;
use outbox::Outbox;
use path_mtu::PathMtu;

/// One connection of an endpoint.
///
/// After each call that takes `&mut self`, the endpoint calls [`advance`](Self::advance) or
/// queues the connection for sending, and brings its timer in line with [`due`](Self::due).
pub(crate) struct Connection {
    quic: quiche::Connection,
    key: ConnectionKey,
    datagrams: Datagrams,
    handshake: Handshake,
    lifecycle: ConnectionLifecycle,
    outbox: Outbox,
    inbox: Inbox,
    streams: ConnectionStreams,
    path_mtu: PathMtu,
    /// What of our queues the endpoint's total counts, in bytes.
    accounted: usize,
}

/// What [`Connection::advance`] found; the endpoint updates its tables.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) ended: Option<Ending>,
    /// The peer was authenticated just now.
    pub(crate) established: bool,
    /// The peer is known to have accepted us since just now.
    pub(crate) confirmed: bool,
    pub(crate) new_ids: Vec<Id>,
    pub(crate) retired_ids: Vec<Id>,
    pub(crate) new_reset_tokens: Vec<ResetToken>,
    /// The peer grants no stream in time.
    pub(crate) starved: bool,
    /// The connection has carried as many packets as its key is good for.
    pub(crate) worn_out: bool,
    /// The peer's address has changed so often that the connection follows it no further.
    pub(crate) moved_often: bool,
}

/// How a connection begins.
pub(crate) struct Beginning {
    pub(crate) key: ConnectionKey,
    /// The peer's: the connection is known by it to its end.
    pub(crate) address: SocketAddr,
    /// Our first connection id.
    pub(crate) id: Id,
    /// Whether we dial; else the peer does.
    pub(crate) dialed: bool,
    pub(crate) now: Instant,
    /// When the handshake must be over.
    pub(crate) deadline: Instant,
}

impl Connection {
    pub(crate) fn new(quic: quiche::Connection, beginning: &Beginning) -> Self {
        let &Beginning { key, address, id, dialed, now, deadline } = beginning;
        Self {
            quic,
            key,
            datagrams: Datagrams::new(address, dialed),
            handshake: Handshake::new(dialed, id, deadline),
            lifecycle: ConnectionLifecycle::new(now),
            outbox: Outbox::new(address, dialed),
            inbox: Inbox::default(),
            streams: ConnectionStreams::new(key, dialed),
            path_mtu: PathMtu::new(now),
            accounted: 0,
        }
    }

    /// The peer dialed and has not shown that its address is its own (RFC 9000 section 8.1).
    pub(crate) fn require_address_validation(&mut self) {
        self.datagrams.require_address_validation();
    }

    /// Takes one UDP datagram, which was sent to the local address `to`.
    pub(crate) fn receive(
        &mut self,
        context: &mut EndpointContext,
        bytes: &mut [u8],
        from: SocketAddr,
        to: Option<IpAddr>,
    ) {
        self.lifecycle.note_received();
        self.datagrams.receive(&mut self.quic, context, bytes, from, to);
    }

    /// A deadline of [`due`](Self::due) has passed.
    pub(crate) fn on_timeout(&mut self, now: Instant) {
        if self.quic.timeout_instant().is_some_and(|due| due <= now) {
            self.quic.on_timeout();
        }
    }

    /// Does what has become possible or due.
    pub(crate) fn advance(&mut self, context: &mut EndpointContext, now: Instant) -> Changes {
        let mut changes = Changes::default();
        if self.phase() == ConnectionPhase::Handshaking && self.quic.is_established() {
            self.establish(context, now, &mut changes);
        }
        changes.retired_ids = self.handshake.collect_retired_ids(&mut self.quic);
        if self.datagrams.follow(&mut self.quic) {
            context.count().migrations += 1;
            log::debug!("{}: the peer is at {} now", self.address(), self.path());
        }
        changes.moved_often = self.datagrams.has_moved_too_often();
        if self.phase() != ConnectionPhase::Handshaking {
            self.receive_payloads(context, now, &mut changes);
        }
        if changes.ended.is_none() {
            changes.ended = Ending::of(&self.quic).or_else(|| self.overdue(context, now));
        }
        if changes.ended.is_none() || self.phase() == ConnectionPhase::Handshaking {
            changes.starved = self.expire(context, now);
        }
        if changes.ended.is_none()
            && let Some(protocol) = self.protocol()
        {
            // Packets are short, and a HELLO behind a long stream might wait for a peer that
            // reads nothing before it.
            let unwritten = self.unwritten();
            self.watch_path_mtu(context, now);
            self.outbox.write(&mut self.quic);
            if self.peer().is_some_and(|peer| peer.is_settled()) {
                self.streams.open_waiting(&mut self.quic, context, protocol, now);
            }
            let stats = self.quic.stats();
            let stopped = stats.stopped_stream_count_remote;
            changes.worn_out =
                stats.sent.max(stats.recv) >= context.limits().max_connection_packets;
            self.streams.collect_stopped(&mut self.quic, context, stopped, now);
            self.streams.flush_all(&mut self.quic, context, now);
            self.streams.collect_acknowledged(&mut self.quic, context);
            if self.unwritten() < unwritten {
                self.lifecycle.note_payload(now);
            }
            self.outbox.note_packet_limit(&self.quic, context);
            self.keep_alive(context, now);
        }
        self.account(context);
        changes
    }

    fn establish(&mut self, context: &mut EndpointContext, now: Instant, changes: &mut Changes) {
        let address = self.address();
        let peer = match self.handshake.establish(&mut self.quic, context.config(), address) {
            Ok(peer) => peer,
            Err(reason) => {
                changes.ended = Some(Ending::Closed(reason));
                return;
            }
        };
        changes.established = true;
        self.datagrams.note_validated(context);
        changes.new_ids = self.handshake.issue_ids(&mut self.quic, context.secrets_mut());
        changes.new_reset_tokens.extend(self.handshake.note_transport_token(&self.quic));
        if peer.protocol == Protocol::Extended {
            let hello = self.handshake.hello(context.config(), context.secrets());
            let deadline = now + context.limits().packet_stream_timeout;
            self.outbox.send_hello(&mut self.quic, &hello.encode(), deadline);
        }
        if peer.is_settled() {
            self.release_waiting_for_name(context, &peer, now);
        }
    }

    /// It is known who the peer is: sends what waits for that, and fails what is for others.
    fn release_waiting_for_name(
        &mut self,
        context: &mut EndpointContext,
        peer: &PeerIdentity,
        now: Instant,
    ) {
        for packet in self.outbox.take_waiting() {
            let sent = self.send_packet(context, packet.expected.as_deref(), &packet.bytes, now);
            if let Err(reason) = sent {
                context.emit(EndpointEvent::SendFailed { to: peer.address, reason });
            }
        }
        self.streams.check_expected_names(&mut self.quic, context, peer);
    }

    /// Reads what the peer has sent under the final keys, as far as its confirmation allows.
    fn receive_payloads(
        &mut self,
        context: &mut EndpointContext,
        now: Instant,
        changes: &mut Changes,
    ) {
        while let Some(id) = self.quic.stream_readable_next() {
            if !is_bidirectional(id) {
                if let Some(bytes) = self.inbox.read(&mut self.quic, context, id, now) {
                    self.receive_packet_stream(context, bytes, now, changes);
                }
            } else if self.phase() == ConnectionPhase::Confirmed {
                self.receive_stream(context, id, now);
            } else {
                self.streams.keep_until_confirmed(id);
            }
        }
        if changes.ended.is_none() {
            let has_sent = !changes.retired_ids.is_empty()
                || self.inbox.has_pre_confirmation()
                || self.streams.has_pre_confirmation()
                || self.quic.dgram_recv_queue_len() > 0;
            if let Some(peer) = self.handshake.confirm(has_sent) {
                changes.confirmed = true;
                // Of the connections to an address the one confirmed last is used.
                let features = self.handshake.features().cloned();
                context.emit(EndpointEvent::PeerFeatures { to: peer.address, features });
                context.emit(EndpointEvent::Connected { peer: Arc::clone(&peer) });
                self.release_waiting_for_name(context, &peer, now);
                self.release_pre_confirmation(context, now);
            }
        }
        if self.phase() == ConnectionPhase::Confirmed {
            while let Ok(bytes) = self.quic.dgram_recv_buf() {
                context.count().packets_received += 1;
                // A HELLO in a datagram might be lost and so is none.
                let mut unused = Changes::default();
                self.receive_packet(context, bytes, now, &mut unused);
            }
        }
    }

    /// Hands on what had to wait for the confirmation.
    fn release_pre_confirmation(&mut self, context: &mut EndpointContext, now: Instant) {
        let mut unused = Changes::default();
        for bytes in self.inbox.take_pre_confirmation() {
            self.receive_packet(context, bytes, now, &mut unused);
        }
        for id in self.streams.take_pre_confirmation() {
            self.receive_stream(context, id, now);
        }
    }

    /// A packet came by stream, perhaps before the peer is confirmed, which HELLO does.
    fn receive_packet_stream(
        &mut self,
        context: &mut EndpointContext,
        bytes: Vec<u8>,
        now: Instant,
        changes: &mut Changes,
    ) {
        let is_extension = bytes.first() == Some(&EXTENSION_BYTE);
        if self.phase() == ConnectionPhase::Confirmed || is_extension {
            self.receive_packet(context, bytes, now, changes);
        } else {
            self.inbox.keep_until_confirmed(context, bytes);
        }
    }

    fn receive_packet(
        &mut self,
        context: &mut EndpointContext,
        bytes: Vec<u8>,
        now: Instant,
        changes: &mut Changes,
    ) {
        let Some(peer) = self.handshake.peer().map(Arc::clone) else {
            debug_assert!(false, "packets are read once the peer is known");
            return;
        };
        match classify(&bytes, peer.protocol) {
            PacketKind::Reserved => context.count().reserved_first_bytes += 1,
            PacketKind::UnknownExtension => context.count().unknown_extensions += 1,
            PacketKind::Hello => {
                let body = bytes.get(2..).unwrap_or_default();
                match self.handshake.handle_hello(body, &context.config().label) {
                    Ok(token) => changes.new_reset_tokens.extend(token),
                    Err(reason) => changes.ended = Some(Ending::Closed(reason)),
                }
            }
            PacketKind::Application => {
                self.lifecycle.note_payload(now);
                context.emit_payload(EndpointEvent::ApplicationPacket { peer, bytes });
            }
            PacketKind::Plain => {
                self.lifecycle.note_payload(now);
                context.emit_payload(EndpointEvent::Packet { peer, bytes });
            }
        }
    }

    fn receive_stream(&mut self, context: &mut EndpointContext, id: u64, now: Instant) {
        let Some(peer) = self.handshake.peer() else { return };
        if self.streams.handle_readable(&mut self.quic, context, id, peer, now) {
            self.lifecycle.note_payload(now);
        }
    }

    /// Ends packets and streams that are overdue. True if the peer grants no stream in time.
    fn expire(&mut self, context: &mut EndpointContext, now: Instant) -> bool {
        let phase = self.phase();
        let packets_starved = self.outbox.expire(&mut self.quic, context, now);
        self.inbox.expire(context, now);
        packets_starved | self.streams.expire(&mut self.quic, context, phase, now)
    }

    /// The end that our own deadlines set.
    fn overdue(&self, context: &EndpointContext, now: Instant) -> Option<Ending> {
        if let Some(excess) = self.datagrams.excess(self.phase()) {
            return Some(Ending::Closed(excess));
        }
        if self.handshake.deadline().is_some_and(|deadline| now >= deadline) {
            let is_answered = self.quic.stats().recv > 0;
            return Some(match is_answered {
                true => Ending::HandshakeTimedOut,
                false => Ending::DialTimedOut,
            });
        }
        let limits = context.limits();
        // Twice is still below what the cipher allows, and all that its streams get after a
        // retirement.
        if self.packet_count() >= 2 * limits.max_connection_packets {
            return Some(Ending::Closed(CloseReason::Recycled));
        }
        let (has_streams, stall) = (!self.streams.is_empty(), limits.stream_stall_timeout);
        self.lifecycle.overdue(has_streams, stall, now).map(Ending::Closed)
    }

    /// The next moment at which [`on_timeout`](Self::on_timeout) and [`advance`](Self::advance)
    /// have something to do.
    pub(crate) fn due(&self, limits: &Limits) -> Option<Instant> {
        [
            self.quic.timeout_instant(),
            self.handshake.deadline(),
            self.lifecycle.due(!self.streams.is_empty(), limits.stream_stall_timeout),
            self.streams.next_deadline(),
            self.outbox.next_deadline(),
            self.inbox.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Writes datagrams to `buffer`, at most `allowance`.
    pub(crate) fn emit(&mut self, buffer: &mut [u8], allowance: usize) -> Emission {
        self.datagrams.emit(&mut self.quic, buffer, allowance, self.path_mtu.is_suspected())
    }

    /// Brings the endpoint's total of queued bytes up to date with our queues. What quiche holds
    /// is bounded by its windows and its own queues.
    fn account(&mut self, context: &mut EndpointContext) {
        let bytes = self.streams.unwritten() + self.outbox.bytes() + self.inbox.bytes();
        context.account(self.accounted, bytes);
        self.accounted = bytes;
    }
}
