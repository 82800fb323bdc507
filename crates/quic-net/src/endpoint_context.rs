//! What the endpoint and all its connections work with: configuration, secrets, counters, events,
//! the directory of streams, and the bound of everything that is queued anywhere.

use std::net::SocketAddr;

use crate::config::{EndpointConfig, Identify};
use crate::connection_id::Secrets;
use crate::event::EndpointEvent;
use crate::event_queue::{EventQueue, payload_size};
use crate::limits::Limits;
use crate::reason::Refusal;
use crate::stats::EndpointStats;
use crate::stream_directory::StreamDirectory;
use crate::stream_token::StreamToken;
use crate::unread_streams::UnreadStreams;

/// What every part of an endpoint may write to, by its methods.
pub(crate) struct EndpointContext {
    config: EndpointConfig,
    secrets: Secrets,
    stats: EndpointStats,
    events: EventQueue,
    streams: StreamDirectory,
    unread: UnreadStreams,
    /// Bytes in the queues of all connections, of both directions.
    connection_bytes: usize,
    /// Bytes of datagrams that overtook their handshakes.
    undecryptable_bytes: usize,
    /// Bytes that peers have sent of the handshakes that they began and that are under way.
    handshake_bytes: usize,
}

impl EndpointContext {
    pub(crate) fn new(config: EndpointConfig, secrets: Secrets) -> Self {
        Self {
            config,
            secrets,
            stats: EndpointStats::default(),
            events: EventQueue::default(),
            streams: StreamDirectory::default(),
            unread: UnreadStreams::default(),
            connection_bytes: 0,
            undecryptable_bytes: 0,
            handshake_bytes: 0,
        }
    }

    pub(crate) fn config(&self) -> &EndpointConfig {
        &self.config
    }

    /// Reads the names of new peers' certificates in another way.
    pub(crate) fn set_identify(&mut self, identify: Identify) {
        self.config.identify = identify;
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.config.limits
    }

    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    pub(crate) fn secrets_mut(&mut self) -> &mut Secrets {
        &mut self.secrets
    }

    pub(crate) fn stats(&self) -> &EndpointStats {
        &self.stats
    }

    /// The counters, to count something.
    pub(crate) fn count(&mut self) -> &mut EndpointStats {
        &mut self.stats
    }

    pub(crate) fn streams(&self) -> &StreamDirectory {
        &self.streams
    }

    pub(crate) fn streams_mut(&mut self) -> &mut StreamDirectory {
        &mut self.streams
    }

    pub(crate) fn unread_mut(&mut self) -> &mut UnreadStreams {
        &mut self.unread
    }

    /// Whether the token may not be given to a new stream of the application's.
    pub(crate) fn is_taken(&self, token: StreamToken) -> bool {
        token.is_from_peer() || self.streams.locate(token).is_some() || self.unread.contains(token)
    }

    /// Bytes that may still be queued anywhere in this endpoint.
    pub(crate) fn room(&self) -> usize {
        let queued = self.connection_bytes + self.events.bytes() + self.unread.bytes();
        self.config.limits.endpoint_buffer.saturating_sub(queued)
    }

    /// Whether so many bytes more may be queued; counts a packet as dropped if not.
    pub(crate) fn admits(&mut self, bytes: usize) -> bool {
        let admitted = bytes <= self.room();
        self.stats.endpoint_buffer_drops += u64::from(!admitted);
        admitted
    }

    /// Whether so many bytes may be kept of a datagram that overtook its handshake, which then
    /// count until [`release_undecryptable`](Self::release_undecryptable).
    pub(crate) fn admit_undecryptable(&mut self, bytes: usize) -> bool {
        let admitted = self.undecryptable_bytes + bytes <= self.config.limits.undecryptable_buffer;
        self.undecryptable_bytes += if admitted { bytes } else { 0 };
        admitted
    }

    /// So many of these bytes are not kept any more.
    pub(crate) fn release_undecryptable(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.undecryptable_bytes, "what is kept is counted once");
        self.undecryptable_bytes = self.undecryptable_bytes.saturating_sub(bytes);
    }

    /// What peers have sent of the handshakes that they began and that are under way, in bytes.
    pub(crate) fn handshake_bytes(&self) -> usize {
        self.handshake_bytes
    }

    /// So many more of these bytes have arrived.
    pub(crate) fn count_handshake(&mut self, bytes: usize) {
        self.handshake_bytes += bytes;
    }

    /// So many of these bytes belong to handshakes that are over.
    pub(crate) fn release_handshake(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.handshake_bytes, "what is sent is counted once");
        self.handshake_bytes = self.handshake_bytes.saturating_sub(bytes);
    }

    /// The queues of one connection hold `after` bytes instead of `before`.
    pub(crate) fn account(&mut self, before: usize, after: usize) {
        debug_assert!(before <= self.connection_bytes, "what a connection holds is counted once");
        self.connection_bytes = (self.connection_bytes + after).saturating_sub(before);
    }

    /// Queues an event that the endpoint's bounds keep rare.
    pub(crate) fn emit(&mut self, event: EndpointEvent) {
        self.events.push(event);
    }

    /// Queues an event that carries a payload from the network, unless there is no room.
    pub(crate) fn emit_payload(&mut self, event: EndpointEvent) {
        if self.admits(payload_size(&event)) {
            self.events.push(event);
        }
    }

    /// Queues an event with a datagram that is not QUIC, unless too many of these wait. Anybody can
    /// send them, so that they take nothing of what packets of peers have.
    pub(crate) fn emit_raw(&mut self, event: EndpointEvent) {
        if self.events.raw_bytes() + payload_size(&event) <= WAITING_RAW {
            self.events.push(event);
        } else {
            self.stats.raw_datagram_drops += 1;
        }
    }

    /// Counts a refusal and reports it, unless too many events wait.
    pub(crate) fn refuse(&mut self, from: SocketAddr, what: Refusal, detail: String) {
        self.refuse_quietly(what);
        log::debug!("{from}: {detail}");
        if self.events.len() < REPORTED_REFUSALS {
            self.emit(EndpointEvent::Refused { from, what, detail });
        }
    }

    /// Counts a refusal that anybody can provoke at will, without reporting each.
    pub(crate) fn refuse_quietly(&mut self, what: Refusal) {
        *self.stats.refusals.entry(what).or_default() += 1;
    }

    pub(crate) fn poll_event(&mut self) -> Option<EndpointEvent> {
        self.events.pop()
    }
}

/// With so many events waiting, refusals are only counted: anybody can cause them.
const REPORTED_REFUSALS: usize = 10_000;
/// Bytes of datagrams that are not QUIC that may wait for the application: two thousand of the size
/// that STUN has, or sixteen of the longest.
const WAITING_RAW: usize = 1 << 20;
