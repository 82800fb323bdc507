//! The wire of Go's memberlist: bytes in, messages out, and the reverse.
//!
//! Decides what is well formed, and how large anything may be. It never decides what a message
//! means, reads no clock and draws no nonce: nonces come in as arguments. Every decoder is total:
//! any input gives a message or an error, in memory proportional to the bytes that arrived.
//!
//! [`packet`] and [`stream`] undo all layers at once; the other modules are those layers and the
//! messages inside ([`schema`]). Encoders write the same bytes as Go for the same values.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

use std::fmt;

pub mod compound;
pub mod compress;
pub mod crc;
pub mod label;
mod msgpack;
pub mod packet;
pub mod schema;
pub mod seal;
pub mod stream;

pub use label::Label;
pub use msgpack::{Fault, Reason};
pub use packet::{Layers, Packet, PacketDecoder, PacketError, seal_packet};
pub use schema::{
    Ack, Alive, Compress, Dead, ErrorMessage, IndirectPing, Message, Nack, NodeState, Ping,
    PushPullHeader, Suspect, UserHeader,
};
pub use seal::{EncryptionVersion, KeyError, Keyring, NONCE_LENGTH};
pub use stream::{PushPull, Side, StreamDecoder, StreamError, StreamMessage, seal_stream};

/// Deepest nesting of compound and compress messages in a packet. Go has no limit.
pub const MAX_NESTING: usize = 8;

/// Most messages in one packet, nested ones included. Go has no limit; a compound holds 255.
pub const MAX_PACKET_MESSAGES: usize = 65_536;

/// Most bytes that all compressed messages of one packet may expand to.
pub const MAX_PACKET_EXPANSION: usize = 1024 * 1024;

/// Most parts in one compound message: the count is one byte.
pub const MAX_COMPOUND_PARTS: usize = 255;

/// Longest part of a compound message: its length is two bytes.
pub const MAX_PART_LENGTH: usize = 65_535;

/// Most node states in a push-pull (Go's limit since v0.6.0).
pub const MAX_PUSH_PULL_NODES: usize = 1_048_576;

/// Most bytes of application state in a push-pull (Go's limit since v0.6.0).
pub const MAX_USER_STATE: usize = 20 * 1024 * 1024;

/// Longest user message on a stream (Go's limit after v0.6.0).
pub const MAX_USER_MESSAGE: usize = 20 * 1024 * 1024;

/// Longest encrypted envelope on a stream (Go's limit).
pub const MAX_SEALED_STREAM: usize = 20 * 1024 * 1024;

/// Most bytes that a compressed stream may expand to (Go's limit after v0.6.0).
pub const MAX_STREAM_EXPANSION: usize = 40 * 1024 * 1024;

/// Most bytes of one plain stream: room for the largest push-pull of short names and metadata.
///
/// Go bounds the parts of such a stream but not their sum.
pub const MAX_PLAIN_STREAM: usize = 128 * 1024 * 1024;

/// Longest metadata that a member may announce (Go's `MetaMaxSize`). Receivers do not check it.
pub const MAX_META: usize = 512;

/// The first byte of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum MessageType {
    /// Are you there?
    Ping = 0,
    /// Ask somebody else whether it is there.
    IndirectPing = 1,
    /// I am here.
    Ack = 2,
    /// A member may have failed.
    Suspect = 3,
    /// A member is alive; also its address, metadata and versions.
    Alive = 4,
    /// A member has failed, or has left.
    Dead = 5,
    /// The full state, on streams.
    PushPull = 6,
    /// Several messages in one packet.
    Compound = 7,
    /// Application bytes.
    User = 8,
    /// One message, LZW-compressed.
    Compress = 9,
    /// An encrypted envelope, on streams.
    Encrypt = 10,
    /// The member that you asked about did not answer me.
    Nack = 11,
    /// A checksum of the rest, on packets.
    HasCrc = 12,
    /// Why a stream was refused.
    Error = 13,
    /// The label header, before everything else.
    Label = 244,
}

impl MessageType {
    /// The type that a first byte stands for; `None` for a byte that Go does not know either.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Ping,
            1 => Self::IndirectPing,
            2 => Self::Ack,
            3 => Self::Suspect,
            4 => Self::Alive,
            5 => Self::Dead,
            6 => Self::PushPull,
            7 => Self::Compound,
            8 => Self::User,
            9 => Self::Compress,
            10 => Self::Encrypt,
            11 => Self::Nack,
            12 => Self::HasCrc,
            13 => Self::Error,
            244 => Self::Label,
            _ => return None,
        })
    }

    /// The byte on the wire.
    pub const fn to_byte(self) -> u8 {
        self as u8
    }

    /// The type's name in memberlist, as in `indirectPing`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::IndirectPing => "indirectPing",
            Self::Ack => "ack",
            Self::Suspect => "suspect",
            Self::Alive => "alive",
            Self::Dead => "dead",
            Self::PushPull => "pushPull",
            Self::Compound => "compound",
            Self::User => "user",
            Self::Compress => "compress",
            Self::Encrypt => "encrypt",
            Self::Nack => "nack",
            Self::HasCrc => "hasCrc",
            Self::Error => "err",
            Self::Label => "label",
        }
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
