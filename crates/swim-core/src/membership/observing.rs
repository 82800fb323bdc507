//! Who is probed when, where members watch each other by turns.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Membership;
use crate::features::Features;
use crate::member::{Member, MemberState, Peer};
use crate::member_index::MemberIndex;
use crate::time::Time;
use crate::timers::Timer;
use crate::wire::{Ack, Message, Ping};

/// Where each is watched by few, there is a connection to members of another kind that we heard
/// within so many probe intervals: they probe all.
const WARM_FOR: u32 = 20;

/// What happens to members, and to time.
impl Membership {
    /// A member came, or came back.
    pub(super) fn begin_watching(&mut self, index: MemberIndex) {
        let (name, now) = (self.members.get(index).name().clone(), self.effects.now());
        let Some(observing) = self.detector.observing_mut() else { return };
        observing.insert(index, &name, now);
        schedule(self);
    }

    /// A member has died, or has left.
    pub(super) fn cease_watching(&mut self, index: MemberIndex, state: MemberState) {
        let (name, now) = (self.members.get(index).name().clone(), self.effects.now());
        let Some(observing) = self.detector.observing_mut() else { return };
        observing.remove(index, &name, state == MemberState::Dead, now);
        schedule(self);
    }

    /// A member is forgotten.
    pub(super) fn forget_watched(&mut self, index: MemberIndex, member: &Member) {
        let now = self.effects.now();
        let Some(observing) = self.detector.observing_mut() else { return };
        observing.forget(index, member.name(), now);
        self.effects.clear_timer(Timer::Watch(index));
        schedule(self);
    }

    /// Ranks have been due for a change.
    pub(super) fn ranks_are_due(&mut self) {
        let now = self.effects.now();
        let Some(observing) = self.detector.observing_mut() else { return };
        observing.advance(now);
        schedule(self);
    }

    /// It is our turn to probe a member that we watch, if we still do.
    pub(super) fn probe_watched(&mut self, index: MemberIndex) {
        let is_over = self.lifecycle.is_leaving() || self.config.probe_interval.is_zero();
        if is_over || !self.watches(index) {
            return;
        }
        set_turn(self, index, None);
        if self.detector.may_begin(index) {
            self.probe(index);
        }
    }

    /// A probe interval is over.
    pub(super) fn tick(&mut self, due: Time) {
        let may_begin = self.detector.tick(due, &self.config, &mut self.effects);
        match self.detector.observing() {
            Some(_) => end_period(self),
            None if may_begin => self.probe_next_member(),
            None => {}
        }
    }

    /// Somebody says that a member is elsewhere. Whoever watches it finds out whether it still is
    /// where we hold it; of all others only those who hold it there can.
    pub(super) fn doubt_place(&mut self, index: MemberIndex) {
        let few_watch = self.detector.observing().is_some_and(|it| it.candidates().few_watch());
        if few_watch && index != MemberIndex::ME && !self.watches(index) {
            self.hinted_at(index, None);
            self.probe_hinted();
        }
    }

    /// Others suspect a member. Returns whether few watch each.
    pub(super) fn watch_for_suspects(&mut self, suspect: MemberIndex) -> bool {
        let observing = self.detector.observing();
        let few_watch = observing.is_some_and(|it| it.candidates().few_watch());
        if few_watch {
            probe_unwatched(self, suspect);
        }
        few_watch
    }

    /// We have joined through a member that may not have known everybody that joins at the same
    /// time, and where each has few peers gossip may miss us for a while: the next exchange comes
    /// soon.
    pub(super) fn exchange_again(&mut self) {
        let Self { detector, config, effects, .. } = self;
        let few_watch = detector.observing().is_some_and(|it| it.candidates().few_watch());
        let Some(next) = effects.deadline(Timer::PushPull).filter(|_| few_watch) else { return };
        let wait = 2 * config.gossip_interval + effects.rng().span(2 * config.gossip_interval);
        effects.set_timer(Timer::PushPull, next.min(effects.now() + wait));
    }
}

/// What is told, and to whom.
impl Membership {
    /// Whether we watch a member.
    pub(super) fn watches(&self, index: MemberIndex) -> bool {
        let name = self.members.get(index).name();
        self.detector.observing().is_some_and(|observing| observing.candidates().watches(name))
    }

    /// Whether a ping says that we watch the member: if we do, and it reads that.
    pub(super) fn tells_that_it_watches(&self, index: MemberIndex) -> bool {
        let features = self.dissemination.features(self.members.get(index).address());
        features.is_some_and(|it| it.contains(Features::PACE)) && self.watches(index)
    }

    /// How long whoever has pinged us is to wait before it does so again, in milliseconds; zero if
    /// it does not watch us, or is no member.
    pub(super) fn deal_turn(&mut self, from: &Peer, ping: &Ping<'_>) -> u32 {
        let Some(by) = self.live_peer(from).filter(|_| ping.observer) else { return 0 };
        let Self { detector, members, config, effects, .. } = self;
        let Some(observing) = detector.observing_mut() else { return 0 };
        let wait = observing.observed(by, members, config, effects.now());
        u32::try_from(wait.as_millis()).unwrap_or(u32::MAX)
    }

    /// A member that we watch has answered, and may have told us when to come again.
    pub(super) fn hear_turn(&mut self, index: MemberIndex, ack: &Ack<'_>) {
        if ack.wait > 0 && self.watches(index) {
            set_turn(self, index, Some(Duration::from_millis(ack.wait.into())));
        }
    }

    /// A packet arrived: if it is gossip and nothing else, its sender is a peer for gossip.
    pub(super) fn hear_gossip(&mut self, from: &Peer, messages: &[Message<'_>]) {
        let first = messages.first();
        let is_gossip =
            matches!(first, Some(Message::Alive(_) | Message::Suspect(_) | Message::Dead(_)));
        let Some(index) = self.live_peer(from).filter(|_| is_gossip) else { return };
        if let Some(observing) = self.detector.observing_mut() {
            observing.heard_gossip(index, self.effects.now());
        }
    }

    fn live_peer(&self, from: &Peer) -> Option<MemberIndex> {
        self.detector.observing()?;
        let index = self.members.find(self.members.name_of(from)?.as_bytes())?;
        self.members.get(index).state().is_live().then_some(index)
    }

    pub(super) fn gossip(&mut self) {
        let peers = gossip_peers(self);
        let Self { dissemination, members, processes, config, effects, .. } = self;
        dissemination.gossip_round((members, processes), peers.as_ref(), config, effects);
    }
}

/// Whom gossip goes to; `None` where it may go to everybody.
fn gossip_peers(me: &mut Membership) -> Option<BTreeSet<MemberIndex>> {
    let Membership { detector, members, processes, config, effects, .. } = me;
    let now = effects.now();
    let warm = processes.others_heard(now, WARM_FOR * config.min_report_interval());
    detector.observing_mut()?.gossips_to((members, warm), config, effects.rng(), now)
}

/// Whoever is watched has a turn, and changes of ranks have their time.
fn schedule(me: &mut Membership) {
    let Membership { detector, members, config, effects, lifecycle, .. } = me;
    let Some(observing) = detector.observing() else { return };
    if lifecycle.is_leaving() || config.probe_interval.is_zero() {
        return;
    }
    let wait = observing.untold_wait(members, config);
    for name in observing.candidates().watched() {
        let Some(index) = members.find(name.as_bytes()) else { continue };
        if effects.deadline(Timer::Watch(index)).is_none() {
            let at = effects.now() + effects.rng().span(wait);
            effects.set_timer(Timer::Watch(index), at);
        }
    }
    match observing.candidates().next_deadline() {
        Some(at) => effects.set_timer(Timer::Ranks, at),
        None => effects.clear_timer(Timer::Ranks),
    }
}

/// When we probe a member again: after the wait that it told us, or after that of members that tell
/// none; longer while we ourselves seem slow.
fn set_turn(me: &mut Membership, index: MemberIndex, told: Option<Duration>) {
    let Membership { detector, members, config, effects, .. } = me;
    let Some(observing) = detector.observing() else { return };
    let wait = match told {
        Some(told) => observing.told_wait(told, members, config),
        None => observing.untold_wait(members, config),
    };
    let wait = if config.local_health_probe { detector.scaled(wait) } else { wait };
    effects.set_timer(Timer::Watch(index), effects.now() + wait);
}

/// A period is over in which nobody was probed in SWIM's order.
fn end_period(me: &mut Membership) {
    if me.members.count(MemberState::Dead) + me.members.count(MemberState::Left) > 0 {
        me.purge();
        tell_somebody_dead(me);
    }
    me.probe_out_of_turn();
    probe_for_health(me);
    let Membership { detector, members, .. } = me;
    if detector.observing_mut().is_some_and(|observing| observing.sweeps(members)) {
        me.probe_in_order();
    }
}

/// As often as with SWIM's order somebody who is held dead is told so: it may be back without
/// having heard of it.
fn tell_somebody_dead(me: &mut Membership) {
    let drawn = me.members.draw(1, me.effects.rng(), |index, _| index != MemberIndex::ME);
    for index in drawn {
        me.notify_dead(index);
    }
}

/// Whoever seems slow and watches few probes one of them out of turn, about as often as it would in
/// SWIM's order: only answers show that it has recovered.
fn probe_for_health(me: &mut Membership) {
    let Membership { detector, members, config, effects, .. } = me;
    if !config.local_health_probe || !detector.lacks_answers(config, effects.now()) {
        return;
    }
    let Some(observing) = detector.observing() else { return };
    let watched = observing.candidates().watched();
    let watched: Vec<MemberIndex> =
        watched.filter_map(|name| members.find(name.as_bytes())).collect();
    if watched.is_empty() {
        return me.probe_in_order();
    }
    let index = watched[effects.rng().below(watched.len())];
    if detector.may_begin(index) {
        me.probe(index);
    }
}

/// Somebody is suspected: it is probed at once if we watch it, and so are those that it watches and
/// that may have nobody else.
fn probe_unwatched(me: &mut Membership, suspect: MemberIndex) {
    let Some(observing) = me.detector.observing() else { return };
    let is_suspect = |(_, member): &(MemberIndex, &Member)| member.state() == MemberState::Suspect;
    let names = me.members.iter().filter(is_suspect).map(|(_, member)| member.name());
    let mut unwatched: Vec<MemberIndex> = observing
        .candidates()
        .watched_without(me.members.get(suspect).name(), names)
        .filter_map(|name| me.members.find(name.as_bytes()))
        .collect();
    if me.watches(suspect) {
        unwatched.push(suspect);
    }
    for index in unwatched {
        me.hinted_at(index, None);
    }
    me.probe_hinted();
}
