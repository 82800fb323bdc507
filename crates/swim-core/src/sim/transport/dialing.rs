//! Dials that find nobody, and the reports that follow.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::sim::arrival::Arrival;
use crate::sim::coverage::Counted;
use crate::sim::fault::HostId;
use crate::sim::hosts::ProcessNumber;
use crate::sim::sim_event::SimDelivery;
use crate::sim::sim_rng::MILLION;
use crate::sim::transport::network::SimNetwork;
use crate::sim::transport::transport_context::TransportContext;
use crate::sim::transport::transport_timer::TransportTimer;

/// How long the transport tries to reach a peer before it reports a failed send: quic-net's
/// default for a handshake that nobody answers.
pub(crate) const DIAL_TIMEOUT: Duration = Duration::from_secs(3);

/// Dials under way to hosts that could not be reached when the dial began.
#[derive(Default)]
pub(crate) struct Dialing {
    pending: BTreeSet<(HostId, HostId)>,
}

impl Dialing {
    /// A packet found no way. Half of the packets would have used an open connection, on which
    /// they vanish without a report; the other half need a dial, whose failure is reported.
    pub(crate) fn packet_undeliverable(
        &mut self,
        from: HostId,
        to: HostId,
        network: &mut SimNetwork,
        context: &mut TransportContext<'_>,
    ) {
        let Some(process) = context.hosts.process(from) else {
            return;
        };
        if network.rng().happens(MILLION / 2) && self.pending.insert((from, to)) {
            let at = context.now() + DIAL_TIMEOUT;
            context.plan(at, TransportTimer::DialTimeout { from, process, to });
        }
    }

    /// A dial has taken too long: the report, unless the peer can be reached by then.
    pub(crate) fn timed_out(
        &mut self,
        (from, process): (HostId, ProcessNumber),
        to: HostId,
        network: &SimNetwork,
        context: &mut TransportContext<'_>,
    ) -> Option<SimDelivery> {
        self.pending.remove(&(from, to));
        let reachable =
            context.hosts.is_up(to) && network.connects(from, to) && network.connects(to, from);
        if reachable {
            return None;
        }
        context.count(Counted::SendFailed);
        let arrival = Arrival::SendFailed { to: context.hosts.address(to) };
        Some(SimDelivery { host: from, process, arrival })
    }
}
