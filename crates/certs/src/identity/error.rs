//! Every way in which an identity can be unusable.
//!
//! Each error says what is wrong, where, and what to do, in words for whoever has to mend it. It
//! never shows key material.

use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::{pem, validity};

/// Why a certificate, its key or its roots cannot be used. Each variant prints on one line what
/// is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityError {
    /// The operating system did not let us read the file.
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// Its words.
        reason: String,
    },
    /// More than 1 MiB, or more than 64 certificates.
    TooLarge {
        /// The file, or which of the texts.
        source: String,
    },
    /// No PEM block of the kind that belongs there.
    NotPem {
        /// The file, or which of the texts.
        source: String,
        /// The kind of block that belongs there.
        expected: &'static str,
        /// The kind of the first block that is there instead, if any.
        found: Option<String>,
    },
    /// The PEM block holds nothing that parses.
    Malformed {
        /// The file, or which of the texts.
        source: String,
        /// What the parser says.
        detail: String,
    },
    /// The private key is protected by a passphrase.
    EncryptedKey {
        /// The file, or which of the texts.
        source: String,
    },
    /// A kind or size of key that peers would not accept.
    UnsupportedKey {
        /// The file, or which of the texts.
        source: String,
        /// What it is.
        detail: String,
    },
    /// The private key belongs to another certificate.
    KeyMismatch {
        /// Where the certificate is from.
        certificate: String,
        /// Where the key is from.
        key: String,
    },
    /// The certificate's time is over.
    Expired {
        /// Where the certificate is from.
        certificate: String,
        /// When it ended.
        not_after: SystemTime,
    },
    /// The certificate's time has not come.
    NotYetValid {
        /// Where the certificate is from.
        certificate: String,
        /// When it begins.
        not_before: SystemTime,
    },
    /// The certificate does not lead to any of the roots.
    Untrusted {
        /// Where the certificate is from.
        certificate: String,
        /// Where the roots are from.
        authority: String,
        /// What the verifier says.
        detail: String,
    },
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, reason } => write!(
                f,
                "cannot read {}: {reason}; check the path and its permissions",
                file.display()
            ),
            Self::TooLarge { source } => write!(
                f,
                "{source} is larger than 1 MiB or holds more than {} certificates: is it the \
                 right file?",
                pem::MAX_CERTIFICATES
            ),
            Self::NotPem { source, expected, found: Some(found) } => write!(
                f,
                "{source} holds a PEM block {found} where {expected} belongs: were two files \
                 swapped?"
            ),
            Self::NotPem { source, expected, found: None } => write!(
                f,
                "{source} is not PEM: it needs a block -----BEGIN {expected}----- (openssl \
                 converts DER with -inform DER)"
            ),
            Self::Malformed { source, detail } => {
                write!(f, "{source} is damaged ({}): make it or copy it again", one_line(detail))
            }
            Self::EncryptedKey { source } => write!(
                f,
                "{source} is protected by a passphrase: decrypt it (openssl pkey -in OLD -out \
                 NEW) and keep it readable by its owner only"
            ),
            Self::UnsupportedKey { source, detail } => write!(
                f,
                "{source} is {detail}: use EC P-256 (best), P-384 or P-521, Ed25519, or RSA \
                 from 2048 bits"
            ),
            Self::KeyMismatch { certificate, key } => write!(
                f,
                "{key} is not the private key of {certificate}: give the two that were made \
                 together"
            ),
            Self::Expired { certificate, not_after } => write!(
                f,
                "{certificate} expired at {}: issue a new one",
                validity::display(*not_after)
            ),
            Self::NotYetValid { certificate, not_before } => write!(
                f,
                "{certificate} is not valid before {}: check this machine's clock",
                validity::display(*not_before)
            ),
            Self::Untrusted { certificate, authority, detail } => write!(
                f,
                "{certificate} does not lead to {authority} ({detail}): use the authority that \
                 issued it, and append its intermediates"
            ),
        }
    }
}

impl std::error::Error for IdentityError {}

/// BoringSSL's error stacks come one entry per line.
pub(super) fn one_line(text: &str) -> String {
    text.split(['\n', '\r']).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}
