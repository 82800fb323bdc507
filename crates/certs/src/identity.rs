//! One member's certificate, chain and key, checked once when they are loaded.
//!
//! What loads is usable: the key belongs to the certificate, the certificate is valid now and
//! leads to one of the roots that came with it. It neither watches files (see
//! [`Reloader`](crate::Reloader)) nor judges peers (see [`Trust`]).

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use boring::pkey::{PKey, PKeyRef, Private};
use boring::stack::Stack;
use boring::x509::{X509, X509Ref, X509StoreContext, X509VerifyError};
use ring::hkdf;

use crate::trust::{self, Trust};
use crate::validity::{self, Validity};
use crate::{Fingerprint, files, names, pem};

/// One member's leaf certificate, its intermediates, its private key, and the roots it was
/// loaded with. Cheap to clone. `Debug` shows no key material.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {
    leaf: X509,
    intermediates: Vec<X509>,
    key: PKey<Private>,
    roots: Vec<X509>,
    names: Vec<String>,
    addresses: Vec<IpAddr>,
    validity: Validity,
    fingerprint: Fingerprint,
    secret: hkdf::Prk,
}

/// Where an identity's three PEM files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFiles {
    /// The roots to trust: one or more certificates.
    pub authority: PathBuf,
    /// The leaf certificate, then any intermediates, leaf side first.
    pub certificate: PathBuf,
    /// The leaf's private key, which only its owner should be able to read (0600).
    pub key: PathBuf,
}

impl IdentityFiles {
    /// The layout that [`Authority`](crate::Authority) saves: `ca.pem`, `NAME.pem`, `NAME.key`.
    pub fn in_directory(directory: &Path, name: &str) -> Self {
        Self {
            authority: directory.join("ca.pem"),
            certificate: directory.join(format!("{name}.pem")),
            key: directory.join(format!("{name}.key")),
        }
    }
}

impl Identity {
    /// Loads three PEM files, each at most 1 MiB, and checks them against the wall clock.
    ///
    /// A key file that others may read is loaded with a warning in the log.
    ///
    /// # Errors
    ///
    /// [`IdentityError`], with the file, the cause and the remedy on one line.
    pub fn from_pem_files(
        authority: impl AsRef<Path>,
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, IdentityError> {
        let files = IdentityFiles {
            authority: authority.as_ref().to_owned(),
            certificate: certificate.as_ref().to_owned(),
            key: key.as_ref().to_owned(),
        };
        Self::load(&files, validity::wall_clock())
    }

    /// As [`from_pem_files`](Self::from_pem_files), judging validity at `now`.
    ///
    /// # Errors
    ///
    /// [`IdentityError`], with the file, the cause and the remedy on one line.
    pub fn load(files: &IdentityFiles, now: SystemTime) -> Result<Self, IdentityError> {
        Texts::read(files)?.parse(now)
    }

    /// Builds an identity from PEM texts, judging validity by the wall clock. `authority` holds
    /// the roots, `certificate` the leaf followed by any intermediates. Keys: EC (P-256, P-384,
    /// P-521), RSA from 2048 bits, Ed25519; in SEC1, PKCS#1 or PKCS#8, not encrypted.
    ///
    /// # Errors
    ///
    /// [`IdentityError`], with the cause and the remedy on one line.
    pub fn from_pem(
        authority: &[u8],
        certificate: &[u8],
        key: &[u8],
    ) -> Result<Self, IdentityError> {
        Self::from_pem_at(authority, certificate, key, validity::wall_clock())
    }

    /// As [`from_pem`](Self::from_pem), judging validity at `now`.
    ///
    /// # Errors
    ///
    /// [`IdentityError`], with the cause and the remedy on one line.
    pub fn from_pem_at(
        authority: &[u8],
        certificate: &[u8],
        key: &[u8],
        now: SystemTime,
    ) -> Result<Self, IdentityError> {
        let sources = Sources::default();
        parse(&sources, authority, certificate, key, now)
    }

    /// The member names that this certificate proves; see [`peer_names`](crate::peer_names).
    pub fn names(&self) -> &[String] {
        &self.inner.names
    }

    /// The IP addresses among the alternative names. Go members only dial an address that is
    /// listed here, so it should contain the one that this member advertises.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.inner.addresses
    }

    /// The leaf's first second.
    pub fn not_before(&self) -> SystemTime {
        self.inner.validity.not_before
    }

    /// The leaf's last second. Peers refuse new handshakes after it; live connections stay.
    pub fn not_after(&self) -> SystemTime {
        self.inner.validity.not_after
    }

    /// SHA-256 of the leaf's DER encoding.
    pub fn fingerprint(&self) -> Fingerprint {
        self.inner.fingerprint
    }

    /// Trust in the roots that this identity was loaded with, under
    /// [`NamePolicy::Match`](crate::NamePolicy::Match), with nothing revoked. Each call starts a
    /// revocation set of its own; see [`Trust::renewed`] for rotations.
    pub fn trust(&self) -> Trust {
        Trust::new(self.inner.roots.clone())
    }

    /// A secret for stateless resets that survives restarts: HKDF-SHA256 over the private key,
    /// bound to the member's name and advertised port. Another key gives another secret, so keep
    /// the first one across rotations.
    pub fn reset_secret(&self, name: impl AsRef<[u8]>, port: u16) -> [u8; 32] {
        let port = port.to_be_bytes();
        let info = [RESET_INFO, &port, name.as_ref()];
        let mut secret = [0; 32];
        self.inner
            .secret
            .expand(&info, hkdf::HKDF_SHA256)
            .and_then(|output| output.fill(&mut secret))
            .expect("32 bytes are one block of HKDF-SHA256");
        secret
    }

    /// Whether both stand for the same certificates, key and roots.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        let (a, b) = (&*self.inner, &*other.inner);
        let equal = |a: &[X509], b: &[X509]| {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|(a, b)| a.to_der().ok() == b.to_der().ok())
        };
        a.fingerprint == b.fingerprint
            && equal(&a.intermediates, &b.intermediates)
            && equal(&a.roots, &b.roots)
    }

    pub(crate) fn leaf(&self) -> &X509Ref {
        &self.inner.leaf
    }

    pub(crate) fn intermediates(&self) -> &[X509] {
        &self.inner.intermediates
    }

    pub(crate) fn key(&self) -> &PKeyRef<Private> {
        &self.inner.key
    }

    pub(crate) fn roots(&self) -> &[X509] {
        &self.inner.roots
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("names", &self.inner.names)
            .field("addresses", &self.inner.addresses)
            .field("not_after", &self.inner.validity.not_after)
            .finish_non_exhaustive()
    }
}

/// Why a certificate, its key or its roots cannot be used. Each variant prints on one line what
/// is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityError {
    /// The operating system did not let us read the file.
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// Its words.
        reason: String,
    },
    /// More than 1 MiB, or more than 64 certificates.
    TooLarge {
        /// The file, or which of the texts.
        source: String,
    },
    /// No PEM block of the kind that belongs there.
    NotPem {
        /// The file, or which of the texts.
        source: String,
        /// The kind of block that belongs there.
        expected: &'static str,
        /// The kind of the first block that is there instead, if any.
        found: Option<String>,
    },
    /// The PEM block holds nothing that parses.
    Malformed {
        /// The file, or which of the texts.
        source: String,
        /// What the parser says.
        detail: String,
    },
    /// The private key is protected by a passphrase.
    EncryptedKey {
        /// The file, or which of the texts.
        source: String,
    },
    /// A kind or size of key that peers would not accept.
    UnsupportedKey {
        /// The file, or which of the texts.
        source: String,
        /// What it is.
        detail: String,
    },
    /// The private key belongs to another certificate.
    KeyMismatch {
        /// Where the certificate is from.
        certificate: String,
        /// Where the key is from.
        key: String,
    },
    /// The certificate's time is over.
    Expired {
        /// Where the certificate is from.
        certificate: String,
        /// Its last second.
        not_after: SystemTime,
    },
    /// The certificate's time has not come.
    NotYetValid {
        /// Where the certificate is from.
        certificate: String,
        /// Its first second.
        not_before: SystemTime,
    },
    /// The certificate does not lead to any of the roots.
    Untrusted {
        /// Where the certificate is from.
        certificate: String,
        /// Where the roots are from.
        authority: String,
        /// What the verifier says.
        detail: String,
    },
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, reason } => write!(
                f,
                "cannot read {}: {reason}; check the path and its permissions",
                file.display()
            ),
            Self::TooLarge { source } => write!(
                f,
                "{source} is larger than 1 MiB or holds more than {} certificates: is it the \
                 right file?",
                pem::MAX_CERTIFICATES
            ),
            Self::NotPem {
                source,
                expected,
                found: Some(found),
            } => write!(
                f,
                "{source} holds a PEM block {found} where {expected} belongs: were two files \
                 swapped?"
            ),
            Self::NotPem {
                source,
                expected,
                found: None,
            } => write!(
                f,
                "{source} is not PEM: it needs a block -----BEGIN {expected}----- (openssl \
                 converts DER with -inform DER)"
            ),
            Self::Malformed { source, detail } => {
                write!(
                    f,
                    "{source} is damaged ({}): make it or copy it again",
                    one_line(detail)
                )
            }
            Self::EncryptedKey { source } => write!(
                f,
                "{source} is protected by a passphrase: decrypt it (openssl pkey -in OLD -out \
                 NEW) and keep it readable by its owner only"
            ),
            Self::UnsupportedKey { source, detail } => write!(
                f,
                "{source} is {detail}: use EC P-256 (best), P-384 or P-521, Ed25519, or RSA \
                 from 2048 bits"
            ),
            Self::KeyMismatch { certificate, key } => write!(
                f,
                "{key} is not the private key of {certificate}: give the two that were made \
                 together"
            ),
            Self::Expired {
                certificate,
                not_after,
            } => write!(
                f,
                "{certificate} expired at {}: issue a new one",
                validity::display(*not_after)
            ),
            Self::NotYetValid {
                certificate,
                not_before,
            } => write!(
                f,
                "{certificate} is not valid before {}: check this machine's clock",
                validity::display(*not_before)
            ),
            Self::Untrusted {
                certificate,
                authority,
                detail,
            } => write!(
                f,
                "{certificate} does not lead to {authority} ({detail}): use the authority that \
                 issued it, and append its intermediates"
            ),
        }
    }
}

impl std::error::Error for IdentityError {}

/// The three PEM texts as they were in their files at one moment.
#[derive(PartialEq, Eq)]
pub(crate) struct Texts {
    authority: Vec<u8>,
    certificate: Vec<u8>,
    key: Vec<u8>,
    sources: Sources,
}

impl Texts {
    pub(crate) fn read(files: &IdentityFiles) -> Result<Self, IdentityError> {
        let source = |path: &Path| path.display().to_string();
        Ok(Self {
            authority: pem::read(&files.authority)?,
            certificate: pem::read(&files.certificate)?,
            key: pem::read(&files.key)?,
            sources: Sources {
                authority: source(&files.authority),
                certificate: source(&files.certificate),
                key: source(&files.key),
            },
        })
    }

    pub(crate) fn parse(&self, now: SystemTime) -> Result<Identity, IdentityError> {
        let identity = parse(
            &self.sources,
            &self.authority,
            &self.certificate,
            &self.key,
            now,
        )?;
        if let Some(mode) = files::readable_by_others(Path::new(&self.sources.key)) {
            log::warn!(
                "{key} holds a private key that others may read (mode {mode:03o}): chmod 600 {key}",
                key = self.sources.key
            );
        }
        Ok(identity)
    }
}

/// How errors name the three texts.
#[derive(PartialEq, Eq)]
struct Sources {
    authority: String,
    certificate: String,
    key: String,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            authority: String::from("the authority's certificate"),
            certificate: String::from("the certificate"),
            key: String::from("the private key"),
        }
    }
}

/// Sets this derivation apart from any other that might ever be made from the same key.
const RESET_INFO: &[u8] = b"swim-quic stateless reset v1";

fn parse(
    sources: &Sources,
    authority: &[u8],
    certificate: &[u8],
    key: &[u8],
    now: SystemTime,
) -> Result<Identity, IdentityError> {
    let damaged = |error: &dyn fmt::Display| IdentityError::Malformed {
        source: sources.certificate.clone(),
        detail: error.to_string(),
    };
    let roots = pem::certificates(authority, &sources.authority)?;
    let mut chain = pem::certificates(certificate, &sources.certificate)?.into_iter();
    let leaf = chain.next().ok_or_else(|| damaged(&"no certificate"))?;
    let intermediates: Vec<X509> = chain.collect();
    let key = pem::private_key(key, &sources.key)?;

    let public = leaf.public_key().map_err(|error| damaged(&error))?;
    if !public.public_eq(&key) {
        return Err(IdentityError::KeyMismatch {
            certificate: sources.certificate.clone(),
            key: sources.key.clone(),
        });
    }
    let validity = Validity::of(&leaf).map_err(|error| damaged(&error))?;
    let certificate = sources.certificate.clone();
    if now > validity.not_after {
        return Err(IdentityError::Expired {
            certificate,
            not_after: validity.not_after,
        });
    }
    if now < validity.not_before {
        return Err(IdentityError::NotYetValid {
            certificate,
            not_before: validity.not_before,
        });
    }
    verify(&leaf, &intermediates, &roots, now).map_err(|detail| IdentityError::Untrusted {
        certificate,
        authority: sources.authority.clone(),
        detail,
    })?;

    let fingerprint = trust::fingerprint(&leaf).map_err(|error| damaged(&error))?;
    let encoded = key
        .private_key_to_der_pkcs8()
        .map_err(|error| damaged(&error))?;
    let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&encoded);
    let (names, addresses) = (names::of(&leaf), names::addresses_of(&leaf));
    Ok(Identity {
        inner: Arc::new(Inner {
            leaf,
            intermediates,
            key,
            roots,
            names,
            addresses,
            validity,
            fingerprint,
            secret,
        }),
    })
}

/// Whether the chain leads to a root at `now`; the error is what the verifier says.
fn verify(
    leaf: &X509Ref,
    intermediates: &[X509],
    roots: &[X509],
    now: SystemTime,
) -> Result<(), String> {
    let text = |error: boring::error::ErrorStack| one_line(&error.to_string());
    let store = trust::store(roots).map_err(text)?.build();
    let mut chain = Stack::new().map_err(text)?;
    for intermediate in intermediates {
        chain.push(intermediate.clone()).map_err(text)?;
    }
    let mut context = X509StoreContext::new().map_err(text)?;
    let verdict = context
        .init(&store, leaf, &chain, |context| {
            context.verify_param_mut().set_time(validity::to_unix(now));
            context
                .verify_cert()
                .map(|_| (context.verify_result(), context.error_depth()))
        })
        .map_err(text)?;
    match verdict {
        (Ok(()), _) => Ok(()),
        (Err(error), depth) => Err(explain(error, depth)),
    }
}

fn explain(error: X509VerifyError, depth: u32) -> String {
    match depth {
        0 => error.error_string().to_owned(),
        depth => format!("{}, {depth} above the leaf", error.error_string()),
    }
}

/// BoringSSL's error stacks come one entry per line.
fn one_line(text: &str) -> String {
    text.split(['\n', '\r'])
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}
