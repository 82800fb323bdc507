//! The endpoint: everything about QUIC peers except the socket.
//!
//! Decides which connection carries what, when to dial, and what is refused at a bound. It
//! never blocks, never touches a socket, and gives no meaning to the bytes it carries.

mod dial;
mod receive;
mod streams;
mod upkeep;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use boring::ssl::SslContextBuilder;

use crate::config::EndpointConfig;
use crate::connection::{Connection, Ending, Phase};
use crate::connection_id::Secrets;
use crate::connection_key::ConnectionKey;
use crate::error::{EndpointError, SendFailure};
use crate::event::{EndpointEvent, PeerIdentity};
use crate::limits::MAX_PACKET;
use crate::pool::Pool;
use crate::reason::CloseReason;
use crate::reset::Limiter;
use crate::shared::Shared;
use crate::stats::{ConnectionStats, EndpointStats};
use crate::tls;
use dial::Urgency;

/// A QUIC endpoint without a socket: it dials and accepts, on one UDP address.
///
/// Methods come in four kinds:
///
/// - `handle_*`: a datagram arrived, or a deadline passed;
/// - commands (`send_packet`, `open_stream`, `write`, `close`, …): the application wants
///   something; none of them waits, failures come as [`EndpointEvent`]s;
/// - `poll_*`: what must leave the machine;
/// - getters, taking `&self`.
///
/// After each `handle_*` or command, call [`poll_event`](Self::poll_event) and
/// [`poll_transmit`](Self::poll_transmit) until they return `None`; then sleep until
/// [`poll_timeout`](Self::poll_timeout) and call [`handle_timeout`](Self::handle_timeout). `now`
/// must never decrease and must be the real time: quiche, inside, reads the clock and draws
/// random numbers by itself. Dropping an endpoint sends nothing at all.
///
/// A packet goes to its peer as one datagram, or as a unidirectional stream where it does not
/// fit. Streams are bidirectional. Packets and streams are served on every connection, whoever
/// dialed it. A peer is known by the address it is dialed at; addresses are compared with
/// IPv4-mapped ones unmapped.
pub struct Endpoint {
    shared: Shared,
    tls: quiche::Config,
    pool: Pool,
    timers: BinaryHeap<Reverse<(Instant, ConnectionKey)>>,
    /// Connections that may have something to send.
    sending: VecDeque<ConnectionKey>,
    /// Connections that have sent their share of this turn.
    deferred: VecDeque<ConnectionKey>,
    turn: u64,
    /// Datagrams that belong to no connection: resets, Retry, farewells, raw datagrams.
    outbox: VecDeque<(SocketAddr, Option<IpAddr>, Vec<u8>)>,
    resets: Limiter,
    authenticated: u64,
    started: Instant,
    now: Instant,
    next_sweep: Instant,
    /// Set by [`shutdown`](Self::shutdown): when the last connections are closed.
    shutdown: Option<Instant>,
}

/// Datagrams to be sent, written to the buffer given to
/// [`poll_transmit`](Endpoint::poll_transmit).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: SocketAddr,
    /// The local address to send from, when a packet of the peer told which one it uses.
    pub source: Option<IpAddr>,
    /// Bytes written to the buffer.
    pub len: usize,
    /// If set, the bytes are several datagrams of this size; the last one may be shorter.
    pub segment: Option<usize>,
}

impl Endpoint {
    /// An endpoint that authenticates itself and its peers with `tls`, which must demand and
    /// verify a certificate on both sides.
    pub fn new(
        config: EndpointConfig,
        tls: SslContextBuilder,
        now: Instant,
    ) -> Result<Self, EndpointError> {
        config.validate()?;
        let tls = tls::quic_config(&config, tls)?;
        let secrets = Secrets::new(&config.reset_secret).map_err(|_| EndpointError::Random)?;
        let next_sweep = now + config.limits.sweep_interval;
        Ok(Self {
            shared: Shared::new(config, secrets),
            tls,
            pool: Pool::default(),
            timers: BinaryHeap::new(),
            sending: VecDeque::new(),
            deferred: VecDeque::new(),
            turn: 0,
            outbox: VecDeque::new(),
            resets: Limiter::new(now),
            authenticated: 0,
            started: now,
            now,
            next_sweep,
            shutdown: None,
        })
    }

    /// Uses another TLS context for new connections. Existing ones keep theirs.
    pub fn replace_tls(&mut self, tls: SslContextBuilder) -> Result<(), EndpointError> {
        self.tls = tls::quic_config(&self.shared.config, tls)?;
        Ok(())
    }

    /// A deadline passed. Calling it too early does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        while let Some(&Reverse((due, key))) = self.timers.peek()
            && due <= now
        {
            self.timers.pop();
            let Some(connection) = self.pool.get_mut(key) else { continue };
            if connection.armed == Some(due) {
                connection.armed = None;
                connection.on_timeout(now);
                self.settle(key);
            }
        }
        if now >= self.next_sweep {
            self.next_sweep = now + self.shared.config.limits.sweep_interval;
            self.sweep();
        }
        if self.shutdown.is_some() {
            self.close_quiet_ones();
        }
    }

    /// Sends a packet of at most [`MAX_PACKET`] bytes to the peer at `to`, best effort, dialing
    /// it if need be. `expected` is the name that its certificate must prove. The first byte
    /// `0xF6` is reserved, `0xF5` marks packets of an application protocol and needs a peer that
    /// speaks the extended one.
    pub fn send_packet(
        &mut self,
        to: SocketAddr,
        expected: Option<&[u8]>,
        bytes: &[u8],
        now: Instant,
    ) {
        self.now = now;
        let to = canonical(to);
        if let Err(reason) = self.try_send_packet(to, expected, bytes) {
            self.shared.emit(EndpointEvent::SendFailed { to, reason });
        }
    }

    fn try_send_packet(
        &mut self,
        to: SocketAddr,
        expected: Option<&[u8]>,
        bytes: &[u8],
    ) -> Result<(), SendFailure> {
        if bytes.len() > MAX_PACKET {
            return Err(SendFailure::TooLarge);
        }
        let key = self.connection_for(to, expected, Urgency::Packet)?;
        let Some(connection) = self.pool.get_mut(key) else { return Err(SendFailure::Unavailable) };
        connection.send_packet(&mut self.shared, expected, bytes, self.now)?;
        self.schedule(key);
        Ok(())
    }

    /// Sends a datagram that is not QUIC from the endpoint's port, once. Its first byte must be
    /// below `0x40`, else it is not sent and `false` is returned. For STUN and the like.
    pub fn send_raw(&mut self, to: SocketAddr, bytes: &[u8]) -> bool {
        let fits = bytes.first().is_some_and(|first| *first < FIRST_QUIC_BYTE);
        let room = self.outbox.len() < OUTBOX && bytes.len() <= MAX_RAW_DATAGRAM;
        if fits && room {
            self.outbox.push_back((canonical(to), None, bytes.to_vec()));
        }
        fits && room
    }

    /// Dials the peer at `to` unless there is a connection, or one on its way. Returns the peer
    /// if it is authenticated already; else [`EndpointEvent::Connected`] will tell, or
    /// [`EndpointEvent::SendFailed`].
    pub fn connect(
        &mut self,
        to: SocketAddr,
        now: Instant,
    ) -> Result<Option<Arc<PeerIdentity>>, SendFailure> {
        self.now = now;
        let key = self.connection_for(canonical(to), None, Urgency::Stream)?;
        let Some(connection) = self.pool.get_mut(key) else { return Ok(None) };
        connection.awaited = connection.phase != Phase::Confirmed;
        Ok(connection.peer.clone().filter(|_| !connection.awaited))
    }

    /// The authenticated peer that packets for `address` go to, if there is one.
    pub fn peer(&self, address: SocketAddr) -> Option<Arc<PeerIdentity>> {
        let key = self.pool.choose(canonical(address), None)?;
        self.pool.get(key)?.peer.clone()
    }

    /// Closes every connection to `peer`, dropping what was not sent, and forgets its failed
    /// dials.
    pub fn close(&mut self, peer: SocketAddr, reason: CloseReason, now: Instant) {
        self.now = now;
        let peer = canonical(peer);
        for key in self.pool.at(peer).to_vec() {
            self.end(key, &Ending::Closed(reason.clone()));
        }
        let record = self.pool.record(peer);
        record.failures = 0;
        record.not_before = None;
        self.pool.sweep(now);
    }

    /// Closes every connection whose peer matches: for revoked certificates.
    pub fn close_where(
        &mut self,
        reason: CloseReason,
        now: Instant,
        mut matches: impl FnMut(&PeerIdentity) -> bool,
    ) {
        self.now = now;
        for key in self.pool.keys() {
            let peer = self.pool.get(key).and_then(|connection| connection.peer.clone());
            if peer.is_some_and(|peer| matches(&peer)) {
                self.end(key, &Ending::Closed(reason.clone()));
            }
        }
    }

    /// Takes no new work, lets each connection send what is queued, and closes it then or at
    /// `deadline`. See [`is_shut_down`](Self::is_shut_down).
    pub fn shutdown(&mut self, deadline: Instant, now: Instant) {
        self.now = now;
        self.shutdown = Some(deadline);
        self.close_quiet_ones();
    }

    /// Whether a [`shutdown`](Self::shutdown) is complete: no connection is left and nothing is
    /// waiting to be sent.
    pub fn is_shut_down(&self) -> bool {
        self.shutdown.is_some() && self.pool.len() == 0 && self.outbox.is_empty()
    }

    /// Writes datagrams that are to be sent to `buffer`, which should have room for some 16
    /// datagrams of 1500 bytes and must have room for one. Connections take turns; `None` ends a
    /// turn, though some may have more to send: [`poll_timeout`](Self::poll_timeout) is then due.
    pub fn poll_transmit(&mut self, buffer: &mut [u8], now: Instant) -> Option<Transmit> {
        self.now = now;
        if let Some((to, source, bytes)) = self.outbox.pop_front() {
            let len = bytes.len().min(buffer.len());
            buffer.iter_mut().zip(&bytes).for_each(|(slot, byte)| *slot = *byte);
            self.count_sent(1, len);
            return Some(Transmit { to, source, len, segment: None });
        }
        while let Some(key) = self.sending.pop_front() {
            if let Some(transmit) = self.emit(key, buffer) {
                return Some(transmit);
            }
        }
        self.turn += 1;
        std::mem::swap(&mut self.sending, &mut self.deferred);
        None
    }

    fn emit(&mut self, key: ConnectionKey, buffer: &mut [u8]) -> Option<Transmit> {
        let turn = self.turn;
        let share = self.shared.config.limits.packets_per_turn.max(1);
        let connection = self.pool.get_mut(key)?;
        if connection.turn != turn {
            connection.turn = turn;
            connection.turn_packets = 0;
        }
        let emission = connection.emit(buffer, share - connection.turn_packets.min(share));
        connection.turn_packets += emission.packets;
        connection.in_send_queue = emission.more;
        let (to, source) = (connection.address, connection.source);
        if emission.more {
            match connection.turn_packets < share {
                true => self.sending.push_back(key),
                false => self.deferred.push_back(key),
            }
        } else {
            // Sending makes room for what quiche could not take before, and moves the timers.
            self.settle_after_sending(key);
        }
        if emission.packets == 0 {
            return None;
        }
        self.count_sent(emission.packets, emission.length);
        Some(Transmit { to, source, len: emission.length, segment: emission.segment })
    }

    /// What has happened since the last call.
    pub fn poll_event(&mut self) -> Option<EndpointEvent> {
        self.shared.poll_event()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) and to poll for transmits.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.sending.is_empty() || !self.outbox.is_empty() {
            return Some(self.now);
        }
        let timer = self.timers.peek().map(|Reverse((due, _))| *due);
        let shutdown = self.shutdown.filter(|_| self.pool.len() > 0);
        let quiet = shutdown.map(|deadline| deadline.min(self.now + SHUTDOWN_POLL));
        [timer, Some(self.next_sweep), quiet].into_iter().flatten().min()
    }

    /// Counters and gauges.
    pub fn stats(&self) -> EndpointStats {
        let mut stats = self.shared.stats.clone();
        stats.connections = self.pool.len();
        stats.handshakes =
            self.pool.iter().filter(|connection| connection.phase == Phase::Handshaking).count();
        stats
    }

    /// The connections whose peer is authenticated.
    pub fn connections(&self) -> Vec<ConnectionStats> {
        self.pool.iter().filter_map(|connection| self.describe(connection)).collect()
    }

    fn describe(&self, connection: &Connection) -> Option<ConnectionStats> {
        let peer = connection.peer.clone()?;
        let stats = connection.stats();
        let path = connection.path();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Some(ConnectionStats {
            peer,
            preferred: self.pool.choose(connection.address, None) == Some(connection.key),
            rtt: path.as_ref().map_or(Duration::ZERO, |path| path.rtt),
            congestion_window: path.as_ref().map_or(0, |path| path.cwnd),
            age: self.now.saturating_duration_since(connection.born),
            idle: self.now.saturating_duration_since(connection.last_payload),
            streams: connection.stream_count(),
            packet_limit: connection.packet_limit(),
            received: count(stats.recv),
            sent: count(stats.sent),
            lost: count(stats.lost),
            bytes_received: stats.recv_bytes,
            bytes_sent: stats.sent_bytes,
        })
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Endpoint")
            .field("config", &self.shared.config)
            .field("connections", &self.pool.len())
            .finish_non_exhaustive()
    }
}

/// The one form of an address that tables are keyed with.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        IpAddr::V6(_) => address,
    }
}

/// The least first byte of a QUIC packet, whose fixed bit is set (RFC 9000 section 17): a datagram
/// with a lower one is raw.
pub const FIRST_QUIC_BYTE: u8 = 0x40;
/// Longest raw datagram in bytes: what any path carries (RFC 9000 section 14).
pub const MAX_RAW_DATAGRAM: usize = 1200;
/// Datagrams without a connection that wait to be sent; more are dropped.
const OUTBOX: usize = 1024;
/// How often a shutdown looks for connections that have become quiet.
const SHUTDOWN_POLL: Duration = Duration::from_millis(10);
