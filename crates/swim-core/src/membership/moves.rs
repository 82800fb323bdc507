//! Members that come back at another address: what the examination of their claims leads to.

use std::net::SocketAddr;

use super::Membership;
use crate::address_claims::ExaminedClaim;
use crate::advertised_address::match_address;
use crate::bearer::Bearer;
use crate::claim_examiner::ClaimExaminer;
use crate::exchange_refusal::LEADS_BACK;
use crate::exchanges::Purpose;
use crate::member::{Advertised, Member, Peer};
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::move_examiner::{
    Claimant, ClaimedPlace, MoveExaminer, MoveOutcome, refusal_of, shared_address,
};
use crate::output::{Destination, MembershipEvent, Output, StreamId, WarningKind};
use crate::timers::Timer;
use crate::verdict::{AddressMatch, Proof};
use crate::wire::{Alive, ErrorMessage};

/// What becomes of the answer to a request.
#[derive(PartialEq, Eq)]
pub(super) enum Answer {
    /// It was given, or none is.
    Given,
    /// It comes later.
    Waits,
}

impl Membership {
    pub(super) fn proof_of(&self, bearer: Bearer<'_>, node: &[u8]) -> Proof {
        bearer.proof_of(node, self.processes.names_are_proven())
    }

    pub(super) fn examiner(&mut self) -> MoveExaminer<'_> {
        let Self { address_claims: claims, members, detector, config, effects, .. } = self;
        MoveExaminer { claims, members, detector, config, effects }
    }

    pub(super) fn claims(&mut self) -> ClaimExaminer<'_> {
        let Self { hearsay, processes, members, detector, effects, .. } = self;
        ClaimExaminer { hearsay, processes, members, detector, effects }
    }

    pub(super) fn match_address(&self, index: MemberIndex, advertised: Advertised) -> AddressMatch {
        let (record, now) = (self.members.get(index).record(), self.effects.now());
        let is_me = index == MemberIndex::ME;
        match_address(record, is_me, advertised, self.config.dead_node_reclaim_time, now)
    }

    pub(super) fn differs_from_me(&self, alive: &Alive<'_>) -> bool {
        let versions = self.config.versions.to_bytes();
        alive.meta.unwrap_or_default() != self.members.me().meta()
            || alive.vsn.unwrap_or_default() != versions.as_slice()
    }

    /// A claim of a member's name at another address than the one held.
    pub(super) fn examine_move(&mut self, index: MemberIndex, claim: &Alive<'_>, at: ClaimedPlace) {
        let outcome = self.examiner().examine(index, claim, at);
        self.settle_move(index, outcome);
    }

    /// A member answered at an address where it was asked for.
    pub(super) fn place_answered(&mut self, name: &MemberName, address: SocketAddr) {
        let Some(index) = self.members.find(name.as_bytes()) else { return };
        if index == MemberIndex::ME {
            return self.other_place_answered(address);
        }
        let outcome = self.examiner().place_answered(index, address);
        self.settle_move(index, outcome);
    }

    /// The places of a claimed name have had time to answer.
    pub(super) fn examination_timed_out(&mut self, index: MemberIndex) {
        let outcome = self.examiner().timed_out(index);
        self.settle_move(index, outcome);
    }

    fn settle_move(&mut self, index: MemberIndex, outcome: MoveOutcome) {
        match outcome {
            MoveOutcome::Open => {}
            MoveOutcome::Accepted(claim) => self.accept_move(index, claim),
            MoveOutcome::Refused(claim) => self.refuse_move(index, claim),
            MoveOutcome::Dropped(claim) => self.drop_claim(index, claim),
            MoveOutcome::Conflict(at) => self.report_conflict(index, at.claimed, at.source),
        }
    }

    fn accept_move(&mut self, index: MemberIndex, examined: ExaminedClaim) {
        let before = self.members.get(index).clone();
        let claim = &examined.claim;
        let alive = claim.as_alive(before.name().as_bytes());
        self.apply_alive(Some(index), &alive, claim.advertised, claim.source);
        self.note_move(index, before.address());
        self.answer_with_state(examined);
    }

    fn note_move(&mut self, index: MemberIndex, address: SocketAddr) {
        // The application may have refused it.
        if self.members.get(index).address() != address {
            self.address_claims.note_move(index, self.effects.now());
            self.effects.push(Output::ForgetPeer { address });
        }
    }

    fn answer_with_state(&mut self, mut examined: ExaminedClaim) {
        for stream in examined.take_waiting() {
            let state = self.encode_state(true);
            self.exchanges.answer_held(stream, &state, &mut self.effects);
        }
    }

    /// The holder of the name answered.
    fn refuse_move(&mut self, index: MemberIndex, examined: ExaminedClaim) {
        self.report_conflict(index, examined.claim.advertised, examined.claim.source);
        self.answer_with_refusal(index, examined);
    }

    fn drop_claim(&mut self, index: MemberIndex, examined: ExaminedClaim) {
        self.effects.count().refused_conflict += 1;
        self.answer_with_refusal(index, examined);
    }

    fn answer_with_refusal(&mut self, index: MemberIndex, mut examined: ExaminedClaim) {
        let refusal = refusal_of(&self.members, index, examined.claim.advertised);
        for stream in examined.take_waiting() {
            self.exchanges.answer_held(stream, &refusal, &mut self.effects);
        }
    }

    /// Answers the exchange of a claimant, whose state was merged: with a state only if it is
    /// listed at its new address.
    pub(super) fn answer_claimant(&mut self, id: StreamId, who: Claimant, join: bool) -> Answer {
        if self.members.get(who.index).record().advertised == who.claimed {
            let state = self.encode_state(join);
            self.exchanges.answer(id, &state, &mut self.effects);
            return Answer::Given;
        }
        self.hold_or_refuse(id, who)
    }

    fn hold_or_refuse(&mut self, id: StreamId, Claimant { index, claimed }: Claimant) -> Answer {
        if self.address_claims.get_mut(index).is_some_and(|examined| examined.hold(id)) {
            return Answer::Waits;
        }
        let refusal = refusal_of(&self.members, index, claimed);
        self.exchanges.answer(id, &refusal, &mut self.effects);
        Answer::Given
    }

    /// We began this exchange ourselves.
    pub(super) fn refuse_ourselves(&mut self, id: StreamId) -> Answer {
        self.effects.count().exchanges_failed += 1;
        self.exchanges.answer(id, &ErrorMessage::to_vec(LEADS_BACK), &mut self.effects);
        Answer::Given
    }

    /// The member was purged.
    pub(super) fn forget_claim(&mut self, index: MemberIndex) {
        self.effects.clear_timer(Timer::AddressClaim(index));
        self.processes.forget(index);
        self.hearsay.forget(index);
        if let Some(examined) = self.address_claims.forget(index) {
            self.answer_with_state(examined);
        }
    }

    /// A member appeared, or came back, or moved.
    pub(super) fn check_address(&mut self, index: MemberIndex, before: Option<&Member>) {
        if let Some((address, detail)) = shared_address(&self.members, index, before) {
            self.effects.warn(WarningKind::SharedAddress, address, detail);
        }
    }

    /// Something arrived from a peer. A new process of a member that nobody missed is reported, and
    /// states are exchanged with it at once: it may know nobody, and others hold its old record.
    pub(super) fn hear_process(&mut self, from: &Peer) {
        if let Some(index) = self.processes.hear(from, &self.members, self.effects.now()) {
            self.members.forget_evidence(index, true);
            let member = self.members.get(index).clone();
            log::info!("{} has restarted at {}", member.name(), member.address());
            self.begin_push_pull(Destination::of(&member), Purpose::Periodic);
            self.effects.emit(MembershipEvent::Restarted(member));
        }
    }

    pub(super) fn tell_conflict(&mut self, member: Member, other: SocketAddr, by: SocketAddr) {
        let (name, address) = (member.name(), member.address());
        let remedy = "give each member its own name";
        log::warn!("{name} at {address} is also claimed at {other} (by {by}): {remedy}");
        if let Some(hooks) = &mut self.hooks {
            hooks.on_conflict(&member, other);
        }
        self.effects.emit(MembershipEvent::Conflict { member, other });
    }

    pub(super) fn report_move(&mut self, before: &Member, member: Member) {
        log::info!("{} moved from {} to {}", member.name(), before.address(), member.address());
        self.effects.count().moves += 1;
        let from = before.address();
        self.effects.emit(MembershipEvent::Moved { member, from });
    }
}
