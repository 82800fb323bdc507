//! Many real machines in virtual time: the run loop and its controls.
//!
//! Moves time from one event to the next and carries out what the machines ask for; the
//! network decides what arrives, the checker what may be believed. Runs [`Membership`] as it is,
//! through its public methods only.

mod acquaint;
mod application;
mod controls;
mod packets;
mod questions;
mod stalls;
mod streams;
mod turn;
mod watch;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::config::Config;
use crate::error::StreamFailure;
use crate::membership::Membership;
use crate::output::Event;
use crate::sim::agenda::Agenda;
use crate::sim::checker::{Checker, Violation};
use crate::sim::coverage::Coverage;
use crate::sim::digest::Digest;
use crate::sim::fault::HostId;
use crate::sim::host::{Arrival, Host};
use crate::sim::network::{Latency, Network};
use crate::sim::sim_rng::SimRng;
use crate::sim::streams::{Side, Streams};
use crate::sim::trace::Trace;
use crate::time::Time;
use crate::wire::{Keyring, Label, PacketDecoder, WireSettings};

/// How closely a simulation is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Every view after every step that changed it.
    EveryStep,
    /// Every view at every multiple of this span.
    Every(Duration),
}

/// What a simulation is made of; everything else is drawn from its seed.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Settings of hosts added without settings of their own.
    pub config: Config,
    /// How long packets travel.
    pub latency: Latency,
    /// Whether certificates prove the names of hosts to each other.
    pub verified_names: bool,
    /// How closely the rules are checked.
    pub watch: Watch,
    /// Also decodes every packet, to check what machines make of accusations.
    pub tap: bool,
    /// Keeps every event for [`Simulation::events`].
    pub keep_events: bool,
}

impl Setup {
    /// Members with this configuration on a network that suits it, watched at every step.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            latency: Latency::suiting(&config),
            config,
            verified_names: true,
            watch: Watch::EveryStep,
            tap: false,
            keep_events: false,
        }
    }
}

/// Any number of members in virtual time. Equal seeds and orders give equal
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
    seed: u64,
    setup: Setup,
    now: Time,
    agenda: Agenda<SimEvent>,
    hosts: Vec<Host>,
    /// Who was last started at each place.
    occupants: Vec<HostId>,
    /// The hosts ordered by name.
    by_name: Vec<HostId>,
    network: Network,
    streams: Streams,
    /// Peers that could not be dialed; reported when the dial has timed out.
    dialing: BTreeSet<(HostId, HostId)>,
    /// What the machines put around their messages.
    layers: WireSettings,
    decoder: PacketDecoder,
    checker: Checker,
    coverage: Coverage,
    digest: Digest,
    trace: Trace,
    violation: Option<Violation>,
    events: Vec<(Time, HostId, Event)>,
    cycles: u32,
    steps: u64,
    /// Wakes in a row that moved no clock.
    spins: u32,
}

/// Something planned.
enum SimEvent {
    Wake(HostId),
    Arrive { host: HostId, life: u32, arrival: Arrival },
    Piece { stream: u64, to: Side },
    FailStream { host: HostId, life: u32, stream: u64, side: Side, reason: StreamFailure },
    Expire { stream: u64 },
    DialTimedOut { from: HostId, life: u32, to: HostId },
    Block { host: HostId, cycle: u32 },
    Unblock { host: HostId, life: u32, cycle: u32 },
    Look,
}

/// What a machine was just given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Start,
    Timer,
    Packet,
    Stream,
    Order,
}

/// After so many wakes at one moment a machine counts as spinning.
const MAX_SPINS: u32 = 10_000;

impl Simulation {
    /// A simulation without hosts.
    #[must_use]
    pub fn new(seed: u64, setup: Setup) -> Self {
        let network = Network::new(setup.latency, SimRng::new(seed, 1));
        let mut simulation = Self {
            seed,
            now: Time::ZERO,
            agenda: Agenda::new(),
            hosts: Vec::new(),
            occupants: Vec::new(),
            by_name: Vec::new(),
            network,
            streams: Streams::default(),
            dialing: BTreeSet::new(),
            layers: layers_of(&setup.config),
            decoder: PacketDecoder::default(),
            checker: Checker::new(setup.tap),
            coverage: Coverage::new(),
            digest: Digest::new(),
            trace: Trace::Off,
            violation: None,
            events: Vec::new(),
            cycles: 0,
            steps: 0,
            spins: 0,
            setup,
        };
        if let Watch::Every(span) = simulation.setup.watch {
            simulation.agenda.plan(Time::ZERO + span, SimEvent::Look);
        }
        simulation
    }

    /// Runs for a span of virtual time, or until a rule is broken.
    pub fn run_for(&mut self, span: Duration) {
        self.run_to(self.now + span);
    }

    /// Runs until that moment, or until a rule is broken.
    pub fn run_to(&mut self, until: Time) {
        while self.violation.is_none() && self.agenda.next_at().is_some_and(|at| at <= until) {
            self.step();
        }
        if self.violation.is_none() {
            self.now = self.now.max(until);
        }
    }

    /// Runs until `done` says so, asking every 100 ms of virtual time; false when that did not
    /// happen within `at_most`, or a rule was broken first.
    pub fn run_until(&mut self, at_most: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + at_most;
        loop {
            if done(self) {
                return true;
            }
            if self.violation.is_some() || self.now >= end {
                return false;
            }
            self.run_to((self.now + Duration::from_millis(100)).min(end));
        }
    }

    fn step(&mut self) {
        let Some((at, event)) = self.agenda.pop() else {
            return;
        };
        debug_assert!(at >= self.now, "{at} is over, it is {}", self.now);
        self.spins = if at == self.now { self.spins } else { 0 };
        self.now = at;
        self.steps += 1;
        match event {
            SimEvent::Wake(host) => self.wake(host),
            SimEvent::Arrive { host, life, arrival } => self.arrive(host, life, arrival),
            SimEvent::Piece { stream, to } => self.move_piece(stream, to),
            SimEvent::FailStream { host, life, stream, side, reason } => {
                self.fail_end(host, life, stream, side, reason);
            }
            SimEvent::Expire { stream } => self.expire(stream),
            SimEvent::DialTimedOut { from, life, to } => self.dial_timed_out(from, life, to),
            SimEvent::Block { host, cycle } => self.block(host, cycle),
            SimEvent::Unblock { host, life, cycle } => self.unblock(host, life, cycle),
            SimEvent::Look => {
                self.look_at_everybody();
                if let Watch::Every(span) = self.setup.watch {
                    self.agenda.plan(self.now + span, SimEvent::Look);
                }
            }
        }
    }

    fn wake(&mut self, host: HostId) {
        let Some(life) = &mut self.hosts[host.index()].life else {
            return;
        };
        // A wake that a nearer deadline made pointless.
        if life.wake != Some(self.now) {
            return;
        }
        life.wake = None;
        self.spins += 1;
        if self.spins > MAX_SPINS {
            self.breach("progress", format!("host {} spins on an overdue timer", host.index()));
            return;
        }
        if life.held.as_ref().is_some_and(|held| held.stuck) {
            return;
        }
        self.act_on_timers(host);
        self.settle(host, Cause::Timer);
    }

    fn machine(&self, host: HostId) -> Option<&Membership> {
        self.hosts[host.index()].life.as_ref().map(|life| &life.machine)
    }
}

/// The layers of the cluster's packets.
fn layers_of(config: &Config) -> WireSettings {
    let mut keyring = Keyring::default();
    for key in &config.keys {
        // Machines refuse settings with bad keys, so none gets here.
        let _ = keyring.add(key.as_bytes());
    }
    WireSettings {
        label: Label::new(config.label.clone()).unwrap_or_default(),
        keyring,
        verify_incoming: config.verify_incoming,
        verify_outgoing: config.verify_outgoing,
        ..WireSettings::default()
    }
}
