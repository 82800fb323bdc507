//! The sizes that the wire allows. Whatever else bounds a size derives it from here.
//!
//! Lengths are in bytes, one MiB is 1,048,576 bytes. Decoders refuse what exceeds a limit;
//! encoders return an error, so that a peer never has to refuse.

const MIB: usize = 1024 * 1024;

/// Longest packet, all layers included: what a UDP length field can say. `memberlist-quic` sends
/// what does not fit a QUIC datagram on a unidirectional stream, up to this length.
pub const MAX_PACKET: usize = 65_535;

/// Deepest nesting of compound and compress messages in a packet. Go has no limit.
pub const MAX_NESTING: usize = 8;

/// Most messages in one packet, nested ones included. Go has no limit; a compound holds 255. Each
/// may cost an answer, and a packet of 3 KB could hold 65,025 pings.
pub const MAX_PACKET_MESSAGES: usize = 1_024;

/// Most bytes that all compressed messages of one packet may expand to. Go has no limit.
pub const MAX_PACKET_EXPANSION: usize = MIB;

/// Most parts in one compound message: the count is one byte.
pub const MAX_COMPOUND_PARTS: usize = 255;

/// Longest part of a compound message: its length is two bytes.
pub const MAX_PART_LENGTH: usize = 65_535;

/// Most node states in a push-pull (Go's limit since v0.6.0).
pub const MAX_PUSH_PULL_NODES: usize = 1_048_576;

/// Most bytes of application state in a push-pull (Go's limit since v0.6.0).
pub const MAX_USER_STATE: usize = 20 * MIB;

/// Longest user message on a stream (Go's limit after v0.6.0).
pub const MAX_USER_MESSAGE: usize = 20 * MIB;

/// Longest encrypted message on a stream, with encryption version, nonce, padding and tag (Go's
/// limit).
pub const MAX_ENCRYPTED_STREAM: usize = 20 * MIB;

/// Most bytes that a compressed stream may expand to (Go's limit after v0.6.0).
pub const MAX_STREAM_EXPANSION: usize = 40 * MIB;

/// Most bytes of one stream that is neither encrypted nor compressed: room for the largest
/// push-pull of short names and metadata. Go bounds the parts of such a stream but not their sum.
pub const MAX_PLAIN_STREAM: usize = 128 * MIB;

/// Longest metadata that a member may announce (Go's `MetaMaxSize`). Go's receivers do not check
/// it.
pub const MAX_META: usize = 512;

/// Longest label: its length is one byte (Go's `LabelMaxSize`).
pub const MAX_LABEL: usize = 255;

/// Most keys in a keyring. Go has no limit; a rotation needs two.
pub const MAX_KEYS: usize = 64;

/// Most msgpack values in one message, those in unknown fields included.
///
/// Go has no such limit; its messages hold at most nine, and as many keys. It bounds the work that
/// one message can cause when a stream brings it byte by byte: it is read again with each value.
pub const MAX_VALUES: usize = 64;

/// Deepest nesting of msgpack containers, the message itself included. Go's messages have two
/// levels at most; its decoder refuses 1,024.
pub const MAX_VALUE_NESTING: usize = 32;
