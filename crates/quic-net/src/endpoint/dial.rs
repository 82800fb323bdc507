//! What needs a connection (a packet, a stream, the application itself), which one it uses, and
//! when another one is dialed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Endpoint, FIRST_QUIC_BYTE, MAX_RAW_DATAGRAM};
use crate::backoff::Urgency;
use crate::canonical_address::canonical;
use crate::connection::{Beginning, Connection, ConnectionPhase, Ending, LOCAL};
use crate::connection_key::ConnectionKey;
use crate::endpoint_context::EndpointContext;
use crate::error::{SendFailure, StreamError};
use crate::event::{EndpointEvent, PeerIdentity};
use crate::kernel_refusal::KernelRefusal;
use crate::limits::MAX_PACKET;
use crate::reason::CloseReason;
use crate::stream_directory::StreamLocation;
use crate::stream_slab::StreamSlot;
use crate::stream_state::StreamState;
use crate::stream_token::StreamToken;

impl Endpoint {
    /// Sends a packet of at most [`MAX_PACKET`] bytes to the peer at `to`, best effort, dialing
    /// it if need be. `expected` is the name that its certificate must prove. The first byte
    /// `0xF6` is reserved, `0xF5` marks packets of an application protocol and needs a peer that
    /// speaks the extended one. A packet that is known not to have been sent is reported with
    /// [`EndpointEvent::SendFailed`], one dropped at a bound is counted in
    /// [`stats`](Self::stats).
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
            self.context.emit(EndpointEvent::SendFailed { to, reason });
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
        connection.send_packet(&mut self.context, expected, bytes, self.now)?;
        self.schedule(key);
        Ok(())
    }

    /// Sends a datagram that is not QUIC from the endpoint's port, once, as STUN needs it. Its
    /// first byte must be below [`FIRST_QUIC_BYTE`] and its length at most [`MAX_RAW_DATAGRAM`];
    /// else, and while too many datagrams wait, it is not sent and `false` is returned.
    pub fn send_raw(&mut self, to: SocketAddr, bytes: &[u8]) -> bool {
        let is_raw = bytes.first().is_some_and(|first| *first < FIRST_QUIC_BYTE);
        is_raw
            && bytes.len() <= MAX_RAW_DATAGRAM
            && self.connectionless.push(canonical(to), None, bytes.to_vec())
    }

    /// Dials the peer at `to` unless there is a connection, or one on its way. Returns the peer
    /// if it is authenticated already; else [`EndpointEvent::Connected`] will tell, or
    /// [`EndpointEvent::SendFailed`].
    ///
    /// # Errors
    /// [`SendFailure::Unavailable`] if there can be no further connection.
    pub fn connect(
        &mut self,
        to: SocketAddr,
        now: Instant,
    ) -> Result<Option<Arc<PeerIdentity>>, SendFailure> {
        self.now = now;
        let key = self.connection_for(canonical(to), None, Urgency::Stream)?;
        Ok(self.pool.get_mut(key).and_then(Connection::await_peer))
    }

    /// Opens a bidirectional stream to the peer at `to`, dialing it if need be, and calls it
    /// `token`: one of [`StreamToken::from_caller`] that no stream has. Data may be written at
    /// once. `expected` is the name that the peer's certificate must prove. If the stream is not
    /// over by `deadline` it fails; [`set_deadline`](Self::set_deadline) moves or lifts that.
    ///
    /// A stream that cannot be opened fails with
    /// [`StreamFailed`](EndpointEvent::StreamFailed): among other reasons, because the token names
    /// a stream already, which is a mistake of the caller and panics in debug builds.
    pub fn open_stream(
        &mut self,
        token: StreamToken,
        to: SocketAddr,
        expected: Option<&[u8]>,
        deadline: Instant,
        now: Instant,
    ) {
        self.now = now;
        if let Err(reason) = self.try_open_stream(token, canonical(to), expected, deadline) {
            self.context.emit(EndpointEvent::StreamFailed { stream: token, reason });
        }
    }

    fn try_open_stream(
        &mut self,
        token: StreamToken,
        to: SocketAddr,
        expected: Option<&[u8]>,
        deadline: Instant,
    ) -> Result<(), StreamError> {
        if self.context.is_taken(token) {
            debug_assert!(false, "the token {token} is in use, or is one that the endpoint mints");
            return Err(StreamError::TokenInUse);
        }
        let key = self
            .connection_for(to, expected, Urgency::Stream)
            .map_err(|_| StreamError::Unavailable)?;
        let connection = self.pool.get_mut(key).ok_or(StreamError::Unavailable)?;
        let stream = StreamState::opening(token, expected, deadline);
        connection.adopt_stream(&mut self.context, stream, self.now);
        self.schedule(key);
        Ok(())
    }

    /// The connection to use for `to`, dialing if there is none.
    pub(super) fn connection_for(
        &mut self,
        to: SocketAddr,
        expected: Option<&[u8]>,
        urgency: Urgency,
    ) -> Result<ConnectionKey, SendFailure> {
        if self.shutdown.is_some() {
            return Err(SendFailure::Unavailable);
        }
        if let Some(connection) = self.pool.choose(to, expected).and_then(|key| self.pool.get(key))
        {
            let key = connection.key();
            if !connection.is_stalled(&self.context, self.now) {
                return Ok(key);
            }
            // Whatever is sent into a black hole fills the congestion window and leaves late.
            self.context.count().stalled += 1;
            self.retire(key, CloseReason::TimedOut, STALLED);
        }
        if !self.pool.may_dial(to, urgency, self.now) {
            return Err(SendFailure::Backoff);
        }
        self.dial(to).ok_or(SendFailure::Unavailable)
    }

    pub(super) fn dial(&mut self, to: SocketAddr) -> Option<ConnectionKey> {
        self.make_room()?;
        let key = self.pool.next_key()?;
        let id = self.context.secrets_mut().fresh_id(to);
        self.tls.set_stateless_reset_token(None);
        let id_for_quic = quiche::ConnectionId::from_ref(&id);
        let quic = match quiche::connect(None, &id_for_quic, LOCAL, to, &mut self.tls) {
            Ok(quic) => quic,
            Err(error) => {
                log::error!("cannot begin a dial to {to}: {error:?}");
                return None;
            }
        };
        self.context.count().dials += 1;
        let deadline = self.now + self.context.limits().dial_timeout;
        let beginning = Beginning { key, address: to, id, dialed: true, now: self.now, deadline };
        self.pool.insert(Box::new(Connection::new(quic, &beginning)));
        self.schedule(key);
        Some(key)
    }

    /// This machine's kernel refused to send a datagram. It is lost; a dial to the same address
    /// fails at once if the next one would be refused as well.
    pub fn handle_send_error(&mut self, to: SocketAddr, reason: KernelRefusal, now: Instant) {
        self.now = now;
        let to = canonical(to);
        if self.send_errors.note(reason, to, now) {
            self.context.emit(EndpointEvent::SendError { to, reason });
        }
        if !reason.is_lasting() {
            return;
        }
        for key in self.pool.at(to).to_vec() {
            let is_dial = self.pool.get(key).is_some_and(|connection| {
                connection.dialed() && connection.phase() == ConnectionPhase::Handshaking
            });
            if is_dial {
                self.end(key, &Ending::Kernel(reason));
            }
        }
    }

    /// Lets the connection that has the stream act, and queues it for sending if the result says
    /// so: who asks in vain must not keep the driver awake.
    pub(super) fn with_connection<R>(
        &mut self,
        stream: StreamToken,
        act: impl FnOnce(Found<'_>) -> R,
        wakes: impl FnOnce(&R) -> bool,
    ) -> Option<R> {
        let StreamLocation { connection: key, slot } = self.context.streams().locate(stream)?;
        let Some(connection) = self.pool.get_mut(key) else {
            debug_assert!(false, "the stream {stream} is on a connection that is gone");
            return None;
        };
        let result = act(Found { connection, context: &mut self.context, slot, now: self.now });
        if wakes(&result) {
            self.schedule(key);
        }
        Some(result)
    }

    /// The peer grants no stream: what waits for one moves to a new connection.
    pub(super) fn replace_starved(&mut self, key: ConnectionKey) {
        let grace = self.context.limits().duplicate_grace;
        let Some(connection) = self.pool.get_mut(key) else { return };
        let (address, waiting) = (connection.address(), connection.release_waiting());
        // What waits there misses its deadlines one by one; it is replaced only once.
        let is_first = self.retire(key, CloseReason::Superseded, grace);
        self.context.count().credit_replacements += u64::from(is_first);
        let next = self.pool.choose(address, None).filter(|next| *next != key);
        let next = next.or_else(|| self.dial(address));
        let Some((next, connection)) = next.and_then(|key| Some((key, self.pool.get_mut(key)?)))
        else {
            for stream in waiting {
                let reason = StreamError::Unavailable;
                // Nobody waits for a stream that the application is done with.
                if self.context.streams_mut().remove(stream.token()) {
                    let stream = stream.token();
                    self.context.emit(EndpointEvent::StreamFailed { stream, reason });
                }
            }
            return;
        };
        for stream in waiting {
            connection.adopt_stream(&mut self.context, stream, self.now);
        }
        self.schedule(next);
    }
}

/// Where a stream is, and what is needed to use it.
pub(super) struct Found<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) context: &'a mut EndpointContext,
    pub(super) slot: StreamSlot,
    pub(super) now: Instant,
}

/// How long a connection that fell silent is kept in case it was only slow.
const STALLED: Duration = Duration::from_secs(30);
