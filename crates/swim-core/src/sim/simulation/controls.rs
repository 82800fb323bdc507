//! What a test, a campaign or a scenario can do to a simulation, and ask of it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::config::Config;
use crate::member::{LocalMember, Member, MemberName, MemberState, Peer};
use crate::membership::Membership;
use crate::output::Event;
use crate::sim::chance::expand;
use crate::sim::checker::Violation;
use crate::sim::checker::agreement::{self, Witness};
use crate::sim::checker::messages::{Kind, Operation, number_of};
use crate::sim::fault::{Fault, FaultId, HostId};
use crate::sim::host::{Arrival, Clock, Host, Life, Order, Place};
use crate::sim::simulation::{Cause, Happening, Simulation};
use crate::sim::tally::{Counted, Tally};
use crate::sim::trace::Trace;
use crate::time::Time;

use std::sync::Arc;

/// The streams of chance that lives draw from begin here.
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
        self.tally.add(Counted::Moved);
        let place = self.new_place(host);
        self.settle_at(host, place);
    }

    /// Gives a host that is down the address of another, which must be down too.
    pub fn take_over(&mut self, host: HostId, address_of: HostId) {
        self.tally.add(Counted::AddressReused);
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
            self.tally.add(Counted::Restart);
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
            self.tally.add(Counted::Crash);
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
        self.tally.add(Counted::Drift);
        self.plan_wake(host);
    }
}

/// What the application of a host does.
impl Simulation {
    /// Sets the standing seeds of a host, for this life and later ones.
    pub fn set_seeds(&mut self, host: HostId, seeds: &[HostId]) {
        let seeds: Vec<SocketAddr> = seeds.iter().map(|seed| self.address(*seed)).collect();
        self.hosts[host.index()].seeds.clone_from(&seeds);
        self.plan_order(host, Order::Seeds(seeds));
    }

    /// Gives a host that is down the seeds of another.
    pub fn inherit_seeds(&mut self, host: HostId, from: HostId) {
        self.hosts[host.index()].seeds = self.hosts[from.index()].seeds.clone();
    }

    /// Joins through one host.
    pub fn join(&mut self, host: HostId, via: HostId) {
        let via = self.address(via);
        self.plan_order(host, Order::Join(via));
    }

    /// Leaves; the host stays up.
    pub fn leave(&mut self, host: HostId) {
        self.plan_order(host, Order::Leave);
    }

    /// Changes metadata, for this life and later ones.
    pub fn set_meta(&mut self, host: HostId, meta: &[u8]) {
        self.hosts[host.index()].meta = meta.to_vec();
        self.plan_order(host, Order::Meta(meta.to_vec()));
    }

    /// Sends a numbered message of about `len` bytes to everybody.
    pub fn broadcast(&mut self, host: HostId, len: usize) {
        let (_, payload) = self.checker.messages.compose(Kind::Broadcast, None, len);
        self.plan_order(host, Order::Broadcast(payload));
    }

    /// Sends a numbered message of about `len` bytes by packet.
    pub fn send(&mut self, host: HostId, to: HostId, len: usize) {
        let (_, payload) = self.checker.messages.compose(Kind::Packet, Some(to), len);
        let to = self.hosts[to.index()].name.clone();
        self.plan_order(host, Order::Send(to, payload));
    }

    /// Sends a numbered message of about `len` bytes by stream.
    pub fn send_reliable(&mut self, host: HostId, to: HostId, len: usize, timeout: Duration) {
        let (_, payload) = self.checker.messages.compose(Kind::Stream, Some(to), len);
        let to = self.hosts[to.index()].name.clone();
        self.plan_order(host, Order::SendReliable(to, payload, timeout));
    }

    /// Pings.
    pub fn ping(&mut self, host: HostId, to: HostId) {
        let to = self.hosts[to.index()].name.clone();
        self.plan_order(host, Order::Ping(to));
    }

    /// Tells a host how large packets to a peer may be.
    pub fn set_packet_limit(&mut self, host: HostId, to: HostId, limit: usize) {
        self.tally.add(Counted::LimitChanged);
        let to = self.address(to);
        self.plan(host, Arrival::PacketLimit { to, limit });
    }

    pub(super) fn plan_order(&mut self, host: HostId, order: Order) {
        self.plan(host, Arrival::Order(order));
    }

    fn plan(&mut self, host: HostId, arrival: Arrival) {
        if let Some(life) = &self.hosts[host.index()].life {
            let life = life.number;
            self.agenda.plan(self.now, Happening::Arrive { host, life, arrival });
        }
    }

    pub(super) fn obey(&mut self, host: HostId, order: Order) {
        let now = self.now;
        let Host { clock, life: Some(life), .. } = &mut self.hosts[host.index()] else {
            return;
        };
        let (machine, now) = (&mut life.machine, clock.local(now));
        // A command that is refused (the member is unknown by then, say) has no effect.
        let begun = match order {
            Order::Seeds(seeds) => {
                machine.set_seeds(seeds, now);
                None
            }
            Order::Join(via) => Some((machine.join(via, None, now), Operation::Join)),
            Order::Leave => {
                self.tally.add(Counted::Leave);
                self.checker.views.note_leave(host);
                Some((machine.leave(now), Operation::Leave))
            }
            Order::Meta(meta) => {
                let _ = machine.set_meta(meta, now);
                None
            }
            Order::Broadcast(payload) => {
                let _ = machine.broadcast(payload, now);
                None
            }
            Order::Send(to, payload) => {
                let _ = machine.send(&to, &payload, now);
                None
            }
            Order::SendReliable(to, payload, timeout) => {
                let number = number_of(&payload).unwrap_or_default();
                let begun = machine.send_reliable(&to, &payload, timeout, now).ok();
                begun.map(|id| (id, Operation::Send(number)))
            }
            Order::Ping(to) => machine.ping(&to, now).ok().map(|id| (id, Operation::Ping)),
        };
        if let Some((id, operation)) = begun {
            self.checker.messages.begin(host, id, operation);
        }
        self.settle(host, Cause::Order);
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
        self.network.begin(fault, &mut self.tally)
    }

    /// Ends a fault.
    pub fn end_fault(&mut self, fault: FaultId) {
        self.network.end(fault);
    }

    /// Ends every fault of the network and every stall; what crashed stays down.
    pub fn calm(&mut self) {
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

/// Questions.
impl Simulation {
    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// Whether certificates prove the names of hosts to each other.
    #[must_use]
    pub fn has_verified_names(&self) -> bool {
        self.setup.verified_names
    }

    /// Every host added, up or down.
    pub fn hosts(&self) -> impl Iterator<Item = HostId> + use<> {
        (0..u32::try_from(self.hosts.len()).unwrap_or(u32::MAX)).map(HostId)
    }

    /// The name of a host.
    #[must_use]
    pub fn name(&self, host: HostId) -> &MemberName {
        &self.hosts[host.index()].name
    }

    /// Whether a host is up.
    #[must_use]
    pub fn is_up(&self, host: HostId) -> bool {
        self.hosts[host.index()].life.is_some()
    }

    /// Whether a host is up and a member: not one that was told to leave.
    #[must_use]
    pub fn is_present(&self, host: HostId) -> bool {
        self.is_up(host) && !self.checker.views.truth(host).leaving
    }

    /// The machine of a host that is up.
    #[must_use]
    pub fn membership(&self, host: HostId) -> Option<&Membership> {
        self.machine(host)
    }

    /// What one host believes of another.
    #[must_use]
    pub fn member(&self, viewer: HostId, subject: HostId) -> Option<Member> {
        self.machine(viewer)?.member(self.name(subject))
    }

    /// In which state one host holds another.
    #[must_use]
    pub fn state(&self, viewer: HostId, subject: HostId) -> Option<MemberState> {
        self.member(viewer, subject).map(|member| member.state())
    }

    /// Whether every host that is present sees exactly those that are, as they are.
    ///
    /// # Errors
    /// The first difference.
    pub fn agreement(&self) -> Result<(), String> {
        let present = self.hosts().filter(|host| self.is_present(*host));
        let witnesses: Vec<Witness> = present
            .filter_map(|host| {
                let machine = self.machine(host)?;
                Some(Witness {
                    name: self.name(host).to_string(),
                    present: Some(machine.local()),
                    view: machine.members().collect(),
                })
            })
            .collect();
        agreement::check(&witnesses).map_err(|breach| breach.detail)
    }

    /// The rule that was broken, if one was. Nothing moves any more from then on.
    #[must_use]
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// A hash over every byte and every event that left a machine.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest.value()
    }

    /// What happened so far, counted.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How many steps the simulation took.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Every event kept: when, at whom, what. Empty unless the setup says to keep them.
    #[must_use]
    pub fn events(&self) -> &[(Time, HostId, Event)] {
        &self.events
    }

    /// Stops the simulation: something is not as it must be.
    pub(crate) fn report_breach(&mut self, rule: &'static str, detail: String) {
        self.breach(rule, detail);
    }

    pub(crate) fn count(&mut self, what: Counted) {
        self.tally.add(what);
    }

    /// Operations that have not ended.
    #[must_use]
    pub fn open_operations(&self) -> usize {
        self.checker.messages.open()
    }

    /// Streams that have not ended.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.streams.len()
    }

    /// Keeps the last lines of a trace from here on.
    pub fn keep_trace(&mut self) {
        self.trace = Trace::Last(VecDeque::new());
    }

    /// Gives every line of a trace to `sink` from here on.
    pub fn trace_to(&mut self, sink: impl FnMut(&str) + 'static) {
        self.trace = Trace::To(Box::new(sink));
    }

    /// The last lines of the trace.
    #[must_use]
    pub fn last_lines(&self) -> Vec<String> {
        self.trace.lines()
    }
}
