//! Whether we are a member, leave, or have left.
//!
//! A leave is told directly to as many members as an update is retransmitted to, each time with a
//! ping behind it, so that an ack proves that it was received. Gossip carries it on.

use std::collections::BTreeSet;

use crate::config::Config;
use crate::effects::Effects;
use crate::error::OperationError;
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::member_table::MemberTable;
use crate::output::{OperationId, Outcome};
use crate::timers::Timer;

/// Rounds of telling others, each half as long as a direct probe may take: where two of five
/// packets are lost, one member in forty has still not acknowledged then.
const MAX_ROUNDS: u32 = 8;
/// Leave commands that wait for the same leave.
const MAX_WAITING: usize = 64;

#[derive(Debug)]
pub(crate) struct Lifecycle {
    state: LeaveState,
    is_returning: bool,
}

#[derive(Debug)]
enum LeaveState {
    Member,
    Leaving(Departure),
    Left { told: usize, wanted: usize },
}

/// A leave under way.
#[derive(Debug)]
struct Departure {
    operations: Vec<OperationId>,
    wanted: usize,
    acknowledged: BTreeSet<MemberName>,
    told: BTreeSet<MemberIndex>,
    rounds: u32,
}

impl Lifecycle {
    pub(crate) fn new() -> Self {
        Self { state: LeaveState::Member, is_returning: false }
    }

    /// Whether our leave has begun.
    pub(crate) fn is_leaving(&self) -> bool {
        !matches!(self.state, LeaveState::Member)
    }

    /// Whether our leave has finished.
    pub(crate) fn has_left(&self) -> bool {
        matches!(self.state, LeaveState::Left { .. })
    }

    /// Whether the first state that we received from another member contained us.
    pub(crate) fn is_returning(&self) -> bool {
        self.is_returning
    }

    pub(crate) fn set_returning(&mut self, is_returning: bool) {
        self.is_returning = is_returning;
    }

    /// A leave was asked for; whether it is to begin.
    pub(crate) fn request_leave(&mut self, operation: OperationId, effects: &mut Effects) -> bool {
        let outcome = match &mut self.state {
            LeaveState::Member => return true,
            LeaveState::Leaving(departure) if departure.operations.len() < MAX_WAITING => {
                departure.operations.push(operation);
                return false;
            }
            LeaveState::Leaving(_) => {
                Outcome::Failed(OperationError::TooManyOperations { limit: MAX_WAITING })
            }
            LeaveState::Left { told, wanted } => Outcome::Left { told: *told, wanted: *wanted },
        };
        effects.finish(operation, outcome);
        false
    }

    /// Our leave begins; it ends when `wanted` members have acknowledged it, at the latest.
    pub(crate) fn begin_leave(&mut self, operation: OperationId, wanted: usize) {
        debug_assert!(!self.is_leaving(), "a leave began twice");
        self.state = LeaveState::Leaving(Departure {
            operations: vec![operation],
            wanted,
            acknowledged: BTreeSet::new(),
            told: BTreeSet::new(),
            rounds: 0,
        });
    }

    /// The members that are to be told next; ends the leave if there are none, or if those that
    /// are there have stayed silent for all rounds.
    pub(crate) fn advance_leave(
        &mut self,
        members: &MemberTable,
        config: &Config,
        effects: &mut Effects,
    ) -> Vec<MemberIndex> {
        let LeaveState::Leaving(departure) = &mut self.state else {
            debug_assert!(false, "the leave timer runs without a leave");
            return Vec::new();
        };
        let chosen = departure.choose(members, effects);
        if chosen.is_empty() || departure.rounds >= MAX_ROUNDS {
            self.end_leave(effects);
            return Vec::new();
        }
        departure.rounds += 1;
        departure.told.extend(chosen.iter().copied());
        effects.set_timer(Timer::Leave, effects.now() + config.ack_timeout() / 2);
        chosen
    }

    /// `by` acknowledged our leave.
    pub(crate) fn leave_acknowledged(&mut self, by: MemberName, effects: &mut Effects) {
        // An ack that comes after the end changes nothing.
        let LeaveState::Leaving(departure) = &mut self.state else { return };
        departure.acknowledged.insert(by);
        if departure.acknowledged.len() >= departure.wanted {
            self.end_leave(effects);
        }
    }

    fn end_leave(&mut self, effects: &mut Effects) {
        effects.clear_timer(Timer::Leave);
        let LeaveState::Leaving(departure) = &mut self.state else {
            debug_assert!(false, "a leave ended that had not begun");
            return;
        };
        let (told, wanted) = (departure.acknowledged.len(), departure.wanted);
        let operations = std::mem::take(&mut departure.operations);
        self.state = LeaveState::Left { told, wanted };
        log::info!("left; {told} of {wanted} members acknowledged it");
        for operation in operations {
            effects.finish(operation, Outcome::Left { told, wanted });
        }
    }
}

impl Departure {
    /// As many members as acknowledgements are missing, first those that were not told yet.
    fn choose(&self, members: &MemberTable, effects: &mut Effects) -> Vec<MemberIndex> {
        let missing = self.wanted.saturating_sub(self.acknowledged.len());
        let is_silent = |index: MemberIndex, told: bool| {
            let member = members.get(index);
            index != MemberIndex::ME
                && member.state().is_live()
                && !self.acknowledged.contains(member.name())
                && self.told.contains(&index) == told
        };
        let mut chosen = members.draw(missing, effects.rng(), |index, _| is_silent(index, false));
        if chosen.len() < missing {
            let rest = missing - chosen.len();
            chosen.extend(members.draw(rest, effects.rng(), |index, _| is_silent(index, true)));
        }
        chosen
    }
}
