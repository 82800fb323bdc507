//! The endpoint: everything about QUIC peers except the socket.
//!
//! Its parts: `receive` leads a datagram to its connection, `dial` finds or makes the
//! connection that a packet or a stream needs, `admission` says which connections stay,
//! `scheduling` whose turn it is.

mod admission;
mod connectionless;
mod dial;
mod endpoint_streams;
mod host_errors;
mod leaf_certificate;
mod receive;
mod renewal;
mod scheduling;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use boring::ssl::SslContextBuilder;

use crate::canonical_address::canonical;
use crate::config::{EndpointConfig, Identify};
use crate::connection::{Changes, Connection, ConnectionPhase, Ending};
use crate::connection_id::Secrets;
use crate::connection_key::ConnectionKey;
use crate::crowd::Crowd;
use crate::endpoint_context::EndpointContext;
use crate::error::EndpointError;
use crate::event::{EndpointEvent, PeerIdentity};
use crate::handshake_rates::HandshakeRates;
use crate::pool::Pool;
use crate::reason::CloseReason;
use crate::send_errors::SendErrors;
use crate::source_shares::ResetShares;
use crate::stats::{ConnectionStats, EndpointStats};
use crate::tls;
use connectionless::ConnectionlessQueue;
use renewal::Renewal;
use scheduling::Scheduler;

/// A QUIC endpoint without a socket: it dials and accepts, on one UDP address.
///
/// Methods come in four kinds:
///
/// - `handle_*`: a datagram arrived, or a deadline passed;
/// - commands (`send_packet`, `open_stream`, `write`, `close`, ...): the application wants
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
/// fit. Streams are bidirectional and named by [`StreamToken`](crate::StreamToken)s. Packets and
/// streams are served on every connection, whoever dialed it. A peer is known by the address it is
/// dialed at; addresses are compared with IPv4-mapped ones unmapped.
pub struct Endpoint {
    context: EndpointContext,
    /// The configuration of new connections.
    tls: quiche::Config,
    pool: Pool,
    scheduler: Scheduler,
    connectionless: ConnectionlessQueue,
    resets: ResetShares,
    crowd: Crowd,
    handshake_rates: HandshakeRates,
    send_errors: SendErrors,
    renewal: Renewal,
    /// Connections confirmed so far.
    confirmations: u64,
    started: Instant,
    /// The time of the last call.
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
    ///
    /// # Errors
    /// [`EndpointError`], for a configuration that no connection could work with.
    pub fn new(
        config: EndpointConfig,
        tls: SslContextBuilder,
        now: Instant,
    ) -> Result<Self, EndpointError> {
        config.validate()?;
        let tls = tls::quic_config(&config, tls)?;
        // ring tells no cause.
        let secrets = Secrets::new(&config.reset_secret).map_err(|_| EndpointError::Random)?;
        let next_sweep = now + config.limits.sweep_interval;
        Ok(Self {
            context: EndpointContext::new(config, secrets),
            tls,
            pool: Pool::default(),
            scheduler: Scheduler::default(),
            connectionless: ConnectionlessQueue::default(),
            resets: ResetShares::new(now),
            crowd: Crowd::new(now),
            handshake_rates: HandshakeRates::default(),
            send_errors: SendErrors::default(),
            renewal: Renewal::default(),
            confirmations: 0,
            started: now,
            now,
            next_sweep,
            shutdown: None,
        })
    }

    /// Uses another TLS context, and another reading of names, for new connections. Existing ones
    /// keep theirs until others have been dialed in their place, from [`dial_timeout`] after their
    /// beginning on, sixteen each 100 ms; then they make way and close once their streams end. One
    /// whose peer cannot be dialed stays until its certificate [expires](Self::close_expired).
    ///
    /// # Errors
    /// [`EndpointError::Tls`]; the context before stays in use.
    ///
    /// [`dial_timeout`]: crate::Limits::dial_timeout
    pub fn replace_tls(
        &mut self,
        tls: SslContextBuilder,
        identify: Identify,
        now: Instant,
    ) -> Result<(), EndpointError> {
        self.now = now;
        self.tls = tls::quic_config(self.context.config(), tls)?;
        self.context.set_identify(identify);
        self.renewal.begin(&mut self.pool, now);
        Ok(())
    }

    /// A deadline passed. Calling it too early does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        while let Some(key) = self.scheduler.pop_due(now) {
            if let Some(connection) = self.pool.get_mut(key) {
                connection.on_timeout(now);
                self.advance(key);
            }
        }
        if now >= self.next_sweep {
            self.next_sweep = now + self.context.limits().sweep_interval;
            self.sweep();
        }
        self.renew();
        if self.shutdown.is_some() {
            self.close_quiet_ones();
        }
    }

    /// Closes every connection to `peer`, dropping what was not sent, and forgets its failed
    /// dials. Returns how many of them had an authenticated peer.
    pub fn close(&mut self, peer: SocketAddr, reason: CloseReason, now: Instant) -> usize {
        self.now = now;
        let peer = canonical(peer);
        let mut authenticated = 0;
        for key in self.pool.at(peer).to_vec() {
            let connection = self.pool.get(key);
            authenticated += usize::from(connection.is_some_and(|held| held.peer().is_some()));
            self.end(key, &Ending::Closed(reason.clone()));
        }
        self.pool.forget_failures(peer);
        self.pool.sweep(now);
        authenticated
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
        self.shutdown.is_some() && self.pool.len() == 0 && self.connectionless.is_empty()
    }

    /// Writes datagrams that are to be sent to `buffer`, which should have room for some 16
    /// datagrams of 1500 bytes and must have room for one. Connections take turns; `None` ends a
    /// turn, though some may have more to send: [`poll_timeout`](Self::poll_timeout) is then due.
    pub fn poll_transmit(&mut self, buffer: &mut [u8], now: Instant) -> Option<Transmit> {
        self.now = now;
        if let Some(datagram) = self.connectionless.pop() {
            let len = datagram.bytes.len().min(buffer.len());
            buffer.get_mut(..len)?.copy_from_slice(datagram.bytes.get(..len)?);
            self.count_sent(1, len);
            let (to, source) = (datagram.to, datagram.source);
            return Some(Transmit { to, source, len, segment: None });
        }
        let share = self.context.limits().packets_per_turn.max(1);
        while let Some((key, allowance)) = self.scheduler.next_sender(share) {
            if let Some(transmit) = self.emit(key, allowance, share, buffer) {
                return Some(transmit);
            }
        }
        self.scheduler.end_turn();
        None
    }

    fn emit(
        &mut self,
        key: ConnectionKey,
        allowance: usize,
        share: usize,
        buffer: &mut [u8],
    ) -> Option<Transmit> {
        let connection = self.pool.get_mut(key)?;
        let emission = connection.emit(buffer, allowance);
        let source = connection.source();
        self.scheduler.note_sent(key, emission.packets, emission.more, share);
        if !emission.more {
            // Sending makes room for what quiche could not take before, and moves the timers.
            self.advance_after_sending(key);
        }
        let to = emission.to?;
        self.count_sent(emission.packets, emission.length);
        Some(Transmit { to, source, len: emission.length, segment: emission.segment })
    }

    fn count_sent(&mut self, packets: usize, bytes: usize) {
        let stats = self.context.count();
        stats.udp_sent += u64::try_from(packets).unwrap_or(0);
        stats.bytes_sent += u64::try_from(bytes).unwrap_or(0);
    }

    /// What has happened since the last call.
    pub fn poll_event(&mut self) -> Option<EndpointEvent> {
        self.context.poll_event()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) and to poll for transmits.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.scheduler.has_senders() || !self.connectionless.is_empty() {
            return Some(self.now);
        }
        let shutdown = self.shutdown.filter(|_| self.pool.len() > 0);
        let quiet = shutdown.map(|deadline| deadline.min(self.now + SHUTDOWN_POLL));
        [self.scheduler.next_timer(), Some(self.next_sweep), self.renewal.due(), quiet]
            .into_iter()
            .flatten()
            .min()
    }

    /// The authenticated peer that packets for `address` go to, if there is one.
    pub fn peer(&self, address: SocketAddr) -> Option<Arc<PeerIdentity>> {
        let key = self.pool.choose(canonical(address), None)?;
        self.pool.get(key)?.peer().map(Arc::clone)
    }

    /// Counters since the start, and gauges of this moment.
    pub fn stats(&self) -> EndpointStats {
        let handshaking =
            |connection: &&Connection| connection.phase() == ConnectionPhase::Handshaking;
        let mut stats = self.context.stats().clone();
        stats.send_errors.clone_from(self.send_errors.counts());
        stats.other_send_errors = self.send_errors.others();
        stats.connections = self.pool.len();
        stats.handshakes = self.pool.iter().filter(handshaking).count();
        stats
    }

    /// The connections whose peer is authenticated.
    pub fn connections(&self) -> Vec<ConnectionStats> {
        self.pool.iter().filter_map(|connection| self.connection_stats(connection)).collect()
    }

    /// The connection that packets for `address` go to, if its peer is authenticated.
    pub fn connection(&self, address: SocketAddr) -> Option<ConnectionStats> {
        let key = self.pool.choose(canonical(address), None)?;
        self.connection_stats(self.pool.get(key)?)
    }

    fn connection_stats(&self, connection: &Connection) -> Option<ConnectionStats> {
        let chosen = self.pool.choose(connection.address(), None);
        connection.stats(chosen == Some(connection.key()), self.now)
    }

    /// Lets a connection do what has become possible, and updates the tables.
    fn advance(&mut self, key: ConnectionKey) {
        let Some(connection) = self.pool.get_mut(key) else { return };
        let changes = connection.advance(&mut self.context, self.now);
        self.apply(key, changes);
        self.schedule(key);
    }

    /// As [`advance`](Self::advance), for a connection that has just sent all it could: it is
    /// queued again only if quiche took more from it since.
    fn advance_after_sending(&mut self, key: ConnectionKey) {
        let Some(connection) = self.pool.get_mut(key) else { return };
        let before = connection.unwritten();
        if before > 0 {
            let changes = connection.advance(&mut self.context, self.now);
            let progress = connection.unwritten() < before;
            self.apply(key, changes);
            if progress {
                self.schedule(key);
            }
        }
        self.rearm(key);
    }

    /// Brings the tables in line with what a connection has found out.
    fn apply(&mut self, key: ConnectionKey, changes: Changes) {
        for id in changes.new_ids {
            self.pool.add_id(id, key);
        }
        for id in &changes.retired_ids {
            self.pool.remove_id(id);
        }
        for token in changes.new_reset_tokens {
            self.pool.add_reset_token(token, key);
        }
        if changes.established {
            self.note_established(key);
        }
        if changes.confirmed {
            self.note_confirmed(key);
        }
        if let Some(ending) = changes.ended {
            self.end(key, &ending);
            return;
        }
        if changes.starved {
            self.replace_starved(key);
        }
        if changes.moved_often {
            let grace = self.context.limits().duplicate_grace;
            let is_first = self.retire(key, CloseReason::Recycled, grace);
            self.context.count().recycled += u64::from(is_first);
        }
        if changes.worn_out && self.retire(key, CloseReason::Recycled, Duration::ZERO) {
            self.context.count().recycled += 1;
        }
    }

    /// Queues a connection for sending and sets its timer.
    fn schedule(&mut self, key: ConnectionKey) {
        if self.pool.get(key).is_some() {
            self.scheduler.wake(key);
            self.rearm(key);
        }
    }

    /// Makes sure that a timer fires when the connection is due. Later deadlines are found out
    /// when the earlier timer fires.
    fn rearm(&mut self, key: ConnectionKey) {
        if let Some(due) = self.pool.get(key).and_then(|held| held.due(self.context.limits())) {
            self.scheduler.arm(key, due, self.pool.len());
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Endpoint")
            .field("config", self.context.config())
            .field("connections", &self.pool.len())
            .finish_non_exhaustive()
    }
}

/// The least first byte of a QUIC packet, whose fixed bit is set (RFC 9000 section 17): a datagram
/// with a lower one is raw.
pub const FIRST_QUIC_BYTE: u8 = 0x40;
/// Longest raw datagram in bytes: what any path carries (RFC 9000 section 14).
pub const MAX_RAW_DATAGRAM: usize = 1200;
/// How often a shutdown looks for connections that have become quiet.
const SHUTDOWN_POLL: Duration = Duration::from_millis(10);
