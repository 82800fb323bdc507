//! Why a stream is refused, and where in it.
//!
//! A stream is refused once and is then of no further use. Some refusals are answered with an
//! error message, as in Go.

use std::fmt;

use crate::wire::MessageType;
use crate::wire::compress::CompressError;
use crate::wire::label::LabelError;
use crate::wire::msgpack::Reason;
use crate::wire::seal::OpenError;

/// Why a stream is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamError {
    /// Its label header is broken, or not ours.
    Label(LabelError),
    /// Encrypted, and we have no keys.
    Encrypted,
    /// Not encrypted, and we demand it.
    NotEncrypted,
    /// An envelope that stays shut.
    Sealed(OpenError),
    /// A compress message that does not decompress.
    Compress(CompressError),
    /// Ends before its message does.
    Truncated {
        /// How many bytes there are.
        offset: usize,
    },
    /// A type that no stream carries.
    Type(u8),
    /// A negative length.
    Negative {
        /// Of what.
        what: &'static str,
    },
    /// More than we accept.
    TooLong {
        /// Of what.
        what: &'static str,
        /// The most that we accept.
        limit: usize,
    },
    /// A value that is not what it should be.
    Malformed {
        /// In which message.
        kind: MessageType,
        /// Where, from the start of the stream, or of its decompressed bytes.
        offset: usize,
        /// What is wrong there.
        reason: Reason,
    },
}

impl StreamError {
    /// Whether Go answers it with an error message: only what fails in the layers, not the label.
    pub fn is_answered(&self) -> bool {
        match self {
            Self::Encrypted | Self::NotEncrypted | Self::Sealed(_) | Self::Compress(_) => true,
            Self::TooLong { what, .. } => *what == "encrypted message",
            Self::Malformed { kind, .. } => *kind == MessageType::Compress,
            Self::Label(_) | Self::Truncated { .. } | Self::Type(_) | Self::Negative { .. } => {
                false
            }
        }
    }

    /// Where the fault is, as far as it has a place.
    pub fn offset(&self) -> usize {
        match self {
            Self::Truncated { offset } | Self::Malformed { offset, .. } => *offset,
            Self::Label(_)
            | Self::Encrypted
            | Self::NotEncrypted
            | Self::Sealed(_)
            | Self::Compress(_)
            | Self::Type(_)
            | Self::Negative { .. }
            | Self::TooLong { .. } => 0,
        }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(reason) => reason.fmt(f),
            Self::Encrypted => f.write_str("stream is encrypted; configure the cluster's keys"),
            Self::NotEncrypted => {
                f.write_str("stream is not encrypted; configure the peer with the cluster's keys")
            }
            Self::Sealed(reason) => write!(f, "cannot decrypt stream: {reason}"),
            Self::Compress(reason) => write!(f, "cannot decompress stream: {reason}"),
            Self::Truncated { .. } => f.write_str("stream ends before its message does"),
            Self::Type(byte) => write!(f, "streams carry no message of type {byte}"),
            Self::Negative { what } => write!(f, "negative {what}"),
            Self::TooLong { what, limit } => write!(f, "{what} above the limit of {limit}"),
            Self::Malformed { kind, reason, .. } => write!(f, "malformed {kind}: {reason}"),
        }
    }
}

impl std::error::Error for StreamError {}
