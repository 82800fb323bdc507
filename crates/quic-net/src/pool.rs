//! The connections of an endpoint and the tables that lead to them.
//!
//! Decides which connection to a peer is used for sending, and which one may be closed to make
//! room. It never speaks QUIC.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::connection::{Connection, Phase};
use crate::connection_id::{Id, ResetToken};
use crate::connection_key::ConnectionKey;

/// What is remembered of an address.
#[derive(Debug, Default)]
pub(crate) struct AddressRecord {
    connections: Vec<ConnectionKey>,
    /// Dials that failed in a row.
    pub(crate) failures: u32,
    /// No packet dials before this moment.
    pub(crate) not_before: Option<Instant>,
}

#[derive(Default)]
pub(crate) struct Pool {
    slots: Vec<Slot>,
    free: Vec<u32>,
    ids: HashMap<Id, ConnectionKey>,
    tokens: HashMap<ResetToken, ConnectionKey>,
    names: HashMap<Vec<u8>, ConnectionKey>,
    records: BTreeMap<SocketAddr, AddressRecord>,
    accepting: usize,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    connection: Option<Box<Connection>>,
}

impl Pool {
    /// The key that [`insert`](Self::insert) will use next; `None` at 2^32 connections.
    pub(crate) fn next_key(&self) -> Option<ConnectionKey> {
        let index = match self.free.last() {
            Some(&index) => index,
            None => u32::try_from(self.slots.len()).ok()?,
        };
        let generation = self.slot(index).map_or(0, |slot| slot.generation);
        Some(ConnectionKey::new(index, generation))
    }

    /// Takes a connection whose key came from [`next_key`](Self::next_key).
    pub(crate) fn insert(&mut self, connection: Box<Connection>) {
        let key = connection.key;
        if self.free.pop().is_none() {
            self.slots.push(Slot::default());
        }
        for id in &connection.ids {
            self.ids.insert(*id, key);
        }
        self.accepting += usize::from(!connection.dialed);
        self.records.entry(connection.address).or_default().connections.push(key);
        if let Some(slot) = usize::try_from(key.index()).ok().and_then(|at| self.slots.get_mut(at))
        {
            slot.connection = Some(connection);
        }
    }

    pub(crate) fn remove(&mut self, key: ConnectionKey) -> Option<Box<Connection>> {
        let slot = self.slot_mut(key.index()).filter(|slot| slot.generation == key.generation())?;
        let connection = slot.connection.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.index());
        for id in &connection.ids {
            self.ids.remove(id);
        }
        for token in &connection.tokens {
            if self.tokens.get(token) == Some(&key) {
                self.tokens.remove(token);
            }
        }
        for name in connection.peer.iter().flat_map(|peer| &peer.names) {
            if self.names.get(name) == Some(&key) {
                self.names.remove(name);
            }
        }
        if !connection.dialed && connection.phase == Phase::Handshaking {
            self.accepting = self.accepting.saturating_sub(1);
        }
        if let Some(record) = self.records.get_mut(&connection.address) {
            record.connections.retain(|held| *held != key);
            if record.connections.is_empty() && record.not_before.is_none() {
                self.records.remove(&connection.address);
            }
        }
        Some(connection)
    }

    pub(crate) fn get(&self, key: ConnectionKey) -> Option<&Connection> {
        let slot = self.slot(key.index()).filter(|slot| slot.generation == key.generation())?;
        slot.connection.as_deref()
    }

    pub(crate) fn get_mut(&mut self, key: ConnectionKey) -> Option<&mut Connection> {
        let slot = self.slot_mut(key.index()).filter(|slot| slot.generation == key.generation())?;
        slot.connection.as_deref_mut()
    }

    /// All connections, in no particular but a stable order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.slots.iter().filter_map(|slot| slot.connection.as_deref())
    }

    pub(crate) fn keys(&self) -> Vec<ConnectionKey> {
        self.iter().map(|connection| connection.key).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Handshakes of accepted connections under way.
    pub(crate) fn accepting(&self) -> usize {
        self.accepting
    }

    pub(crate) fn accepted_one(&mut self) {
        self.accepting = self.accepting.saturating_sub(1);
    }

    pub(crate) fn by_id(&self, id: &[u8]) -> Option<ConnectionKey> {
        self.ids.get(id).copied()
    }

    pub(crate) fn by_token(&self, token: &ResetToken) -> Option<ConnectionKey> {
        self.tokens.get(token).copied()
    }

    pub(crate) fn route(&mut self, id: Id, key: ConnectionKey) {
        self.ids.insert(id, key);
    }

    pub(crate) fn unroute(&mut self, id: &Id) {
        self.ids.remove(id);
    }

    pub(crate) fn watch_token(&mut self, token: ResetToken, key: ConnectionKey) {
        self.tokens.insert(token, key);
    }

    pub(crate) fn learn_name(&mut self, name: &[u8], key: ConnectionKey) {
        self.names.insert(name.to_vec(), key);
    }

    pub(crate) fn at(&self, address: SocketAddr) -> &[ConnectionKey] {
        self.records.get(&address).map_or(&[], |record| &record.connections)
    }

    pub(crate) fn record(&mut self, address: SocketAddr) -> &mut AddressRecord {
        self.records.entry(address).or_default()
    }

    pub(crate) fn held_back(&self, address: SocketAddr, now: Instant) -> bool {
        let until = self.records.get(&address).and_then(|record| record.not_before);
        until.is_some_and(|until| now < until)
    }

    /// The connection that packets and streams for `address` use: of those not retired, a
    /// confirmed one before one still under way, the newest of equals. An accepted handshake
    /// does not count: its address may be forged, and it would hold back a dial. A verified
    /// name leads to a connection elsewhere only if there is none to the address.
    pub(crate) fn choose(&self, address: SocketAddr, name: Option<&[u8]>) -> Option<ConnectionKey> {
        let here = self
            .at(address)
            .iter()
            .filter_map(|key| self.get(*key))
            .filter(|connection| connection.retired.is_none() && connection.is_trustworthy())
            .max_by_key(|connection| (connection.phase, connection.authenticated, connection.born))
            .map(|connection| connection.key);
        here.or_else(|| {
            let key = *self.names.get(name?)?;
            self.get(key).filter(|connection| connection.retired.is_none()).map(|_| key)
        })
    }

    /// The connection to close when room is needed: without work, unused longest, and unused
    /// for at least [`BUSY`].
    pub(crate) fn evictable(&self, now: Instant) -> Option<ConnectionKey> {
        self.iter()
            .filter(|connection| connection.phase == Phase::Confirmed && connection.is_quiet())
            .filter(|connection| now.saturating_duration_since(connection.last_payload) >= BUSY)
            .min_by_key(|connection| connection.last_payload)
            .map(|connection| connection.key)
    }

    /// Forgets addresses without connections whose pause is over.
    pub(crate) fn sweep(&mut self, now: Instant) {
        self.records.retain(|_, record| {
            !record.connections.is_empty() || record.not_before.is_some_and(|until| now < until)
        });
    }

    fn slot(&self, index: u32) -> Option<&Slot> {
        self.slots.get(usize::try_from(index).ok()?)
    }

    fn slot_mut(&mut self, index: u32) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(index).ok()?)
    }
}

/// A connection used more recently than this is not idle.
const BUSY: Duration = Duration::from_secs(1);
