//! Modelled connections: dials, queues behind them, packets, and how they end.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use super::agenda::Move;
use super::stream::Side;
use super::{EndpointId, Journey, Links, TransportModel};
use crate::error::StreamFailure;
use crate::member::Peer;
use crate::member_name::MemberName;
use crate::output::Destination;
use crate::time::Time;
use crate::transport::TransportEvent;

/// Names a connection; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConnectionId(u64);

/// How soon a dial is tried again whose first flight was lost (the initial round trip estimate
/// of the real endpoint is 100 ms).
const REDIAL: Duration = Duration::from_millis(300);

/// How long a connection that fell silent is kept in case it was only slow.
const KEEP_STALLED: Duration = Duration::from_secs(30);

/// How long the older of two connections between the same two stays open for what is under way.
const KEEP_DUPLICATE: Duration = Duration::from_secs(2);

/// All connections. Two endpoints use one, the last that was established.
#[derive(Default)]
pub(super) struct Connections {
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
    ends: [End; 2],
    /// While it is dialed.
    dial: Option<Dial>,
}

/// One end of a connection: the dialing one first.
struct End {
    id: EndpointId,
    life: u32,
    /// It does not know yet that the connection is gone.
    is_open: bool,
    /// Since when nothing has arrived although something was sent.
    unanswered_since: Option<Time>,
}

/// A dial under way.
struct Dial {
    address: SocketAddr,
    deadline: Time,
    queue: VecDeque<(Option<MemberName>, Vec<u8>)>,
}

impl Connections {
    /// An endpoint that does not exist, one for each address.
    fn nobody_at(&mut self, address: SocketAddr) -> EndpointId {
        let next = EndpointId::nobody(self.nobodies.len());
        *self.nobodies.entry(address).or_insert(next)
    }

    /// The connection that `one` uses towards the other: an established one, else its own dial.
    fn find(&self, one: EndpointId, other: EndpointId) -> Option<ConnectionId> {
        let established = self.between.get(&(one.min(other), one.max(other)));
        established.or_else(|| self.dials.get(&(one, other))).copied()
    }

    fn insert(&mut self, connection: Connection) -> ConnectionId {
        self.count += 1;
        let id = ConnectionId(self.count);
        self.dials.insert((connection.ends[0].id, connection.ends[1].id), id);
        self.held.insert(id, connection);
        id
    }

    /// A dial got through: the connection is used from now on. Returns the one used before.
    fn establish(&mut self, id: ConnectionId) -> Option<ConnectionId> {
        let connection = self.held.get(&id)?;
        let [one, other] = [connection.ends[0].id, connection.ends[1].id];
        self.dials.remove(&(one, other));
        self.between.insert((one.min(other), one.max(other)), id)
    }

    pub(super) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.held.get(&id)
    }

    fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.held.get_mut(&id)
    }

    /// Makes room for a successor; ends that do not know yet still find out.
    fn supersede(&mut self, id: ConnectionId) {
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

    fn remove(&mut self, id: ConnectionId) {
        self.supersede(id);
        self.held.remove(&id);
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

    fn end_mut(&mut self, id: EndpointId) -> &mut End {
        let [one, other] = &mut self.ends;
        if one.id == id { one } else { other }
    }

    fn end(&self, id: EndpointId) -> &End {
        let [one, other] = &self.ends;
        if one.id == id { one } else { other }
    }

    /// Whether `id` may still use it for sending.
    fn serves(&self, id: EndpointId, life: u32) -> bool {
        let end = self.end(id);
        end.is_open && end.life == life
    }
}

/// Where a dial leads.
pub(super) enum Route {
    /// To this connection.
    Over(ConnectionId),
    /// A dial failed a moment ago: packets wait.
    BackingOff,
}

impl TransportModel {
    pub(super) fn send_packet(
        &mut self,
        from: EndpointId,
        to: &Destination,
        bytes: &[u8],
        now: Time,
        links: &mut impl Links,
    ) {
        match self.route(from, to.address, true, now, links) {
            Route::BackingOff => {
                self.report(from, TransportEvent::SendFailed { to: to.address });
            }
            Route::Over(id) => {
                let Some(connection) = self.connections.get_mut(id) else { return };
                if let Some(dial) = &mut connection.dial {
                    if dial.queue.len() >= self.limits.dial_queue {
                        dial.queue.pop_front();
                    }
                    dial.queue.push_back((to.name.clone(), bytes.to_vec()));
                    return;
                }
                self.transmit(id, from, to, bytes.to_vec(), now, links);
            }
        }
    }

    /// The connection to use, dialing if there is none.
    pub(super) fn route(
        &mut self,
        from: EndpointId,
        address: SocketAddr,
        is_packet: bool,
        now: Time,
        links: &mut impl Links,
    ) -> Route {
        let target = links.endpoint_at(address).filter(|target| *target != from);
        let target = target.unwrap_or_else(|| self.connections.nobody_at(address));
        let life = self.life(from);
        if let Some(id) = self.connections.find(from, target)
            && let Some(connection) = self.connections.get(id)
            && connection.serves(from, life)
        {
            let since = connection.end(from).unanswered_since;
            let stalled = since.is_some_and(|since| now - since > self.limits.stall_timeout);
            if !stalled || !connection.is_established() {
                return Route::Over(id);
            }
            // Kept for a while, in case it was only slow.
            self.connections.supersede(id);
            let close = Move::CloseConnection { connection: id, at: from };
            self.agenda.plan(now + KEEP_STALLED, close);
        }
        let backoff = self.endpoint(from).and_then(|endpoint| endpoint.backoff.get(&address));
        if is_packet && backoff.is_some_and(|(_, until)| now < *until) {
            return Route::BackingOff;
        }
        let end = |id, life| End { id, life, is_open: true, unanswered_since: None };
        let deadline = now + self.limits.dial_timeout;
        let ends = [end(from, life), end(target, self.life(target))];
        let dial = Dial { address, deadline, queue: VecDeque::new() };
        let id = self.connections.insert(Connection { ends, dial: Some(dial) });
        let flight = match target.is_nobody() {
            true => self.limits.dial_timeout,
            false => links.stream_delay(from, target) + links.stream_delay(target, from),
        };
        self.agenda.plan((now + flight).min(deadline), Move::Dial { connection: id });
        Route::Over(id)
    }

    /// A dial's flights have had time to travel.
    pub(super) fn try_dial(&mut self, id: ConnectionId, now: Time, links: &mut impl Links) {
        let Some(connection) = self.connections.get(id) else { return };
        let Some(dial) = &connection.dial else { return };
        let (from, life, deadline) =
            (connection.ends[0].id, connection.ends[0].life, dial.deadline);
        let target = connection.ends[1].id;
        if !self.lives(from, life) {
            self.connections.remove(id);
            for stream in self.streams.on_connection(id) {
                self.streams.remove(stream);
            }
            return;
        }
        let is_up = self.endpoint(target).is_some_and(|endpoint| endpoint.is_up);
        let through = is_up
            && links.datagram(from, target, &mut []) != Journey::Lost
            && links.datagram(target, from, &mut []) != Journey::Lost;
        if through {
            self.establish(id, now, links);
        } else if now < deadline {
            let again = (now + REDIAL).min(deadline);
            self.agenda.plan(again, Move::Dial { connection: id });
        } else {
            self.dial_failed(id, now);
        }
    }

    fn establish(&mut self, id: ConnectionId, now: Time, links: &mut impl Links) {
        let Some(connection) = self.connections.get(id) else { return };
        let [from, target] = [connection.ends[0].id, connection.ends[1].id];
        let target_life = self.life(target);
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.ends[1].life = target_life;
        let Some(dial) = connection.dial.take() else { return };
        if let Some(older) = self.connections.establish(id) {
            for at in [from, target] {
                let close = Move::CloseConnection { connection: older, at };
                self.agenda.plan(now + KEEP_DUPLICATE, close);
            }
        }
        if let Some(endpoint) = self.endpoints.get_mut(from.index()) {
            endpoint.backoff.remove(&dial.address);
        }
        let limit = self.limits.packet_limit;
        for (at, other) in [(from, target), (target, from)] {
            if let Some(peer) = self.peer(other) {
                self.report(at, TransportEvent::PacketLimit { to: peer.address, limit });
            }
        }
        for (name, bytes) in dial.queue {
            let to = Destination { address: dial.address, name };
            self.transmit(id, from, &to, bytes, now, links);
        }
        for stream in self.streams.on_connection(id) {
            self.begin_stream(stream, now, links);
        }
    }

    fn dial_failed(&mut self, id: ConnectionId, now: Time) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let from = connection.ends[0].id;
        let Some(dial) = connection.dial.take() else { return };
        let (first, longest) = (self.limits.dial_backoff, self.limits.dial_backoff_max);
        if let Some(endpoint) = self.endpoints.get_mut(from.index()) {
            let (failures, until) = endpoint.backoff.entry(dial.address).or_insert((0, now));
            *until = now + first.saturating_mul(1 << (*failures).min(16)).min(longest);
            *failures += 1;
        }
        self.connections.remove(id);
        for stream in self.streams.on_connection(id) {
            self.fail_end(stream, Side::Opener, StreamFailure::Closed);
            self.streams.remove(stream);
        }
        if !dial.queue.is_empty() {
            self.report(from, TransportEvent::SendFailed { to: dial.address });
        }
    }

    fn transmit(
        &mut self,
        id: ConnectionId,
        from: EndpointId,
        to: &Destination,
        mut bytes: Vec<u8>,
        now: Time,
        links: &mut impl Links,
    ) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let (target, life) = connection.other(from);
        if !is_expected(self.endpoints.get(target.index()).map(|e| &e.peer), to.name.as_ref()) {
            self.report(from, TransportEvent::SendFailed { to: to.address });
            return;
        }
        connection.end_mut(from).unanswered_since.get_or_insert(now);
        let Journey::Arrives { after, again } = links.datagram(from, target, &mut bytes) else {
            return;
        };
        if let Some(again) = again {
            let bytes = bytes.clone();
            let copy = Move::Datagram { connection: id, to: target, life, bytes };
            self.agenda.plan(now + again, copy);
        }
        self.agenda.plan(now + after, Move::Datagram { connection: id, to: target, life, bytes });
    }

    pub(super) fn datagram_arrives(
        &mut self,
        id: ConnectionId,
        to: EndpointId,
        life: u32,
        bytes: Vec<u8>,
        now: Time,
        links: &mut impl Links,
    ) {
        let Some(connection) = self.connections.get(id) else { return };
        let (from, _) = connection.other(to);
        if !self.endpoint(to).is_some_and(|endpoint| endpoint.is_up) {
            return;
        }
        if !self.lives(to, life) {
            self.answer_with_reset(id, to, from, now, links);
            return;
        }
        self.heard(id, to, links);
        if let Some(from) = self.peer(from) {
            self.report(to, TransportEvent::Packet { from, bytes });
        }
    }

    /// Bytes of a connection reached an endpoint that does not know it: a stateless reset goes
    /// back.
    pub(super) fn answer_with_reset(
        &mut self,
        id: ConnectionId,
        at: EndpointId,
        to: EndpointId,
        now: Time,
        links: &mut impl Links,
    ) {
        if let Journey::Arrives { after, .. } = links.datagram(at, to, &mut []) {
            self.agenda.plan(now + after, Move::CloseConnection { connection: id, at: to });
        }
    }

    /// Something arrived at `at`, and its acknowledgement goes back.
    pub(super) fn heard(&mut self, id: ConnectionId, at: EndpointId, links: &impl Links) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.end_mut(at).unanswered_since = None;
        let (other, _) = connection.other(at);
        if links.connects(at, other) {
            connection.end_mut(other).unanswered_since = None;
        }
    }

    /// Closes the connections of `from` to whoever is at `address`.
    pub(super) fn close_peer(
        &mut self,
        from: EndpointId,
        address: SocketAddr,
        now: Time,
        links: &mut impl Links,
    ) {
        if let Some(endpoint) = self.endpoints.get_mut(from.index()) {
            endpoint.backoff.remove(&address);
        }
        let target = links.endpoint_at(address);
        let Some(id) = target.and_then(|target| self.connections.find(from, target)) else {
            return;
        };
        let Some(connection) = self.connections.get(id) else { return };
        let (other, _) = connection.other(from);
        self.close_at(id, from);
        if let Journey::Arrives { after, .. } = links.datagram(from, other, &mut []) {
            self.agenda.plan(now + after, Move::CloseConnection { connection: id, at: other });
        }
    }

    /// One end's connection is gone, and its streams with it.
    pub(super) fn close_at(&mut self, id: ConnectionId, at: EndpointId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let end = connection.end_mut(at);
        let life = end.life;
        if !std::mem::take(&mut end.is_open) {
            return;
        }
        let is_over = connection.ends.iter().all(|end| !end.is_open);
        self.connections.supersede(id);
        if is_over {
            self.connections.remove(id);
        }
        if self.lives(at, life) {
            for stream in self.streams.on_connection(id) {
                self.connection_of_stream_closed(stream, at);
            }
        }
    }
}

/// Whether a peer proves to be the one expected; peers without names prove nothing.
pub(super) fn is_expected(peer: Option<&Peer>, expected: Option<&MemberName>) -> bool {
    let (Some(peer), Some(expected)) = (peer, expected) else { return true };
    peer.names.is_empty() || peer.names.contains(expected)
}
