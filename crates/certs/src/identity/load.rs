//! From three PEM texts to an identity that is known to work, or to the reason why not.
//!
//! Checks in the order in which people can mend things: readable, PEM, a key that fits, dates,
//! and last the way to a root. Nothing of a text that fails is kept.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use boring::error::ErrorStack;
use boring::stack::Stack;
use boring::x509::{X509, X509Ref, X509StoreContext, X509VerifyError};
use ring::hkdf;

use super::error::one_line;
use super::{Identity, IdentityError, IdentityFiles, Inner};
use crate::validity::{self, Validity};
use crate::{files, names, pem, trust};

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
        let identity = parse(&self.sources, &self.authority, &self.certificate, &self.key, now)?;
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
pub(super) struct Sources {
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

pub(super) fn parse(
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
    if now >= validity.not_after {
        return Err(IdentityError::Expired { certificate, not_after: validity.not_after });
    }
    if now < validity.not_before {
        return Err(IdentityError::NotYetValid { certificate, not_before: validity.not_before });
    }
    verify(&leaf, &intermediates, &roots, now).map_err(|detail| IdentityError::Untrusted {
        certificate,
        authority: sources.authority.clone(),
        detail,
    })?;

    let fingerprint = trust::fingerprint(&leaf).map_err(|error| damaged(&error))?;
    let encoded = key.private_key_to_der_pkcs8().map_err(|error| damaged(&error))?;
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
    let text = |error: ErrorStack| one_line(&error.to_string());
    let store = trust::store(roots).map_err(text)?.build();
    let mut chain = Stack::new().map_err(text)?;
    for intermediate in intermediates {
        chain.push(intermediate.clone()).map_err(text)?;
    }
    let mut context = X509StoreContext::new().map_err(text)?;
    let verdict = context
        .init(&store, leaf, &chain, |context| {
            context.verify_param_mut().set_time(validity::to_unix(now));
            context.verify_cert().map(|_| (context.verify_result(), context.error_depth()))
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
