//! What a member may believe of itself and of others after what it believed before.

use std::fmt;
use std::time::Duration;

use crate::member::MemberState::{self, Alive, Dead, Left, Suspect};
use crate::sim::arrival::Cause;
use crate::sim::coverage::Counted;
use crate::sim::fault::HostId;
use crate::sim::hosts::HostAddress;
use crate::time::Time;

/// What may not become of a belief.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ViewRule {
    #[error("a leave is final")]
    LeaveUndone,
    #[error("own incarnation never falls")]
    OwnIncarnationFell,
    #[error("a member knows that it is alive")]
    OwnLifeDenied,
    #[error("nobody is ahead of the member itself")]
    AheadOfMember,
    #[error("a name moves only to where its member went, and with a higher incarnation")]
    NameMoved,
    #[error("incarnations never fall")]
    IncarnationFell,
    #[error("no return without a higher incarnation")]
    ReturnAtSameIncarnation,
    #[error("what is settled stays settled")]
    DeadAndLeftConfused,
    #[error("an exchange kills nobody")]
    KilledByExchange,
    #[error("nobody dies unsuspected")]
    DiedUnsuspected,
    #[error("nobody forgets the living")]
    LivingForgotten,
    #[error("the dead are remembered for a while")]
    DeadForgottenEarly,
    #[error("only who left has left")]
    NeverLeft,
    #[error("a leave stays where it was")]
    LeaveMoved,
}

/// What one member believes of another: nothing while `state` is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Belief {
    pub(crate) incarnation: u32,
    pub(crate) address: HostAddress,
    pub(crate) state: Option<MemberState>,
}

/// What a member has said of itself, whatever others believe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnClaims {
    /// The highest incarnation it ever announced, over all its processes.
    pub(crate) highest: u32,
    /// It was told to leave since it started.
    pub(crate) leaving: bool,
}

/// One look of one viewer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ViewObservation {
    pub(crate) viewer: HostId,
    /// What happened since the last look; `None` when that may be several things.
    pub(crate) cause: Option<Cause>,
    /// By the viewer's clock.
    pub(crate) now: Time,
    /// How long the viewer must remember the dead.
    pub(crate) keeps_dead: Duration,
}

impl fmt::Display for Belief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.state {
            Some(state) => write!(f, "{state} at {} in {}", self.incarnation, self.address.0),
            None => f.write_str("unknown"),
        }
    }
}

/// What a member may come to believe of itself.
pub(crate) fn judge_own(
    before: Belief,
    after: Belief,
    own: OwnClaims,
) -> Result<Option<Counted>, ViewRule> {
    match after.state {
        Some(Alive) if own.leaving && before.state == Some(Left) => Err(ViewRule::LeaveUndone),
        Some(Alive) if before.state.is_some() && after.incarnation < before.incarnation => {
            Err(ViewRule::OwnIncarnationFell)
        }
        Some(Alive) => Ok((before.state == Some(Alive)).then_some(Counted::Refuted)),
        Some(Left) if own.leaving => Ok(None),
        Some(Suspect | Dead | Left) | None => Err(ViewRule::OwnLifeDenied),
    }
}

/// What a member may come to believe of another. Without a cause several steps lie between, so
/// that a member may have been forgotten and found again unseen. `went_there` says that the member
/// ran at the address believed now, after it had run at the one believed before.
pub(crate) fn judge_change(
    before: Belief,
    after: Belief,
    own: OwnClaims,
    (cause, went_there): (Option<Cause>, bool),
) -> Result<Option<Counted>, ViewRule> {
    let Some(new) = after.state else {
        return Ok(None);
    };
    if after.incarnation > own.highest {
        return Err(ViewRule::AheadOfMember);
    }
    let Some(old) = before.state else {
        return Ok(Some(Counted::Appeared));
    };
    if before.address != after.address {
        // A name that its holder gave up is free; without a cause it may be a new one.
        let moved = went_there && after.incarnation > before.incarnation;
        return match old {
            Left => Ok(Some(Counted::TakenOver)),
            Alive | Suspect | Dead if cause.is_none() => Ok(None),
            Alive | Suspect if moved => Ok(Some(Counted::FollowedMove)),
            Dead if moved => Ok(Some(Counted::ReturnedElsewhere)),
            Alive | Suspect | Dead => Err(ViewRule::NameMoved),
        };
    }
    if after.incarnation < before.incarnation {
        return Err(ViewRule::IncarnationFell);
    }
    let raised = after.incarnation > before.incarnation;
    match (old, new) {
        (Suspect | Dead | Left, Alive) if !raised => Err(ViewRule::ReturnAtSameIncarnation),
        (Dead | Left, Suspect | Dead | Left) if old != new && !raised => {
            Err(ViewRule::DeadAndLeftConfused)
        }
        (Alive | Suspect, Dead) if cause == Some(Cause::Stream) && !raised => {
            Err(ViewRule::KilledByExchange)
        }
        (Alive, Dead) if cause == Some(Cause::Timer) => Err(ViewRule::DiedUnsuspected),
        (Alive, Alive) => Ok(None),
        (Alive | Dead | Left, Suspect) => Ok(Some(Counted::Suspected)),
        (Alive, Dead) => Ok(Some(Counted::FailedByWord)),
        (Alive, Left) => Ok(Some(Counted::Left)),
        (Suspect, Alive) => Ok(Some(Counted::Cleared)),
        (Suspect, Dead) => Ok(Some(Counted::Failed)),
        (Suspect, Left) => Ok(Some(Counted::LeftWhileSuspect)),
        (Dead, Alive) => Ok(Some(Counted::Returned)),
        (Left, Alive) => Ok(Some(Counted::Rejoined)),
        (Suspect, Suspect) | (Dead | Left, Dead | Left) => Ok(Some(Counted::Remembered)),
    }
}

/// Whether a member may be forgotten that was dead or had left since then.
pub(crate) fn judge_forgotten(
    before: Belief,
    dead_since: Option<Time>,
    observation: ViewObservation,
) -> Result<Option<Counted>, ViewRule> {
    let change = match before.state {
        Some(Dead) => Counted::PurgedDead,
        Some(Left) => Counted::PurgedLeft,
        Some(Alive | Suspect) | None if observation.cause.is_none() => return Ok(None),
        Some(Alive | Suspect) | None => return Err(ViewRule::LivingForgotten),
    };
    let kept = dead_since.map(|dead_since| observation.now - dead_since);
    if observation.cause.is_some() && kept.is_none_or(|kept| kept < observation.keeps_dead) {
        return Err(ViewRule::DeadForgottenEarly);
    }
    Ok(Some(change))
}
