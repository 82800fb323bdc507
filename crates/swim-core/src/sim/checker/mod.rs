//! The rules that no run may break, whatever the faults.
//!
//! Each checker works on plain data that members show through their public methods, so that its
//! tests need no broken member:
//!
//! - [`views`]: what may be believed after what was believed before;
//! - [`suspicions`]: how long a suspect has to refute;
//! - [`words`]: who is dead at another member's word was asked in vain;
//! - [`tombstones`]: a suspicion or death that was heard is not forgotten (decodes every packet);
//! - [`table_bounds`]: tables and queues stay small;
//! - [`refused_deaths`]: who is dead by refusals was refused twice;
//! - [`restarts`]: who is reported as restarted is;
//! - [`progress`]: nobody spins on an overdue timer;
//! - [`honest_members`]: what hostile members may not achieve;
//! - [`agreement`], [`healing`]: at the end all views are equal and right, all queues empty.

pub(crate) mod agreement;
pub(crate) mod belief_rules;
pub(crate) mod healing;
pub(crate) mod honest_members;
pub(crate) mod progress;
pub(crate) mod refused_deaths;
pub(crate) mod restarts;
pub(crate) mod suspicions;
pub(crate) mod table_bounds;
pub(crate) mod tombstones;
pub(crate) mod views;
pub(crate) mod words;

use std::net::SocketAddr;

use crate::evidence::{Evidence, FailureEvidence};
use crate::member::MemberState;
use crate::membership::Membership;
use crate::output::MembershipEvent;
use crate::sim::arrival::Cause;
use crate::sim::coverage::Coverage;
use crate::sim::fault::HostId;
use crate::sim::hosts::{HostAddress, Hosts};
use crate::sim::setup::{Setup, Watch};
use crate::sim::violation::BrokenRule;
use crate::time::Time;

use belief_rules::{Belief, ViewObservation};
use progress::ProgressChecker;
use refused_deaths::RefusalChecker;
use restarts::RestartChecker;
use suspicions::Suspicions;
use tombstones::{Heard, Tombstones};
use views::Views;
use words::Words;

/// All checkers that remember something between steps.
pub(crate) struct Checkers {
    watch: Watch,
    views: Views,
    suspicions: Suspicions,
    words: Words,
    /// Only where packets are decoded.
    tombstones: Option<Tombstones>,
    progress: ProgressChecker,
    restarts: RestartChecker,
    refusals: RefusalChecker,
}

impl Checkers {
    pub(crate) fn new(setup: &Setup) -> Self {
        Self {
            watch: setup.watch,
            views: Views::default(),
            suspicions: Suspicions::default(),
            words: Words::default(),
            tombstones: setup.tap.then(|| Tombstones::new(&setup.config)),
            progress: ProgressChecker::default(),
            restarts: RestartChecker::default(),
            refusals: RefusalChecker::default(),
        }
    }

    pub(crate) fn set_hosts(&mut self, hosts: usize) {
        self.views.set_hosts(hosts);
    }

    /// A new process knows nobody yet.
    pub(crate) fn process_started(&mut self, host: HostId, at: SocketAddr) {
        self.views.process_started(host, HostAddress::of(at).unwrap_or_default());
    }

    pub(crate) fn process_ended(&mut self, host: HostId) {
        self.suspicions.forget(host);
        self.words.forget(host);
    }

    /// A host was told to leave while its member was at this incarnation.
    pub(crate) fn note_leave(&mut self, host: HostId, incarnation: u32) {
        self.views.note_leave(host, incarnation);
    }

    /// Whether a host was told to leave since it started.
    pub(crate) fn is_leaving(&self, host: HostId) -> bool {
        self.views.own(host).leaving
    }

    /// From now on a host gives start numbers that it has made up.
    pub(crate) fn note_forged_starts(&mut self, host: HostId) {
        self.restarts.note_liar(host);
    }

    /// A host is told that packets to whoever is at an address are refused.
    pub(crate) fn note_refusal(&mut self, host: HostId, from: SocketAddr, hosts: &Hosts, at: Time) {
        if let Some(subject) = hosts.at(from) {
            self.refusals.note(host, subject, at);
        }
    }

    pub(crate) fn note_wake(&mut self, host: HostId, now: Time) -> Result<(), BrokenRule> {
        Ok(self.progress.note_wake(host, now)?)
    }

    /// A packet is about to be handed over.
    pub(crate) fn before_packet(&mut self, host: HostId, packet: &[u8], hosts: &Hosts) {
        if let Some(tombstones) = &mut self.tombstones
            && let Some(membership) = hosts.membership(host)
        {
            let knows = |name: &_| membership.member(name).is_some();
            tombstones.read(packet, hosts.name(host), knows);
        }
    }

    /// Checks a host that has just acted.
    pub(crate) fn after_step(
        &mut self,
        host: HostId,
        cause: Cause,
        (hosts, now): (&Hosts, Time),
        coverage: &mut Coverage,
    ) -> Result<(), BrokenRule> {
        if self.watch == Watch::EveryStep {
            self.note_own_incarnation(host, hosts);
            let observation = observation(host, Some(cause), hosts, now);
            self.check_view(observation, hosts, coverage)?;
            self.views.end_look();
            self.words.end_look();
        }
        if cause == Cause::Packet { self.after_packet(host, hosts, now) } else { Ok(()) }
    }

    /// Checks all hosts, several steps after the last time.
    pub(crate) fn check_all(
        &mut self,
        hosts: &Hosts,
        now: Time,
        coverage: &mut Coverage,
    ) -> Result<(), BrokenRule> {
        for host in hosts.ids() {
            self.note_own_incarnation(host, hosts);
        }
        for host in hosts.ids() {
            self.check_view(observation(host, None, hosts, now), hosts, coverage)?;
        }
        self.words.end_look();
        self.views.end_look();
        Ok(())
    }

    fn note_own_incarnation(&mut self, host: HostId, hosts: &Hosts) {
        if let Some(membership) = hosts.membership(host) {
            self.views.note_own_incarnation(host, membership.local().incarnation());
        }
    }

    /// Checks a whole view, if it changed since the last look.
    fn check_view(
        &mut self,
        observation: ViewObservation,
        hosts: &Hosts,
        coverage: &mut Coverage,
    ) -> Result<(), BrokenRule> {
        let viewer = observation.viewer;
        let Some(membership) = hosts.membership(viewer) else {
            return Ok(());
        };
        if !self.views.is_new(viewer, membership.generation()) {
            return Ok(());
        }
        // Both lists are ordered by name.
        let mut members = membership.members().peekable();
        for subject in hosts.by_name() {
            let name = hosts.name(*subject);
            let belief = match members.next_if(|member| member.name() == name) {
                Some(member) => Belief {
                    incarnation: member.incarnation(),
                    address: HostAddress::of(member.address()).unwrap_or_default(),
                    state: Some(member.state()),
                },
                None => Belief::default(),
            };
            let observation = ViewObservation {
                // The word was a packet, and that nobody answered was seen by a timer.
                cause: match self.words.are_believed(viewer, *subject) {
                    true => Some(Cause::Packet),
                    false => observation.cause,
                },
                ..observation
            };
            if let Some(change) = self.views.observe(observation, *subject, belief)? {
                coverage.add(change);
            }
        }
        if let Some(unknown) = members.next() {
            let name = unknown.name().clone();
            return Err(BrokenRule::UnknownMember { viewer: viewer.index(), name });
        }
        Ok(table_bounds::check(viewer, &membership.stats(), hosts.config(viewer))?)
    }

    fn after_packet(&mut self, host: HostId, hosts: &Hosts, now: Time) -> Result<(), BrokenRule> {
        let Some(tombstones) = &mut self.tombstones else {
            return Ok(());
        };
        let heard = tombstones.take();
        for Heard { subject, by, incarnation, is_death } in &heard {
            if *is_death {
                self.words.heard(host, subject, *incarnation, hosts.local(host, now));
                self.suspicions.confirm_by_death(host, subject, by, *incarnation);
            } else {
                self.suspicions.confirm(host, subject, by);
            }
        }
        let Some(membership) = hosts.membership(host) else {
            return Ok(());
        };
        if heard.is_empty() || self.is_leaving(host) {
            return Ok(());
        }
        let held = |name: &_| {
            let member = membership.member(name);
            let member = member.filter(|member| member.state() != MemberState::Left);
            member.map(|member| member.incarnation())
        };
        Ok(tombstones::check(host, &heard, held)?)
    }

    /// A member let go of an address.
    pub(crate) fn note_release(
        &mut self,
        host: HostId,
        address: SocketAddr,
        cause: Cause,
        (hosts, now): (&Hosts, Time),
    ) {
        let cause = (self.watch == Watch::EveryStep).then_some(cause);
        if let Some(address) = HostAddress::of(address) {
            self.views.note_release(observation(host, cause, hosts, now), address);
        }
    }

    /// A member announced a change to its application.
    pub(crate) fn note_event(
        &mut self,
        host: HostId,
        event: &MembershipEvent,
        cause: Cause,
        (hosts, now): (&Hosts, Time),
    ) -> Result<(), BrokenRule> {
        match event {
            MembershipEvent::Suspected { member, by } => {
                // It computed its deadline from one of the two counts.
                let after = hosts.membership(host).map_or(0, remembered);
                let before = self.views.remembered(host);
                let members = match self.watch {
                    // Nobody has followed the count: the least that any cluster grants.
                    Watch::Never => after.min(1),
                    Watch::EveryStep | Watch::Every(_) if before == 0 => after,
                    Watch::EveryStep | Watch::Every(_) => after.min(before),
                };
                let stats = hosts.membership(host).map(Membership::stats);
                // Members that may be invented: what was heard decides how many count.
                let heard = stats.filter(|stats| stats.doubts_unheard).map(|stats| stats.heard);
                let suspect = (member.name(), member.incarnation());
                self.suspicions.begin(host, suspect, by, (members, heard));
            }
            // Refusals explain a death where the suspicion had not run out, and only there.
            MembershipEvent::Failed { member, declared_by, evidence, .. }
                if *evidence == FailureEvidence::Refused
                    && hosts.config(host).evidence == Evidence::Verdict
                    && declared_by == hosts.name(host)
                    && hosts
                        .named(member.name())
                        .is_some_and(|subject| self.refusals.explain(host, subject)) =>
            {
                self.suspicions.end(host, member.name());
            }
            MembershipEvent::Failed { member, declared_by, .. }
                if cause == Cause::Timer && declared_by != hosts.name(host) =>
            {
                self.suspicions.end(host, member.name());
                if let Some(subject) = hosts.named(member.name()) {
                    self.words.believes(host, subject);
                }
                if self.tombstones.is_some() {
                    let wait = hosts.config(host).ack_timeout();
                    let claim = (member.name(), member.incarnation());
                    self.words.check(host, claim, hosts.local(host, now), wait)?;
                }
            }
            MembershipEvent::Failed { member, after, .. } if cause == Cause::Timer => {
                let (config, counted) = (hosts.config(host), self.tombstones.is_some());
                self.suspicions.ran_out(host, member.name(), *after, config, counted)?;
            }
            MembershipEvent::Restarted(member) => {
                if let Some(subject) = hosts.named(member.name()) {
                    let has_restarted = hosts.process(subject) != Some(1);
                    let subject = (subject, member.name());
                    self.restarts.check(host, subject, has_restarted, now)?;
                }
            }
            MembershipEvent::Failed { member, .. }
            | MembershipEvent::Cleared { member, .. }
            | MembershipEvent::Removed { member, .. }
            | MembershipEvent::Left(member) => {
                self.suspicions.end(host, member.name());
            }
            MembershipEvent::Joined(_)
            | MembershipEvent::Updated(_)
            | MembershipEvent::Moved { .. }
            | MembershipEvent::ProbeAnswered { .. }
            | MembershipEvent::Message { .. }
            | MembershipEvent::Conflict { .. }
            | MembershipEvent::RemoteState { .. }
            | MembershipEvent::SeedTried { .. }
            | MembershipEvent::StableView(_)
            | MembershipEvent::Resumed { .. }
            | MembershipEvent::Warning { .. } => {}
        }
        Ok(())
    }
}

fn observation(viewer: HostId, cause: Option<Cause>, hosts: &Hosts, now: Time) -> ViewObservation {
    let keeps_dead = hosts.config(viewer).gossip_to_the_dead;
    ViewObservation { viewer, cause, now: hosts.local(viewer, now), keeps_dead }
}

/// How many members are in a member's table.
fn remembered(membership: &Membership) -> usize {
    let stats = membership.stats();
    stats.alive + stats.suspect + stats.dead + stats.left
}
