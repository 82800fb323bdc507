//! What BoringSSL says, in types of this crate.

use boring::error::ErrorStack;
use boring::x509::X509VerifyError;
use thiserror::Error;

/// What BoringSSL said when it failed. Two are equal if they say the same.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text}")]
pub struct CryptoError {
    text: String,
}

impl CryptoError {
    // No `From`: it would be a part of the public API, and BoringSSL's types are none.
    pub(crate) fn of(stack: ErrorStack) -> Self {
        Self { text: stack.to_string() }
    }
}

/// What BoringSSL's verifier said of a certificate that it refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{}", .0.error_string())]
pub struct VerifyError(X509VerifyError);

impl VerifyError {
    pub(crate) fn of(verdict: X509VerifyError) -> Self {
        Self(verdict)
    }
}
