//! What a certificate proves: who may speak in a cluster, under which names, and until when.
//!
//! [`Authority`] makes a cluster's own certificate authority and issues members from it;
//! [`Identity`] is one member's certificate, chain and key; [`Trust`] says whom to believe, and
//! [`tls_context`] turns the two into mutual TLS 1.3. [`Reloader`] follows files that change.
//!
//! This crate opens no socket and knows no protocol above TLS. Certificates from Go's `tlsutil`
//! helpers and from openssl are read as well as its own.
//!
//! ```
//! use std::net::IpAddr;
//! use std::time::Duration;
//!
//! const DAY: Duration = Duration::from_secs(86_400);
//! let authority = certs::Authority::generate("Example cluster", 3650 * DAY)?;
//! let issued = authority.issue("ada", &[IpAddr::from([127, 0, 0, 1])], 90 * DAY)?;
//! let identity = issued.identity()?;
//! assert_eq!(identity.names(), ["ada"]);
//! let builder = certs::tls_context(&identity, &identity.trust())?;
//! # drop(builder);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod authority;
mod crypto_error;
mod development;
mod error;
mod files;
mod fingerprint;
mod identity;
mod issue_error;
mod issued;
mod load;
mod names;
mod peer_certificate;
mod pem;
mod reload;
mod shared_io_error;
mod spiffe;
#[cfg(feature = "serde")]
mod text_serialization;
mod tls_context;
mod trust;
mod usage;
mod validity;
mod verification;
mod with_sources;
mod x509;

pub use authority::Authority;
pub use crypto_error::{CryptoError, VerifyError};
pub use error::{
    ChainError, ContextError, DamageError, IdentityError, MissingUsage, RevokeError, UnsupportedKey,
};
pub use files::Existing;
pub use fingerprint::{Fingerprint, FingerprintError};
pub use identity::Identity;
pub use issue_error::{AuthorityError, DevelopmentError, IssueError, SaveError};
pub use issued::{Issued, MemberRequest};
pub use load::IdentityFiles;
pub use names::{MAX_NAME_LENGTH, NameFields, NameReading, NamesError, peer_names};
pub use peer_certificate::PeerCertificate;
pub use reload::{EXPIRY_NOTICES, Notice, Reloader};
pub use shared_io_error::SharedIoError;
pub use spiffe::{SpiffePattern, SpiffePatternError};
pub use tls_context::{KeyExchange, tls_context, tls_context_with};
pub use trust::{MAX_REVOKED, NamePolicy, Trust};
pub use verification::{Objection, ObjectionCause, RefusedBy, Remark, Verification};
pub use with_sources::with_sources;
pub use x509::EncodedCertificate;
