//! The connections of an endpoint, and the tables that lead to them: by key, by connection id, by
//! reset token, by name, by address.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backoff::{Backoff, Urgency};
use crate::connection::{Connection, ConnectionPhase};
use crate::connection_id::{Id, ResetToken};
use crate::connection_key::ConnectionKey;
use crate::half_open::HalfOpen;
use crate::limits::Limits;
use crate::past_peers::PastPeers;

/// The connections of an endpoint. Bounded by [`Limits::connections`].
#[derive(Default)]
pub(crate) struct Pool {
    places: Vec<PoolPlace>,
    free: Vec<u32>,
    ids: HashMap<Id, ConnectionKey>,
    reset_tokens: HashMap<ResetToken, ConnectionKey>,
    names: HashMap<Arc<[u8]>, ConnectionKey>,
    addresses: BTreeMap<SocketAddr, AddressRecord>,
    past_peers: PastPeers,
    /// Handshakes of accepted connections under way.
    half_open: HalfOpen,
}

/// What is remembered of an address.
#[derive(Debug, Default)]
struct AddressRecord {
    connections: Vec<ConnectionKey>,
    backoff: Backoff,
    /// The largest UDP payload that a connection was found to carry.
    widest_path: usize,
    /// How many connections in a row were replaced because they carried less.
    path_tries: u32,
}

#[derive(Default)]
struct PoolPlace {
    generation: u32,
    connection: Option<Box<Connection>>,
}

impl Pool {
    /// The key that [`insert`](Self::insert) will use next; `None` at 2^32 connections.
    pub(crate) fn next_key(&self) -> Option<ConnectionKey> {
        let index = match self.free.last() {
            Some(&index) => index,
            None => u32::try_from(self.places.len()).ok()?,
        };
        let generation = self.place(index).map_or(0, |place| place.generation);
        Some(ConnectionKey::new(index, generation))
    }

    /// Takes a connection whose key came from [`next_key`](Self::next_key).
    pub(crate) fn insert(&mut self, connection: Box<Connection>) {
        let key = connection.key();
        debug_assert_eq!(self.next_key(), Some(key), "one connection is made at a time");
        if self.free.pop().is_none() {
            self.places.push(PoolPlace::default());
        }
        for id in connection.ids() {
            self.ids.insert(*id, key);
        }
        if !connection.dialed() {
            self.half_open.insert(key, connection.address(), connection.is_address_validated());
        }
        self.addresses.entry(connection.address()).or_default().connections.push(key);
        if let Some(place) = self.place_mut(key.index()) {
            place.connection = Some(connection);
        }
    }

    pub(crate) fn remove(&mut self, key: ConnectionKey) -> Option<Box<Connection>> {
        let place = self.place_mut(key.index())?;
        let connection = place.connection.take_if(|connection| connection.key() == key)?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(key.index());
        for id in connection.ids() {
            self.ids.remove(id);
        }
        for token in connection.reset_tokens() {
            if self.reset_tokens.get(token) == Some(&key) {
                self.reset_tokens.remove(token);
            }
        }
        if let Some(name) = connection.peer().and_then(|peer| peer.name.as_ref())
            && self.names.get(name) == Some(&key)
        {
            self.names.remove(name);
        }
        self.half_open.remove(key, connection.address());
        if let Some(record) = self.addresses.get_mut(&connection.address()) {
            record.connections.retain(|kept| *kept != key);
            if record.connections.is_empty() && !record.backoff.has_failed() {
                self.addresses.remove(&connection.address());
            }
        }
        Some(connection)
    }

    pub(crate) fn get(&self, key: ConnectionKey) -> Option<&Connection> {
        let connection = self.place(key.index())?.connection.as_deref();
        connection.filter(|connection| connection.key() == key)
    }

    pub(crate) fn get_mut(&mut self, key: ConnectionKey) -> Option<&mut Connection> {
        let connection = self.place_mut(key.index())?.connection.as_deref_mut();
        connection.filter(|connection| connection.key() == key)
    }

    /// All connections, in no particular but a stable order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.places.iter().filter_map(|place| place.connection.as_deref())
    }

    pub(crate) fn keys(&self) -> Vec<ConnectionKey> {
        self.iter().map(Connection::key).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Handshakes of accepted connections under way.
    pub(crate) fn half_open(&self) -> &HalfOpen {
        &self.half_open
    }

    /// All others: those that we dial, and those whose peers have proved who they are.
    pub(crate) fn established(&self) -> usize {
        self.len().saturating_sub(self.half_open.len())
    }

    /// Whether there is, or lately was, a connection or a dial to an address. The handshake of
    /// whoever claims to be there does not count.
    pub(crate) fn knows(&self, address: SocketAddr, now: Instant) -> bool {
        let is_trustworthy =
            |key: &ConnectionKey| self.get(*key).is_some_and(Connection::is_trustworthy);
        self.addresses.get(&address).is_some_and(|record| {
            record.backoff.has_failed() || record.connections.iter().any(is_trustworthy)
        }) || self.past_peers.contains(address, now)
    }

    /// The connection of a confirmed peer has ended.
    pub(crate) fn note_past_peer(&mut self, address: SocketAddr, now: Instant) {
        self.past_peers.note(address, now);
    }

    /// The handshake of a connection is over.
    pub(crate) fn note_handshake_over(&mut self, key: ConnectionKey) {
        if let Some(address) = self.get(key).map(Connection::address) {
            self.half_open.remove(key, address);
        }
    }

    pub(crate) fn by_id(&self, id: &[u8]) -> Option<ConnectionKey> {
        self.ids.get(id).copied()
    }

    pub(crate) fn by_reset_token(&self, token: &ResetToken) -> Option<ConnectionKey> {
        self.reset_tokens.get(token).copied()
    }

    pub(crate) fn add_id(&mut self, id: Id, key: ConnectionKey) {
        self.ids.insert(id, key);
    }

    pub(crate) fn remove_id(&mut self, id: &Id) {
        self.ids.remove(id);
    }

    pub(crate) fn add_reset_token(&mut self, token: ResetToken, key: ConnectionKey) {
        self.reset_tokens.insert(token, key);
    }

    /// The latest connection that belongs to this name.
    pub(crate) fn add_name(&mut self, name: Arc<[u8]>, key: ConnectionKey) {
        self.names.insert(name, key);
    }

    /// The connections to an address.
    pub(crate) fn at(&self, address: SocketAddr) -> &[ConnectionKey] {
        self.addresses.get(&address).map_or(&[], |record| &record.connections)
    }

    /// Whether the address may be dialed, after the dials that have failed.
    pub(crate) fn may_dial(&self, address: SocketAddr, urgency: Urgency, now: Instant) -> bool {
        self.addresses.get(&address).is_none_or(|record| record.backoff.allows(urgency, now))
    }

    /// A dial failed. `jitter` is a random number of at most 1.
    pub(crate) fn note_dial_failed(
        &mut self,
        address: SocketAddr,
        limits: &Limits,
        jitter: f64,
        now: Instant,
    ) {
        let record = self.addresses.entry(address).or_default();
        record.backoff.dial_failed(limits, jitter, now);
    }

    /// Forgets the failed dials of an address.
    pub(crate) fn forget_failures(&mut self, address: SocketAddr) {
        if let Some(record) = self.addresses.get_mut(&address) {
            record.backoff.clear();
            if record.connections.is_empty() {
                self.addresses.remove(&address);
            }
        }
    }

    /// The connection that packets and streams for `address` use: of those usable, a confirmed
    /// one before one still under way, one that stays before one that makes way, one whose peer is
    /// still there before one whose peer moved elsewhere, the newest of equals. An accepted
    /// handshake does not count: its address may be forged, and it would hold back a dial. A
    /// verified name leads to a connection elsewhere only if there is none to the address.
    pub(crate) fn choose(&self, address: SocketAddr, name: Option<&[u8]>) -> Option<ConnectionKey> {
        let here = self
            .at(address)
            .iter()
            .filter_map(|key| self.get(*key))
            .filter(|connection| connection.is_usable() && connection.is_trustworthy())
            .max_by_key(|connection| {
                let is_there = connection.path() == address;
                let stays = !connection.is_retired();
                let phase = connection.phase();
                (phase, stays, is_there, connection.confirmation(), connection.born())
            });
        let elsewhere = || self.get(*self.names.get(name?)?).filter(|found| found.is_usable());
        here.or_else(elsewhere).map(Connection::key)
    }

    /// The features of the peer at an address, by the connection that packets use there; `None`
    /// without a confirmed one.
    pub(crate) fn features_at(&self, address: SocketAddr) -> Option<Arc<[u8]>> {
        let here = self.at(address).iter().filter_map(|key| self.get(*key));
        let usable = here.filter(|connection| {
            connection.phase() == ConnectionPhase::Confirmed && connection.is_usable()
        });
        usable.max_by_key(|connection| connection.confirmation())?.features().cloned()
    }

    /// The connection to close when room is needed: without work, unused longest, and unused
    /// for at least [`BUSY`].
    pub(crate) fn evictable(&self, now: Instant) -> Option<ConnectionKey> {
        self.iter()
            .filter(|connection| {
                connection.phase() == ConnectionPhase::Confirmed && connection.is_quiet()
            })
            .filter(|connection| now.saturating_duration_since(connection.last_payload()) >= BUSY)
            .min_by_key(|connection| connection.last_payload())
            .map(Connection::key)
    }

    /// The connection to close because the certificate of `fresh` holds more than `limit` of one
    /// name: of those the one that was used longest ago. Connections whose name is open may be
    /// `limit` for each name of the certificate. `None` while there are no more, and where names
    /// are not enforced, since many peers may then share a certificate.
    pub(crate) fn beyond_certificate_limit(
        &self,
        fresh: ConnectionKey,
        limit: usize,
    ) -> Option<ConnectionKey> {
        let peer = self.get(fresh)?.peer().filter(|peer| !peer.names.is_empty())?;
        let limit = match &peer.name {
            Some(_) => limit,
            None => limit.saturating_mul(peer.names.len()),
        };
        let is_same = |connection: &&Connection| {
            connection.peer().is_some_and(|other| {
                other.fingerprint == peer.fingerprint && other.name == peer.name
            })
        };
        if self.iter().filter(is_same).count() <= limit {
            return None;
        }
        let others = self.iter().filter(is_same).filter(|connection| connection.key() != fresh);
        others.min_by_key(|connection| connection.last_payload()).map(Connection::key)
    }

    /// The connection to close because more than `limit` to the address of `fresh` are retired:
    /// the one of these that was used longest ago.
    pub(crate) fn beyond_retired_limit(
        &self,
        fresh: ConnectionKey,
        limit: usize,
    ) -> Option<ConnectionKey> {
        let here = self.at(self.get(fresh)?.address()).iter();
        let retired = || here.clone().filter_map(|key| self.get(*key)).filter(|c| c.is_retired());
        if retired().count() <= limit {
            return None;
        }
        retired().min_by_key(|connection| connection.last_payload()).map(Connection::key)
    }

    /// Whether a connection is to be replaced because the path carried larger packets once: after
    /// `interval`, doubled with each try in vain up to sixteen times as long.
    pub(crate) fn is_path_mtu_worth_a_try(
        &mut self,
        key: ConnectionKey,
        interval: Duration,
        now: Instant,
    ) -> bool {
        let Some(connection) = self.get(key) else { return false };
        let Some(size) = connection.path_mtu() else { return false };
        let (widest, since) = (connection.widest_path_mtu(), connection.path_mtu_since());
        let address = connection.address();
        let Some(record) = self.addresses.get_mut(&address) else { return false };
        record.widest_path = record.widest_path.max(widest);
        if size >= record.widest_path {
            record.path_tries = 0;
            return false;
        }
        let pause = interval.saturating_mul(1 << record.path_tries.min(4));
        let is_due = now.saturating_duration_since(since) >= pause;
        record.path_tries += u32::from(is_due);
        is_due
    }

    /// Forgets addresses without connections whose pause is over.
    pub(crate) fn sweep(&mut self, now: Instant) {
        self.past_peers.sweep(now);
        self.addresses
            .retain(|_, record| !record.connections.is_empty() || record.backoff.is_pausing(now));
    }

    fn place(&self, index: u32) -> Option<&PoolPlace> {
        self.places.get(usize::try_from(index).ok()?)
    }

    fn place_mut(&mut self, index: u32) -> Option<&mut PoolPlace> {
        self.places.get_mut(usize::try_from(index).ok()?)
    }
}

/// A connection used more recently than this is not idle.
const BUSY: Duration = Duration::from_secs(1);
