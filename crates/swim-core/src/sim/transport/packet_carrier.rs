//! Packets between hosts, as a driver with a QUIC transport carries them: at most once, to the
//! process that was dialed, with a report when nobody can be dialed.

use std::time::Duration;

use crate::config::Config;
use crate::output::Destination;
use crate::sim::arrival::Arrival;
use crate::sim::coverage::Counted;
use crate::sim::fault::HostId;
use crate::sim::packet_inspector::PacketInspector;
use crate::sim::transport::dialing::{DIAL_TIMEOUT, Dialing};
use crate::sim::transport::network::{Fate, SimNetwork};
use crate::sim::transport::transport_context::TransportContext;
use crate::wire::{Message, MessageType, crc};

/// Sends packets and damages them.
pub(crate) struct PacketCarrier {
    inspector: PacketInspector,
    /// All packets are encrypted.
    encrypted: bool,
    label_length: usize,
}

impl PacketCarrier {
    pub(crate) fn new(config: &Config) -> Self {
        let inspector = PacketInspector::new(config);
        Self {
            encrypted: !config.keys.is_empty(),
            label_length: inspector.settings().label.header_length(),
            inspector,
        }
    }

    pub(crate) fn send(
        &mut self,
        from: HostId,
        to: &Destination,
        mut bytes: Vec<u8>,
        (network, dialing): (&mut SimNetwork, &mut Dialing),
        context: &mut TransportContext<'_>,
    ) {
        let Some(target) = context.hosts.at(to.address) else {
            context.count(Counted::PacketToNobody);
            return plan_send_failed(from, to, DIAL_TIMEOUT, context);
        };
        if target == from {
            return;
        }
        if context.names_another(target, to) {
            context.count(Counted::StreamMismatched);
            return plan_send_failed(from, to, 2 * network.latency().most, context);
        }
        let transit = match network.fate(from, target, context.coverage) {
            Fate::Lost => return,
            Fate::CutOff => return dialing.packet_undeliverable(from, target, network, context),
            Fate::Arrives(transit) => transit,
        };
        let Some(process) = context.hosts.process(target) else {
            context.count(Counted::PacketToNobody);
            return dialing.packet_undeliverable(from, target, network, context);
        };
        if transit.corrupted && !self.corrupt(&mut bytes, network) {
            return;
        }
        if transit.corrupted {
            context.count(Counted::PacketCorrupted);
        }
        if let Some(again) = transit.again
            && !self.carries_application_bytes(&bytes)
        {
            context.count(Counted::PacketDuplicated);
            let arrival = Arrival::Packet { from, bytes: bytes.clone() };
            context.plan_arrival(context.now() + again, target, process, arrival);
        }
        let arrival = Arrival::Packet { from, bytes };
        context.plan_arrival(context.now() + transit.after, target, process, arrival);
    }

    /// Flips one to three bits behind the type byte, where a checksum or encryption detects it;
    /// false for a packet without either, which QUIC would have dropped.
    fn corrupt(&self, bytes: &mut [u8], network: &mut SimNetwork) -> bool {
        let start = self.label_length;
        let guarded = self.encrypted || bytes.get(start) == Some(&MessageType::HasCrc.to_byte());
        if !guarded || bytes.len() <= start + crc::HEADER_LENGTH {
            return false;
        }
        let rng = network.rng();
        for _ in 0..rng.between(1, 3) {
            let place = rng.between(start + 1, bytes.len() - 1);
            bytes[place] ^= 1 << rng.below(8);
        }
        true
    }

    /// Whether a packet carries an application message, which QUIC delivers at most once.
    fn carries_application_bytes(&mut self, bytes: &[u8]) -> bool {
        match self.inspector.decode(bytes) {
            Ok(packet) => packet.messages.iter().any(|message| matches!(message, Message::User(_))),
            Err(_) => false,
        }
    }
}

fn plan_send_failed(
    from: HostId,
    to: &Destination,
    after: Duration,
    context: &mut TransportContext<'_>,
) {
    if let Some(process) = context.hosts.process(from) {
        context.count(Counted::SendFailed);
        let arrival = Arrival::SendFailed { to: to.address };
        context.plan_arrival(context.now() + after, from, process, arrival);
    }
}
