//! Datagrams that overtook the handshake of their connection.
//!
//! quiche would drop them for want of keys, and nobody sends a datagram twice. Whoever sent them
//! has proved nothing yet, so that they have a total of their own in the endpoint:
//! [`Limits::undecryptable_buffer`](crate::Limits::undecryptable_buffer).

use crate::endpoint_context::EndpointContext;

/// At most [`MOST`] datagrams of at most [`LONGEST`] bytes, oldest first.
#[derive(Debug, Default)]
pub(crate) struct UndecryptableDatagrams {
    datagrams: Vec<Vec<u8>>,
}

impl UndecryptableDatagrams {
    /// Keeps a datagram, or drops it at a bound, which RFC 9001 section 5.7 allows.
    pub(crate) fn keep(&mut self, context: &mut EndpointContext, bytes: &[u8]) {
        let is_within_share = self.datagrams.len() < MOST && bytes.len() <= LONGEST;
        if is_within_share && context.admit_undecryptable(bytes.len()) {
            self.datagrams.push(bytes.to_vec());
        } else {
            context.count().undecryptable_drops += 1;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// What was kept.
    pub(crate) fn take(&mut self, context: &mut EndpointContext) -> Vec<Vec<u8>> {
        let datagrams = std::mem::take(&mut self.datagrams);
        context.release_undecryptable(datagrams.iter().map(Vec::len).sum());
        datagrams
    }
}

/// A peer whose handshake was overtaken has sent few packets yet.
const MOST: usize = 8;
/// Room for any datagram of ours, in bytes.
const LONGEST: usize = 1500;
