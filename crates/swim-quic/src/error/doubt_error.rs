//! Why a member could not be doubted.

use swim_core::{MemberName, NameError, SendRefusal};
use thiserror::Error;

use super::CommandError;

/// Why [`Cluster::doubt`](crate::Cluster::doubt) had no member to probe.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DoubtError {
    /// No member can have this name.
    #[error(transparent)]
    InvalidName(#[from] NameError),
    /// This member knows nobody of that name.
    #[error("no member is called {0}: look at members() for who is")]
    UnknownMember(MemberName),
    /// The member is dead or has left already.
    #[error("{0} is not there: it is dead or has left")]
    NotAlive(MemberName),
    /// This member has left, and probes nobody any more.
    #[error("this member has left: start a new one")]
    Left,
    /// The driver thread did not take the command.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl DoubtError {
    pub(crate) fn of(refusal: SendRefusal) -> Self {
        match refusal {
            SendRefusal::UnknownMember(name) => Self::UnknownMember(name),
            SendRefusal::NotAlive(name) => Self::NotAlive(name),
            SendRefusal::HasLeft => Self::Left,
            // A doubt has neither a payload nor an operation.
            refusal @ (SendRefusal::TooLarge { .. } | SendRefusal::TooManyOperations { .. }) => {
                debug_assert!(false, "a doubt cannot end in {refusal:?}");
                Self::Left
            }
        }
    }
}
