//! Packets on a connection: datagrams where they fit, unidirectional streams where they do not.
//!
//! Decides which way a packet takes, what its first byte means, and which packets are dropped
//! at a bound. The payload itself is the application's.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use quiche::{Error, Shutdown};

use super::streams::send_within_credit;
use super::{Changes, Connection, Phase};
use crate::error::SendFailure;
use crate::event::{EndpointEvent, PeerIdentity, Protocol};
use crate::hello::{APPLICATION, EXTENSION, KIND};
use crate::limits::MAX_PACKET;
use crate::shared::Shared;
use crate::stream::{IncomingPacket, OutgoingPacket};

impl Connection {
    /// Sends a packet, or queues it until the handshake is done.
    pub(crate) fn send_packet(
        &mut self,
        shared: &mut Shared,
        expected: Option<&[u8]>,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(), SendFailure> {
        let Some(peer) = &self.peer else {
            if self.queue.len() >= shared.config.limits.dial_queue {
                self.queue.pop_front();
                shared.stats.dial_queue_drops += 1;
                self.account(shared);
            }
            if shared.admits(bytes.len()) {
                self.queue.push_back((expected.map(<[u8]>::to_vec), bytes.to_vec()));
                self.account(shared);
            }
            return Ok(());
        };
        if expected.is_some_and(|name| !peer.is(name)) {
            return Err(SendFailure::NameMismatch);
        }
        let reserved = matches!(bytes.first(), Some(&(APPLICATION | EXTENSION)));
        if reserved && peer.protocol == Protocol::Classic {
            return Err(SendFailure::ClassicPeer);
        }
        self.transmit(shared, bytes, now);
        Ok(())
    }

    /// Since when everything has gone unanswered, if that is too long.
    pub(crate) fn is_stalled(&self, shared: &Shared, now: Instant) -> bool {
        self.phase == Phase::Confirmed
            && self.unanswered_since.is_some_and(|since| {
                now.saturating_duration_since(since) > shared.config.limits.stall_timeout
            })
    }

    pub(super) fn release_queue(&mut self, shared: &mut Shared, now: Instant) {
        for (expected, bytes) in std::mem::take(&mut self.queue) {
            if let Err(reason) = self.send_packet(shared, expected.as_deref(), &bytes, now) {
                shared.emit(EndpointEvent::SendFailed { to: self.address, reason });
            }
        }
    }

    fn transmit(&mut self, shared: &mut Shared, bytes: &[u8], now: Instant) {
        self.last_payload = now;
        self.unanswered_since.get_or_insert(now);
        if self.datagram_limit().is_some_and(|limit| bytes.len() <= limit) {
            if let Err(Error::Done) = self.quic.dgram_send(bytes) {
                self.purge_older_half(shared);
                if self.quic.dgram_send(bytes).is_err() {
                    shared.stats.send_queue_drops += 1;
                    return;
                }
            }
            shared.stats.packets_sent += 1;
            return;
        }
        let queued: usize = self.packets_out.iter().map(|packet| packet.bytes.len()).sum();
        if queued + bytes.len() > shared.config.limits.stream_buffer {
            shared.stats.send_queue_drops += 1;
            return;
        }
        if !shared.admits(bytes.len()) {
            return;
        }
        let deadline = now + shared.config.limits.packet_stream_timeout;
        self.packets_out.push_back(OutgoingPacket::new(bytes, deadline));
        shared.stats.packets_sent_by_stream += 1;
        self.write_packets();
        self.account(shared);
    }

    /// Makes room in quiche's queue, which would rather refuse what is fresh.
    fn purge_older_half(&mut self, shared: &mut Shared) {
        let older = self.quic.dgram_send_queue_len().div_ceil(2);
        let left = Cell::new(older);
        self.quic.dgram_purge_outgoing(|_| {
            let purge = left.get() > 0;
            left.set(left.get().saturating_sub(1));
            purge
        });
        shared.stats.send_queue_drops += u64::try_from(older).unwrap_or(u64::MAX);
    }

    /// The largest packet that surely leaves as one datagram. While path MTU discovery runs,
    /// quiche already counts with the size that it probes and would let a datagram of that size
    /// block the queue.
    fn datagram_limit(&self) -> Option<usize> {
        let writable = self.quic.dgram_max_writable_len()?;
        if self.quic.pmtu().is_some() {
            return Some(writable);
        }
        let unproven = self.quic.max_send_udp_payload_size().saturating_sub(LEAST_UDP_PAYLOAD);
        Some(writable.saturating_sub(unproven))
    }

    pub(super) fn note_packet_limit(&mut self, shared: &mut Shared) {
        let limit = self.datagram_limit();
        if limit != self.packet_limit {
            self.packet_limit = limit;
            if let Some(limit) = limit {
                shared.emit(EndpointEvent::PacketLimit { to: self.address, limit });
            }
        }
    }

    pub(super) fn receive_datagrams(&mut self, shared: &mut Shared, now: Instant) {
        while let Ok(bytes) = self.quic.dgram_recv_buf() {
            shared.stats.packets_received += 1;
            // A HELLO in a datagram might be lost and so is none.
            let mut unused = Changes::default();
            self.classify(shared, bytes, now, &mut unused);
        }
    }

    pub(super) fn read_packet_stream(
        &mut self,
        shared: &mut Shared,
        id: u64,
        now: Instant,
        changes: &mut Changes,
    ) {
        let deadline = now + shared.config.limits.packet_stream_timeout;
        let mut packet = self.packets_in.remove(&id).unwrap_or(IncomingPacket::new(deadline));
        let mut chunk = [0; 16 << 10];
        let mut fin = false;
        loop {
            match self.quic.stream_recv(id, &mut chunk) {
                Ok((length, last)) => {
                    if !packet.settled && packet.bytes.len() <= 4 + MAX_PACKET {
                        packet.bytes.extend_from_slice(&chunk[..length]);
                    }
                    fin |= last;
                }
                Err(Error::Done) => break,
                Err(_) => fin = true,
            }
            if fin {
                break;
            }
        }
        if packet.settled {
            if !fin {
                self.packets_in.insert(id, packet);
            }
            return;
        }
        if let Some(payload) = packet.payload().filter(|payload| !payload.is_empty()) {
            let bytes = payload.to_vec();
            if !fin {
                self.packets_in.insert(id, IncomingPacket::settled());
            }
            shared.stats.packets_received_by_stream += 1;
            self.arrived(shared, bytes, now, changes);
            return;
        }
        let too_long = packet.announced().is_some_and(|length| length > MAX_PACKET);
        let held: usize = self.packets_in.values().map(|packet| packet.bytes.len()).sum();
        let crowded = held + packet.bytes.len() > shared.config.limits.stream_buffer;
        let bad = fin || too_long || crowded || !shared.admits(packet.bytes.len());
        shared.stats.bad_packet_streams += u64::from(bad);
        if !fin {
            let packet = if bad { IncomingPacket::settled() } else { packet };
            self.packets_in.insert(id, packet);
        }
    }

    /// A packet came by stream, perhaps before the peer is confirmed.
    fn arrived(
        &mut self,
        shared: &mut Shared,
        bytes: Vec<u8>,
        now: Instant,
        changes: &mut Changes,
    ) {
        let is_hello = bytes.first() == Some(&EXTENSION);
        if self.phase == Phase::Confirmed || is_hello {
            self.classify(shared, bytes, now, changes);
        } else if self.held.len() >= shared.config.limits.dial_queue {
            shared.stats.endpoint_buffer_drops += 1;
        } else if shared.admits(bytes.len()) {
            self.held.push_back(bytes);
        }
    }

    /// Hands on what had to wait for the confirmation; true if the peer was just confirmed.
    pub(super) fn release_held(&mut self, shared: &mut Shared, now: Instant) -> bool {
        let fresh = self.authenticated == 0;
        let mut unused = Changes::default();
        for bytes in std::mem::take(&mut self.held) {
            self.classify(shared, bytes, now, &mut unused);
        }
        for id in std::mem::take(&mut self.held_streams) {
            self.read_stream(shared, id, now);
        }
        fresh
    }

    fn classify(
        &mut self,
        shared: &mut Shared,
        bytes: Vec<u8>,
        now: Instant,
        changes: &mut Changes,
    ) {
        let Some(peer) = self.peer.clone() else { return };
        match (bytes.first(), peer.protocol) {
            (Some(&(APPLICATION | EXTENSION)), Protocol::Classic) => {
                shared.stats.reserved_first_bytes += 1;
            }
            (Some(&EXTENSION), Protocol::Extended) => match bytes.get(1) {
                Some(&KIND) => {
                    let rest = bytes.get(2..).unwrap_or_default();
                    self.greet(shared, rest, changes);
                }
                Some(_) | None => shared.stats.unknown_extensions += 1,
            },
            (Some(&APPLICATION), Protocol::Extended) => {
                self.last_payload = now;
                shared.emit_payload(EndpointEvent::ApplicationPacket { peer, bytes });
            }
            (_, Protocol::Classic | Protocol::Extended) => self.deliver(shared, &peer, bytes, now),
        }
    }

    fn deliver(
        &mut self,
        shared: &mut Shared,
        peer: &Arc<PeerIdentity>,
        bytes: Vec<u8>,
        now: Instant,
    ) {
        self.last_payload = now;
        shared.packet(peer, bytes);
    }

    pub(super) fn write_packets(&mut self) {
        let mut done = 0;
        for packet in &mut self.packets_out {
            let id = match packet.id {
                Some(id) => id,
                None if self.quic.peer_streams_left_uni() > 0 => {
                    let id = self.next_unidirectional;
                    self.next_unidirectional += 4;
                    if let Err(error) = self.quic.stream_priority(id, URGENT, true) {
                        log::trace!("{}: stream {id} has no priority: {error:?}", self.address);
                    }
                    *packet.id.insert(id)
                }
                None => break,
            };
            let rest = packet.bytes.get(packet.sent..).unwrap_or_default();
            match send_within_credit(&mut self.quic, id, rest, true) {
                Ok(taken) => packet.sent += taken,
                Err(Error::Done) => {}
                // Stopped by the peer, which has all it wants.
                Err(_) => packet.sent = packet.bytes.len(),
            }
            if packet.sent < packet.bytes.len() {
                break;
            }
            done += 1;
        }
        self.packets_out.drain(..done);
        if self.packets_out.is_empty() {
            // Most connections send one greeting and no other; idle ones are to stay small.
            self.packets_out.shrink_to_fit();
        }
    }

    /// Gives up packets that miss their deadline, in both directions; true if one of ours never
    /// got the credit for a stream.
    pub(super) fn expire_packets(&mut self, shared: &mut Shared, now: Instant) -> bool {
        let mut starved = false;
        while self.packets_out.front().is_some_and(|packet| packet.deadline <= now)
            && let Some(packet) = self.packets_out.pop_front()
        {
            match packet.id {
                Some(id) => self.stop_writing(id),
                None => starved = true,
            }
            shared.stats.bad_packet_streams += 1;
            shared.emit(EndpointEvent::SendFailed {
                to: self.address,
                reason: SendFailure::Unreachable,
            });
        }
        for packet in self.packets_in.values_mut() {
            if packet.deadline.is_some_and(|deadline| deadline <= now) {
                *packet = IncomingPacket::settled();
                shared.stats.bad_packet_streams += 1;
            }
        }
        starved
    }

    pub(super) fn stop_reading(&mut self, id: u64) {
        if let Err(error) = self.quic.stream_shutdown(id, Shutdown::Read, 0) {
            log::trace!("{}: stream {id} was closed already: {error:?}", self.address);
        }
    }

    pub(super) fn stop_writing(&mut self, id: u64) {
        if let Err(error) = self.quic.stream_shutdown(id, Shutdown::Write, 0) {
            log::trace!("{}: stream {id} was closed already: {error:?}", self.address);
        }
    }
}

/// Sent before bidirectional streams, whose urgency is quiche's default, 127.
const URGENT: u8 = 0;
/// What every path carries (RFC 9000 section 14), and where path MTU discovery starts.
const LEAST_UDP_PAYLOAD: usize = 1200;
