//! Any number of members in virtual time: the parts of a simulation, and its main loop.
//!
//! The parts own their state and reach into no other: [`Hosts`] (members, addresses, clocks),
//! [`SimTransport`] (links, packets, streams), [`Application`] (requests, messages, operations),
//! [`Checkers`] (rules), [`Stalls`], [`Coverage`], [`Digest`], [`Trace`]. What one part wants of
//! another it returns, or plans in the [`EventQueue`]; here and in `turn` it is passed on.
//! `controls` is what callers can do to a simulation, `queries` what they can ask of it.

mod controls;
mod queries;
mod turn;

use std::fmt;
use std::time::Duration;

use crate::sim::application::Application;
use crate::sim::checker::Checkers;
use crate::sim::coverage::{Counted, Coverage};
use crate::sim::digest::Digest;
use crate::sim::event_queue::EventQueue;
use crate::sim::fault::HostId;
use crate::sim::hostile::silent_relays::SilentRelays;
use crate::sim::hosts::Hosts;
use crate::sim::setup::{Setup, Watch};
use crate::sim::sim_event::SimEvent;
use crate::sim::sim_rng::SimRng;
use crate::sim::stalls::Stalls;
use crate::sim::trace::Trace;
use crate::sim::transport::SimTransport;
use crate::sim::violation::{BrokenRule, Violation};
use crate::time::Time;

/// The random stream of the transport.
const TRANSPORT: u64 = 1;
/// How often [`Simulation::run_until`] asks whether it is done, in virtual time.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Any number of members in virtual time. Equal seeds and controls give equal
/// [digests](Self::digest).
///
/// ```
/// use std::time::Duration;
/// use swim_core::Config;
/// use swim_core::sim::{Setup, Simulation};
///
/// let mut sim = Simulation::new(7, Setup::new(Config::lan()));
/// let [ada, bob] = ["ada", "bob"].map(|name| sim.add(name));
/// sim.start(ada);
/// sim.start(bob);
/// sim.join(bob, ada);
/// assert!(sim.run_until(Duration::from_secs(10), |sim| sim.agreement().is_ok()));
/// ```
pub struct Simulation {
    setup: Setup,
    queue: EventQueue<SimEvent>,
    hosts: Hosts,
    stalls: Stalls,
    transport: SimTransport,
    application: Application,
    checkers: Checkers,
    silent_relays: SilentRelays,
    coverage: Coverage,
    digest: Digest,
    trace: Trace,
    violation: Option<Violation>,
}

impl Simulation {
    /// A simulation without hosts.
    #[must_use]
    pub fn new(seed: u64, setup: Setup) -> Self {
        let mut simulation = Self {
            queue: EventQueue::new(),
            hosts: Hosts::new(seed, setup.verified_names),
            stalls: Stalls::default(),
            transport: SimTransport::new(&setup, SimRng::new(seed, TRANSPORT)),
            application: Application::new(setup.keep_events),
            checkers: Checkers::new(&setup),
            silent_relays: SilentRelays::new(&setup.config),
            coverage: Coverage::new(),
            digest: Digest::new(),
            trace: Trace::new(&setup.config),
            violation: None,
            setup,
        };
        simulation.plan_next_check();
        simulation
    }

    /// Runs for a span of virtual time, or until a rule is broken.
    pub fn run_for(&mut self, span: Duration) {
        self.run_to(self.now() + span);
    }

    /// Runs until that moment, or until a rule is broken.
    pub fn run_to(&mut self, until: Time) {
        while self.violation.is_none() {
            let Some(event) = self.queue.next_before(until) else {
                return self.queue.pass_to(until);
            };
            self.step(event);
        }
    }

    /// Runs until `done` says so, asking every 100 ms of virtual time; false when that did not
    /// happen within `at_most`, or a rule was broken first.
    pub fn run_until(&mut self, at_most: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now() + at_most;
        loop {
            if done(self) {
                return true;
            }
            if self.violation.is_some() || self.now() >= end {
                return false;
            }
            self.run_to((self.now() + ASK_EVERY).min(end));
        }
    }

    fn step(&mut self, event: SimEvent) {
        match event {
            SimEvent::Wake(host) => self.wake(host),
            SimEvent::Arrive(delivery) => self.arrive(delivery),
            SimEvent::Transport => self.advance_transport(),
            SimEvent::Block { host, cycle } => self.block(host, cycle),
            SimEvent::Unblock { host, process, cycle } => self.unblock(host, process, cycle),
            SimEvent::CheckViews => {
                let now = self.now();
                let checked = self.checkers.check_all(&self.hosts, now, &mut self.coverage);
                self.note_check(checked);
                self.plan_next_check();
            }
        }
    }

    fn plan_next_check(&mut self) {
        if let Watch::Every(span) = self.setup.watch {
            self.queue.plan(self.now() + span, SimEvent::CheckViews);
        }
    }

    /// Stops the simulation if a check found something; the value it returned otherwise.
    fn note_check<T>(&mut self, result: Result<T, impl Into<BrokenRule>>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(broken) => {
                self.report(broken.into());
                None
            }
        }
    }

    /// Counts what a check saw happen; stops the simulation if it found something.
    fn count_check(&mut self, result: Result<Counted, impl Into<BrokenRule>>) {
        if let Some(what) = self.note_check(result) {
            self.coverage.add(what);
        }
    }

    /// Adds a line about a host to the trace.
    fn note(&mut self, host: HostId, what: fmt::Arguments<'_>) {
        self.trace.line(self.queue.now(), self.hosts.name(host), what);
    }

    /// Stops the simulation: a rule is broken.
    pub(crate) fn report(&mut self, broken: BrokenRule) {
        if self.violation.is_none() {
            self.trace.line(self.now(), "BROKEN", format_args!("{broken}"));
            self.violation = Some(Violation::new(self.now(), broken));
        }
    }
}
