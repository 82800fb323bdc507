//! Alive, suspect and dead messages: judged by `verdict`, and applied here.

use std::net::SocketAddr;

use super::Membership;
use crate::advertised_address::advertised_in;
use crate::bearer::Bearer;
use crate::failure_detector::{GoneClaim, PendingAck};
use crate::member::{Advertised, Member, MemberRecord, MemberState, merge_meta};
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::member_table::Suspected;
use crate::move_examiner::ClaimedPlace;
use crate::output::{Destination, MembershipEvent, Output, WarningKind};
use crate::relocation::HeldElsewhere;
use crate::suspicion::Suspicion;
use crate::verdict::{AddressMatch, Claim, Held, Reason, Subject, Verdict, judge};
use crate::wire::{Alive, Dead, Message, Suspect};

/// The incarnation nobody can answer: refuting it would wrap around.
pub(super) const LAST_INCARNATION: u32 = u32::MAX;

impl Membership {
    pub(super) fn handle_alive(&mut self, alive: &Alive<'_>, bearer: Bearer<'_>) {
        if alive.incarnation == 0 || alive.incarnation == LAST_INCARNATION {
            self.effects.count().refused_incarnation += 1;
            return;
        }
        let index = self.members.find(alive.node);
        let my_port = self.members.me().record().advertised.port;
        let Some(advertised) = advertised_in(alive, my_port) else {
            self.effects.count().refused_claim += 1;
            return;
        };
        let (source, incarnation) = (bearer.address(), alive.incarnation);
        if !self.claims().admits_alive(index, (alive, advertised), bearer) {
            return;
        }
        let claim = Claim::Alive {
            incarnation,
            address: index
                .map_or(AddressMatch::Same, |index| self.match_address(index, advertised)),
            proof: self.proof_of(bearer, alive.node),
            differs: index == Some(MemberIndex::ME) && self.differs_from_me(alive),
        };
        match (judge(self.held(index), claim), index) {
            (Verdict::Refute, _) => self.refute(incarnation),
            (Verdict::NotifyStale, Some(index)) => self.notify_stale(index, source),
            (Verdict::Conflict, Some(index)) => self.report_conflict(index, advertised, source),
            (Verdict::TellClaimant, Some(index)) => {
                self.examiner().tell_claimant(index, advertised)
            }
            (Verdict::Examine, Some(MemberIndex::ME)) => {
                let held = HeldElsewhere { address: advertised, incarnation, is_live: true };
                self.hear_of_own_name(held, None);
            }
            (Verdict::Examine, Some(index)) => {
                let proof = self.proof_of(bearer, alive.node);
                let at = ClaimedPlace { claimed: advertised, source, proof };
                self.examine_move(index, alive, at);
            }
            // The old place of a member that moves, on its way to members that run Go.
            (Verdict::Apply, Some(index)) if self.address_claims.outranks(index, incarnation) => {}
            (Verdict::Apply, Some(index)) if self.evidence_outweighs(index, (alive, bearer)) => {}
            (Verdict::Apply | Verdict::Reclaim, _) => {
                self.apply_alive(index, alive, advertised, source);
            }
            (Verdict::Ignore(_), _) => {}
            (verdict, _) => debug_assert!(false, "{verdict:?} about an alive message"),
        }
    }

    /// `bearer` is `None` for a suspicion of our own.
    pub(super) fn handle_suspect(&mut self, suspect: &Suspect<'_>, bearer: Option<Bearer<'_>>) {
        let Some(from) = self.checked_sender(suspect.incarnation, suspect.from) else { return };
        let index = self.members.find(suspect.node);
        let believed = self.claims().believed_suspicion(index, suspect.incarnation, bearer);
        let Some(incarnation) = believed else { return };
        let suspect = &Suspect { incarnation, ..*suspect };
        let (source, claim) = (bearer.map(Bearer::address), Claim::Suspect { incarnation });
        match (judge(self.held(index), claim), index) {
            (Verdict::Apply, Some(index)) => {
                self.begin_suspicion(index, suspect, from, bearer);
            }
            (Verdict::Confirm, Some(index)) => {
                self.confirm_suspicion(index, suspect, &from, bearer);
            }
            (Verdict::RaiseIncarnation, Some(index)) => {
                self.members.raise_incarnation(index, suspect.incarnation);
            }
            (Verdict::Refute, _) => self.refute_claim(suspect.incarnation, &from, bearer),
            (Verdict::RepeatAlive, _) => source.map_or((), |source| self.repeat_alive(source)),
            (Verdict::Ignore(Reason::Stale), Some(index)) => self.correct(index, source),
            (Verdict::Ignore(_), _) => {}
            (verdict, _) => debug_assert!(false, "{verdict:?} about a suspect message"),
        }
    }

    /// `bearer` is `None` for a death that we found ourselves, or a claim that was examined.
    pub(super) fn handle_dead(&mut self, dead: &Dead<'_>, bearer: Option<Bearer<'_>>) {
        let Some(from) = self.checked_sender(dead.incarnation, dead.from) else { return };
        let index = self.members.find(dead.node);
        let is_own = bearer.is_none_or(|bearer| self.claims().is_departure(dead, bearer));
        let hearsay = bearer.filter(|_| !is_own);
        let Some(incarnation) =
            self.claims().believed_incarnation(index, dead.incarnation, hearsay)
        else {
            return;
        };
        let dead = &Dead { incarnation, ..*dead };
        let source = bearer.map(Bearer::address);
        let claim = if dead.from == dead.node {
            Claim::Left { incarnation: dead.incarnation }
        } else {
            Claim::Dead { incarnation: dead.incarnation }
        };
        match (judge(self.held(index), claim), index) {
            // A step of a move as well.
            (Verdict::Apply, Some(index))
                if dead.from == dead.node
                    && self.address_claims.outranks(index, dead.incarnation) =>
            {
                self.members.raise_incarnation(index, dead.incarnation);
            }
            // Whose suspicions are refuted again and again is believed to suspect, no more.
            (Verdict::Apply, Some(_))
                if source.is_some() && dead.from != dead.node && self.is_doubted(&from) =>
            {
                let Dead { incarnation, node, from } = *dead;
                self.handle_suspect(&Suspect { incarnation, node, from }, bearer);
            }
            (Verdict::Apply, Some(index)) if !is_own && self.claims().asks_first(index, dead) => {
                self.ask_whether_gone(index, dead, from, bearer);
            }
            (Verdict::Apply, Some(index)) => self.apply_dead(index, dead, from, source),
            (Verdict::RaiseIncarnation, Some(index)) => {
                self.members.raise_incarnation(index, dead.incarnation);
            }
            (Verdict::Refute, _) => self.refute_claim(dead.incarnation, &from, bearer),
            (Verdict::RepeatAlive, _) => source.map_or((), |source| self.repeat_alive(source)),
            (Verdict::Ignore(Reason::Stale), Some(index)) => self.late_death(index, dead, bearer),
            (Verdict::Ignore(_), _) => {}
            (verdict, _) => debug_assert!(false, "{verdict:?} about a dead message"),
        }
    }

    /// Queues an update for everybody but `told_by`, who sent it. Once we leave, only updates
    /// about ourselves are queued.
    pub(super) fn queue_update(
        &mut self,
        subject: MemberIndex,
        message: &Message<'_>,
        told_by: Option<SocketAddr>,
    ) {
        if !self.lifecycle.is_leaving() || subject == MemberIndex::ME {
            let urgency = self.urgency_of(subject);
            let Self { dissemination, config, effects, .. } = self;
            dissemination.queue_update(subject, (message, urgency), told_by, config, effects);
        }
    }

    fn held(&self, index: Option<MemberIndex>) -> Option<Held> {
        let index = index?;
        let member = self.members.get(index);
        let subject = match (index == MemberIndex::ME, self.lifecycle.is_leaving()) {
            (false, _) => Subject::Other,
            (true, false) => Subject::Me,
            (true, true) => Subject::MeLeaving,
        };
        Some(Held { subject, state: member.state(), incarnation: member.incarnation() })
    }

    pub(super) fn apply_alive(
        &mut self,
        index: Option<MemberIndex>,
        alive: &Alive<'_>,
        advertised: Advertised,
        source: SocketAddr,
    ) {
        let Ok(name) = MemberName::try_from(alive.node) else {
            self.effects.count().refused_claim += 1;
            return;
        };
        let before = index.map(|index| self.members.get(index).clone());
        let held = before.as_ref().map(Member::record);
        let is_alive = |held: &&MemberRecord| held.state == MemberState::Alive;
        let member = Member::new(MemberRecord {
            name,
            meta: merge_meta(alive.meta, held),
            changed: held.filter(is_alive).map_or(self.effects.now(), |held| held.changed),
            incarnation: alive.incarnation,
            advertised,
            versions: alive
                .vsn
                .and_then(|vsn| vsn.first_chunk().copied())
                .or_else(|| held.and_then(|held| held.versions)),
            state: MemberState::Alive,
        });
        if !self.admits(index, &member, source) {
            return;
        }
        let (index, cleared) = match index {
            Some(index) => (index, self.members.set_alive(index, member.clone())),
            None => (self.members.insert(member.clone(), self.effects.rng()), None),
        };
        self.begin_watching(index);
        self.queue_update(index, &Message::Alive(*alive), Some(source));
        self.clear_suspicion_timers(index);
        self.check_address(index, before.as_ref());
        self.report_alive(before, member, cleared.as_ref());
    }

    fn report_alive(
        &mut self,
        before: Option<Member>,
        member: Member,
        cleared: Option<&Suspected>,
    ) {
        let Some(before) = before.filter(|before| before.state().is_live()) else {
            log::info!("{} joined at {}", member.name(), member.address());
            self.effects.emit(MembershipEvent::Joined(member));
            return;
        };
        if let (MemberState::Suspect, Some(suspected)) = (before.state(), cleared) {
            log::info!("{} is no longer suspected", member.name());
            self.effects.count().suspicions_cleared += 1;
            let by = suspected.by().clone();
            // Others may have suspected in its name to have it doubted.
            if suspected.is_first_hand() {
                self.note_refuted(&by);
            }
            self.effects.emit(MembershipEvent::Cleared { member: member.clone(), by });
        }
        if before.address() != member.address() {
            self.report_move(&before, member.clone());
        }
        if before.meta() != member.meta() {
            self.effects.emit(MembershipEvent::Updated(member));
        }
    }

    fn admits(
        &mut self,
        index: Option<MemberIndex>,
        candidate: &Member,
        source: SocketAddr,
    ) -> bool {
        let (name, address) = (candidate.name(), candidate.address());
        let hooks = self.hooks.as_mut();
        let (kind, detail) = if index.is_none() && self.members.len() >= self.config.max_members {
            self.effects.count().refused_members_full += 1;
            (WarningKind::Overload, format!("{name}: the table of members is full"))
        } else if !self.config.allows(address.ip()) {
            self.effects.count().refused_admission += 1;
            let detail = format!("{name} at {address} is outside the allowed networks");
            (WarningKind::NotAdmitted, detail)
        } else if let Some(Err(reason)) = hooks.map(|hooks| hooks.admit_member(candidate)) {
            self.effects.count().refused_admission += 1;
            (WarningKind::NotAdmitted, format!("{name}: {reason}"))
        } else {
            return true;
        };
        self.effects.warn(kind, source, detail);
        false
    }

    fn begin_suspicion(
        &mut self,
        index: MemberIndex,
        suspect: &Suspect<'_>,
        by: MemberName,
        bearer: Option<Bearer<'_>>,
    ) {
        let (by, is_first_hand) = self.claims().claimant(suspect.node, by, bearer);
        let suspect = Suspect { from: by.as_bytes(), ..*suspect };
        self.queue_update(index, &Message::Suspect(suspect), bearer.map(Bearer::address));
        let now = self.effects.now();
        let timeout = self.suspicion_timeout(&by);
        let suspicion = Suspicion::new(by.clone(), is_first_hand, timeout, now);
        self.set_suspicion_timers(index, suspicion.deadline());
        self.effects.count().suspicions += 1;
        self.members.set_suspect(index, suspect.incarnation, by.clone(), suspicion, now);
        self.note_own_evidence(index, bearer);
        let member = self.members.get(index).clone();
        log::info!("{} is suspected by {by}", member.name());
        self.effects.emit(MembershipEvent::Suspected { member, by });
        self.probe_suspect(index, bearer);
    }

    fn confirm_suspicion(
        &mut self,
        index: MemberIndex,
        suspect: &Suspect<'_>,
        from: &MemberName,
        bearer: Option<Bearer<'_>>,
    ) {
        self.members.raise_incarnation(index, suspect.incarnation);
        self.note_own_evidence(index, bearer);
        let is_echo = bearer.is_some() && from == self.members.me().name();
        if is_echo || self.is_doubted(from) || !self.is_live_member(from) {
            return;
        }
        if let Some(deadline) = self.members.confirm_suspicion(index, from) {
            self.set_suspicion_timers(index, deadline);
            let source = bearer.map(Bearer::address);
            self.queue_update(index, &Message::Suspect(*suspect), source);
        }
    }

    fn apply_dead(
        &mut self,
        index: MemberIndex,
        dead: &Dead<'_>,
        from: MemberName,
        source: Option<SocketAddr>,
    ) {
        self.queue_update(index, &Message::Dead(*dead), source);
        let state = if dead.from == dead.node { MemberState::Left } else { MemberState::Dead };
        let now = self.effects.now();
        let suspected = self.members.set_gone(index, dead.incarnation, state, from.clone(), now);
        self.clear_suspicion_timers(index);
        self.cease_watching(index, state);
        self.dissemination.stop_broadcasts_to(index);
        let member = self.members.get(index).clone();
        if state == MemberState::Left {
            log::info!("{} left", member.name());
            self.bootstrap.forget_joined(member.address());
            self.effects.push(Output::ForgetPeer { address: member.address() });
            self.effects.emit(MembershipEvent::Left(member));
            self.bootstrap.schedule_round(&mut self.effects);
            return;
        }
        let after = suspected.as_ref().map_or_else(Default::default, |by| by.lasted(now));
        let ((evidence, hint), declared_by) =
            (self.grounds(index, suspected.as_ref()), from.clone());
        let suspected_by = suspected.map_or(from, |suspected| suspected.by().clone());
        log::info!("{} is dead; suspected by {suspected_by} for {after:?}", member.name());
        self.hearsay.refuted.note_death(&suspected_by);
        self.effects.count().failures += 1;
        self.effects.emit(MembershipEvent::Failed {
            member,
            suspected_by,
            declared_by,
            after,
            evidence,
            hint,
        });
        self.bootstrap.lost_a_member(&mut self.effects);
    }

    /// Refutes a claim, and tells whoever brought it directly. That a member suspects us is a
    /// sign that we are slow.
    fn refute_claim(&mut self, incarnation: u32, from: &MemberName, bearer: Option<Bearer<'_>>) {
        self.refute(incarnation);
        let Some(bearer) = bearer else { return };
        let (interval, now) = (self.config.min_report_interval(), self.effects.now());
        if self.is_live_member(from)
            && self.hearsay.counts_against_us(bearer.payer(), interval, now)
        {
            self.detector.note_refute();
        }
        self.repeat_alive(bearer.address());
    }

    /// Asks a member that is said to be gone. If the claim is about a later incarnation than the
    /// one held, the member is suspected meanwhile.
    fn ask_whether_gone(
        &mut self,
        index: MemberIndex,
        dead: &Dead<'_>,
        from: MemberName,
        bearer: Option<Bearer<'_>>,
    ) {
        let (member, me) = (self.members.get(index).clone(), self.members.me().name().clone());
        let (target, incarnation) = (member.name().clone(), dead.incarnation);
        if incarnation > member.incarnation() {
            let by = if dead.from == dead.node { me.as_bytes() } else { dead.from };
            self.handle_suspect(&Suspect { incarnation, node: dead.node, from: by }, bearer);
        }
        let (from, _) = self.claims().claimant(dead.node, from, bearer);
        if self.claims().can_ask(index) {
            let claim = GoneClaim { target: target.clone(), incarnation, from };
            self.send_ping(Destination::of(&member), &target, PendingAck::Gone(claim));
        }
    }

    pub(super) fn report_conflict(
        &mut self,
        index: MemberIndex,
        claimed: Advertised,
        source: SocketAddr,
    ) {
        self.effects.count().refused_conflict += 1;
        self.doubt_place(index);
        let other = claimed.to_socket();
        if self.members.note_conflict(index, other, self.effects.now()) {
            self.tell_conflict(self.members.get(index).clone(), other, source);
        }
    }
}
