//! What the endpoint and its connections work with together: configuration, secrets, counters,
//! the queue of events, and the bound of everything that is queued anywhere.
//!
//! Decides nothing but when there is no room.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::EndpointConfig;
use crate::connection_id::Secrets;
use crate::connection_key::ConnectionKey;
use crate::event::{EndpointEvent, PeerIdentity, Read};
use crate::reason::Refusal;
use crate::stats::EndpointStats;
use crate::stream_token::StreamToken;

pub(crate) struct Shared {
    pub(crate) config: EndpointConfig,
    pub(crate) secrets: Secrets,
    pub(crate) stats: EndpointStats,
    /// Which connection has a stream.
    pub(crate) owners: HashMap<StreamToken, ConnectionKey>,
    /// What was received whole on streams whose connection closed before it was read.
    pub(crate) leftovers: Leftovers,
    /// Bytes in the queues of all connections, of both directions.
    pub(crate) buffered: usize,
    events: VecDeque<EndpointEvent>,
    event_bytes: usize,
    streams: u64,
}

impl Shared {
    pub(crate) fn new(config: EndpointConfig, secrets: Secrets) -> Self {
        Self {
            config,
            secrets,
            stats: EndpointStats::default(),
            owners: HashMap::new(),
            leftovers: Leftovers::default(),
            buffered: 0,
            events: VecDeque::new(),
            event_bytes: 0,
            streams: 0,
        }
    }

    /// The token of a stream that a peer opened.
    pub(crate) fn mint_token(&mut self, owner: ConnectionKey) -> StreamToken {
        let token = StreamToken::from_peer(self.streams);
        self.streams += 1;
        self.owners.insert(token, owner);
        token
    }

    /// Whether the token may not be given to a new stream of ours.
    pub(crate) fn is_taken(&self, token: StreamToken) -> bool {
        token.is_from_peer()
            || self.owners.contains_key(&token)
            || self.leftovers.streams.iter().any(|(kept, _)| *kept == token)
    }

    pub(crate) fn emit(&mut self, event: EndpointEvent) {
        self.events.push_back(event);
    }

    /// Bytes that may still be queued anywhere in this endpoint.
    pub(crate) fn room(&self) -> usize {
        let held = self.buffered + self.event_bytes + self.leftovers.bytes;
        self.config.limits.endpoint_buffer.saturating_sub(held)
    }

    /// Whether so many bytes more may be queued; counts it if not.
    pub(crate) fn admits(&mut self, bytes: usize) -> bool {
        let admitted = bytes <= self.room();
        self.stats.endpoint_buffer_drops += u64::from(!admitted);
        admitted
    }

    /// Queues an event that carries a payload from the network, unless there is no room.
    pub(crate) fn emit_payload(&mut self, event: EndpointEvent) {
        let size = payload_size(&event);
        if !self.admits(size) {
            return;
        }
        self.event_bytes += size;
        self.events.push_back(event);
    }

    pub(crate) fn refuse(&mut self, from: SocketAddr, what: Refusal, detail: String) {
        *self.stats.refusals.entry(what).or_default() += 1;
        log::debug!("{from}: {detail}");
        if self.events.len() < REFUSALS {
            self.emit(EndpointEvent::Refused { from, what, detail });
        }
    }

    /// Counts a refusal that strangers can provoke at will, without telling of each.
    pub(crate) fn refuse_quietly(&mut self, what: Refusal) {
        *self.stats.refusals.entry(what).or_default() += 1;
    }

    pub(crate) fn packet(&mut self, peer: &Arc<PeerIdentity>, bytes: Vec<u8>) {
        self.emit_payload(EndpointEvent::Packet { peer: Arc::clone(peer), bytes });
    }

    pub(crate) fn poll_event(&mut self) -> Option<EndpointEvent> {
        let event = self.events.pop_front()?;
        self.event_bytes = self.event_bytes.saturating_sub(payload_size(&event));
        Some(event)
    }
}

/// What was received whole on streams whose connection has closed.
#[derive(Default)]
pub(crate) struct Leftovers {
    /// Oldest first.
    streams: VecDeque<(StreamToken, VecDeque<u8>)>,
    bytes: usize,
}

impl Leftovers {
    /// Keeps what is left of a stream, at the price of the oldest if there are too many.
    pub(crate) fn insert(&mut self, stream: StreamToken, rest: Vec<u8>) {
        self.bytes += rest.len();
        self.streams.push_back((stream, rest.into()));
        if self.streams.len() > LEFTOVERS
            && let Some((_, dropped)) = self.streams.pop_front()
        {
            self.bytes -= dropped.len();
        }
    }

    /// Reads from a stream that is kept here; none if it is not.
    pub(crate) fn read(&mut self, stream: StreamToken, buffer: &mut [u8]) -> Option<Read> {
        let at = self.streams.iter().position(|(kept, _)| *kept == stream)?;
        let (_, rest) = self.streams.get_mut(at)?;
        let bytes = rest.len().min(buffer.len());
        for (slot, byte) in buffer.iter_mut().zip(rest.drain(..bytes)) {
            *slot = byte;
        }
        self.bytes -= bytes;
        let fin = rest.is_empty();
        if fin {
            self.streams.remove(at);
        }
        Some(Read { bytes, fin })
    }

    pub(crate) fn remove(&mut self, stream: StreamToken) {
        if let Some(at) = self.streams.iter().position(|(kept, _)| *kept == stream)
            && let Some((_, dropped)) = self.streams.remove(at)
        {
            self.bytes -= dropped.len();
        }
    }
}

/// Streams whose data is kept after their connection closed; the oldest is dropped.
const LEFTOVERS: usize = 64;
/// With so many events waiting, refusals are only counted: strangers cause them.
const REFUSALS: usize = 10_000;

/// What a queued payload weighs, with its bookkeeping.
fn payload_size(event: &EndpointEvent) -> usize {
    match event {
        EndpointEvent::Packet { bytes, .. }
        | EndpointEvent::ApplicationPacket { bytes, .. }
        | EndpointEvent::RawDatagram { bytes, .. } => bytes.len() + 64,
        EndpointEvent::Connected { .. }
        | EndpointEvent::Closed { .. }
        | EndpointEvent::StreamOpened { .. }
        | EndpointEvent::StreamReadable { .. }
        | EndpointEvent::StreamWritable { .. }
        | EndpointEvent::StreamFailed { .. }
        | EndpointEvent::SendFailed { .. }
        | EndpointEvent::PacketLimit { .. }
        | EndpointEvent::Refused { .. } => 0,
    }
}
