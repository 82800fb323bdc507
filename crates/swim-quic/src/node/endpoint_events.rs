//! What the endpoint reports: routed to an application protocol, to the machine, or to the log.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use certs::with_sources;
use quic_net::{CloseReason, EndpointEvent, PeerIdentity, Refusal};
use swim_core::{Hint, MemberName, MemberState, TransportEvent};

use super::Node;
use crate::cluster_event::RawDatagram;
use crate::transport::EndpointTransport;

/// What peers of our kind say when they close all their connections and have not left.
const SHUTDOWN: &str = "transport shutdown";

impl Node {
    pub(super) fn handle_endpoint_event(&mut self, event: EndpointEvent, now: Instant) {
        let Some(event) = self.route_to_application(event, now) else { return };
        if let EndpointEvent::SendFailed { to, reason } = &event {
            log::debug!("sending to {to} failed: {}", with_sources(reason));
            self.dial_failed(*to, *reason);
        }
        let (time, clock) = (self.clock.time(now), self.clock);
        match self.peers.translate(event) {
            Ok(event) => {
                let mut transport = EndpointTransport::new(&mut self.endpoint, clock);
                self.adapter.handle_event(event, &mut self.membership, &mut transport, time);
            }
            Err(event) => self.note_connection_event(event, now),
        }
    }

    /// The event back if it is none of an application protocol.
    fn route_to_application(
        &mut self,
        event: EndpointEvent,
        now: Instant,
    ) -> Option<EndpointEvent> {
        match event {
            EndpointEvent::StreamOpened { stream, peer, application: true } => {
                let from = self.application_sender(&peer);
                self.applications.opened(&mut self.endpoint, stream, from, now);
                None
            }
            EndpointEvent::ApplicationPacket { peer, bytes } => {
                let from = self.application_sender(&peer);
                self.applications.datagram(&bytes, from);
                None
            }
            EndpointEvent::StreamReadable { stream } | EndpointEvent::StreamWritable { stream }
                if self.applications.progress(&mut self.endpoint, stream) =>
            {
                None
            }
            EndpointEvent::StreamStopped { stream, code } => {
                if !self.applications.stopped(&mut self.endpoint, stream, code) {
                    log::trace!("{stream:?} was given up by both sides at once");
                }
                None
            }
            EndpointEvent::StreamFailed { stream, reason }
                if self.applications.failed(stream, &reason) =>
            {
                None
            }
            other @ (EndpointEvent::Connected { .. }
            | EndpointEvent::Closed { .. }
            | EndpointEvent::Packet { .. }
            | EndpointEvent::StreamOpened { .. }
            | EndpointEvent::StreamReadable { .. }
            | EndpointEvent::StreamWritable { .. }
            | EndpointEvent::StreamFailed { .. }
            | EndpointEvent::SendFailed { .. }
            | EndpointEvent::HostError { .. }
            | EndpointEvent::PacketLimit { .. }
            | EndpointEvent::PeerFeatures { .. }
            | EndpointEvent::Refused { .. }
            | EndpointEvent::SendError { .. }
            | EndpointEvent::RawDatagram { .. }) => Some(other),
        }
    }

    /// A connection that ended may say that the member is gone. One that made way, was idle or too
    /// old does not, nor does any end that a Go peer gives: it closes all connections in time.
    fn hint_at_end(&mut self, from: SocketAddr, reason: &CloseReason, now: Instant) {
        let hint = if *reason == CloseReason::Reset {
            Hint::Reset
        } else if *reason == (CloseReason::ByPeer { code: 0, reason: SHUTDOWN.to_owned() }) {
            Hint::Closed
        } else {
            return;
        };
        let (time, event) = (self.clock.time(now), TransportEvent::Hint { from, hint });
        let mut transport = EndpointTransport::new(&mut self.endpoint, self.clock);
        self.adapter.handle_event(event, &mut self.membership, &mut transport, time);
    }

    fn note_connection_event(&mut self, event: EndpointEvent, now: Instant) {
        match event {
            EndpointEvent::Refused { from, what, detail } => {
                self.warn(what.name().to_owned(), format!("{from}: {detail}"), now);
            }
            EndpointEvent::SendError { to, reason } => {
                self.warn("not sent".to_owned(), format!("{to}: {}", with_sources(&reason)), now);
            }
            EndpointEvent::Connected { peer } => {
                log::debug!("connected to {}", peer.address);
                if self.identity.has_revoked(&peer) {
                    // Its certificate was looked at before it was revoked.
                    let revoked = |peer: &PeerIdentity| self.identity.has_revoked(peer);
                    self.endpoint.close_where(CloseReason::Revoked, now, revoked);
                    return;
                }
                self.dial_succeeded(&peer);
                self.certificate_shown(&peer, now);
                if peer.name.is_none()
                    && let Some(name) = self.member_behind(&peer)
                    && self.is_at(&name, peer.address)
                {
                    self.endpoint.set_peer_name(peer.address, name.as_bytes());
                }
                if let Some(name) = self.member_behind(&peer) {
                    self.greet_if_go(&name, &peer, now);
                }
            }
            EndpointEvent::Closed { peer, reason } => {
                self.hint_at_end(peer.address, &reason, now);
                let detail = format!("connection to {} closed: {reason}", peer.address);
                if reason == CloseReason::Revoked {
                    self.warn(Refusal::Revoked.name().to_owned(), detail, now);
                } else if reason == CloseReason::Expired {
                    self.warn(Refusal::Expired.name().to_owned(), detail, now);
                } else {
                    log::debug!("{detail}");
                }
            }
            EndpointEvent::RawDatagram { from, bytes } => {
                let datagram = RawDatagram { from, payload: bytes };
                if self.raw.listener.as_ref().is_none_or(|raw| raw.try_send(datagram).is_err()) {
                    self.raw.dropped += 1;
                    log::trace!("nobody takes a raw datagram from {from}, or not in time");
                }
            }
            other @ (EndpointEvent::Packet { .. }
            | EndpointEvent::ApplicationPacket { .. }
            | EndpointEvent::StreamOpened { .. }
            | EndpointEvent::StreamReadable { .. }
            | EndpointEvent::StreamWritable { .. }
            | EndpointEvent::StreamStopped { .. }
            | EndpointEvent::StreamFailed { .. }
            | EndpointEvent::SendFailed { .. }
            | EndpointEvent::HostError { .. }
            | EndpointEvent::PacketLimit { .. }
            | EndpointEvent::PeerFeatures { .. }) => {
                debug_assert!(false, "the machine or an application takes this: {other:?}");
            }
        }
    }

    /// Who sends for applications over a connection; `None` if it has left. Its connection outlives
    /// its leave by a second.
    fn application_sender(&mut self, identity: &Arc<PeerIdentity>) -> Option<MemberName> {
        let name = self.member_behind(identity)?;
        let member = self.membership.member(&name);
        let has_left = member.is_some_and(|member| member.state() == MemberState::Left);
        (!has_left).then_some(name)
    }

    /// The member behind a connection: the one that it belongs to, else the one that announces its
    /// address, if the certificate allows it.
    pub(super) fn member_behind(&mut self, identity: &Arc<PeerIdentity>) -> Option<MemberName> {
        let peer = self.peers.get(identity);
        if let [name] = &*peer.names {
            return Some(name.clone());
        }
        let mut members = self.membership.members();
        let announced = members.find(|member| {
            member.address() == peer.address
                && (peer.names.is_empty() || peer.names.contains(member.name()))
        });
        announced.map(|member| member.name().clone()).or_else(|| peer.names.first().cloned())
    }

    fn is_at(&self, name: &MemberName, address: SocketAddr) -> bool {
        self.membership.member(name).is_some_and(|member| member.address() == address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_shuts_down_says_so_in_these_words() {
        assert_eq!(CloseReason::Shutdown.to_string(), SHUTDOWN);
    }
}
