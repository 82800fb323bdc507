//! Why seeds were not taken.

use thiserror::Error;

use super::CommandError;
use crate::address::AddressError;

/// Why seeds were not changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SeedsError {
    /// One is malformed.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// More than a member keeps (64).
    #[error("{count} seeds: give at most {limit}, or a name that leads to many addresses")]
    TooMany {
        /// How many there are.
        count: usize,
        /// How many a member keeps.
        limit: usize,
    },
    /// The driver thread did not take the command.
    #[error(transparent)]
    Command(#[from] CommandError),
}
