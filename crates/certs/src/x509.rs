//! What several parts ask of parsed certificates: their fingerprint, and a store of roots.

use boring::error::ErrorStack;
use boring::hash::MessageDigest;
use boring::x509::store::X509StoreBuilder;
use boring::x509::verify::X509VerifyFlags;
use boring::x509::{X509, X509NameRef, X509Ref};

use crate::fingerprint::Fingerprint;

/// One certificate of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EncodedCertificate {
    /// Its DER form.
    pub der: Vec<u8>,
    /// The SHA-256 digest of that: what [`Trust::revoke`](crate::Trust::revoke) takes.
    pub fingerprint: Fingerprint,
}

impl EncodedCertificate {
    pub(crate) fn of(certificate: &X509Ref) -> Result<Self, ErrorStack> {
        Ok(Self { der: certificate.to_der()?, fingerprint: fingerprint(certificate)? })
    }
}

/// The most certificates in one PEM file: a chain has a handful, a bundle of roots for a
/// rotation a few more. Bounds the work that a wrong file can cause.
pub(crate) const MAX_CERTIFICATES: usize = 64;

pub(crate) fn fingerprint(certificate: &X509Ref) -> Result<Fingerprint, ErrorStack> {
    let digest = certificate.digest(MessageDigest::sha256())?;
    // SHA-256 has 32 bytes; another length could only be BoringSSL's error.
    let digest: [u8; Fingerprint::LEN] = (*digest).try_into().map_err(|_| ErrorStack::get())?;
    Ok(digest.into())
}

/// A store in which each root anchors chains, even if another authority signed it.
pub(crate) fn store(roots: &[X509]) -> Result<X509StoreBuilder, ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    for root in roots {
        store.add_cert(root)?;
    }
    store.try_set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    Ok(store)
}

/// A subject or an issuer as people read it: `O=Example, CN=ada`.
pub(crate) fn name_text(name: &X509NameRef) -> String {
    let text = |entry: &boring::x509::X509NameEntryRef| {
        let kind = entry.object().nid().short_name().unwrap_or("?").to_owned();
        let value = entry.data().as_utf8().map(|value| value.to_string()).unwrap_or_default();
        format!("{kind}={value}")
    };
    name.entries().map(text).collect::<Vec<_>>().join(", ")
}
