//! Modelled packets: the connections they use, dials, and how connections end.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::connection_table::{Connection, ConnectionEnd, ConnectionId, Dial, is_expected};
use super::links::{EndpointId, Journey, LOWERED_PACKET_LIMIT, Links};
use super::model_agenda::Move;
use super::refused_packets::is_refused;
use super::stream_table::StreamSide;
use super::transport_model::TransportModel;
use crate::error::{DialFailure, StreamFailure};
use crate::output::Destination;
use crate::time::Time;
use crate::transport::TransportEvent;

/// How soon a dial is tried again whose first flight was lost (the initial round trip estimate
/// of the real endpoint is 100 ms).
const REDIAL: Duration = Duration::from_millis(300);

/// How long a connection that fell silent is kept in case it was only slow.
const KEEP_STALLED: Duration = Duration::from_secs(30);

/// Where a dial leads.
pub(super) enum Route {
    /// To this connection.
    Over(ConnectionId),
    /// A dial failed a moment ago: packets wait.
    BackingOff,
}

/// How long the older of two connections between the same two stays open for what is under way.
const KEEP_DUPLICATE: Duration = Duration::from_secs(2);

/// How long nothing may arrive on a connection that made way before its streams are given up: the
/// real endpoint's `stream_stall_timeout`.
const STREAMS_STALL: Duration = Duration::from_secs(60);

/// After so many losses for its length a path counts as narrower: the real endpoint looks for
/// three lost packets.
const LOSSES_FOR_LENGTH: u8 = 3;

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
            let close = Move::CloseRetired { connection: id, at: from };
            self.agenda.plan(now + KEEP_STALLED, close);
        }
        let backoff = self.endpoint(from).and_then(|endpoint| endpoint.backoff.get(&address));
        if is_packet && backoff.is_some_and(|(_, until)| now < *until) {
            return Route::BackingOff;
        }
        Route::Over(self.dial((from, life), target, address, now, links))
    }

    fn dial(
        &mut self,
        (from, life): (EndpointId, u32),
        target: EndpointId,
        address: SocketAddr,
        now: Time,
        links: &mut impl Links,
    ) -> ConnectionId {
        let limit = self.limits.packet_limit;
        let end = |id, life| ConnectionEnd::new(id, life, limit);
        let deadline = now + self.limits.dial_timeout;
        let ends = [end(from, life), end(target, self.life(target))];
        let dial = Some(Dial { address, deadline, queue: VecDeque::new() });
        let id = self.connections.insert(Connection { ends, dial, last_heard: now });
        let flight = match target.is_nobody() {
            true => self.limits.dial_timeout,
            false => links.stream_delay(from, target) + links.stream_delay(target, from),
        };
        self.agenda.plan((now + flight).min(deadline), Move::Dial { connection: id });
        id
    }

    /// An endpoint dials everybody anew that it is connected with, as when both dialed at once.
    /// The older connection makes way and stays until its streams end. Returns how many it dials.
    pub fn replace_connections(
        &mut self,
        id: EndpointId,
        now: Time,
        links: &mut impl Links,
    ) -> usize {
        let life = self.life(id);
        let mut dials = 0;
        for (connection, other) in self.connections.of(id) {
            let is_used = self.connections.find(id, other) == Some(connection)
                && self.connections.get(connection).is_some_and(Connection::is_established);
            if let Some(peer) = self.peer(other).filter(|_| is_used && self.lives(id, life)) {
                self.dial((id, life), other, peer.address, now, links);
                dials += 1;
            }
        }
        dials
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
        let through = !is_refused(self, from, target, now, links)
            && is_up
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
                let close = Move::CloseRetired { connection: older, at };
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
        let limit = connection.end(from).packet_limit;
        if bytes.len() <= limit && bytes.len() > links.longest_datagram(from, target) {
            return self.datagram_is_too_long(id, from);
        }
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.end_mut(from).unanswered_since.get_or_insert(now);
        if is_refused(self, from, target, now, links) {
            return;
        }
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

    /// The path is too narrow for a datagram. QUIC's own probes get through and are answered, so
    /// the connection lives; after a few losses its limit is lowered, once and for all.
    fn datagram_is_too_long(&mut self, id: ConnectionId, from: EndpointId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let (target, _) = connection.other(from);
        let end = connection.end_mut(from);
        end.lost_for_length += 1;
        if end.lost_for_length < LOSSES_FOR_LENGTH {
            return;
        }
        let limit = LOWERED_PACKET_LIMIT;
        end.packet_limit = limit;
        end.lost_for_length = 0;
        if let Some(peer) = self.peer(target) {
            self.report(from, TransportEvent::PacketLimit { to: peer.address, limit });
        }
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
        self.heard(id, to, now, links);
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
    pub(super) fn heard(
        &mut self,
        id: ConnectionId,
        at: EndpointId,
        now: Time,
        links: &impl Links,
    ) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.last_heard = now;
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

    /// A connection that made way ends, unless it still carries streams that get on.
    pub(super) fn close_retired(&mut self, id: ConnectionId, at: EndpointId, now: Time) {
        let Some(connection) = self.connections.get(id) else { return };
        let stalls_at = connection.last_heard + STREAMS_STALL;
        if self.streams.on_connection(id).is_empty() || now >= stalls_at {
            return self.close_at(id, at);
        }
        let close = Move::CloseRetired { connection: id, at };
        self.agenda.plan((now + KEEP_DUPLICATE).min(stalls_at), close);
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
