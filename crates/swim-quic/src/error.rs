//! One small error per operation.
//!
//! Each message names the cause and the remedy on one line. Nothing is decided here.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use quic_net::{LimitsError, StreamError};
use swim_core::{ConfigError, MemberName};

use crate::address::AddressError;

/// Why a cluster could not be started. Nothing is left running.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The member's own name is not 1 to 255 bytes of UTF-8.
    Name(String),
    /// A bind, advertise or seed address is malformed.
    Address(AddressError),
    /// The bind address is not `IP:PORT`.
    Bind(String),
    /// No identity was given.
    NoIdentity,
    /// The certificate proves other names than the member's.
    NameNotInCertificate {
        /// The name asked for.
        name: String,
        /// What the certificate proves.
        proven: Vec<String>,
    },
    /// The configuration is not usable.
    Config(ConfigError),
    /// A limit of the transport cannot work.
    Limits(LimitsError),
    /// No address to announce could be derived from a wildcard bind.
    NoAdvertiseAddress(String),
    /// The TLS context could not be made from the identity.
    Tls(String),
    /// The socket could not be bound.
    Socket {
        /// Where.
        address: SocketAddr,
        /// What the operating system said.
        error: io::Error,
    },
    /// The driver thread is gone or could not be started.
    Driver(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => {
                write!(f, "member name {name:?} is not usable: give 1 to 255 bytes")
            }
            Self::Address(error) => error.fmt(f),
            Self::Bind(text) => write!(
                f,
                "cannot bind to {text:?}: give IP:PORT, such as 0.0.0.0:7946 or [::]:7946"
            ),
            Self::NoIdentity => {
                write!(f, "no identity was given: give every member a certificate with identity()")
            }
            Self::NameNotInCertificate { name, proven } => write!(
                f,
                "the certificate is for {}, not for {name:?}: issue one for this name, or use the \
                 name policy `any`",
                if proven.is_empty() { "nobody".to_owned() } else { proven.join(", ") }
            ),
            Self::Config(error) => error.fmt(f),
            Self::Limits(error) => error.fmt(f),
            Self::NoAdvertiseAddress(reason) => write!(
                f,
                "cannot tell which address to announce: {reason}; give one with --advertise \
                 IP:PORT (Builder::advertise)"
            ),
            Self::Tls(reason) => write!(f, "the identity cannot be used for TLS: {reason}"),
            Self::Socket { address, error } if error.kind() == io::ErrorKind::AddrInUse => write!(
                f,
                "port taken: another process listens on {address}; stop it or bind another port \
                 (port 0 takes a free one)"
            ),
            Self::Socket { address, error } => write!(
                f,
                "cannot bind to {address}: {error}; use an address of this machine and a port you \
                 may open"
            ),
            Self::Driver(reason) => write!(f, "the driver thread is not running: {reason}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<AddressError> for StartError {
    fn from(error: AddressError) -> Self {
        Self::Address(error)
    }
}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<LimitsError> for StartError {
    fn from(error: LimitsError) -> Self {
        Self::Limits(error)
    }
}

/// Why a command did not reach the driver thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError {
    /// The command queue is full: the caller is faster than the cluster. Try again later.
    Busy,
    /// The cluster was closed, or its driver thread ended.
    Closed,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "the command queue is full: wait a moment and try again",
            Self::Closed => "the cluster is closed: start a new one",
        })
    }
}

impl std::error::Error for CommandError {}

/// Why one address could not be joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinFailure {
    /// The address as given.
    pub address: String,
    /// Why, in a sentence.
    pub error: String,
}

/// Why a join brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinError {
    /// An address is malformed; nothing was tried.
    Address(AddressError),
    /// No address was given.
    NoAddress,
    /// None of the addresses answered as a member in time.
    NobodyAnswered(Vec<JoinFailure>),
    /// The cluster did not take the command.
    Command(CommandError),
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => error.fmt(f),
            Self::NoAddress => write!(f, "no address to join was given: name at least one"),
            Self::NobodyAnswered(failures) => {
                write!(f, "nobody could be joined:")?;
                for failure in failures {
                    write!(f, " {}: {};", failure.address, failure.error)?;
                }
                write!(f, " check that these members run and trust the same authority")
            }
            Self::Command(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for JoinError {}

/// Why a leave is not known to have reached anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaveError {
    /// Too few peers had it in time; the announcement is still being gossiped.
    TimedOut,
    /// The cluster did not take the command.
    Command(CommandError),
}

impl fmt::Display for LeaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => {
                write!(f, "too few peers took the leave in time: others will see a failure instead")
            }
            Self::Command(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LeaveError {}

/// Why metadata was not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetMetaError {
    /// The machine refused it: too long, or already left.
    Refused(String),
    /// The cluster did not take the command.
    Command(CommandError),
}

impl fmt::Display for SetMetaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => f.write_str(reason),
            Self::Command(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SetMetaError {}

/// Why the ring of keys was not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeysError {
    /// The ring refused it: full, or without the key, or the key is the one that seals.
    Refused(String),
    /// The cluster did not take the command.
    Command(CommandError),
}

impl fmt::Display for KeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => f.write_str(reason),
            Self::Command(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for KeysError {}

/// Why a message was not sent, or is not known to have arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// No live member has this name.
    Unknown(MemberName),
    /// The machine refused it: too large, or we have left.
    Refused(String),
    /// The exchange failed after it had begun.
    Failed(String),
    /// Not confirmed in time; it may still arrive.
    TimedOut,
    /// The cluster did not take the command.
    Command(CommandError),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => {
                write!(f, "no live member is called {name}: look at members() for who is")
            }
            Self::Refused(reason) | Self::Failed(reason) => f.write_str(reason),
            Self::TimedOut => write!(f, "not confirmed in time: it may still arrive"),
            Self::Command(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SendError {}

/// Why an application stream was not opened, or a datagram not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenStreamError {
    /// The protocol name is not 1 to 255 bytes long.
    Protocol,
    /// No live member has this name.
    Unknown(MemberName),
    /// The peer is a Go node: it has no application protocols, and is not bothered with them.
    PeerSpeaksGo,
    /// The peer could not be reached, with the reason.
    Unreachable(String),
    /// The payload does not fit.
    TooLarge(String),
    /// The peer did not have the stream in time.
    TimedOut,
    /// The cluster did not take the command.
    Command(CommandError),
}

impl OpenStreamError {
    pub(crate) fn from_stream(error: &StreamError) -> Self {
        match error {
            StreamError::TimedOut => Self::TimedOut,
            StreamError::ClassicPeer => Self::PeerSpeaksGo,
            StreamError::Unreachable
            | StreamError::Refused(_)
            | StreamError::NameMismatch
            | StreamError::Reset(_)
            | StreamError::Closed
            | StreamError::Unavailable
            | _ => Self::Unreachable(error.to_string()),
        }
    }
}

impl fmt::Display for OpenStreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol => write!(f, "a protocol name has 1 to 255 bytes: choose another"),
            Self::Unknown(name) => {
                write!(f, "no live member is called {name}: look at members() for who is")
            }
            Self::PeerSpeaksGo => {
                write!(f, "the peer is a Go node, which has no application streams: use messages")
            }
            Self::Unreachable(reason) => write!(f, "the peer could not be reached: {reason}"),
            Self::TooLarge(reason) => f.write_str(reason),
            Self::TimedOut => write!(f, "the peer did not have the stream in time"),
            Self::Command(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenStreamError {}

/// Why a ping brought no round-trip time.
pub type PingError = SendError;

macro_rules! from_command_error {
    ($($error:ty),+) => {$(
        impl From<CommandError> for $error {
            fn from(error: CommandError) -> Self {
                Self::Command(error)
            }
        }
    )+};
}
from_command_error!(JoinError, LeaveError, SetMetaError, KeysError, SendError, OpenStreamError);
