//! Members that do not pass indirect pings on.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::sim::fault::HostId;
use crate::sim::packet_inspector::{PacketInspector, wire_settings};
use crate::wire::{Message, NONCE_LENGTH, Nack, WireSettings, encode_packet};

/// Which hosts drop packets with indirect pings, all else in them included.
pub(crate) struct SilentRelays {
    inspector: PacketInspector,
    settings: WireSettings,
    relays: BTreeMap<HostId, Relay>,
}

struct Relay {
    sends_nacks: bool,
    dropped: u64,
}

impl SilentRelays {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            inspector: PacketInspector::new(config),
            settings: wire_settings(config),
            relays: BTreeMap::new(),
        }
    }

    /// From now on a host drops indirect pings, or answers each with a nack at once.
    pub(crate) fn add(&mut self, host: HostId, sends_nacks: bool) {
        self.relays.insert(host, Relay { sends_nacks, dropped: 0 });
    }

    /// How many indirect pings a host has dropped.
    pub(crate) fn dropped(&self, host: HostId) -> u64 {
        self.relays.get(&host).map_or(0, |relay| relay.dropped)
    }

    /// The packets to send instead, if a packet that arrived is to be dropped.
    pub(crate) fn replace(&mut self, host: HostId, packet: &[u8]) -> Option<Vec<Vec<u8>>> {
        let relay = self.relays.get_mut(&host)?;
        let packet = self.inspector.decode(packet).ok()?;
        let requests: Vec<u32> = packet
            .messages
            .iter()
            .filter_map(|message| match message {
                Message::IndirectPing(request) => Some(request.seq_no),
                Message::Ping(_)
                | Message::Ack(_)
                | Message::Nack(_)
                | Message::Suspect(_)
                | Message::Alive(_)
                | Message::Dead(_)
                | Message::User(_) => None,
            })
            .collect();
        if requests.is_empty() {
            return None;
        }
        relay.dropped += requests.len() as u64;
        if !relay.sends_nacks {
            return Some(Vec::new());
        }
        let settings = &self.settings;
        let nack = |seq_no| {
            let message = Message::Nack(Nack { seq_no, refused: false }).to_vec();
            encode_packet(&message, settings, false, [0; NONCE_LENGTH])
        };
        Some(requests.into_iter().map(nack).collect())
    }
}
