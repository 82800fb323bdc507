//! What a test, a campaign or a scenario can do to hosts, applications and the network.
//!
//! Only what could happen outside: no control reaches into a member.

use std::time::Duration;

use crate::config::Config;
use crate::protocol_versions::ProtocolVersions;
use crate::sim::application::AppRequest;
use crate::sim::arrival::{Arrival, Cause};
use crate::sim::coverage::Counted;
use crate::sim::fault::{Fault, FaultId, HostId, Stall};
use crate::sim::introduction::Introduction;
use crate::sim::sim_event::{SimDelivery, SimEvent};
use crate::sim::simulation::Simulation;
use crate::transport::TransportEvent;
use crate::wire::DeliveryStatus;

/// Hosts: adding, starting, crashing.
impl Simulation {
    /// Adds a host that is down, with the simulation's configuration.
    ///
    /// # Panics
    /// When the name is no member name, or taken.
    pub fn add(&mut self, name: &str) -> HostId {
        let config = self.setup.config.clone();
        self.add_with(name, config)
    }

    /// Adds a host that is down, with a configuration of its own.
    ///
    /// # Panics
    /// When the name is no member name, or taken.
    pub fn add_with(&mut self, name: &str, config: Config) -> HostId {
        let host = self.hosts.add(name, config, self.queue.now());
        self.transport.add_host(self.hosts.peer(host).clone());
        self.checkers.set_hosts(self.hosts.len());
        host
    }

    /// Crashes a host and gives it a new address.
    pub fn relocate(&mut self, host: HostId) {
        self.coverage.add(Counted::Moved);
        self.crash(host);
        self.hosts.relocate(host);
    }

    /// Crashes a host and gives it the address of another one, which must be down.
    pub fn take_over(&mut self, host: HostId, address_of: HostId) {
        self.coverage.add(Counted::AddressReused);
        self.crash(host);
        self.hosts.take_address(host, address_of);
    }

    /// Starts a host, or crashes and restarts it: a new process at incarnation 1 that knows nobody
    /// but its join addresses. Whoever runs at the same address crashes.
    ///
    /// # Panics
    /// When the host's configuration is refused.
    pub fn start(&mut self, host: HostId) {
        self.crash(host);
        if let Some(before) = self.hosts.claim_address(host) {
            self.crash(before);
        }
        let process = self.hosts.start(host, self.queue.now());
        self.transport.start(host, self.hosts.peer(host).clone());
        if process > 1 {
            self.coverage.add(Counted::Restart);
        }
        self.checkers.process_started(host, self.hosts.address(host));
        self.note(host, format_args!("starts"));
        self.turn(host, Cause::Start, |_, _, _| {});
        if !self.hosts.bootstrap(host).is_empty() {
            self.give_bootstrap(host);
        }
    }

    /// Crashes a host: nothing is said, all it knew is gone.
    pub fn crash(&mut self, host: HostId) {
        if self.hosts.stop(host) {
            self.coverage.add(Counted::Crash);
            self.note(host, format_args!("crashes"));
            self.application.forget_process(host);
            self.checkers.process_ended(host);
            self.transport.unblock(host);
            self.transport.crash(host);
        }
    }

    /// Lets a host's clock run at `rate` microseconds a second from here on.
    pub fn set_clock_rate(&mut self, host: HostId, rate: u64) {
        self.hosts.set_clock_rate(host, rate, self.queue.now());
        self.coverage.add(Counted::Drift);
        self.plan_wake(host);
    }

    /// Makes all running hosts know each other at once, as if they had joined long ago. What the
    /// members want to send meanwhile is dropped.
    pub fn acquaint(&mut self) {
        let members = self
            .hosts()
            .filter_map(|host| Some((self.hosts.membership(host)?, self.hosts.peer(host).clone())));
        let introduction = Introduction::of(members, &self.setup.config);
        for host in self.hosts() {
            if let Some((membership, local)) = self.hosts.running(host, self.queue.now()) {
                introduction.give_to(membership, local);
                self.turn(host, Cause::Packet, |_, _, _| {});
            }
        }
    }
}

/// Hostile members.
impl Simulation {
    /// From now on a host passes no indirect ping on; it may answer each with a nack at once.
    pub(crate) fn refuse_relays(&mut self, host: HostId, sends_nacks: bool) {
        self.silent_relays.add(host, sends_nacks);
    }

    /// From now on a host gives start numbers that it has made up.
    pub(crate) fn forge_starts(&mut self, host: HostId) {
        self.checkers.note_forged_starts(host);
    }
}

/// Faults.
impl Simulation {
    /// Begins a fault of the network.
    pub fn begin_fault(&mut self, fault: Fault) -> FaultId {
        self.trace.line(self.queue.now(), "network", format_args!("{fault:?} begins"));
        self.transport.begin_fault(fault, &mut self.coverage)
    }

    /// From here on a host lives on when its process dies: it refuses packets for it, where other
    /// hosts say nothing.
    pub fn let_refuse(&mut self, host: HostId) {
        self.transport.let_refuse(host);
    }

    /// Ends a fault of the network.
    pub fn end_fault(&mut self, fault: FaultId) {
        self.transport.end_fault(fault);
    }

    /// Ends every fault of the network and every stall; what crashed stays down.
    pub fn end_all_faults(&mut self) {
        self.transport.end_all_faults();
        for host in self.hosts() {
            self.end_stall(host);
        }
    }

    /// A host dials everybody anew that it is connected with, as when both dialed at once: the
    /// older connections make way.
    pub fn replace_connections(&mut self, host: HostId) {
        let now = self.queue.now();
        self.transport.replace_connections(host, now, &self.hosts, &mut self.coverage);
        self.plan_transport();
    }

    /// Cuts one host off from all others, both ways.
    pub fn isolate(&mut self, host: HostId) -> FaultId {
        let groups = self.hosts().map(|other| u8::from(other == host)).collect();
        self.begin_fault(Fault::Partition { groups })
    }

    /// Makes a host hang for `blocked`, run for `running`, and so on until
    /// [`end_stall`](Self::end_stall).
    pub fn stall(&mut self, host: HostId, stall: Stall, blocked: Duration, running: Duration) {
        self.end_stall(host);
        let cycle = self.stalls.begin(host, stall, blocked, running);
        self.block(host, cycle);
    }

    /// Closes connections on which nothing has arrived for so long, as an idle timeout does.
    pub fn close_idle(&mut self, idle: Duration) {
        self.transport.close_idle(self.now().before(idle));
        self.deliver_reports();
    }

    /// Lets a host run again for good.
    pub fn end_stall(&mut self, host: HostId) {
        self.stalls.end(host);
        self.release(host);
    }

    /// Tells a host how large packets to a peer may be, in bytes.
    pub fn set_packet_limit(&mut self, host: HostId, to: HostId, limit: usize) {
        self.coverage.add(Counted::LimitChanged);
        if let Some(process) = self.hosts.process(host) {
            let to = self.hosts.address(to);
            let arrival = Arrival::Transport(TransportEvent::PacketLimit { to, limit });
            let delivery = SimDelivery { host, process, arrival };
            self.queue.plan(self.queue.now(), SimEvent::Arrive(delivery));
        }
    }
}

/// Applications.
impl Simulation {
    /// Sets the standing join addresses of a host, for this process and later ones.
    pub fn set_seeds(&mut self, host: HostId, seeds: &[HostId]) {
        let addresses = seeds.iter().map(|seed| self.hosts.address(*seed)).collect();
        self.hosts.set_bootstrap(host, addresses);
        self.give_bootstrap(host);
    }

    /// Gives a host one standing join address from its next start on.
    pub fn set_first_seed(&mut self, host: HostId, seed: HostId) {
        self.hosts.set_bootstrap(host, vec![self.hosts.address(seed)]);
    }

    /// Gives a host the standing join addresses of another one from its next start on.
    pub fn inherit_seeds(&mut self, host: HostId, from: HostId) {
        self.hosts.set_bootstrap(host, self.hosts.bootstrap(from).to_vec());
    }

    /// Joins through one host.
    pub fn join(&mut self, host: HostId, via: HostId) {
        self.plan_request(host, AppRequest::Join(self.hosts.address(via)));
    }

    /// Leaves; the host stays up.
    pub fn leave(&mut self, host: HostId) {
        self.plan_request(host, AppRequest::Leave);
    }

    /// Changes metadata, for this process and later ones.
    pub fn set_meta(&mut self, host: HostId, meta: &[u8]) {
        self.hosts.set_meta(host, meta);
        self.plan_request(host, AppRequest::Meta(meta.to_vec()));
    }

    /// The versions that later processes of a host announce.
    pub fn set_versions(&mut self, host: HostId, versions: ProtocolVersions) {
        self.hosts.set_versions(host, versions);
    }

    /// Sends a numbered message of about `len` bytes to everybody.
    pub fn broadcast(&mut self, host: HostId, len: usize) {
        let request = self.application.broadcast(len);
        self.plan_request(host, request);
    }

    /// Sends a numbered message of about `len` bytes by packet.
    pub fn send(&mut self, host: HostId, to: HostId, len: usize) {
        let request = self.application.send((to, self.hosts.name(to)), len);
        self.plan_request(host, request);
    }

    /// Sends a numbered message of about `len` bytes by stream.
    pub fn send_reliable(&mut self, host: HostId, to: HostId, len: usize, timeout: Duration) {
        let receiver = (to, self.hosts.name(to));
        let request = self.application.send_reliable(receiver, len, timeout);
        self.plan_request(host, request);
    }

    /// From here on the application of `host` disposes of reliable messages like this.
    pub fn set_delivery_status(&mut self, host: HostId, status: DeliveryStatus) {
        self.application.set_status(host, status);
    }

    /// Lets the application of `host` measure the round trip to `to`.
    pub fn ping(&mut self, host: HostId, to: HostId) {
        self.plan_request(host, AppRequest::Ping(self.hosts.name(to).clone()));
    }
}

/// Traces.
impl Simulation {
    /// Keeps the last lines of a trace from here on.
    pub fn keep_trace(&mut self) {
        self.trace.keep_last();
    }

    /// Gives every line of a trace to `sink` from here on.
    pub fn trace_to(&mut self, sink: impl FnMut(&str) + 'static) {
        self.trace.send_to(Box::new(sink));
    }

    /// Adds to what was explored.
    pub(crate) fn count(&mut self, what: Counted) {
        self.coverage.add(what);
    }
}
