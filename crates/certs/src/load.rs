//! From three PEM texts to credentials that are known to work, or to the reason why not.
//!
//! The checks come in the order in which people can mend things: readable, PEM, a key that fits,
//! dates, and last the way to a root.

use std::cmp::Ordering;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use boring::error::ErrorStack;
use boring::pkey::{PKey, Private};
use boring::stack::Stack;
use boring::x509::{X509, X509Ref, X509StoreContext, X509StoreContextRef, X509VerifyError};
use ring::hkdf;

use crate::crypto_error::{CryptoError, VerifyError};
use crate::error::{ChainError, IdentityError, MissingUsage};
use crate::fingerprint::Fingerprint;
use crate::names::{self, NameFields, NameReading};
use crate::usage::{self, Judged};
use crate::validity::{self, Validity};
use crate::{files, pem, x509};

/// A leaf certificate, its chain, key and roots, checked to fit together.
pub(crate) struct Credentials {
    pub(crate) leaf: X509,
    pub(crate) intermediates: Vec<X509>,
    pub(crate) key: PKey<Private>,
    pub(crate) roots: Vec<X509>,
    pub(crate) names: Vec<String>,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) validity: Validity,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) secret: hkdf::Prk,
}

/// Where an identity's three PEM files are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
    ///
    /// ```
    /// # use certs::IdentityFiles;
    /// let files = IdentityFiles::in_directory("/etc/swim", "ada");
    /// assert_eq!(files.key, std::path::Path::new("/etc/swim/ada.key"));
    /// ```
    pub fn in_directory(directory: impl AsRef<Path>, name: &str) -> Self {
        let directory = directory.as_ref();
        Self {
            authority: directory.join("ca.pem"),
            certificate: directory.join(format!("{name}.pem")),
            key: directory.join(format!("{name}.key")),
        }
    }
}

/// The three PEM texts as they were in their files at one moment.
#[derive(PartialEq, Eq)]
pub(crate) struct Texts {
    authority: Vec<u8>,
    certificate: Vec<u8>,
    key: Vec<u8>,
    origins: Origins,
}

impl Texts {
    pub(crate) fn read(files: &IdentityFiles) -> Result<Self, IdentityError> {
        let origin = |path: &Path| path.display().to_string();
        Ok(Self {
            authority: pem::read(&files.authority)?,
            certificate: pem::read(&files.certificate)?,
            key: pem::read(&files.key)?,
            origins: Origins {
                authority: origin(&files.authority),
                certificate: origin(&files.certificate),
                key: origin(&files.key),
            },
        })
    }

    pub(crate) fn parts(&self) -> Result<Parts, IdentityError> {
        Parts::parse(&self.origins, &self.authority, &self.certificate, &self.key)
    }

    pub(crate) fn parse(&self, now: SystemTime) -> Result<Credentials, IdentityError> {
        let credentials = parse(&self.origins, &self.authority, &self.certificate, &self.key, now)?;
        if let Some(mode) = files::readable_by_others(Path::new(&self.origins.key)) {
            log::warn!(
                "{key} holds a private key that others may read (mode {mode:03o}): chmod 600 {key}",
                key = self.origins.key
            );
        }
        Ok(credentials)
    }
}

/// How errors name the three texts.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Origins {
    authority: String,
    certificate: String,
    key: String,
}

impl Origins {
    fn damaged(&self, error: ErrorStack) -> IdentityError {
        let source = CryptoError::of(error).into();
        IdentityError::Malformed { origin: self.certificate.clone(), source }
    }
}

impl Default for Origins {
    fn default() -> Self {
        Self {
            authority: String::from("the authority's certificate"),
            certificate: String::from("the certificate"),
            key: String::from("the private key"),
        }
    }
}

/// What the three texts hold, with a key that is the leaf's. All else is to be checked yet.
pub(crate) struct Parts {
    pub(crate) leaf: X509,
    pub(crate) intermediates: Vec<X509>,
    pub(crate) key: PKey<Private>,
    pub(crate) roots: Vec<X509>,
    pub(crate) validity: Validity,
    pub(crate) origins: Origins,
}

pub(crate) fn parse(
    origins: &Origins,
    authority: &[u8],
    certificate: &[u8],
    key: &[u8],
    now: SystemTime,
) -> Result<Credentials, IdentityError> {
    let parts = Parts::parse(origins, authority, certificate, key)?;
    parts.check_dates(now)?;
    if let Some((_, error)) = parts.missing_usages(Judged::Leaf)?.into_iter().next() {
        return Err(error);
    }
    parts.check_chain(now)?;
    if let Some((_, error)) = parts.missing_usages(Judged::Chain)?.into_iter().next() {
        return Err(error);
    }
    parts.into_credentials()
}

impl Parts {
    fn parse(
        origins: &Origins,
        authority: &[u8],
        certificate: &[u8],
        key: &[u8],
    ) -> Result<Self, IdentityError> {
        let roots = pem::certificates(authority, &origins.authority)?;
        let (leaf, intermediates) = pem::chain(certificate, &origins.certificate)?;
        let key = pem::private_key(key, &origins.key)?;

        let damaged = |error: ErrorStack| origins.damaged(error);
        if !leaf.public_key().map_err(damaged)?.public_eq(&key) {
            let is_its = |other: &X509| other.public_key().is_ok_and(|its| its.public_eq(&key));
            let (certificate, its_key) = (origins.certificate.clone(), origins.key.clone());
            return Err(match intermediates.iter().any(is_its) {
                true => IdentityError::LeafNotFirst { certificate, key: its_key },
                false => IdentityError::KeyMismatch { certificate, key: its_key },
            });
        }
        let validity = Validity::of(&leaf).map_err(damaged)?;
        Ok(Self { leaf, intermediates, key, roots, validity, origins: origins.clone() })
    }

    pub(crate) fn check_dates(&self, now: SystemTime) -> Result<(), IdentityError> {
        let certificate = self.origins.certificate.clone();
        let Validity { not_before, not_after } = self.validity;
        if now >= not_after {
            return Err(IdentityError::Expired { certificate, not_after });
        }
        if now < not_before {
            return Err(IdentityError::NotYetValid { certificate, not_before });
        }
        Ok(())
    }

    /// What the leaf, or any certificate of its chain, does not allow, and what is to be said.
    pub(crate) fn missing_usages(
        &self,
        judged: Judged,
    ) -> Result<Vec<(MissingUsage, IdentityError)>, IdentityError> {
        let certificate = &self.origins.certificate;
        let error = |missing| match judged {
            Judged::Leaf => IdentityError::Usage { certificate: certificate.clone(), missing },
            Judged::Chain => {
                IdentityError::IssuerUsage { certificate: certificate.clone(), missing }
            }
        };
        usage::missing(&self.leaf, &self.intermediates, &self.key, judged)
            .map(|all| all.into_iter().map(|missing| (missing, error(missing))).collect())
            .map_err(|error| self.origins.damaged(error))
    }

    /// Whether the chain leads to a root at `now`.
    pub(crate) fn check_chain(&self, now: SystemTime) -> Result<(), IdentityError> {
        verify(&self.leaf, &self.intermediates, &self.roots, now).map_err(|source| {
            IdentityError::Untrusted {
                certificate: self.origins.certificate.clone(),
                authority: self.origins.authority.clone(),
                source,
            }
        })
    }

    fn into_credentials(self) -> Result<Credentials, IdentityError> {
        let damaged = |error: ErrorStack| self.origins.damaged(error);
        let fingerprint = x509::fingerprint(&self.leaf).map_err(damaged)?;
        let encoded = self.key.private_key_to_der_pkcs8().map_err(damaged)?;
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&encoded);
        let names = NameReading::of(&self.leaf, &NameFields::default()).proven().to_vec();
        let addresses = names::addresses_of(&self.leaf);
        let Self { leaf, intermediates, key, roots, validity, origins: _ } = self;
        Ok(Credentials {
            leaf,
            intermediates,
            key,
            roots,
            names,
            addresses,
            validity,
            fingerprint,
            secret,
        })
    }
}

/// Whether the chain leads to a root at `now`.
fn verify(
    leaf: &X509Ref,
    intermediates: &[X509],
    roots: &[X509],
    now: SystemTime,
) -> Result<(), ChainError> {
    let refused = refusal(leaf, intermediates, roots, now).map_err(CryptoError::of)?;
    refused.map_or(Ok(()), Err)
}

/// What the verifier says against the chain, if it could look at it.
fn refusal(
    leaf: &X509Ref,
    intermediates: &[X509],
    roots: &[X509],
    now: SystemTime,
) -> Result<Option<ChainError>, ErrorStack> {
    let store = x509::store(roots)?.build();
    let mut chain = Stack::new()?;
    for intermediate in intermediates {
        chain.push(intermediate.clone())?;
    }
    let others: Vec<&X509> = roots.iter().chain(intermediates).collect();
    X509StoreContext::new()?.init(&store, leaf, &chain, |context| {
        context.verify_param_mut().set_time(validity::to_unix(now));
        context.verify_cert()?;
        let refused = context.verify_result().err();
        Ok(refused.map(|verdict| chain_error(verdict, context, &others)))
    })
}

/// Why the verifier stopped where it did; `others` are all certificates but the leaf.
fn chain_error(
    verdict: X509VerifyError,
    context: &X509StoreContextRef,
    others: &[&X509],
) -> ChainError {
    const NO_ISSUER: [X509VerifyError; 5] = [
        X509VerifyError::DEPTH_ZERO_SELF_SIGNED_CERT,
        X509VerifyError::UNABLE_TO_GET_ISSUER_CERT,
        X509VerifyError::UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
        X509VerifyError::UNABLE_TO_VERIFY_LEAF_SIGNATURE,
        X509VerifyError::SELF_SIGNED_CERT_IN_CHAIN,
    ];
    let (source, depth) = (VerifyError::of(verdict), context.error_depth());
    let Some(current) = context.current_cert() else {
        return ChainError::Refused { subject: String::new(), source, depth };
    };
    let subject = x509::name_text(current.subject_name());
    let issuer = x509::name_text(current.issuer_name());
    // A root that is not trusted, at the end of the chain, names itself.
    let is_there = others.iter().any(|other| {
        other.subject_name().try_cmp(current.issuer_name()).is_ok_and(Ordering::is_eq)
            && other.to_der().ok() != current.to_der().ok()
    });
    let is_missing = NO_ISSUER.contains(&verdict);
    if is_there && (is_missing || verdict == X509VerifyError::CERT_SIGNATURE_FAILURE) {
        ChainError::AnotherKey { subject, issuer, source, depth }
    } else if is_missing {
        ChainError::MissingIssuer { subject, issuer, source, depth }
    } else {
        ChainError::Refused { subject, source, depth }
    }
}
