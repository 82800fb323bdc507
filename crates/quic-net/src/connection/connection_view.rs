//! What the endpoint may know of one connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Connection, ConnectionPhase};
use crate::connection_id::{Id, ResetToken};
use crate::connection_key::ConnectionKey;
use crate::endpoint_context::EndpointContext;
use crate::event::{PeerIdentity, Protocol};
use crate::stats::ConnectionStats;

impl Connection {
    pub(crate) fn key(&self) -> ConnectionKey {
        self.key
    }

    /// The peer's address when the connection began.
    pub(crate) fn address(&self) -> SocketAddr {
        self.datagrams.address()
    }

    /// The peer's address at present.
    pub(crate) fn path(&self) -> SocketAddr {
        self.datagrams.path()
    }

    /// Whether packets from other addresses may belong to it. A dialed address does not change:
    /// what comes from elsewhere is no answer. That of a peer that dialed does where a NAT between
    /// us forgets its port (RFC 9000 section 9).
    pub(crate) fn follows_peer(&self) -> bool {
        !self.dialed() && self.phase() == ConnectionPhase::Confirmed
    }

    /// The local address to send from, once the peer has used one.
    pub(crate) fn source(&self) -> Option<IpAddr> {
        self.datagrams.source()
    }

    /// The peer's connection id that our packets carry at present.
    pub(crate) fn destination_id(&self) -> quiche::ConnectionId<'static> {
        self.quic.destination_id().into_owned()
    }

    /// Whether we dialed; else the peer did.
    pub(crate) fn dialed(&self) -> bool {
        self.handshake.dialed()
    }

    pub(crate) fn phase(&self) -> ConnectionPhase {
        self.handshake.phase()
    }

    pub(crate) fn peer(&self) -> Option<&Arc<PeerIdentity>> {
        self.handshake.peer()
    }

    /// The peer's leaf certificate in DER, once it has shown one.
    pub(crate) fn leaf_certificate(&self) -> Option<&[u8]> {
        self.quic.peer_cert()
    }

    pub(crate) fn protocol(&self) -> Option<Protocol> {
        self.handshake.protocol()
    }

    /// The name in the peer's HELLO.
    pub(crate) fn hello_name(&self) -> Option<&[u8]> {
        self.handshake.hello_name()
    }

    /// The features in the peer's HELLO; `None` on the classic protocol.
    pub(crate) fn features(&self) -> Option<&Arc<[u8]>> {
        self.handshake.features()
    }

    pub(crate) fn ids(&self) -> &[Id] {
        self.handshake.ids()
    }

    /// Tokens that end a stateless reset from the peer.
    pub(crate) fn reset_tokens(&self) -> &[ResetToken] {
        self.handshake.reset_tokens()
    }

    /// When the handshake began.
    pub(crate) fn born(&self) -> Instant {
        self.lifecycle.born()
    }

    /// When a packet or stream payload last went either way.
    pub(crate) fn last_payload(&self) -> Instant {
        self.lifecycle.last_payload()
    }

    /// Its number in the order of confirmations; 0 before.
    pub(crate) fn confirmation(&self) -> u64 {
        self.lifecycle.confirmation()
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.lifecycle.is_retired()
    }

    /// Whether it was begun with another certificate of ours than the one in use.
    pub(crate) fn is_outdated(&self) -> bool {
        self.lifecycle.is_outdated()
    }

    /// Whether packets and streams may use it. One that makes way because its peer moved too often
    /// is used until there is another one: only the peer may be able to dial.
    pub(crate) fn is_usable(&self) -> bool {
        !self.is_retired() || self.datagrams.has_moved_too_often()
    }

    /// Whether the peer has left everything unanswered for too long.
    pub(crate) fn is_stalled(&self, context: &EndpointContext, now: Instant) -> bool {
        self.phase() == ConnectionPhase::Confirmed
            && self.lifecycle.is_stalled(context.limits(), now)
    }

    /// Whether the peer at the other end is the one that we dialed or has shown its certificate.
    pub(crate) fn is_trustworthy(&self) -> bool {
        self.dialed() || self.phase() != ConnectionPhase::Handshaking
    }

    /// Whether the peer has shown that it receives what is sent to its address.
    pub(crate) fn is_address_validated(&self) -> bool {
        self.datagrams.is_address_validated()
    }

    /// Whether no stream and no packet is under way.
    pub(crate) fn is_quiet(&self) -> bool {
        self.streams.is_empty()
            && self.outbox.is_empty()
            && self.inbox.is_quiet()
            && self.quic.dgram_send_queue_len() == 0
    }

    /// How much waits for room in quiche: bytes, and ends of streams.
    pub(crate) fn unwritten(&self) -> usize {
        self.streams.unwritten() + self.outbox.unwritten()
    }

    /// The largest UDP payload that the path carries; `None` while that is being found out.
    pub(crate) fn path_mtu(&self) -> Option<usize> {
        self.quic.pmtu()
    }

    /// The largest UDP payload that the path was ever found to carry.
    pub(crate) fn widest_path_mtu(&self) -> usize {
        self.path_mtu.widest()
    }

    /// Since when the path is not known to carry more than it does.
    pub(crate) fn path_mtu_since(&self) -> Instant {
        self.path_mtu.lowered_at().unwrap_or(self.born())
    }

    /// Packets in the direction that has carried more: each wears out the key of its direction.
    pub(crate) fn packet_count(&self) -> usize {
        let stats = self.quic.stats();
        stats.sent.max(stats.recv)
    }

    /// How long after its last payload a connection may be closed without cutting it off: a
    /// lost packet is noticed and sent again in that time.
    pub(crate) fn loss_detection_time(&self) -> Duration {
        let rtt = self.path_stats().map_or(Duration::ZERO, |path| path.rtt);
        rtt.saturating_mul(3).clamp(Duration::from_millis(20), Duration::from_millis(500))
    }

    /// What people and metrics want to know, once the peer is authenticated.
    pub(crate) fn stats(&self, preferred: bool, now: Instant) -> Option<ConnectionStats> {
        let peer = self.handshake.peer().map(Arc::clone)?;
        let stats = self.quic.stats();
        let path = self.path_stats();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Some(ConnectionStats {
            peer,
            preferred,
            rtt: path.as_ref().map_or(Duration::ZERO, |path| path.rtt),
            congestion_window: path.as_ref().map_or(0, |path| path.cwnd),
            age: now.saturating_duration_since(self.born()),
            idle: now.saturating_duration_since(self.last_payload()),
            streams: self.streams.len(),
            packet_limit: self.outbox.packet_limit(),
            received: count(stats.recv),
            sent: count(stats.sent),
            lost: count(stats.lost),
            bytes_received: stats.recv_bytes,
            bytes_sent: stats.sent_bytes,
        })
    }

    fn path_stats(&self) -> Option<quiche::PathStats> {
        self.quic.path_stats().find(|path| path.active)
    }
}
