//! Why a connection, a stream, or a datagram of an application failed.

use std::io;

use quic_net::{ReadError, SendFailure, StreamError, WriteError};
use swim_core::{MemberName, NameError};
use thiserror::Error;

use super::CommandError;

/// Why an application stream was not opened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenStreamError {
    /// The protocol's name is not 1 to 255 bytes long.
    #[error("a protocol name has 1 to 255 bytes: choose another")]
    Protocol,
    /// No member can have this name.
    #[error(transparent)]
    InvalidName(#[from] NameError),
    /// This member knows nobody of that name.
    #[error("no member is called {0}: look at members() for who is")]
    UnknownMember(MemberName),
    /// The member is known, and dead or has left.
    #[error("{0} is not there: it is dead or has left")]
    NotAlive(MemberName),
    /// The peer is a Go node, which has no application protocols.
    #[error("the peer is a Go node, which has no application streams: use messages")]
    PeerSpeaksGo,
    /// The transport gave the stream up before the peer had it.
    #[error("the peer could not be reached")]
    Unreachable(#[source] StreamError),
    /// The transport would not take the first bytes of the stream.
    #[error("the stream ended as it was opened")]
    Write(#[from] WriteError),
    /// The peer did not have the stream before the timeout.
    #[error("the peer did not have the stream in time: is it running and reachable?")]
    TimedOut,
    /// This member has left, or is leaving.
    #[error("this member has left: start a new one")]
    Left,
    /// The driver thread did not take the command.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl From<StreamError> for OpenStreamError {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::TimedOut => Self::TimedOut,
            StreamError::ClassicPeer => Self::PeerSpeaksGo,
            StreamError::Unreachable
            | StreamError::DialTimedOut
            | StreamError::HandshakeTimedOut
            | StreamError::Kernel(_)
            | StreamError::Refused(_)
            | StreamError::NameMismatch
            | StreamError::Reset(_)
            | StreamError::Closed
            | StreamError::Unavailable
            | StreamError::TokenInUse
            | _ => Self::Unreachable(error),
        }
    }
}

/// Why a protocol is not listened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The protocol's name is not 1 to 255 bytes long.
    #[error("a protocol name has 1 to 255 bytes: choose another")]
    Protocol,
    /// The driver thread did not take the command.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Why an application datagram was not sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendDatagramError {
    /// The protocol's name is not 1 to 255 bytes long.
    #[error("a protocol name has 1 to 255 bytes: choose another")]
    Protocol,
    /// No member can have this name.
    #[error(transparent)]
    InvalidName(#[from] NameError),
    /// This member knows nobody of that name.
    #[error("no member is called {0}: look at members() for who is")]
    UnknownMember(MemberName),
    /// The member is known, and dead or has left.
    #[error("{0} is not there: it is dead or has left")]
    NotAlive(MemberName),
    /// The peer is a Go node, which has no application protocols.
    #[error("the peer is a Go node, which has no application datagrams: use messages")]
    PeerSpeaksGo,
    /// More bytes than a packet carries beside the protocol's name.
    #[error("a datagram of {len} bytes is too long: shorten it to {limit}, or send a stream")]
    TooLarge {
        /// How many bytes there are.
        len: usize,
        /// How many fit.
        limit: usize,
    },
    /// This member has left, or is leaving.
    #[error("this member has left: start a new one")]
    Left,
    /// The driver thread did not take the command.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Why a read or a write of a [`Stream`](crate::Stream) failed: what the `io::Error` holds
/// ([`io::Error::get_ref`], or `source`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StreamIoError {
    /// The stream's own timeout passed ([`io::ErrorKind::TimedOut`]), or the thread is a driver's,
    /// where nothing waits; the stream goes on.
    #[error("the stream's peer did not keep up in time: try again, or allow more time")]
    TimedOut,
    /// The writing side was shut down before ([`io::ErrorKind::BrokenPipe`]).
    #[error("the writing side was shut down: open another stream to write more")]
    ShutDown,
    /// The transport gave the stream up ([`io::ErrorKind::ConnectionReset`]).
    #[error(transparent)]
    Failed(#[from] StreamError),
    /// The peer reset the stream while it was read ([`io::ErrorKind::ConnectionReset`]).
    #[error(transparent)]
    Read(#[from] ReadError),
    /// This member was closed or dropped ([`io::ErrorKind::ConnectionReset`]).
    #[error("the cluster was closed: start a new one")]
    Closed,
}

impl From<StreamIoError> for io::Error {
    fn from(error: StreamIoError) -> Self {
        let kind = match error {
            StreamIoError::TimedOut => io::ErrorKind::TimedOut,
            StreamIoError::ShutDown => io::ErrorKind::BrokenPipe,
            StreamIoError::Failed(_) | StreamIoError::Read(_) | StreamIoError::Closed => {
                io::ErrorKind::ConnectionReset
            }
        };
        Self::new(kind, error)
    }
}

/// Why connections to a member cannot be looked up or closed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// No member can have this name.
    #[error(transparent)]
    InvalidName(#[from] NameError),
    /// This member knows nobody of that name.
    #[error("no member is called {0}: look at members() for who is")]
    UnknownMember(MemberName),
    /// It is this member's own name.
    #[error("{0} is this member itself: name another one")]
    OwnName(MemberName),
    /// The driver thread did not take the command.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Why there is no connection to a member.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No member can have this name.
    #[error(transparent)]
    InvalidName(#[from] NameError),
    /// This member knows nobody of that name.
    #[error("no member is called {0}: look at members() for who is")]
    UnknownMember(MemberName),
    /// It is this member's own name.
    #[error("{0} is this member itself: name another one")]
    OwnName(MemberName),
    /// The dial failed.
    #[error("the member cannot be reached: is it running, and is its UDP port open?")]
    Unreachable(#[source] SendFailure),
    /// The connection was made, and was closed before it could be reported.
    #[error("the member closed the connection at once: its log says why")]
    Closed,
    /// Neither a connection nor a failure before the timeout of the call.
    #[error("no answer in time: is the member running and reachable?")]
    TimedOut,
    /// The driver thread did not take the command.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl From<ConnectionError> for ConnectError {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::InvalidName(error) => Self::InvalidName(error),
            ConnectionError::UnknownMember(name) => Self::UnknownMember(name),
            ConnectionError::OwnName(name) => Self::OwnName(name),
            ConnectionError::Command(error) => Self::Command(error),
        }
    }
}

/// Why a raw datagram was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RawError {
    /// It is empty, or begins like a QUIC packet.
    #[error("a raw datagram begins with a byte below 0x40: the others belong to QUIC")]
    FirstByte,
    /// It has more bytes than any path carries without fragments.
    #[error("a raw datagram of {len} bytes is too long: send at most {limit}")]
    TooLarge {
        /// How many bytes there are.
        len: usize,
        /// How many are sent.
        limit: usize,
    },
    /// Too many raw datagrams wait for the socket.
    #[error("too many datagrams wait to be sent: try again in a moment")]
    QueueFull,
    /// The driver thread did not take the command.
    #[error(transparent)]
    Command(#[from] CommandError),
}
