//! Following an identity's files: renewals are taken up, damage is reported, expiry announced.
//!
//! The files are read when the caller asks, and compared by content: a rewrite in place, a rename
//! and a swapped symbolic link all count alike, and a new modification time counts for nothing.
//! No connection changes here; what a renewal means for them is up to the caller.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::error::IdentityError;
use crate::identity::Identity;
use crate::load::{IdentityFiles, Texts};
use crate::validity;

const DAY: Duration = Duration::from_secs(86_400);

/// How long before the end of a certificate its expiry is announced.
pub const EXPIRY_NOTICES: [Duration; 3] =
    [Duration::from_secs(14 * 86_400), Duration::from_secs(7 * 86_400), DAY];

/// Something that [`Reloader::poll`] found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// The files hold another identity, which is in use from here on.
    Renewed(Identity),
    /// The files changed and cannot be used: the former identity stays. Once per change.
    Kept(IdentityError),
    /// The identity in use ends soon. Once at each of [`EXPIRY_NOTICES`] and once when `left` is
    /// zero; a late look announces only the nearest.
    Expiring {
        /// When the certificate ends.
        not_after: SystemTime,
        /// How long that is from now; zero if it is over.
        left: Duration,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Renewed(identity) => write!(
                f,
                "took up a new certificate, valid until {}",
                validity::display(identity.not_after())
            ),
            Self::Kept(error) => write!(f, "keeping the former certificate: {error}"),
            Self::Expiring { not_after, left } if left.is_zero() => write!(
                f,
                "the certificate expired at {}: peers refuse new connections; issue a new one",
                validity::display(*not_after)
            ),
            Self::Expiring { not_after, left } => write!(
                f,
                "the certificate expires at {}, in {} h: issue a new one",
                validity::display(*not_after),
                left.as_secs() / 3600
            ),
        }
    }
}

/// Follows the files of one identity. Call [`poll`](Self::poll) every few seconds: it reads
/// three small files and does nothing else while they stay the same.
pub struct Reloader {
    files: IdentityFiles,
    identity: Identity,
    seen: Result<Texts, IdentityError>,
    announced: usize,
}

impl Reloader {
    /// Loads the files and follows them from here on.
    ///
    /// # Errors
    ///
    /// [`IdentityError`], as [`Identity::load`].
    pub fn new(files: IdentityFiles, now: SystemTime) -> Result<Self, IdentityError> {
        let texts = Texts::read(&files)?;
        let identity = Identity::new(texts.parse(now)?);
        Ok(Self { files, identity, seen: Ok(texts), announced: 0 })
    }

    /// The identity in use.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Looks at the files and the calendar; at most two notices, a renewal or refusal first.
    pub fn poll(&mut self, now: SystemTime) -> Vec<Notice> {
        let mut notices = Vec::new();
        let texts = settled(&self.files);
        if !same(&texts, &self.seen) {
            notices.extend(self.reload(&texts, now));
            self.seen = texts;
        }
        notices.extend(self.announce(now));
        notices
    }

    fn reload(&mut self, texts: &Result<Texts, IdentityError>, now: SystemTime) -> Option<Notice> {
        let loaded = texts.as_ref().map_err(Clone::clone).and_then(|texts| texts.parse(now));
        match loaded.map(Identity::new) {
            Err(error) => Some(Notice::Kept(error)),
            // Damage that was undone, or whitespace: the identity in use is the one on disk.
            Ok(identity) if identity.same_as(&self.identity) => None,
            Ok(identity) => {
                self.identity = identity.clone();
                self.announced = 0;
                Some(Notice::Renewed(identity))
            }
        }
    }

    fn announce(&mut self, now: SystemTime) -> Option<Notice> {
        let not_after = self.identity.not_after();
        let left = not_after.duration_since(now).unwrap_or_default();
        let passed = EXPIRY_NOTICES.iter().filter(|notice| left <= **notice).count()
            + usize::from(left.is_zero());
        if passed <= self.announced {
            return None;
        }
        self.announced = passed;
        Some(Notice::Expiring { not_after, left })
    }
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader")
            .field("files", &self.files)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// Reads until two readings agree, so that a set swapped between two files is not taken for a
/// damaged one. A third reading stands as it is; the next poll looks again.
fn settled(files: &IdentityFiles) -> Result<Texts, IdentityError> {
    let first = Texts::read(files);
    let second = Texts::read(files);
    if same(&first, &second) { second } else { Texts::read(files) }
}

/// Whether two readings found the same. Errors of the operating system have no equality of their
/// own, so they are compared as they are reported.
fn same(a: &Result<Texts, IdentityError>, b: &Result<Texts, IdentityError>) -> bool {
    match (a, b) {
        (Ok(a), Ok(b)) => a == b,
        (Err(a), Err(b)) => a.to_string() == b.to_string(),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    }
}
