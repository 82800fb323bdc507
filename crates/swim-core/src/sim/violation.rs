//! A broken rule, whichever checker found it.

use crate::member_name::MemberName;
use crate::sim::application::{MessageViolation, OperationViolation};
use crate::sim::checker::agreement::Disagreement;
use crate::sim::checker::healing::Unhealed;
use crate::sim::checker::honest_members::HonestViolation;
use crate::sim::checker::progress::Spinning;
use crate::sim::checker::restarts::RestartViolation;
use crate::sim::checker::suspicions::SuspicionViolation;
use crate::sim::checker::table_bounds::BoundExceeded;
use crate::sim::checker::tombstones::ClaimForgotten;
use crate::sim::checker::views::ViewViolation;
use crate::sim::checker::words::DeadWithoutAsking;
use crate::time::Time;

/// A rule was broken. Prints the rule, the virtual time, and who believed what of whom.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at {at}: {rule}")]
pub struct Violation {
    /// When, by virtual time.
    pub at: Time,
    #[source]
    rule: BrokenRule,
}

impl Violation {
    pub(crate) fn new(at: Time, rule: BrokenRule) -> Self {
        Self { at, rule }
    }
}

/// What a checker found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BrokenRule {
    #[error(transparent)]
    View(#[from] ViewViolation),
    #[error(transparent)]
    Restart(#[from] RestartViolation),
    #[error("everybody known exists: host {viewer} knows {name}")]
    UnknownMember { viewer: usize, name: MemberName },
    #[error(transparent)]
    Suspicion(#[from] SuspicionViolation),
    #[error(transparent)]
    Word(#[from] DeadWithoutAsking),
    #[error(transparent)]
    ClaimForgotten(#[from] ClaimForgotten),
    #[error(transparent)]
    Bound(#[from] BoundExceeded),
    #[error(transparent)]
    Honest(#[from] HonestViolation),
    #[error(transparent)]
    Progress(#[from] Spinning),
    #[error(transparent)]
    Message(#[from] MessageViolation),
    #[error(transparent)]
    Operation(#[from] OperationViolation),
    #[error("members that start together form a cluster: {0}")]
    Formation(Disagreement),
    #[error("healing ends in agreement with empty queues: {0}")]
    Healing(Unhealed),
}
