//! Why a message, a broadcast or a ping failed.

use swim_core::{
    BroadcastRefusal, MemberName, NameError, OperationError, SendRefusal, StreamFailure,
    UnacceptableAnswer,
};
use thiserror::Error;

use super::CommandError;

/// Why a message was not sent, or is not known to have arrived.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// No member can have this name.
    #[error(transparent)]
    InvalidName(#[from] NameError),
    /// This member knows nobody of that name.
    #[error("no member is called {0}: look at members() for who is")]
    UnknownMember(MemberName),
    /// The member is known, and dead or has left.
    #[error("{0} is not there: it is dead or has left")]
    NotAlive(MemberName),
    /// More bytes than a member accepts.
    #[error("a message of {len} bytes is too long: shorten it to {limit}")]
    TooLarge {
        /// How many bytes there are.
        len: usize,
        /// How many are accepted.
        limit: usize,
    },
    /// A subscription of the receiver had no room; none of them has any of the message.
    #[error("the receiver has no room: wait for it to read, then send again")]
    Busy,
    /// Nobody at the receiver subscribed to its events.
    #[error("nobody at the receiver reads messages: subscribe to its events there")]
    NoReceiver,
    /// The message was written, and no answer came in time, or the receiver restarted.
    #[error("no answer: the message may or may not have been delivered")]
    Unknown,
    /// The transport could not carry a reliable message.
    #[error("could not reach the peer")]
    Unreachable(#[source] StreamFailure),
    /// The peer refused a reliable message, with its own words.
    #[error("the peer refused: {0}")]
    PeerRefused(String),
    /// The peer ended the stream of a reliable message without taking it or saying why.
    #[error("the peer closed the stream without an answer: its log says why")]
    ClosedWithoutAnswer,
    /// The peer answered a reliable message with something that this side does not accept.
    #[error("the peer's answer was refused")]
    UnacceptableAnswer(#[source] UnacceptableAnswer),
    /// A reliable message could not be written before the timeout, and never will be.
    #[error("not sent in time: it was withdrawn")]
    TimedOut,
    /// As many operations as are allowed are still under way.
    #[error("{limit} operations are still under way: try again in a moment")]
    TooManyOperations {
        /// How many.
        limit: usize,
    },
    /// As many bytes of reliable messages as are allowed are still under way.
    #[error("{limit} bytes of reliable messages are still under way: wait for some of them")]
    QueueFull {
        /// How many bytes.
        limit: usize,
    },
    /// This member has left, or is leaving.
    #[error("this member has left: start a new one")]
    Left,
    /// The driver thread did not take the command.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl SendError {
    pub(crate) fn from_refusal(refusal: SendRefusal) -> Self {
        Self::from_operation(refusal.into())
    }
}

impl SendError {
    pub(crate) fn from_operation(error: OperationError) -> Self {
        match error {
            OperationError::UnknownMember(name) => Self::UnknownMember(name),
            OperationError::NotAlive(name) => Self::NotAlive(name),
            OperationError::TooLarge { len, limit } => Self::TooLarge { len, limit },
            OperationError::TimedOut => Self::TimedOut,
            OperationError::Busy => Self::Busy,
            OperationError::NoReceiver => Self::NoReceiver,
            OperationError::Unknown => Self::Unknown,
            OperationError::Unreachable(failure) => Self::Unreachable(failure),
            OperationError::PeerRefused(reason) => Self::PeerRefused(reason),
            OperationError::ClosedWithoutAnswer => Self::ClosedWithoutAnswer,
            OperationError::UnacceptableAnswer(answer) => Self::UnacceptableAnswer(answer),
            OperationError::TooManyOperations { limit } => Self::TooManyOperations { limit },
            OperationError::HasLeft => Self::Left,
            // A message goes to a member, over a stream, and merges nothing.
            error @ (OperationError::OwnAddress(_)
            | OperationError::LeadsToOurselves(_)
            | OperationError::NameTaken { .. }
            | OperationError::MergeRefused(_)
            | OperationError::SendFailed(_)) => {
                debug_assert!(false, "a message cannot end in {error:?}");
                Self::Unreachable(StreamFailure::Closed)
            }
        }
    }
}

/// Why a broadcast was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BroadcastError {
    /// It does not fit one packet.
    #[error(
        "a broadcast of {len} bytes does not fit one packet: shorten it to {limit}, or send it \
         to each member reliably"
    )]
    TooLarge {
        /// How many bytes there are.
        len: usize,
        /// How many fit.
        limit: usize,
    },
    /// As many broadcasts as are allowed are still under way.
    #[error("{limit} broadcasts are still under way: try again in a moment")]
    QueueFull {
        /// How many.
        limit: usize,
    },
    /// This member has left, or is leaving.
    #[error("this member has left: start a new one")]
    Left,
    /// The driver thread did not take the command.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl BroadcastError {
    pub(crate) fn from_refusal(refusal: BroadcastRefusal) -> Self {
        match refusal {
            BroadcastRefusal::TooLarge { len, limit } => Self::TooLarge { len, limit },
            BroadcastRefusal::QueueFull { limit } => Self::QueueFull { limit },
            BroadcastRefusal::HasLeft => Self::Left,
        }
    }
}

/// Why a ping brought no round-trip time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PingError {
    /// No member can have this name.
    #[error(transparent)]
    InvalidName(#[from] NameError),
    /// This member knows nobody of that name.
    #[error("no member is called {0}: look at members() for who is")]
    UnknownMember(MemberName),
    /// No answer before the timeout of the call or the probe timeout.
    #[error("no answer in time: is the peer running and reachable at its address?")]
    TimedOut,
    /// The transport reported that the ping could not be sent.
    #[error("the ping could not be sent")]
    SendFailed(#[source] StreamFailure),
    /// As many operations as are allowed are still under way.
    #[error("{limit} operations are still under way: try again in a moment")]
    TooManyOperations {
        /// How many.
        limit: usize,
    },
    /// The driver thread did not take the command.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl PingError {
    pub(crate) fn from_operation(error: OperationError) -> Self {
        match error {
            OperationError::UnknownMember(name) => Self::UnknownMember(name),
            OperationError::TimedOut => Self::TimedOut,
            OperationError::SendFailed(failure) => Self::SendFailed(failure),
            OperationError::TooManyOperations { limit } => Self::TooManyOperations { limit },
            // A ping is one packet to a member in any state, and has neither payload nor stream.
            error @ (OperationError::NotAlive(_)
            | OperationError::HasLeft
            | OperationError::Busy
            | OperationError::NoReceiver
            | OperationError::Unknown
            | OperationError::TooLarge { .. }
            | OperationError::Unreachable(_)
            | OperationError::OwnAddress(_)
            | OperationError::LeadsToOurselves(_)
            | OperationError::NameTaken { .. }
            | OperationError::PeerRefused(_)
            | OperationError::ClosedWithoutAnswer
            | OperationError::UnacceptableAnswer(_)
            | OperationError::MergeRefused(_)) => {
                debug_assert!(false, "a ping cannot end in {error:?}");
                Self::SendFailed(StreamFailure::Closed)
            }
        }
    }
}
