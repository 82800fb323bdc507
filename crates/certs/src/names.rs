//! Which member names a certificate proves: which of its fields count, and what they hold.
//!
//! Names are compared as bytes by whoever uses them: no wildcards, no case folding, no trailing
//! dots. Nothing here checks a signature; only ask about certificates that the handshake accepted.

use std::fmt;
use std::net::IpAddr;

use boring::asn1::Asn1StringRef;
use boring::nid::Nid;
use boring::x509::{X509, X509Ref};
use thiserror::Error;

use crate::crypto_error::CryptoError;
use crate::spiffe::SpiffePattern;

/// The longest member name in bytes; a longer one in a certificate proves nothing.
pub const MAX_NAME_LENGTH: usize = 255;

/// How many names one certificate may prove; further ones are not looked at.
const MAX_NAMES: usize = 64;

/// The longest common name, in characters (RFC 5280, appendix A.1, `ub-common-name`).
pub(crate) const MAX_COMMON_NAME: usize = 64;

/// Which fields of a certificate prove a member's name. By default its DNS names do, and its common
/// name where it has neither DNS names nor URIs, as certificates of Go's helpers are. A member that
/// is to be known by its SPIFFE ID needs a [pattern](SpiffePattern).
///
/// - DNS names: letters, digits, `-` and `_` in labels of at most 63, joined by dots, 253 in all.
///   A wildcard is no name.
/// - SPIFFE IDs: the URI fits one of the patterns, and it is the only one of the certificate
///   (X509-SVID, section 2); of several none counts.
/// - The common name: it is the only one, and the alternative names are addresses at most (RFC
///   6125, section 6.4.4). One with `*` or a NUL is no name.
///
/// ```
/// use certs::NameFields;
///
/// let by_spiffe_id = NameFields::spiffe("spiffe://example.org/member/{name}".parse()?);
/// let either = NameFields::default().and_spiffe("spiffe://example.org/member/{name}".parse()?);
/// assert_ne!(by_spiffe_id, either);
/// # Ok::<(), certs::SpiffePatternError>(())
/// ```
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NameFields {
    dns_names: bool,
    spiffe: Vec<SpiffePattern>,
    common_name: bool,
}

impl Default for NameFields {
    fn default() -> Self {
        Self { dns_names: true, spiffe: Vec::new(), common_name: true }
    }
}

impl NameFields {
    /// SPIFFE IDs that fit this pattern, and nothing else.
    ///
    /// ```
    /// # use certs::NameFields;
    /// let fields = NameFields::spiffe("spiffe://example.org/member/{name}".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spiffe(pattern: SpiffePattern) -> Self {
        Self { dns_names: false, spiffe: vec![pattern], common_name: false }
    }

    /// SPIFFE IDs that fit this pattern as well. Of two patterns, as while a trust domain is
    /// renamed, both prove one name.
    ///
    /// ```
    /// # use certs::NameFields;
    /// // While a trust domain is renamed.
    /// let fields = NameFields::spiffe("spiffe://old.example/member/{name}".parse()?)
    ///     .and_spiffe("spiffe://new.example/member/{name}".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn and_spiffe(mut self, pattern: SpiffePattern) -> Self {
        self.spiffe.push(pattern);
        self
    }

    /// DNS names no longer.
    ///
    /// ```
    /// # use certs::NameFields;
    /// let only_common_names = NameFields::default().without_dns_names();
    /// ```
    #[must_use]
    pub fn without_dns_names(self) -> Self {
        Self { dns_names: false, ..self }
    }

    /// The common name no longer.
    ///
    /// ```
    /// # use certs::NameFields;
    /// let only_dns_names = NameFields::default().without_common_name();
    /// ```
    #[must_use]
    pub fn without_common_name(self) -> Self {
        Self { common_name: false, ..self }
    }

    fn fits_uri<'a>(&self, uri: &'a str) -> Option<&'a str> {
        self.spiffe.iter().find_map(|pattern| pattern.name_in(uri))
    }
}

/// Why the names of a certificate could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NamesError {
    /// The bytes are no X.509 certificate in DER.
    #[error("not an X.509 certificate in DER: pass the leaf as the peer sent it")]
    NotACertificate(#[from] CryptoError),
}

/// The member names that a leaf certificate (DER) proves under [`NameFields::default`], each once.
/// At most 64, each of 1 to [`MAX_NAME_LENGTH`] bytes; others are skipped. Empty when the
/// certificate names nobody.
///
/// # Errors
///
/// [`NamesError::NotACertificate`] when the bytes do not parse.
pub fn peer_names(leaf_der: &[u8]) -> Result<Vec<String>, NamesError> {
    NameReading::from_der(leaf_der, &NameFields::default()).map(|reading| reading.proven)
}

/// What the fields of a certificate hold, and which names they prove. `Display` tells of every
/// field, on one line, what it holds and why that proves nothing where it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameReading {
    fields: NameFields,
    proven: Vec<String>,
    dns_names: Vec<String>,
    uris: Vec<String>,
    /// `None` for one that is not text, or has a NUL.
    common_names: Vec<Option<String>>,
    /// Alternative names that are addresses at most, and can be read.
    only_addresses: bool,
}

impl NameReading {
    /// What a leaf certificate (DER) holds, and proves under these fields: at most 64 names, each
    /// of 1 to [`MAX_NAME_LENGTH`] bytes; others are skipped.
    ///
    /// # Errors
    ///
    /// [`NamesError::NotACertificate`] when the bytes do not parse.
    ///
    /// ```no_run
    /// # use certs::{NameFields, NameReading};
    /// let leaf = std::fs::read("peer.der")?;
    /// let reading = NameReading::from_der(&leaf, &NameFields::default())?;
    /// println!("{reading}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_der(leaf_der: &[u8], fields: &NameFields) -> Result<Self, NamesError> {
        Ok(Self::of(&*X509::from_der(leaf_der).map_err(CryptoError::of)?, fields))
    }

    pub(crate) fn of(leaf: &X509Ref, fields: &NameFields) -> Self {
        let alternatives = leaf.subject_alt_names();
        let only_addresses = match &alternatives {
            Some(names) => {
                names.iter().all(|name| name.ipaddress().is_some() || name.email().is_some())
            }
            None => !mentions_alternative_names(leaf),
        };
        let each = || alternatives.iter().flatten();
        let owned = |name: &str| name.to_owned();
        let common = leaf.subject_name().entries_by_nid(Nid::COMMONNAME);
        let mut reading = Self {
            fields: fields.clone(),
            proven: Vec::new(),
            dns_names: each().filter_map(|name| name.dnsname().map(owned)).collect(),
            uris: each().filter_map(|name| name.uri().map(owned)).collect(),
            common_names: common.map(|entry| plain_text(entry.data())).collect(),
            only_addresses,
        };
        reading.proven = reading.prove();
        reading
    }

    /// The names that are proven, each once: DNS names, then the SPIFFE ID's, or the common name.
    ///
    /// ```
    /// # use certs::{Identity, NameFields};
    /// let identity = Identity::development("ada")?;
    /// let reading = identity.read_names(&NameFields::default());
    /// assert_eq!(reading.proven(), ["ada"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn proven(&self) -> &[String] {
        &self.proven
    }

    fn prove(&self) -> Vec<String> {
        let mut names = Vec::new();
        if self.fields.dns_names {
            for name in self.dns_names.iter().filter(|name| fits_dns(name)) {
                admit(&mut names, name);
            }
        }
        if let [uri] = &self.uris[..]
            && let Some(name) = self.fields.fits_uri(uri)
        {
            admit(&mut names, name);
        }
        if self.fields.common_name
            && self.only_addresses
            && let [Some(name)] = &self.common_names[..]
            && !name.contains('*')
        {
            admit(&mut names, name);
        }
        names
    }

    fn of_dns_names(&self) -> String {
        let fault = |name: &str| match name {
            _ if !self.fields.dns_names => None,
            name if name.contains('*') => Some("a wildcard is no name"),
            name => (!fits_dns(name)).then_some("no letters, digits, '-', '_' joined by dots"),
        };
        let names = self.dns_names.iter().map(|name| (name.as_str(), fault(name)));
        format!("DNS names{}: {}", unless_looked_at(self.fields.dns_names), listed(names))
    }

    fn of_uris(&self) -> String {
        let is_looked_at = !self.fields.spiffe.is_empty();
        let fault = |uri: &str| match self.uris.len() {
            _ if !is_looked_at => None,
            1 if self.fields.fits_uri(uri).is_none() => Some("does not fit the pattern"),
            1 => None,
            _ => Some("of several none counts"),
        };
        let uris = self.uris.iter().map(|uri| (uri.as_str(), fault(uri)));
        let patterns: Vec<String> = self.fields.spiffe.iter().map(ToString::to_string).collect();
        let patterns = match is_looked_at {
            true => format!(" (pattern {})", patterns.join(" or ")),
            false => unless_looked_at(false).to_owned(),
        };
        format!("URIs{patterns}: {}", listed(uris))
    }

    fn of_common_name(&self) -> String {
        let fault = |name: &Option<String>| match name {
            _ if !self.fields.common_name => None,
            _ if !self.only_addresses => Some("counts only without DNS names and URIs"),
            _ if self.common_names.len() > 1 => Some("of several none counts"),
            Some(name) if name.contains('*') => Some("a wildcard is no name"),
            Some(name) if !fits_length(name) => Some("too long or empty"),
            Some(_) => None,
            None => Some("not plain text"),
        };
        let text = |name: &'_ Option<String>| name.clone().unwrap_or_default();
        let names: Vec<_> =
            self.common_names.iter().map(|name| (text(name), fault(name))).collect();
        let names = names.iter().map(|(name, fault)| (name.as_str(), *fault));
        format!("common name{}: {}", unless_looked_at(self.fields.common_name), listed(names))
    }
}

impl fmt::Display for NameReading {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [self.of_dns_names(), self.of_uris(), self.of_common_name()];
        formatter.write_str(&parts.join("; "))
    }
}

fn unless_looked_at(is_looked_at: bool) -> &'static str {
    if is_looked_at { "" } else { " (not looked at)" }
}

/// Values of a field, each with why it proves nothing: at most eight of at most 100 characters.
fn listed<'a>(values: impl Iterator<Item = (&'a str, Option<&'static str>)>) -> String {
    const MOST: usize = 8;
    let mut texts: Vec<String> = values
        .map(|(value, fault)| {
            let (cut, rest) = value
                .char_indices()
                .nth(100)
                .map_or((value, ""), |(end, _)| (value.get(..end).unwrap_or_default(), "…"));
            match fault {
                Some(fault) => format!("{cut:?}{rest} ({fault})"),
                None => format!("{cut:?}{rest}"),
            }
        })
        .collect();
    if texts.len() > MOST {
        let more = texts.len() - MOST;
        texts.truncate(MOST);
        texts.push(format!("{more} more"));
    }
    if texts.is_empty() { String::from("none") } else { texts.join(", ") }
}

/// The text of a field whose bytes are the text itself. Other types hold other bytes than UTF-8,
/// and could be read as two names; boring's conversion stops at a NUL, so that "ada\0evil" would
/// prove "ada".
fn plain_text(field: &Asn1StringRef) -> Option<String> {
    let text = field.as_utf8().ok()?;
    (text.as_bytes() == field.as_slice()).then(|| text.to_owned())
}

/// Whether the certificate's bytes hold the identifier of alternative names, 2.5.29.17: then it has
/// some that cannot be read. (By accident other bytes are the same in one of 10^9 certificates.)
fn mentions_alternative_names(leaf: &X509Ref) -> bool {
    const IDENTIFIER: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x11];
    leaf.to_der().map_or(true, |der| der.windows(IDENTIFIER.len()).any(|found| found == IDENTIFIER))
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

fn admit(names: &mut Vec<String>, name: &str) {
    if fits_length(name) && names.len() < MAX_NAMES && !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

fn fits_length(name: &str) -> bool {
    (1..=MAX_NAME_LENGTH).contains(&name.len()) && !name.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

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
            admit(&mut names, name);
        }
        assert_eq!(names, ["ada", &longest]);
        for number in 0..100 {
            admit(&mut names, &number.to_string());
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
