//! From a UDP datagram to its connection, or to the answer for an unknown sender: a handshake, a
//! Retry (see [`retry`]), a stateless reset, or other versions.
//!
//! Nothing is stored for an address that has proved nothing, beyond the bounded number of
//! handshakes.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use quiche::{ConnectionId, Header, Type};

use super::{Endpoint, FIRST_QUIC_BYTE};
use crate::canonical_address::canonical;
use crate::connection::{Beginning, Connection, Ending, LOCAL};
use crate::connection_id::{ID_LENGTH, Id};
use crate::connection_key::ConnectionKey;
use crate::event::EndpointEvent;
use crate::long_header::{LONG_HEADER, is_short};
use crate::reason::{CloseReason, Refusal};
use crate::source_shares::Acquaintance;
use crate::{reset, retry};

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
        let stats = self.context.count();
        stats.udp_received += 1;
        stats.bytes_received += u64::try_from(bytes.len()).unwrap_or(0);
        match bytes.first() {
            None => {}
            Some(&first) if first < FIRST_QUIC_BYTE => {
                let bytes = bytes.to_vec();
                self.context.emit_raw(EndpointEvent::RawDatagram { from, bytes });
            }
            Some(&first) if first & LONG_HEADER != 0 => self.handle_long_header(from, to, bytes),
            Some(_) => self.handle_short_header(from, to, bytes),
        }
    }

    fn handle_short_header(&mut self, from: SocketAddr, to: Option<IpAddr>, bytes: &mut [u8]) {
        let Some(id) = bytes.get(1..=ID_LENGTH).and_then(|id| Id::try_from(id).ok()) else {
            self.context.count().stray_datagrams += 1;
            return;
        };
        if let Some(key) = self.pool.by_id(&id) {
            self.hand_over(key, from, to, bytes);
            return;
        }
        // A reset comes under a random id; only its end tells whom it concerns.
        if let Some(key) = reset::token_of(bytes).and_then(|token| self.pool.by_reset_token(&token))
            && self.pool.get(key).is_some_and(|connection| connection.path() == from)
        {
            self.context.count().resets_received += 1;
            self.end(key, &Ending::Closed(CloseReason::Reset));
            return;
        }
        self.context.count().stray_datagrams += 1;
        let acquaintance = if self.pool.knows(from, self.now) {
            Acquaintance::Peer
        } else if self.context.secrets().is_id_for(from, &id) {
            Acquaintance::Addressee
        } else {
            Acquaintance::Stranger
        };
        let per_second = self.context.limits().resets_per_second;
        if !self.resets.admit(from, acquaintance, per_second, self.now) {
            self.context.count().resets_withheld += 1;
            return;
        }
        if let Some(packet) = reset::build(self.context.secrets_mut(), &id, bytes.len()) {
            self.context.count().resets_sent += 1;
            self.connectionless.push(from, to, packet);
        }
    }

    fn handle_long_header(&mut self, from: SocketAddr, to: Option<IpAddr>, bytes: &mut [u8]) {
        let Ok(header) = Header::from_slice(bytes, ID_LENGTH) else {
            self.context.count().stray_datagrams += 1;
            return;
        };
        if let Some(key) = self.pool.by_id(&header.dcid) {
            let is_proven = self.pool.get(key).is_some_and(Connection::is_trustworthy);
            if is_proven || self.admits_handshake_packet(from, bytes) {
                self.hand_over(key, from, to, bytes);
            }
            return;
        }
        // Servers ignore Initials in small datagrams (RFC 9000 section 14.1), so that answers
        // never amplify.
        if bytes.len() < LEAST_INITIAL || self.shutdown.is_some() {
            self.context.count().stray_datagrams += 1;
            return;
        }
        if !quiche::version_is_supported(header.version) {
            self.negotiate_version(from, to, &header);
            return;
        }
        if header.ty != Type::Initial || header.dcid.len() < ID_LENGTH {
            self.context.count().stray_datagrams += 1;
            return;
        }
        if !self.admits_handshake_packet(from, bytes) {
            return;
        }
        let derived = self.context.secrets().accepted_id(from, &header.dcid);
        let known = self.pool.by_id(&derived);
        if let Some(key) = known.or_else(|| self.accept(from, to, &header, derived)) {
            self.hand_over(key, from, to, bytes);
        }
    }

    /// Whether a packet of a handshake that a peer began may be taken; counted if not.
    fn admits_handshake_packet(&mut self, from: SocketAddr, bytes: &[u8]) -> bool {
        let admitted = self.handshake_rates.admit(from, bytes.len(), self.now);
        self.context.count().handshake_rate_drops += u64::from(!admitted);
        admitted
    }

    /// Gives a datagram to the connection that it is addressed to.
    fn hand_over(
        &mut self,
        key: ConnectionKey,
        from: SocketAddr,
        to: Option<IpAddr>,
        bytes: &mut [u8],
    ) {
        let Some(connection) = self.pool.get_mut(key) else { return };
        // The packets of a handshake come from where it began (RFC 9000 section 9).
        let may_be_elsewhere = is_short(bytes) && connection.follows_peer();
        if from != connection.address() && !may_be_elsewhere {
            self.context.count().moved_peers += 1;
            return;
        }
        let too_long = self.context.stats().handshakes_too_long;
        connection.receive(&mut self.context, bytes, from, to);
        if self.context.stats().handshakes_too_long > too_long {
            self.handshake_rates.note_too_long(from, self.now);
        }
        self.advance(key);
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
        let original = retry::check(self.context.secrets(), from, token, &header.dcid, uptime);
        let is_validated = original.is_some();
        self.context.count().bad_retry_tokens += u64::from(!is_validated && !token.is_empty());
        let half_open = self.pool.half_open().len();
        if retry::is_needed(self.context.limits(), half_open, is_validated) {
            self.send_retry(from, to, header, &derived);
            return None;
        }
        if !self.take_place(from, is_validated) {
            self.turn_away(from);
            return None;
        }
        let key = self.pool.next_key()?;
        // After a Retry the client addresses the id that the Retry gave it.
        let id = match is_validated {
            true => Id::try_from(header.dcid.as_ref()).ok()?,
            false => derived,
        };
        let reset_token = u128::from_be_bytes(self.context.secrets().reset_token(&id));
        self.tls.set_stateless_reset_token(Some(reset_token));
        let original = original.map(ConnectionId::from_ref);
        let id_for_quic = ConnectionId::from_ref(&id);
        let quic =
            quiche::accept(&id_for_quic, original.as_ref(), LOCAL, from, &mut self.tls).ok()?;
        self.context.count().accepted += 1;
        let timeout = self.context.limits().dial_timeout;
        let timeout = if self.is_crowded() { timeout / CROWDED_TIMEOUT_SHARE } else { timeout };
        let deadline = self.now + timeout;
        let beginning =
            Beginning { key, address: from, id, dialed: false, now: self.now, deadline };
        let mut connection = Connection::new(quic, &beginning);
        if !is_validated {
            connection.require_address_validation();
        }
        self.pool.insert(Box::new(connection));
        Some(key)
    }

    fn send_retry(&mut self, from: SocketAddr, to: Option<IpAddr>, header: &Header<'_>, id: &Id) {
        let uptime = self.now.saturating_duration_since(self.started);
        match retry::packet(self.context.secrets(), from, header, id, uptime) {
            Ok(packet) => {
                self.context.count().retries_sent += 1;
                self.connectionless.push(from, to, packet);
            }
            Err(error) => log::debug!("{from}: no Retry: {error:?}"),
        }
    }

    fn negotiate_version(&mut self, from: SocketAddr, to: Option<IpAddr>, header: &Header<'_>) {
        if header.ty == Type::VersionNegotiation {
            return;
        }
        self.context.refuse_quietly(Refusal::VersionMismatch);
        let mut packet = vec![0; LEAST_INITIAL];
        if let Ok(length) = quiche::negotiate_version(&header.scid, &header.dcid, &mut packet) {
            packet.truncate(length);
            self.connectionless.push(from, to, packet);
        }
    }
}

/// While handshakes are crowded, each has this part of the usual time.
const CROWDED_TIMEOUT_SHARE: u32 = 3;
/// Least size of a datagram with an Initial (RFC 9000 section 14.1), in bytes.
const LEAST_INITIAL: usize = 1200;
