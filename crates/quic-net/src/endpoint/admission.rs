//! Which connections stay: of two to one peer, of too many, of those that grow old, and what
//! follows when one ends.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use super::Endpoint;
use crate::canonical_address::canonical;
use crate::connection::{Connection, ConnectionPhase, Ending};
use crate::connection_key::ConnectionKey;
use crate::event::{EndpointEvent, PeerIdentity, Protocol};
use crate::reason::{CloseReason, Refusal};

impl Endpoint {
    /// TLS is done.
    pub(super) fn note_established(&mut self, key: ConnectionKey) {
        self.pool.note_handshake_over(key);
        self.keep_certificate_limit(key);
    }

    /// Now an incoming connection may take the place of an idle one. Before, nothing made way for
    /// it. If none is idle, as may be where many handshakes end at once, it cannot stay.
    fn keep_connection_limit(&mut self, key: ConnectionKey) {
        if self.pool.established() <= self.context.limits().connections {
            return;
        }
        if let Some(idle) = self.pool.evictable(self.now).filter(|idle| *idle != key) {
            self.context.count().evicted += 1;
            self.end(idle, &Ending::Closed(CloseReason::Evicted));
        } else {
            if let Some(address) = self.pool.get(key).map(Connection::address) {
                self.turn_away(address);
            }
            self.end(key, &Ending::Closed(CloseReason::Evicted));
        }
    }

    /// Takes a place for a handshake from this address, whether that `is_validated` or may be
    /// forged; another handshake may have to make way. False if there is none.
    ///
    /// Connections make way only for peers that have proved who they are.
    pub(super) fn take_place(&mut self, from: SocketAddr, is_validated: bool) -> bool {
        let limits = self.context.limits();
        let (places, connections) = (limits.half_open, limits.connections);
        if self.pool.established() >= connections && self.pool.evictable(self.now).is_none() {
            return false;
        }
        let half_open = self.pool.half_open();
        let has_share =
            !self.is_crowded() || half_open.count_from(from) < places.div_ceil(PREFIX_SHARE);
        if has_share && half_open.len() < places {
            return true;
        }
        let displaced = match has_share {
            true => half_open.displaced(from),
            false => half_open.displaced_within_prefix(from),
        };
        // Whoever may not be there at all displaces nobody.
        let Some(displaced) = displaced.filter(|_| is_validated) else { return false };
        if !displaced.is_fairer && !self.crowd.admit_replacement(places, self.now) {
            return false;
        }
        if let Some(address) = self.pool.get(displaced.key).map(Connection::address) {
            self.context.count().handshakes_displaced += 1;
            self.turn_away(address);
        }
        self.end(displaced.key, &Ending::Closed(CloseReason::Evicted));
        true
    }

    /// Whether half of the places for handshakes are taken.
    pub(super) fn is_crowded(&self) -> bool {
        2 * self.pool.half_open().len() >= self.context.limits().half_open
    }

    /// Counts a handshake that is turned away, and reports it now and then.
    pub(super) fn turn_away(&mut self, from: SocketAddr) {
        if !self.crowd.is_report_due(self.now) {
            return self.context.refuse_quietly(Refusal::TooMany);
        }
        let (held, half_open) = (self.pool.established(), self.pool.half_open().len());
        let detail = format!(
            "{held} connections are held and {half_open} handshakes under way: more are turned away"
        );
        self.context.refuse(from, Refusal::TooMany, detail);
    }

    fn keep_certificate_limit(&mut self, key: ConnectionKey) {
        let limit = self.context.limits().per_certificate;
        if let Some(oldest) = self.pool.beyond_certificate_limit(key, limit) {
            self.context.count().certificate_limit_closed += 1;
            self.end(oldest, &Ending::Closed(CloseReason::Evicted));
        }
    }

    /// The peer is known to have accepted us.
    pub(super) fn note_confirmed(&mut self, key: ConnectionKey) {
        self.confirmations += 1;
        self.context.count().confirmed += 1;
        let Some(connection) = self.pool.get_mut(key) else { return };
        connection.note_confirmation(self.confirmations);
        let (address, dialed) = (connection.address(), connection.dialed());
        self.note_name(key);
        self.pool.forget_failures(address);
        self.retire_duplicates(key);
        if !dialed {
            self.keep_connection_limit(key);
        }
    }

    /// Whom the connection belongs to may be known since just now.
    fn note_name(&mut self, key: ConnectionKey) {
        let peer = self.pool.get(key).and_then(Connection::peer);
        if let Some(name) = peer.and_then(|peer| peer.name.clone()) {
            self.pool.add_name(name, key);
            self.keep_certificate_limit(key);
        }
    }

    /// The layer above knows who is at an address: connections to it whose certificate proves
    /// several names, this one among them, and on which the peer has not said which is its own,
    /// belong to `name` from here on. That concerns the classic protocol, which has no HELLO.
    pub fn set_peer_name(&mut self, address: SocketAddr, name: &[u8]) {
        for key in self.pool.at(canonical(address)).to_vec() {
            let connection = self
                .pool
                .get_mut(key)
                .filter(|connection| connection.phase() == ConnectionPhase::Confirmed);
            if connection.is_some_and(|connection| connection.set_peer_name(name)) {
                self.note_name(key);
            }
        }
    }

    /// Retires one of two connections between the same two peers, the same one on both sides.
    fn retire_duplicates(&mut self, fresh: ConnectionKey) {
        let Some(connection) = self.pool.get(fresh) else { return };
        let limits = self.context.limits();
        let (ours, dial_timeout) = (&self.context.config().name, limits.dial_timeout);
        let grace = limits.duplicate_grace;
        let others = self.pool.at(connection.address()).iter().filter(|key| **key != fresh);
        let losers: Vec<(ConnectionKey, CloseReason)> = others
            .filter_map(|key| duplicate(connection, self.pool.get(*key)?, ours, dial_timeout))
            .collect();
        for (key, reason) in losers {
            self.context.count().duplicates += 1;
            self.retire(key, reason, grace);
        }
    }

    /// Uses a connection for nothing new, and closes it after `grace`, or when its streams have
    /// ended. The first retirement counts; whether this one is. Of more than [`MAX_RETIRED`] to
    /// one peer, the one that was used longest ago is closed.
    pub(super) fn retire(
        &mut self,
        key: ConnectionKey,
        reason: CloseReason,
        grace: Duration,
    ) -> bool {
        let close_at = self.now + grace;
        let Some(connection) = self.pool.get(key) else { return false };
        let address = connection.address();
        let features = self.pool.features_at(address);
        let connection = self.pool.get_mut(key);
        let is_first = connection.is_some_and(|connection| connection.retire(reason, close_at));
        if is_first {
            self.rearm(key);
            self.report_features_unless(address, features.as_deref());
            if let Some(oldest) = self.pool.beyond_retired_limit(key, MAX_RETIRED) {
                self.end(oldest, &Ending::Closed(CloseReason::Evicted));
            }
        }
        is_first
    }

    /// Makes connections anew that were begun with a former certificate of ours.
    pub(super) fn renew(&mut self) {
        let limits = self.context.limits();
        let (grace, dial_timeout) = (limits.duplicate_grace, limits.dial_timeout);
        let steps = self.renewal.look(&self.pool, dial_timeout, self.now);
        for key in steps.retire {
            self.context.count().recycled += 1;
            self.retire(key, CloseReason::Recycled, grace);
        }
        for address in steps.dial {
            self.dial(address);
        }
    }

    /// Closes every connection whose peer matches, for revoked certificates; returns how many.
    pub fn close_where(
        &mut self,
        reason: CloseReason,
        now: Instant,
        mut matches: impl FnMut(&PeerIdentity) -> bool,
    ) -> usize {
        self.now = now;
        let held = self.pool.iter().filter(|held| held.peer().is_some_and(|peer| matches(peer)));
        let keys: Vec<_> = held.map(Connection::key).collect();
        for key in &keys {
            self.end(*key, &Ending::Closed(reason.clone()));
        }
        keys.len()
    }

    /// Closes every connection of which a certificate, the peer's or ours, has ended by
    /// `wall_clock`; call it about once a second. Returns how many.
    pub fn close_expired(&mut self, wall_clock: SystemTime, now: Instant) -> usize {
        self.close_where(CloseReason::Expired, now, |peer| {
            peer.expires.is_some_and(|expires| expires <= wall_clock)
        })
    }

    /// Reports the features of the peer at an address, unless they are what they were.
    fn report_features_unless(&mut self, to: SocketAddr, before: Option<&[u8]>) {
        let features = self.pool.features_at(to);
        if features.as_deref() != before {
            self.context.emit(EndpointEvent::PeerFeatures { to, features });
        }
    }

    /// Makes room for one connection that we dial; `None` if every one held is in use. Incoming
    /// handshakes have places of their own: they neither prevent dials nor displace anybody.
    pub(super) fn make_room(&mut self) -> Option<()> {
        if self.pool.established() >= self.context.limits().connections {
            let key = self.pool.evictable(self.now)?;
            self.context.count().evicted += 1;
            self.end(key, &Ending::Closed(CloseReason::Evicted));
        }
        Some(())
    }

    /// Closes what is idle, replaces what is old.
    pub(super) fn sweep(&mut self) {
        self.pool.sweep(self.now);
        for key in self.pool.keys() {
            let Some(connection) = self.pool.get(key) else { continue };
            if connection.phase() == ConnectionPhase::Handshaking || connection.is_retired() {
                continue;
            }
            let config = self.context.config();
            let limits = &config.limits;
            let is_extended = connection.protocol() == Some(Protocol::Extended);
            let longest = config.extended_idle_timeout.filter(|_| is_extended);
            let idle = self.now.saturating_duration_since(connection.last_payload());
            let age = self.now.saturating_duration_since(connection.born());
            let grace = limits.duplicate_grace;
            let raise = limits.path_mtu_raise_interval;
            if connection.is_quiet() && idle >= longest.unwrap_or(limits.idle_timeout) {
                self.context.count().idle_closed += 1;
                self.end(key, &Ending::Closed(CloseReason::Idle));
            } else if age >= oldest_age(limits.max_connection_age) {
                self.context.count().recycled += 1;
                self.retire(key, CloseReason::Recycled, grace);
            } else if self.pool.is_path_mtu_worth_a_try(key, raise, self.now) {
                // quiche never looks for a larger path MTU again; a new connection does.
                self.context.count().recycled += 1;
                self.retire(key, CloseReason::Recycled, grace);
            }
        }
        self.close_beyond_idle_limit();
    }

    /// Closes idle connections beyond the soft target, those unused longest first.
    fn close_beyond_idle_limit(&mut self) {
        while self.pool.established() > self.context.limits().max_idle_connections
            && let Some(key) = self.pool.evictable(self.now)
        {
            self.context.count().idle_limit_closed += 1;
            self.end(key, &Ending::Closed(CloseReason::Evicted));
        }
    }

    /// During a shutdown: closes connections that have sent everything, or all at its deadline.
    pub(super) fn close_quiet_ones(&mut self) {
        let is_over = self.shutdown.is_some_and(|deadline| self.now >= deadline);
        for key in self.pool.keys() {
            let has_sent = |connection: &Connection| {
                let idle = self.now.saturating_duration_since(connection.last_payload());
                connection.is_quiet()
                    && !self.scheduler.is_queued(key)
                    && idle >= connection.loss_detection_time()
            };
            let is_done = self.pool.get(key).is_some_and(|connection| {
                is_over
                    || connection.phase() == ConnectionPhase::Handshaking
                    || has_sent(connection)
            });
            if is_done {
                self.end(key, &Ending::Closed(CloseReason::Shutdown));
            }
        }
    }

    /// Ends a connection and tells everybody concerned.
    pub(super) fn end(&mut self, key: ConnectionKey, ending: &Ending) {
        let Some(connection) = self.pool.get_mut(key) else { return };
        let (address, source) = (connection.address(), connection.source());
        let reason = ending.reason();
        if let CloseReason::Refused(refusal) = reason {
            let describe_names = &self.context.config().describe_names;
            let detail = connection.refusal_detail(refusal, describe_names);
            self.context.refuse(address, refusal, detail);
        }
        if reason == CloseReason::LabelMismatch {
            let detail = reason.to_string();
            self.context.refuse(address, Refusal::LabelMismatch, detail);
        }
        connection.fail_all(&mut self.context, ending);
        if reason != CloseReason::Reset {
            for (to, packet) in connection.close(&reason) {
                self.connectionless.push(to, source, packet);
            }
        }
        self.scheduler.forget(key);
        let features = self.pool.features_at(address);
        let Some(connection) = self.pool.remove(key) else { return };
        self.report_features_unless(address, features.as_deref());
        if connection.phase() == ConnectionPhase::Confirmed {
            self.pool.note_past_peer(address, self.now);
            if let Some(peer) = connection.peer().cloned() {
                self.context.emit(EndpointEvent::Closed { peer, reason });
            }
        } else if connection.dialed() && is_failure(&reason) {
            self.context.count().dials_failed += 1;
            let jitter = f64::from(self.context.secrets_mut().fresh_number()) / f64::from(u32::MAX);
            self.pool.note_dial_failed(address, self.context.limits(), jitter, self.now);
        }
    }
}

/// Which of two connections to one address is to go, if that can be told; both sides come to the
/// same answer. `ours` is our name in HELLO.
fn duplicate(
    fresh: &Connection,
    other: &Connection,
    ours: &[u8],
    dial_timeout: Duration,
) -> Option<(ConnectionKey, CloseReason)> {
    let extended = Some(Protocol::Extended);
    if other.phase() != ConnectionPhase::Confirmed
        || other.is_retired()
        || fresh.protocol() != extended
        || other.protocol() != extended
        || fresh.hello_name() != other.hello_name()
    {
        return None;
    }
    let apart = fresh.born().saturating_duration_since(other.born());
    if fresh.dialed() == other.dialed() || apart > dial_timeout {
        // Who dials again does not have the older one any more, or does not want it.
        return Some((other.key(), CloseReason::Superseded));
    }
    let theirs = fresh.hello_name()?;
    if theirs == ours {
        return None;
    }
    // Both dialed at the same time: the connection stays that the lower name dialed.
    let loser = if fresh.dialed() == (ours < theirs) { other } else { fresh };
    Some((loser.key(), CloseReason::Duplicate))
}

/// Whether a dial that ended for this reason failed, rather than being called off by us.
fn is_failure(reason: &CloseReason) -> bool {
    match reason {
        CloseReason::Requested
        | CloseReason::Shutdown
        | CloseReason::Idle
        | CloseReason::Duplicate
        | CloseReason::Superseded
        | CloseReason::Recycled
        | CloseReason::Evicted => false,
        CloseReason::LabelMismatch
        | CloseReason::Revoked
        | CloseReason::Expired
        | CloseReason::Reset
        | CloseReason::TimedOut
        | CloseReason::TooManyPieces
        | CloseReason::ByPeer { .. }
        | CloseReason::Refused(_)
        | CloseReason::Violation(_) => true,
    }
}

/// The age at which a connection is replaced, where the application asks for `wanted`.
fn oldest_age(wanted: Duration) -> Duration {
    if wanted.is_zero() { KEY_AGE } else { wanted.min(KEY_AGE) }
}

/// Connections to one peer that make way for others and still have streams: more only if the peer
/// or the application replaces them faster than their streams end.
const MAX_RETIRED: usize = 8;
/// Age of a key.
const KEY_AGE: Duration = Duration::from_secs(24 * 3600);
/// While handshakes are crowded, one prefix of addresses has one in so many of all places.
const PREFIX_SHARE: usize = 4;
