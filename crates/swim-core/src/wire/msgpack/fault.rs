//! Why and where a value is refused.
//!
//! Running out of bytes is told apart from everything else: on a stream it means to wait, and for
//! how many bytes at least.

use std::fmt;

use super::MAX_VALUES;
use super::skip::MAX_NESTING;

/// Why a msgpack value cannot be one of our messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The bytes end inside a value; at least this many more would be needed.
    Truncated {
        /// How many bytes are missing, as far as can be told.
        missing: usize,
    },
    /// The message is neither a map nor an array nor nil.
    NotAStruct,
    /// A field holds another kind of value than it should.
    WrongType {
        /// What the field should hold.
        expected: &'static str,
        /// The first byte of what it does hold.
        found: u8,
    },
    /// A field without a name.
    EmptyKey,
    /// A negative number in an unsigned field.
    Negative,
    /// A number larger than its field.
    OutOfRange,
    /// Containers nested deeper than 1,023.
    TooDeep,
    /// More than 65,536 values in one message.
    TooManyValues,
    /// A timestamp of another length than 4, 8 or 12 bytes.
    TimestampLength,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { .. } => f.write_str("unexpected end of data"),
            Self::NotAStruct => f.write_str("only a map, an array or nil can be a message"),
            Self::WrongType { expected, found } => {
                write!(f, "expected {expected}, found marker 0x{found:02x}")
            }
            Self::EmptyKey => f.write_str("field without a name"),
            Self::Negative => f.write_str("negative number in an unsigned field"),
            Self::OutOfRange => f.write_str("number too large for its field"),
            Self::TooDeep => write!(f, "containers nested deeper than {MAX_NESTING}"),
            Self::TooManyValues => write!(f, "more than {MAX_VALUES} values in one message"),
            Self::TimestampLength => f.write_str("timestamp is not 4, 8 or 12 bytes long"),
        }
    }
}

/// A refusal, and where in the value it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Bytes from the start of the value.
    pub offset: usize,
    /// What is wrong there.
    pub reason: Reason,
}
