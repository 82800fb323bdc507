//! Why there is no authority, or no certificate from it.
//!
//! Each error names its cause and the remedy, in words for whoever has to mend it. It never
//! shows key material.

use std::fmt;

use boring::error::ErrorStack;

use crate::identity::IdentityError;
use crate::names::{MAX_COMMON_NAME, MAX_NAME_LENGTH};

/// Why there is no authority.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The organisation is empty, longer than 64 characters, or holds a NUL.
    Organisation {
        /// What was given.
        organisation: String,
    },
    /// The certificate or key cannot be used.
    Unusable(IdentityError),
    /// The key is Ed25519: good to verify and to be verified, but not to issue with.
    Ed25519,
    /// BoringSSL failed.
    Crypto {
        /// Its words.
        reason: String,
    },
}

impl AuthorityError {
    pub(super) fn crypto(error: ErrorStack) -> Self {
        Self::Crypto { reason: error.to_string() }
    }

    pub(super) fn empty() -> Self {
        Self::Crypto { reason: String::from("no certificate") }
    }
}

impl From<IdentityError> for AuthorityError {
    fn from(error: IdentityError) -> Self {
        Self::Unusable(error)
    }
}

impl fmt::Display for AuthorityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organisation { organisation } => write!(
                f,
                "the organisation {organisation:?} does not fit a certificate: give it 1 to 64 \
                 characters without NUL"
            ),
            Self::Unusable(error) => write!(f, "no usable authority: {error}"),
            Self::Ed25519 => f.write_str(
                "an authority with an Ed25519 key cannot issue here: issue with openssl, or use \
                 an authority with an EC or RSA key",
            ),
            Self::Crypto { reason } => crypto_failed(f, "make or load the authority", reason),
        }
    }
}

impl std::error::Error for AuthorityError {}

/// Why a member was not issued.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IssueError {
    /// The name is empty, longer than [`MAX_NAME_LENGTH`] bytes, or holds a NUL.
    Name {
        /// Its length in bytes.
        length: usize,
    },
    /// The name is too long for a common name and has not the form of a DNS name.
    LongName {
        /// Its length in characters.
        length: usize,
    },
    /// BoringSSL failed.
    Crypto {
        /// Its words.
        reason: String,
    },
}

impl fmt::Display for IssueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { length } => write!(
                f,
                "a member's name of {length} bytes: give it 1 to {MAX_NAME_LENGTH} bytes \
                 without NUL"
            ),
            Self::LongName { length } => write!(
                f,
                "a member's name of {length} characters must have the form of a DNS name \
                 (letters, digits, '-', '_' in labels of up to 63, joined by dots, 253 in all): \
                 shorten it to {MAX_COMMON_NAME} characters or rename it"
            ),
            Self::Crypto { reason } => crypto_failed(f, "issue the certificate", reason),
        }
    }
}

impl std::error::Error for IssueError {}

fn crypto_failed(f: &mut fmt::Formatter<'_>, what: &str, reason: &str) -> fmt::Result {
    let reason = reason.replace(['\n', '\r'], " ");
    write!(f, "BoringSSL could not {what} ({reason}): check that the authority's files are whole")
}
