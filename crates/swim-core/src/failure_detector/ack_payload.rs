//! What the application adds to our acks.

use super::FailureDetector;

impl FailureDetector {
    /// What the application adds to our acks, if anything.
    pub(crate) fn ack_payload(&self) -> Option<&[u8]> {
        (!self.ack_payload.is_empty()).then_some(&self.ack_payload)
    }

    pub(crate) fn set_ack_payload(&mut self, payload: Vec<u8>) {
        self.ack_payload = payload;
    }
}
