//! Modelled packets: the connections they use, dials, and how connections end.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::connection_table::{Connection, ConnectionEnd, ConnectionId, Dial};
use super::links::{EndpointId, Journey, Links};
use super::model_agenda::Move;
use super::stream_table::StreamSide;
use super::transport_model::TransportModel;
use crate::error::{DialFailure, StreamFailure};
use crate::member::Peer;
use crate::member_name::MemberName;
use crate::output::Destination;
use crate::time::Time;
use crate::transport::TransportEvent;

/// How soon a dial is tried again whose first flight was lost (the initial round trip estimate
/// of the real endpoint is 100 ms).
const REDIAL: Duration = Duration::from_millis(300);

/// How long a connection that fell silent is kept in case it was only slow.
const KEEP_STALLED: Duration = Duration::from_secs(30);

/// How long the older of two connections between the same two stays open for what is under way.
const KEEP_DUPLICATE: Duration = Duration::from_secs(2);

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
                let reason = StreamFailure::NotConnected(DialFailure::Pausing);
                self.report(from, TransportEvent::SendFailed { to: to.address, reason });
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
            self.withdraw_features(id, from);
            self.connections.supersede(id);
            let close = Move::CloseConnection { connection: id, at: from };
            self.agenda.plan(now + KEEP_STALLED, close);
        }
        let backoff = self.endpoint(from).and_then(|endpoint| endpoint.backoff.get(&address));
        if is_packet && backoff.is_some_and(|(_, until)| now < *until) {
            return Route::BackingOff;
        }
        let end = |id, life| ConnectionEnd::new(id, life);
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
        let older = self.connections.establish(id);
        self.tell_features(id, older);
        if let Some(older) = older {
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

    /// A connection was established, in place of an older one: both ends learn what the other
    /// speaks.
    fn tell_features(&mut self, id: ConnectionId, older: Option<ConnectionId>) {
        let Some(connection) = self.connections.get(id) else { return };
        let [from, target] = [connection.ends[0].id, connection.ends[1].id];
        for (at, other) in [(from, target), (target, from)] {
            let replaced = older.and_then(|older| self.connections.get_mut(older));
            let known = replaced.and_then(|older| older.end_mut(at).features_of.take());
            let ours = self.endpoint(at).and_then(|endpoint| endpoint.features);
            let Some(peer) = self.endpoint(other) else { continue };
            let (to, features) = (peer.peer.address, peer.features.filter(|_| ours.is_some()));
            let start = features.map(|_| peer.life.into());
            let Some(connection) = self.connections.get_mut(id) else { continue };
            connection.end_mut(at).features_of = features.map(|_| to);
            if features.is_some() || known.is_some() {
                self.report(at, TransportEvent::PeerFeatures { to, features, start });
            }
        }
    }

    /// An end uses a connection for nothing new, and has no other one to that peer.
    fn withdraw_features(&mut self, id: ConnectionId, at: EndpointId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if let Some(to) = connection.end_mut(at).features_of.take() {
            let (features, start) = (None, None);
            self.report(at, TransportEvent::PeerFeatures { to, features, start });
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
            let failure = StreamFailure::NotConnected(DialFailure::NoAnswer);
            self.fail_end(stream, StreamSide::Opener, failure);
            self.streams.remove(stream);
        }
        if !dial.queue.is_empty() {
            let reason = StreamFailure::NotConnected(DialFailure::NoAnswer);
            self.report(from, TransportEvent::SendFailed { to: dial.address, reason });
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
            let reason = StreamFailure::PeerMismatch;
            self.report(from, TransportEvent::SendFailed { to: to.address, reason });
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
        if self.lives(at, life) {
            self.withdraw_features(id, at);
        }
        let Some(connection) = self.connections.get(id) else { return };
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
