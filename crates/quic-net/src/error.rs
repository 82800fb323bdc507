//! What can fail, one error for each operation: to send a packet, to keep a stream, to read, to
//! write, to make an endpoint.

use thiserror::Error;

use crate::kernel_refusal::KernelRefusal;
use crate::limits::{LimitsError, MAX_PACKET};
use crate::reason::Refusal;

/// Why a packet was not sent, or a dial brought no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
#[non_exhaustive]
pub enum SendFailure {
    /// The peer did not finish the handshake within
    /// [`dial_timeout`](crate::Limits::dial_timeout).
    #[error("the peer did not answer the dial in time: is it running, and is UDP let through?")]
    DialTimedOut,
    /// The peer answered, and did not finish the handshake within
    /// [`dial_timeout`](crate::Limits::dial_timeout).
    #[error(
        "the peer answered and did not finish the handshake in time: it is overloaded, or packets \
         of 1,200 bytes get lost on the way"
    )]
    HandshakeTimedOut,
    /// This machine's kernel refused to send the dial.
    #[error(transparent)]
    Kernel(KernelRefusal),
    /// The dial failed or the connection broke before the packet was sent, or the packet missed
    /// [`packet_stream_timeout`](crate::Limits::packet_stream_timeout).
    #[error("no connection to the peer: send again, which dials it")]
    Unreachable,
    /// A dial failed less than [`dial_backoff`](crate::Limits::dial_backoff) ago.
    #[error("a dial failed a moment ago: send again after the pause")]
    Backoff,
    /// One side refused the other's certificate, protocol or label.
    #[error("refused")]
    Refused(#[source] Refusal),
    /// The certificate at that address proves other names than the expected one.
    #[error("the certificate at this address names someone else: check who listens there")]
    NameMismatch,
    /// The packet is longer than [`MAX_PACKET`].
    #[error("longer than {MAX_PACKET} bytes: use a stream")]
    TooLarge,
    /// The peer does not speak the extended protocol, which a first byte `0xF5` or `0xF6` needs.
    #[error("the peer speaks the classic protocol only: send it no application packets")]
    ClassicPeer,
    /// The endpoint is shutting down, or every connection that it may hold is in use.
    #[error("the endpoint takes no new work: it shuts down, or all its connections are in use")]
    Unavailable,
}

/// Why a stream is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
#[non_exhaustive]
pub enum StreamError {
    /// It was not over by its deadline.
    #[error("the deadline passed: try again, or give it more time")]
    TimedOut,
    /// The peer did not answer the dial within [`dial_timeout`](crate::Limits::dial_timeout).
    #[error("the peer did not answer the dial in time: is it running, and is UDP let through?")]
    DialTimedOut,
    /// The peer answered, and did not finish the handshake within
    /// [`dial_timeout`](crate::Limits::dial_timeout).
    #[error(
        "the peer answered and did not finish the handshake in time: it is overloaded, or packets \
         of 1,200 bytes get lost on the way"
    )]
    HandshakeTimedOut,
    /// This machine's kernel refused to send the dial.
    #[error(transparent)]
    Kernel(KernelRefusal),
    /// The dial failed for another reason: the peer closed it, or there was a QUIC error.
    #[error("the peer ended the dial: its log says why")]
    Unreachable,
    /// One side refused the other's certificate, protocol or label.
    #[error("refused")]
    Refused(#[source] Refusal),
    /// The certificate at that address proves other names than the expected one.
    #[error("the certificate at this address names someone else: check who listens there")]
    NameMismatch,
    /// The peer reset the stream, or stopped reading it, with this application error code.
    #[error("reset by the peer with code {0}")]
    Reset(u64),
    /// The connection closed.
    #[error("the connection closed: open another stream, which dials the peer")]
    Closed,
    /// The peer does not speak the extended protocol, which a first byte `0xF5` or `0xF6` needs.
    #[error("the peer speaks the classic protocol only: open no application streams to it")]
    ClassicPeer,
    /// The endpoint is shutting down, or every connection that it may hold is in use.
    #[error("the endpoint takes no new streams: it shuts down, or all its connections are in use")]
    Unavailable,
    /// The token given to [`open_stream`](crate::Endpoint::open_stream) names a stream already,
    /// or is one of those that the endpoint mints. The stream that had it is not affected.
    #[error("the token of the new stream is in use: give each stream a token of its own")]
    TokenInUse,
}

/// Why [`read`](crate::Endpoint::read) failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The stream failed, was stopped, or never was.
    #[error("no such stream: it failed, was stopped, or never was")]
    UnknownStream,
    /// The peer reset the stream with this application error code.
    #[error("reset by the peer with code {0}")]
    Reset(u64),
}

/// Why [`write`](crate::Endpoint::write) failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The stream failed, was stopped, or never was.
    #[error("no such stream: it failed, was stopped, or never was")]
    UnknownStream,
    /// Our side of the stream was finished before.
    #[error("the stream is finished already: open another one")]
    Finished,
}

/// What quiche said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(transparent)]
pub struct QuicError(quiche::Error);

impl QuicError {
    // No `From`: it would be a part of the public API, and quiche's types are none.
    pub(crate) fn of(error: quiche::Error) -> Self {
        Self(error)
    }
}

/// Why an endpoint could not be made or given a new TLS context.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// quiche did not take the TLS context or the ALPN tokens.
    #[error("the TLS context cannot be used for QUIC: it must be a TLS 1.3 context")]
    Tls(#[source] QuicError),
    /// The endpoint's name is too long for HELLO.
    #[error("the endpoint's name has {0} bytes: use at most 255")]
    NameTooLong(usize),
    /// The label is too long for HELLO.
    #[error("the label has {0} bytes: use at most 255")]
    LabelTooLong(usize),
    /// The features are too long for HELLO.
    #[error("the endpoint's features have {0} bytes: use at most 32")]
    FeaturesTooLong(usize),
    /// An ALPN token has a length that TLS cannot express (RFC 7301 section 3.1).
    #[error("an ALPN token has {0} bytes: use 1 to 255")]
    ProtocolLength(usize),
    /// A limit cannot work.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: let this process read /dev/urandom")]
    Random,
}
