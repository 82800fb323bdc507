//! The hosts: names, addresses, clocks, and the process that runs on each while it is up.
//!
//! Keeps what an operating system and a configuration file keep. Packets, streams, stalls and
//! checks belong to other parts, which read this one.

mod host_address;
mod host_clock;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::Config;
use crate::member::{LocalMember, Peer};
use crate::member_name::MemberName;
use crate::membership::Membership;
use crate::protocol_versions::ProtocolVersions;
use crate::sim::fault::HostId;
use crate::sim::sim_rng::process_seed;
use crate::time::Time;
use crate::transport::TransportAdapter;

pub(crate) use host_address::HostAddress;
use host_clock::HostClock;

/// Which of a host's processes: 1 for the first one, one more at every restart.
pub(crate) type ProcessNumber = u32;

/// Local time differs from host to host by this many microseconds, so that no code can rely on
/// members sharing a clock.
const CLOCK_OFFSET: u64 = 1_000_003;

/// All hosts of a simulation.
pub(crate) struct Hosts {
    /// The simulation's seed, from which the seed of every process follows.
    seed: u64,
    verified_names: bool,
    hosts: Vec<HostState>,
    /// The host last started at each address.
    last_at: Vec<HostId>,
    by_name: Vec<HostId>,
}

struct HostState {
    name: MemberName,
    address: HostAddress,
    /// How others see it: with its name where certificates prove names.
    peer: Peer,
    config: Config,
    meta: Vec<u8>,
    bootstrap: Vec<SocketAddr>,
    clock: HostClock,
    starts: ProcessNumber,
    process: Option<Box<HostProcess>>,
}

/// One run of a host, from start to crash.
pub(crate) struct HostProcess {
    pub(crate) membership: Membership,
    pub(crate) adapter: TransportAdapter,
    /// When it is to be woken, by virtual time.
    wake: Option<Time>,
}

impl Hosts {
    pub(crate) fn new(seed: u64, verified_names: bool) -> Self {
        Self { seed, verified_names, hosts: Vec::new(), last_at: Vec::new(), by_name: Vec::new() }
    }

    /// Adds a host that is down, at an address of its own.
    ///
    /// # Panics
    /// When the name is no member name, or taken.
    pub(crate) fn add(&mut self, name: &str, config: Config, now: Time) -> HostId {
        let name = MemberName::try_from(name).expect("a simulated member needs a proper name");
        let host = HostId(u32::try_from(self.hosts.len()).unwrap_or(u32::MAX));
        let order = self.by_name.partition_point(|other| *self.name(*other) < name);
        let next = self.by_name.get(order).map(|other| self.name(*other));
        assert!(next != Some(&name), "two hosts called {name}");
        let address = self.new_address(host);
        let local = Time::from_micros(u64::from(host.0) * CLOCK_OFFSET);
        self.by_name.insert(order, host);
        self.hosts.push(HostState {
            peer: self.peer_at(address, &name),
            name,
            address,
            config,
            meta: Vec::new(),
            bootstrap: Vec::new(),
            clock: HostClock::new(now, local),
            starts: 0,
            process: None,
        });
        host
    }

    /// Gives a host that is down an address that nobody had before.
    pub(crate) fn relocate(&mut self, host: HostId) {
        let address = self.new_address(host);
        self.set_address(host, address);
    }

    /// Gives a host that is down the address of another one.
    pub(crate) fn take_address(&mut self, host: HostId, of: HostId) {
        self.set_address(host, self.get(of).address);
    }

    fn new_address(&mut self, host: HostId) -> HostAddress {
        self.last_at.push(host);
        HostAddress(u32::try_from(self.last_at.len() - 1).unwrap_or(u32::MAX))
    }

    fn set_address(&mut self, host: HostId, address: HostAddress) {
        debug_assert!(!self.is_up(host), "a running process keeps its address");
        let peer = self.peer_at(address, self.name(host));
        let state = self.get_mut(host);
        (state.address, state.peer) = (address, peer);
    }

    fn peer_at(&self, address: HostAddress, name: &MemberName) -> Peer {
        let address = address.socket_address();
        if self.verified_names {
            Peer { address, names: Arc::new([name.clone()]) }
        } else {
            Peer::unverified(address)
        }
    }

    /// Makes a host the one that is found at its address; returns whoever was found there so far
    /// and must go down for it, perhaps the host itself.
    pub(crate) fn claim_address(&mut self, host: HostId) -> Option<HostId> {
        let address = self.get(host).address;
        let before = std::mem::replace(&mut self.last_at[address.index()], host);
        (self.get(before).address == address).then_some(before)
    }

    /// Starts a process on a host that is down: at incarnation 1, knowing nobody.
    ///
    /// # Panics
    /// When the host's configuration is refused.
    pub(crate) fn start(&mut self, host: HostId, now: Time) -> ProcessNumber {
        let simulation = self.seed;
        let state = self.get_mut(host);
        state.starts += 1;
        let local = LocalMember {
            name: state.name.clone(),
            address: state.address.socket_address(),
            meta: state.meta.clone(),
        };
        let seed = process_seed(simulation, host, state.starts);
        let membership = Membership::new(state.config.clone(), local, seed, state.clock.local(now))
            .unwrap_or_else(|error| panic!("host {} cannot start: {error}", host.index()));
        state.process = Some(Box::new(HostProcess {
            membership,
            adapter: TransportAdapter::default(),
            wake: None,
        }));
        state.starts
    }

    /// Ends a host's process, if one runs; false when it was down.
    pub(crate) fn stop(&mut self, host: HostId) -> bool {
        self.get_mut(host).process.take().is_some()
    }

    /// Lets a host's clock run at `rate` microseconds a second from here on.
    pub(crate) fn set_clock_rate(&mut self, host: HostId, rate: u64, now: Time) {
        let state = self.get_mut(host);
        state.clock.set_rate(rate, now);
        // It was computed with the old rate.
        if let Some(process) = &mut state.process {
            process.wake = None;
        }
    }

    /// The versions that later processes announce.
    pub(crate) fn set_versions(&mut self, host: HostId, versions: ProtocolVersions) {
        self.get_mut(host).config.versions = versions;
    }

    /// The metadata that later processes start with.
    pub(crate) fn set_meta(&mut self, host: HostId, meta: &[u8]) {
        self.get_mut(host).meta = meta.to_vec();
    }

    /// The standing join addresses that later processes start with.
    pub(crate) fn set_bootstrap(&mut self, host: HostId, addresses: Vec<SocketAddr>) {
        self.get_mut(host).bootstrap = addresses;
    }

    /// The membership of a running host and what the host's clock shows.
    pub(crate) fn running(&mut self, host: HostId, now: Time) -> Option<(&mut Membership, Time)> {
        let HostState { clock, process: Some(process), .. } = self.get_mut(host) else {
            return None;
        };
        Some((&mut process.membership, clock.local(now)))
    }

    /// Takes the process of a running host out for a turn, with what the host's clock shows. It is
    /// not to be found here until it is [given back](Self::give_back).
    pub(crate) fn lend(&mut self, host: HostId, now: Time) -> Option<(Box<HostProcess>, Time)> {
        let HostState { clock, process, .. } = self.get_mut(host);
        Some((process.take()?, clock.local(now)))
    }

    pub(crate) fn give_back(&mut self, host: HostId, process: Box<HostProcess>) {
        self.get_mut(host).process = Some(process);
    }

    /// When the host must be woken for its next deadline, unless a wake no later is planned.
    pub(crate) fn plan_wake(&mut self, host: HostId, now: Time) -> Option<Time> {
        let HostState { clock, process: Some(process), .. } = self.get_mut(host) else {
            return None;
        };
        let due = [process.membership.poll_timeout(), process.adapter.poll_timeout()];
        let at = clock.global(due.into_iter().flatten().min()?).max(now);
        if process.wake.is_some_and(|planned| planned <= at) {
            return None;
        }
        process.wake = Some(at);
        Some(at)
    }

    /// Whether the wake planned for this moment is still wanted: a nearer deadline may have
    /// replaced it. It is used up by this.
    pub(crate) fn take_wake(&mut self, host: HostId, now: Time) -> bool {
        let process = self.get_mut(host).process.as_mut();
        process.is_some_and(|process| process.wake.take_if(|wake| *wake == now).is_some())
    }

    /// Whether certificates prove the names of hosts to each other.
    pub(crate) fn verifies_names(&self) -> bool {
        self.verified_names
    }

    pub(crate) fn len(&self) -> usize {
        self.hosts.len()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = HostId> + use<> {
        (0..u32::try_from(self.hosts.len()).unwrap_or(u32::MAX)).map(HostId)
    }

    /// All hosts in the order of their names.
    pub(crate) fn by_name(&self) -> &[HostId] {
        &self.by_name
    }

    pub(crate) fn named(&self, name: &MemberName) -> Option<HostId> {
        let order = self.by_name.binary_search_by(|host| self.name(*host).cmp(name)).ok()?;
        self.by_name.get(order).copied()
    }

    /// The host at an address, or the one that was there last.
    pub(crate) fn at(&self, address: SocketAddr) -> Option<HostId> {
        let address = HostAddress::of(address)?;
        let host = self.last_at.get(address.index()).copied()?;
        (self.get(host).address == address).then_some(host)
    }

    pub(crate) fn name(&self, host: HostId) -> &MemberName {
        &self.get(host).name
    }

    pub(crate) fn address(&self, host: HostId) -> SocketAddr {
        self.get(host).address.socket_address()
    }

    pub(crate) fn peer(&self, host: HostId) -> &Peer {
        &self.get(host).peer
    }

    pub(crate) fn config(&self, host: HostId) -> &Config {
        &self.get(host).config
    }

    pub(crate) fn bootstrap(&self, host: HostId) -> &[SocketAddr] {
        &self.get(host).bootstrap
    }

    /// What the host's clock shows at a virtual time.
    pub(crate) fn local(&self, host: HostId, global: Time) -> Time {
        self.get(host).clock.local(global)
    }

    /// The first virtual time at which the host's clock shows `local`.
    pub(crate) fn global(&self, host: HostId, local: Time) -> Time {
        self.get(host).clock.global(local)
    }

    pub(crate) fn is_up(&self, host: HostId) -> bool {
        self.get(host).process.is_some()
    }

    /// Which process runs on a host; `None` while it is down.
    pub(crate) fn process(&self, host: HostId) -> Option<ProcessNumber> {
        let state = self.get(host);
        state.process.is_some().then_some(state.starts)
    }

    pub(crate) fn membership(&self, host: HostId) -> Option<&Membership> {
        self.get(host).process.as_ref().map(|process| &process.membership)
    }

    fn get(&self, host: HostId) -> &HostState {
        &self.hosts[host.index()]
    }

    fn get_mut(&mut self, host: HostId) -> &mut HostState {
        &mut self.hosts[host.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada_and_bob() -> (Hosts, HostId, HostId) {
        let mut hosts = Hosts::new(1, true);
        let [ada, bob] = ["ada", "bob"].map(|name| hosts.add(name, Config::lan(), Time::ZERO));
        (hosts, ada, bob)
    }

    #[test]
    fn an_address_leads_to_the_host_last_started_there() {
        let (mut hosts, ada, bob) = ada_and_bob();
        let address = hosts.address(ada);
        assert_eq!(hosts.at(address), Some(ada));
        hosts.take_address(bob, ada);
        assert_eq!(hosts.claim_address(bob), Some(ada));
        assert_eq!((hosts.at(address), hosts.address(bob)), (Some(bob), address));
        hosts.relocate(bob);
        assert_eq!(hosts.at(address), None);
    }

    #[test]
    fn every_start_is_a_process_of_its_own() {
        let (mut hosts, ada, bob) = ada_and_bob();
        assert_eq!(hosts.start(ada, Time::ZERO), 1);
        assert!(hosts.stop(ada) && !hosts.stop(ada));
        assert_eq!(hosts.process(ada), None);
        assert_eq!(hosts.start(ada, Time::ZERO), 2);
        assert_eq!((hosts.process(ada), hosts.process(bob)), (Some(2), None));
    }

    #[test]
    fn a_wake_is_planned_once_and_used_once() {
        let (mut hosts, ada, _) = ada_and_bob();
        hosts.start(ada, Time::ZERO);
        let wake = hosts.plan_wake(ada, Time::ZERO).unwrap();
        assert_eq!(hosts.plan_wake(ada, Time::ZERO), None);
        assert!(!hosts.take_wake(ada, wake + std::time::Duration::from_micros(1)));
        assert!(hosts.take_wake(ada, wake) && !hosts.take_wake(ada, wake));
    }

    #[test]
    fn hosts_are_found_by_name_in_any_order_of_adding() {
        let mut hosts = Hosts::new(1, false);
        let added = ["cyd", "ada", "bob"].map(|name| hosts.add(name, Config::lan(), Time::ZERO));
        for host in added {
            assert_eq!(hosts.named(hosts.name(host)), Some(host));
        }
        assert_eq!(hosts.by_name(), [added[1], added[2], added[0]]);
    }
}
