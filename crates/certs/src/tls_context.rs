//! Identity and trust as a TLS context: mutual, TLS 1.3 only, nothing resumed.
//!
//! All TLS options are chosen here. The builder serves both roles; whoever takes it
//! adds application protocols and must leave its verify mode alone, since setting that again
//! would drop the callback and the demand for a client certificate.

use boring::error::ErrorStack;
use boring::ssl::{
    SslContext, SslContextBuilder, SslMethod, SslOptions, SslSessionCacheMode,
    SslSignatureAlgorithm, SslVerifyMode, SslVersion,
};

use crate::crypto_error::CryptoError;
use crate::error::ContextError;
use crate::identity::Identity;
use crate::trust::Trust;

/// Which key agreements are offered and accepted, best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyExchange {
    /// X25519, then P-256 (all that Go offers in FIPS mode). A first flight fits one packet.
    #[default]
    Classic,
    /// X25519MLKEM768 before the classic ones. A first flight takes two packets.
    PostQuantum,
}

/// The longest chain, in certificates between leaf and root.
const MAX_DEPTH: u32 = 8;

/// Signature algorithms, best first. Ed25519 is in no library's default list.
const SIGNATURES: [SslSignatureAlgorithm; 7] = [
    SslSignatureAlgorithm::ECDSA_SECP256R1_SHA256,
    SslSignatureAlgorithm::ED25519,
    SslSignatureAlgorithm::ECDSA_SECP384R1_SHA384,
    SslSignatureAlgorithm::ECDSA_SECP521R1_SHA512,
    SslSignatureAlgorithm::RSA_PSS_RSAE_SHA256,
    SslSignatureAlgorithm::RSA_PSS_RSAE_SHA384,
    SslSignatureAlgorithm::RSA_PSS_RSAE_SHA512,
];

/// [`SIGNATURES`] in the same order, in the words of the list that also rules signing.
const SIGNATURE_NAMES: &str = "ecdsa_secp256r1_sha256:ed25519:ecdsa_secp384r1_sha384:\
     ecdsa_secp521r1_sha512:rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512";

/// A mutual TLS 1.3 context with [`KeyExchange::Classic`], for dialing and accepting.
///
/// Peers without a certificate, with one that does not lead to the trust's roots, outside its
/// validity, revoked, or (under [`NamePolicy::Match`](crate::NamePolicy::Match)) naming nobody
/// are refused with the alert that says so. Sessions are never resumed, because resumption skips
/// these checks.
///
/// # Errors
///
/// [`ContextError`] when BoringSSL refuses the identity's key or chain.
pub fn tls_context(identity: &Identity, trust: &Trust) -> Result<SslContextBuilder, ContextError> {
    tls_context_with(identity, trust, KeyExchange::default())
}

/// As [`tls_context`], with a choice of key agreements.
///
/// # Errors
///
/// [`ContextError`] when BoringSSL refuses the identity's key or chain.
pub fn tls_context_with(
    identity: &Identity,
    trust: &Trust,
    key_exchange: KeyExchange,
) -> Result<SslContextBuilder, ContextError> {
    Ok(build(identity, trust, key_exchange).map_err(CryptoError::of)?)
}

fn build(
    identity: &Identity,
    trust: &Trust,
    key_exchange: KeyExchange,
) -> Result<SslContextBuilder, ErrorStack> {
    let mut builder = SslContext::builder(SslMethod::tls())?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_3))?;
    builder.set_max_proto_version(Some(SslVersion::TLS1_3))?;
    builder.set_options(SslOptions::NO_TICKET);
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    builder.set_sigalgs_list(SIGNATURE_NAMES)?;
    builder.set_verify_algorithm_prefs(&SIGNATURES)?;
    builder.set_curves_list(match key_exchange {
        KeyExchange::Classic => "X25519:P-256",
        KeyExchange::PostQuantum => "X25519MLKEM768:X25519:P-256",
    })?;

    builder.set_certificate(identity.leaf())?;
    builder.set_private_key(identity.key())?;
    for intermediate in identity.intermediates() {
        builder.add_extra_chain_cert(intermediate.clone())?;
    }
    builder.check_private_key()?;

    builder.set_cert_store_builder(trust.store()?);
    builder.set_verify_depth(MAX_DEPTH);
    let trust = trust.clone();
    builder.set_verify_callback(
        SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
        move |chain_verdict, context| trust.accepts(chain_verdict, context),
    );
    Ok(builder)
}
