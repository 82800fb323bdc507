//! Streams: in whatever pieces the bytes come, they mean the same; what was read is written again.
//!
//! The first byte chooses the settings (see `layers`), the second the side and how the end comes,
//! four more the lengths of the pieces. The rest is the stream, or what is encoded as one.

use swim_core::wire::{
    PacketDecoder, Side, StreamDecodeError, StreamDecoder, StreamMessage, WireSettings,
    encode_stream,
};
use swim_core::wire::{encode_push_pull, encode_user};

use crate::draw::Draw;
use crate::layers::{ENCODE, NONCE, chosen};

/// Streams of more members are not written again: it would only be slow.
const MOST_NODES: usize = 1_000;
/// Streams in more pieces are fed in larger ones.
const MOST_PIECES: usize = 2_048;

/// Checks one input. Returns whether a message was read.
///
/// # Panics
/// On a finding.
pub fn check(input: &[u8]) -> bool {
    let mut draw = Draw::new(input);
    let (flags, ending) = (draw.byte(), draw.byte());
    let lengths = [draw.byte(), draw.byte(), draw.byte(), draw.byte()];
    let mut settings = chosen(flags);
    let side = if ending & 1 == 0 { Side::Opener } else { Side::Answerer };
    let mut bytes = draw.rest().to_vec();
    if flags & ENCODE != 0 {
        settings.skip_inbound_label_check = false;
        bytes = encode_stream(&bytes, &settings, side, NONCE).expect("an input is short");
    }

    // A table of codes that another stream has filled reads the same as a new one.
    let mut used = PacketDecoder::default();
    let whole = Reading::of(&[&bytes], ending & 2 != 0, side, &settings, &mut used);
    let pieces = cut(&bytes, lengths);
    let in_pieces = Reading::of(&pieces, ending & 4 != 0, side, &settings, &mut used);
    whole.is_like(&in_pieces);

    let Ok(Some(plain)) = whole.result else {
        return false;
    };
    if let Some(plain) = plain {
        settings.skip_inbound_label_check = false;
        let encoded = encode_stream(&plain, &settings, side, NONCE).expect("it was short before");
        let again = Reading::of(&[&encoded], false, side, &settings, &mut used);
        assert_eq!(again.result, Ok(Some(Some(plain))), "what we write, we read");
        assert_eq!(again.trailing, 0);
    }
    true
}

/// The bytes in pieces whose lengths take turns.
fn cut(bytes: &[u8], lengths: [u8; 4]) -> Vec<&[u8]> {
    let factor = bytes.len() / MOST_PIECES + 1;
    let mut lengths = lengths.iter().map(|length| (usize::from(*length) + 1) * factor).cycle();
    let mut rest = bytes;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let length = lengths.next().unwrap_or(1).min(rest.len());
        let (piece, after) = rest.split_at(length);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// What a decoder made of a stream.
#[derive(Debug)]
struct Reading {
    /// The message encoded again, unless it is too long for that.
    result: Result<Option<Option<Vec<u8>>>, StreamDecodeError>,
    trailing: usize,
    is_encrypted: bool,
    is_compressed: bool,
}

impl Reading {
    fn of(
        pieces: &[&[u8]],
        ends_apart: bool,
        side: Side,
        settings: &WireSettings,
        packets: &mut PacketDecoder,
    ) -> Self {
        let mut decoder = StreamDecoder::new(side);
        let mut result = Ok(None);
        let mut steps: Vec<(&[u8], bool)> = pieces.iter().map(|piece| (*piece, false)).collect();
        match steps.last_mut() {
            Some((_, fin)) if !ends_apart => *fin = true,
            Some(_) | None => steps.push((&[], true)),
        }
        for (piece, fin) in steps {
            match decoder
                .push_with(piece, fin, settings, packets)
                .map(|message| message.map(written))
            {
                Ok(None) => {}
                Ok(Some(plain)) => {
                    assert_eq!(result, Ok(None), "a second message on one stream");
                    result = Ok(Some(plain));
                }
                Err(error) => {
                    assert_eq!(result, Ok(None), "an error after the end");
                    assert!(!error.to_string().is_empty());
                    result = Err(error);
                }
            }
        }
        assert!(result != Ok(None), "a stream that has ended is a message or an error");
        let (is_encrypted, is_compressed) = (decoder.is_encrypted(), decoder.is_compressed());
        Self { result, trailing: decoder.trailing(), is_encrypted, is_compressed }
    }

    fn is_like(&self, other: &Self) {
        match (&self.result, &other.result) {
            (Ok(one), Ok(two)) => {
                assert_eq!(one, two);
                assert_eq!(self.trailing, other.trailing);
                assert_eq!(self.is_encrypted, other.is_encrypted);
                assert_eq!(self.is_compressed, other.is_compressed);
            }
            // Too long to be waited for, or known to be over before that much has come.
            (
                Err(StreamDecodeError::Truncated { .. } | StreamDecodeError::TooLong { .. }),
                Err(StreamDecodeError::Truncated { .. } | StreamDecodeError::TooLong { .. }),
            ) => {}
            (one, two) => assert_eq!(one, two),
        }
    }
}

/// The message as bytes again; nothing if it is too long to be written often.
fn written(message: StreamMessage<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match message {
        StreamMessage::Ping(ping) => ping.encode(&mut out),
        StreamMessage::Ack(ack) => ack.encode(&mut out),
        StreamMessage::Error(error) => error.encode(&mut out),
        StreamMessage::User(payload) => encode_user(payload, &mut out),
        StreamMessage::PushPull(push_pull) => {
            let announced = push_pull.nodes.len();
            assert_eq!(push_pull.nodes.clone().count(), announced, "members got lost");
            if announced > MOST_NODES {
                return None;
            }
            encode_push_pull(push_pull.join, push_pull.nodes, push_pull.user_state, &mut out);
        }
    }
    Some(out)
}
