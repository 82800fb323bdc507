//! How far a stream has been decoded, and what was found so far.

use std::ops::Range;

use crate::wire::message_type::MessageType;
use crate::wire::schema::{PushPullHeader, UserHeader};

/// What the next bytes are.
#[derive(Debug)]
pub(super) enum Stage {
    Label,
    Encryption,
    Compression,
    Type,
    /// The msgpack value that is a short message, or the header of a long one.
    Value(StreamType),
    User {
        length: usize,
    },
    /// The states of members, `left` of them.
    States {
        lengths: PushPullLengths,
        left: usize,
    },
    UserState {
        lengths: PushPullLengths,
    },
    /// Nothing more is expected: the message is complete.
    Done(Content),
    /// Nothing more is expected: the stream was refused.
    Failed,
}

/// What the header of a push-pull announces, within the limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct PushPullLengths {
    pub(super) join: bool,
    pub(super) nodes: usize,
    /// Where in the buffer the first state begins.
    pub(super) nodes_at: usize,
    pub(super) user_state: usize,
}

/// Where in the buffer the parts of a complete message are.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Ping(Range<usize>),
    Ack(Range<usize>),
    Error(Range<usize>),
    User(Range<usize>),
    PushPull { join: bool, count: usize, nodes: Range<usize>, user_state: Range<usize> },
}

/// The types of messages that streams carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamType {
    Ping,
    Ack,
    Error,
    PushPull,
    User,
}

impl StreamType {
    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        let types = [Self::Ping, Self::Ack, Self::Error, Self::PushPull, Self::User];
        types.into_iter().find(|kind| kind.message_type().to_byte() == byte)
    }

    pub(super) const fn message_type(self) -> MessageType {
        match self {
            Self::Ping => MessageType::Ping,
            Self::Ack => MessageType::Ack,
            Self::Error => MessageType::Error,
            Self::PushPull => MessageType::PushPull,
            Self::User => MessageType::User,
        }
    }
}

/// A value that was read: a whole message, which is read again when it is returned, or the header
/// of one.
pub(super) enum Value {
    Ping,
    Ack,
    Error,
    User(UserHeader),
    PushPull(PushPullHeader),
}
