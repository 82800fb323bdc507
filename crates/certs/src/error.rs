//! Why an identity or a TLS context could not be had, or a certificate not be revoked.
//!
//! One enum per operation. Each message is one line: what is wrong, where, and the remedy. None
//! shows key material. What BoringSSL or the operating system said is the
//! [`source`](std::error::Error::source), and is not in the message: see
//! [`with_sources`](crate::with_sources).

use std::path::PathBuf;
use std::time::SystemTime;

use thiserror::Error;

use crate::crypto_error::{CryptoError, VerifyError};
use crate::shared_io_error::SharedIoError;
use crate::validity;
use crate::x509::MAX_CERTIFICATES;

/// Why a certificate, its key or its roots cannot be used.
///
/// `origin` is the path of the file, or which of the texts it was ("the private key").
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The operating system did not let us read the file.
    #[error("cannot read {}: check the path and its permissions", .file.display())]
    Unreadable {
        /// Its path, as given.
        file: PathBuf,
        /// What the operating system said.
        source: SharedIoError,
    },
    /// It is a directory.
    #[error("{} is a directory: give the file in it", .file.display())]
    Directory {
        /// Its path, as given.
        file: PathBuf,
    },
    /// There is nothing in it.
    #[error(
        "{origin} is empty: make it or copy it again; it needs a block -----BEGIN {expected}-----"
    )]
    Empty {
        /// The file, or which of the texts.
        origin: String,
        /// The kind of block that belongs there, such as `CERTIFICATE`.
        expected: &'static str,
    },
    /// It is in DER, the binary form: a certificate, a key, or a PKCS#12 store.
    #[error("{origin} is in DER, not PEM: {}", from_der(.origin, .expected))]
    Der {
        /// The file, or which of the texts.
        origin: String,
        /// The kind of block that belongs there, such as `CERTIFICATE`.
        expected: &'static str,
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
    #[error("{origin} is damaged: make it or copy it again")]
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
    /// The private key belongs to another certificate of the file than the first one.
    #[error(
        "{key} is the private key of a certificate further down in {certificate}: put that one \
         first, and its issuers behind it"
    )]
    LeafNotFirst {
        /// Where the certificates are from.
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
    /// The extensions of one that issued it do not allow what every member does.
    #[error(
        "an issuer of {certificate} may not issue for {missing}, and a member is on both sides: \
         use an issuer with the extended key usages serverAuth and clientAuth, or with none"
    )]
    IssuerUsage {
        /// Where the certificate is from.
        certificate: String,
        /// What its issuer does not allow.
        missing: MissingUsage,
    },
    /// The certificate does not lead to any of the roots.
    #[error("{certificate} does not lead to {authority}")]
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
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DamageError {
    /// BoringSSL does not parse it.
    #[error(transparent)]
    Parse(#[from] CryptoError),
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
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The issuer of a certificate is neither among the roots nor among the intermediates.
    #[error(
        "the issuer {issuer:?} of {subject:?} is missing: use the authority that issued it, and \
         append its intermediates"
    )]
    MissingIssuer {
        /// Whose issuer.
        subject: String,
        /// The name of the issuer.
        issuer: String,
        /// What the verifier said.
        source: VerifyError,
        /// 0 if the issuer of the leaf is missing, 1 if that one's is, and so on.
        depth: u32,
    },
    /// The issuer of a certificate is there by name, with another key.
    #[error(
        "{subject:?} was issued with another key than that of {issuer:?} here: use the authority \
         that issued it (one that was made anew is another one), and its intermediates"
    )]
    AnotherKey {
        /// Whose issuer.
        subject: String,
        /// The name of the issuer.
        issuer: String,
        /// What the verifier said.
        source: VerifyError,
        /// 0 if it is the issuer of the leaf, 1 if it is that one's, and so on.
        depth: u32,
    },
    /// The verifier refused a certificate of the chain for another reason: it has ended, may issue
    /// nothing, ...
    #[error(
        "{subject:?}{} is refused: renew that certificate, or issue it without this fault",
        above_the_leaf(*.depth)
    )]
    Refused {
        /// Of which certificate.
        subject: String,
        /// Why.
        source: VerifyError,
        /// Which: 0 is the leaf, 1 its issuer, and so on.
        depth: u32,
    },
    /// The verifier could not run.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
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

/// BoringSSL refused to take the identity or the roots into a TLS context.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("cannot set up TLS with this identity: issue a new certificate")]
pub struct ContextError(#[from] CryptoError);

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
        None => format!("{origin} is not PEM: it needs a block -----BEGIN {expected}-----"),
    }
}

fn from_der(origin: &str, expected: &str) -> String {
    let kind = if expected == "CERTIFICATE" { "x509" } else { "pkey" };
    format!(
        "convert it (openssl {kind} -inform DER -in {origin} -out NEW; a PKCS#12 store: openssl \
         pkcs12 -in {origin} -nodes -out NEW)"
    )
}

fn above_the_leaf(depth: u32) -> String {
    match depth {
        0 => String::new(),
        depth => format!(" ({depth} above the leaf)"),
    }
}
