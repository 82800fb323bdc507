//! Why connections end and why peers are turned away, in words and in codes.

use std::error::Error;
use std::fmt;

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
    /// The peer came back with a new connection, or granted no stream within
    /// [`credit_timeout`](crate::Limits::credit_timeout).
    Superseded,
    /// Older than [`max_connection_age`](crate::Limits::max_connection_age), or its keys have
    /// encrypted as many packets as they may.
    Recycled,
    /// There were too many connections, in all, idle, or of one certificate, and this one had been
    /// idle longest.
    Evicted,
    /// The peer carries another label.
    LabelMismatch,
    /// The peer's certificate was revoked, see [`close_where`](crate::Endpoint::close_where), or
    /// the peer says that ours was.
    Revoked,
    /// A certificate with which it was made has ended, the peer's or ours; see
    /// [`close_expired`](crate::Endpoint::close_expired).
    Expired,
    /// The peer lost its state: a stateless reset arrived.
    Reset,
    /// Nothing arrived for the negotiated QUIC idle timeout, or the handshake took longer than
    /// [`dial_timeout`](crate::Limits::dial_timeout).
    TimedOut,
    /// The peer closed it.
    ByPeer {
        /// Its application error code: 0x10 to 0x18 from peers of our kind, 0 from others.
        code: u64,
        /// The reason phrase that it sent, unchecked: quote it before it is shown.
        reason: String,
    },
    /// The certificate or the protocol was refused after the handshake.
    Refused(Refusal),
    /// The peer sent streams in more pieces than
    /// [`stream_pieces`](crate::Limits::stream_pieces).
    TooManyPieces,
    /// A violation of QUIC by either side, with the transport error code of RFC 9000 section 20.1.
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
            Self::Revoked => REVOKED,
            Self::Expired => EXPIRED,
            Self::Requested
            | Self::Shutdown
            | Self::Reset
            | Self::TimedOut
            | Self::ByPeer { .. }
            | Self::TooManyPieces
            | Self::Violation(_) => 0,
            Self::Refused(Refusal::WrongName) => WRONG_NAME,
            Self::Refused(_) => 0,
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
            Self::Revoked => formatter.write_str("the certificate is revoked"),
            Self::Expired => formatter.write_str("a certificate of the connection has expired"),
            Self::Reset => formatter.write_str("the peer lost the connection's state"),
            Self::TimedOut => formatter.write_str("the peer fell silent"),
            Self::TooManyPieces => formatter.write_str("the peer sent streams in too many pieces"),
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

/// Why a peer was turned away, or turned us away.
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
    /// It calls itself by a name that its certificate does not hold.
    WrongName,
    /// No common QUIC or TLS version.
    VersionMismatch,
    /// Too many connections or handshakes at once: [`connections`](crate::Limits::connections),
    /// [`half_open`](crate::Limits::half_open).
    TooMany,
    /// Any other failure of the handshake.
    Handshake,
}

impl Refusal {
    /// A short name, stable for logs, metrics and alerts.
    ///
    /// ```
    /// # use quic_net::Refusal;
    /// assert_eq!(Refusal::Expired.name(), "expired certificate");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Self::NoCertificate => "no certificate",
            Self::UnknownAuthority => "unknown authority",
            Self::Expired => "expired certificate",
            Self::Revoked => "revoked certificate",
            Self::BadCertificate => "bad certificate",
            Self::ProtocolMismatch => "protocol mismatch",
            Self::LabelMismatch => "wrong label",
            Self::WrongName => "wrong name",
            Self::VersionMismatch => "version mismatch",
            Self::TooMany => "too many connections",
            Self::Handshake => "handshake failed",
        }
    }
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
            Self::WrongName => "the certificate does not hold the name in HELLO",
            Self::VersionMismatch => "no common QUIC or TLS version",
            Self::TooMany => "too many connections",
            Self::Handshake => "the handshake failed",
        })
    }
}

impl Error for Refusal {}

/// The application error code of a label mismatch.
pub(crate) const LABEL_MISMATCH: u64 = 0x15;
/// The application error code of a certificate that was revoked.
pub(crate) const REVOKED: u64 = 0x16;
/// The application error code of a certificate that has ended. Only peers of our kind are sent it.
pub(crate) const EXPIRED: u64 = 0x18;
/// The application error code of a name that the certificate does not hold.
pub(crate) const WRONG_NAME: u64 = 0x17;
