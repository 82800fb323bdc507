//! Why a certificate was not taken into use, or not revoked.

use certs::{ContextError, IdentityError, NameReading};
use quic_net::EndpointError;
use thiserror::Error;

use super::CommandError;
use super::start_error::listed;

/// Why another identity was not taken into use: the former one stays, with its connections.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RotateError {
    /// The certificate proves other names than the member's.
    #[error(
        "the new certificate is for {}, not for {name:?} ({reading}), so the former one stays: \
         issue one for this name",
        listed(.reading.proven())
    )]
    NameNotInCertificate {
        /// The member's name.
        name: String,
        /// What the certificate holds and proves.
        reading: Box<NameReading>,
    },
    /// The identity is one for development, and the member was not started with one.
    #[error(
        "the new identity is for development only, so the former one stays: issue one with an \
         authority of your own"
    )]
    DevelopmentIdentity,
    /// The certificate has ended since it was loaded.
    #[error("the new certificate has expired, so the former one stays: issue a new one")]
    Expired,
    /// What is revoked already and what the new trust revokes is more than one trust holds.
    #[error(
        "more than {limit} certificates would be revoked: start a new authority and reissue the \
         members that stay"
    )]
    TooManyRevoked {
        /// How many there may be.
        limit: usize,
    },
    /// The TLS context could not be made from the identity.
    #[error(transparent)]
    Tls(#[from] ContextError),
    /// The QUIC endpoint did not take the TLS context.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The driver thread did not take the command.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl RotateError {
    pub(crate) fn from_refusal(error: certs::RevokeError) -> Self {
        Self::TooManyRevoked { limit: limit_of(error) }
    }
}

/// Why what is in the files of an identity was not taken into use: the former one stays.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdentityFilesError {
    /// The files hold no identity that can be used.
    #[error("the former certificate stays in use")]
    Unusable(#[from] IdentityError),
    /// The identity in the files cannot be this member's.
    #[error(transparent)]
    Refused(#[from] RotateError),
}

/// Why a certificate was not revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RevokeError {
    /// As many certificates are revoked as one trust holds.
    #[error(
        "{limit} certificates are revoked already: start a new authority and reissue the members \
         that stay"
    )]
    TooMany {
        /// How many there may be.
        limit: usize,
    },
    /// The driver thread did not take the command.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl RevokeError {
    pub(crate) fn from_refusal(error: certs::RevokeError) -> Self {
        Self::TooMany { limit: limit_of(error) }
    }
}

fn limit_of(error: certs::RevokeError) -> usize {
    let certs::RevokeError::Full { limit } = error else { return certs::MAX_REVOKED };
    limit
}
