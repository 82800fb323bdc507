//! All modelled connections, those in use and those being dialed.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use super::links::EndpointId;
use crate::member::Peer;
use crate::member_name::MemberName;
use crate::time::Time;

/// Names a connection; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConnectionId(u64);

/// All connections. Two endpoints use one, the last that was established.
#[derive(Default)]
pub(super) struct ConnectionTable {
    held: BTreeMap<ConnectionId, Connection>,
    /// Those in use, by the two endpoints, the lower one first.
    between: BTreeMap<(EndpointId, EndpointId), ConnectionId>,
    /// Those being dialed, by the dialing endpoint and the other one.
    dials: BTreeMap<(EndpointId, EndpointId), ConnectionId>,
    /// What stands for the addresses at which nobody is.
    nobodies: BTreeMap<SocketAddr, EndpointId>,
    count: u64,
}

/// A connection between two endpoints.
pub(super) struct Connection {
    pub(super) ends: [ConnectionEnd; 2],
    /// While it is dialed.
    pub(super) dial: Option<Dial>,
    /// When something arrived last, at either end.
    pub(super) last_heard: Time,
}

/// One end of a connection: the dialing one first.
pub(super) struct ConnectionEnd {
    pub(super) id: EndpointId,
    pub(super) life: u32,
    /// It does not know yet that the connection is gone.
    pub(super) is_open: bool,
    /// Since when nothing has arrived although something was sent.
    pub(super) unanswered_since: Option<Time>,
    /// The address whose features it was told of, while this connection stands for them.
    pub(super) features_of: Option<SocketAddr>,
    /// The longest packet that it sends as a datagram.
    pub(super) packet_limit: usize,
    /// Datagrams that the path was too narrow for.
    pub(super) lost_for_length: u8,
}

/// A dial under way.
pub(super) struct Dial {
    pub(super) address: SocketAddr,
    pub(super) deadline: Time,
    pub(super) queue: VecDeque<(Option<MemberName>, Vec<u8>)>,
}

impl ConnectionEnd {
    pub(super) fn new(id: EndpointId, life: u32, packet_limit: usize) -> Self {
        let (unanswered_since, features_of) = (None, None);
        let lost_for_length = 0;
        Self {
            id,
            life,
            is_open: true,
            unanswered_since,
            features_of,
            packet_limit,
            lost_for_length,
        }
    }
}

impl ConnectionTable {
    /// An endpoint that does not exist, one for each address.
    pub(super) fn nobody_at(&mut self, address: SocketAddr) -> EndpointId {
        let next = EndpointId::nobody(self.nobodies.len());
        *self.nobodies.entry(address).or_insert(next)
    }

    /// The connection that `one` uses towards the other: an established one, else its own dial.
    pub(super) fn find(&self, one: EndpointId, other: EndpointId) -> Option<ConnectionId> {
        let established = self.between.get(&(one.min(other), one.max(other)));
        established.or_else(|| self.dials.get(&(one, other))).copied()
    }

    pub(super) fn insert(&mut self, connection: Connection) -> ConnectionId {
        self.count += 1;
        let id = ConnectionId(self.count);
        self.dials.insert((connection.ends[0].id, connection.ends[1].id), id);
        self.held.insert(id, connection);
        id
    }

    /// A dial got through: the connection is used from now on. Returns the one used before.
    pub(super) fn establish(&mut self, id: ConnectionId) -> Option<ConnectionId> {
        let connection = self.held.get(&id)?;
        let [one, other] = [connection.ends[0].id, connection.ends[1].id];
        self.dials.remove(&(one, other));
        self.between.insert((one.min(other), one.max(other)), id)
    }

    pub(super) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.held.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.held.get_mut(&id)
    }

    /// Makes room for a successor; ends that do not know yet still find out.
    pub(super) fn supersede(&mut self, id: ConnectionId) {
        let Some(connection) = self.held.get(&id) else { return };
        let [one, other] = [connection.ends[0].id, connection.ends[1].id];
        let pair = (one.min(other), one.max(other));
        if self.between.get(&pair) == Some(&id) {
            self.between.remove(&pair);
        }
        if self.dials.get(&(one, other)) == Some(&id) {
            self.dials.remove(&(one, other));
        }
    }

    pub(super) fn remove(&mut self, id: ConnectionId) {
        self.supersede(id);
        self.held.remove(&id);
    }

    /// How many connections were ever dialed.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// How many connections in use an endpoint has.
    pub(super) fn in_use(&self, endpoint: EndpointId) -> usize {
        self.between.keys().filter(|(one, other)| *one == endpoint || *other == endpoint).count()
    }

    /// Connections in use on which nothing has arrived since then, with both ends.
    pub(super) fn idle_since(&self, since: Time) -> Vec<(ConnectionId, [EndpointId; 2])> {
        let held = self.between.values().filter_map(|id| Some((*id, self.held.get(id)?)));
        let idle = held.filter(|(_, it)| it.is_established() && it.last_heard < since);
        idle.map(|(id, it)| (id, [it.ends[0].id, it.ends[1].id])).collect()
    }

    /// The connections of an endpoint, with their other ends.
    pub(super) fn of(&self, endpoint: EndpointId) -> Vec<(ConnectionId, EndpointId)> {
        let mine = self.held.iter().filter(|(_, held)| held.ends.iter().any(|e| e.id == endpoint));
        mine.map(|(id, held)| (*id, held.other(endpoint).0)).collect()
    }

    /// An endpoint's memory is gone. The others find out; dials of its own end.
    pub(super) fn forget_endpoint(&mut self, endpoint: EndpointId) {
        let mut gone = Vec::new();
        for (id, connection) in &mut self.held {
            let Some(end) = connection.ends.iter_mut().find(|end| end.id == endpoint) else {
                continue;
            };
            end.is_open = false;
            let dials = connection.dial.is_some() && connection.ends[0].id == endpoint;
            if dials || connection.ends.iter().all(|end| !end.is_open) {
                gone.push(*id);
            }
        }
        for id in gone {
            self.remove(id);
        }
    }
}

impl Connection {
    pub(super) fn is_established(&self) -> bool {
        self.dial.is_none()
    }

    /// The other end's endpoint, and which of its lives this connection belongs to.
    pub(super) fn other(&self, id: EndpointId) -> (EndpointId, u32) {
        let [one, other] = &self.ends;
        let end = if one.id == id { other } else { one };
        (end.id, end.life)
    }

    pub(super) fn end_mut(&mut self, id: EndpointId) -> &mut ConnectionEnd {
        let [one, other] = &mut self.ends;
        if one.id == id { one } else { other }
    }

    pub(super) fn end(&self, id: EndpointId) -> &ConnectionEnd {
        let [one, other] = &self.ends;
        if one.id == id { one } else { other }
    }

    /// Whether `id` may still use it for sending.
    pub(super) fn serves(&self, id: EndpointId, life: u32) -> bool {
        let end = self.end(id);
        end.is_open && end.life == life
    }
}

/// Whether a peer proves to be the one expected; peers without names prove nothing.
pub(super) fn is_expected(peer: Option<&Peer>, expected: Option<&MemberName>) -> bool {
    let (Some(peer), Some(expected)) = (peer, expected) else { return true };
    peer.names.is_empty() || peer.names.contains(expected)
}
