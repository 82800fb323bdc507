//! What can be done to a packet on its way without breaking what QUIC promises.

use crate::config::Config;
use crate::sim::packet_inspector::PacketInspector;
use crate::sim::sim_rng::SimRng;
use crate::wire::{Message, MessageType, crc};

/// Knows the settings that all members share.
pub(crate) struct PacketFaults {
    inspector: PacketInspector,
    /// All packets are encrypted.
    encrypted: bool,
    label_length: usize,
}

impl PacketFaults {
    pub(crate) fn new(config: &Config) -> Self {
        let inspector = PacketInspector::new(config);
        Self {
            encrypted: !config.keys.is_empty(),
            label_length: inspector.settings().label.header_length(),
            inspector,
        }
    }

    /// Flips one to three bits behind the type byte, where a checksum or encryption detects it;
    /// false for a packet without either, which QUIC would have dropped.
    pub(crate) fn corrupt(&self, bytes: &mut [u8], rng: &mut SimRng) -> bool {
        let start = self.label_length;
        let guarded = self.encrypted || bytes.get(start) == Some(&MessageType::HasCrc.to_byte());
        if !guarded || bytes.len() <= start + crc::HEADER_LENGTH {
            return false;
        }
        for _ in 0..rng.between(1, 3) {
            let place = rng.between(start + 1, bytes.len() - 1);
            bytes[place] ^= 1 << rng.below(8);
        }
        true
    }

    /// Whether a packet carries an application message, which QUIC delivers at most once.
    pub(crate) fn carries_application_bytes(&mut self, bytes: &[u8]) -> bool {
        match self.inspector.decode(bytes) {
            Ok(packet) => packet.messages.iter().any(|message| matches!(message, Message::User(_))),
            Err(_) => false,
        }
    }
}
