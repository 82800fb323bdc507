//! What a test, a campaign or a scenario can do to hosts and to the network.
//!
//! Only what could happen outside: no control reaches into a machine.

use std::sync::Arc;

use crate::config::Config;
use crate::member::{LocalMember, MemberName, Peer};
use crate::membership::Membership;
use crate::sim::coverage::Counted;
use crate::sim::fault::{Fault, FaultId, HostId};
use crate::sim::host::{Clock, Host, Life, Order, Place};
use crate::sim::sim_rng::expand;
use crate::sim::simulation::{Cause, Simulation};
use crate::time::Time;

/// The random streams of processes begin here.
const FIRST_LIFE: u64 = 1 << 32;

/// Hosts: adding, starting, crashing.
impl Simulation {
    /// Adds a host that is down, with the simulation's settings.
    ///
    /// # Panics
    /// When the name is no member name, or taken.
    pub fn add(&mut self, name: &str) -> HostId {
        let config = self.setup.config.clone();
        self.add_with(name, config)
    }

    /// Adds a host that is down, with settings of its own.
    ///
    /// # Panics
    /// When the name is no member name, or taken.
    pub fn add_with(&mut self, name: &str, config: Config) -> HostId {
        let name = MemberName::try_from(name).expect("a simulated member needs a proper name");
        let host = HostId(u32::try_from(self.hosts.len()).unwrap_or(u32::MAX));
        let order = self.by_name.partition_point(|other| self.hosts[other.index()].name < name);
        let taken = self.by_name.get(order).map(|other| &self.hosts[other.index()].name);
        assert!(taken != Some(&name), "two hosts called {name}");
        let place = self.new_place(host);
        let peer = self.peer(place, &name);
        self.by_name.insert(order, host);
        self.hosts.push(Host {
            name,
            place,
            peer,
            config,
            meta: Vec::new(),
            seeds: Vec::new(),
            clock: Clock::new(self.now, Time::from_micros(u64::from(host.0) * 1_000_003)),
            lives: 0,
            life: None,
            cycle: None,
        });
        self.network.set_hosts(self.hosts.len());
        self.checker.views.set_hosts(self.hosts.len());
        host
    }

    /// Gives a host that is down a new address.
    pub fn relocate(&mut self, host: HostId) {
        self.coverage.add(Counted::Moved);
        let place = self.new_place(host);
        self.settle_at(host, place);
    }

    /// Gives a host that is down the address of another, which must be down too.
    pub fn take_over(&mut self, host: HostId, address_of: HostId) {
        self.coverage.add(Counted::AddressReused);
        let place = self.hosts[address_of.index()].place;
        self.settle_at(host, place);
    }

    fn settle_at(&mut self, host: HostId, place: Place) {
        self.crash(host);
        let peer = self.peer(place, &self.hosts[host.index()].name);
        let state = &mut self.hosts[host.index()];
        (state.place, state.peer) = (place, peer);
    }

    fn new_place(&mut self, host: HostId) -> Place {
        self.occupants.push(host);
        Place(u32::try_from(self.occupants.len() - 1).unwrap_or(u32::MAX))
    }

    fn peer(&self, place: Place, name: &MemberName) -> Peer {
        if self.setup.verified_names {
            Peer { address: place.address(), names: Arc::new([name.clone()]) }
        } else {
            Peer::unverified(place.address())
        }
    }

    /// Starts a host, or crashes and restarts it: a new machine at incarnation 1 that knows
    /// nobody but its seeds. Whoever runs at the same address crashes.
    ///
    /// # Panics
    /// When the host's settings do not work.
    pub fn start(&mut self, host: HostId) {
        self.crash(host);
        let place = self.hosts[host.index()].place;
        let before = std::mem::replace(&mut self.occupants[place.index()], host);
        if self.hosts[before.index()].place == place {
            self.crash(before);
        }
        let now = self.now;
        let state = &mut self.hosts[host.index()];
        state.lives += 1;
        let stream = FIRST_LIFE * u64::from(state.lives) + u64::from(host.0);
        let me = LocalMember {
            name: state.name.clone(),
            address: place.address(),
            meta: state.meta.clone(),
        };
        let seed = expand(self.seed, stream);
        let machine = Membership::new(state.config.clone(), me, seed, state.clock.local(now))
            .unwrap_or_else(|error| panic!("host {} cannot start: {error}", host.index()));
        let number = state.lives;
        state.life = Some(Life { machine, number, wake: None, held: None });
        if number > 1 {
            self.coverage.add(Counted::Restart);
        }
        self.checker.views.forget(host);
        self.note(host, "starts");
        self.settle(host, Cause::Start);
        let seeds = self.hosts[host.index()].seeds.clone();
        if !seeds.is_empty() {
            self.plan_order(host, Order::Seeds(seeds));
        }
    }

    /// Crashes a host: nothing is said, all it knew is gone.
    pub fn crash(&mut self, host: HostId) {
        if self.hosts[host.index()].life.take().is_some() {
            self.coverage.add(Counted::Crash);
            self.note(host, "crashes");
            self.checker.messages.forget(host);
            self.checker.suspicions.forget(host);
        }
    }

    /// Lets a host's clock run at `rate` microseconds a second from here on.
    pub fn set_clock_rate(&mut self, host: HostId, rate: u64) {
        let now = self.now;
        let state = &mut self.hosts[host.index()];
        state.clock.set_rate(rate, now);
        if let Some(life) = &mut state.life {
            life.wake = None;
        }
        self.coverage.add(Counted::Drift);
        self.plan_wake(host);
    }
}

/// Faults of the network.
impl Simulation {
    /// Begins a fault.
    pub fn begin_fault(&mut self, fault: Fault) -> FaultId {
        if self.trace.is_on() {
            let now = self.now;
            self.trace.line(format_args!("{now} network: {fault:?} begins"));
        }
        self.network.begin(fault, &mut self.coverage)
    }

    /// Ends a fault.
    pub fn end_fault(&mut self, fault: FaultId) {
        self.network.end(fault);
    }

    /// Ends every fault of the network and every stall; what crashed stays down.
    pub fn end_all_faults(&mut self) {
        self.network.end_all();
        for host in self.hosts() {
            self.end_stall(host);
        }
    }

    /// Cuts one host off from all others, both ways.
    pub fn isolate(&mut self, host: HostId) -> FaultId {
        let groups = self.hosts().map(|other| u8::from(other == host)).collect();
        self.begin_fault(Fault::Partition { groups })
    }
}
