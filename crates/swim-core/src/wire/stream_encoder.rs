//! Encodes streams: the messages that only streams carry, and the layers around a message.

use thiserror::Error;

use super::compress::put_compressed;
use super::encryption::{ENCRYPTION_HEADER, NONCE_LENGTH};
use super::lzw_encoder::compress_within;
use super::message_type::MessageType;
use super::schema::{NodeState, PushPullHeader, UserHeader};
use super::stream_message::Side;
use super::wire_limits::{MAX_ENCRYPTED_STREAM, MAX_STREAM_EXPANSION};
use super::wire_settings::WireSettings;

/// Type byte and length (`u32`), before an encrypted message on a stream.
pub(super) const ENCRYPT_HEADER: usize = 5;

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

/// Adds all layers to one message: compression, encryption, label, from the innermost to the
/// outermost. The result is all that one side writes on a stream.
///
/// Where compression is switched on, short messages are compressed as in Go, even if that makes
/// them longer; longer ones where it gains something, and as far as it does not take long. The
/// nonce is used only with encryption; under one key, no nonce may be used twice.
///
/// # Errors
/// [`StreamTooLong`] where the peer would have to refuse it.
pub fn encode_stream(
    message: &[u8],
    settings: &WireSettings,
    side: Side,
    nonce: [u8; NONCE_LENGTH],
) -> Result<Vec<u8>, StreamTooLong> {
    let compresses = settings.compression && is_worth_compressing(message);
    if compresses && message.len() > MAX_STREAM_EXPANSION {
        return Err(StreamTooLong { length: message.len(), limit: MAX_STREAM_EXPANSION });
    }
    let plain = if compresses { 0 } else { message.len() };
    let mut out = Vec::with_capacity(settings.packet_overhead() + ENCRYPT_HEADER + plain);
    if side == Side::Opener {
        settings.label.put_header(&mut out);
    }
    let header = out.len();
    if settings.encrypts() {
        out.resize(header + ENCRYPT_HEADER + ENCRYPTION_HEADER, 0);
    }
    let content = out.len();
    if compresses {
        put_compressed(message, &mut out);
    } else {
        out.extend_from_slice(message);
    }
    if settings.encrypts() {
        let plain = out.len() - content;
        encrypt(plain, settings, nonce, &mut out, header)?;
    }
    Ok(out)
}

/// Up to this length, in bytes, a message is compressed whatever it holds.
const ALWAYS_COMPRESSED: usize = 16 * 1024;
/// The longest user message that is compressed, in bytes. Some 30 MB are compressed in a second,
/// and all that a member does meanwhile is wait.
const LONGEST_COMPRESSED: usize = 256 * 1024;

/// Whether compression makes a message shorter by an eighth, as its first part shows.
fn is_worth_compressing(message: &[u8]) -> bool {
    let is_user = message.first() == Some(&MessageType::User.to_byte());
    match message.get(..ALWAYS_COMPRESSED) {
        None => true,
        Some(_) if is_user && message.len() > LONGEST_COMPRESSED => false,
        Some(part) => compress_within(part, ALWAYS_COMPRESSED / 8 * 7).is_some(),
    }
}

/// Encrypts the last `plain` bytes of `out`, before which there is room for both headers, which
/// begin at `start`.
fn encrypt(
    plain: usize,
    settings: &WireSettings,
    nonce: [u8; NONCE_LENGTH],
    out: &mut Vec<u8>,
    start: usize,
) -> Result<(), StreamTooLong> {
    let length = settings.encryption_version.encrypted_length(plain);
    let too_long = StreamTooLong { length, limit: MAX_ENCRYPTED_STREAM };
    if length > MAX_ENCRYPTED_STREAM {
        return Err(too_long);
    }
    let [a, b, c, d] = u32::try_from(length).map_err(|_| too_long)?.to_be_bytes();
    let header = [MessageType::Encrypt.to_byte(), a, b, c, d];
    match out.get_mut(start..).and_then(<[u8]>::first_chunk_mut::<ENCRYPT_HEADER>) {
        Some(room) => *room = header,
        None => debug_assert!(false, "no room was left for the header"),
    }
    // Type and length are authenticated with the label, so that nobody can shorten a stream.
    let associated = [&header, settings.label.as_bytes()].concat();
    let start = start + ENCRYPT_HEADER;
    let version = settings.encryption_version;
    settings.keyring.encrypt_in_place(version, nonce, &associated, out, start);
    Ok(())
}

/// A message that is too long to be sent on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("stream message of {length} bytes; peers accept at most {limit}")]
pub struct StreamTooLong {
    /// Its length in bytes.
    pub length: usize,
    /// The longest that a peer accepts.
    pub limit: usize,
}
