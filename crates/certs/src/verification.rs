//! What would be refused about a member's files, by whom, and what to do: all of it at once.
//!
//! Loading stops at the first fault; here the others are told as well.

use std::cmp::Ordering;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use boring::x509::X509;
use thiserror::Error;

use crate::error::{IdentityError, MissingUsage};
use crate::load::{IdentityFiles, Parts, Texts};
use crate::names::{self, NameFields, NameReading};
use crate::usage::Judged;
use crate::validity::{self, Validity};
use crate::{files, x509};

/// How long before its end a certificate is said to end soon, if that is its last third.
const SOON: Duration = Duration::from_secs(7 * 86_400);

/// Who refuses a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusedBy {
    /// The member itself: it does not start with these files.
    Member,
    /// Whoever it dials: the server side of the handshake.
    Dialed,
    /// Whoever dials it: the client side of the handshake.
    Dialing,
    /// All peers, on either side.
    Peers,
}

impl fmt::Display for RefusedBy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Member => "the member itself, when it starts",
            Self::Dialed => "every peer that it dials (the server side)",
            Self::Dialing => "every peer that dials it (the client side)",
            Self::Peers => "every peer, dialed or dialing (server and client side)",
        })
    }
}

/// Why a certificate would be refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("refused by {by}")]
#[non_exhaustive]
pub struct Objection {
    /// By whom.
    pub by: RefusedBy,
    /// Why, and what to do.
    #[source]
    pub cause: ObjectionCause,
}

/// Why a certificate would be refused, whoever refuses it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ObjectionCause {
    /// The files cannot be read, do not fit together, or the certificate does not count.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The certificate does not prove the name, by the fields that count.
    #[error(
        "{} does not prove the name {name:?} ({reading}): issue one for this name, or let another \
         field count",
        .certificate.display()
    )]
    Name {
        /// The file.
        certificate: PathBuf,
        /// The member's name.
        name: String,
        /// What the certificate holds.
        reading: Box<NameReading>,
    },
    /// The certificate proves no name at all, by the fields that count.
    #[error(
        "{} proves no name ({reading}): issue one with the member's name as DNS name, or let \
         another field count",
        .certificate.display()
    )]
    Nameless {
        /// The file.
        certificate: PathBuf,
        /// What the certificate holds.
        reading: Box<NameReading>,
    },
}

/// Something that is worth knowing, though nobody of ours refuses the certificate.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Remark {
    /// It holds no IP address.
    #[error(
        "there is no IP address in it: members dial it all the same, Go members do not; issue it \
         with the address that they dial"
    )]
    NoAddress,
    /// It ends within a week, and is in its last third.
    #[error("it ends at {}: issue a new one soon", validity::display(*.not_after))]
    EndsSoon {
        /// When it ends.
        not_after: SystemTime,
    },
    /// An issuer ends first.
    #[error(
        "an issuer ends at {}, before it: every peer refuses it from then on; renew the \
         issuer, and then it",
        validity::display(*.not_after)
    )]
    IssuerEndsFirst {
        /// When the first of its issuers ends.
        not_after: SystemTime,
    },
    /// Roots with one name cannot be told apart.
    #[error(
        "several roots are called {name:?}, and lack key identifiers: only the first of them \
         counts; make roots with subjectKeyIdentifier, or with names of their own"
    )]
    AlikeRoots {
        /// Their name.
        name: String,
    },
    /// Others than its owner may read the key.
    #[error(
        "others may read {file} (mode {mode:03o}): chmod 600 {file}",
        file = .file.display()
    )]
    ReadableKey {
        /// The key's file.
        file: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

/// All that is to be said of a member's files.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// Why it would be refused; empty if nobody refuses it.
    pub objections: Vec<Objection>,
    /// What else is worth knowing.
    pub remarks: Vec<Remark>,
    /// The names that the certificate proves, if it could be read.
    pub names: Vec<String>,
    /// When the certificate ends, if it could be read.
    pub not_after: Option<SystemTime>,
}

impl IdentityFiles {
    /// Looks at these files as the member itself and its peers would at `now`, those that trust the
    /// authority of these files and let `fields` prove names; for the member `name`, or any.
    ///
    /// ```no_run
    /// # use std::time::SystemTime;
    /// # use certs::{IdentityFiles, NameFields};
    /// let files = IdentityFiles::in_directory("/etc/swim", "ada");
    /// let found = files.verify(Some("ada"), &NameFields::default(), SystemTime::now());
    /// for objection in &found.objections {
    ///     eprintln!("{objection}");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn verify(&self, name: Option<&str>, fields: &NameFields, now: SystemTime) -> Verification {
        match Texts::read(self).and_then(|texts| texts.parts()) {
            Err(error) => {
                let objection = Objection { by: RefusedBy::Member, cause: error.into() };
                let objections = vec![objection];
                Verification { objections, remarks: vec![], names: vec![], not_after: None }
            }
            Ok(parts) => {
                let reading = NameReading::of(&parts.leaf, fields);
                let mut objections = self.objections(&parts, now);
                objections.extend(self.of_names(&reading, name));
                Verification {
                    objections,
                    remarks: self.remarks(&parts, now),
                    names: reading.proven().to_vec(),
                    not_after: Some(parts.validity.not_after),
                }
            }
        }
    }

    /// What is wrong with the certificate and its chain.
    fn objections(&self, parts: &Parts, now: SystemTime) -> Vec<Objection> {
        let object = |by, error: IdentityError| Objection { by, cause: error.into() };
        let Validity { not_before, not_after } = parts.validity;
        let dated = parts.check_dates(now);
        // A leaf outside its time is told once; its chain is looked at in its time.
        let chained_at = match (&dated, not_before < not_after) {
            (Err(_), true) => not_before,
            (Err(_) | Ok(()), _) => now,
        };
        let mut objections: Vec<_> =
            dated.err().into_iter().map(|error| object(RefusedBy::Peers, error)).collect();
        objections.extend(of_usages(parts, Judged::Leaf));
        match parts.check_chain(chained_at) {
            Err(error) => objections.push(object(RefusedBy::Peers, error)),
            Ok(()) if objections.is_empty() => objections.extend(of_usages(parts, Judged::Chain)),
            Ok(()) => {}
        }
        objections
    }

    fn of_names(&self, reading: &NameReading, name: Option<&str>) -> Option<Objection> {
        let certificate = self.certificate.clone();
        let proven = reading.proven();
        let cause = match name {
            Some(name) if !proven.iter().any(|proven| proven == name) => {
                let (name, reading) = (name.to_owned(), Box::new(reading.clone()));
                ObjectionCause::Name { certificate, name, reading }
            }
            None if proven.is_empty() => {
                ObjectionCause::Nameless { certificate, reading: Box::new(reading.clone()) }
            }
            Some(_) | None => return None,
        };
        Some(Objection { by: RefusedBy::Peers, cause })
    }

    fn remarks(&self, parts: &Parts, now: SystemTime) -> Vec<Remark> {
        let mut remarks = Vec::new();
        let Validity { not_before, not_after } = parts.validity;
        let last_third = not_after.duration_since(not_before).unwrap_or_default() / 3;
        if names::addresses_of(&parts.leaf).is_empty() {
            remarks.push(Remark::NoAddress);
        }
        if not_after.duration_since(now).is_ok_and(|left| left < SOON.min(last_third)) {
            remarks.push(Remark::EndsSoon { not_after });
        }
        remarks.extend(alike_roots(&parts.roots).map(|name| Remark::AlikeRoots { name }));
        // Of roots there may be others than the one of this chain.
        let issuers = match &parts.roots[..] {
            [root] => std::slice::from_ref(root),
            _ => &[],
        };
        let issuers = parts.intermediates.iter().chain(issuers);
        let ends = issuers.filter_map(|issuer| Validity::of(issuer).ok());
        if let Some(first) = ends.map(|validity| validity.not_after).min()
            && first < not_after
        {
            remarks.push(Remark::IssuerEndsFirst { not_after: first });
        }
        if let Some(mode) = files::readable_by_others(&self.key) {
            remarks.push(Remark::ReadableKey { file: self.key.clone(), mode });
        }
        remarks
    }
}

/// The name of the first root that has another one's and no key identifier.
fn alike_roots(roots: &[X509]) -> Option<String> {
    let is_hidden = |root: &X509, before: &X509| {
        let is_named_alike =
            root.subject_name().try_cmp(before.subject_name()).is_ok_and(Ordering::is_eq);
        let has_identifiers = root.subject_key_id().is_some() && before.subject_key_id().is_some();
        is_named_alike && !has_identifiers && root.to_der().ok() != before.to_der().ok()
    };
    let mut alike = roots
        .iter()
        .enumerate()
        .filter(|(index, root)| roots.iter().take(*index).any(|before| is_hidden(root, before)));
    alike.next().map(|(_, root)| x509::name_text(root.subject_name()))
}

/// What certificates may not be used for, with the side that looks at that.
fn of_usages(parts: &Parts, judged: Judged) -> Vec<Objection> {
    match parts.missing_usages(judged) {
        Err(error) => vec![Objection { by: RefusedBy::Member, cause: error.into() }],
        Ok(missing) => missing
            .into_iter()
            .map(|(missing, error)| {
                let by = match missing {
                    MissingUsage::Server => RefusedBy::Dialing,
                    MissingUsage::Client => RefusedBy::Dialed,
                    MissingUsage::Signature => RefusedBy::Peers,
                };
                Objection { by, cause: error.into() }
            })
            .collect(),
    }
}
