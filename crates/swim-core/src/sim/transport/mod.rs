//! The transports of all hosts: the model of them, the network between them, and hosts that hang.

mod host_links;
mod host_transport;
mod network;
mod packet_faults;
mod stall_backlog;

use crate::error::StreamFailure;
use crate::member::Peer;
use crate::model::{LOWERED_PACKET_LIMIT, ModelLimits, TransportModel};
use crate::sim::arrival::Arrival;
use crate::sim::coverage::{Counted, Coverage};
use crate::sim::digest::Digest;
use crate::sim::fault::{Fault, FaultId, HostId, Stall};
use crate::sim::hosts::Hosts;
use crate::sim::setup::Setup;
use crate::sim::sim_event::SimDelivery;
use crate::sim::sim_rng::SimRng;
use crate::time::Time;
use crate::transport::TransportEvent;

use host_links::{HostLinks, endpoint, host};
pub(crate) use host_transport::HostTransport;
pub use network::Latency;
use network::SimNetwork;
use packet_faults::PacketFaults;
use stall_backlog::Backlog;
pub(crate) use stall_backlog::{Admission, Blocked};

/// All endpoints, links, packets and streams of a simulation.
pub(crate) struct SimTransport {
    model: TransportModel,
    network: SimNetwork,
    packets: PacketFaults,
    /// What waits at each host, while the host is blocked.
    backlogs: Vec<Option<Backlog>>,
    /// When the model is to be asked next.
    wake: Option<Time>,
}

/// Hosts and faults.
impl SimTransport {
    /// A transport without hosts and faults, whose draws all come from `rng`.
    pub(crate) fn new(setup: &Setup, rng: SimRng) -> Self {
        Self {
            model: TransportModel::new(ModelLimits::default()),
            network: SimNetwork::new(setup.latency, rng),
            packets: PacketFaults::new(&setup.config),
            backlogs: Vec::new(),
            wake: None,
        }
    }

    /// Adds the endpoint of the next host, which is down.
    pub(crate) fn add_host(&mut self, peer: Peer) {
        self.model.add(peer);
        self.backlogs.push(None);
        self.network.set_hosts(self.backlogs.len());
    }

    pub(crate) fn start(&mut self, host: HostId, peer: Peer) {
        self.model.start(endpoint(host), peer);
    }

    pub(crate) fn crash(&mut self, host: HostId) {
        self.model.crash(endpoint(host));
    }

    pub(crate) fn begin_fault(&mut self, fault: Fault, coverage: &mut Coverage) -> FaultId {
        self.network.begin(fault, coverage)
    }

    pub(crate) fn end_fault(&mut self, fault: FaultId) {
        self.network.end(fault);
    }

    /// From here on a host lives on when its process dies: it refuses packets for it.
    pub(crate) fn let_refuse(&mut self, host: HostId) {
        self.network.let_refuse(host);
    }

    pub(crate) fn end_all_faults(&mut self) {
        self.network.end_all();
    }

    /// A host dials everybody anew that it is connected with.
    pub(crate) fn replace_connections(
        &mut self,
        host: HostId,
        now: Time,
        hosts: &Hosts,
        coverage: &mut Coverage,
    ) {
        let Self { model, network, packets, .. } = self;
        let mut links = HostLinks { network, packets, hosts, coverage };
        let dials = model.replace_connections(endpoint(host), now, &mut links);
        for _ in 0..dials {
            coverage.add(Counted::ConnectionReplaced);
        }
    }

    /// Connections on which nothing has arrived since then are closed.
    pub(crate) fn close_idle(&mut self, since: Time) {
        self.model.close_idle(since);
    }

    pub(crate) fn connections(&self, host: HostId) -> usize {
        self.model.connections(endpoint(host))
    }

    pub(crate) fn dials(&self) -> u64 {
        self.model.dials()
    }

    /// Streams that have not ended at both ends.
    pub(crate) fn open_streams(&self) -> usize {
        self.model.open_streams()
    }
}

/// What members send, and what reaches them.
impl SimTransport {
    /// The transport of one host, for one turn of it.
    pub(crate) fn lend<'a>(
        &'a mut self,
        host: HostId,
        hosts: &'a Hosts,
        digest: &'a mut Digest,
        coverage: &'a mut Coverage,
        now: Time,
    ) -> HostTransport<'a> {
        let Self { model, network, packets, backlogs, .. } = self;
        let links = HostLinks { network, packets, hosts, coverage };
        let backlog = backlogs.get_mut(host.index()).and_then(Option::as_mut);
        HostTransport::new(host, model, links, backlog, digest, now)
    }

    /// When to call [`take_wake`](Self::take_wake), unless that is planned already.
    pub(crate) fn plan_wake(&mut self, now: Time) -> Option<Time> {
        let next = self.model.poll_timeout()?.max(now);
        if self.wake.is_some_and(|planned| planned <= next) {
            return None;
        }
        self.wake = Some(next);
        Some(next)
    }

    /// Whether the wake planned for this moment is still wanted: a nearer one may have replaced
    /// it. It is used up by this.
    pub(crate) fn take_wake(&mut self, now: Time) -> bool {
        self.wake.take_if(|wake| *wake == now).is_some()
    }

    /// Does one thing that is due; false when nothing is.
    pub(crate) fn advance(&mut self, now: Time, hosts: &Hosts, coverage: &mut Coverage) -> bool {
        let Self { model, network, packets, .. } = self;
        model.advance(now, &mut HostLinks { network, packets, hosts, coverage })
    }

    /// What reaches a member next.
    pub(crate) fn poll_delivery(
        &mut self,
        hosts: &Hosts,
        coverage: &mut Coverage,
    ) -> Option<SimDelivery> {
        while let Some((at, event)) = self.model.poll_event() {
            let host = host(at);
            if let Some(process) = hosts.process(host) {
                count(&event, coverage);
                return Some(SimDelivery { host, process, arrival: Arrival::Transport(event) });
            }
        }
        None
    }
}

fn count(event: &TransportEvent, coverage: &mut Coverage) {
    let what = match event {
        TransportEvent::SendFailed { .. } => Counted::SendFailed,
        TransportEvent::PacketLimit { limit, .. } if *limit == LOWERED_PACKET_LIMIT => {
            Counted::PathNarrowed
        }
        TransportEvent::StreamFailed { reason, .. } => match reason {
            StreamFailure::Refused => Counted::StreamRefused,
            StreamFailure::Reset => Counted::StreamReset,
            StreamFailure::TimedOut => Counted::StreamTimedOut,
            StreamFailure::PeerMismatch => Counted::StreamMismatched,
            StreamFailure::Closed | StreamFailure::NotConnected(_) => Counted::StreamClosed,
        },
        TransportEvent::Packet { .. }
        | TransportEvent::StreamOpened { .. }
        | TransportEvent::StreamReadable { .. }
        | TransportEvent::StreamWritable { .. }
        | TransportEvent::PacketLimit { .. }
        | TransportEvent::Hint { .. }
        | TransportEvent::PeerFeatures { .. } => return,
    };
    coverage.add(what);
}

/// Hosts that hang.
impl SimTransport {
    /// From now on everything waits at a host.
    pub(crate) fn block(&mut self, host: HostId, stall: Stall) {
        self.backlogs[host.index()] = Some(Backlog::new(stall));
    }

    /// What waited at a host that was blocked; nothing waits there any more.
    pub(crate) fn unblock(&mut self, host: HostId) -> Option<Blocked> {
        self.backlogs[host.index()].take().map(Backlog::into_blocked)
    }

    /// Whether a host is blocked so that no timer acts.
    pub(crate) fn is_stuck(&self, host: HostId) -> bool {
        self.backlogs[host.index()].as_ref().is_some_and(Backlog::is_stuck)
    }

    /// Lets an arrival wait while its host is blocked.
    pub(crate) fn admit(&mut self, host: HostId, arrival: Arrival) -> Admission {
        match &mut self.backlogs[host.index()] {
            Some(backlog) => backlog.keep_arrival(arrival),
            None => Admission::Now(arrival),
        }
    }
}
