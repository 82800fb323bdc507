//! Packets on their way to the peer: as datagrams where they fit, as unidirectional streams where
//! they do not.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use quiche::Error;

use super::packet_stream::OutgoingPacket;
use super::path_mtu::LEAST_UDP_PAYLOAD;
use crate::endpoint_context::EndpointContext;
use crate::error::SendFailure;
use crate::event::EndpointEvent;
use crate::quic_stream::{ID_STEP, first_ids, stop_writing};

/// The packets that one connection has not handed to quiche yet.
pub(crate) struct Outbox {
    address: SocketAddr,
    /// Packets that wait for the handshake; at most [`dial_queue`](crate::Limits::dial_queue).
    waiting: VecDeque<WaitingPacket>,
    waiting_bytes: usize,
    /// Packets that travel as streams, oldest first; at most
    /// [`stream_buffer`](crate::Limits::stream_buffer) bytes.
    streams: VecDeque<OutgoingPacket>,
    /// All bytes of `streams`.
    stream_bytes: usize,
    /// Those of them that quiche has not taken yet.
    unsent_bytes: usize,
    /// quiche has taken some of them since a deadline was last looked at.
    has_progressed: bool,
    next_id: u64,
    packet_limit: Option<usize>,
    /// Large datagrams may not pass at the moment.
    short: bool,
}

/// A packet that waits for the handshake.
pub(crate) struct WaitingPacket {
    /// The name that the peer's certificate must prove.
    pub(crate) expected: Option<Vec<u8>>,
    pub(crate) bytes: Vec<u8>,
}

impl Outbox {
    pub(crate) fn new(address: SocketAddr, dialed: bool) -> Self {
        Self {
            address,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            streams: VecDeque::new(),
            stream_bytes: 0,
            unsent_bytes: 0,
            has_progressed: false,
            next_id: first_ids(dialed).1,
            packet_limit: None,
            short: false,
        }
    }

    /// Makes room for one more packet that waits for the handshake, by dropping the oldest.
    pub(crate) fn drop_oldest_waiting(&mut self, context: &mut EndpointContext) {
        if self.waiting.len() >= context.limits().dial_queue
            && let Some(dropped) = self.waiting.pop_front()
        {
            self.waiting_bytes -= dropped.bytes.len();
            context.count().dial_queue_drops += 1;
        }
    }

    /// Keeps a packet until the handshake is done, if the endpoint has room.
    pub(crate) fn wait(
        &mut self,
        context: &mut EndpointContext,
        expected: Option<&[u8]>,
        bytes: &[u8],
    ) {
        if context.admits(bytes.len()) {
            self.waiting_bytes += bytes.len();
            let expected = expected.map(<[u8]>::to_vec);
            self.waiting.push_back(WaitingPacket { expected, bytes: bytes.to_vec() });
        }
    }

    /// The packets that waited for the handshake, which is done.
    pub(crate) fn take_waiting(&mut self) -> VecDeque<WaitingPacket> {
        self.waiting_bytes = 0;
        std::mem::take(&mut self.waiting)
    }

    /// Sends a packet, or drops it at a bound.
    pub(crate) fn send(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        bytes: &[u8],
        now: Instant,
    ) {
        if datagram_limit(quic, self.short).is_some_and(|limit| bytes.len() <= limit) {
            send_datagram(quic, context, bytes);
            return;
        }
        self.send_by_stream(quic, context, bytes, now);
    }

    fn send_by_stream(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        bytes: &[u8],
        now: Instant,
    ) {
        if self.stream_bytes + bytes.len() > context.limits().stream_buffer {
            context.count().send_queue_drops += 1;
            return;
        }
        if !context.admits(bytes.len()) {
            return;
        }
        let deadline = now + context.limits().packet_stream_timeout;
        self.push(OutgoingPacket::new(bytes, deadline));
        context.count().packets_sent_by_stream += 1;
        self.write(quic);
    }

    /// Notes whether large datagrams may not pass at the moment. True if that is so since now.
    pub(crate) fn set_short(&mut self, short: bool) -> bool {
        let before = std::mem::replace(&mut self.short, short);
        short && !before
    }

    /// Sends datagrams that wait in quiche and are longer than the path carries by now as streams:
    /// quiche would drop them, or let nothing past them.
    pub(crate) fn resend_long_datagrams(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        now: Instant,
    ) {
        if quic.dgram_send_queue_len() == 0 {
            return;
        }
        let Some(limit) = datagram_limit(quic, self.short) else { return };
        let long = RefCell::new(Vec::new());
        quic.dgram_purge_outgoing(|bytes| {
            let is_long = bytes.len() > limit;
            if is_long {
                long.borrow_mut().push(bytes.to_vec());
            }
            is_long
        });
        for bytes in long.into_inner() {
            self.send_by_stream(quic, context, &bytes, now);
        }
    }

    /// Sends HELLO, which is too important for a datagram.
    pub(crate) fn send_hello(
        &mut self,
        quic: &mut quiche::Connection,
        bytes: &[u8],
        deadline: Instant,
    ) {
        debug_assert!(self.streams.is_empty(), "HELLO is the first packet of a connection");
        self.push(OutgoingPacket::new(bytes, deadline));
        self.write(quic);
    }

    fn push(&mut self, packet: OutgoingPacket) {
        self.stream_bytes += packet.len();
        self.unsent_bytes += packet.unsent();
        self.streams.push_back(packet);
    }

    fn pop(&mut self) -> Option<OutgoingPacket> {
        let packet = self.streams.pop_front()?;
        self.stream_bytes -= packet.len();
        self.unsent_bytes -= packet.unsent();
        if self.streams.is_empty() {
            // Most connections send one HELLO and nothing else; idle ones are to stay small.
            self.streams.shrink_to_fit();
        }
        Some(packet)
    }

    /// Hands quiche as much as the peer's credit allows, in order.
    pub(crate) fn write(&mut self, quic: &mut quiche::Connection) {
        while let Some(packet) = self.streams.front_mut() {
            let id = match packet.id() {
                Some(id) => id,
                None if quic.peer_streams_left_uni() > 0 => {
                    let id = self.next_id;
                    self.next_id += ID_STEP;
                    if let Err(error) = quic.stream_priority(id, URGENT, true) {
                        log::trace!("{}: stream {id} has no priority: {error:?}", self.address);
                    }
                    id
                }
                None => break,
            };
            let taken = packet.write(quic, id);
            self.unsent_bytes -= taken;
            self.has_progressed |= taken > 0;
            if packet.unsent() > 0 {
                break;
            }
            self.pop();
        }
    }

    /// Gives up packets that miss their deadline, which is set anew as long as the peer takes some
    /// of them. True if one never got the credit for a stream.
    pub(crate) fn expire(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        now: Instant,
    ) -> bool {
        let mut starved = false;
        if let Some(first) = self.streams.front_mut().filter(|first| first.deadline() <= now)
            && std::mem::take(&mut self.has_progressed)
        {
            first.set_deadline(now + context.limits().packet_stream_timeout);
        }
        while self.next_deadline().is_some_and(|deadline| deadline <= now)
            && let Some(packet) = self.pop()
        {
            match packet.id() {
                Some(id) => stop_writing(quic, id),
                None => starved = true,
            }
            context.count().bad_packet_streams += 1;
            let reason = SendFailure::Unreachable;
            context.emit(EndpointEvent::SendFailed { to: self.address, reason });
        }
        starved
    }

    /// Reports the largest packet that travels as one datagram, if that has changed.
    pub(crate) fn note_packet_limit(
        &mut self,
        quic: &quiche::Connection,
        context: &mut EndpointContext,
    ) {
        let limit = datagram_limit(quic, false);
        if limit != self.packet_limit {
            self.packet_limit = limit;
            if let Some(limit) = limit {
                context.emit(EndpointEvent::PacketLimit { to: self.address, limit });
            }
        }
    }

    /// The largest packet that travels as one datagram, in bytes, if the peer takes datagrams.
    pub(crate) fn packet_limit(&self) -> Option<usize> {
        self.packet_limit
    }

    /// When the first packet misses its deadline.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        // Those behind the first one wait for it.
        self.streams.front().map(OutgoingPacket::deadline)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.streams.is_empty()
    }

    /// Bytes in both queues.
    pub(crate) fn bytes(&self) -> usize {
        debug_assert_eq!(
            self.waiting_bytes,
            self.waiting.iter().map(|packet| packet.bytes.len()).sum::<usize>(),
            "every packet that waits for the handshake is counted"
        );
        self.waiting_bytes + self.unwritten()
    }

    /// How much waits for room in quiche: bytes, and ends of streams.
    pub(crate) fn unwritten(&self) -> usize {
        debug_assert_eq!(
            (self.stream_bytes, self.unsent_bytes),
            self.streams.iter().fold((0, 0), |(all, unsent), packet| {
                (all + packet.len(), unsent + packet.unsent())
            }),
            "every byte of a packet stream is counted"
        );
        self.unsent_bytes + self.streams.len()
    }

    /// The connection is over.
    pub(crate) fn clear(&mut self) {
        self.take_waiting();
        while self.pop().is_some() {}
    }
}

fn send_datagram(quic: &mut quiche::Connection, context: &mut EndpointContext, bytes: &[u8]) {
    if let Err(Error::Done) = quic.dgram_send(bytes) {
        purge_older_half(quic, context);
        if quic.dgram_send(bytes).is_err() {
            context.count().send_queue_drops += 1;
            return;
        }
    }
    context.count().packets_sent += 1;
}

/// Makes room in quiche's queue, which would rather refuse what is fresh.
fn purge_older_half(quic: &mut quiche::Connection, context: &mut EndpointContext) {
    let older = quic.dgram_send_queue_len().div_ceil(2);
    let left = Cell::new(older);
    quic.dgram_purge_outgoing(|_| {
        let purge = left.get() > 0;
        left.set(left.get().saturating_sub(1));
        purge
    });
    context.count().send_queue_drops += u64::try_from(older).unwrap_or(u64::MAX);
}

/// The largest packet that surely leaves as one datagram, in a `short` UDP datagram if these are
/// all that may pass. While path MTU discovery runs, quiche
/// already counts with the size that it probes and would let a datagram of that size block the
/// queue.
fn datagram_limit(quic: &quiche::Connection, short: bool) -> Option<usize> {
    let writable = quic.dgram_max_writable_len()?;
    if quic.pmtu().is_some() && !short {
        return Some(writable);
    }
    let unproven = quic.max_send_udp_payload_size().saturating_sub(LEAST_UDP_PAYLOAD);
    Some(writable.saturating_sub(unproven))
}

/// Sent before bidirectional streams, whose urgency is quiche's default, 127.
const URGENT: u8 = 0;
