//! What the endpoint and its connections work with together: configuration, secrets, counters,
//! the queue of events, and the bound of everything that is queued anywhere.
//!
//! Decides nothing but when there is no room.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::EndpointConfig;
use crate::connection_id::Secrets;
use crate::event::{Event, PeerIdentity, Read, StreamHandle};
use crate::pool::Key;
use crate::reason::Refusal;
use crate::stats::EndpointStats;

pub(crate) struct Shared {
    pub(crate) config: EndpointConfig,
    pub(crate) secrets: Secrets,
    pub(crate) stats: EndpointStats,
    /// Which connection has a stream.
    pub(crate) owners: HashMap<StreamHandle, Key>,
    /// What was received whole on streams whose connection closed before it was read.
    pub(crate) leftovers: Leftovers,
    /// Bytes in the queues of all connections, of both directions.
    pub(crate) buffered: usize,
    events: VecDeque<Event>,
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

    pub(crate) fn next_stream(&mut self, owner: Key) -> StreamHandle {
        let handle = self.orphan_stream();
        self.owners.insert(handle, owner);
        handle
    }

    /// A handle for a stream that never was.
    pub(crate) fn orphan_stream(&mut self) -> StreamHandle {
        self.streams += 1;
        StreamHandle(self.streams)
    }

    pub(crate) fn emit(&mut self, event: Event) {
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
    pub(crate) fn emit_payload(&mut self, event: Event) {
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
            self.emit(Event::Refused { from, what, detail });
        }
    }

    /// Counts a refusal that strangers can provoke at will, without telling of each.
    pub(crate) fn refuse_quietly(&mut self, what: Refusal) {
        *self.stats.refusals.entry(what).or_default() += 1;
    }

    pub(crate) fn packet(&mut self, peer: &Arc<PeerIdentity>, bytes: Vec<u8>) {
        self.emit_payload(Event::Packet { peer: Arc::clone(peer), bytes });
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        self.event_bytes = self.event_bytes.saturating_sub(payload_size(&event));
        Some(event)
    }
}

/// What was received whole on streams whose connection has closed.
#[derive(Default)]
pub(crate) struct Leftovers {
    streams: BTreeMap<StreamHandle, VecDeque<u8>>,
    bytes: usize,
}

impl Leftovers {
    /// Keeps what is left of a stream, at the price of the oldest if there are too many.
    pub(crate) fn insert(&mut self, stream: StreamHandle, rest: Vec<u8>) {
        self.bytes += rest.len();
        self.streams.insert(stream, rest.into());
        if self.streams.len() > LEFTOVERS
            && let Some((_, dropped)) = self.streams.pop_first()
        {
            self.bytes -= dropped.len();
        }
    }

    /// Reads from a stream that is kept here; none if it is not.
    pub(crate) fn read(&mut self, stream: StreamHandle, buffer: &mut [u8]) -> Option<Read> {
        let rest = self.streams.get_mut(&stream)?;
        let bytes = rest.len().min(buffer.len());
        for (slot, byte) in buffer.iter_mut().zip(rest.drain(..bytes)) {
            *slot = byte;
        }
        self.bytes -= bytes;
        let fin = rest.is_empty();
        if fin {
            self.streams.remove(&stream);
        }
        Some(Read { bytes, fin })
    }

    pub(crate) fn remove(&mut self, stream: StreamHandle) {
        if let Some(dropped) = self.streams.remove(&stream) {
            self.bytes -= dropped.len();
        }
    }
}

/// Streams whose data is kept after their connection closed; the oldest is dropped.
const LEFTOVERS: usize = 64;
/// With so many events waiting, refusals are only counted: strangers cause them.
const REFUSALS: usize = 10_000;

/// What a queued payload weighs, with its bookkeeping.
fn payload_size(event: &Event) -> usize {
    match event {
        Event::Packet { bytes, .. }
        | Event::ApplicationPacket { bytes, .. }
        | Event::RawDatagram { bytes, .. } => bytes.len() + 64,
        Event::Connected { .. }
        | Event::Closed { .. }
        | Event::StreamOpened { .. }
        | Event::StreamReadable { .. }
        | Event::StreamWritable { .. }
        | Event::StreamFailed { .. }
        | Event::SendFailed { .. }
        | Event::PacketLimit { .. }
        | Event::Refused { .. } => 0,
    }
}
