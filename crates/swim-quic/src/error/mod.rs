//! Why an operation of a [`Cluster`](crate::Cluster) or its [`Builder`](crate::Builder) failed.
//!
//! One enum per operation, one variant per case. Each message names the cause and the remedy on
//! one line; a cause that has a type of its own is the [`source`](std::error::Error::source), and
//! the message does not repeat it: [`with_sources`](crate::with_sources) tells both. What this side
//! refuses and what the peer refuses are different variants.

mod advertise_error;
mod doubt_error;
mod identity_error;
mod join_error;
mod receive_error;
mod reconfigure_error;
mod seeds_error;
mod send_error;
mod start_error;
mod stream_error;

use swim_core::wire::KeyError;
use swim_core::{MetaRefusal, OperationError, PayloadTooLarge};
use thiserror::Error;

pub use advertise_error::AdvertiseError;
pub use doubt_error::DoubtError;
pub use identity_error::{IdentityFilesError, RevokeError, RotateError};
pub use join_error::{JoinError, JoinFailure, JoinFailureReason, JoinFailures, ResolveError};
pub use receive_error::{RecvError, RecvTimeoutError, TryRecvError, WaitAnyError};
pub use reconfigure_error::ReconfigureError;
pub use seeds_error::SeedsError;
pub use send_error::{BroadcastError, PingError, SendError};
pub use start_error::{AnnounceError, DriverError, StartError};
pub use stream_error::{
    ConnectError, ConnectionError, ListenError, OpenStreamError, RawError, SendDatagramError,
    StreamIoError,
};

/// Why a command had no effect, whatever it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// As many commands as the queue of this member holds wait for the driver thread already:
    /// 1,024, or their payloads would have more than 64 MiB with this one.
    #[error("the command queue is full: wait a moment and try again")]
    Busy,
    /// The driver thread took the command and did not answer within 5 s: it is overloaded, or a
    /// hook of the application blocks it. The command may still be carried out.
    #[error("the driver thread does not answer: is the machine overloaded, or a hook blocked?")]
    Unanswered,
    /// The call waits for a driver thread and was made on one: in a hook, or in a waker that runs
    /// its task at once. Nothing was done.
    #[error("called on a driver thread, from a hook or a waker: hand the call to another thread")]
    OnDriverThread,
    /// The cluster was closed, or its driver thread ended.
    #[error("the cluster is closed: start a new one")]
    Closed,
}

/// Why a leave is not known to have reached enough peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LeaveError {
    /// Not all peers that were to acknowledge it have done so in time; whether they heard it is not
    /// known, and it is still being gossiped.
    #[error("too few peers acknowledged the leave in time: whether others heard it is not known")]
    TimedOut,
    /// As many callers as are allowed wait for the leave already; it goes on.
    #[error("{limit} callers wait for the leave already: wait for one of them")]
    TooManyOperations {
        /// How many.
        limit: usize,
    },
    /// The driver thread did not take the command.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl LeaveError {
    pub(crate) fn from_operation(error: OperationError) -> Self {
        if let OperationError::TooManyOperations { limit } = error {
            return Self::TooManyOperations { limit };
        }
        debug_assert!(false, "a leave cannot end in {error:?}");
        Self::TimedOut
    }
}

/// Why a condition was not waited for until it held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WaitForError {
    /// The condition did not hold in time.
    #[error("the condition did not hold in time: look at members() and agreement() for what is so")]
    TimedOut,
    /// The driver thread did not take or answer the question.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Why metadata was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SetMetaError {
    /// More bytes than a member may announce (512).
    #[error("metadata of {len} bytes: shorten it to at most {limit}")]
    TooLarge {
        /// How many bytes there are.
        len: usize,
        /// How many a member may announce.
        limit: usize,
    },
    /// This member has left, or is leaving.
    #[error("this member has left: start a new one")]
    Left,
    /// The driver thread did not take the command.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Why the state that an application adds to exchanges was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SetUserStateError {
    /// More bytes than an exchange has room for (10 MiB).
    #[error("a state of {len} bytes: shorten it to at most {limit}, or send it on a stream")]
    TooLarge {
        /// How many bytes there are.
        len: usize,
        /// How many an exchange carries.
        limit: usize,
    },
    /// The driver thread did not take the command.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl SetUserStateError {
    pub(crate) fn from_refusal(PayloadTooLarge { len, limit }: PayloadTooLarge) -> Self {
        Self::TooLarge { len, limit }
    }
}

impl SetMetaError {
    pub(crate) fn from_refusal(refusal: MetaRefusal) -> Self {
        match refusal {
            MetaRefusal::TooLarge { len, limit } => Self::TooLarge { len, limit },
            MetaRefusal::HasLeft => Self::Left,
        }
    }
}

/// Why the ring of encryption keys was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The ring holds as many keys as it can (64).
    #[error("the ring of keys is full: remove old keys first")]
    Full,
    /// The ring does not hold the key.
    #[error("the key is not in the ring: add it first")]
    UnknownKey,
    /// The key is the one that encrypts.
    #[error("the key is in use: switch to another key first")]
    InUse,
    /// The driver thread did not take the command.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl KeysError {
    pub(crate) fn from_refusal(error: KeyError) -> Self {
        match error {
            KeyError::Full => Self::Full,
            KeyError::Unknown => Self::UnknownKey,
            KeyError::Primary => Self::InUse,
            KeyError::Length { length } => {
                // A `SecretKey` has been checked.
                debug_assert!(false, "a secret key of {length} bytes");
                Self::UnknownKey
            }
        }
    }
}
