//! What streams of the machine are for.

use crate::member::Peer;
use crate::output::{Destination, OperationId};

/// What a stream is for.
#[derive(Clone, Debug)]
pub(crate) enum Role {
    /// Ours: a push-pull.
    PushPull { to: Destination, purpose: Purpose },
    /// Ours: the last resort of a probe round.
    StreamPing { sequence: u32 },
    /// Ours: a reliable message.
    Message { operation: OperationId },
    /// Theirs.
    Incoming { from: Peer },
}

impl Role {
    /// Who opened the stream, if it is theirs.
    pub(crate) fn peer(&self) -> Option<&Peer> {
        match self {
            Self::Incoming { from } => Some(from),
            Self::PushPull { .. } | Self::StreamPing { .. } | Self::Message { .. } => None,
        }
    }
}

/// Why we began a push-pull.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Join(OperationId),
    Bootstrap,
    Periodic,
}

impl Purpose {
    /// Whether the push-pull is marked as a join, to which the hooks of both sides may object.
    pub(crate) fn is_join(self) -> bool {
        match self {
            Self::Join(_) | Self::Bootstrap => true,
            Self::Periodic => false,
        }
    }
}
