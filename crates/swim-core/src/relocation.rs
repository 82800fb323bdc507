//! Our own name, held by others at another address: we came back elsewhere, or somebody else has
//! it too.
//!
//! First the other place is probed. If nobody answers there, we take an incarnation above all
//! that is held, and tell every member directly. Go's memberlist lets a name change its address
//! only after a leave, so a member that may be one gets that leave as well, in steps.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::advertised_address::stated_address;
use crate::config::Config;
use crate::error::OperationError;
use crate::exchanges::Purpose;
use crate::member::{Advertised, Member, MemberRecord, MemberState};
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::member_table::MemberTable;
use crate::output::Destination;
use crate::push_pull::state_of;
use crate::time::Time;
use crate::wire::{Alive, Dead, Message, PushPull};

/// The most exchanges that wait for the outcome, as many as seeds are tried at once and some joins.
const MAX_WAITING: usize = 32;
/// How often an exchange is repeated until we are listed where we are.
const MAX_REPEATS: u32 = 12;
/// How rarely we claim our name back after hearsay: two members whose links are cut in one
/// direction could otherwise outbid each other all the time.
const CLAIM_INTERVAL: Duration = Duration::from_secs(30);
/// Members told in one go; each may cost a dial.
const TOLD_AT_ONCE: usize = 16;
/// The least time between steps: Go's queue keeps one message about each member, so an alive
/// message would replace the leave before it has spread.
const MIN_STEP: Duration = Duration::from_secs(1);

/// The dispute about our own name, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Relocation {
    dispute: Option<Dispute>,
    /// When our name was last claimed back.
    claimed: Option<Time>,
}

/// Our name at another address.
#[derive(Debug)]
struct Dispute {
    /// Where others hold us.
    other: Advertised,
    /// At which incarnation, at most.
    incarnation: u32,
    /// Somebody holds us dead there.
    was_dead: bool,
    phase: Phase,
    waiting: Vec<OpenExchange>,
    repeats: u32,
}

#[derive(Debug)]
enum Phase {
    /// The other place was pinged and may still answer.
    Probing,
    /// We took a higher incarnation, and wait for an exchange to learn whom to tell.
    Claimed,
    Telling {
        step: MoveStep,
        since: Time,
        left: VecDeque<MemberName>,
    },
}

/// What members are told, one step after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MoveStep {
    /// Everybody: alive at our address.
    Announce,
    /// Members that may run Go and hold us dead: alive at the old address, so that a leave counts.
    Revive,
    /// Members that may run Go: left, so that the address is free to change.
    Leave,
    /// Members that may run Go: alive at our address.
    Return,
}

/// What is heard of our own name at another address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeldElsewhere {
    pub(crate) address: Advertised,
    pub(crate) incarnation: u32,
    pub(crate) is_live: bool,
}

/// An exchange of ours that is not over until it lists us where we are.
#[derive(Clone, Debug)]
pub(crate) struct OpenExchange {
    pub(crate) to: Destination,
    pub(crate) purpose: Purpose,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Response {
    /// Ping the other place.
    Probe,
    /// Nobody is expected there: claim the name.
    Claim,
    /// Only take a higher incarnation; what is under way goes on.
    Outrank,
    /// Nothing: what is under way goes on, or it is too early for another claim.
    Wait,
}

/// What is due now.
#[derive(Debug)]
pub(crate) enum RelocationTurn {
    /// The other place did not answer: claim the name.
    Claim,
    /// Tell these members; the next turn is due at that time.
    Tell { step: MoveStep, members: Vec<MemberName>, next: Time },
    /// This step begins: [`Relocation::begin_step`] takes whom to tell.
    Begin(MoveStep),
    /// Everybody was told.
    Done,
}

impl Relocation {
    /// Our name is held elsewhere, as somebody says, in an answer to the exchange `again` if it
    /// was one that waits to list us where we are.
    pub(crate) fn hear(
        &mut self,
        held: HeldElsewhere,
        again: Option<OpenExchange>,
        now: Time,
    ) -> Response {
        let HeldElsewhere { address, incarnation, is_live } = held;
        if let Some(dispute) = &mut self.dispute {
            dispute.was_dead |= !is_live;
            let is_higher = incarnation > dispute.incarnation;
            dispute.incarnation = dispute.incarnation.max(incarnation);
            dispute.waiting.extend(again);
            return match dispute.phase {
                Phase::Claimed | Phase::Telling { .. } if is_higher => Response::Outrank,
                Phase::Probing | Phase::Claimed | Phase::Telling { .. } => Response::Wait,
            };
        }
        let is_early = self.claimed.is_some_and(|at| now - at < CLAIM_INTERVAL);
        if again.is_none() && is_early {
            return Response::Wait;
        }
        self.dispute = Some(Dispute {
            other: address,
            incarnation,
            was_dead: !is_live,
            phase: Phase::Probing,
            waiting: again.into_iter().collect(),
            repeats: 0,
        });
        if is_live { Response::Probe } else { Response::Claim }
    }

    /// Whether one more exchange may wait for the outcome.
    pub(crate) fn has_room(&self) -> bool {
        self.dispute.as_ref().is_none_or(|dispute| dispute.waiting.len() < MAX_WAITING)
    }

    /// Where others hold us, and at which incarnation at most.
    pub(crate) fn other(&self) -> Option<HeldElsewhere> {
        let dispute = self.dispute.as_ref()?;
        let (address, incarnation) = (dispute.other, dispute.incarnation);
        Some(HeldElsewhere { address, incarnation, is_live: !dispute.was_dead })
    }

    /// The same, while the other place was asked at this address and may still answer.
    pub(crate) fn probed_at(&self, address: SocketAddr) -> Option<HeldElsewhere> {
        let is_probing = |dispute: &Dispute| matches!(dispute.phase, Phase::Probing);
        self.dispute.as_ref().filter(|dispute| is_probing(dispute))?;
        self.other().filter(|held| held.address.to_socket() == address)
    }

    /// We took a higher incarnation. Returns the exchanges to repeat.
    pub(crate) fn claim(&mut self, now: Time) -> Vec<OpenExchange> {
        self.claimed = Some(now);
        let Some(dispute) = &mut self.dispute else { return Vec::new() };
        dispute.phase = Phase::Claimed;
        std::mem::take(&mut dispute.waiting)
    }

    /// An exchange ended and still lists us elsewhere: it waits to be repeated. The exchange back
    /// if it was repeated often enough.
    pub(crate) fn repeat_later(&mut self, again: OpenExchange) -> Result<(), OpenExchange> {
        match &mut self.dispute {
            Some(dispute)
                if dispute.repeats < MAX_REPEATS && dispute.waiting.len() < MAX_WAITING =>
            {
                dispute.repeats += 1;
                dispute.waiting.push(again);
                Ok(())
            }
            Some(_) | None => Err(again),
        }
    }

    /// Whether members wait to be told that we have claimed our name.
    pub(crate) fn may_begin(&self) -> bool {
        self.dispute.as_ref().is_some_and(|dispute| matches!(dispute.phase, Phase::Claimed))
    }

    /// Somebody whom we know has not heard of our move: everybody is told again, at once in
    /// [`CLAIM_INTERVAL`].
    pub(crate) fn begin_anew(&mut self, held: HeldElsewhere, now: Time) {
        let is_early = self.claimed.is_some_and(|at| now - at < CLAIM_INTERVAL);
        if self.dispute.is_some() || is_early {
            return;
        }
        self.claimed = Some(now);
        self.dispute = Some(Dispute {
            other: held.address,
            incarnation: held.incarnation,
            was_dead: !held.is_live,
            phase: Phase::Claimed,
            waiting: Vec::new(),
            repeats: 0,
        });
    }

    /// A step begins, in which these members are told. Returns the exchanges to repeat.
    pub(crate) fn begin_step(
        &mut self,
        step: MoveStep,
        members: VecDeque<MemberName>,
        now: Time,
    ) -> Vec<OpenExchange> {
        let Some(dispute) = &mut self.dispute else { return Vec::new() };
        dispute.phase = Phase::Telling { step, since: now, left: members };
        std::mem::take(&mut dispute.waiting)
    }

    /// The timer is due.
    pub(crate) fn advance(&mut self, config: &Config, now: Time) -> RelocationTurn {
        let Some(dispute) = &mut self.dispute else { return RelocationTurn::Done };
        let (step, since, left) = match &mut dispute.phase {
            Phase::Probing => return RelocationTurn::Claim,
            Phase::Claimed => return RelocationTurn::Begin(MoveStep::Announce),
            Phase::Telling { step, since, left } => (*step, *since, left),
        };
        let next_step = since + MIN_STEP.max(config.gossip_interval * 5);
        if left.is_empty() && now >= next_step {
            return match (step, dispute.was_dead) {
                (MoveStep::Announce, true) => RelocationTurn::Begin(MoveStep::Revive),
                (MoveStep::Announce, false) | (MoveStep::Revive, _) => {
                    RelocationTurn::Begin(MoveStep::Leave)
                }
                (MoveStep::Leave, _) => RelocationTurn::Begin(MoveStep::Return),
                (MoveStep::Return, _) => RelocationTurn::Done,
            };
        }
        let members: Vec<MemberName> = left.drain(..left.len().min(TOLD_AT_ONCE)).collect();
        let pause = config.gossip_interval.max(Duration::from_millis(100));
        let next = if left.is_empty() { next_step } else { now + pause };
        RelocationTurn::Tell { step, members, next }
    }

    /// The dispute is over. Returns the exchanges that still wait.
    pub(crate) fn end(&mut self) -> Vec<OpenExchange> {
        self.dispute.take().map_or_else(Vec::new, |dispute| dispute.waiting)
    }
}

/// The error of an exchange whose peers hold our name at another address.
pub(crate) fn name_taken(me: &Member, other: Advertised) -> OperationError {
    let (name, ours) = (me.name().clone(), me.address());
    OperationError::NameTaken { name, holder: other.to_socket(), ours }
}

/// Our own entry in a state, if it places us at another address.
pub(crate) fn own_entry_elsewhere(me: &Member, theirs: &PushPull<'_>) -> Option<HeldElsewhere> {
    let me = me.record();
    let own = theirs.nodes.clone().find(|node| node.name == me.name.as_bytes())?;
    let address = stated_address(own.addr, own.port, me.advertised.port)?;
    let is_live = state_of(own.state).is_some_and(MemberState::is_live);
    let elsewhere = HeldElsewhere { address, incarnation: own.incarnation, is_live };
    (address != me.advertised && own.incarnation < u32::MAX).then_some(elsewhere)
}

/// Whom to tell of a move in this step: every live member that the announcement is for, or that
/// `needs_leave`, which is to say may run Go.
pub(crate) fn members_to_tell(
    members: &MemberTable,
    step: MoveStep,
    needs_leave: impl Fn(&Member) -> bool,
) -> VecDeque<MemberName> {
    let is_told = |(index, member): &(MemberIndex, &Member)| {
        *index != MemberIndex::ME
            && member.state().is_live()
            && (step == MoveStep::Announce || needs_leave(member))
    };
    members.iter().filter(is_told).map(|(_, member)| member.name().clone()).collect()
}

/// What a member is told of our move in one step: first that we are alive here, so that a member
/// that examines moves takes what follows for a part of it.
pub(crate) fn move_messages<'a>(
    step: MoveStep,
    me: &'a MemberRecord,
    other: &'a Advertised,
) -> Vec<Message<'a>> {
    let alive = me.to_alive();
    let incarnation = me.incarnation.saturating_sub(1);
    let node = me.name.as_bytes();
    let mut messages = vec![Message::Alive(alive)];
    match step {
        MoveStep::Announce | MoveStep::Return => {}
        MoveStep::Revive => {
            let (addr, port) = (Some(other.ip_bytes()), other.port);
            messages.push(Message::Alive(Alive { incarnation, addr, port, ..alive }));
        }
        MoveStep::Leave => messages.push(Message::Dead(Dead { incarnation, node, from: node })),
    }
    messages
}
