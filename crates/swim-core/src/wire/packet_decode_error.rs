//! Why a packet is refused, and where in it.

use thiserror::Error;

use super::compound::CompoundError;
use super::decode_error::DecodeErrorKind;
use super::encryption::DecryptError;
use super::label::LabelError;
use super::lzw_decoder::DecompressError;
use super::message_type::MessageType;
use super::wire_limits::{MAX_NESTING, MAX_PACKET_MESSAGES};

/// Why a packet is refused: the first error that was found. What is skipped and counted is no
/// error.
///
/// Offsets count from the start of the bytes in which the error is: the packet, or the decrypted
/// or decompressed bytes where those layers are in use.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PacketDecodeError {
    /// It has no bytes.
    #[error("empty packet")]
    Empty,
    /// Its label header is broken, or not ours.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// It is not encrypted, or not with a key of ours.
    #[error("cannot decrypt packet")]
    Decrypt {
        /// Where the encrypted message begins.
        offset: usize,
        /// What is wrong with it.
        source: DecryptError,
    },
    /// It changed on its way.
    #[error("checksum is {computed:08x}, the packet says {announced:08x}")]
    Checksum {
        /// Where the checksum header begins.
        offset: usize,
        /// The checksum in the header.
        announced: u32,
        /// The checksum of the rest.
        computed: u32,
    },
    /// A compound message without its lengths.
    #[error("{cause}")]
    Compound {
        /// Where the message begins.
        offset: usize,
        /// What is wrong with it.
        cause: CompoundError,
    },
    /// A compress message that does not decompress.
    #[error("cannot decompress packet")]
    Decompress {
        /// Where the message begins.
        offset: usize,
        /// What is wrong with it.
        source: DecompressError,
    },
    /// Compound and compress messages inside each other more than [`MAX_NESTING`] levels deep.
    #[error("messages nested deeper than {MAX_NESTING} levels")]
    TooDeep {
        /// Where the first level too many begins.
        offset: usize,
    },
    /// More than [`MAX_PACKET_MESSAGES`] messages.
    #[error("more than {MAX_PACKET_MESSAGES} messages in one packet")]
    TooManyMessages {
        /// Where the first one too many begins.
        offset: usize,
    },
    /// A message whose body is not what its type byte says.
    #[error("malformed {message}")]
    Malformed {
        /// The type that it announces.
        message: MessageType,
        /// Where the error is.
        offset: usize,
        /// What the error is.
        source: DecodeErrorKind,
    },
}

impl PacketDecodeError {
    /// Where the error is, in bytes.
    pub fn offset(&self) -> usize {
        match self {
            Self::Empty | Self::Label(_) => 0,
            Self::Decrypt { offset, .. }
            | Self::Checksum { offset, .. }
            | Self::Compound { offset, .. }
            | Self::Decompress { offset, .. }
            | Self::TooDeep { offset }
            | Self::TooManyMessages { offset }
            | Self::Malformed { offset, .. } => *offset,
        }
    }
}
