//! A formed cluster of any size at once, through the ways that production uses.
//!
//! Every member is handed the alive messages of all others in ordinary packets. That leaves it
//! with updates to gossip about everybody; pings that seem to come from the others make it spend
//! them in acks, which go nowhere. What remains is a member as after a long quiet time.

use crate::config::Config;
use crate::member::Peer;
use crate::member_name::MemberName;
use crate::membership::Membership;
use crate::sim::packet_inspector::wire_settings;
use crate::time::Time;
use crate::wire::{Alive, Message, NONCE_LENGTH, Ping, WireSettings, compound, encode_packet};

/// Messages in one packet; a compound message holds at most
/// [`MAX_COMPOUND_PARTS`](crate::wire::MAX_COMPOUND_PARTS).
const TOGETHER: usize = 200;
/// More acks than any member needs to have transmitted all its updates.
const MAX_ACKS: usize = 1_000_000;
/// Nobody repeats nonces with these packets' keys: they leave no member.
const NONCE: [u8; NONCE_LENGTH] = [0; NONCE_LENGTH];

/// Packets in which members introduce all others to each.
pub(crate) struct Introduction {
    /// Each member as its peers see it, and a ping of its own.
    peers: Vec<(Peer, Vec<u8>)>,
    packets: Vec<Vec<u8>>,
}

impl Introduction {
    /// What these members say of themselves, packed as a configuration demands.
    pub(crate) fn of<'a>(
        members: impl Iterator<Item = (&'a Membership, Peer)>,
        config: &Config,
    ) -> Self {
        let settings = wire_settings(config);
        let (mut messages, mut peers) = (Vec::new(), Vec::new());
        for (membership, peer) in members {
            let ping = encode(&ping_of(membership.local().name()));
            messages.push(alive_message(membership));
            peers.push((peer, wrap(&ping, &settings)));
        }
        let compounds = messages.chunks(TOGETHER).filter_map(|some| compound::join(some).ok());
        let packets = compounds.flatten().map(|packet| wrap(&packet, &settings)).collect();
        Self { peers, packets }
    }

    /// Introduces everybody to one member; what it wants to send meanwhile is dropped.
    pub(crate) fn give_to(&self, membership: &mut Membership, now: Time) {
        let me = membership.local().address();
        let others: Vec<_> = self.peers.iter().filter(|(peer, _)| peer.address != me).collect();
        for (packet, (peer, _)) in self.packets.iter().zip(others.iter().cycle()) {
            membership.handle_packet(peer, packet, now);
            while membership.poll_output().is_some() {}
        }
        for (peer, ping) in others.iter().cycle().take(MAX_ACKS) {
            if membership.stats().queued_updates == 0 {
                break;
            }
            membership.handle_packet(peer, ping, now);
            while membership.poll_output().is_some() {}
        }
    }
}

fn alive_message(membership: &Membership) -> Vec<u8> {
    let local = membership.local();
    let versions = local.versions().map(|versions| versions.to_bytes());
    encode(&Message::Alive(Alive {
        incarnation: local.incarnation(),
        node: local.name().as_bytes(),
        addr: Some(local.advertised()),
        port: local.address().port(),
        meta: (!local.meta().is_empty()).then(|| local.meta()),
        vsn: versions.as_ref().map(<[u8; 6]>::as_slice),
    }))
}

fn ping_of(name: &MemberName) -> Message<'_> {
    Message::Ping(Ping { seq_no: 1, source_node: name.as_bytes(), ..Ping::default() })
}

fn encode(message: &Message<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes
}

fn wrap(packet: &[u8], settings: &WireSettings) -> Vec<u8> {
    encode_packet(packet, settings, false, NONCE)
}
