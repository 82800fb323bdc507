//! From a UDP datagram to its connection, or to the answer that strangers get.
//!
//! Decides who is a stranger, when a stranger may begin a handshake, and when it is told that
//! its connection is gone. Nothing is stored for an address that has proved nothing, beyond the
//! bounded number of handshakes.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use quiche::{ConnectionId, Header, Type};

use super::{Endpoint, FIRST_QUIC_BYTE, OUTBOX, canonical};
use crate::connection::{Connection, Ending, LOCAL};
use crate::connection_id::{ID_LENGTH, Id};
use crate::connection_key::ConnectionKey;
use crate::event::EndpointEvent;
use crate::reason::{CloseReason, Refusal};
use crate::{reset, token};

impl Endpoint {
    /// A UDP datagram arrived from `from`; `to` is the local address it was sent to, if known.
    /// The bytes are decrypted in place.
    pub fn handle_udp(
        &mut self,
        from: SocketAddr,
        to: Option<IpAddr>,
        bytes: &mut [u8],
        now: Instant,
    ) {
        self.now = now;
        let from = canonical(from);
        let to = to.map(|ip| ip.to_canonical());
        self.shared.stats.udp_received += 1;
        self.shared.stats.bytes_received += u64::try_from(bytes.len()).unwrap_or(0);
        match bytes.first() {
            None => {}
            Some(&first) if first < FIRST_QUIC_BYTE => {
                self.shared
                    .emit_payload(EndpointEvent::RawDatagram { from, bytes: bytes.to_vec() });
            }
            Some(&first) if first & LONG_HEADER != 0 => self.long_header(from, to, bytes),
            Some(_) => self.short_header(from, to, bytes),
        }
    }

    fn short_header(&mut self, from: SocketAddr, to: Option<IpAddr>, bytes: &mut [u8]) {
        let Some(id) = bytes.get(1..=ID_LENGTH).and_then(|id| Id::try_from(id).ok()) else {
            self.shared.stats.stray_datagrams += 1;
            return;
        };
        if let Some(key) = self.pool.by_id(&id) {
            self.hand_over(key, from, to, bytes);
            return;
        }
        // A reset comes under a random id; only its end tells whom it concerns.
        if let Some(key) = reset::token_of(bytes).and_then(|token| self.pool.by_token(&token))
            && self.pool.get(key).is_some_and(|connection| connection.address == from)
        {
            self.shared.stats.resets_received += 1;
            self.end(key, &Ending::Closed(CloseReason::Reset));
            return;
        }
        self.shared.stats.stray_datagrams += 1;
        if !self.resets.admit(self.shared.config.limits.resets_per_second, self.now) {
            self.shared.stats.resets_withheld += 1;
            return;
        }
        if let Some(packet) = reset::build(&mut self.shared.secrets, &id, bytes.len()) {
            self.shared.stats.resets_sent += 1;
            self.answer(from, to, packet);
        }
    }

    fn long_header(&mut self, from: SocketAddr, to: Option<IpAddr>, bytes: &mut [u8]) {
        let Ok(header) = Header::from_slice(bytes, ID_LENGTH) else {
            self.shared.stats.stray_datagrams += 1;
            return;
        };
        if let Some(key) = self.pool.by_id(&header.dcid) {
            self.hand_over(key, from, to, bytes);
            return;
        }
        // Servers ignore Initials in small datagrams (RFC 9000 section 14.1), so that answers
        // never amplify.
        if bytes.len() < LEAST_INITIAL || self.shutdown.is_some() {
            self.shared.stats.stray_datagrams += 1;
            return;
        }
        if !quiche::version_is_supported(header.version) {
            self.negotiate_version(from, to, &header);
            return;
        }
        if header.ty != Type::Initial || header.dcid.len() < ID_LENGTH {
            self.shared.stats.stray_datagrams += 1;
            return;
        }
        let derived = self.shared.secrets.accepted_id(from, &header.dcid);
        if let Some(key) = self.pool.by_id(&derived) {
            self.hand_over(key, from, to, bytes);
            return;
        }
        if let Some(key) = self.accept(from, to, &header, derived) {
            self.hand_over(key, from, to, bytes);
        }
    }

    fn hand_over(
        &mut self,
        key: ConnectionKey,
        from: SocketAddr,
        to: Option<IpAddr>,
        bytes: &mut [u8],
    ) {
        let Some(connection) = self.pool.get_mut(key) else { return };
        if connection.address != from {
            // A peer whose address changed dials anew once this connection falls silent.
            self.shared.stats.moved_peers += 1;
            return;
        }
        connection.receive(bytes, to);
        self.settle(key);
    }

    /// Takes on a new connection, unless there are too many.
    fn accept(
        &mut self,
        from: SocketAddr,
        to: Option<IpAddr>,
        header: &Header<'_>,
        derived: Id,
    ) -> Option<ConnectionKey> {
        let uptime = self.now.saturating_duration_since(self.started);
        let token = header.token.as_deref().unwrap_or_default();
        let proven = token::check(&self.shared.secrets, from, token, &header.dcid, uptime);
        self.shared.stats.bad_retry_tokens += u64::from(proven.is_none() && !token.is_empty());
        let limits = &self.shared.config.limits;
        if self.pool.accepting() >= limits.half_open {
            self.shared.refuse_quietly(Refusal::TooMany);
            return None;
        }
        if proven.is_none() && self.pool.accepting() >= limits.handshakes {
            self.demand_proof(from, to, header, derived);
            return None;
        }
        if self.make_room().is_none() {
            self.shared.refuse_quietly(Refusal::TooMany);
            return None;
        }
        let key = self.pool.next_key()?;
        // After a Retry the client addresses the id that the Retry gave it.
        let id = match proven {
            Some(_) => Id::try_from(header.dcid.as_ref()).ok()?,
            None => derived,
        };
        let token = u128::from_be_bytes(self.shared.secrets.reset_token(&id));
        self.tls.set_stateless_reset_token(Some(token));
        let original = proven.map(ConnectionId::from_ref);
        let id_for_quic = ConnectionId::from_ref(&id);
        let quic =
            quiche::accept(&id_for_quic, original.as_ref(), LOCAL, from, &mut self.tls).ok()?;
        self.shared.stats.accepted += 1;
        let deadline = self.now + self.shared.config.limits.dial_timeout;
        let mut connection = Connection::new(quic, key, from, id, false, self.now, deadline);
        if original.is_none() {
            connection.distrust_address();
        }
        self.pool.insert(Box::new(connection));
        Some(key)
    }

    fn demand_proof(&mut self, from: SocketAddr, to: Option<IpAddr>, header: &Header<'_>, id: Id) {
        let uptime = self.now.saturating_duration_since(self.started);
        let token = token::mint(&self.shared.secrets, from, &header.dcid, &id, uptime);
        let mut packet = vec![0; LEAST_INITIAL];
        let id = ConnectionId::from_ref(&id);
        let written =
            quiche::retry(&header.scid, &header.dcid, &id, &token, header.version, &mut packet);
        if let Ok(length) = written {
            packet.truncate(length);
            self.shared.stats.retries_sent += 1;
            self.answer(from, to, packet);
        }
    }

    fn negotiate_version(&mut self, from: SocketAddr, to: Option<IpAddr>, header: &Header<'_>) {
        if header.ty == Type::VersionNegotiation {
            return;
        }
        self.shared.refuse_quietly(Refusal::VersionMismatch);
        let mut packet = vec![0; LEAST_INITIAL];
        if let Ok(length) = quiche::negotiate_version(&header.scid, &header.dcid, &mut packet) {
            packet.truncate(length);
            self.answer(from, to, packet);
        }
    }

    /// Queues a datagram that belongs to no connection, unless too many wait.
    pub(super) fn answer(&mut self, to: SocketAddr, source: Option<IpAddr>, packet: Vec<u8>) {
        if self.outbox.len() < OUTBOX {
            self.outbox.push_back((to, source, packet));
        }
    }
}

const LONG_HEADER: u8 = 0x80;
/// Least size of a datagram with an Initial (RFC 9000 section 14.1).
const LEAST_INITIAL: usize = 1200;
