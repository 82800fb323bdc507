//! Writing a stream: the messages that only streams carry, and the layers around them.
//!
//! Order of sending: compression, encryption, label.

use std::fmt;

use super::ENVELOPE_HEAD;
use crate::wire::packet::Layers;
use crate::wire::schema::{NodeState, PushPullHeader, UserHeader};
use crate::wire::seal::NONCE_LENGTH;
use crate::wire::{MAX_SEALED_STREAM, MAX_STREAM_EXPANSION, MessageType, compress};

/// Who wrote the bytes of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Who opened it: writes the label header.
    Opener,
    /// Who answers: writes none, though the label is authenticated all the same.
    Answerer,
}

/// Appends a push-pull: the header, a state for each node, the application's state.
pub fn encode_push_pull<'n>(
    join: bool,
    nodes: impl ExactSizeIterator<Item = NodeState<'n>>,
    user_state: &[u8],
    out: &mut Vec<u8>,
) {
    out.push(MessageType::PushPull.to_byte());
    PushPullHeader {
        nodes: i64::try_from(nodes.len()).unwrap_or(i64::MAX),
        user_state_len: i64::try_from(user_state.len()).unwrap_or(i64::MAX),
        join,
    }
    .encode(out);
    for node in nodes {
        node.encode(out);
    }
    out.extend_from_slice(user_state);
}

/// Appends a user message in the form that streams carry.
pub fn encode_user(payload: &[u8], out: &mut Vec<u8>) {
    out.push(MessageType::User.to_byte());
    let user_msg_len = i64::try_from(payload.len()).unwrap_or(i64::MAX);
    UserHeader { user_msg_len }.encode(out);
    out.extend_from_slice(payload);
}

/// Puts all layers around one message: everything that one side writes on a stream.
///
/// As in Go, compression applies to every message where it is switched on, even if that makes it
/// longer. The nonce is only used where there are keys.
///
/// # Errors
/// [`StreamTooLong`] where the peer would have to refuse it.
pub fn seal_stream(
    message: &[u8],
    layers: &Layers,
    side: Side,
    nonce: [u8; NONCE_LENGTH],
) -> Result<Vec<u8>, StreamTooLong> {
    if layers.compression && message.len() > MAX_STREAM_EXPANSION {
        return Err(StreamTooLong { length: message.len(), limit: MAX_STREAM_EXPANSION });
    }
    let compressed = layers.compression.then(|| compress::compress_message(message));
    let message = compressed.as_deref().unwrap_or(message);

    let mut out = Vec::with_capacity(layers.packet_overhead() + ENVELOPE_HEAD + message.len());
    if side == Side::Opener {
        layers.label.put_header(&mut out);
    }
    if !layers.encrypts() {
        out.extend_from_slice(message);
        return Ok(out);
    }
    let length = layers.encryption_version.sealed_length(message.len());
    let too_long = StreamTooLong { length, limit: MAX_SEALED_STREAM };
    if length > MAX_SEALED_STREAM {
        return Err(too_long);
    }
    let announced = u32::try_from(length).map_err(|_| too_long)?.to_be_bytes();
    let mut head = vec![MessageType::Encrypt.to_byte()];
    head.extend(announced);
    out.extend_from_slice(&head);
    let associated = [&head, layers.label.as_bytes()].concat();
    layers.keyring.seal(layers.encryption_version, nonce, &associated, message, &mut out);
    Ok(out)
}

/// A message that is too long to be sent on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamTooLong {
    /// Its length in bytes.
    pub length: usize,
    /// The longest that a peer accepts.
    pub limit: usize,
}

impl fmt::Display for StreamTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { length, limit } = self;
        write!(f, "stream message of {length} bytes; peers accept at most {limit}")
    }
}

impl std::error::Error for StreamTooLong {}
