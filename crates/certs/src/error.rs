//! Why an identity, an authority, a certificate or a file could not be had.
//!
//! One enum per operation. Each message is one line: what is wrong, where, and the remedy. None
//! shows key material. What BoringSSL or the operating system said is the
//! [`source`](std::error::Error::source).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use boring::error::ErrorStack;
use boring::x509::X509VerifyError;
use thiserror::Error;

use crate::names::{MAX_COMMON_NAME, MAX_NAME_LENGTH};
use crate::validity;
use crate::x509::MAX_CERTIFICATES;

/// Why a certificate, its key or its roots cannot be used.
///
/// `origin` is the path of the file, or which of the texts it was ("the private key").
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The operating system did not let us read the file.
    #[error("cannot read {}: {source}; check the path and its permissions", .file.display())]
    Unreadable {
        /// Its path, as given.
        file: PathBuf,
        /// What the operating system said. Shared, so that this error can be cloned.
        source: Arc<io::Error>,
    },
    /// More than 1 MiB, or more than 64 certificates.
    #[error(
        "{origin} is larger than 1 MiB or holds more than {MAX_CERTIFICATES} certificates: is it \
         the right file?"
    )]
    TooLarge {
        /// The file, or which of the texts.
        origin: String,
    },
    /// No PEM block of the kind that belongs there.
    #[error("{}", not_pem(.origin, .expected, .found.as_deref()))]
    NotPem {
        /// The file, or which of the texts.
        origin: String,
        /// The kind of block that belongs there, such as `CERTIFICATE`.
        expected: &'static str,
        /// The kind of the first block that is there instead, if any.
        found: Option<String>,
    },
    /// The PEM block holds nothing that parses.
    #[error("{origin} is damaged ({source}): make it or copy it again")]
    Malformed {
        /// The file, or which of the texts.
        origin: String,
        /// What the parser found.
        source: DamageError,
    },
    /// The private key is protected by a passphrase.
    #[error(
        "{origin} is protected by a passphrase: decrypt it (openssl pkey -in OLD -out NEW) and \
         keep it readable by its owner only"
    )]
    EncryptedKey {
        /// The file, or which of the texts.
        origin: String,
    },
    /// A kind or size of key that peers would not accept.
    #[error(
        "{origin} is {kind}: use EC P-256 (best), P-384 or P-521, Ed25519, or RSA from 2048 bits"
    )]
    UnsupportedKey {
        /// The file, or which of the texts.
        origin: String,
        /// What it is instead.
        kind: UnsupportedKey,
    },
    /// The private key belongs to another certificate.
    #[error("{key} is not the private key of {certificate}: give the two that were made together")]
    KeyMismatch {
        /// Where the certificate is from.
        certificate: String,
        /// Where the key is from.
        key: String,
    },
    /// The certificate ended before the time of the check.
    #[error("{certificate} expired at {}: issue a new one", validity::display(*.not_after))]
    Expired {
        /// Where the certificate is from.
        certificate: String,
        /// When it ended.
        not_after: SystemTime,
    },
    /// The certificate begins after the time of the check.
    #[error(
        "{certificate} is not valid before {}: check this machine's clock",
        validity::display(*.not_before)
    )]
    NotYetValid {
        /// Where the certificate is from.
        certificate: String,
        /// When it begins.
        not_before: SystemTime,
    },
    /// Its extensions do not allow what every member does.
    #[error(
        "{certificate} may not be used for {missing}, and a member is on both sides: issue it with \
         the extended key usages serverAuth and clientAuth, or with none, and with the key usage \
         digitalSignature"
    )]
    Usage {
        /// Where the certificate is from.
        certificate: String,
        /// What it does not allow.
        missing: MissingUsage,
    },
    /// The certificate does not lead to any of the roots.
    #[error(
        "{certificate} does not lead to {authority} ({source}): use the authority that issued \
         it, and append its intermediates"
    )]
    Untrusted {
        /// Where the certificate is from.
        certificate: String,
        /// Where the roots are from.
        authority: String,
        /// What the verifier said.
        source: ChainError,
    },
}

/// What a certificate does not allow its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MissingUsage {
    /// To be dialed.
    #[error("the accepting side of a connection (serverAuth)")]
    Server,
    /// To dial.
    #[error("the dialing side of a connection (clientAuth)")]
    Client,
    /// To sign a handshake, as both sides do.
    #[error("signatures (digitalSignature)")]
    Signature,
}

/// What is wrong inside a PEM text.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum DamageError {
    /// BoringSSL does not parse it.
    #[error("{0}")]
    Parse(#[from] ErrorStack),
    /// Blocks begin and do not end.
    #[error("{begun} certificates begin, {whole} are whole")]
    Incomplete {
        /// How many blocks begin.
        begun: usize,
        /// How many certificates parse.
        whole: usize,
    },
}

/// Why a chain does not lead to a root.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The verifier refused a certificate of the chain.
    #[error("{}{}", .source.error_string(), above_the_leaf(*.depth))]
    Refused {
        /// Why.
        source: X509VerifyError,
        /// Which: 0 is the leaf, 1 its issuer, and so on.
        depth: u32,
    },
    /// The verifier could not run.
    #[error("{0}")]
    Crypto(#[from] ErrorStack),
}

/// A kind of private key that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnsupportedKey {
    /// RSA shorter than 2048 bits.
    #[error("RSA with {bits} bits")]
    ShortRsa {
        /// Its length in bits.
        bits: u32,
    },
    /// EC on another curve than P-256, P-384 and P-521.
    #[error("an elliptic curve outside P-256, P-384, P-521")]
    Curve,
    /// An algorithm or curve that BoringSSL does not know.
    #[error("of an algorithm or curve that TLS has no use for")]
    Unknown,
    /// An algorithm that BoringSSL knows and TLS does not use here.
    #[error("key type {nid}")]
    Algorithm {
        /// Its numeric identifier (NID) in BoringSSL.
        nid: i32,
    },
}

/// Why there is no authority.
#[derive(Clone, Debug, Error)]
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
    #[error("no usable authority: {0}")]
    Unusable(#[from] IdentityError),
    /// The key is Ed25519: good to verify and to be verified, but not to issue with.
    #[error(
        "an authority with an Ed25519 key cannot issue here: issue with openssl, or use an \
         authority with an EC or RSA key"
    )]
    Ed25519,
    /// BoringSSL failed.
    #[error(
        "BoringSSL could not make or load the authority ({0}): check that the authority's files \
         are whole"
    )]
    Crypto(#[from] ErrorStack),
}

/// Why a member was not issued.
#[derive(Clone, Debug, Error)]
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
    /// BoringSSL failed.
    #[error(
        "BoringSSL could not issue the certificate ({0}): check that the authority's files are \
         whole"
    )]
    Crypto(#[from] ErrorStack),
}

/// Why there is no identity for development.
#[derive(Clone, Debug, Error)]
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
        "cannot write {}: {source}; check that the directory exists and is yours",
        .file.display()
    )]
    Unwritable {
        /// Its path.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// BoringSSL refused to take the identity or the roots into a TLS context.
#[derive(Clone, Debug, Error)]
#[error("cannot set up TLS with this identity: {0}; issue a new certificate")]
pub struct ContextError(#[from] ErrorStack);

/// Why a certificate could not be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RevokeError {
    /// As many fingerprints as a [`Trust`](crate::Trust) can hold are revoked already.
    #[error(
        "{limit} certificates are revoked already: start a new authority and reissue the members \
         that stay"
    )]
    Full {
        /// [`MAX_REVOKED`](crate::MAX_REVOKED).
        limit: usize,
    },
}

fn not_pem(origin: &str, expected: &str, found: Option<&str>) -> String {
    match found {
        Some(found) => format!(
            "{origin} holds a PEM block {found} where {expected} belongs: were two files swapped?"
        ),
        None => format!(
            "{origin} is not PEM: it needs a block -----BEGIN {expected}----- (openssl converts \
             DER with -inform DER)"
        ),
    }
}

fn above_the_leaf(depth: u32) -> String {
    match depth {
        0 => String::new(),
        depth => format!(", {depth} above the leaf"),
    }
}
