use proptest::prelude::*;

use super::*;
use crate::wire::compound::join;
use crate::wire::compress::compress_message;
use crate::wire::decode_error::DecodeErrorKind;
use crate::wire::encryption::{DecryptError, EncryptionVersion};
use crate::wire::keyring::Keyring;
use crate::wire::label::{Label, LabelError};
use crate::wire::packet_builder::encode_packet;
use crate::wire::schema::{Ack, Alive, Dead, IndirectPing, Nack, Ping, Suspect};
use crate::wire::wire_limits::MAX_PART_LENGTH;

const NONCE: [u8; 12] = [9; 12];
const ACK: &[u8] = b"\x02\x82\xa7Payload\xc0\xa5SeqNo\x07";

fn ack() -> Message<'static> {
    Message::Ack(Ack { seq_no: 7, payload: None, ..Ack::default() })
}

/// No label, no keys, no compression.
fn plain() -> WireSettings {
    WireSettings { compression: false, ..WireSettings::default() }
}

fn refusal(packet: &[u8], settings: &WireSettings) -> PacketDecodeError {
    PacketDecoder::default().decode(packet, settings).unwrap_err()
}

fn compound(parts: &[Vec<u8>]) -> Vec<u8> {
    join(parts).unwrap().remove(0)
}

/// The ack inside `levels` compounds and compress messages in turn.
fn nested(levels: usize) -> Vec<u8> {
    (0..levels).fold(ACK.to_vec(), |inner, level| {
        if level % 2 == 0 { compound(&[inner]) } else { compress_message(&inner) }
    })
}

#[test]
fn eight_levels_are_opened_and_a_ninth_is_not() {
    let mut decoder = PacketDecoder::default();
    let eight = nested(MAX_NESTING);
    assert_eq!(decoder.decode(&eight, &plain()).unwrap().messages, [ack()]);
    assert!(matches!(
        refusal(&nested(MAX_NESTING + 1), &plain()),
        PacketDecodeError::TooDeep { .. }
    ));
}

#[test]
fn one_malformed_message_refuses_the_whole_packet() {
    let bad = b"\x04\x81\xa4Port\xce\x00\x01\x00\x00".to_vec();
    let packet = compound(&[ACK.to_vec(), bad]);
    let error = refusal(&packet, &plain());
    let PacketDecodeError::Malformed { message, offset, source } = error else {
        panic!("{error}");
    };
    assert_eq!((message, source), (MessageType::Alive, DecodeErrorKind::OutOfRange));
    assert_eq!(packet[offset..], [0xce, 0, 1, 0, 0]);
}

#[test]
fn parts_that_are_cut_off_unknown_or_empty_are_counted() {
    let parts = [ACK.to_vec(), vec![], b"\x06".to_vec(), b"\x63x".to_vec(), ACK.to_vec()];
    let mut packet = compound(&parts);
    packet.pop();
    let mut decoder = PacketDecoder::default();
    let decoded = decoder.decode(&packet, &plain()).unwrap();
    let expected = Packet { messages: vec![ack()], truncated: 1, unknown: 2, empty: 1 };
    assert_eq!(decoded, expected);
}

#[test]
fn compounds_without_their_lengths_are_refused() {
    assert!(matches!(refusal(b"\x07", &plain()), PacketDecodeError::Compound { .. }));
    assert!(matches!(
        refusal(b"\x07\x02\x00\x01\x00", &plain()),
        PacketDecodeError::Compound { .. }
    ));
    assert_eq!(refusal(b"", &plain()), PacketDecodeError::Empty);
    let too_long = vec![8; MAX_PART_LENGTH + 1];
    assert_eq!(join(&[&too_long]).unwrap_err().length, MAX_PART_LENGTH + 1);
}

#[test]
fn a_packet_expands_to_one_mebibyte_in_all() {
    let half = compress_message(&vec![8; MAX_PACKET_EXPANSION / 2]);
    let two = compound(&[half.clone(), half.clone()]);
    let three = compound(&[half.clone(), half.clone(), half]);
    let mut decoder = PacketDecoder::default();
    assert_eq!(decoder.decode(&two, &plain()).unwrap().messages.len(), 2);
    assert!(matches!(refusal(&three, &plain()), PacketDecodeError::Decompress { .. }));
}

#[test]
fn a_packet_holds_a_bounded_number_of_messages() {
    let acks = compress_message(&compound(&vec![vec![8]; 255]));
    let four = compress_message(&compound(&vec![acks.clone(); 4]));
    let mut decoder = PacketDecoder::default();
    let full = compound(&[four.clone(), ACK.to_vec(), ACK.to_vec(), ACK.to_vec(), ACK.to_vec()]);
    assert_eq!(decoder.decode(&full, &plain()).unwrap().messages.len(), MAX_PACKET_MESSAGES);
    for more in [compound(&[full, ACK.to_vec()]), compound(&vec![acks; 255])] {
        assert!(matches!(refusal(&more, &plain()), PacketDecodeError::TooManyMessages { .. }));
    }
}

#[test]
fn fields_that_cannot_be_borrowed_are_rewritten_for_all_messages() {
    let with_array = b"\x04\x82\xa4Addr\x94\xcc\xc0\xcc\xa8\x00\x07\xa4Node\xa3bob".to_vec();
    let packet = compound(&[ACK.to_vec(), with_array, b"\x08\x91\xcc\xff".to_vec()]);
    for settings in [plain(), WireSettings::default()] {
        let packet = encode_packet(&packet, &settings, true, NONCE);
        let mut decoder = PacketDecoder::default();
        let decoded = decoder.decode(&packet, &settings).unwrap();
        let bob = Alive { node: b"bob", addr: Some(&[192, 168, 0, 7]), ..Alive::default() };
        let user = Message::User(b"\x91\xcc\xff");
        assert_eq!(decoded.messages, [ack(), Message::Alive(bob), user]);
    }
}

#[test]
fn damage_is_noticed_by_the_checksum() {
    let mut packet = encode_packet(ACK, &plain(), true, NONCE);
    let whole = PacketDecoder::default().decode(&packet, &plain()).unwrap().messages.len();
    assert_eq!(whole, 1);
    packet[9] ^= 4;
    assert!(matches!(refusal(&packet, &plain()), PacketDecodeError::Checksum { offset: 0, .. }));
    // Inside a compound it is an unknown type, as it is in four bytes.
    let inside = compound(&[encode_packet(ACK, &plain(), true, NONCE)]);
    let mut decoder = PacketDecoder::default();
    assert_eq!(decoder.decode(&inside, &plain()).unwrap().unknown, 1);
    assert_eq!(decoder.decode(b"\x0c\x00\x00\x00", &plain()).unwrap().unknown, 1);
}

#[test]
fn labels_keep_clusters_apart() {
    let ours = WireSettings { label: Label::new("ours").unwrap(), ..plain() };
    let theirs = WireSettings { label: Label::new("theirs").unwrap(), ..plain() };
    let packet = encode_packet(ACK, &ours, false, NONCE);
    let mut decoder = PacketDecoder::default();
    assert_eq!(decoder.decode(&packet, &ours).unwrap().messages, [ack()]);
    let found = b"ours".to_vec();
    let refused = PacketDecodeError::Label(LabelError::Mismatch { found });
    assert_eq!(refusal(&packet, &theirs), refused);
    assert_eq!(refusal(&packet, &plain()), refused);
    let missing = PacketDecodeError::Label(LabelError::Mismatch { found: vec![] });
    assert_eq!(refusal(ACK, &ours), missing);

    let behind_a_proxy = WireSettings { skip_inbound_label_check: true, ..ours };
    assert_eq!(decoder.decode(ACK, &behind_a_proxy).unwrap().messages, [ack()]);
    assert_eq!(refusal(&packet, &behind_a_proxy), PacketDecodeError::Label(LabelError::Double));
    assert!(Label::new(vec![0; 256]).is_err());
}

#[test]
fn unencrypted_packets_pass_only_while_a_cluster_changes_over() {
    let keyring = Keyring::with_primary(&[3; 16]).unwrap();
    let strict = WireSettings { keyring, ..plain() };
    let lenient = WireSettings { verify_incoming: false, verify_outgoing: false, ..strict.clone() };
    let in_the_clear = encode_packet(ACK, &lenient, true, NONCE);
    let encrypted = encode_packet(ACK, &strict, true, NONCE);
    assert_eq!(in_the_clear.len() + strict.packet_overhead(), encrypted.len());
    assert_eq!(lenient.packet_overhead(), 0);

    let mut decoder = PacketDecoder::default();
    assert_eq!(decoder.decode(&in_the_clear, &lenient).unwrap().messages, [ack()]);
    assert_eq!(decoder.decode(&encrypted, &lenient).unwrap().messages, [ack()]);
    assert_eq!(decoder.decode(&encrypted, &strict).unwrap().messages, [ack()]);
    let PacketDecodeError::Decrypt { offset: 0, source } = refusal(&in_the_clear, &strict) else {
        panic!("an open packet must be refused for not being encrypted");
    };
    assert_eq!(source, DecryptError::Version { found: 12 });
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(vec![]), proptest::collection::vec(any::<u8>(), 0..40), Just(vec![b'n'; 300])]
}

fn some_bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..70))
}

proptest! {
    #[test]
    fn messages_come_back_through_every_combination_of_layers(
        (seq_no, incarnation, port) in (any::<u32>(), any::<u32>(), any::<u16>()),
        (node, from) in (name(), name()),
        (addr, meta, vsn) in (some_bytes(), some_bytes(), some_bytes()),
        nack in any::<bool>(),
        (label, key, padded, checksum, compression) in
            (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
    ) {
        let (addr, meta, vsn) = (addr.as_deref(), meta.as_deref(), vsn.as_deref());
        let (source_addr, source_node) = (addr.unwrap_or_default(), from.as_slice());
        let (node, from, source_port) = (node.as_slice(), from.as_slice(), port);
        let messages = [
            Message::Ping(Ping {
                seq_no, node, source_addr, source_port, source_node, ..Ping::default()
            }),
            Message::IndirectPing(IndirectPing {
                seq_no, target: meta, port, node, nack, source_addr, source_port, source_node,
            }),
            Message::Ack(Ack { seq_no, payload: meta, ..Ack::default() }),
            Message::Nack(Nack { seq_no, refused: false }),
            Message::Suspect(Suspect { incarnation, node, from }),
            Message::Alive(Alive { incarnation, node, addr, port, meta, vsn }),
            Message::Dead(Dead { incarnation, node, from }),
            Message::User(node),
        ];
        let keyring = Keyring::with_primary(&[5; 24]).unwrap();
        let version = if padded { EncryptionVersion::Padded } else { EncryptionVersion::Plain };
        let settings = WireSettings {
            label: Label::new(if label { "cluster" } else { "" }).unwrap(),
            keyring: if key { keyring } else { Keyring::default() },
            encryption_version: version,
            compression,
            ..WireSettings::default()
        };
        let parts: Vec<Vec<u8>> = messages.iter().map(Message::to_vec).collect();
        let packet = encode_packet(&compound(&parts), &settings, checksum, NONCE);
        let mut decoder = PacketDecoder::default();
        let decoded = decoder.decode(&packet, &settings).unwrap();
        prop_assert_eq!(decoded.messages.as_slice(), messages.as_slice());
        for (message, part) in decoded.messages.iter().zip(&parts) {
            prop_assert_eq!(message.to_vec(), part.clone());
        }
    }

    #[test]
    fn any_bytes_end_in_messages_or_refusal(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        first in 0..16u8,
        key in any::<bool>(),
    ) {
        let keyring =
            if key { Keyring::with_primary(&[5; 16]).unwrap() } else { Keyring::default() };
        let settings = WireSettings { keyring, verify_incoming: false, ..WireSettings::default() };
        let bytes = [&[first], bytes.as_slice()].concat();
        let mut decoder = PacketDecoder::default();
        match decoder.decode(&bytes, &settings) {
            Ok(packet) => prop_assert!(packet.messages.len() <= MAX_PACKET_MESSAGES),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn mutated_packets_end_in_messages_or_refusal(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        compression in any::<bool>(),
    ) {
        let alive = Message::Alive(Alive { node: b"bob", meta: Some(b"m"), ..Alive::default() });
        let parts = vec![alive.to_vec(), ACK.to_vec(), compress_message(ACK), b"\x08x".to_vec()];
        let settings = WireSettings { compression, ..WireSettings::default() };
        let mut packet = encode_packet(&compound(&parts), &settings, false, NONCE);
        for (at, value) in flips {
            let at = at.index(packet.len());
            packet[at] = value;
        }
        packet.truncate(cut.index(packet.len()) + 1);
        let mut decoder = PacketDecoder::default();
        if let Ok(decoded) = decoder.decode(&packet, &settings) {
            let again: Vec<_> = decoded.messages.iter().map(Message::to_vec).collect();
            for (message, bytes) in decoded.messages.iter().zip(&again) {
                let mut decoder = PacketDecoder::default();
                prop_assert_eq!(&decoder.decode(bytes, &plain()).unwrap().messages[0], message);
            }
        }
    }
}
