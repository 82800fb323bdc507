//! Hints that a member may be gone: it is probed at once, and refusals may count as evidence.

use std::net::SocketAddr;
use std::time::Duration;

use super::Membership;
use crate::bearer::Bearer;
use crate::error::SendRefusal;
use crate::evidence::{Evidence, FailureEvidence, Hint};
use crate::features::Features;
use crate::member::{MemberState, Peer};
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::member_table::Suspected;
use crate::time::Time;
use crate::timers::Timer;
use crate::wire::{Dead, Message, Nack};

/// How many others' refusals, beside ours, are evidence.
const WITNESSES: usize = 2;
/// A verdict needs two refused probes that are so far apart: who restarts within that time is not
/// dead, and who is reached by anybody has refuted by then.
const APART: Duration = Duration::from_millis(250);
/// Of those who hear of a suspicion so many, on average, probe the suspect at once: all in most
/// clusters, as there may be one alone that reaches it.
const OBSERVERS: usize = 128;
/// Who has heard nothing from a member for three times the mean time between two probes of one
/// pair, and at least for so many probe intervals, cannot tell that its way there was ever open.
const LEAST_INTERVALS: u32 = 30;

impl Membership {
    /// The transport has learnt something of the peer at this address that may mean that it is
    /// gone. If a member is there it is probed at once, at most once in a second because of hints.
    pub fn handle_hint(&mut self, from: SocketAddr, hint: Hint, now: Time) {
        self.effects.begin(now);
        let Some(index) = self.live_at(from) else { return };
        log::debug!("{}: {hint}", self.members.get(index).name());
        self.hinted_at(index, Some(hint));
        if hint == Hint::Refused {
            note_refusal(self, index);
        }
        self.probe_hinted();
    }

    fn live_at(&self, address: SocketAddr) -> Option<MemberIndex> {
        let here = self.members.at_address(address).filter(|member| member.state().is_live());
        let mut found = here.filter_map(|member| self.members.find(member.name().as_bytes()));
        found.find(|index| *index != MemberIndex::ME)
    }

    /// Has a member probed at once, at most once in a second: the application doubts that it is
    /// there. Nothing else follows from that, and nothing at all where it is ourselves.
    ///
    /// # Errors
    /// When the member is not known, is dead or has left, or we have left.
    pub fn doubt(&mut self, name: &MemberName, now: Time) -> Result<(), SendRefusal> {
        self.effects.begin(now);
        let index = self.find_live(name)?;
        if index != MemberIndex::ME {
            self.hinted_at(index, Some(Hint::Doubt));
            self.probe_hinted();
        }
        Ok(())
    }

    pub(super) fn hinted_at(&mut self, index: MemberIndex, hint: Option<Hint>) {
        let now = self.effects.now();
        // Where nobody is probed, nobody is because of a hint.
        if !self.config.probe_interval.is_zero() {
            self.detector.hinted().note(index, hint, now);
        }
    }

    /// Begins the next round with a member of which there is a hint, unless one is under way.
    pub(super) fn probe_hinted(&mut self) {
        while self.detector.has_room() && !self.lifecycle.is_leaving() {
            let Some(index) = self.detector.hinted().next() else { return };
            let is_live = self.members.get(index).state().is_live();
            if is_live && self.detector.may_begin(index) {
                self.probe(index);
            }
        }
    }

    pub(super) fn receive_nack(&mut self, from: &Peer, nack: Nack) {
        self.detector.receive_nack(from, nack, &mut self.effects);
        if let Some(target) = self.detector.relay_answered(from, nack) {
            judge_refusals(self, target);
        }
    }

    /// A way to the member was open lately, so that a refusal says something of the member.
    fn has_heard_lately(&self, index: MemberIndex) -> bool {
        let member = self.members.get(index);
        let pairs = u32::try_from(self.members.len() / 2).unwrap_or(u32::MAX);
        let intervals = pairs.saturating_mul(3).max(LEAST_INTERVALS);
        let span = self.config.min_report_interval().saturating_mul(intervals);
        let heard = self.processes.heard_at(index, member.address());
        heard.is_some_and(|at| self.effects.now() - at <= span)
            || self.processes.is_connected(member.address())
    }

    /// A suspect whose host has refused us and others is probed once more.
    pub(super) fn probe_refused_again(&mut self, index: MemberIndex) {
        self.detector.hinted().probe_again(index);
        self.probe_hinted();
    }

    /// Somebody else suspects a member: some of those who hear it probe it at once, so that it can
    /// refute, or is confirmed to be gone.
    pub(super) fn probe_suspect(&mut self, index: MemberIndex, bearer: Option<Bearer<'_>>) {
        if bearer.is_none() {
            return;
        }
        // Where few watch it, they alone have a connection to it.
        let few_watch = self.watch_for_suspects(index);
        if !few_watch && self.config.evidence != Evidence::Hint {
            probe_among_others(self, index);
        }
    }

    /// What a death is concluded from, and the last hint before it.
    pub(super) fn grounds(
        &self,
        index: MemberIndex,
        suspected: Option<&Suspected>,
    ) -> (FailureEvidence, Option<Hint>) {
        let is_refused = suspected.is_some_and(Suspected::is_refused);
        let evidence = if is_refused { FailureEvidence::Refused } else { FailureEvidence::Silence };
        debug_assert!(self.members.get(index).state() != MemberState::Left);
        (evidence, self.detector.hint_about(index, &self.effects))
    }
}

fn probe_among_others(me: &mut Membership, index: MemberIndex) {
    let among = me.members.live_others().max(1);
    if me.effects.rng().below(among) < OBSERVERS {
        me.hinted_at(index, None);
        me.probe_hinted();
    }
}

/// A packet of ours to a member was refused by its host.
fn note_refusal(me: &mut Membership, index: MemberIndex) {
    let name = me.members.get(index).name().clone();
    let can_tell = me.has_heard_lately(index);
    let Membership { detector, dissemination, .. } = me;
    let nacks = detector.refused_relays((&name, can_tell), |peer| {
        dissemination.features(peer).is_some_and(|it| it.contains(Features::EVIDENCE))
    });
    for (to, nack) in nacks {
        me.send_answer(to, &Message::Nack(nack));
    }
    for target in me.detector.relay_gone(&name) {
        judge_refusals(me, target);
    }
    for claim in me.detector.refused_questions(&name, &mut me.effects) {
        me.asked_in_vain(&claim);
    }
    let refused = me.detector.round_refused(index);
    if refused.is_some() {
        me.detector.hinted().note_refusal(index, me.effects.now());
    }
    match refused {
        // Others are asked at once: nothing is gained by waiting for an ack.
        Some(true) => me.advance_probe(index),
        Some(false) => judge_refusals(me, index),
        None => {}
    }
}

/// Ends the round about a member if enough were refused, and draws what may be drawn from it.
fn judge_refusals(me: &mut Membership, index: MemberIndex) {
    let others = me.members.live_others().saturating_sub(1);
    let wanted = others.min(WITNESSES);
    let counts = me.config.evidence != Evidence::Hint
        && wanted > 0
        && me.processes.names_are_proven()
        && me.has_heard_lately(index);
    if !counts {
        return;
    }
    let Some(end) = me.detector.end_refused(index, wanted, &mut me.effects) else { return };
    me.detector.hinted().note_confirmed(index);
    me.suspect(index);
    if me.detector.hinted().can_trust_refusals() {
        conclude(me, index);
    }
    me.end_round(end);
}

/// We and others were refused by the host of a suspect.
fn conclude(me: &mut Membership, index: MemberIndex) {
    let now = me.effects.now();
    let Some((first, deadline)) = me.members.note_refused(index, now) else { return };
    me.set_suspicion_timers(index, deadline);
    if me.config.evidence != Evidence::Verdict {
        return;
    }
    if now - first < APART {
        return me.effects.set_timer(Timer::Refusal(index), first + APART);
    }
    let (member, local) = (me.members.get(index).clone(), me.local());
    let (node, from) = (member.name().as_bytes(), local.name().as_bytes());
    me.handle_dead(&Dead { incarnation: member.incarnation(), node, from }, None);
}
