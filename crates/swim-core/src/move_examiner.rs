//! Whether a member that comes back at another address gets its name there.
//!
//! A claim is accepted when a certificate proves the name on a connection to the claimant, nobody
//! answers at the old address, and the incarnation is above the one held: whoever comes with a
//! lower one is told what is held. Each member examines for itself, so nobody has to be believed.

use std::net::SocketAddr;

use crate::address_claims::{
    AddressClaim, AddressClaims, ExaminedClaim, HolderState, SILENCE_HOLDS,
};
use crate::advertised_address::stated_address;
use crate::config::Config;
use crate::effects::Effects;
use crate::failure_detector::{FailureDetector, PendingAck, ping_to};
use crate::member::{Advertised, Member, Peer};
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::member_table::MemberTable;
use crate::output::Destination;
use crate::timers::Timer;
use crate::verdict::Proof;
use crate::wire::{Alive, Dead, ErrorMessage, Message, PushPull};

/// The parts that an examination needs, lent for one input.
pub(crate) struct MoveExaminer<'a> {
    pub(crate) claims: &'a mut AddressClaims,
    pub(crate) members: &'a mut MemberTable,
    pub(crate) detector: &'a mut FailureDetector,
    pub(crate) config: &'a Config,
    pub(crate) effects: &'a mut Effects,
}

/// Where a claimant says that it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClaimedPlace {
    pub(crate) claimed: Advertised,
    /// The address of the connection that the claim came by.
    pub(crate) source: SocketAddr,
    pub(crate) proof: Proof,
}

/// The sender of a state that claims another address than the one held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claimant {
    pub(crate) index: MemberIndex,
    pub(crate) claimed: Advertised,
}

/// What became of a claim.
#[derive(Debug)]
pub(crate) enum MoveOutcome {
    /// Nothing yet, or nothing at all.
    Open,
    /// The member is at its new address.
    Accepted(ExaminedClaim),
    /// The name stays where it is.
    Refused(ExaminedClaim),
    /// The name stays where it is, without an examination.
    Conflict(ClaimedPlace),
    /// Nobody answered anywhere, or the claimant did not come back.
    Dropped(ExaminedClaim),
}

impl MoveExaminer<'_> {
    /// A claim of a member's name at another address than the one held.
    pub(crate) fn examine(
        &mut self,
        index: MemberIndex,
        alive: &Alive<'_>,
        at: ClaimedPlace,
    ) -> MoveOutcome {
        let ClaimedPlace { claimed, source, proof } = at;
        let (record, now) = (self.members.get(index).record(), self.effects.now());
        let (held, is_held_live) = (record.incarnation, record.state.is_live());
        let recent = now.before(self.config.gossip_to_the_dead);
        if is_held_live && self.claims.has_moved_since(index, recent) {
            return MoveOutcome::Conflict(at);
        }
        let is_proven = proof == Proof::Proven;
        if is_proven && alive.incarnation <= held {
            self.tell_claimant(index, claimed);
        }
        let claim = AddressClaim::new(alive, claimed, source);
        let Some(examined) = self.claims.get_mut(index) else {
            return self.begin(index, claim, is_proven);
        };
        if examined.claim.advertised != claimed {
            // One at a time: the next copy of this claim comes soon.
            self.effects.count().refused_conflict += 1;
            return MoveOutcome::Open;
        }
        examined.is_proven |= is_proven;
        if examined.claim.incarnation < claim.incarnation {
            examined.claim = claim;
        }
        self.decide(index)
    }

    fn begin(&mut self, index: MemberIndex, claim: AddressClaim, is_proven: bool) -> MoveOutcome {
        let member = self.members.get(index).clone();
        let holder = if member.state().is_live() { HolderState::Asked } else { HolderState::Gone };
        let claimant = claim.advertised;
        let notice = is_proven.then(|| claim.clone());
        if !self.claims.begin(index, ExaminedClaim::new(claim, is_proven, holder)) {
            self.effects.count().refused_conflict += 1;
            return MoveOutcome::Open;
        }
        let deadline = self.effects.now() + self.config.ack_timeout();
        self.effects.set_timer(Timer::AddressClaim(index), deadline);
        if holder == HolderState::Asked {
            // The holder, if it is there, hears who claims its name.
            let name = member.name();
            let notice = notice.as_ref().map(|claim| claim.as_alive(name.as_bytes()));
            self.ask_place(name, member.address(), notice.as_ref());
        }
        if !is_proven {
            self.ask_place(member.name(), claimant.to_socket(), None);
        }
        self.decide(index)
    }

    /// Pings a member at an address where it may be. Without an expected name, so that the ping
    /// does not travel by a connection to the same name elsewhere; the ack must prove the name.
    pub(crate) fn ask_place(
        &mut self,
        name: &MemberName,
        address: SocketAddr,
        notice: Option<&Alive<'_>>,
    ) {
        let pending = PendingAck::Place { target: name.clone(), address };
        let sequence = self.detector.await_ack(pending, self.config, self.effects);
        let ping = Message::Ping(ping_to(name, self.members.me().record(), sequence));
        let to = Destination { address, name: None };
        match notice {
            Some(alive) => self.effects.send_messages(to, &[ping, Message::Alive(*alive)], false),
            None => self.effects.send_messages(to, &[ping], false),
        }
    }

    /// A member answered at an address where it was asked for.
    pub(crate) fn place_answered(
        &mut self,
        index: MemberIndex,
        address: SocketAddr,
    ) -> MoveOutcome {
        let held = self.members.get(index).address();
        let Some(examined) = self.claims.get_mut(index) else { return MoveOutcome::Open };
        if examined.claim.advertised.to_socket() == address {
            examined.is_proven = true;
            self.decide(index)
        } else if held == address {
            self.end(index, MoveOutcome::Refused)
        } else {
            MoveOutcome::Open
        }
    }

    /// The places of a claimed name have had time to answer.
    pub(crate) fn timed_out(&mut self, index: MemberIndex) -> MoveOutcome {
        let Some(examined) = self.claims.get_mut(index) else { return MoveOutcome::Open };
        let was_asked = examined.holder == HolderState::Asked;
        examined.holder = HolderState::Gone;
        if !examined.is_proven || !was_asked {
            return self.end(index, MoveOutcome::Dropped);
        }
        let until = self.effects.now() + SILENCE_HOLDS;
        self.effects.set_timer(Timer::AddressClaim(index), until);
        self.decide(index)
    }

    /// Accepts a claim about which everything is known.
    fn decide(&mut self, index: MemberIndex) -> MoveOutcome {
        let held = self.members.get(index).incarnation();
        let is_decided = self.claims.get(index).is_some_and(|examined| {
            examined.is_proven
                && examined.holder == HolderState::Gone
                && examined.claim.incarnation > held
        });
        if is_decided { self.end(index, MoveOutcome::Accepted) } else { MoveOutcome::Open }
    }

    fn end(
        &mut self,
        index: MemberIndex,
        outcome: impl FnOnce(ExaminedClaim) -> MoveOutcome,
    ) -> MoveOutcome {
        self.effects.clear_timer(Timer::AddressClaim(index));
        self.claims.end(index).map_or(MoveOutcome::Open, outcome)
    }

    /// A claimant is who it says it is, but its incarnation is too low: it is told what is held.
    /// If it is held dead or left, once per member and
    /// [`Config::min_report_interval`](crate::Config::min_report_interval); if not, once per
    /// examination.
    pub(crate) fn tell_claimant(&mut self, index: MemberIndex, claimed: Advertised) {
        let (now, interval) = (self.effects.now(), self.config.min_report_interval());
        let member = self.members.get(index).clone();
        let record = member.record();
        let to = Destination { address: claimed.to_socket(), name: Some(record.name.clone()) };
        if record.state.is_live() {
            // It finds out by itself whether anybody is there.
            if self.claims.get(index).is_none() {
                self.effects.send_messages(to, &[Message::Alive(record.to_alive())], false);
            }
            return;
        }
        let Some(by) = self.members.notify(index, now, Some(interval)) else { return };
        let (incarnation, node) = (record.incarnation, record.name.as_bytes());
        let message = Message::Dead(Dead { incarnation, node, from: by.as_bytes() });
        self.effects.count().stale_alive_notified += 1;
        self.effects.send_messages(to, &[message], false);
    }
}

/// What a claimant is answered that does not get the name.
pub(crate) fn refusal_of(
    members: &MemberTable,
    index: MemberIndex,
    claimed: Advertised,
) -> Vec<u8> {
    let member = members.get(index);
    let text = format!(
        "{} is {} at {}, so it cannot be at {} as well: stop the other one, or give each member \
         its own name",
        member.name(),
        member.state(),
        member.address(),
        claimed.to_socket()
    );
    ErrorMessage::to_vec(&text)
}

/// The sender of a state, if it claims another address than the one held, with an incarnation that
/// counts: its answer waits for the outcome.
pub(crate) fn claimant_of(
    members: &MemberTable,
    from: &Peer,
    theirs: &PushPull<'_>,
) -> Option<Claimant> {
    if from.names.is_empty() {
        return None;
    }
    let mut own = theirs.nodes.clone().filter(|node| from.speaks_for_bytes(node.name));
    own.find_map(|node| {
        let index = members.find(node.name)?;
        let held = members.get(index).record();
        let my_port = members.me().record().advertised.port;
        let claimed = stated_address(node.addr, node.port, my_port)?;
        let moves = held.advertised != claimed && node.incarnation > held.incarnation;
        (moves && index != MemberIndex::ME).then_some(Claimant { index, claimed })
    })
}

/// Whether we began an exchange that reached us: the sender has our name, and its own state places
/// it at our address. Only a certificate of one name says whose state it is.
pub(crate) fn is_from_ourselves(members: &MemberTable, from: &Peer, theirs: &PushPull<'_>) -> bool {
    let me = members.me().record();
    let is_here = |address| Some(me.advertised) == address;
    matches!(&*from.names, [name] if *name == me.name)
        && theirs.nodes.clone().any(|node| {
            node.name == me.name.as_bytes()
                && is_here(stated_address(node.addr, node.port, me.advertised.port))
        })
}

/// The warning about a member that appeared, or moved, and announces the address of another live
/// one: what is sent to one of the two goes to the other.
pub(crate) fn shared_address(
    members: &MemberTable,
    index: MemberIndex,
    before: Option<&Member>,
) -> Option<(SocketAddr, String)> {
    let member = members.get(index);
    let address = member.address();
    let is_known = |before: &Member| before.state().is_live() && before.address() == address;
    if before.is_some_and(is_known) {
        return None;
    }
    let mut here = members.at_address(address);
    let other = here.find(|other| other.state().is_live() && other.name() != member.name())?;
    let detail = format!(
        "{} announces {address}, which is {}'s address: one of the two is configured wrongly, or \
         has just taken the place of the other",
        member.name(),
        other.name()
    );
    Some((address, detail))
}
