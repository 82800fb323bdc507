//! What the certificates of a connection say once TLS has accepted them: how they are known, and
//! until when they count.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use boring::asn1::{Asn1Time, Asn1TimeRef};
use boring::ssl::SslRef;
use boring::x509::X509;

/// The certificates of both sides of one connection.
#[derive(Debug)]
pub(crate) struct Certificates {
    /// The peer's leaf, in DER.
    pub(crate) leaf: Vec<u8>,
    /// SHA-256 of the peer's leaf.
    pub(crate) fingerprint: [u8; 32],
    /// SHA-256 of what the peer sent beside its leaf.
    pub(crate) issuers: Vec<[u8; 32]>,
    /// When the first of the two leaves ends.
    pub(crate) expires: Option<SystemTime>,
}

impl Certificates {
    /// `None` if the peer has shown none.
    pub(crate) fn of(quic: &mut quiche::Connection) -> Option<Self> {
        let leaf = quic.peer_cert()?.to_vec();
        let sent = quic.peer_cert_chain().unwrap_or_default();
        let issuers = sent.into_iter().skip(1).map(fingerprint).collect();
        let ssl: &mut SslRef = quic.as_mut();
        // The context's and not the connection's, which would parse the certificate again and keep
        // it for as long as it lives.
        let own = ssl.ssl_context().certificate();
        let own = own.and_then(|own| to_system_time(own.not_after()));
        let theirs = X509::from_der(&leaf).ok().and_then(|leaf| to_system_time(leaf.not_after()));
        let expires = own.into_iter().chain(theirs).min();
        Some(Self { fingerprint: fingerprint(&leaf), leaf, issuers, expires })
    }
}

fn fingerprint(der: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, der);
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest.as_ref());
    fingerprint
}

/// `None` before 1970, and where the clock of this machine does not reach.
fn to_system_time(time: &Asn1TimeRef) -> Option<SystemTime> {
    let difference = Asn1Time::from_unix(0).ok()?.diff(time).ok()?;
    let seconds = i64::from(difference.days) * 86_400 + i64::from(difference.secs);
    UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}
