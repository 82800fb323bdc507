//! What the transport reads of the other parts, and where it plans and counts.

use crate::output::Destination;
use crate::sim::agenda::Agenda;
use crate::sim::arrival::Arrival;
use crate::sim::coverage::{Counted, Coverage};
use crate::sim::fault::HostId;
use crate::sim::hosts::{Hosts, ProcessNumber};
use crate::sim::sim_event::{Delivery, SimEvent};
use crate::sim::transport::transport_timer::TransportTimer;
use crate::time::Time;

/// The surroundings of one call of the transport.
pub(crate) struct TransportContext<'a> {
    pub(crate) hosts: &'a Hosts,
    pub(crate) agenda: &'a mut Agenda<SimEvent>,
    pub(crate) coverage: &'a mut Coverage,
}

impl TransportContext<'_> {
    pub(crate) fn now(&self) -> Time {
        self.agenda.now()
    }

    pub(crate) fn count(&mut self, what: Counted) {
        self.coverage.add(what);
    }

    pub(crate) fn plan(&mut self, at: Time, timer: TransportTimer) {
        self.agenda.plan(at, SimEvent::Transport(timer));
    }

    pub(crate) fn plan_arrival(
        &mut self,
        at: Time,
        host: HostId,
        process: ProcessNumber,
        arrival: Arrival,
    ) {
        self.agenda.plan(at, SimEvent::Arrive(Delivery { host, process, arrival }));
    }

    /// Whether the certificate at a host would name another member than the expected one.
    pub(crate) fn names_another(&self, target: HostId, expected: &Destination) -> bool {
        self.hosts.verifies_names()
            && expected.name.as_ref().is_some_and(|name| name != self.hosts.name(target))
    }
}
