//! Who pays for what is done on a peer's behalf, and how much of it one may have.
//!
//! Whatever a peer makes us spend (pings passed on, streams, answers that it does not read) has a
//! share for each payer, so that one member uses up nothing that others need.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::member::Peer;
use crate::member_name::MemberName;

/// The most shares of one certificate, however many names it holds.
const MAX_SHARES: usize = 16;

/// Whoever a certificate names, over all its connections; an address where names are not proven.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Payer {
    Names(Arc<[MemberName]>),
    Address(SocketAddr),
}

impl Payer {
    pub(crate) fn of(peer: &Peer) -> Self {
        if peer.names.is_empty() {
            Self::Address(peer.address)
        } else {
            Self::Names(Arc::clone(&peer.names))
        }
    }

    /// How many members may be behind it: one for each name that it proves.
    pub(crate) fn shares(&self) -> usize {
        match self {
            Self::Names(names) => names.len().clamp(1, MAX_SHARES),
            Self::Address(_) => 1,
        }
    }
}
