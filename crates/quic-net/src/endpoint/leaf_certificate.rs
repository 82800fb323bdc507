//! What a peer's certificate is.

use super::Endpoint;
use crate::event::PeerIdentity;

impl Endpoint {
    /// The leaf certificate (DER) that a peer has shown, while one of its connections with that
    /// certificate is there.
    pub fn leaf_certificate(&self, peer: &PeerIdentity) -> Option<&[u8]> {
        let connections = self.pool.at(peer.address).iter().filter_map(|key| self.pool.get(*key));
        let mut its = connections.filter(|connection| {
            connection.peer().is_some_and(|held| held.fingerprint == peer.fingerprint)
        });
        its.next()?.leaf_certificate()
    }
}
