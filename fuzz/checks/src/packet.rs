//! Packets: no input panics, what was decoded is encoded and decoded again, damage is noticed.
//!
//! The first byte chooses the settings (see `layers`); with its `ENCODE` bit three more bytes say
//! whether there is a checksum and which byte is damaged how. The rest is the packet, or what is
//! encoded as one.

use swim_core::wire::{
    MAX_PACKET_EXPANSION, MAX_PACKET_MESSAGES, MAX_PART_LENGTH, Message, PacketBuilder,
    PacketDecoder, WireSettings, compound, crc, encode_packet,
};

use crate::draw::Draw;
use crate::layers::{ENCODE, NONCE, chosen};

/// Longer ones are not written again: it would only be slow.
const LONGEST_ROUND_TRIP: usize = 128 * 1024;

/// Checks one input. Returns whether the packet was decoded.
///
/// # Panics
/// On a finding.
pub fn check(input: &[u8]) -> bool {
    let mut draw = Draw::new(input);
    let flags = draw.byte();
    let mut settings = chosen(flags);
    if flags & ENCODE == 0 {
        return decodes(draw.rest(), &settings);
    }
    // A member behind a proxy that removes labels cannot read a packet with one.
    settings.skip_inbound_label_check = false;
    let checksum = draw.flag();
    let (place, damage) = (draw.u16(), draw.byte());
    let message = draw.rest();
    let packet = encode_packet(message, &settings, checksum, NONCE);
    let most = settings.packet_overhead() + crc::HEADER_LENGTH + message.len();
    assert!(packet.len() <= most, "{} bytes encoded as {}", message.len(), packet.len());
    notices_damage(&packet, &settings, checksum, place.into(), damage);
    decodes(&packet, &settings)
}

fn decodes(packet: &[u8], settings: &WireSettings) -> bool {
    let mut decoder = PacketDecoder::default();
    let decoded = match decoder.decode(packet, settings) {
        Ok(decoded) => decoded,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(error.offset() <= packet.len() + 2 * MAX_PACKET_EXPANSION);
            return false;
        }
    };
    assert!(decoded.messages.len() <= MAX_PACKET_MESSAGES);

    // A decoder that has seen another packet reads the same.
    let mut used = PacketDecoder::default();
    used.decode(&Message::User(b"another").to_vec(), &WireSettings::default())
        .expect("plain message");
    assert_eq!(used.decode(packet, settings).as_ref(), Ok(&decoded));

    let encoded: Vec<Vec<u8>> = decoded.messages.iter().map(Message::to_vec).collect();
    if encoded.iter().map(Vec::len).sum::<usize>() <= LONGEST_ROUND_TRIP {
        let settings = WireSettings { skip_inbound_label_check: false, ..settings.clone() };
        writes_again(&decoded.messages, &encoded, &settings);
    }
    true
}

/// The messages, in compounds and in all settings, are read as they were.
fn writes_again(messages: &[Message<'_>], encoded: &[Vec<u8>], settings: &WireSettings) {
    let is_long = encoded.iter().any(|part| part.len() > MAX_PART_LENGTH);
    let packets = if is_long {
        assert!(compound::join(encoded).is_err());
        encoded.to_vec()
    } else {
        compound::join(encoded).expect("every part is short enough")
    };
    let mut decoder = PacketDecoder::default();
    let mut expected = messages;
    for (index, packet) in packets.iter().enumerate() {
        let checksum = index % 2 == 0;
        let encoded = encode_packet(packet, settings, checksum, NONCE);
        let read = decoder.decode(&encoded, settings).expect("what we write, we read");
        assert_eq!((read.truncated, read.unknown, read.empty), (0, 0, 0));
        let (ours, rest) = expected.split_at(read.messages.len());
        assert_eq!(read.messages, ours);
        if !is_long && ours.len() > 1 {
            assert_eq!(built(ours, settings, checksum), encoded);
        }
        expected = rest;
    }
    assert!(expected.is_empty(), "{} messages got lost", expected.len());
}

/// The messages encoded straight into one packet.
fn built(messages: &[Message<'_>], settings: &WireSettings, checksum: bool) -> Vec<u8> {
    let mut packet = PacketBuilder::new(settings, checksum, 0);
    for message in messages {
        packet.push(message).expect("a compound holds as many");
    }
    packet.finish(settings, NONCE)
}

/// A packet with one byte changed is refused, where a layer can know.
fn notices_damage(
    packet: &[u8],
    settings: &WireSettings,
    checksum: bool,
    place: usize,
    damage: u8,
) {
    let place = place % packet.len().max(1);
    let mut damaged = packet.to_vec();
    let Some(byte) = damaged.get_mut(place).filter(|_| damage != 0) else {
        return;
    };
    *byte ^= damage;
    // The byte behind the label says how the rest is to be read, and no layer vouches for it.
    let is_announcement = place == settings.label.header_length();
    let is_vouched_for =
        if settings.keyring.is_empty() { checksum } else { settings.verify_incoming };
    if is_vouched_for && !is_announcement {
        let refused = PacketDecoder::default().decode(&damaged, settings).is_err();
        assert!(refused, "byte {place} was changed by {damage:02x} and nobody noticed");
    }
}
