//! The failures of single operations: a packet, a stream, a read, a write, an endpoint.
//!
//! Only data and its wording; nothing is decided here.

use std::fmt;

use crate::limits::LimitsError;
use crate::reason::Refusal;

/// Why a packet was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SendFailure {
    /// The peer did not answer the dial in time.
    DialTimedOut,
    /// The dial failed or the connection broke before the packet was sent.
    Unreachable,
    /// A dial failed a moment ago; the next one has to wait.
    Backoff,
    /// One side refused the other's certificate, protocol or label.
    Refused(Refusal),
    /// The certificate at that address names someone else.
    NameMismatch,
    /// Too much was queued for the peer; older packets were dropped.
    QueueFull,
    /// The packet is longer than [`MAX_PACKET`](crate::MAX_PACKET).
    TooLarge,
    /// The peer does not speak the extended protocol that this packet needs.
    ClassicPeer,
    /// The endpoint is shutting down, or holds too many connections.
    Unavailable,
}

impl fmt::Display for SendFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DialTimedOut => formatter.write_str("the peer did not answer the dial in time"),
            Self::Unreachable => formatter.write_str("no connection to the peer"),
            Self::Backoff => formatter.write_str("a dial failed a moment ago, waiting"),
            Self::Refused(refusal) => write!(formatter, "refused: {refusal}"),
            Self::NameMismatch => {
                formatter.write_str("the certificate at this address names someone else")
            }
            Self::QueueFull => formatter.write_str("too much is queued for the peer"),
            Self::TooLarge => formatter.write_str("longer than 65536 bytes"),
            Self::ClassicPeer => formatter.write_str("the peer speaks the classic protocol only"),
            Self::Unavailable => formatter.write_str("the endpoint takes no new work"),
        }
    }
}

/// Why a stream is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StreamError {
    /// Its deadline passed.
    TimedOut,
    /// The dial failed.
    Unreachable,
    /// One side refused the other's certificate, protocol or label.
    Refused(Refusal),
    /// The certificate at that address names someone else.
    NameMismatch,
    /// The peer reset the stream, or stopped reading it, with this code.
    Reset(u64),
    /// The connection closed.
    Closed,
    /// The peer does not speak the extended protocol that a first byte `0xF5` or `0xF6` needs.
    ClassicPeer,
    /// The endpoint takes no new streams: shutting down or full.
    Unavailable,
}

impl fmt::Display for StreamError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => formatter.write_str("the deadline passed"),
            Self::Unreachable => formatter.write_str("no connection to the peer"),
            Self::Refused(refusal) => write!(formatter, "refused: {refusal}"),
            Self::NameMismatch => {
                formatter.write_str("the certificate at this address names someone else")
            }
            Self::Reset(code) => write!(formatter, "reset by the peer with code {code}"),
            Self::Closed => formatter.write_str("the connection closed"),
            Self::ClassicPeer => formatter.write_str("the peer speaks the classic protocol only"),
            Self::Unavailable => formatter.write_str("the endpoint takes no new streams"),
        }
    }
}

impl std::error::Error for StreamError {}

/// Why [`read`](crate::Endpoint::read) failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// The stream failed, was stopped, or never was.
    UnknownStream,
    /// The peer reset the stream with this code.
    Reset(u64),
}

impl fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownStream => formatter.write_str("no such stream"),
            Self::Reset(code) => write!(formatter, "reset by the peer with code {code}"),
        }
    }
}

impl std::error::Error for ReadError {}

/// Why [`write`](crate::Endpoint::write) failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// The stream failed, was stopped, or never was.
    UnknownStream,
    /// The stream was finished before.
    Finished,
}

impl fmt::Display for WriteError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::UnknownStream => "no such stream",
            Self::Finished => "the stream is finished already",
        })
    }
}

impl std::error::Error for WriteError {}

/// Why an endpoint could not be made or given a new TLS context.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointError {
    /// The TLS context or a transport setting was refused.
    Tls(String),
    /// A field of the configuration is out of range.
    Config(&'static str),
    /// A limit cannot work.
    Limits(LimitsError),
    /// The operating system gave no random bytes.
    Random,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(why) => write!(formatter, "the TLS context cannot be used for QUIC: {why}"),
            Self::Config(why) => write!(formatter, "bad endpoint configuration: {why}"),
            Self::Limits(error) => error.fmt(formatter),
            Self::Random => formatter.write_str("the operating system gave no random bytes"),
        }
    }
}

impl std::error::Error for EndpointError {}

impl From<LimitsError> for EndpointError {
    fn from(error: LimitsError) -> Self {
        Self::Limits(error)
    }
}
