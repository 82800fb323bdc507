//! Why an address could not be joined.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::{slice, vec};

use certs::{SharedIoError, with_sources};
use swim_core::{MemberName, OperationError, StreamFailure, UnacceptableAnswer};
use thiserror::Error;

use super::CommandError;
use crate::address::AddressError;

/// Why a join brought nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// An address is malformed; nothing was tried.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No address was given.
    #[error("no address to join was given: name at least one")]
    NoAddress,
    /// None of the addresses answered as a member in time.
    #[error("nobody could be joined: check that these members run and trust the same authority")]
    NobodyAnswered(#[source] JoinFailures),
    /// The driver thread did not take the command, or not all of it.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// The addresses that could not be joined, at least one, in the order in which they were given. As
/// an error it has no source, since there would be several: its text tells all of them, each with
/// its sources.
///
/// ```
/// use std::time::Duration;
/// use swim_quic::{Cluster, Identity, JoinError};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ada = Cluster::builder("ada")
///     .bind("127.0.0.1:0")
///     .identity(Identity::development("ada")?)
///     .allow_development_identity()
///     .start()?;
/// let own_address = ada.address().to_string();
/// let error = ada.join([&own_address], Duration::from_secs(5)).unwrap_err();
/// let JoinError::NobodyAnswered(failures) = error else { return Err(error.into()) };
/// for failure in &failures {
///     assert_eq!(failure.address, own_address);
/// }
/// assert_eq!(failures.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinFailures(Vec<JoinFailure>);

impl JoinFailures {
    pub(crate) fn new(failures: Vec<JoinFailure>) -> Self {
        debug_assert!(!failures.is_empty(), "a join that failed names an address");
        Self(failures)
    }

    /// Each address with why it was not joined.
    ///
    /// ```no_run
    /// # use swim_quic::JoinFailures;
    /// # fn example(failures: &JoinFailures) {
    /// for failure in failures.iter() {
    ///     println!("{}: {}", failure.address, failure.reason);
    /// }
    /// # }
    /// ```
    pub fn iter(&self) -> slice::Iter<'_, JoinFailure> {
        self.0.iter()
    }

    /// How many there are: at least one.
    ///
    /// ```no_run
    /// # use swim_quic::JoinFailures;
    /// # fn example(failures: &JoinFailures) {
    /// println!("none of {} addresses answered", failures.len());
    /// # }
    /// ```
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl IntoIterator for JoinFailures {
    type Item = JoinFailure;
    type IntoIter = vec::IntoIter<JoinFailure>;

    fn into_iter(self) -> vec::IntoIter<JoinFailure> {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a JoinFailures {
    type Item = &'a JoinFailure;
    type IntoIter = slice::Iter<'a, JoinFailure>;

    fn into_iter(self) -> slice::Iter<'a, JoinFailure> {
        self.iter()
    }
}

impl fmt::Display for JoinFailures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, JoinFailure { address, reason }) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{address}: {}", with_sources(reason))?;
        }
        Ok(())
    }
}

impl std::error::Error for JoinFailures {}

/// Why one address could not be joined.
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{address} was not joined")]
#[non_exhaustive]
pub struct JoinFailure {
    /// The address as given.
    pub address: String,
    /// Why; the last of them where a name has several addresses.
    #[source]
    pub reason: JoinFailureReason,
}

/// Why a join of one address failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JoinFailureReason {
    /// The host name could not be resolved.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// No answer before the timeout of the call, or of the exchange.
    #[error("no answer in time: is the peer running and reachable at its address?")]
    TimedOut,
    /// The transport could not carry the exchange.
    #[error("could not reach the peer")]
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
    #[error("the peer's answer was refused")]
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

impl JoinFailureReason {
    pub(crate) fn from_operation(error: OperationError) -> Self {
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
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The system's resolver failed.
    #[error("{host} does not resolve")]
    Failed {
        /// The host name.
        host: String,
        /// What the resolver said.
        source: SharedIoError,
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
    #[error("no thread for the lookup: raise the limit of threads (ulimit -u)")]
    NoThread(#[source] SharedIoError),
}
