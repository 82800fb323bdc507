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
use crate::with_sources::with_sources;

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
    /// The files changed and cannot be used: the former identity stays. Once per change, when two
    /// looks in a row have found the same: files that are replaced one after the other fit again
    /// a moment later.
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
            Self::Kept(error) => {
                write!(f, "keeping the former certificate: {}", with_sources(error))
            }
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

/// What becomes of what the files hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It is the identity in use.
    InUse,
    /// It cannot be used; another look is to show whether it stays so.
    Doubted,
    /// It cannot be used, and that was told.
    Refused,
}

/// Follows the files of one identity. Call [`poll`](Self::poll) every few seconds: it reads
/// three small files twice and does nothing else while they stay the same.
pub struct Reloader {
    files: IdentityFiles,
    identity: Identity,
    /// What the last look found.
    seen: Result<Texts, IdentityError>,
    standing: Standing,
    announced: usize,
}

impl Reloader {
    /// Loads the files and follows them from here on. Files that are being replaced at this very
    /// moment are read again, up to four times.
    ///
    /// # Errors
    ///
    /// [`IdentityError`], as [`Identity::load`].
    pub fn new(files: IdentityFiles, now: SystemTime) -> Result<Self, IdentityError> {
        let texts = settled(&files).unwrap_or_else(|| Texts::read(&files))?;
        let identity = Identity::new(texts.parse(now)?);
        Ok(Self { files, identity, seen: Ok(texts), standing: Standing::InUse, announced: 0 })
    }

    /// The identity in use.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Looks at the files and the calendar; at most two notices, a renewal or refusal first. What
    /// cannot be used is tried again at each look, since it may only not be valid yet.
    pub fn poll(&mut self, now: SystemTime) -> Vec<Notice> {
        let mut notices = Vec::new();
        if let Some(texts) = settled(&self.files) {
            let is_new = !same(&texts, &self.seen);
            if is_new || self.standing != Standing::InUse {
                notices.extend(self.reload(&texts, is_new, now));
                self.seen = texts;
            }
        }
        notices.extend(self.announce(now));
        notices
    }

    fn reload(
        &mut self,
        texts: &Result<Texts, IdentityError>,
        is_new: bool,
        now: SystemTime,
    ) -> Option<Notice> {
        let loaded = texts.as_ref().map_err(Clone::clone).and_then(|texts| texts.parse(now));
        let former = self.standing;
        match loaded.map(Identity::new) {
            Err(_) if is_new => {
                self.standing = Standing::Doubted;
                None
            }
            Err(error) => {
                self.standing = Standing::Refused;
                (former == Standing::Doubted).then_some(Notice::Kept(error))
            }
            // Damage that was undone, or whitespace: the identity in use is the one on disk.
            Ok(identity) if identity.same_as(&self.identity) => {
                self.standing = Standing::InUse;
                None
            }
            Ok(identity) => {
                self.standing = Standing::InUse;
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

/// Reads until two readings agree: then no file was replaced between the first and the last of
/// them, and certificate and key are of one generation. `None` if they never do; the next poll
/// looks again.
fn settled(files: &IdentityFiles) -> Option<Result<Texts, IdentityError>> {
    let mut last = Texts::read(files);
    for _ in 1..MOST_READINGS {
        let next = Texts::read(files);
        if same(&last, &next) {
            return Some(next);
        }
        last = next;
    }
    None
}

/// So often the files are read at a time.
const MOST_READINGS: usize = 4;

/// Whether two readings found the same. Errors of the operating system have no equality of their
/// own, so they are compared as they are reported.
fn same(a: &Result<Texts, IdentityError>, b: &Result<Texts, IdentityError>) -> bool {
    match (a, b) {
        (Ok(a), Ok(b)) => a == b,
        (Err(a), Err(b)) => a.to_string() == b.to_string(),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    }
}
