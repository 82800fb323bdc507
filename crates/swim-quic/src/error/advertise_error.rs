//! Why another address was not announced.

use std::net::SocketAddr;

use swim_core::AdvertiseRefusal;
use thiserror::Error;

use super::CommandError;
use super::start_error::AnnounceError;

/// Why an address is not announced.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AdvertiseError {
    /// Nobody can dial it: the IP address is a wildcard, or the port is 0.
    #[error("nobody can dial {0}: give an address of this machine, or of what stands before it")]
    NotDialable(SocketAddr),
    /// No address was found to announce.
    #[error(transparent)]
    Announce(#[from] AnnounceError),
    /// This member has left, or is leaving.
    #[error("this member has left: start a new one")]
    Left,
    /// The driver thread did not take the command.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl AdvertiseError {
    pub(crate) fn from_refusal(refusal: AdvertiseRefusal) -> Self {
        match refusal {
            AdvertiseRefusal::NotDialable(address) => Self::NotDialable(address),
            AdvertiseRefusal::HasLeft => Self::Left,
        }
    }
}
