//! PEM text in, certificates and keys out, each refusal with its reason.
//!
//! Total on any bytes and bounded by [`MAX_FILE`] and [`MAX_CERTIFICATES`]. It judges syntax and
//! key types only; whether certificates fit together is [`identity`](crate::identity)'s matter.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use boring::error::ErrorStack;
use boring::nid::Nid;
use boring::pkey::{Id, PKey, PKeyRef, Private};
use boring::x509::X509;

use crate::identity::IdentityError;

/// The largest PEM file that is read, in bytes.
pub(crate) const MAX_FILE: u64 = 1 << 20;

/// The most certificates in one PEM file.
pub(crate) const MAX_CERTIFICATES: usize = 64;

/// The smallest RSA key that TLS 1.3's RSA-PSS signatures and current practice accept, in bits.
const MIN_RSA_BITS: u32 = 2048;

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    let unreadable = |reason: std::io::Error| IdentityError::Unreadable {
        file: path.to_owned(),
        reason: reason.to_string(),
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE) {
        return Err(IdentityError::TooLarge { source: path.display().to_string() });
    }
    Ok(bytes)
}

/// All certificates of a PEM text, at least one. `source` is how errors name the text.
pub(crate) fn certificates(pem: &[u8], source: &str) -> Result<Vec<X509>, IdentityError> {
    let blocks = count(pem, b"-----BEGIN CERTIFICATE-----");
    if blocks == 0 {
        let found = first_label(pem);
        return Err(IdentityError::NotPem {
            source: source.into(),
            expected: "CERTIFICATE",
            found,
        });
    }
    if blocks > MAX_CERTIFICATES {
        return Err(IdentityError::TooLarge { source: source.into() });
    }
    let malformed = |detail: String| IdentityError::Malformed { source: source.into(), detail };
    let found = X509::stack_from_pem(pem).map_err(|error| malformed(error.to_string()))?;
    if found.len() != blocks {
        return Err(malformed(format!("{blocks} certificates begin, {} are whole", found.len())));
    }
    Ok(found)
}

/// The private key of a PEM text: SEC1, PKCS#1 or PKCS#8; EC, RSA or Ed25519.
pub(crate) fn private_key(pem: &[u8], source: &str) -> Result<PKey<Private>, IdentityError> {
    if count(pem, b"PRIVATE KEY-----") == 0 {
        let found = first_label(pem);
        return Err(IdentityError::NotPem {
            source: source.into(),
            expected: "PRIVATE KEY",
            found,
        });
    }
    let encrypted = [&b"BEGIN ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"];
    if encrypted.iter().any(|mark| count(pem, mark) > 0) {
        return Err(IdentityError::EncryptedKey { source: source.into() });
    }
    let key = PKey::private_key_from_pem(pem).map_err(|error| not_a_key(&error, source))?;
    match unsupported(&key) {
        Some(detail) => Err(IdentityError::UnsupportedKey { source: source.into(), detail }),
        None => Ok(key),
    }
}

fn not_a_key(error: &ErrorStack, source: &str) -> IdentityError {
    let unknown = ["UNSUPPORTED_ALGORITHM", "UNKNOWN_GROUP"];
    let reasons = || error.errors().iter().filter_map(|error| error.reason());
    if reasons().any(|reason| unknown.contains(&reason)) {
        let detail = String::from("of an algorithm or curve that TLS has no use for");
        return IdentityError::UnsupportedKey { source: source.into(), detail };
    }
    IdentityError::Malformed { source: source.into(), detail: error.to_string() }
}

fn unsupported(key: &PKeyRef<Private>) -> Option<String> {
    match key.id() {
        Id::ED25519 => None,
        Id::RSA if key.bits() >= MIN_RSA_BITS => None,
        Id::RSA => Some(format!("RSA with {} bits", key.bits())),
        Id::EC => {
            let curve = key.ec_key().ok().and_then(|key| key.group().curve_name());
            let known = [Nid::X9_62_PRIME256V1, Nid::SECP384R1, Nid::SECP521R1];
            match curve {
                Some(curve) if known.contains(&curve) => None,
                Some(_) | None => {
                    Some(String::from("an elliptic curve outside P-256, P-384, P-521"))
                }
            }
        }
        other => Some(format!("key type {}", other.as_raw())),
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
