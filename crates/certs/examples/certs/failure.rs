//! Why nothing was done: one line, and an exit code.

use std::error::Error;

use certs::{AuthorityError, SaveError, with_sources};

/// One line for people, and the exit code.
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) code: u8,
}

impl Failure {
    pub(crate) fn input(error: impl Into<Box<dyn Error>>) -> Self {
        Self { message: with_sources(&*error.into()), code: INPUT }
    }
}

impl From<SaveError> for Failure {
    fn from(error: SaveError) -> Self {
        let code = match error {
            SaveError::Unwritable { .. } => MACHINE,
            SaveError::Exists { .. } | SaveError::FileName { .. } | _ => INPUT,
        };
        Self { message: with_sources(&error), code }
    }
}

impl From<AuthorityError> for Failure {
    fn from(error: AuthorityError) -> Self {
        Self { message: with_sources(&error), code: MACHINE }
    }
}

pub(crate) const INPUT: u8 = 2;
pub(crate) const MACHINE: u8 = 1;
/// A peer would refuse the certificate.
pub(crate) const REFUSED: u8 = 1;
