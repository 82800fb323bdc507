//! Why a command was refused, and why an operation failed.
//!
//! A command that cannot begin returns a refusal: one small enum for each command, since each
//! can be refused for other reasons. What begins and then fails ends as
//! [`Outcome::Failed`](crate::Outcome::Failed) with an [`OperationError`]. What our own side
//! refused and what the peer refused are different variants. The message of an error says nothing
//! that its source says too: see [`with_sources`](crate::with_sources).

use std::net::SocketAddr;

use crate::config_error::ConfigError;
use crate::member_name::MemberName;
use crate::version_fit::VersionMismatch;
use crate::wire::StreamDecodeError;

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// No answer before the deadline: a ping's is the probe timeout, an exchange's the stream
    /// timeout, a reliable message's the one its sender gave.
    #[error("no answer in time: is the peer running and reachable at its address?")]
    TimedOut,
    /// The application of the receiver had no room for a reliable message; it has none of it.
    #[error("the receiver has no room: wait for it to read, then send again")]
    Busy,
    /// Nobody at the receiver subscribed to messages; it has none of it.
    #[error("nobody at the receiver reads messages: subscribe to its events there")]
    NoReceiver,
    /// A reliable message was written, and no answer came in time, or the receiver restarted.
    #[error("no answer: the message may or may not have been delivered")]
    Unknown,
    /// The transport could not carry the stream.
    #[error("could not reach the peer")]
    Unreachable(#[source] StreamFailure),
    /// The transport reported that the packet could not be sent.
    #[error("the packet could not be sent")]
    SendFailed(#[source] StreamFailure),
    /// Our table has no member of this name.
    #[error("no member is called {0}: see the members")]
    UnknownMember(MemberName),
    /// The member is dead or has left.
    #[error("{0} is not there: it is dead or has left")]
    NotAlive(MemberName),
    /// A join to our own address.
    #[error("{0} is our own address: name another member to join")]
    OwnAddress(SocketAddr),
    /// Others hold our name at another address: somebody answers there, or they do not take us.
    #[error(
        "{name} is at {holder} already, so it cannot be at {ours} as well: stop the other one, or \
         give each member its own name"
    )]
    NameTaken {
        /// Our own, which others have too.
        name: MemberName,
        /// Where others hold it.
        holder: SocketAddr,
        /// Our own address.
        ours: SocketAddr,
    },
    /// The address leads back to ourselves, by a relay or a proxy.
    #[error("{0} leads to ourselves: name another member to join")]
    LeadsToOurselves(SocketAddr),
    /// More bytes than a peer accepts: the payload of a message, or our own state in an exchange.
    #[error("{len} bytes are too many to send: shorten them to {limit}")]
    TooLarge {
        /// How many bytes there are.
        len: usize,
        /// How many are accepted.
        limit: usize,
    },
    /// The peer answered with an error message; its text, lossily as UTF-8.
    #[error("the peer refused: {0}")]
    PeerRefused(String),
    /// The peer ended the stream without an answer, as a peer does that refuses without a reason.
    #[error("the peer closed the stream without an answer: its log says why")]
    ClosedWithoutAnswer,
    /// The peer answered, and we cannot accept what it sent.
    #[error("the peer's answer was refused")]
    UnacceptableAnswer(#[from] UnacceptableAnswer),
    /// A [hook](crate::Hooks::admit_merge) of our own application refused the peer's state, for
    /// the reason that it gave.
    #[error("our application refused the peer's state: {0}")]
    MergeRefused(String),
    /// We have left the cluster, or are leaving it.
    #[error("this member has left: start a new one to join again")]
    HasLeft,
    /// As many operations as are allowed are still under way.
    #[error("{limit} operations are still under way: try again in a moment")]
    TooManyOperations {
        /// How many.
        limit: usize,
    },
}

/// What is wrong with a peer's answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnacceptableAnswer {
    /// The bytes of the stream could not be decoded.
    #[error(transparent)]
    Decode(#[from] StreamDecodeError),
    /// The versions of the two sides do not fit.
    #[error(transparent)]
    Versions(#[from] VersionMismatch),
    /// The member we meant to reach does not occur in the state that it sent.
    #[error("{0} is not in the state it sent: is somebody else at its address?")]
    WrongMember(MemberName),
    /// A well-formed message of a kind that answers something else.
    #[error("it sent a message that answers another kind of request: is it a memberlist node?")]
    UnexpectedMessage,
}

/// Why the transport gave a stream up, or did not send a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum StreamFailure {
    /// One side refused the other's certificate, name, label or protocol.
    #[error("refused: the certificates, names and labels of both sides must fit, see the logs")]
    Refused,
    /// The deadline passed.
    #[error("no answer before the deadline")]
    TimedOut,
    /// The peer abandoned the stream.
    #[error("it abandoned the stream")]
    Reset,
    /// The peer proved to be somebody else.
    #[error("its certificate names somebody else")]
    PeerMismatch,
    /// The connection closed underneath.
    #[error("the connection closed")]
    Closed,
    /// There was no connection, and the dial failed.
    #[error(transparent)]
    NotConnected(DialFailure),
}

impl StreamFailure {
    /// Whether another try may end otherwise though nobody changes a setting, a certificate or a
    /// route.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::TimedOut | Self::Reset | Self::Closed => true,
            Self::Refused | Self::PeerMismatch => false,
            Self::NotConnected(failure) => match failure {
                DialFailure::NoAnswer
                | DialFailure::HandshakeUnfinished
                | DialFailure::Pausing
                | DialFailure::Ended
                | DialFailure::Kernel(_) => true,
                DialFailure::NotPermitted
                | DialFailure::NetworkUnreachable
                | DialFailure::HostUnreachable
                | DialFailure::AddressFamily => false,
            },
        }
    }
}

/// Why a dial brought no connection, where the peer did not refuse it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum DialFailure {
    /// Nothing came back.
    #[error("no answer: is it running there, and is UDP let through on the way?")]
    NoAnswer,
    /// The peer answered, and the handshake was not finished in time.
    #[error(
        "it answered and did not finish the handshake in time: it is overloaded, or packets of \
         1,200 bytes get lost on the way"
    )]
    HandshakeUnfinished,
    /// The dial before this one failed a moment ago, and the next one is not due yet.
    #[error("a dial failed a moment ago: try again in some seconds")]
    Pausing,
    /// The peer ended the dial, without saying that it refuses us.
    #[error("it ended the dial: its log says why")]
    Ended,
    /// This machine forbids sending to the address (EPERM).
    #[error("this machine forbids sending there (EPERM or EACCES): look at its firewall rules")]
    NotPermitted,
    /// This machine has no route to the network (ENETUNREACH).
    #[error("no route to that network (ENETUNREACH): look at this machine's routes")]
    NetworkUnreachable,
    /// This machine has no route to the host (EHOSTUNREACH).
    #[error("no route to that host (EHOSTUNREACH): look at this machine's routes")]
    HostUnreachable,
    /// The socket is an IPv4 one, and the address an IPv6 one.
    #[error("an IPv4 socket cannot send to an IPv6 address: bind to [::] instead")]
    AddressFamily,
    /// This machine refused to send, with this error number (errno).
    #[error("this machine refused to send there (errno {0})")]
    Kernel(i32),
}

/// Why a message or ping to one member was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendRefusal {
    /// Our table has no member of this name.
    #[error("no member is called {0}: see the members")]
    UnknownMember(MemberName),
    /// The member is dead or has left.
    #[error("{0} is not there: it is dead or has left")]
    NotAlive(MemberName),
    /// More bytes than a member accepts.
    #[error("a message of {len} bytes is too long: shorten it to {limit}")]
    TooLarge {
        /// How many bytes there are.
        len: usize,
        /// How many fit.
        limit: usize,
    },
    /// As many operations as are allowed are still under way.
    #[error("{limit} operations are still under way: try again in a moment")]
    TooManyOperations {
        /// How many.
        limit: usize,
    },
    /// We have left the cluster, or are leaving it.
    #[error("this member has left: start a new one")]
    HasLeft,
}

impl From<StreamFailure> for OperationError {
    fn from(failure: StreamFailure) -> Self {
        match failure {
            StreamFailure::TimedOut => Self::TimedOut,
            StreamFailure::Refused
            | StreamFailure::Reset
            | StreamFailure::PeerMismatch
            | StreamFailure::NotConnected(_)
            | StreamFailure::Closed => Self::Unreachable(failure),
        }
    }
}

impl From<SendRefusal> for OperationError {
    /// For a host that reports refusals and failures of an operation in one place.
    fn from(refusal: SendRefusal) -> Self {
        match refusal {
            SendRefusal::UnknownMember(name) => Self::UnknownMember(name),
            SendRefusal::NotAlive(name) => Self::NotAlive(name),
            SendRefusal::TooLarge { len, limit } => Self::TooLarge { len, limit },
            SendRefusal::TooManyOperations { limit } => Self::TooManyOperations { limit },
            SendRefusal::HasLeft => Self::HasLeft,
        }
    }
}

/// Why a broadcast was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BroadcastRefusal {
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
    /// As many as are allowed are still under way.
    #[error("{limit} broadcasts are still under way: try again in a moment")]
    QueueFull {
        /// How many.
        limit: usize,
    },
    /// We have left the cluster, or are leaving it.
    #[error("this member has left: start a new one")]
    HasLeft,
}

/// Why metadata was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetaRefusal {
    /// More than [`MAX_META`](crate::MAX_META) bytes.
    #[error("metadata of {len} bytes: shorten it to at most {limit}")]
    TooLarge {
        /// How many bytes there are.
        len: usize,
        /// How many a member may announce.
        limit: usize,
    },
    /// We have left the cluster, or are leaving it.
    #[error("this member has left: start a new one")]
    HasLeft,
}

/// Why an address is not announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdvertiseRefusal {
    /// Nobody can dial it: the IP address is a wildcard, or the port is 0.
    #[error("nobody can dial {0}: give an address of this machine, or of what stands before it")]
    NotDialable(SocketAddr),
    /// We have left the cluster, or are leaving it.
    #[error("this member has left: start a new one")]
    HasLeft,
}

impl AdvertiseRefusal {
    pub(crate) fn check(address: SocketAddr, is_leaving: bool) -> Result<(), Self> {
        if is_leaving {
            return Err(Self::HasLeft);
        }
        if address.ip().is_unspecified() || address.port() == 0 {
            return Err(Self::NotDialable(address));
        }
        Ok(())
    }
}

/// Why settings were not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReconfigureRefusal {
    /// A setting would not work, or may not change while a member runs.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// We have left the cluster, or are leaving it.
    #[error("this member has left: start a new one")]
    HasLeft,
}

/// Why an ack payload or a user state was refused: more bytes than a message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a payload of {len} bytes is too long: shorten it to {limit}")]
pub struct PayloadTooLarge {
    /// How many bytes there are.
    pub len: usize,
    /// How many are carried.
    pub limit: usize,
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;
    use crate::with_sources::with_sources;

    #[test]
    fn errors_name_cause_and_remedy() {
        let error = OperationError::Unreachable(StreamFailure::PeerMismatch);
        assert_eq!(
            with_sources(&error),
            "could not reach the peer: its certificate names somebody else"
        );
    }

    #[test]
    fn a_failure_keeps_its_source() {
        let unreachable = OperationError::Unreachable(StreamFailure::Reset);
        let source = unreachable.source().and_then(|source| source.downcast_ref());
        assert_eq!(source, Some(&StreamFailure::Reset));
        let undecodable =
            OperationError::UnacceptableAnswer(StreamDecodeError::Truncated { offset: 3 }.into());
        assert!(undecodable.source().is_some_and(|source| source.is::<UnacceptableAnswer>()));
    }

    #[test]
    fn a_local_refusal_does_not_read_as_the_peers() {
        let bob = MemberName::try_from("bob").unwrap();
        let refusal = OperationError::from(SendRefusal::UnknownMember(bob));
        assert_eq!(refusal.to_string(), "no member is called bob: see the members");
    }
}
