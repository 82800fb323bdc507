//! Where the checkers look: after steps, at intervals, at every event; and what traces say.
//!
//! Feeds the checkers and the coverage; decides neither what is a breach nor what comes of it.

use std::net::SocketAddr;

use crate::member::{MemberName, MemberState};
use crate::output::{Event, OperationId, Outcome};
use crate::sim::checker::messages::Kind;
use crate::sim::checker::tombstones::Heard;
use crate::sim::checker::views::{Glance, Seen};
use crate::sim::checker::{Breach, Violation, bounds};
use crate::sim::coverage::Counted;
use crate::sim::fault::HostId;
use crate::sim::host::{Arrival, Host, Place};
use crate::sim::simulation::{Cause, Simulation, Watch};
use crate::stats::MembershipStats;
use crate::wire::Message;

impl Simulation {
    pub(super) fn breach(&mut self, rule: &'static str, detail: String) {
        if self.violation.is_none() {
            let now = self.now;
            self.trace.line(format_args!("{now} BROKEN: {rule}: {detail}"));
            self.violation = Some(Violation { at: now, rule, detail });
        }
    }

    fn judge<T>(&mut self, result: Result<T, Breach>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(Breach { rule, detail }) => {
                self.breach(rule, detail);
                None
            }
        }
    }

    pub(super) fn look_after_step(&mut self, host: HostId, cause: Cause) {
        match self.setup.watch {
            Watch::EveryStep => {
                self.note_own_incarnation(host);
                self.look_at(host, Some(cause));
                self.checker.views.end_look();
            }
            Watch::Every(_) => {}
        }
        if cause == Cause::Packet {
            self.tap_after(host);
        }
    }

    pub(super) fn look_at_everybody(&mut self) {
        for host in self.hosts() {
            self.note_own_incarnation(host);
        }
        for host in self.hosts() {
            self.look_at(host, None);
        }
        self.checker.views.end_look();
    }

    fn note_own_incarnation(&mut self, host: HostId) {
        if let Some(life) = &self.hosts[host.index()].life {
            let incarnation = life.machine.local().incarnation();
            self.checker.views.note_own_incarnation(host, incarnation);
        }
    }

    /// Takes a whole view in, if it changed since the last look.
    fn look_at(&mut self, viewer: HostId, cause: Option<Cause>) {
        let glance = self.glance(viewer, cause);
        let Host { config, life: Some(life), .. } = &self.hosts[viewer.index()] else {
            return;
        };
        if !self.checker.views.is_new(viewer, life.machine.generation()) {
            return;
        }
        let mut members = life.machine.members().peekable();
        let mut found = Ok(());
        for subject in &self.by_name {
            let name = &self.hosts[subject.index()].name;
            let seen = match members.next_if(|member| member.name() == name) {
                Some(member) => Seen {
                    incarnation: member.incarnation(),
                    place: Place::of(member.address()).unwrap_or_default(),
                    state: Some(member.state()),
                },
                None => Seen::default(),
            };
            match self.checker.views.observe(glance, *subject, seen) {
                Ok(Some(change)) => self.coverage.add(change),
                Ok(None) => {}
                Err(breach) => {
                    found = Err(breach);
                    break;
                }
            }
        }
        if let (Ok(()), Some(stranger)) = (&found, members.next()) {
            found = Err(Breach::new(
                "everybody known exists",
                format!("host {} knows {}", viewer.index(), stranger.name()),
            ));
        }
        drop(members);
        let bounded = bounds::check(viewer, &life.machine.stats(), config);
        self.judge(found.and(bounded));
    }

    fn glance(&self, viewer: HostId, cause: Option<Cause>) -> Glance {
        let Host { clock, config, .. } = &self.hosts[viewer.index()];
        Glance { viewer, cause, now: clock.local(self.now), keeps_dead: config.gossip_to_the_dead }
    }

    pub(super) fn note_release(&mut self, host: HostId, address: SocketAddr, cause: Cause) {
        let cause = (self.setup.watch == Watch::EveryStep).then_some(cause);
        if let Some(place) = Place::of(address) {
            let glance = self.glance(host, cause);
            self.checker.views.note_release(glance, place);
        }
    }

    pub(super) fn note_finished(&mut self, host: HostId, id: OperationId, outcome: &Outcome) {
        if self.trace.is_on() {
            self.note(host, &format!("finished {id:?}: {outcome:?}"));
        }
        let finished = self.checker.messages.finish(host, id, outcome);
        if let Some(well) = self.judge(finished) {
            self.coverage.add(if well { Counted::OperationDone } else { Counted::OperationFailed });
        }
    }

    pub(super) fn note_event(&mut self, host: HostId, event: Event, cause: Cause) {
        match &event {
            Event::Suspected { member, by } => {
                let now = self.machine(host).map_or(0, |machine| remembered(&machine.stats()));
                let before = self.checker.views.remembered(host);
                let members = if before == 0 { now } else { now.min(before) };
                self.checker.suspicions.begin(host, member.name(), by, members);
            }
            Event::Failed { member, after, .. } if cause == Cause::Timer => {
                let config = &self.hosts[host.index()].config;
                let counted = self.checker.tombstones.is_some();
                let ran_out =
                    self.checker.suspicions.ran_out(host, member.name(), *after, config, counted);
                self.judge(ran_out);
            }
            Event::Failed { member, .. } | Event::Cleared { member, .. } | Event::Left(member) => {
                self.checker.suspicions.end(host, member.name());
            }
            Event::Message { reliable, payload, .. } => {
                let delivered = self.checker.messages.deliver(host, *reliable, payload);
                if let Some(kind) = self.judge(delivered) {
                    self.coverage.add(match kind {
                        Kind::Broadcast => Counted::BroadcastDelivered,
                        Kind::Packet => Counted::PacketDelivered,
                        Kind::Stream => Counted::StreamDelivered,
                    });
                }
            }
            Event::ProbeAnswered { .. } => return,
            Event::Joined(_)
            | Event::Updated(_)
            | Event::Conflict { .. }
            | Event::RemoteState { .. }
            | Event::SeedTried { .. }
            | Event::Warning { .. } => {}
        }
        if self.trace.is_on() {
            self.note(host, &format!("{event:?}"));
        }
        if self.setup.keep_events {
            self.events.push((self.now, host, event));
        }
    }

    /// Before a packet is handed over: what it accuses whom of.
    pub(super) fn tap_before(&mut self, host: HostId, _from: HostId, bytes: &[u8]) {
        let Some(memory) = &mut self.checker.tombstones else {
            return;
        };
        memory.begin();
        let Some(life) = &self.hosts[host.index()].life else {
            return;
        };
        let Ok(packet) = self.decoder.decode(bytes, &self.layers) else {
            return;
        };
        let me = &self.hosts[host.index()].name;
        for message in &packet.messages {
            let (node, incarnation, by) = match message {
                Message::Suspect(suspect) => {
                    (suspect.node, suspect.incarnation, Some(suspect.from))
                }
                Message::Dead(dead) => (dead.node, dead.incarnation, None),
                Message::Ping(_)
                | Message::IndirectPing(_)
                | Message::Ack(_)
                | Message::Nack(_)
                | Message::Alive(_)
                | Message::User(_) => continue,
            };
            if let Ok(subject) = MemberName::try_from(node)
                && subject != *me
                && life.machine.member(&subject).is_some()
            {
                memory.hear(Heard { subject, incarnation, by: by.map(<[u8]>::to_vec) });
            }
        }
    }

    fn tap_after(&mut self, host: HostId) {
        let Some(memory) = &mut self.checker.tombstones else {
            return;
        };
        let heard = memory.take();
        for Heard { subject, by, .. } in &heard {
            if let Some(by) = by {
                self.checker.suspicions.accuse(host, subject, by);
            }
        }
        let Some(machine) = self.machine(host) else {
            return;
        };
        if heard.is_empty() || self.checker.views.truth(host).leaving {
            return;
        }
        let checked = crate::sim::checker::tombstones::check(host, &heard, |name| {
            let member = machine.member(name).filter(|member| member.state() != MemberState::Left);
            member.map(|member| member.incarnation())
        });
        self.judge(checked);
    }

    pub(super) fn note(&mut self, host: HostId, what: &str) {
        if self.trace.is_on() {
            let now = self.now;
            let name = &self.hosts[host.index()].name;
            self.trace.line(format_args!("{now} {name}: {what}"));
        }
    }

    pub(super) fn trace_arrival(&mut self, host: HostId, arrival: &Arrival) {
        let text = match arrival {
            Arrival::Packet { from, bytes } => {
                let from = &self.hosts[from.index()].name;
                match self.decoder.decode(bytes, &self.layers) {
                    Ok(packet) => format!("from {from}: {:?}", packet.messages),
                    Err(error) => format!("from {from}: {} bytes: {error}", bytes.len()),
                }
            }
            Arrival::StreamData { id, bytes, fin } => {
                format!("{id:?}: {} bytes{}", bytes.len(), if *fin { ", the last" } else { "" })
            }
            Arrival::StreamOpened { .. }
            | Arrival::StreamFailed { .. }
            | Arrival::SendFailed { .. }
            | Arrival::PacketLimit { .. }
            | Arrival::Order(_) => format!("{arrival:?}"),
        };
        self.note(host, &text);
    }
}

fn remembered(stats: &MembershipStats) -> usize {
    stats.alive + stats.suspect + stats.dead + stats.left
}
