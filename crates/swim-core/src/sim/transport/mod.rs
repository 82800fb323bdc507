//! The modelled transport: everything between a member's outputs and other members' inputs.
//!
//! Takes what members send, and hands out what reaches them: at once from
//! [`SimTransport::on_timer`], later through the event queue. Reads the hosts (who is where,
//! which process runs) and changes none of them. Looks into packets only to see whether they
//! carry application messages, which QUIC delivers at most once.

mod dialing;
mod model_streams;
mod network;
mod packet_carrier;
mod stall_backlog;
mod stream_carrier;
mod transport_context;
mod transport_timer;

use crate::output::{Destination, Output, StreamId};
use crate::sim::arrival::Arrival;
use crate::sim::coverage::{Counted, Coverage};
use crate::sim::fault::{Fault, FaultId, HostId, Stall};
use crate::sim::setup::Setup;
use crate::sim::sim_event::SimDelivery;
use crate::sim::sim_rng::SimRng;
use crate::time::Time;

use dialing::Dialing;
pub use network::Latency;
use network::SimNetwork;
use packet_carrier::PacketCarrier;
use stall_backlog::StallBacklog;
pub(crate) use stall_backlog::{Admission, Blocked};
use stream_carrier::StreamCarrier;
pub(crate) use stream_carrier::StreamWrite;
pub(crate) use transport_context::TransportContext;
pub(crate) use transport_timer::TransportTimer;

/// All links, packets, streams and dials of a simulation.
pub(crate) struct SimTransport {
    network: SimNetwork,
    packets: PacketCarrier,
    streams: StreamCarrier,
    dialing: Dialing,
    /// What waits at each host, while the host is blocked.
    backlogs: Vec<Option<StallBacklog>>,
}

/// Faults.
impl SimTransport {
    /// A transport without hosts and faults, whose draws all come from `rng`.
    pub(crate) fn new(setup: &Setup, rng: SimRng) -> Self {
        Self {
            network: SimNetwork::new(setup.latency, rng),
            packets: PacketCarrier::new(&setup.config),
            streams: StreamCarrier::default(),
            dialing: Dialing::default(),
            backlogs: Vec::new(),
        }
    }

    pub(crate) fn set_hosts(&mut self, hosts: usize) {
        self.network.set_hosts(hosts);
        self.backlogs.resize_with(hosts, || None);
    }

    pub(crate) fn begin_fault(&mut self, fault: Fault, coverage: &mut Coverage) -> FaultId {
        self.network.begin(fault, coverage)
    }

    pub(crate) fn end_fault(&mut self, fault: FaultId) {
        self.network.end(fault);
    }

    pub(crate) fn end_all_faults(&mut self) {
        self.network.end_all();
    }

    /// Tells a host from now on that packets to a peer may have at most `limit` bytes.
    pub(crate) fn set_packet_limit(
        &self,
        host: HostId,
        to: HostId,
        limit: usize,
        context: &mut TransportContext<'_>,
    ) {
        context.count(Counted::LimitChanged);
        if let Some(process) = context.hosts.process(host) {
            let arrival = Arrival::PacketLimit { to: context.hosts.address(to), limit };
            context.plan_arrival(context.now(), host, process, arrival);
        }
    }
}

/// What members send.
impl SimTransport {
    pub(crate) fn send_packet(
        &mut self,
        from: HostId,
        to: &Destination,
        bytes: Vec<u8>,
        context: &mut TransportContext<'_>,
    ) {
        let links = (&mut self.network, &mut self.dialing);
        self.packets.send(from, to, bytes, links, context);
    }

    /// Opens a stream with everything that the opener ever writes; `deadline` is by its own clock.
    pub(crate) fn open_stream(
        &mut self,
        from: (HostId, StreamId),
        to: &Destination,
        bytes: Vec<u8>,
        deadline: Time,
        context: &mut TransportContext<'_>,
    ) {
        self.streams.open(from, to, bytes, deadline, &mut self.network, context);
    }

    pub(crate) fn write_stream(
        &mut self,
        from: (HostId, StreamId),
        write: StreamWrite,
        context: &mut TransportContext<'_>,
    ) {
        self.streams.write(from, write, &mut self.network, context);
    }

    pub(crate) fn close_stream(
        &mut self,
        from: (HostId, StreamId),
        context: &mut TransportContext<'_>,
    ) {
        self.streams.close(from, &mut self.network, context);
    }

    /// A deadline has passed: what reaches members now, in this order.
    pub(crate) fn on_timer(
        &mut self,
        timer: TransportTimer,
        context: &mut TransportContext<'_>,
    ) -> Vec<SimDelivery> {
        match timer {
            TransportTimer::Piece { stream, to } => {
                self.streams.move_piece(stream, to, &mut self.network, context)
            }
            TransportTimer::Failure { host, process, stream, side, reason } => {
                let told = self.streams.fail_side((host, process), (stream, side), reason);
                told.into_iter().collect()
            }
            TransportTimer::Deadline { stream } => self.streams.expire(stream, context),
            TransportTimer::DialTimeout { from, process, to } => {
                let told = self.dialing.timed_out((from, process), to, &self.network, context);
                told.into_iter().collect()
            }
        }
    }

    /// Streams that have not ended.
    pub(crate) fn open_streams(&self) -> usize {
        self.streams.len()
    }
}

/// Hosts that hang.
impl SimTransport {
    /// From now on everything waits at a host.
    pub(crate) fn block(&mut self, host: HostId, stall: Stall) {
        self.backlogs[host.index()] = Some(StallBacklog::new(stall));
    }

    /// What waited at a host that was blocked; nothing waits there any more.
    pub(crate) fn unblock(&mut self, host: HostId) -> Option<Blocked> {
        self.backlogs[host.index()].take().map(StallBacklog::into_blocked)
    }

    /// Whether a host is blocked so that no timer acts.
    pub(crate) fn is_stuck(&self, host: HostId) -> bool {
        self.backlogs[host.index()].as_ref().is_some_and(StallBacklog::is_stuck)
    }

    /// Lets an arrival wait while its host is blocked.
    pub(crate) fn admit(&mut self, host: HostId, arrival: Arrival) -> Admission {
        match &mut self.backlogs[host.index()] {
            Some(backlog) => backlog.keep_arrival(arrival),
            None => Admission::Now(arrival),
        }
    }

    /// Lets an output to the network wait while its host is blocked; returns what must not wait.
    pub(crate) fn detain(&mut self, host: HostId, output: Output) -> Option<Output> {
        match &mut self.backlogs[host.index()] {
            Some(backlog) => backlog.keep_output(output),
            None => Some(output),
        }
    }
}
