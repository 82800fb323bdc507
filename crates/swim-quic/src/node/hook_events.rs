//! What a node tells the application's hooks, and what it hears of them.

use std::sync::Arc;
use std::time::Instant;

use certs::PeerCertificate;
use quic_net::PeerIdentity;
use swim_core::Time;

use super::Node;
use crate::transport::EndpointTransport;

impl Node {
    /// A connection has shown a certificate. If it was not seen before, the hooks are asked again
    /// about the member behind it.
    pub(super) fn certificate_shown(&mut self, peer: &Arc<PeerIdentity>, now: Instant) {
        let Some(link) = self.shared.hook_link.get() else { return };
        let read = || PeerCertificate::from_der(self.endpoint.leaf_certificate(peer)?).ok();
        if link.note_certificate(peer, read)
            && let Some(name) = self.member_behind(peer)
        {
            self.membership.review_member(&name, self.clock.time(now));
            self.perform(self.clock.time(now));
        }
    }

    /// Performs what the machine wants done.
    pub(super) fn perform(&mut self, time: Time) {
        let mut transport = EndpointTransport::new(&mut self.endpoint, self.clock);
        self.adapter.perform(&mut self.membership, &mut transport, time);
    }

    /// Warns of hooks that were slow or panicked in this turn.
    pub(super) fn report_hooks(&mut self, now: Instant) {
        let Some(link) = self.shared.hook_link.get() else { return };
        for report in link.take_reports() {
            self.events.extend(self.warnings.raise(report.what, report.detail, now));
        }
    }
}
