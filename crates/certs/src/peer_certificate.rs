//! What a peer's certificate says of it, for rules of the application.

use boring::x509::X509;

use crate::crypto_error::CryptoError;
use crate::fingerprint::Fingerprint;
use crate::names::NamesError;
use crate::x509::fingerprint;

/// The most entries of each kind that are shown; further ones are left out.
const MAX_ENTRIES: usize = 64;
/// The longest entry in bytes, that of a SPIFFE ID (SPIFFE-ID, section 2.3). A longer one is left
/// out.
const MAX_ENTRY_LENGTH: usize = 2_048;
/// The most bytes of all entries together; what comes after them is left out.
const MAX_LENGTH: usize = 16 * 1024;

/// What the leaf certificate of a peer says of it. TLS has accepted the certificate: an authority
/// that is trusted has signed all of this.
///
/// Of each kind of entry the first 64 are shown. An entry that is longer than 2,048 bytes, is not
/// text or holds a NUL is left out, and so is what is beyond 16 KiB in all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerCertificate {
    fingerprint: Fingerprint,
    common_names: Vec<String>,
    dns_names: Vec<String>,
    uris: Vec<String>,
}

impl PeerCertificate {
    /// Reads a leaf certificate in DER.
    ///
    /// # Errors
    ///
    /// [`NamesError::NotACertificate`] when the bytes do not parse.
    ///
    /// ```no_run
    /// # use certs::PeerCertificate;
    /// let peer = PeerCertificate::from_der(&std::fs::read("peer.der")?)?;
    /// println!("{} holds {:?}", peer.fingerprint(), peer.dns_names());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_der(leaf: &[u8]) -> Result<Self, NamesError> {
        let leaf = X509::from_der(leaf).map_err(CryptoError::of)?;
        let fingerprint = fingerprint(&leaf).map_err(CryptoError::of)?;
        let mut left = MAX_LENGTH;
        let subject = leaf.subject_name();
        let common_names = subject.entries_by_nid(boring::nid::Nid::COMMONNAME);
        // As raw UTF-8: boring's own conversion stops at a NUL.
        let common_names = common_names.map(|entry| entry.data().as_slice());
        let common_names =
            shown(common_names.filter_map(|data| std::str::from_utf8(data).ok()), &mut left);
        let alternatives = leaf.subject_alt_names();
        let alternatives = || alternatives.iter().flatten();
        let dns_names = shown(alternatives().filter_map(|name| name.dnsname()), &mut left);
        let uris = shown(alternatives().filter_map(|name| name.uri()), &mut left);
        Ok(Self { fingerprint, common_names, dns_names, uris })
    }

    /// SHA-256 of the certificate in DER.
    ///
    /// ```no_run
    /// # fn example(peer: &certs::PeerCertificate) {
    /// println!("to revoke it: {}", peer.fingerprint());
    /// # }
    /// ```
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The common names of its subject: one, or none where alternative names took their place.
    ///
    /// ```no_run
    /// # fn example(peer: &certs::PeerCertificate) {
    /// let is_named = peer.common_names().iter().any(|name| name == "ada");
    /// # }
    /// ```
    #[must_use]
    pub fn common_names(&self) -> &[String] {
        &self.common_names
    }

    /// Its DNS alternative names, in their order.
    ///
    /// ```no_run
    /// # fn example(peer: &certs::PeerCertificate) {
    /// let is_ours = peer.dns_names().iter().all(|name| name.ends_with(".example.org"));
    /// # }
    /// ```
    #[must_use]
    pub fn dns_names(&self) -> &[String] {
        &self.dns_names
    }

    /// Its URI alternative names, such as SPIFFE IDs, in their order.
    ///
    /// ```no_run
    /// # fn example(peer: &certs::PeerCertificate) {
    /// let has_spiffe_id = peer.uris().iter().any(|uri| uri.starts_with("spiffe://"));
    /// # }
    /// ```
    #[must_use]
    pub fn uris(&self) -> &[String] {
        &self.uris
    }

    /// How many bytes its entries have.
    ///
    /// ```no_run
    /// # fn example(peer: &certs::PeerCertificate) {
    /// println!("{} bytes of names are kept", peer.size());
    /// # }
    /// ```
    #[must_use]
    pub fn size(&self) -> usize {
        let entries = [&self.common_names, &self.dns_names, &self.uris].into_iter().flatten();
        entries.map(String::len).sum()
    }
}

fn shown<'a>(entries: impl Iterator<Item = &'a str>, left: &mut usize) -> Vec<String> {
    let fit = entries.filter(|entry| {
        let fits = entry.len() <= MAX_ENTRY_LENGTH.min(*left) && !entry.contains('\0');
        *left -= if fits { entry.len() } else { 0 };
        fits
    });
    fit.take(MAX_ENTRIES).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_are_too_long_or_too_many_are_left_out() {
        let (longest, longer) = ("a".repeat(MAX_ENTRY_LENGTH), "b".repeat(MAX_ENTRY_LENGTH + 1));
        let mut left = MAX_LENGTH;
        let kept = shown(["x", "y\0z", &longer, &longest].into_iter(), &mut left);
        assert_eq!(kept, ["x", &longest]);
        assert_eq!(left, MAX_LENGTH - 1 - MAX_ENTRY_LENGTH);
        let many: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        assert_eq!(shown(many.iter().map(String::as_str), &mut left).len(), MAX_ENTRIES);
        let mut left = 3;
        assert_eq!(shown(["ab", "cd", "e"].into_iter(), &mut left), ["ab", "e"]);
    }

    #[test]
    fn bytes_that_are_no_certificate_are_refused() {
        assert!(matches!(PeerCertificate::from_der(b"x"), Err(NamesError::NotACertificate(_))));
    }
}
