//! What an endpoint reports: peers, packets, streams, and every refusal with its reason.
//!
//! Only data and its wording; nothing is decided here.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// Something the application should know; drained with
/// [`poll_event`](crate::Endpoint::poll_event).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A peer is authenticated both ways and can be talked to.
    Connected {
        /// Who it is.
        peer: Arc<PeerIdentity>,
    },
    /// A connection that was reported as [`Connected`](Self::Connected) is gone. That proves
    /// nothing about the peer itself.
    Closed {
        /// Who it was.
        peer: Arc<PeerIdentity>,
        /// Why.
        reason: CloseReason,
    },
    /// A packet arrived, as a datagram or as a unidirectional stream.
    Packet {
        /// Who sent it.
        peer: Arc<PeerIdentity>,
        /// The payload; its first byte is neither `0xF5` nor `0xF6`.
        bytes: Vec<u8>,
    },
    /// An application packet: its first byte is `0xF5` (extended protocol only).
    ApplicationPacket {
        /// Who sent it.
        peer: Arc<PeerIdentity>,
        /// The whole payload, first byte included.
        bytes: Vec<u8>,
    },
    /// The peer opened a bidirectional stream and its first byte has arrived.
    StreamOpened {
        /// The stream; [`StreamReadable`](Self::StreamReadable) follows.
        stream: StreamHandle,
        /// Who opened it.
        peer: Arc<PeerIdentity>,
        /// Whether the first byte is `0xF5`: the stream belongs to an application protocol.
        application: bool,
    },
    /// There is something to read. Read until nothing comes any more, else no further event
    /// announces what is left.
    StreamReadable {
        /// The stream.
        stream: StreamHandle,
    },
    /// A stream of ours was opened at the peer, or a stream whose buffer was full takes more.
    StreamWritable {
        /// The stream.
        stream: StreamHandle,
    },
    /// The stream is gone; its handle is not valid any more.
    StreamFailed {
        /// The stream.
        stream: StreamHandle,
        /// Why.
        reason: StreamError,
    },
    /// At least one packet for this address was not sent.
    SendFailed {
        /// The address given to [`send_packet`](crate::Endpoint::send_packet).
        to: SocketAddr,
        /// Why.
        reason: SendFailure,
    },
    /// The largest packet that travels as one datagram to this peer was learnt or has changed.
    PacketLimit {
        /// The peer's address.
        to: SocketAddr,
        /// In bytes.
        limit: usize,
    },
    /// A peer was turned away, or turned us away, before it was authenticated.
    Refused {
        /// The other side's address.
        from: SocketAddr,
        /// Which kind of refusal.
        what: Refusal,
        /// Which side refused and why, for a log line.
        detail: String,
    },
    /// A datagram that is not QUIC arrived on the port (first byte below `0x40`).
    RawDatagram {
        /// Its sender, unauthenticated.
        from: SocketAddr,
        /// All of it.
        bytes: Vec<u8>,
    },
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// The remote UDP address, with IPv4-mapped addresses unmapped.
    pub address: SocketAddr,
    /// The names that its certificate proves; empty if names are not enforced.
    pub names: Vec<Vec<u8>>,
    /// SHA-256 of the leaf certificate (DER).
    pub fingerprint: [u8; 32],
    /// The protocol that was negotiated.
    pub protocol: Protocol,
    /// Whether we dialed; else the peer did.
    pub dialed: bool,
}

impl PeerIdentity {
    /// Whether the certificate proves `name`, or names are not enforced.
    pub fn is(&self, name: &[u8]) -> bool {
        self.names.is_empty() || self.names.iter().any(|own| own == name)
    }
}

/// The application protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// With HELLO, application packets and application streams.
    Extended,
    /// Packets and streams only.
    Classic,
}

/// One bidirectional stream of an endpoint; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamHandle(pub(crate) u64);

impl StreamHandle {
    /// The number behind the handle, unique within its endpoint.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// What [`read`](crate::Endpoint::read) found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// Bytes written to the buffer; 0 without `fin` means that nothing is there at the moment.
    pub bytes: usize,
    /// Whether the peer has finished and everything was read.
    pub fin: bool,
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The application asked for it.
    Requested,
    /// The endpoint shuts down.
    Shutdown,
    /// Nothing but keep-alives for [`idle_timeout`](crate::Limits::idle_timeout).
    Idle,
    /// Both sides had dialed; the other connection is kept.
    Duplicate,
    /// The peer came back with a new connection, or this one granted no stream in time.
    Superseded,
    /// Too old or too many packets for its keys.
    Recycled,
    /// The pool was full and this connection had been idle longest.
    Evicted,
    /// The peer carries another label.
    LabelMismatch,
    /// The peer's certificate was revoked.
    Revoked,
    /// The peer lost its state: a stateless reset arrived.
    Reset,
    /// Nothing arrived for the negotiated QUIC idle timeout.
    TimedOut,
    /// The peer closed it.
    ByPeer {
        /// Its application error code.
        code: u64,
        /// Its words.
        reason: String,
    },
    /// The certificate or the protocol was refused after the handshake.
    Refused(Refusal),
    /// A violation of QUIC by either side (transport error code).
    Violation(u64),
}

impl CloseReason {
    /// The application error code that tells the peer. Code 0 is what the classic protocol uses
    /// for every reason.
    pub(crate) fn code(&self) -> u64 {
        match self {
            Self::Idle => 0x10,
            Self::Duplicate => 0x11,
            Self::Superseded => 0x12,
            Self::Recycled => 0x13,
            Self::Evicted => 0x14,
            Self::LabelMismatch => LABEL_MISMATCH,
            Self::Revoked => 0x16,
            Self::Requested
            | Self::Shutdown
            | Self::Reset
            | Self::TimedOut
            | Self::ByPeer { .. }
            | Self::Refused(_)
            | Self::Violation(_) => 0,
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested => formatter.write_str("connection closed"),
            Self::Shutdown => formatter.write_str("transport shutdown"),
            Self::Idle => formatter.write_str("idle for too long"),
            Self::Duplicate => formatter.write_str("another connection to this peer is kept"),
            Self::Superseded => formatter.write_str("replaced by a newer connection"),
            Self::Recycled => formatter.write_str("max connection age exceeded"),
            Self::Evicted => formatter.write_str("connection pool is full"),
            Self::LabelMismatch => formatter.write_str("the labels differ"),
            Self::Revoked => formatter.write_str("the peer's certificate is revoked"),
            Self::Reset => formatter.write_str("the peer lost the connection's state"),
            Self::TimedOut => formatter.write_str("the peer fell silent"),
            Self::ByPeer { code, reason } if reason.is_empty() => {
                write!(formatter, "closed by the peer with code {code}")
            }
            Self::ByPeer { code, reason } => {
                write!(formatter, "closed by the peer with code {code}: {reason}")
            }
            Self::Refused(refusal) => write!(formatter, "refused: {refusal}"),
            Self::Violation(code) => write!(formatter, "QUIC error {code:#x}"),
        }
    }
}

/// Why a peer was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// It showed no certificate.
    NoCertificate,
    /// Its certificate was issued by an authority that is not trusted.
    UnknownAuthority,
    /// Its certificate is expired or not yet valid.
    Expired,
    /// Its certificate was revoked.
    Revoked,
    /// Its certificate is unfit: malformed, a wrong purpose, a bad signature.
    BadCertificate,
    /// No common application protocol.
    ProtocolMismatch,
    /// It carries another label.
    LabelMismatch,
    /// No common QUIC or TLS version.
    VersionMismatch,
    /// Too many connections or handshakes at once.
    TooMany,
    /// Any other failure of the handshake.
    Handshake,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoCertificate => "no client certificate was presented",
            Self::UnknownAuthority => "the certificate's authority is not trusted",
            Self::Expired => "the certificate is expired or not yet valid",
            Self::Revoked => "the certificate is revoked",
            Self::BadCertificate => "the certificate is unfit for this use",
            Self::ProtocolMismatch => "no common application protocol",
            Self::LabelMismatch => "the labels differ",
            Self::VersionMismatch => "no common QUIC or TLS version",
            Self::TooMany => "too many connections",
            Self::Handshake => "the handshake failed",
        })
    }
}

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
    /// The operating system gave no random bytes.
    Random,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(why) => write!(formatter, "the TLS context cannot be used for QUIC: {why}"),
            Self::Config(why) => write!(formatter, "bad endpoint configuration: {why}"),
            Self::Random => formatter.write_str("the operating system gave no random bytes"),
        }
    }
}

impl std::error::Error for EndpointError {}

/// The application error code of a label mismatch.
pub(crate) const LABEL_MISMATCH: u64 = 0x15;
