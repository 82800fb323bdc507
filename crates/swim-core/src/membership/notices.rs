//! Suspicions: how long they last, whose are doubted, and what goes straight to one member: what we
//! hold of it, so that it can refute, and what we say of ourselves, to whoever missed it.

use std::net::SocketAddr;
use std::time::Duration;

use super::Membership;
use super::claims::LAST_INCARNATION;
use super::commands::departure_of;
use super::pings::acknowledging;
use crate::bearer::Bearer;
use crate::claim_examiner::Reported;
use crate::config::Config;
use crate::failure_detector::GoneClaim;
use crate::hearsay::Revival;
use crate::member::{Member, MemberState, Peer};
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::member_table::MemberTable;
use crate::output::Destination;
use crate::suspicion::SuspicionTimeout;
use crate::time::Time;
use crate::timers::Timer;
use crate::update_queue::Urgency;
use crate::wire::{Alive, Dead, Message, Suspect};

impl Membership {
    /// Something arrived from a peer. If it is a member that we hold suspect, dead or left, it is
    /// told so, once per `Config::min_report_interval`.
    pub(super) fn notify_heard(&mut self, from: &Peer) {
        self.notices.heard_last = Some(from.address);
        let all_alive = self.members.count(MemberState::Alive) == self.members.len();
        if all_alive || self.lifecycle.is_leaving() {
            return;
        }
        let Some(index) = member_behind(from, &self.members) else { return };
        let told = self.notify(index, from.address, Some(self.config.min_report_interval()));
        self.effects.count().heard_notified += u64::from(told);
    }

    /// The alive messages of a member that lost its incarnation are stale: it is told what is
    /// believed of it. Once per member and interval.
    pub(super) fn notify_stale(&mut self, index: MemberIndex, source: SocketAddr) {
        let (state, address) = (self.members.get(index).state(), self.members.get(index).address());
        // Old gossip about somebody who left: nobody is there to receive the answer.
        if state != MemberState::Left || address == source {
            let told = self.notify(index, address, Some(self.config.min_report_interval()));
            self.effects.count().stale_alive_notified += u64::from(told);
        }
    }

    /// Tells a member that died at most `Config::gossip_to_the_dead` ago that it is held dead;
    /// false if this is no such member.
    pub(super) fn notify_dead(&mut self, index: MemberIndex) -> bool {
        let (member, now) = (self.members.get(index), self.effects.now());
        let since = now - member.record().changed;
        let (state, address) = (member.state(), member.address());
        state == MemberState::Dead
            && since <= self.config.gossip_to_the_dead
            && self.notify(index, address, None)
    }

    /// A suspicion is about to end in death: the suspect is told once more, and has the time of a
    /// direct answer from now on, however late we are ourselves.
    pub(super) fn notify_last(&mut self, index: MemberIndex) {
        let address = self.members.get(index).address();
        self.notify(index, address, None);
        self.tell_last_heard(index);
        let answered_by = self.effects.now() + self.config.ack_timeout();
        let end = self.effects.deadline(Timer::Suspicion(index)).unwrap_or(answered_by);
        self.effects.set_timer(Timer::Suspicion(index), end.max(answered_by));
    }

    /// Tells the member that we heard last that another one is about to be dead: it may know
    /// better, where our own way to that one is cut.
    fn tell_last_heard(&mut self, index: MemberIndex) {
        let member = self.members.get(index).clone();
        let heard = self.notices.heard_last.filter(|address| *address != member.address());
        let by = self.members.notify(index, self.effects.now(), None);
        if let (Some(address), Some(by)) = (heard, by) {
            let to = Destination { address, name: None };
            self.effects.send_messages(to, &[held_claim(&member, by)], false);
        }
    }

    /// Sends what we hold of a member to it; false if it was told less than `limit` ago, or is held
    /// alive. Without a limit it is told, and may be told again at once: it may not be there.
    fn notify(&mut self, index: MemberIndex, address: SocketAddr, limit: Option<Duration>) -> bool {
        let (member, now) = (self.members.get(index).clone(), self.effects.now());
        let may_tell = member.state() != MemberState::Suspect || self.config.buddy;
        let by = self.members.notify(index, now, limit).filter(|_| may_tell);
        let Some(by) = by else { return false };
        let to = Destination { address, name: Some(member.name().clone()) };
        self.effects.send_messages(to, &[held_claim(&member, by)], false);
        true
    }

    /// Sends a peer that believes less of a member than we do what we hold: it missed that the
    /// member refuted. Four times per peer and interval.
    pub(super) fn correct(&mut self, index: MemberIndex, source: Option<SocketAddr>) {
        let (now, interval) = (self.effects.now(), self.config.min_report_interval() / 4);
        let (member, peer) = (self.members.get(index).clone(), source);
        let Some(address) = peer.filter(|_| member.state() == MemberState::Alive) else { return };
        if self.notices.corrected.admit(address, now, interval) {
            let alive = [Message::Alive(member.record().to_alive())];
            self.effects.send_messages(Destination { address, name: None }, &alive, false);
        }
    }

    /// Sends what we say of ourselves to a peer that believes something older or worse, once per
    /// interval and peer.
    pub(super) fn repeat_alive(&mut self, to: SocketAddr) {
        let (now, interval) = (self.effects.now(), self.config.min_report_interval());
        if self.notices.answered.admit(to, now, interval) {
            let me = self.local();
            self.effects.count().alive_repeated += 1;
            let alive = [Message::Alive(me.record().to_alive())];
            self.effects.send_messages(Destination { address: to, name: None }, &alive, false);
        }
    }

    /// Sets when a suspect is told for the last time, and when it is dead unless it refutes.
    pub(super) fn set_suspicion_timers(&mut self, index: MemberIndex, deadline: Time) {
        let (now, patience) = (self.effects.now(), self.config.ack_timeout());
        if self.config.buddy {
            let notice = deadline.before(patience).max(now);
            self.effects.set_timer(Timer::SuspicionNotice(index), notice);
        }
        self.effects.set_timer(Timer::Suspicion(index), deadline.max(now));
    }

    /// Our own suspicion of a member.
    pub(super) fn suspect(&mut self, index: MemberIndex) {
        let (member, me) = (self.members.get(index).clone(), self.members.me().name().clone());
        let (node, from) = (member.name().as_bytes(), me.as_bytes());
        self.handle_suspect(&Suspect { incarnation: member.incarnation(), node, from }, None);
    }

    /// Whether what we found ourselves of a member outweighs that somebody says it is alive. A
    /// suspicion of our own goes on at the incarnation that is claimed; a probe goes on.
    pub(super) fn evidence_outweighs(&mut self, index: MemberIndex, said: Reported<'_>) -> bool {
        let revival = self.claims().judge_revival(index, said);
        match revival {
            Revival::Believed => self.detector.note_alive(index, self.members.get(index).name()),
            Revival::Doubted => {}
            Revival::Asked | Revival::Ignored => self.suspect_on(index, said.0, revival),
        }
        matches!(revival, Revival::Asked | Revival::Ignored)
    }

    /// Somebody has found a member dead at a former incarnation. As long as it does not answer us,
    /// that confirms it: only hearsay has raised its incarnation.
    pub(super) fn late_death(&mut self, at: MemberIndex, dead: &Dead<'_>, by: Option<Bearer<'_>>) {
        let Dead { incarnation, node, from } = *dead;
        if from != node && self.claims().is_since(at, incarnation) {
            self.handle_suspect(&Suspect { incarnation, node, from }, by);
        } else {
            self.claims().note_late_death(at, by);
            self.correct(at, by.map(Bearer::address));
        }
    }

    /// Who is to be probed out of turn.
    pub(super) fn next_recheck(&mut self) -> Option<MemberIndex> {
        let next = self.hearsay.rechecks.next()?;
        self.members.get(next).state().is_live().then_some(next)
    }

    /// If we suspect a member, that goes on at a later incarnation, of which others have heard.
    fn suspect_on(&mut self, index: MemberIndex, alive: &Alive<'_>, revival: Revival) {
        if self.members.get(index).state().is_live() {
            self.members.raise_incarnation(index, alive.incarnation);
            if revival == Revival::Asked {
                self.repeat_suspicion(index);
            }
        }
    }

    fn repeat_suspicion(&mut self, index: MemberIndex) {
        let (member, me) = (self.members.get(index).clone(), self.members.me().name().clone());
        self.queue_update(index, &held_claim(&member, &me), None);
    }

    /// Who was said to be gone has not answered. A later incarnation that was heard of meanwhile is
    /// probed soon.
    pub(super) fn asked_in_vain(&mut self, claim: &GoneClaim) {
        let dead = claim.as_dead();
        self.handle_dead(&dead, None);
        let index = self.members.find(dead.node);
        if let Some(live) = index.filter(|index| self.members.get(*index).state().is_live()) {
            self.hearsay.rechecks.add(live);
        }
    }

    /// A suspicion of our own is evidence of our own.
    pub(super) fn note_own_evidence(&mut self, index: MemberIndex, bearer: Option<Bearer<'_>>) {
        if bearer.is_none() {
            self.members.add_own_evidence(index);
        }
    }

    /// The member did not refute in time.
    pub(super) fn suspicion_timed_out(&mut self, index: MemberIndex) {
        let alone =
            self.members.suspicion(index).is_some_and(|suspicion| !suspicion.is_fully_confirmed());
        self.effects.count().suspicions_timed_out_alone += u64::from(alone);
        let (member, me) = (self.members.get(index).clone(), self.local());
        let (node, from) = (member.name().as_bytes(), me.name().as_bytes());
        self.handle_dead(&Dead { incarnation: member.incarnation(), node, from }, None);
    }

    /// How long a suspicion by `by` lasts.
    pub(super) fn suspicion_timeout(&self, by: &MemberName) -> SuspicionTimeout {
        let timeout = suspicion_timeout(self.members.len(), self.counted_members(), &self.config);
        if self.config.local_health_suspicion && self.is_doubted(by) {
            timeout.doubted()
        } else {
            timeout
        }
    }

    /// How many members make timeouts and intervals longer: all, unless some seem to be invented.
    pub(super) fn counted_members(&self) -> usize {
        let members = self.members.len();
        let (_, some_are_doubted) = self.detector.doubts(self.effects.now());
        if some_are_doubted { self.processes.counted(members) } else { members }
    }

    /// Who sent a suspect or dead message; `None`, and counted, if it cannot be used.
    pub(super) fn checked_sender(&mut self, incarnation: u32, from: &[u8]) -> Option<MemberName> {
        if incarnation == LAST_INCARNATION {
            self.effects.count().refused_incarnation += 1;
            return None;
        }
        let from = MemberName::try_from(from).ok();
        self.effects.count().refused_claim += u64::from(from.is_none());
        from
    }

    /// Queues what we say of ourselves, replacing what we said before.
    pub(super) fn gossip_about_me(&mut self) {
        let me = self.local();
        self.queue_update(MemberIndex::ME, &Message::Alive(me.record().to_alive()), None);
    }

    /// Announces ourselves with an incarnation that outranks a claim about us.
    pub(super) fn refute(&mut self, incarnation: u32) {
        self.members.outrank(incarnation);
        self.effects.count().refutes += 1;
        log::debug!("refuting incarnation {incarnation} as {}", self.members.me().incarnation());
        self.gossip_about_me();
    }

    /// Whether the suspicions of `by` are refuted again and again.
    pub(super) fn is_doubted(&self, by: &MemberName) -> bool {
        self.hearsay.refuted.are_many(by, self.config.min_report_interval(), self.effects.now())
    }

    /// A suspicion ended well. If many of our own do, we ourselves are cut off or slow.
    pub(super) fn note_refuted(&mut self, by: &MemberName) {
        self.hearsay.refuted.note_refuted(
            by,
            self.config.min_report_interval(),
            self.effects.now(),
        );
        if by == self.members.me().name() && self.is_doubted(by) {
            self.detector.note_refute();
        }
    }

    /// A member that leaves says so to whoever asks whether it is there.
    pub(super) fn answer_with_departure(&mut self, to: Destination, seq_no: u32) {
        let (ack, me) = (acknowledging(seq_no), self.local());
        let departure = Message::Dead(departure_of(me.record()));
        self.effects.send_messages(to, &[ack, departure], false);
    }

    /// How soon others are told of a member.
    pub(super) fn urgency_of(&self, subject: MemberIndex) -> Urgency {
        match subject {
            MemberIndex::ME => Urgency::Ours,
            _ if self.processes.was_heard(subject) => Urgency::Usual,
            _ => Urgency::Hearsay,
        }
    }

    pub(super) fn is_live_member(&self, name: &MemberName) -> bool {
        let index = self.members.find(name.as_bytes());
        index.is_some_and(|index| self.members.get(index).state().is_live())
    }

    /// The member at a destination, if it is one that gets broadcasts.
    pub(super) fn recipient_at(&self, to: &Destination) -> Option<MemberIndex> {
        let index = self.members.find(to.name.as_ref()?.as_bytes())?;
        let gets_broadcasts =
            index != MemberIndex::ME && self.members.get(index).state() != MemberState::Left;
        gets_broadcasts.then_some(index)
    }

    /// Whether a ping of that name is meant for us; counted if not.
    pub(super) fn check_target(&mut self, node: &[u8]) -> bool {
        let is_ours = node.is_empty() || self.members.me().name().as_bytes() == node;
        self.effects.count().refused_wrong_target += u64::from(!is_ours);
        is_ours
    }

    pub(super) fn clear_suspicion_timers(&mut self, index: MemberIndex) {
        self.effects.clear_timer(Timer::Suspicion(index));
        self.effects.clear_timer(Timer::SuspicionNotice(index));
        self.effects.clear_timer(Timer::Refusal(index));
    }
}

/// The member at the other end: the one that it proves to be. Where it proves several names, the
/// one at its address; where it proves none, whoever has its address.
fn member_behind(peer: &Peer, members: &MemberTable) -> Option<MemberIndex> {
    if let [name] = &*peer.names {
        return members.find(name.as_bytes());
    }
    let mut here = members.at_address(peer.address);
    let member = here.find(|member| peer.speaks_for(member.name()))?;
    members.find(member.name().as_bytes())
}

fn suspicion_timeout(members: usize, counted: usize, config: &Config) -> SuspicionTimeout {
    let timeout = SuspicionTimeout::new(
        members,
        counted,
        config.suspicion_multiplier,
        config.suspicion_max_timeout_multiplier,
        config.min_report_interval(),
    );
    if config.local_health_suspicion { timeout } else { timeout.fixed() }
}

/// The suspect or dead message about a member that is held suspect, dead or left.
fn held_claim<'a>(member: &'a Member, by: &'a MemberName) -> Message<'a> {
    let (incarnation, node) = (member.incarnation(), member.name().as_bytes());
    let from = by.as_bytes();
    if member.state() == MemberState::Suspect {
        Message::Suspect(Suspect { incarnation, node, from })
    } else {
        Message::Dead(Dead { incarnation, node, from })
    }
}
