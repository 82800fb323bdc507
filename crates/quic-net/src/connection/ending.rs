//! How a connection came to its end, and what that means for those who wait.

use super::handshake::ConnectionPhase;
use crate::error::{SendFailure, StreamError};
use crate::kernel_refusal::KernelRefusal;
use crate::reason::{CloseReason, EXPIRED, LABEL_MISMATCH, REVOKED, Refusal, WRONG_NAME};
use crate::tls;

/// How a connection came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The peer did not finish the handshake, or sent no HELLO, in time.
    HandshakeTimedOut,
    /// The peer sent nothing in time.
    DialTimedOut,
    /// The kernel refuses to send the dial.
    Kernel(KernelRefusal),
    /// For this reason.
    Closed(CloseReason),
}

impl Ending {
    /// What quiche says, if the connection is over.
    pub(crate) fn of(quic: &quiche::Connection) -> Option<Self> {
        let reason = if let Some(error) = quic.peer_error() {
            closed_by_peer(error)
        } else if let Some(error) = quic.local_error() {
            match tls::refusal(error.error_code).filter(|_| !error.is_app) {
                Some(refusal) => CloseReason::Refused(refusal),
                None => CloseReason::Violation(error.error_code),
            }
        } else if quic.is_timed_out() {
            CloseReason::TimedOut
        } else if quic.is_closed() || quic.is_draining() {
            CloseReason::Reset
        } else {
            return None;
        };
        Some(Self::Closed(reason))
    }

    /// Why, in the words of an event.
    pub(crate) fn reason(&self) -> CloseReason {
        match self {
            Self::HandshakeTimedOut | Self::DialTimedOut | Self::Kernel(_) => CloseReason::TimedOut,
            Self::Closed(reason) => reason.clone(),
        }
    }

    /// What this end means for streams and packets of a connection that had come to `phase`.
    pub(crate) fn failures(&self, phase: ConnectionPhase) -> (StreamError, SendFailure) {
        match self {
            Self::HandshakeTimedOut => {
                (StreamError::HandshakeTimedOut, SendFailure::HandshakeTimedOut)
            }
            Self::DialTimedOut => (StreamError::DialTimedOut, SendFailure::DialTimedOut),
            Self::Kernel(refusal) => (StreamError::Kernel(*refusal), SendFailure::Kernel(*refusal)),
            Self::Closed(CloseReason::Refused(refusal)) => {
                (StreamError::Refused(*refusal), SendFailure::Refused(*refusal))
            }
            Self::Closed(CloseReason::Revoked) => {
                (StreamError::Refused(Refusal::Revoked), SendFailure::Refused(Refusal::Revoked))
            }
            Self::Closed(CloseReason::Expired) => {
                (StreamError::Refused(Refusal::Expired), SendFailure::Refused(Refusal::Expired))
            }
            Self::Closed(CloseReason::LabelMismatch) => (
                StreamError::Refused(Refusal::LabelMismatch),
                SendFailure::Refused(Refusal::LabelMismatch),
            ),
            Self::Closed(_) if phase == ConnectionPhase::Handshaking => {
                (StreamError::Unreachable, SendFailure::Unreachable)
            }
            Self::Closed(_) => (StreamError::Closed, SendFailure::Unreachable),
        }
    }
}

fn closed_by_peer(error: &quiche::ConnectionError) -> CloseReason {
    match (error.is_app, tls::refusal(error.error_code)) {
        (true, _) if error.error_code == LABEL_MISMATCH => CloseReason::LabelMismatch,
        (true, _) if error.error_code == REVOKED => CloseReason::Revoked,
        (true, _) if error.error_code == EXPIRED => CloseReason::Expired,
        (true, _) if error.error_code == WRONG_NAME => CloseReason::Refused(Refusal::WrongName),
        (false, Some(refusal)) => CloseReason::Refused(refusal),
        (false, None) if error.error_code != 0 && error.error_code != APPLICATION_ERROR => {
            CloseReason::Violation(error.error_code)
        }
        (true | false, _) => {
            CloseReason::ByPeer { code: error.error_code, reason: printable(&error.reason) }
        }
    }
}

/// RFC 9000 section 20.1, APPLICATION_ERROR: an application close during the handshake.
const APPLICATION_ERROR: u64 = 0x0C;

/// What a peer gives as its reason, fit to be printed: no control characters.
fn printable(reason: &[u8]) -> String {
    String::from_utf8_lossy(reason).replace(char::is_control, "\u{fffd}")
}
