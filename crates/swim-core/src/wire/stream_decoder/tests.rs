use proptest::prelude::*;

use super::*;
use crate::wire::MAX_ENCRYPTED_STREAM;
use crate::wire::compress::compress_message;
use crate::wire::encryption::DecryptError;
use crate::wire::keyring::Keyring;
use crate::wire::label::{Label, LabelError};
use crate::wire::stream_encoder::{encode_push_pull, encode_stream, encode_user};

const NONCE: [u8; 12] = [9; 12];
const PING: &[u8] = b"\x00\x82\xa4Node\xa3bob\xa5SeqNo\x07";

/// No label, no keys, no compression.
fn plain() -> WireSettings {
    WireSettings { compression: false, ..WireSettings::default() }
}

fn all_layers() -> WireSettings {
    WireSettings {
        label: Label::new("cluster").unwrap(),
        keyring: Keyring::with_primary(&[3; 32]).unwrap(),
        ..WireSettings::default()
    }
}

fn refusal(bytes: &[u8], fin: bool, settings: &WireSettings) -> StreamDecodeError {
    StreamDecoder::new(Side::Opener).push(bytes, fin, settings).unwrap_err()
}

/// A message written out again: equal bytes are equal messages.
fn written(message: StreamMessage<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    match message {
        StreamMessage::Ping(ping) => ping.encode(&mut out),
        StreamMessage::Ack(ack) => ack.encode(&mut out),
        StreamMessage::Error(error) => error.encode(&mut out),
        StreamMessage::User(payload) => encode_user(payload, &mut out),
        StreamMessage::PushPull(state) => {
            encode_push_pull(state.join, state.nodes, state.user_state, &mut out);
        }
    }
    out
}

fn push_pull(members: usize) -> Vec<u8> {
    let names: Vec<String> = (0..members).map(|n| format!("member-{n}")).collect();
    let nodes = names.iter().enumerate().map(|(n, name)| NodeState {
        name: name.as_bytes(),
        addr: Some(&[10, 0, 0, 1]),
        port: 7_946,
        meta: (n % 2 == 0).then_some(b"meta".as_slice()),
        incarnation: 5,
        state: 1,
        vsn: Some(&[1, 5, 2, 0, 0, 0]),
    });
    let mut out = Vec::new();
    encode_push_pull(true, nodes, b"state", &mut out);
    out
}

#[test]
fn a_ping_is_read_before_the_stream_ends_and_answered_without_a_label() {
    for settings in [plain(), all_layers()] {
        let asked = encode_stream(PING, &settings, Side::Opener, NONCE).unwrap();
        let mut decoder = StreamDecoder::new(Side::Opener);
        let message = decoder.push(&asked, false, &settings).unwrap().unwrap();
        assert_eq!(written(message), PING);
        assert!(decoder.push(b"late", true, &settings).unwrap().is_none());
        assert_eq!(decoder.trailing(), 4);

        let mut ack = Vec::new();
        Ack { seq_no: 7, payload: None, ..Ack::default() }.encode(&mut ack);
        let answer = encode_stream(&ack, &settings, Side::Answerer, NONCE).unwrap();
        assert_ne!(answer[0], MessageType::Label.to_byte());
        let mut decoder = StreamDecoder::new(Side::Answerer);
        let message = decoder.push(&answer, true, &settings).unwrap().unwrap();
        assert_eq!(written(message), ack);
        assert_eq!(decoder.is_encrypted(), !settings.keyring.is_empty());
    }
}

#[test]
fn the_push_pull_of_a_thousand_members_is_read_member_by_member() {
    let bytes = push_pull(1_000);
    let mut decoder = StreamDecoder::new(Side::Opener);
    let mut pieces = bytes.chunks(700).peekable();
    while let Some(piece) = pieces.next() {
        let message = decoder.push(piece, false, &plain()).unwrap();
        assert_eq!(message.is_some(), pieces.peek().is_none());
        if let Some(StreamMessage::PushPull(state)) = message {
            assert_eq!(state.nodes.len(), 1_000);
            assert_eq!(state.user_state, b"state");
            assert!(state.join);
            let last = state.nodes.last().unwrap();
            assert_eq!((last.name, last.meta), (b"member-999".as_slice(), None));
        }
    }
}

#[test]
fn announced_sizes_above_the_limits_are_refused_at_once() {
    let header = |nodes: i64, user_state_len: i64| {
        let mut out = vec![MessageType::PushPull.to_byte()];
        PushPullHeader { nodes, user_state_len, join: false }.encode(&mut out);
        out
    };
    let user = |user_msg_len: i64| {
        let mut out = vec![MessageType::User.to_byte()];
        UserHeader { user_msg_len }.encode(&mut out);
        out
    };
    for (bytes, what) in [
        (header(1_048_577, 0), LimitedLength::NodeStates),
        (header(1, 20 * 1024 * 1024 + 1), LimitedLength::UserState),
        (user(20 * 1024 * 1024 + 1), LimitedLength::UserMessage),
        (b"\x0a\x01\x40\x00\x01".to_vec(), LimitedLength::EncryptedMessage),
    ] {
        let settings = if bytes[0] == 10 { all_layers() } else { plain() };
        let settings = WireSettings { label: Label::default(), ..settings };
        let StreamDecodeError::TooLong { what: found, .. } = refusal(&bytes, false, &settings)
        else {
            panic!("{what} should be too long");
        };
        assert_eq!(found, what);
    }
    for bytes in [header(-1, 0), header(0, -1), user(-1)] {
        assert!(matches!(refusal(&bytes, false, &plain()), StreamDecodeError::Negative { .. }));
    }
}

#[test]
fn memory_is_only_taken_for_bytes_that_arrived() {
    let mut header = vec![MessageType::PushPull.to_byte()];
    PushPullHeader { nodes: 1_048_576, user_state_len: 20 << 20, join: false }.encode(&mut header);
    let mut user = vec![MessageType::User.to_byte()];
    UserHeader { user_msg_len: 20 << 20 }.encode(&mut user);
    let unknown = b"\x00\x81\xa1X\xdb\x07\x00\x00\x00".to_vec();
    for bytes in [header, user, unknown] {
        let mut decoder = StreamDecoder::new(Side::Opener);
        assert!(decoder.push(&bytes, false, &plain()).unwrap().is_none());
        assert!(decoder.buffer.capacity() < 1_000);
    }
    let endless = b"\x00\x81\xa1X\xdb\x08\x00\x00\x00";
    assert!(matches!(refusal(endless, false, &plain()), StreamDecodeError::TooLong { .. }));
}

#[test]
fn streams_that_end_early_are_refused() {
    for settings in [plain(), all_layers()] {
        for message in [push_pull(3), PING.to_vec()] {
            let bytes = encode_stream(&message, &settings, Side::Opener, NONCE).unwrap();
            for end in 0..bytes.len() {
                let mut decoder = StreamDecoder::new(Side::Opener);
                assert!(decoder.push(&bytes[..end], false, &settings).unwrap().is_none());
                decoder.push(b"", true, &settings).unwrap_err();
            }
        }
    }
}

#[test]
fn what_ends_inside_a_layer_cannot_be_completed_from_outside() {
    let short = compress_message(&PING[..PING.len() - 1]);
    let bytes = [short, PING.to_vec()].concat();
    assert!(matches!(refusal(&bytes, false, &plain()), StreamDecodeError::Truncated { .. }));
    let empty = compress_message(b"");
    assert!(matches!(refusal(&empty, false, &plain()), StreamDecodeError::Truncated { .. }));
}

#[test]
fn encryption_is_demanded_where_there_are_keys() {
    let unlabelled = WireSettings { label: Label::default(), ..all_layers() };
    assert_eq!(refusal(PING, false, &unlabelled), StreamDecodeError::NotEncrypted);
    let lenient = WireSettings { verify_incoming: false, ..unlabelled.clone() };
    let mut decoder = StreamDecoder::new(Side::Opener);
    assert!(decoder.push(PING, false, &lenient).unwrap().is_some());

    let bytes = encode_stream(PING, &unlabelled, Side::Opener, NONCE).unwrap();
    assert_eq!(refusal(&bytes, false, &plain()), StreamDecodeError::Encrypted);
    let keyring = Keyring::with_primary(&[4; 32]).unwrap();
    let strangers = WireSettings { keyring, verify_incoming: false, ..unlabelled };
    let refused = refusal(&bytes, false, &strangers);
    assert_eq!(refused, StreamDecodeError::Decrypt(DecryptError::NoKey));
    assert!(refused.is_answered());
}

#[test]
fn labels_are_checked_at_the_opener_only() {
    let settings = WireSettings { keyring: Keyring::default(), ..all_layers() };
    let refused = refusal(PING, false, &settings);
    assert!(matches!(refused, StreamDecodeError::Label(LabelError::Mismatch { .. })));
    assert!(!refused.is_answered());
    let behind_a_proxy = WireSettings { skip_inbound_label_check: true, ..settings.clone() };
    let mut decoder = StreamDecoder::new(Side::Opener);
    assert!(decoder.push(PING, false, &behind_a_proxy).unwrap().is_some());
    let labelled = encode_stream(PING, &settings, Side::Opener, NONCE).unwrap();
    let refused = refusal(&labelled, false, &behind_a_proxy);
    assert_eq!(refused, StreamDecodeError::Label(LabelError::Double));
}

#[test]
fn streams_carry_five_types() {
    for byte in 0..=255 {
        let mut decoder = StreamDecoder::new(Side::Answerer);
        let result = decoder.push(&[byte], true, &plain());
        match byte {
            0 | 2 | 6 | 8 | 9 | 13 => {
                assert!(matches!(result, Err(StreamDecodeError::Truncated { .. })))
            }
            10 => assert!(matches!(result, Err(StreamDecodeError::Encrypted))),
            _ => assert!(
                matches!(result, Err(StreamDecodeError::UnexpectedType(found)) if found == byte)
            ),
        }
    }
}

#[test]
fn members_whose_bytes_came_as_numbers_are_rewritten() {
    let mut bytes = vec![MessageType::PushPull.to_byte()];
    PushPullHeader { nodes: 2, user_state_len: 2, join: false }.encode(&mut bytes);
    bytes.extend(b"\x82\xa4Addr\x94\xcc\xc0\xcc\xa8\x00\x07\xa4Name\xa3bob");
    bytes.extend(b"\x81\xa4Name\xa3cyd!?");
    let mut decoder = StreamDecoder::new(Side::Opener);
    let Some(StreamMessage::PushPull(state)) = decoder.push(&bytes, false, &plain()).unwrap()
    else {
        panic!("the push-pull is complete");
    };
    let nodes: Vec<_> = state.nodes.collect();
    assert_eq!(nodes[0].addr, Some([192, 168, 0, 7].as_slice()));
    assert_eq!([nodes[0].name, nodes[1].name], [b"bob", b"cyd"]);
    assert_eq!(state.user_state, b"!?");
}

/// Whoever reads takes either.
#[test]
fn long_messages_are_compressed_where_that_gains_something_and_takes_no_time() {
    let settings = WireSettings { compression: true, ..plain() };
    let noise = |length: usize| {
        let mut state = 1_u64;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[1]
        };
        std::iter::repeat_with(next).take(length).collect::<Vec<u8>>()
    };
    for (payload, shorter) in [
        (vec![7; 100_000], true),
        (noise(100_000), false),
        (vec![7; 300_000], false),
        (vec![7; 1_000], true),
    ] {
        let mut message = Vec::new();
        encode_user(&payload, &mut message);
        let bytes = encode_stream(&message, &settings, Side::Opener, NONCE).unwrap();
        assert_eq!(bytes.len() < message.len(), shorter, "{} bytes", payload.len());
        let mut decoder = StreamDecoder::new(Side::Opener);
        let Some(StreamMessage::User(read)) = decoder.push(&bytes, true, &settings).unwrap() else {
            panic!("the message is complete");
        };
        assert_eq!(read, payload);
    }
    // States repeat themselves.
    let mut state = Vec::new();
    encode_push_pull(false, std::iter::empty(), &[7; 300_000], &mut state);
    let bytes = encode_stream(&state, &settings, Side::Opener, NONCE).unwrap();
    assert!(bytes.len() < 100_000);
}

#[test]
fn messages_too_long_for_a_peer_are_not_written() {
    let long = vec![8; MAX_ENCRYPTED_STREAM];
    let settings = WireSettings { compression: false, ..all_layers() };
    let refused = encode_stream(&long, &settings, Side::Opener, NONCE).unwrap_err();
    assert_eq!(refused.limit, MAX_ENCRYPTED_STREAM);
}

proptest! {
    #[test]
    fn pieces_make_no_difference(
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        members in 0..20usize,
        with_layers in any::<bool>(),
        damage in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let settings = if with_layers { all_layers() } else { plain() };
        let message = push_pull(members);
        let mut bytes = encode_stream(&message, &settings, Side::Opener, NONCE).unwrap();
        if let Some((at, value)) = damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let mut whole = StreamDecoder::new(Side::Opener);
        let expected = whole.push(&bytes, true, &settings).map(|message| message.map(written));

        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut decoder = StreamDecoder::new(Side::Opener);
        let mut outcome = Ok(None);
        for piece in cuts.windows(2) {
            let last = piece[1] == bytes.len();
            outcome = decoder
                .push(&bytes[piece[0]..piece[1]], last, &settings)
                .map(|message| message.map(written));
            if !matches!(outcome, Ok(None)) {
                break;
            }
        }
        prop_assert_eq!(outcome.is_ok(), expected.is_ok());
        prop_assert_eq!(outcome.unwrap_or_default(), expected.unwrap_or_default());
    }

    #[test]
    fn any_bytes_end_in_a_message_or_refusal(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        kind in 0..16u8,
    ) {
        let bytes = [&[kind], bytes.as_slice()].concat();
        let mut decoder = StreamDecoder::new(Side::Opener);
        match decoder.push(&bytes, true, &plain()) {
            Ok(message) => prop_assert!(message.is_some()),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
