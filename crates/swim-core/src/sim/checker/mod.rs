//! The rules that no run may break, whatever the weather.
//!
//! Each checker works on plain data that the simulation takes from the machines through their
//! public methods, so that each can be shown to bite without a broken machine:
//!
//! - [`views`]: what may be believed after what was believed before;
//! - [`suspicions`]: how long a suspect has to object;
//! - [`memory`]: what machines make of accusations (needs every packet decoded);
//! - [`messages`]: application messages and operations arrive and end at most once;
//! - [`bounds`], [`agreement`]: tables stay small, and after a calm all views are equal and right.

pub(crate) mod agreement;
pub(crate) mod bounds;
pub(crate) mod messages;
pub(crate) mod suspicions;
pub(crate) mod tombstones;
pub(crate) mod views;

use std::fmt;

use crate::time::Time;

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When, by global time.
    pub at: Time,
    /// Which rule.
    pub rule: &'static str,
    /// Who believed what of whom.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {}", self.rule, self.at, self.detail)
    }
}

/// What one checker has to complain of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Breach {
    pub(crate) rule: &'static str,
    pub(crate) detail: String,
}

impl Breach {
    pub(crate) fn new(rule: &'static str, detail: String) -> Self {
        Self { rule, detail }
    }
}

/// All checkers with a memory of their own.
pub(crate) struct Checker {
    pub(crate) views: views::Views,
    pub(crate) suspicions: suspicions::Suspicions,
    pub(crate) messages: messages::Messages,
    pub(crate) tombstones: Option<tombstones::Tombstones>,
}

impl Checker {
    pub(crate) fn new(tap: bool) -> Self {
        Self {
            views: views::Views::default(),
            suspicions: suspicions::Suspicions::default(),
            messages: messages::Messages::default(),
            tombstones: tap.then(tombstones::Tombstones::default),
        }
    }
}
