//! The model itself: its endpoints, and what is due next.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use super::connection_table::{ConnectionId, ConnectionTable};
use super::links::{EndpointId, Links, ModelLimits};
use super::model_agenda::{Agenda, Move};
use super::stream_table::{StreamSide, StreamTable};
use crate::error::StreamFailure;
use crate::evidence::Hint;
use crate::features::Features;
use crate::member::Peer;
use crate::output::StreamId;
use crate::time::Time;
use crate::transport::TransportEvent;

/// The endpoints of any number of members, and everything under way between them.
///
/// Give each member a [`handle`](Self::handle), which is its [`Transport`](crate::Transport);
/// take what they report from [`poll_event`](Self::poll_event); move time with
/// [`advance`](Self::advance) whenever [`poll_timeout`](Self::poll_timeout) is due.
pub struct TransportModel {
    pub(super) limits: ModelLimits,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) connections: ConnectionTable,
    pub(super) streams: StreamTable,
    pub(super) agenda: Agenda,
    pub(super) events: VecDeque<(EndpointId, TransportEvent)>,
}

/// One endpoint.
pub(super) struct Endpoint {
    /// How others see it.
    pub(super) peer: Peer,
    /// What it speaks beyond memberlist's wire; `None` if it speaks nothing else.
    pub(super) features: Option<Features>,
    /// The start number that it tells; `None` for the number of its life.
    pub(super) start: Option<u64>,
    pub(super) is_up: bool,
    /// How often it was started.
    pub(super) life: u32,
    /// Streams accepted so far, over all lives, so that no token is used twice.
    pub(super) accepted: u64,
    /// Addresses whose dials failed: how often in a row, and until when packets fail at once.
    pub(super) backoff: BTreeMap<SocketAddr, (u32, Time)>,
}

impl TransportModel {
    /// A model without endpoints.
    #[must_use]
    pub fn new(limits: ModelLimits) -> Self {
        Self {
            limits,
            endpoints: Vec::new(),
            connections: ConnectionTable::default(),
            streams: StreamTable::default(),
            agenda: Agenda::default(),
            events: VecDeque::new(),
        }
    }

    /// Other bounds and timeouts, from the next dial, packet or write on.
    pub fn set_limits(&mut self, limits: ModelLimits) {
        self.limits = limits;
    }

    /// Closes all connections of an endpoint at their other ends too, as an idle timeout does.
    pub fn close_connections(&mut self, id: EndpointId) {
        for (connection, other) in self.connections.of(id) {
            self.close_at(connection, other);
            self.close_at(connection, id);
        }
    }

    /// Closes connections on which nothing has arrived since then, as an idle timeout does.
    pub fn close_idle(&mut self, since: Time) {
        for (connection, ends) in self.connections.idle_since(since) {
            ends.into_iter().for_each(|end| self.close_at(connection, end));
        }
    }

    /// How many connections an endpoint has.
    #[must_use]
    pub fn connections(&self, id: EndpointId) -> usize {
        self.connections.in_use(id)
    }

    /// How many connections were dialed by all endpoints since the beginning.
    #[must_use]
    pub fn dials(&self) -> u64 {
        self.connections.count()
    }

    /// Adds an endpoint that is down. `peer` is how others see it.
    pub fn add(&mut self, peer: Peer) -> EndpointId {
        let id = EndpointId(u32::try_from(self.endpoints.len()).unwrap_or(u32::MAX));
        self.endpoints.push(Endpoint {
            peer,
            features: Some(Features::SUPPORTED),
            start: None,
            is_up: false,
            life: 0,
            accepted: 0,
            backoff: BTreeMap::new(),
        });
        id
    }

    /// What an endpoint tells on its next connections that it speaks; `None` for a peer that
    /// speaks memberlist's wire only, as Go's members do. Default: [`Features::SUPPORTED`].
    pub fn set_features(&mut self, id: EndpointId, features: Option<Features>) {
        if let Some(endpoint) = self.endpoints.get_mut(id.index()) {
            endpoint.features = features;
        }
    }

    /// The start number that an endpoint tells on its next connections, whether it has restarted or
    /// not; `None` for one that tells the truth.
    pub fn set_start(&mut self, id: EndpointId, start: Option<u64>) {
        if let Some(endpoint) = self.endpoints.get_mut(id.index()) {
            endpoint.start = start;
        }
    }

    /// Starts an endpoint, or starts it anew: it remembers nothing, and whoever still has a
    /// connection to its former life finds out with the next bytes that reach it.
    pub fn start(&mut self, id: EndpointId, peer: Peer) {
        self.crash(id);
        if let Some(endpoint) = self.endpoints.get_mut(id.index()) {
            endpoint.peer = peer;
            endpoint.is_up = true;
            endpoint.life += 1;
        }
    }

    /// Ends an endpoint without a word.
    pub fn crash(&mut self, id: EndpointId) {
        self.connections.forget_endpoint(id);
        if let Some(endpoint) = self.endpoints.get_mut(id.index()) {
            endpoint.is_up = false;
            endpoint.backoff.clear();
        }
        self.streams.forget_endpoint(id);
        self.events.retain(|(other, _)| *other != id);
    }

    /// Streams that have not ended at both ends.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.streams.len()
    }

    /// What endpoints report, in the order in which it happened.
    pub fn poll_event(&mut self) -> Option<(EndpointId, TransportEvent)> {
        self.events.pop_front()
    }

    /// When something happens next without anybody's doing.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.agenda.next()
    }

    /// Does the first thing that is due at `now`; false when nothing is. Drain
    /// [`poll_event`](Self::poll_event) after each.
    pub fn advance(&mut self, now: Time, links: &mut impl Links) -> bool {
        let Some(due) = self.agenda.take_due(now) else { return false };
        match due {
            Move::Datagram { connection, to, life, bytes } => {
                self.datagram_arrives(connection, to, life, bytes, now, links);
            }
            Move::Dial { connection } => self.try_dial(connection, now, links),
            Move::CloseConnection { connection, at } => self.close_at(connection, at),
            Move::CloseRetired { connection, at } => self.close_retired(connection, at, now),
            Move::Refusal { at, life, from } => {
                if self.lives(at, life) {
                    self.report(at, TransportEvent::Hint { from, hint: Hint::Refused });
                }
            }
            Move::Piece { stream, to } => self.piece_arrives(stream, to, now, links),
            Move::Expire { stream } => self.expire(stream, now, links),
            Move::Refuse { stream } => {
                self.fail_end(stream, StreamSide::Opener, StreamFailure::Refused);
                self.streams.remove(stream);
            }
            Move::Reset { stream, side } => self.reset_arrives(stream, side),
            Move::EndDiscard { stream, side } => self.end_discard(stream, side, now, links),
        }
        true
    }

    pub(super) fn lives(&self, id: EndpointId, life: u32) -> bool {
        self.endpoint(id).is_some_and(|endpoint| endpoint.is_up && endpoint.life == life)
    }

    pub(super) fn endpoint(&self, id: EndpointId) -> Option<&Endpoint> {
        self.endpoints.get(id.index())
    }

    pub(super) fn life(&self, id: EndpointId) -> u32 {
        self.endpoint(id).map_or(0, |endpoint| endpoint.life)
    }

    pub(super) fn peer(&self, id: EndpointId) -> Option<Peer> {
        self.endpoint(id).map(|endpoint| endpoint.peer.clone())
    }

    pub(super) fn report(&mut self, to: EndpointId, event: TransportEvent) {
        self.events.push_back((to, event));
    }

    /// Names a stream that reached `id` for the first time.
    pub(super) fn accept(&mut self, id: EndpointId) -> StreamId {
        let Some(endpoint) = self.endpoints.get_mut(id.index()) else {
            return StreamId::incoming(0);
        };
        endpoint.accepted += 1;
        StreamId::incoming(endpoint.accepted)
    }

    /// A connection was established, in place of an older one: both ends learn what the other
    /// speaks.
    pub(super) fn tell_features(&mut self, id: ConnectionId, older: Option<ConnectionId>) {
        let Some(connection) = self.connections.get(id) else { return };
        let [from, target] = [connection.ends[0].id, connection.ends[1].id];
        for (at, other) in [(from, target), (target, from)] {
            let replaced = older.and_then(|older| self.connections.get_mut(older));
            let known = replaced.and_then(|older| older.end_mut(at).features_of.take());
            let ours = self.endpoint(at).and_then(|endpoint| endpoint.features);
            let Some(peer) = self.endpoint(other) else { continue };
            let (to, features) = (peer.peer.address, peer.features.filter(|_| ours.is_some()));
            let start = features.map(|_| peer.start.unwrap_or(peer.life.into()));
            let Some(connection) = self.connections.get_mut(id) else { continue };
            connection.end_mut(at).features_of = features.map(|_| to);
            if features.is_some() || known.is_some() {
                self.report(at, TransportEvent::PeerFeatures { to, features, start });
            }
        }
    }

    /// An end uses a connection for nothing new, and has no other one to that peer.
    pub(super) fn withdraw_features(&mut self, id: ConnectionId, at: EndpointId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let (other, _) = connection.other(at);
        let told = connection.end_mut(at).features_of.take();
        // The one used now speaks for the peer, if it is another one.
        let used = self.connections.find(at, other).and_then(|used| self.connections.get(used));
        let used = used.filter(|used| used.is_established() && used.end(at).features_of.is_some());
        if let (Some(to), None) = (told, used) {
            let (features, start) = (None, None);
            self.report(at, TransportEvent::PeerFeatures { to, features, start });
        }
    }
}
