//! Why a packet is refused, and where in it.
//!
//! One reason for the whole packet, the first that was found. What is merely skipped and counted
//! is not here.

use std::fmt;

use crate::wire::compound::CompoundError;
use crate::wire::compress::CompressError;
use crate::wire::label::LabelError;
use crate::wire::msgpack::Reason;
use crate::wire::seal::OpenError;
use crate::wire::{MAX_NESTING, MAX_PACKET_MESSAGES, MessageType};

/// Why a packet is refused.
///
/// Offsets count from the start of the bytes in which the fault lies: the packet, or the
/// decrypted and decompressed bytes where those layers are in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PacketError {
    /// It has no bytes.
    Empty,
    /// Its label header is broken, or not ours.
    Label(LabelError),
    /// It is not encrypted, or not for us.
    Sealed {
        /// Where the envelope begins.
        offset: usize,
        /// What is wrong with it.
        reason: OpenError,
    },
    /// It changed on its way.
    Checksum {
        /// Where the checksum header begins.
        offset: usize,
        /// The checksum in the header.
        announced: u32,
        /// The checksum of the rest.
        computed: u32,
    },
    /// A compound message without its lengths.
    Compound {
        /// Where the message begins.
        offset: usize,
        /// What is wrong with it.
        reason: CompoundError,
    },
    /// A compress message that does not decompress.
    Compress {
        /// Where the message begins.
        offset: usize,
        /// What is wrong with it.
        reason: CompressError,
    },
    /// Compound and compress messages inside each other more than eight levels deep.
    TooDeep {
        /// Where the ninth level begins.
        offset: usize,
    },
    /// More than 65,536 messages.
    TooManyMessages {
        /// Where the first one too many begins.
        offset: usize,
    },
    /// A message whose body is not what its type byte says.
    Malformed {
        /// What it claims to be.
        kind: MessageType,
        /// Where the fault is.
        offset: usize,
        /// What the fault is.
        reason: Reason,
    },
}

impl PacketError {
    /// Where the fault is.
    pub fn offset(&self) -> usize {
        match self {
            Self::Empty | Self::Label(_) => 0,
            Self::Sealed { offset, .. }
            | Self::Checksum { offset, .. }
            | Self::Compound { offset, .. }
            | Self::Compress { offset, .. }
            | Self::TooDeep { offset }
            | Self::TooManyMessages { offset }
            | Self::Malformed { offset, .. } => *offset,
        }
    }
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty packet"),
            Self::Label(reason) => reason.fmt(f),
            Self::Sealed { reason, .. } => write!(f, "cannot decrypt packet: {reason}"),
            Self::Checksum { announced, computed, .. } => {
                write!(f, "checksum is {computed:08x}, the packet says {announced:08x}")
            }
            Self::Compound { reason, .. } => reason.fmt(f),
            Self::Compress { reason, .. } => write!(f, "cannot decompress packet: {reason}"),
            Self::TooDeep { .. } => write!(f, "messages nested deeper than {MAX_NESTING} levels"),
            Self::TooManyMessages { .. } => {
                write!(f, "more than {MAX_PACKET_MESSAGES} messages in one packet")
            }
            Self::Malformed { kind, reason, .. } => write!(f, "malformed {kind}: {reason}"),
        }
    }
}

impl std::error::Error for PacketError {}
