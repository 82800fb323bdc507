//! What several parts ask of parsed certificates: their fingerprint, and a store of roots.

use boring::error::ErrorStack;
use boring::hash::MessageDigest;
use boring::x509::store::X509StoreBuilder;
use boring::x509::verify::X509VerifyFlags;
use boring::x509::{X509, X509Ref};

/// The SHA-256 digest of a certificate's DER encoding: how revocation and logs name it.
pub type Fingerprint = [u8; 32];

/// The most certificates in one PEM file: a chain has a handful, a bundle of roots for a
/// rotation a few more. Bounds the work that a wrong file can cause.
pub(crate) const MAX_CERTIFICATES: usize = 64;

pub(crate) fn fingerprint(certificate: &X509Ref) -> Result<Fingerprint, ErrorStack> {
    let digest = certificate.digest(MessageDigest::sha256())?;
    // SHA-256 has 32 bytes; another length could only be BoringSSL's error.
    Fingerprint::try_from(&*digest).map_err(|_| ErrorStack::get())
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
