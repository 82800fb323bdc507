//! Which connection to use, and when to make another one.
//!
//! Decides when to dial and how long an unreachable peer is left alone, which of two
//! connections to one peer stays, and what happens when all places are taken.

use std::net::SocketAddr;
use std::time::Duration;

use super::Endpoint;
use crate::connection::{Connection, Ending, LOCAL, Phase, Retirement};
use crate::connection_key::ConnectionKey;
use crate::error::{SendFailure, StreamError};
use crate::event::{EndpointEvent, Protocol};
use crate::reason::CloseReason;

impl Endpoint {
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
        if let Some(key) = self.pool.choose(to, expected) {
            let stalled = self.pool.get(key).is_some_and(|c| c.is_stalled(&self.shared, self.now));
            if !stalled {
                return Ok(key);
            }
            // Whatever is sent into a black hole fills the congestion window and leaves late.
            self.shared.stats.stalled += 1;
            self.retire(key, CloseReason::TimedOut, STALLED);
        }
        if urgency == Urgency::Packet && self.pool.held_back(to, self.now) {
            return Err(SendFailure::Backoff);
        }
        self.dial(to).ok_or(SendFailure::Unavailable)
    }

    pub(super) fn dial(&mut self, to: SocketAddr) -> Option<ConnectionKey> {
        self.make_room()?;
        let key = self.pool.next_key()?;
        let id = self.shared.secrets.fresh_id();
        self.tls.set_stateless_reset_token(None);
        let id_for_quic = quiche::ConnectionId::from_ref(&id);
        let quic = match quiche::connect(None, &id_for_quic, LOCAL, to, &mut self.tls) {
            Ok(quic) => quic,
            Err(error) => {
                log::error!("cannot begin a dial to {to}: {error:?}");
                return None;
            }
        };
        self.shared.stats.dials += 1;
        let deadline = self.now + self.shared.config.limits.dial_timeout;
        let connection = Connection::new(quic, key, to, id, true, self.now, deadline);
        self.pool.insert(Box::new(connection));
        self.schedule(key);
        Some(key)
    }

    pub(super) fn retire(&mut self, key: ConnectionKey, reason: CloseReason, grace: Duration) {
        if let Some(connection) = self.pool.get_mut(key)
            && connection.retired.is_none()
        {
            connection.retired = Some(Retirement { reason, close_at: self.now + grace });
            self.rearm(key);
        }
    }

    /// Retires one of two connections between the same two peers, the same one on both sides.
    pub(super) fn resolve_duplicates(&mut self, fresh: ConnectionKey) {
        let Some(connection) = self.pool.get(fresh) else { return };
        let mut losers = Vec::new();
        for key in self.pool.at(connection.address) {
            if let Some(other) = self.pool.get(*key).filter(|_| *key != fresh)
                && let Some(loses) = self.loser(connection, other)
            {
                losers.push(loses);
            }
        }
        let grace = self.shared.config.limits.duplicate_grace;
        for (key, reason) in losers {
            self.shared.stats.duplicates += 1;
            self.retire(key, reason, grace);
        }
    }

    /// Which of two connections to one address is to go, if that can be told.
    fn loser(
        &self,
        fresh: &Connection,
        other: &Connection,
    ) -> Option<(ConnectionKey, CloseReason)> {
        let extended = Some(Protocol::Extended);
        if other.phase != Phase::Confirmed
            || other.retired.is_some()
            || fresh.protocol() != extended
            || other.protocol() != extended
            || fresh.hello_name != other.hello_name
        {
            return None;
        }
        let apart = fresh.born.saturating_duration_since(other.born);
        if fresh.dialed == other.dialed || apart > self.shared.config.limits.dial_timeout {
            // Who dials again does not have the older one any more, or does not want it.
            return Some((other.key, CloseReason::Superseded));
        }
        let theirs = fresh.hello_name.as_ref()?;
        let ours = &self.shared.config.name;
        if theirs == ours {
            return None;
        }
        let keep_dialed = ours < theirs;
        let loser = if fresh.dialed == keep_dialed { other } else { fresh };
        Some((loser.key, CloseReason::Duplicate))
    }

    /// The peer grants no stream: what waits for one moves to a new connection.
    pub(super) fn replace_starved(&mut self, key: ConnectionKey) {
        let Some(connection) = self.pool.get_mut(key) else { return };
        let address = connection.address;
        // What waits there misses its deadlines one by one; it is replaced only once.
        self.shared.stats.credit_replacements += u64::from(connection.retired.is_none());
        let waiting = connection.release_waiting();
        let grace = self.shared.config.limits.duplicate_grace;
        self.retire(key, CloseReason::Superseded, grace);
        let next = self.pool.choose(address, None).filter(|next| *next != key);
        let Some(next) = next.or_else(|| self.dial(address)) else {
            for (handle, _) in waiting {
                self.shared.owners.remove(&handle);
                let reason = StreamError::Unavailable;
                self.shared.emit(EndpointEvent::StreamFailed { stream: handle, reason });
            }
            return;
        };
        if let Some(connection) = self.pool.get_mut(next) {
            for (handle, stream) in waiting {
                connection.adopt_stream(&mut self.shared, handle, stream, self.now);
            }
        }
        self.schedule(next);
    }

    /// Leaves an address alone for a while.
    pub(super) fn back_off(&mut self, address: SocketAddr) {
        let limits = &self.shared.config.limits;
        let (first, longest) = (limits.dial_backoff, limits.dial_backoff_max);
        let jitter = f64::from(self.shared.secrets.fresh_number()) / f64::from(u32::MAX);
        let record = self.pool.record(address);
        let pause = first.saturating_mul(1 << record.failures.min(16)).min(longest);
        record.failures = record.failures.saturating_add(1);
        record.not_before = Some(self.now + pause.mul_f64(0.5 + jitter / 2.0));
    }

    /// Makes room for one connection; `None` if every one held is in use.
    pub(super) fn make_room(&mut self) -> Option<()> {
        if self.pool.len() < self.shared.config.limits.connections {
            return Some(());
        }
        let key = self.pool.evictable(self.now)?;
        self.shared.stats.evicted += 1;
        self.end(key, &Ending::Closed(CloseReason::Evicted));
        Some(())
    }

    /// Closes idle connections beyond the soft target, those unused longest first.
    pub(super) fn cool_down(&mut self) {
        let warm = self.shared.config.limits.warm_connections;
        while self.pool.len() > warm
            && let Some(key) = self.pool.evictable(self.now)
        {
            self.shared.stats.cooled += 1;
            self.end(key, &Ending::Closed(CloseReason::Evicted));
        }
    }

    /// Keeps one certificate from taking every place: its own connection that was used longest
    /// ago makes room. Where names are not enforced many peers may share a certificate.
    pub(super) fn limit_certificate(&mut self, fresh: ConnectionKey) {
        let Some(peer) = self.pool.get(fresh).and_then(|connection| connection.peer.clone()) else {
            return;
        };
        if peer.names.is_empty() {
            return;
        }
        let same = |connection: &&Connection| {
            connection.peer.as_ref().is_some_and(|other| other.fingerprint == peer.fingerprint)
        };
        if self.pool.iter().filter(same).count() <= self.shared.config.limits.per_certificate {
            return;
        }
        let others = self.pool.iter().filter(same).filter(|connection| connection.key != fresh);
        let oldest = others.min_by_key(|connection| connection.last_payload);
        if let Some(key) = oldest.map(|connection| connection.key) {
            self.shared.stats.certificate_limit_closed += 1;
            self.end(key, &Ending::Closed(CloseReason::Evicted));
        }
    }
}

/// Whether a pause after failed dials is respected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    Packet,
    Stream,
}

/// How long a connection that fell silent is kept in case it was only slow.
const STALLED: Duration = Duration::from_secs(30);
