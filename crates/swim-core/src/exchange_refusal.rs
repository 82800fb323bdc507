//! What the refusal of an exchange, or of a reliable message, means to who began it.

use std::net::SocketAddr;

use crate::error::{OperationError, UnacceptableAnswer};
use crate::member_name::printable;
use crate::wire::{ErrorMessage, StreamMessage};

/// What an exchange is answered that we ourselves began.
pub(crate) const LEADS_BACK: &str = "this address leads back to the member that joins";

/// Why a peer at this address refused an exchange.
pub(crate) fn refusal_in(error: &ErrorMessage<'_>, address: SocketAddr) -> OperationError {
    if error.error == LEADS_BACK.as_bytes() {
        return OperationError::LeadsToOurselves(address);
    }
    refusal_text(error)
}

/// A refusal in the peer's own words.
fn refusal_text(error: &ErrorMessage<'_>) -> OperationError {
    OperationError::PeerRefused(printable(error.error))
}

/// Why a reliable message was not taken that was answered at all.
pub(crate) fn message_refusal(answer: &StreamMessage<'_>) -> OperationError {
    match answer {
        StreamMessage::Error(error) => refusal_text(error),
        StreamMessage::Ping(_)
        | StreamMessage::Ack(_)
        | StreamMessage::PushPull(_)
        | StreamMessage::User(_) => UnacceptableAnswer::UnexpectedMessage.into(),
    }
}
