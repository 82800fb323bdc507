//! Why a command is refused: one small enum for each.
//!
//! Each error names its cause and the remedy. What fails later, on the network, is no error of
//! the command: it is the outcome of its operation.

use std::fmt;

use crate::member::MemberName;

/// Why metadata is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetaError {
    /// More than [`MAX_META`](crate::MAX_META) bytes.
    TooLong {
        /// How many there are.
        len: usize,
    },
    /// We have left.
    HasLeft,
}

impl fmt::Display for MetaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len } => {
                write!(f, "metadata of {len} bytes: shorten it to at most 512")
            }
            Self::HasLeft => f.write_str("this member has left: start a new one"),
        }
    }
}

impl std::error::Error for MetaError {}

/// Why a broadcast is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BroadcastError {
    /// It does not fit one packet.
    TooLong {
        /// How many bytes there are.
        len: usize,
        /// How many fit.
        limit: usize,
    },
    /// As many as are allowed are still under way.
    QueueFull {
        /// How many.
        limit: usize,
    },
    /// We have left.
    HasLeft,
}

impl fmt::Display for BroadcastError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len, limit } => write!(
                f,
                "a broadcast of {len} bytes does not fit one packet: shorten it to {limit}, or \
                 send it to each member reliably"
            ),
            Self::QueueFull { limit } => {
                write!(f, "{limit} broadcasts are still under way: try again in a moment")
            }
            Self::HasLeft => f.write_str("this member has left: start a new one"),
        }
    }
}

impl std::error::Error for BroadcastError {}

/// Why a message or ping to one member is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// Nobody of that name is known.
    Unknown(MemberName),
    /// The member is dead or has left.
    NotAlive(MemberName),
    /// Too many bytes.
    TooLong {
        /// How many there are.
        len: usize,
        /// How many fit.
        limit: usize,
    },
    /// As many operations as are allowed are still under way.
    TooMany {
        /// How many.
        limit: usize,
    },
    /// We have left.
    HasLeft,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "no member is called {name}: see the members"),
            Self::NotAlive(name) => write!(f, "{name} is not there: it is dead or has left"),
            Self::TooLong { len, limit } => {
                write!(f, "a message of {len} bytes is too long: shorten it to {limit}")
            }
            Self::TooMany { limit } => {
                write!(f, "{limit} operations are still under way: try again in a moment")
            }
            Self::HasLeft => f.write_str("this member has left: start a new one"),
        }
    }
}

impl std::error::Error for SendError {}

/// Why an ack payload or a user state is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadError {
    /// How many bytes there are.
    pub len: usize,
    /// How many are carried.
    pub limit: usize,
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { len, limit } = self;
        write!(f, "a payload of {len} bytes is too long: shorten it to {limit}")
    }
}

impl std::error::Error for PayloadError {}
