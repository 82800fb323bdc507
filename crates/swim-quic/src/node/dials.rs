//! Commands of handles about connections: look at one, dial, close, make all of them anew.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use certs::{Fingerprint, Identity, Trust};
use quic_net::{CloseReason, PeerIdentity};
use swim_core::MemberName;

use super::Node;
use super::pending_dials::PendingDial;
use crate::answer::Reply;
use crate::cluster_event::ConnectionInfo;
use crate::error::{ConnectError, ConnectionError, RevokeError, RotateError};

impl Node {
    /// All that are there.
    pub(super) fn connections(&self) -> Vec<ConnectionInfo> {
        self.endpoint.connections().iter().map(ConnectionInfo::from_transport).collect()
    }

    /// The connection that packets for a member use.
    pub(super) fn connection(
        &self,
        member: &MemberName,
    ) -> Result<Option<ConnectionInfo>, ConnectionError> {
        let address = self.address_of(member)?;
        Ok(self.endpoint.connection(address).as_ref().map(ConnectionInfo::from_transport))
    }

    /// Answers when there is a connection to the member, or none to be had.
    pub(super) fn connect(
        &mut self,
        member: MemberName,
        reply: Reply<Result<ConnectionInfo, ConnectError>>,
        now: Instant,
    ) {
        let dialed = self.address_of(&member).map_err(ConnectError::from).and_then(|address| {
            let peer = self.endpoint.connect(address, now).map_err(ConnectError::Unreachable)?;
            Ok((address, peer))
        });
        match dialed {
            Ok((address, Some(peer))) => reply.send(self.verified(address, &member, &peer)),
            Ok((address, None)) => {
                self.operations.dials.add(PendingDial { address, member, reply })
            }
            Err(error) => reply.send(Err(error)),
        }
    }

    /// Closes all connections to a member.
    pub(super) fn disconnect(
        &mut self,
        member: &MemberName,
        now: Instant,
    ) -> Result<usize, ConnectionError> {
        let address = self.address_of(member)?;
        Ok(self.endpoint.close(address, CloseReason::Requested, now))
    }

    /// Uses another certificate and trust from here on.
    pub(super) fn rotate(
        &mut self,
        identity: Identity,
        trust: &Trust,
        reply: Reply<Result<(), RotateError>>,
        now: Instant,
    ) {
        let rotated = self.identity.rotate(identity, trust, &mut self.endpoint, now);
        reply.send(rotated.map(|event| self.events.push(event)));
    }

    /// Refuses a certificate from here on.
    pub(super) fn revoke(
        &mut self,
        fingerprint: Fingerprint,
        reply: Reply<Result<usize, RevokeError>>,
        now: Instant,
    ) {
        reply.send(self.identity.revoke(fingerprint, &mut self.endpoint, now));
    }

    /// Answers those who waited for the connection that `peer` is the other end of.
    pub(super) fn dial_succeeded(&mut self, peer: &Arc<PeerIdentity>) {
        for PendingDial { address, member, reply } in self.operations.dials.take(peer.address) {
            reply.send(self.verified(address, &member, peer));
        }
    }

    /// Answers those who waited for a dial to `address` that failed.
    pub(super) fn dial_failed(&mut self, address: SocketAddr, reason: quic_net::SendFailure) {
        for PendingDial { reply, .. } in self.operations.dials.take(address) {
            reply.send(Err(ConnectError::Unreachable(reason)));
        }
    }

    fn verified(
        &self,
        address: SocketAddr,
        member: &MemberName,
        peer: &PeerIdentity,
    ) -> Result<ConnectionInfo, ConnectError> {
        if !peer.is(member.as_bytes()) {
            return Err(ConnectError::Unreachable(quic_net::SendFailure::NameMismatch));
        }
        let found = self.endpoint.connection(address).as_ref().map(ConnectionInfo::from_transport);
        found.ok_or(ConnectError::Closed)
    }

    /// Where a member is, ourselves excepted.
    fn address_of(&self, member: &MemberName) -> Result<SocketAddr, ConnectionError> {
        if member == self.membership.local().name() {
            return Err(ConnectionError::OwnName(member.clone()));
        }
        let known = self.membership.member(member);
        known
            .map(|known| known.address())
            .ok_or_else(|| ConnectionError::UnknownMember(member.clone()))
    }
}
