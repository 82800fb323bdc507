//! PEM text in, certificates and keys out, each refusal with its reason.
//!
//! Accepts any bytes without a panic, bounded by [`MAX_FILE`] and [`MAX_CERTIFICATES`]. Only syntax
//! and key types are checked here; [`load`](crate::load) checks that certificates fit together.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use boring::error::ErrorStack;
use boring::nid::Nid;
use boring::pkey::{Id, PKey, PKeyRef, Private};
use boring::x509::X509;

use crate::crypto_error::CryptoError;
use crate::error::{DamageError, IdentityError, UnsupportedKey};
use crate::x509::{EncodedCertificate, MAX_CERTIFICATES};

/// The largest PEM file that is read, in bytes.
pub(crate) const MAX_FILE: u64 = 1 << 20;

/// The smallest RSA key that TLS 1.3's RSA-PSS signatures and current practice accept, in bits.
const MIN_RSA_BITS: u32 = 2048;

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    let unreadable = |error: std::io::Error| IdentityError::Unreadable {
        file: path.to_owned(),
        source: error.into(),
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(IdentityError::Directory { file: path.to_owned() });
    }
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE) {
        return Err(IdentityError::TooLarge { origin: path.display().to_string() });
    }
    Ok(bytes)
}

/// All certificates of a PEM text, at least one. `origin` is how errors name the text.
pub(crate) fn certificates(pem: &[u8], origin: &str) -> Result<Vec<X509>, IdentityError> {
    let (first, mut all) = chain(pem, origin)?;
    all.insert(0, first);
    Ok(all)
}

impl EncodedCertificate {
    /// The certificates of a PEM file of at most 1 MiB: at least one, at most 64, in their order.
    ///
    /// # Errors
    ///
    /// [`IdentityError`], with the file, the cause and the remedy on one line.
    pub fn read(file: impl AsRef<Path>) -> Result<Vec<Self>, IdentityError> {
        let file = file.as_ref();
        let origin = file.display().to_string();
        let certificates = certificates(&read(file)?, &origin)?;
        certificates
            .iter()
            .map(|certificate| Self::of(certificate))
            .collect::<Result<_, _>>()
            .map_err(|error| IdentityError::Malformed { origin, source: damage(error) })
    }
}

/// The first certificate of a PEM text, and those that follow it.
pub(crate) fn chain(pem: &[u8], origin: &str) -> Result<(X509, Vec<X509>), IdentityError> {
    let blocks = count(pem, b"-----BEGIN CERTIFICATE-----");
    if blocks == 0 {
        return Err(not_pem(pem, "CERTIFICATE", origin));
    }
    if blocks > MAX_CERTIFICATES {
        return Err(IdentityError::TooLarge { origin: origin.into() });
    }
    let malformed =
        |source: DamageError| IdentityError::Malformed { origin: origin.into(), source };
    let mut found = X509::stack_from_pem(pem).map_err(|error| malformed(damage(error)))?;
    if found.is_empty() || found.len() != blocks {
        return Err(malformed(DamageError::Incomplete { begun: blocks, whole: found.len() }));
    }
    Ok((found.remove(0), found))
}

/// The private key of a PEM text: SEC1, PKCS#1 or PKCS#8; EC, RSA or Ed25519.
pub(crate) fn private_key(pem: &[u8], origin: &str) -> Result<PKey<Private>, IdentityError> {
    if count(pem, b"PRIVATE KEY-----") == 0 {
        return Err(not_pem(pem, "PRIVATE KEY", origin));
    }
    let encrypted = [&b"BEGIN ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"];
    if encrypted.iter().any(|mark| count(pem, mark) > 0) {
        return Err(IdentityError::EncryptedKey { origin: origin.into() });
    }
    let key = PKey::private_key_from_pem(pem).map_err(|error| not_a_key(error, origin))?;
    match unsupported(&key) {
        Some(kind) => Err(IdentityError::UnsupportedKey { origin: origin.into(), kind }),
        None => Ok(key),
    }
}

fn not_pem(pem: &[u8], expected: &'static str, origin: &str) -> IdentityError {
    let origin = origin.to_owned();
    match pem {
        _ if pem.trim_ascii().is_empty() => IdentityError::Empty { origin, expected },
        // A SEQUENCE with a length of its own, as each of these is.
        [0x30, 0x30..=0x84, ..] => IdentityError::Der { origin, expected },
        _ => IdentityError::NotPem { origin, expected, found: first_label(pem) },
    }
}

fn not_a_key(error: ErrorStack, origin: &str) -> IdentityError {
    let unknown = ["UNSUPPORTED_ALGORITHM", "UNKNOWN_GROUP"];
    let origin = origin.to_owned();
    let mut reasons = error.errors().iter().filter_map(|error| error.reason());
    if reasons.any(|reason| unknown.contains(&reason)) {
        return IdentityError::UnsupportedKey { origin, kind: UnsupportedKey::Unknown };
    }
    IdentityError::Malformed { origin, source: damage(error) }
}

fn damage(error: ErrorStack) -> DamageError {
    CryptoError::of(error).into()
}

fn unsupported(key: &PKeyRef<Private>) -> Option<UnsupportedKey> {
    match key.id() {
        Id::ED25519 => None,
        Id::RSA if key.bits() >= MIN_RSA_BITS => None,
        Id::RSA => Some(UnsupportedKey::ShortRsa { bits: key.bits() }),
        Id::EC => {
            let curve = key.ec_key().ok().and_then(|key| key.group().curve_name());
            let known = [Nid::X9_62_PRIME256V1, Nid::SECP384R1, Nid::SECP521R1];
            match curve {
                Some(curve) if known.contains(&curve) => None,
                Some(_) | None => Some(UnsupportedKey::Curve),
            }
        }
        other => Some(UnsupportedKey::Algorithm { nid: other.as_raw() }),
    }
}

/// The label of the first PEM block, to tell people what they passed instead.
fn first_label(pem: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(pem).ok()?;
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, _) = rest.split_once("-----")?;
    let plain = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ';
    (label.len() <= 40 && label.bytes().all(plain)).then(|| label.to_owned())
}

fn count(haystack: &[u8], needle: &[u8]) -> usize {
    haystack.windows(needle.len()).filter(|window| *window == needle).count()
}
