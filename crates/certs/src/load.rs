//! From three PEM texts to credentials that are known to work, or to the reason why not.
//!
//! The checks come in the order in which people can mend things: readable, PEM, a key that fits,
//! dates, and last the way to a root.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use boring::pkey::{PKey, Private};
use boring::stack::Stack;
use boring::x509::{X509, X509Ref, X509StoreContext};
use ring::hkdf;

use crate::error::{ChainError, DamageError, IdentityError};
use crate::names::{self, NameFields, NameReading};
use crate::validity::{self, Validity};
use crate::x509::Fingerprint;
use crate::{files, pem, usage, x509};

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
#[derive(PartialEq, Eq)]
pub(crate) struct Origins {
    authority: String,
    certificate: String,
    key: String,
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

pub(crate) fn parse(
    origins: &Origins,
    authority: &[u8],
    certificate: &[u8],
    key: &[u8],
    now: SystemTime,
) -> Result<Credentials, IdentityError> {
    let damaged = |source: DamageError| IdentityError::Malformed {
        origin: origins.certificate.clone(),
        source,
    };
    let roots = pem::certificates(authority, &origins.authority)?;
    let (leaf, intermediates) = pem::chain(certificate, &origins.certificate)?;
    let key = pem::private_key(key, &origins.key)?;

    let public = leaf.public_key().map_err(|error| damaged(error.into()))?;
    if !public.public_eq(&key) {
        return Err(IdentityError::KeyMismatch {
            certificate: origins.certificate.clone(),
            key: origins.key.clone(),
        });
    }
    let validity = Validity::of(&leaf).map_err(|error| damaged(error.into()))?;
    let certificate = origins.certificate.clone();
    if now >= validity.not_after {
        return Err(IdentityError::Expired { certificate, not_after: validity.not_after });
    }
    if now < validity.not_before {
        return Err(IdentityError::NotYetValid { certificate, not_before: validity.not_before });
    }
    if let Some(missing) =
        usage::missing(&leaf, &intermediates, &key).map_err(|error| damaged(error.into()))?
    {
        return Err(IdentityError::Usage { certificate, missing });
    }
    verify(&leaf, &intermediates, &roots, now).map_err(|source| IdentityError::Untrusted {
        certificate,
        authority: origins.authority.clone(),
        source,
    })?;

    let fingerprint = x509::fingerprint(&leaf).map_err(|error| damaged(error.into()))?;
    let encoded = key.private_key_to_der_pkcs8().map_err(|error| damaged(error.into()))?;
    let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&encoded);
    let names = NameReading::of(&leaf, &NameFields::default()).proven().to_vec();
    let addresses = names::addresses_of(&leaf);
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

/// Whether the chain leads to a root at `now`.
fn verify(
    leaf: &X509Ref,
    intermediates: &[X509],
    roots: &[X509],
    now: SystemTime,
) -> Result<(), ChainError> {
    let store = x509::store(roots)?.build();
    let mut chain = Stack::new()?;
    for intermediate in intermediates {
        chain.push(intermediate.clone())?;
    }
    let (verdict, depth) = X509StoreContext::new()?.init(&store, leaf, &chain, |context| {
        context.verify_param_mut().set_time(validity::to_unix(now));
        context.verify_cert().map(|_| (context.verify_result(), context.error_depth()))
    })?;
    verdict.map_err(|source| ChainError::Refused { source, depth })
}
