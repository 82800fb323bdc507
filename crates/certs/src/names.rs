//! Which member names a certificate proves.
//!
//! Three places count: the common name, DNS alternative names, and the last path segment of a
//! `spiffe://` URI. Names are compared as bytes by whoever uses them: no wildcards, no case
//! folding, no trailing dots. Nothing here checks a signature; only ask about certificates that
//! the handshake accepted.

use std::net::IpAddr;

use boring::error::ErrorStack;
use boring::nid::Nid;
use boring::x509::{X509, X509Ref};
use thiserror::Error;

/// The longest member name in bytes; a longer one in a certificate proves nothing.
pub const MAX_NAME_LENGTH: usize = 255;

/// How many names one certificate may prove; further ones are not looked at.
const MAX_NAMES: usize = 64;

/// The longest common name, in characters (RFC 5280, appendix A.1, `ub-common-name`).
pub(crate) const MAX_COMMON_NAME: usize = 64;

/// Why the names of a certificate could not be read.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum NamesError {
    /// The bytes are no X.509 certificate in DER.
    #[error("not an X.509 certificate in DER: pass the leaf as the peer sent it")]
    NotACertificate(#[from] ErrorStack),
}

/// The member names that a leaf certificate (DER) proves, in the order common name, DNS names,
/// SPIFFE names, each once. At most 64, each of 1 to [`MAX_NAME_LENGTH`] bytes; others are
/// skipped. Empty when the certificate names nobody.
///
/// # Errors
///
/// [`NamesError::NotACertificate`] when the bytes do not parse.
pub fn peer_names(leaf_der: &[u8]) -> Result<Vec<String>, NamesError> {
    let leaf = X509::from_der(leaf_der)?;
    Ok(of(&leaf))
}

/// As [`peer_names`], of a parsed certificate.
pub(crate) fn of(leaf: &X509Ref) -> Vec<String> {
    let mut names = Vec::new();
    // Read as raw UTF-8, which holds for every string type in use; boring's own conversion stops
    // at a NUL, so that "ada\0evil" would prove "ada".
    for entry in leaf.subject_name().entries_by_nid(Nid::COMMONNAME) {
        admit(&mut names, std::str::from_utf8(entry.data().as_slice()).ok());
    }
    let alternatives = leaf.subject_alt_names();
    for alternative in alternatives.iter().flatten() {
        admit(&mut names, alternative.dnsname());
    }
    for alternative in alternatives.iter().flatten() {
        admit(&mut names, alternative.uri().and_then(spiffe_name));
    }
    names
}

/// The IP addresses among the alternative names.
pub(crate) fn addresses_of(leaf: &X509Ref) -> Vec<IpAddr> {
    let alternatives = leaf.subject_alt_names();
    let bytes = alternatives.iter().flatten().filter_map(|alternative| alternative.ipaddress());
    bytes
        .filter_map(|bytes| match bytes.len() {
            4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
            16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
            _ => None,
        })
        .collect()
}

/// Whether a name can stand in a DNS alternative name that every verifier parses: Go refuses a
/// whole certificate over one that is not ASCII, and some of its releases over other shapes.
pub(crate) fn fits_dns(name: &str) -> bool {
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    name.len() <= 253 && name.split('.').all(label_ok)
}

fn admit(names: &mut Vec<String>, name: Option<&str>) {
    let Some(name) = name else { return };
    let fits = (1..=MAX_NAME_LENGTH).contains(&name.len()) && !name.contains('\0');
    if fits && names.len() < MAX_NAMES && !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

/// The last path segment of a SPIFFE ID, which has neither query nor fragment (SPIFFE-ID,
/// section 2). Segments hold no percent-encoding, so none is undone.
fn spiffe_name(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("spiffe") || rest.contains(['?', '#']) {
        return None;
    }
    let (trust_domain, path) = rest.split_once('/')?;
    let segment = path.rsplit('/').next()?;
    (!trust_domain.is_empty() && !segment.is_empty()).then_some(segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spiffe_names_are_the_last_segment() {
        let cases = [
            ("spiffe://example.org/ns/prod/sa/ada", Some("ada")),
            ("SPIFFE://example.org/ada", Some("ada")),
            ("spiffe://example.org/ada/", None),
            ("spiffe://example.org/", None),
            ("spiffe://example.org", None),
            ("spiffe:///ada", None),
            ("spiffe://example.org/bob?/ada", None),
            ("spiffe://example.org/bob#/ada", None),
            ("https://example.org/ada", None),
            ("ada", None),
        ];
        for (uri, expected) in cases {
            assert_eq!(spiffe_name(uri), expected, "{uri}");
        }
    }

    #[test]
    fn dns_names_are_those_that_every_verifier_parses() {
        let label = "a".repeat(63);
        for good in ["ada", "node-1.rack_2", "A.b", &label, &[label.as_str(); 3].join(".")] {
            assert!(fits_dns(good), "{good}");
        }
        let long_label = "a".repeat(64);
        let too_long = [label.as_str(); 4].join(".");
        for bad in ["", "a..b", "a.", ".a", "a b", "zoë", "*.a", "a/b", &long_label, &too_long] {
            assert!(!fits_dns(bad), "{bad}");
        }
    }

    #[test]
    fn unusable_and_repeated_names_prove_nothing() {
        let mut names = Vec::new();
        let (longest, longer) = ("x".repeat(255), "x".repeat(256));
        for name in ["ada", "", "ada", "ada\0evil", &longest, &longer] {
            admit(&mut names, Some(name));
        }
        assert_eq!(names, ["ada", &longest]);
        for number in 0..100 {
            admit(&mut names, Some(&number.to_string()));
        }
        assert_eq!(names.len(), MAX_NAMES);
    }

    #[test]
    fn bytes_that_are_no_certificate_are_refused() {
        for bytes in [&b"\x30\x03\x02\x01\x05"[..], b""] {
            assert!(matches!(peer_names(bytes), Err(NamesError::NotACertificate(_))));
        }
    }
}
