//! Why a msgpack value is refused, and where.

use thiserror::Error;

use super::wire_limits::{MAX_VALUE_NESTING, MAX_VALUES};

/// A msgpack value that cannot be one of our messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{kind} (byte {offset} of the message)")]
pub struct DecodeError {
    /// Bytes from the start of the value.
    pub offset: usize,
    /// What is wrong there.
    pub kind: DecodeErrorKind,
}

/// What is wrong with a msgpack value.
///
/// [`Truncated`](Self::Truncated) is told apart from everything else, because on a stream it means
/// to wait for more bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeErrorKind {
    /// The bytes end inside a value; at least this many more would be needed.
    #[error("unexpected end of data")]
    Truncated {
        /// How many bytes are missing, as far as can be told.
        missing: usize,
    },
    /// The message is neither a map nor an array nor nil.
    #[error("only a map, an array or nil can be a message")]
    NotAStruct,
    /// A field holds another kind of value than it should.
    #[error("expected {expected}, found marker 0x{found:02x}")]
    WrongType {
        /// What the field should hold.
        expected: &'static str,
        /// The first byte of what it does hold.
        found: u8,
    },
    /// A field without a name.
    #[error("field without a name")]
    EmptyKey,
    /// A negative number in an unsigned field.
    #[error("negative number in an unsigned field")]
    Negative,
    /// A number larger than its field.
    #[error("number too large for its field")]
    OutOfRange,
    /// Containers nested deeper than 1,023.
    #[error("containers nested deeper than {MAX_VALUE_NESTING}")]
    TooDeep,
    /// More than [`MAX_VALUES`] values in one message.
    #[error("more than {MAX_VALUES} values in one message")]
    TooManyValues,
    /// A timestamp of another length than 4, 8 or 12 bytes.
    #[error("timestamp is not 4, 8 or 12 bytes long")]
    TimestampLength,
}
