//! Packets on their way in: those that arrive as streams, and those that wait until the peer is
//! confirmed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use quiche::Error;

use super::packet_stream::IncomingPacket;
use crate::endpoint_context::EndpointContext;

/// The packets of one peer that were not handed on yet.
#[derive(Default)]
pub(crate) struct Inbox {
    /// Packets that arrive as streams, by QUIC stream id; settled ones until their streams end.
    arriving: BTreeMap<u64, IncomingPacket>,
    /// Of those that are not settled; at most [`stream_buffer`](crate::Limits::stream_buffer).
    arriving_bytes: usize,
    /// When those that are not settled are given up.
    deadlines: BTreeSet<(Instant, u64)>,
    /// Whole packets from a peer that is not confirmed; at most
    /// [`dial_queue`](crate::Limits::dial_queue).
    pre_confirmation: VecDeque<Vec<u8>>,
    pre_confirmation_bytes: usize,
}

impl Inbox {
    /// Reads what has arrived on a stream, and returns the packet if it is whole.
    pub(crate) fn read(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        id: u64,
        now: Instant,
    ) -> Option<Vec<u8>> {
        let deadline = now + context.limits().packet_stream_timeout;
        let mut packet = self.remove(id).unwrap_or(IncomingPacket::new(deadline));
        let fin = read_stream(quic, id, &mut packet);
        packet.renew_deadline(deadline);
        if packet.is_settled() {
            self.insert_unless(fin, id, packet);
            return None;
        }
        if let Some(payload) = packet.payload() {
            let payload = payload.to_vec();
            self.insert_unless(fin, id, IncomingPacket::settled());
            context.count().packets_received_by_stream += 1;
            return Some(payload);
        }
        let crowded = self.arriving_bytes + packet.len() > context.limits().stream_buffer;
        let bad = fin || packet.is_too_long() || crowded || !context.admits(packet.len());
        context.count().bad_packet_streams += u64::from(bad);
        self.insert_unless(fin, id, if bad { IncomingPacket::settled() } else { packet });
        None
    }

    fn insert_unless(&mut self, fin: bool, id: u64, packet: IncomingPacket) {
        if !fin {
            self.arriving_bytes += packet.len();
            self.deadlines.extend(packet.deadline().map(|deadline| (deadline, id)));
            self.arriving.insert(id, packet);
        }
    }

    fn remove(&mut self, id: u64) -> Option<IncomingPacket> {
        let packet = self.arriving.remove(&id)?;
        self.arriving_bytes -= packet.len();
        if let Some(deadline) = packet.deadline() {
            self.deadlines.remove(&(deadline, id));
        }
        Some(packet)
    }

    /// Keeps a packet until the peer is confirmed, or drops it at a bound.
    pub(crate) fn keep_until_confirmed(&mut self, context: &mut EndpointContext, bytes: Vec<u8>) {
        if self.pre_confirmation.len() >= context.limits().dial_queue {
            context.count().endpoint_buffer_drops += 1;
        } else if context.admits(bytes.len()) {
            self.pre_confirmation_bytes += bytes.len();
            self.pre_confirmation.push_back(bytes);
        }
    }

    /// Whether packets wait for the confirmation.
    pub(crate) fn has_pre_confirmation(&self) -> bool {
        !self.pre_confirmation.is_empty()
    }

    /// What waited for the confirmation.
    pub(crate) fn take_pre_confirmation(&mut self) -> VecDeque<Vec<u8>> {
        self.pre_confirmation_bytes = 0;
        std::mem::take(&mut self.pre_confirmation)
    }

    /// Gives up packets that miss their deadline.
    pub(crate) fn expire(&mut self, context: &mut EndpointContext, now: Instant) {
        while let Some(&(deadline, id)) = self.deadlines.first()
            && deadline <= now
        {
            self.remove(id);
            self.insert_unless(false, id, IncomingPacket::settled());
            context.count().bad_packet_streams += 1;
        }
    }

    /// When the first packet misses its deadline.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Whether no packet is on its way, those aside that nobody waits for.
    pub(crate) fn is_quiet(&self) -> bool {
        self.deadlines.is_empty()
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        debug_assert_eq!(
            (self.arriving_bytes, self.pre_confirmation_bytes),
            (
                self.arriving.values().map(IncomingPacket::len).sum(),
                self.pre_confirmation.iter().map(Vec::len).sum()
            ),
            "every byte that comes or goes is counted"
        );
        self.arriving_bytes + self.pre_confirmation_bytes
    }

    /// The connection is over.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Reads all that is there; whether the stream has ended.
fn read_stream(quic: &mut quiche::Connection, id: u64, packet: &mut IncomingPacket) -> bool {
    let mut chunk = [0; 16 << 10];
    loop {
        match quic.stream_recv(id, &mut chunk) {
            Ok((length, fin)) => {
                packet.extend(chunk.get(..length).unwrap_or_default());
                if fin {
                    return true;
                }
            }
            Err(Error::Done) => return false,
            Err(_) => return true,
        }
    }
}
