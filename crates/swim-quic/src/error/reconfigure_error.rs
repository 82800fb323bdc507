//! Why settings were not changed.

use swim_core::{ConfigError, ReconfigureRefusal};
use thiserror::Error;

use super::CommandError;

/// Why the settings of a running member were not changed. None of them was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReconfigureError {
    /// A setting would not work, or may not change while a member runs.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// This member has left, or is leaving.
    #[error("this member has left: start a new one")]
    Left,
    /// The driver thread did not take the command.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl ReconfigureError {
    pub(crate) fn from_refusal(refusal: ReconfigureRefusal) -> Self {
        match refusal {
            ReconfigureRefusal::Config(error) => Self::Config(error),
            ReconfigureRefusal::HasLeft => Self::Left,
        }
    }
}
