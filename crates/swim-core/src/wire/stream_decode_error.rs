//! Why a stream is refused, and where in it.

use std::fmt;

use thiserror::Error;

use super::decode_error::DecodeErrorKind;
use super::encryption::DecryptError;
use super::label::LabelError;
use super::lzw_decoder::DecompressError;
use super::message_type::MessageType;

/// Why a stream is refused. A decoder that returned it is of no further use.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StreamDecodeError {
    /// Its label header is broken, or not ours.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// Encrypted, and we have no keys.
    #[error("stream is encrypted; configure the cluster's keys")]
    Encrypted,
    /// Not encrypted, although encryption is demanded.
    #[error("stream is not encrypted; configure the peer with the cluster's keys")]
    NotEncrypted,
    /// An encrypted message that no key of ours decrypts.
    #[error("cannot decrypt stream")]
    Decrypt(#[from] DecryptError),
    /// A compress message that does not decompress.
    #[error("cannot decompress stream")]
    Decompress(#[from] DecompressError),
    /// The stream ends before its message does.
    #[error("stream ends before its message does")]
    Truncated {
        /// How many bytes there are.
        offset: usize,
    },
    /// A type that no stream carries.
    #[error("streams carry no message of type {0}")]
    UnexpectedType(u8),
    /// A negative length.
    #[error("negative {what}")]
    Negative {
        /// Which length.
        what: LimitedLength,
    },
    /// More than we accept.
    #[error("{what} above the limit of {limit}")]
    TooLong {
        /// Which length.
        what: LimitedLength,
        /// The most that we accept.
        limit: usize,
    },
    /// A value that is not what it should be.
    #[error("malformed {message}")]
    Malformed {
        /// In which message.
        message: MessageType,
        /// Where, from the start of the stream, or of its decompressed bytes.
        offset: usize,
        /// What is wrong there.
        source: DecodeErrorKind,
    },
}

impl StreamDecodeError {
    /// Whether Go answers it with an error message: only what fails in decryption and
    /// decompression, not in the label or in the message itself.
    pub fn is_answered(&self) -> bool {
        match self {
            Self::Decompress(DecompressError::NoShareLeft) => false,
            Self::Encrypted | Self::NotEncrypted | Self::Decrypt(_) | Self::Decompress(_) => true,
            Self::TooLong { what, .. } => *what == LimitedLength::EncryptedMessage,
            Self::Malformed { message, .. } => *message == MessageType::Compress,
            Self::Label(_)
            | Self::Truncated { .. }
            | Self::UnexpectedType(_)
            | Self::Negative { .. } => false,
        }
    }

    /// Where the error is, in bytes; 0 where it has no place.
    pub fn offset(&self) -> usize {
        match self {
            Self::Truncated { offset } | Self::Malformed { offset, .. } => *offset,
            Self::Label(_)
            | Self::Encrypted
            | Self::NotEncrypted
            | Self::Decrypt(_)
            | Self::Decompress(_)
            | Self::UnexpectedType(_)
            | Self::Negative { .. }
            | Self::TooLong { .. } => 0,
        }
    }
}

/// A length that a stream announces and that is checked before any byte of it is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitedLength {
    /// Of an encrypted message, at most [`MAX_ENCRYPTED_STREAM`](super::MAX_ENCRYPTED_STREAM).
    EncryptedMessage,
    /// Of a user message, at most [`MAX_USER_MESSAGE`](super::MAX_USER_MESSAGE).
    UserMessage,
    /// Of the list of members in a push-pull, at most
    /// [`MAX_PUSH_PULL_NODES`](super::MAX_PUSH_PULL_NODES).
    NodeStates,
    /// Of the application's state in a push-pull, at most
    /// [`MAX_USER_STATE`](super::MAX_USER_STATE).
    UserState,
    /// Of the whole stream, at most [`MAX_PLAIN_STREAM`](super::MAX_PLAIN_STREAM).
    Stream,
}

impl fmt::Display for LimitedLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EncryptedMessage => "encrypted message",
            Self::UserMessage => "user message",
            Self::NodeStates => "number of node states",
            Self::UserState => "user state",
            Self::Stream => "stream",
        })
    }
}
