//! Why an address could not be joined.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;

use swim_core::{MemberName, OperationError, StreamFailure, UnacceptableAnswer};
use thiserror::Error;

use super::CommandError;
use crate::address::AddressError;

/// Why a join brought nothing.
#[derive(Clone, Debug, Error)]
pub enum JoinError {
    /// An address is malformed; nothing was tried.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No address was given.
    #[error("no address to join was given: name at least one")]
    NoAddress,
    /// None of the addresses answered as a member in time.
    #[error("nobody could be joined:{0} check that these members run and trust the same authority")]
    NobodyAnswered(#[source] JoinFailures),
    /// The driver thread did not take the command, or not all of it.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// The addresses that could not be joined, at least one. As an error its source is the first.
#[derive(Clone, Debug)]
pub struct JoinFailures(Vec<JoinFailure>);

impl From<Vec<JoinFailure>> for JoinFailures {
    fn from(failures: Vec<JoinFailure>) -> Self {
        Self(failures)
    }
}

impl Deref for JoinFailures {
    type Target = [JoinFailure];

    fn deref(&self) -> &[JoinFailure] {
        &self.0
    }
}

impl fmt::Display for JoinFailures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|failure| write!(f, " {failure};"))
    }
}

impl std::error::Error for JoinFailures {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.first().map(|failure| failure as _)
    }
}

/// Why one address could not be joined.
#[derive(Clone, Debug, Error)]
#[error("{address}: {reason}")]
pub struct JoinFailure {
    /// The address as given.
    pub address: String,
    /// Why; the last of them where a name has several addresses.
    #[source]
    pub reason: JoinFailureReason,
}

/// Why a join of one address failed.
#[derive(Clone, Debug, Error)]
pub enum JoinFailureReason {
    /// The host name could not be resolved.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// No answer before the timeout of the call, or of the exchange.
    #[error("no answer in time: is the peer running and reachable at its address?")]
    TimedOut,
    /// The transport could not carry the exchange.
    #[error("could not reach the peer: {0}")]
    Unreachable(#[source] StreamFailure),
    /// It is this member's own address.
    #[error("{0} is our own address: name another member to join")]
    OwnAddress(SocketAddr),
    /// The address leads back to this member, by a relay or a proxy.
    #[error("{0} leads to ourselves: name another member to join")]
    LeadsToOurselves(SocketAddr),
    /// Others know a member of this name at another address: somebody answers there, or they do
    /// not take this one.
    #[error(
        "{name} is at {holder} already, so it cannot be at {ours} as well: stop the other one, or \
         give each member its own name"
    )]
    NameTaken {
        /// This member's name.
        name: MemberName,
        /// Where others know it.
        holder: SocketAddr,
        /// This member's address.
        ours: SocketAddr,
    },
    /// The peer refused, with its own words.
    #[error("the peer refused: {0}")]
    PeerRefused(String),
    /// The peer ended the exchange without an answer.
    #[error("the peer closed the stream without an answer: its log says why")]
    ClosedWithoutAnswer,
    /// The peer answered, and this side does not accept what it sent.
    #[error("the peer's answer was refused: {0}")]
    UnacceptableAnswer(#[source] UnacceptableAnswer),
    /// A hook of this application refused the peer's state, with its own words.
    #[error("our application refused the peer's state: {0}")]
    MergeRefused(String),
    /// This member's own state has more bytes than a peer accepts in one exchange.
    #[error("our own state has {len} bytes, of which peers accept {limit}: shorten it")]
    TooLarge {
        /// How many bytes there are.
        len: usize,
        /// How many are accepted.
        limit: usize,
    },
    /// As many operations as are allowed are still under way.
    #[error("{limit} operations are still under way: try again in a moment")]
    TooManyOperations {
        /// How many.
        limit: usize,
    },
    /// This member has left, or is leaving.
    #[error("this member has left: start a new one to join again")]
    Left,
}

impl From<OperationError> for JoinFailureReason {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::TimedOut => Self::TimedOut,
            OperationError::Unreachable(failure) => Self::Unreachable(failure),
            OperationError::OwnAddress(address) => Self::OwnAddress(address),
            OperationError::LeadsToOurselves(address) => Self::LeadsToOurselves(address),
            OperationError::NameTaken { name, holder, ours } => {
                Self::NameTaken { name, holder, ours }
            }
            OperationError::PeerRefused(reason) => Self::PeerRefused(reason),
            OperationError::ClosedWithoutAnswer => Self::ClosedWithoutAnswer,
            OperationError::UnacceptableAnswer(answer) => Self::UnacceptableAnswer(answer),
            OperationError::MergeRefused(reason) => Self::MergeRefused(reason),
            OperationError::TooLarge { len, limit } => Self::TooLarge { len, limit },
            OperationError::TooManyOperations { limit } => Self::TooManyOperations { limit },
            OperationError::HasLeft => Self::Left,
            // A join goes to an address, over a stream.
            error @ (OperationError::Busy
            | OperationError::NoReceiver
            | OperationError::Unknown
            | OperationError::UnknownMember(_)
            | OperationError::NotAlive(_)
            | OperationError::SendFailed(_)) => {
                debug_assert!(false, "a join cannot end in {error:?}");
                Self::Unreachable(StreamFailure::Closed)
            }
        }
    }
}

/// Why a host name has no address.
#[derive(Clone, Debug, Error)]
pub enum ResolveError {
    /// The system's resolver failed.
    #[error("{host} does not resolve: {source}")]
    Failed {
        /// The host name.
        host: String,
        /// What the resolver said. Shared, so that this error can be cloned.
        source: Arc<io::Error>,
    },
    /// The resolver knows the name, and no address of it.
    #[error("{0} resolves to no address")]
    NoAddress(String),
    /// All its addresses are of a family that this member's socket does not reach.
    #[error(
        "{host} has addresses such as {found} only, of a family that this member's socket does not \
         reach: bind to [::] to reach both IPv4 and IPv6"
    )]
    OtherFamily {
        /// The host name.
        host: String,
        /// One of its addresses.
        found: IpAddr,
    },
    /// No answer of the resolver before the timeout of the call.
    #[error("{0} did not resolve in time")]
    TimedOut(String),
    /// As many lookups as may wait are waiting.
    #[error("{limit} lookups are waiting: try again later")]
    TooManyLookups {
        /// How many.
        limit: usize,
    },
    /// The operating system gave no thread for the lookup.
    #[error("no thread for the lookup: {0}")]
    NoThread(#[source] Arc<io::Error>),
}
