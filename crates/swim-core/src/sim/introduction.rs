//! A formed cluster of any size at once, through the ways that production uses.
//!
//! Every member is handed the alive messages of all others in ordinary packets. That leaves it
//! with updates to gossip about everybody; pings from somebody outside the simulation make it
//! spend them in acks, which go nowhere. What remains is a member as after a long quiet time.

use std::net::SocketAddr;

use crate::config::Config;
use crate::member::Peer;
use crate::membership::Membership;
use crate::sim::hosts::PORT;
use crate::sim::packet_inspector::wire_settings;
use crate::time::Time;
use crate::wire::{Alive, Message, NONCE_LENGTH, Ping, WireSettings, compound, encode_packet};

/// Messages in one packet; a compound message holds at most
/// [`MAX_COMPOUND_PARTS`](crate::wire::MAX_COMPOUND_PARTS).
const TOGETHER: usize = 200;
/// More acks than any member needs to have transmitted all its updates.
const MAX_ACKS: usize = 1_000_000;
/// An address outside the simulation (TEST-NET-1, RFC 5737).
const STRANGER: [u8; 4] = [192, 0, 2, 1];
/// Nobody repeats nonces with these packets' keys: they leave no member.
const NONCE: [u8; NONCE_LENGTH] = [0; NONCE_LENGTH];

/// Packets in which somebody outside the simulation introduces all members to each.
pub(crate) struct Introduction {
    stranger: Peer,
    packets: Vec<Vec<u8>>,
    ping: Vec<u8>,
}

impl Introduction {
    /// What these members say of themselves, packed as a configuration demands.
    pub(crate) fn of<'a>(members: impl Iterator<Item = &'a Membership>, config: &Config) -> Self {
        let settings = wire_settings(config);
        let messages: Vec<Vec<u8>> = members.map(alive_message).collect();
        let compounds = messages.chunks(TOGETHER).filter_map(|some| compound::join(some).ok());
        Self {
            stranger: Peer::unverified(SocketAddr::from((STRANGER, PORT))),
            packets: compounds.flatten().map(|packet| wrap(&packet, &settings)).collect(),
            ping: wrap(&encode(&Message::Ping(Ping { seq_no: 1, ..Ping::default() })), &settings),
        }
    }

    /// Introduces everybody to one member; what it wants to send meanwhile is dropped.
    pub(crate) fn give_to(&self, membership: &mut Membership, now: Time) {
        for packet in &self.packets {
            membership.handle_packet(&self.stranger, packet, now);
            while membership.poll_output().is_some() {}
        }
        for _ in 0..MAX_ACKS {
            if membership.stats().queued_updates == 0 {
                break;
            }
            membership.handle_packet(&self.stranger, &self.ping, now);
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

fn encode(message: &Message<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes
}

fn wrap(packet: &[u8], settings: &WireSettings) -> Vec<u8> {
    encode_packet(packet, settings, false, NONCE)
}
