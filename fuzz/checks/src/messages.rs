//! Every message: what decodes is written and decodes to the same; any fields survive the wire.
//!
//! The first byte chooses the message and whether the rest is a body to be decoded or fields to
//! be written.

use swim_core::wire::{
    Ack, Alive, Compress, Dead, DecodeError, DecodeErrorKind, ErrorMessage, IndirectPing, Message,
    Nack, NodeState, PacketDecoder, Ping, PushPullHeader, Suspect, UserHeader, WireSettings,
};

use crate::draw::Draw;

/// Checks one input. Returns whether there was a message.
///
/// # Panics
/// On a finding.
pub fn check(input: &[u8]) -> bool {
    let mut draw = Draw::new(input);
    let choice = draw.byte();
    if choice & 0x80 == 0 { decoded(choice & 0x0f, draw) } else { composed(choice & 0x0f, draw) }
}

/// Reads a value, writes it and reads that. `$skip` is the length of the type byte.
macro_rules! round_trip {
    ($body:expr, $cut:expr, $skip:expr, $decode:expr) => {{
        let (mut scratch, mut spare_again) = (Vec::new(), Vec::new());
        let Ok((message, consumed)) = $decode($body, &mut scratch) else {
            return false;
        };
        let mut written = Vec::new();
        message.encode(&mut written);
        let (again, length) = $decode(&written[$skip..], &mut spare_again).expect("we wrote it");
        assert_eq!(again, message);
        assert_eq!(length, written.len() - $skip);

        // What follows the value does not matter.
        let mut spare_alone = Vec::new();
        let (alone, length) = $decode(&$body[..consumed], &mut spare_alone).expect("it is whole");
        assert_eq!(alone, message);
        assert_eq!(length, consumed);

        let shorter = usize::from($cut) % consumed.max(1);
        let error = $decode(&$body[..shorter], &mut Vec::new()).err();
        asks_for_no_more_than_there_is(error, shorter, consumed);
        true
    }};
}

fn decoded(kind: u8, mut draw: Draw<'_>) -> bool {
    let cut = draw.u16();
    let body = draw.rest();
    match kind {
        0 => round_trip!(body, cut, 1, Ping::decode),
        1 => round_trip!(body, cut, 1, IndirectPing::decode),
        2 => round_trip!(body, cut, 1, Ack::decode),
        3 => round_trip!(body, cut, 1, Suspect::decode),
        4 => round_trip!(body, cut, 1, Alive::decode),
        5 => round_trip!(body, cut, 1, Dead::decode),
        6 => round_trip!(body, cut, 0, |body, _: &mut Vec<u8>| PushPullHeader::decode(body)),
        7 => round_trip!(body, cut, 0, NodeState::decode),
        8 => round_trip!(body, cut, 0, |body, _: &mut Vec<u8>| UserHeader::decode(body)),
        9 => round_trip!(body, cut, 1, Compress::decode),
        10 => round_trip!(body, cut, 1, ErrorMessage::decode),
        _ => round_trip!(body, cut, 1, |body, _: &mut Vec<u8>| Nack::decode(body)),
    }
}

/// A value that was cut off says so, and never waits for more than the whole value: a stream
/// would wait for ever.
fn asks_for_no_more_than_there_is(error: Option<DecodeError>, there: usize, whole: usize) {
    match error.map(|error| error.kind) {
        Some(DecodeErrorKind::Truncated { missing }) => {
            assert!(missing > 0, "nothing is missing from {there} bytes of {whole}");
            assert!(there + missing <= whole, "{there} of {whole} bytes want {missing} more");
        }
        other => panic!("{there} bytes of {whole} are {other:?}"),
    }
}

/// Writes any fields and reads them; those that packets carry, also in a packet.
fn composed(kind: u8, mut draw: Draw<'_>) -> bool {
    let draw = &mut draw;
    let Some(message) = message(kind, draw) else {
        return composed_bare(kind, draw);
    };
    let written = message.to_vec();
    let mut decoder = PacketDecoder::default();
    let packet = decoder.decode(&written, &WireSettings::default()).expect("we wrote it");
    assert_eq!(packet.messages, [message]);
    true
}

/// A message that packets carry, with any fields.
pub(crate) fn message<'a>(kind: u8, draw: &mut Draw<'a>) -> Option<Message<'a>> {
    Some(match kind {
        0 => Message::Ping(Ping {
            seq_no: draw.u32(),
            node: draw.slice(),
            source_addr: draw.slice(),
            source_port: draw.u16(),
            source_node: draw.slice(),
            digest: draw.slice(),
            observer: draw.flag(),
        }),
        1 => Message::IndirectPing(IndirectPing {
            seq_no: draw.u32(),
            target: draw.optional_slice(),
            port: draw.u16(),
            node: draw.slice(),
            nack: draw.flag(),
            source_addr: draw.slice(),
            source_port: draw.u16(),
            source_node: draw.slice(),
        }),
        2 => Message::Ack(Ack {
            seq_no: draw.u32(),
            payload: draw.optional_slice(),
            digest: draw.slice(),
            wait: draw.u32(),
        }),
        3 => Message::Suspect(Suspect {
            incarnation: draw.u32(),
            node: draw.slice(),
            from: draw.slice(),
        }),
        4 => Message::Alive(Alive {
            incarnation: draw.u32(),
            node: draw.slice(),
            addr: draw.optional_slice(),
            port: draw.u16(),
            meta: draw.optional_slice(),
            vsn: draw.optional_slice(),
        }),
        5 => {
            Message::Dead(Dead { incarnation: draw.u32(), node: draw.slice(), from: draw.slice() })
        }
        6 => Message::Nack(Nack { seq_no: draw.u32(), refused: draw.flag() }),
        7 => Message::User(draw.slice()),
        _ => return None,
    })
}

fn composed_bare(kind: u8, draw: &mut Draw<'_>) -> bool {
    let mut written = Vec::new();
    let mut scratch = Vec::new();
    let skip_type = |written: &[u8]| written.get(1..).unwrap_or_default().to_vec();
    match kind {
        8 => {
            let nodes = draw.u64().cast_signed();
            let user_state_len = draw.u64().cast_signed();
            let header = PushPullHeader { nodes, user_state_len, join: draw.flag() };
            header.encode(&mut written);
            assert_eq!(PushPullHeader::decode(&written), Ok((header, written.len())));
        }
        9 => {
            let header = UserHeader { user_msg_len: draw.u64().cast_signed() };
            header.encode(&mut written);
            assert_eq!(UserHeader::decode(&written), Ok((header, written.len())));
        }
        10 => {
            let error = ErrorMessage { error: draw.slice() };
            error.encode(&mut written);
            let body = skip_type(&written);
            assert_eq!(ErrorMessage::decode(&body, &mut scratch), Ok((error, body.len())));
        }
        11 => {
            let compress = Compress { algo: draw.byte(), buf: draw.optional_slice() };
            compress.encode(&mut written);
            let body = skip_type(&written);
            assert_eq!(Compress::decode(&body, &mut scratch), Ok((compress, body.len())));
        }
        _ => {
            let state = node_state(draw);
            state.encode(&mut written);
            assert_eq!(NodeState::decode(&written, &mut scratch), Ok((state, written.len())));
        }
    }
    true
}

/// An entry of a push-pull with any fields.
pub(crate) fn node_state<'a>(draw: &mut Draw<'a>) -> NodeState<'a> {
    NodeState {
        name: draw.slice(),
        addr: draw.optional_slice(),
        port: draw.u16(),
        meta: draw.optional_slice(),
        incarnation: draw.u32(),
        state: draw.u64().cast_signed(),
        vsn: draw.optional_slice(),
    }
}
