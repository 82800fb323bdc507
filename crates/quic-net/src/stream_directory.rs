//! Which connection has which stream, by token.

use std::collections::HashMap;

use crate::connection_key::ConnectionKey;
use crate::stream_slab::StreamSlot;
use crate::stream_token::StreamToken;

/// Where a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamLocation {
    pub(crate) connection: ConnectionKey,
    pub(crate) slot: StreamSlot,
}

/// The streams of an endpoint that the application may still use. Bounded by what the connections
/// hold.
#[derive(Default)]
pub(crate) struct StreamDirectory {
    locations: HashMap<StreamToken, StreamLocation>,
    /// Tokens minted so far.
    minted: u64,
}

impl StreamDirectory {
    /// A token for a stream that a peer opened.
    pub(crate) fn mint(&mut self) -> StreamToken {
        let token = StreamToken::from_peer(self.minted);
        self.minted += 1;
        token
    }

    /// Notes where a stream is, or has moved to.
    pub(crate) fn place(&mut self, token: StreamToken, location: StreamLocation) {
        self.locations.insert(token, location);
    }

    pub(crate) fn locate(&self, token: StreamToken) -> Option<StreamLocation> {
        self.locations.get(&token).copied()
    }

    /// Forgets a stream; whether it was known.
    pub(crate) fn remove(&mut self, token: StreamToken) -> bool {
        self.locations.remove(&token).is_some()
    }
}
