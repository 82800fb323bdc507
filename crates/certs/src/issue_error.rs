//! Why an authority, a certificate or its files could not be made.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::crypto_error::CryptoError;
use crate::error::IdentityError;
use crate::names::{MAX_COMMON_NAME, MAX_NAME_LENGTH};
use crate::spiffe::SpiffePatternError;

/// Why there is no authority.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The organisation is empty, longer than 64 characters, or holds a NUL.
    #[error(
        "the organisation {organisation:?} does not fit a certificate: give it 1 to 64 \
         characters without NUL"
    )]
    Organisation {
        /// What was given.
        organisation: String,
    },
    /// The certificate or key cannot be used.
    #[error("no usable authority")]
    Unusable(#[from] IdentityError),
    /// The key is Ed25519: good to verify and to be verified, but not to issue with.
    #[error(
        "an authority with an Ed25519 key cannot issue here: issue with openssl, or use an \
         authority with an EC or RSA key"
    )]
    Ed25519,
    /// BoringSSL failed.
    #[error(
        "BoringSSL could not make or load the authority: check that the authority's files are whole"
    )]
    Crypto(#[from] CryptoError),
}

/// Why a member was not issued.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The name is empty, longer than [`MAX_NAME_LENGTH`] bytes, or holds a NUL.
    #[error("a member's name of {length} bytes: give it 1 to {MAX_NAME_LENGTH} bytes without NUL")]
    Name {
        /// Its length in bytes.
        length: usize,
    },
    /// The name is too long for a common name and has not the form of a DNS name.
    #[error(
        "a member's name of {length} characters must have the form of a DNS name (letters, \
         digits, '-', '_' in labels of up to 63, joined by dots, 253 in all): shorten it to \
         {MAX_COMMON_NAME} characters or rename it"
    )]
    LongName {
        /// Its length in characters.
        length: usize,
    },
    /// The name holds `*`, which proves nothing.
    #[error("{name:?} has a '*', and a wildcard is no member's name: rename the member")]
    Wildcard {
        /// As it was asked for.
        name: String,
    },
    /// A further DNS name has not the form of one.
    #[error(
        "{dns_name:?} is no DNS name: letters, digits, '-', '_' in labels of up to 63, joined by \
         dots, 253 in all, without wildcards"
    )]
    DnsName {
        /// What was given.
        dns_name: String,
    },
    /// The SPIFFE ID is none.
    #[error("what is asked for is no SPIFFE ID")]
    SpiffeId(#[from] SpiffePatternError),
    /// The name can only be a common name, which does not count beside others.
    #[error(
        "{name:?} has not the form of a DNS name, and as a common name it proves nothing beside \
         DNS names and SPIFFE IDs: leave those out, or rename the member"
    )]
    CommonNameOnly {
        /// The member's name.
        name: String,
    },
    /// BoringSSL failed.
    #[error(
        "BoringSSL could not issue the certificate: check that the authority's files are whole"
    )]
    Crypto(#[from] CryptoError),
}

/// Why there is no identity for development.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DevelopmentError {
    /// The authority of this process could not be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// It could not issue the certificate.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// What it issued cannot be used: the clock was set back, for example.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Why nothing, or not everything, was written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SaveError {
    /// The file is there and was to be kept.
    #[error(
        "{} exists and is kept: choose another directory or name, or ask for replacement",
        .file.display()
    )]
    Exists {
        /// Its path.
        file: PathBuf,
    },
    /// The member's name cannot be a file name in the directory.
    #[error(
        "{name:?} cannot be a file name here: use a name without '/', other than \".\", \"..\" \
         and \"ca\", or write the PEM texts yourself"
    )]
    FileName {
        /// The member's name.
        name: String,
    },
    /// The operating system refused.
    #[error(
        "cannot write {}: check that the directory exists and is yours",
        .file.display()
    )]
    Unwritable {
        /// Its path.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}
