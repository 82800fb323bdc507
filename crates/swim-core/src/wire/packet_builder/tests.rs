use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::wire::compound::join;
use crate::wire::compress::compress_message;
use crate::wire::encryption::EncryptionVersion;
use crate::wire::keyring::Keyring;
use crate::wire::label::Label;
use crate::wire::schema::{Ack, Alive, Ping};
use crate::wire::wire_limits::MAX_PART_LENGTH;

const NONCE: [u8; 12] = [9; 12];

static KEYRINGS: LazyLock<[Keyring; 4]> = LazyLock::new(|| {
    let ring = |length| Keyring::with_primary(&vec![5; length]).unwrap();
    [Keyring::default(), ring(16), ring(24), ring(32)]
});

/// The packet put together layer by layer, each in a buffer of its own.
fn composed(
    parts: &[Vec<u8>],
    settings: &WireSettings,
    checksum: bool,
    nonce: [u8; NONCE_LENGTH],
) -> Vec<u8> {
    let plain = match parts {
        [single] => single.clone(),
        several => join(several).unwrap().remove(0),
    };
    let compressed = compress_message(&plain);
    let is_worth_it = settings.compression && plain.len() >= 128 && compressed.len() < plain.len();
    let message = if is_worth_it { compressed } else { plain };
    let checked =
        if checksum { [crc::header(&message).as_slice(), &message].concat() } else { message };
    let mut content = checked;
    if settings.encrypts() {
        let mut encrypted = [[0; ENCRYPTION_HEADER].as_slice(), &content].concat();
        let version = settings.encryption_version;
        let associated = settings.label.as_bytes();
        settings.keyring.encrypt_in_place(version, nonce, associated, &mut encrypted, 0);
        content = encrypted;
    }
    let mut label = Vec::new();
    settings.label.put_header(&mut label);
    [label, content].concat()
}

fn built(parts: &[Vec<u8>], settings: &WireSettings, checksum: bool) -> Vec<u8> {
    let mut packet = PacketBuilder::new(settings, checksum, 0);
    for part in parts {
        packet.push_encoded(part).unwrap();
    }
    assert_eq!(packet.parts(), parts.len());
    assert_eq!(packet.messages_length(), parts.iter().map(Vec::len).sum::<usize>());
    packet.finish(settings, NONCE)
}

/// Every combination of label, key, version, verification and compression.
fn settings() -> impl Strategy<Value = WireSettings> {
    let label = prop_oneof![Just(0), Just(1), Just(7), Just(255)];
    (label, 0..4_usize, any::<(bool, bool, bool)>()).prop_map(|(label, ring, flags)| {
        let (padded, verify_outgoing, compression) = flags;
        WireSettings {
            label: Label::new(vec![b'l'; label]).unwrap(),
            keyring: KEYRINGS[ring].clone(),
            encryption_version: match padded {
                true => EncryptionVersion::Padded,
                false => EncryptionVersion::Plain,
            },
            verify_outgoing,
            compression,
            ..WireSettings::default()
        }
    })
}

/// One part, a few, or as many as there can be; some compress well, some do not.
fn parts() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let byte = prop_oneof![3 => Just(b'a'), 1 => any::<u8>()];
    let part = proptest::collection::vec(byte, 0..60);
    let count = prop_oneof![Just(1..2), Just(2..12), Just(253..256_usize)];
    count.prop_flat_map(move |count| proptest::collection::vec(part.clone(), count))
}

proptest! {
    #[test]
    fn packets_built_in_place_have_the_bytes_of_those_put_together(
        parts in parts(),
        settings in settings(),
        checksum in any::<bool>(),
    ) {
        let expected = composed(&parts, &settings, checksum, NONCE);
        prop_assert_eq!(built(&parts, &settings, checksum), expected);
        let whole = match parts.as_slice() {
            [single] => single.clone(),
            several => join(several).unwrap().remove(0),
        };
        let expected = composed(std::slice::from_ref(&whole), &settings, checksum, NONCE);
        prop_assert_eq!(encode_packet(&whole, &settings, checksum, NONCE), expected);
    }
}

#[test]
fn every_number_of_parts_from_1_to_255_has_the_same_bytes() {
    let settings = WireSettings { compression: false, ..WireSettings::default() };
    for count in 1..=MAX_COMPOUND_PARTS {
        let parts: Vec<Vec<u8>> = (0..count).map(|n| vec![8, u8::try_from(n).unwrap()]).collect();
        let expected = composed(&parts, &settings, true, NONCE);
        assert_eq!(built(&parts, &settings, true), expected, "{count} parts");
    }
}

#[test]
fn messages_are_encoded_into_the_packet() {
    let settings = WireSettings::default();
    let messages = [
        Message::Ping(Ping { seq_no: 7, node: b"bob", ..Ping::default() }),
        Message::Alive(Alive { node: b"cyd", meta: Some(&[7; 200]), ..Alive::default() }),
        Message::Ack(Ack { seq_no: 7, payload: None, ..Ack::default() }),
    ];
    let mut packet = PacketBuilder::new(&settings, false, 0);
    for message in &messages {
        packet.push(message).unwrap();
    }
    let parts: Vec<Vec<u8>> = messages.iter().map(Message::to_vec).collect();
    assert_eq!(packet.finish(&settings, NONCE), composed(&parts, &settings, false, NONCE));
}

#[test]
fn a_packet_of_the_expected_size_is_allocated_once() {
    let settings = WireSettings {
        label: Label::new("cluster").unwrap(),
        keyring: KEYRINGS[1].clone(),
        encryption_version: EncryptionVersion::Padded,
        compression: false,
        ..WireSettings::default()
    };
    let parts = vec![vec![8; 4]; MAX_COMPOUND_PARTS];
    let capacity = parts.iter().map(|part| PART_HEADER + part.len()).sum();
    let mut packet = PacketBuilder::new(&settings, true, capacity);
    let before = packet.buffer.capacity();
    for part in &parts {
        packet.push_encoded(part).unwrap();
    }
    assert_eq!(packet.finish(&settings, NONCE).capacity(), before);
}

#[test]
fn a_refused_message_leaves_the_packet_as_it_was() {
    let settings = WireSettings { compression: false, ..WireSettings::default() };
    let (short, long) = (vec![8; 10], vec![8; MAX_PART_LENGTH + 1]);
    let too_long = Err(PartError::TooLong(PartTooLong { length: MAX_PART_LENGTH + 1 }));

    let mut packet = PacketBuilder::new(&settings, false, 0);
    packet.push_encoded(&short).unwrap();
    assert_eq!(packet.push_encoded(&long), too_long);
    assert_eq!(packet.clone().finish(&settings, NONCE), short);
    packet.push_encoded(&short).unwrap();
    let expected = composed(&[short.clone(), short.clone()], &settings, false, NONCE);
    assert_eq!(packet.finish(&settings, NONCE), expected);

    // Alone, a message may be longer than a part.
    let mut packet = PacketBuilder::new(&settings, false, 0);
    packet.push_encoded(&long).unwrap();
    assert_eq!(packet.push_encoded(&short), too_long);
    assert_eq!(packet.finish(&settings, NONCE), long);

    let mut packet = PacketBuilder::new(&settings, false, 0);
    for _ in 0..MAX_COMPOUND_PARTS {
        packet.push_encoded(&short).unwrap();
    }
    assert_eq!(packet.push_encoded(&short), Err(PartError::TooMany));
    let expected = composed(&vec![short; MAX_COMPOUND_PARTS], &settings, false, NONCE);
    assert_eq!(packet.finish(&settings, NONCE), expected);
}
