//! Who brought a message, as far as claims about members are concerned.

use std::net::SocketAddr;

use crate::member::Peer;
use crate::payer::Payer;
use crate::verdict::Proof;

/// Who brought a message.
#[derive(Clone, Copy)]
pub(crate) enum Bearer<'a> {
    /// Whoever is at the other end of the connection.
    Peer(&'a Peer),
    /// Whoever answered our exchange at this address; the transport does not say who proved what.
    Answer(SocketAddr),
}

impl Bearer<'_> {
    pub(crate) fn address(self) -> SocketAddr {
        match self {
            Self::Peer(peer) => peer.address,
            Self::Answer(address) => address,
        }
    }

    /// Who pays for what it brings.
    pub(crate) fn payer(self) -> Payer {
        match self {
            Self::Peer(peer) => Payer::of(peer),
            Self::Answer(address) => Payer::Address(address),
        }
    }

    /// How it stands for a claim about `node`, in a cluster where names are proven or not.
    pub(crate) fn proof_of(self, node: &[u8], names_are_proven: bool) -> Proof {
        match self {
            Self::Peer(peer) if peer.names.is_empty() => Proof::Unverified,
            Self::Peer(peer) if peer.speaks_for_bytes(node) => Proof::Proven,
            Self::Answer(_) if !names_are_proven => Proof::Unverified,
            Self::Peer(_) | Self::Answer(_) => Proof::Hearsay,
        }
    }
}
