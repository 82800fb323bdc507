//! A model of the transport: what a QUIC endpoint promises to a machine, in virtual time.
//!
//! [`TransportModel`] plays the endpoints of any number of members. It has dials, connections,
//! packets, and streams with bounded buffers and flow control; it has no QUIC, no cryptography
//! and no socket. What the network between the members does is asked of [`Links`]. The
//! simulator, the stories and the fuzzed cluster run on it, and a conformance test of the facade
//! runs the same scripts on it and on real endpoints.
//!
//! Of two connections between the same two members the older one closes after a moment, with the
//! streams that are still on it, as the real endpoint does. Not modelled: connections replaced
//! for their age or for want of stream credit, the bounds of the pool, peers on the classic
//! protocol.

mod agenda;
mod connection;
mod handle;
mod stream;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

pub use handle::ModelHandle;

use crate::error::StreamFailure;
use crate::member::Peer;
use crate::output::StreamId;
use crate::time::Time;
use crate::transport::TransportEvent;
use agenda::{Agenda, Move};
use connection::Connections;
use stream::{Side, Streams};

/// One modelled endpoint, in the order in which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(pub u32);

impl EndpointId {
    /// Stands for one of the addresses at which nobody is.
    fn nobody(number: usize) -> Self {
        Self(u32::MAX - u32::try_from(number).unwrap_or(FIRST_NOBODY))
    }

    fn is_nobody(self) -> bool {
        self.0 > u32::MAX - FIRST_NOBODY
    }

    /// Its place in the order of adding, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Half of all numbers are for endpoints, half for addresses without one.
const FIRST_NOBODY: u32 = u32::MAX / 2;

/// What the network between endpoints does. Asked at the moment at which something is sent.
pub trait Links {
    /// Who is at an address, or was there last; `None` where nobody ever was.
    fn endpoint_at(&self, address: SocketAddr) -> Option<EndpointId>;

    /// Whether anything travels from one to the other at present.
    fn connects(&self, from: EndpointId, to: EndpointId) -> bool;

    /// What becomes of one datagram: lost wherever [`connects`](Self::connects) is false. Its bytes
    /// may be damaged where the application's checksum or encryption notices it; there are none
    /// where QUIC itself has something to say.
    fn datagram(&mut self, from: EndpointId, to: EndpointId, bytes: &mut [u8]) -> Journey;

    /// How long bytes of a stream take, retransmissions included.
    fn stream_delay(&mut self, from: EndpointId, to: EndpointId) -> Duration;

    /// What happens to a stream that is being opened.
    fn stream_faults(&mut self) -> StreamFaults {
        StreamFaults::default()
    }

    /// How many of the bytes that wait on a stream arrive together.
    fn piece(&mut self, waiting: usize) -> usize {
        waiting
    }
}

/// What becomes of one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journey {
    /// It is gone.
    Lost,
    /// It arrives after this time, and perhaps once more after another.
    Arrives {
        /// The time of travel.
        after: Duration,
        /// A second copy.
        again: Option<Duration>,
    },
}

/// What happens to one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamFaults {
    /// It is refused.
    pub refused: bool,
    /// It is reset after so many more pieces.
    pub reset_after: Option<usize>,
}

/// The bounds and timeouts of modelled endpoints. They carry the names of the real endpoint's.
#[derive(Clone, Copy, Debug)]
pub struct ModelLimits {
    /// How long a dial may take.
    pub dial_timeout: Duration,
    /// The first pause after a failed dial; it doubles with each further failure.
    pub dial_backoff: Duration,
    /// The longest pause after failed dials.
    pub dial_backoff_max: Duration,
    /// Packets queued for a peer while it is dialed; the oldest is dropped.
    pub dial_queue: usize,
    /// How long everything may go unanswered before the next packet dials anew.
    pub stall_timeout: Duration,
    /// Bytes queued for sending on one stream.
    pub stream_buffer: usize,
    /// Unread bytes that one stream grants its sender.
    pub receive_window: usize,
    /// The largest packet that travels as one datagram.
    pub packet_limit: usize,
}

impl Default for ModelLimits {
    /// The defaults of the real endpoint.
    fn default() -> Self {
        Self {
            dial_timeout: Duration::from_secs(3),
            dial_backoff: Duration::from_millis(100),
            dial_backoff_max: Duration::from_secs(5),
            dial_queue: 32,
            stall_timeout: Duration::from_secs(5),
            stream_buffer: 256 * 1024,
            receive_window: 128 * 1024,
            packet_limit: 1_420,
        }
    }
}

/// The endpoints of any number of members, and everything under way between them.
///
/// Give each member a [`handle`](Self::handle), which is its [`Transport`](crate::Transport);
/// take what they report from [`poll_event`](Self::poll_event); move time with
/// [`advance`](Self::advance) whenever [`poll_timeout`](Self::poll_timeout) is due.
pub struct TransportModel {
    limits: ModelLimits,
    endpoints: Vec<Endpoint>,
    connections: Connections,
    streams: Streams,
    agenda: Agenda,
    events: VecDeque<(EndpointId, TransportEvent)>,
}

/// One endpoint.
struct Endpoint {
    /// How others see it.
    peer: Peer,
    is_up: bool,
    /// How often it was started.
    life: u32,
    /// Streams accepted so far, over all lives, so that no token is used twice.
    accepted: u64,
    /// Addresses whose dials failed: how often in a row, and until when packets fail at once.
    backoff: BTreeMap<SocketAddr, (u32, Time)>,
}

impl TransportModel {
    /// A model without endpoints.
    #[must_use]
    pub fn new(limits: ModelLimits) -> Self {
        Self {
            limits,
            endpoints: Vec::new(),
            connections: Connections::default(),
            streams: Streams::default(),
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

    /// Adds an endpoint that is down. `peer` is how others see it.
    pub fn add(&mut self, peer: Peer) -> EndpointId {
        let id = EndpointId(u32::try_from(self.endpoints.len()).unwrap_or(u32::MAX));
        self.endpoints.push(Endpoint {
            peer,
            is_up: false,
            life: 0,
            accepted: 0,
            backoff: BTreeMap::new(),
        });
        id
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

    /// The endpoint as its member's transport. `now` is the model's time.
    pub fn handle<'a, L: Links>(
        &'a mut self,
        id: EndpointId,
        links: &'a mut L,
        now: Time,
    ) -> ModelHandle<'a, L> {
        ModelHandle::new(self, id, links, now)
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
            Move::Piece { stream, to } => self.piece_arrives(stream, to, now, links),
            Move::Expire { stream } => self.expire(stream, now, links),
            Move::Refuse { stream } => {
                self.fail_end(stream, Side::Opener, StreamFailure::Refused);
                self.streams.remove(stream);
            }
            Move::Reset { stream, side } => self.reset_arrives(stream, side),
            Move::EndDiscard { stream, side } => self.end_discard(stream, side, now, links),
        }
        true
    }

    fn lives(&self, id: EndpointId, life: u32) -> bool {
        self.endpoint(id).is_some_and(|endpoint| endpoint.is_up && endpoint.life == life)
    }

    fn endpoint(&self, id: EndpointId) -> Option<&Endpoint> {
        self.endpoints.get(id.index())
    }

    fn life(&self, id: EndpointId) -> u32 {
        self.endpoint(id).map_or(0, |endpoint| endpoint.life)
    }

    fn peer(&self, id: EndpointId) -> Option<Peer> {
        self.endpoint(id).map(|endpoint| endpoint.peer.clone())
    }

    fn report(&mut self, to: EndpointId, event: TransportEvent) {
        self.events.push_back((to, event));
    }

    /// Names a stream that reached `id` for the first time.
    fn accept(&mut self, id: EndpointId) -> StreamId {
        let Some(endpoint) = self.endpoints.get_mut(id.index()) else {
            return StreamId::incoming(0);
        };
        endpoint.accepted += 1;
        StreamId::incoming(endpoint.accepted)
    }
}
