//! What the transport reads of the other parts, and where it plans and counts.

use crate::output::Destination;
use crate::sim::arrival::Arrival;
use crate::sim::coverage::{Counted, Coverage};
use crate::sim::event_queue::EventQueue;
use crate::sim::fault::HostId;
use crate::sim::hosts::{Hosts, ProcessNumber};
use crate::sim::sim_event::{SimDelivery, SimEvent};
use crate::sim::transport::transport_timer::TransportTimer;
use crate::time::Time;

/// The surroundings of one call of the transport.
pub(crate) struct TransportContext<'a> {
    pub(crate) hosts: &'a Hosts,
    pub(crate) queue: &'a mut EventQueue<SimEvent>,
    pub(crate) coverage: &'a mut Coverage,
}

impl TransportContext<'_> {
    pub(crate) fn now(&self) -> Time {
        self.queue.now()
    }

    pub(crate) fn count(&mut self, what: Counted) {
        self.coverage.add(what);
    }

    pub(crate) fn plan(&mut self, at: Time, timer: TransportTimer) {
        self.queue.plan(at, SimEvent::Transport(timer));
    }

    pub(crate) fn plan_arrival(
        &mut self,
        at: Time,
        host: HostId,
        process: ProcessNumber,
        arrival: Arrival,
    ) {
        self.queue.plan(at, SimEvent::Arrive(SimDelivery { host, process, arrival }));
    }

    /// Whether the certificate at a host would name another member than the expected one.
    pub(crate) fn names_another(&self, target: HostId, expected: &Destination) -> bool {
        self.hosts.verifies_names()
            && expected.name.as_ref().is_some_and(|name| name != self.hosts.name(target))
    }
}
