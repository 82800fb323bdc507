//! Connections that handles ask for, look at, and cut.
//!
//! Remembers who waits for which dial. Decides nothing about connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Sender;
use quic_net::{CloseReason, ConnectionStats, PeerIdentity};
use swim_core::MemberName;

use super::Node;
use crate::event::Connection;
use crate::pool::ConnectError;

/// Those who wait for a dial; bounded by the threads that wait, and by the time a dial may take.
#[derive(Default)]
pub(super) struct Dials {
    waiting: Vec<Dial>,
}

struct Dial {
    address: SocketAddr,
    member: MemberName,
    reply: Sender<Result<Connection, ConnectError>>,
}

impl Node {
    /// The connection that packets for a member use.
    pub(super) fn connection(
        &self,
        member: &MemberName,
    ) -> Result<Option<Connection>, ConnectError> {
        let address = self.address_of(member)?;
        Ok(self.preferred(address).as_ref().map(Connection::from_info))
    }

    /// Answers when there is a connection to the member, or none to be had.
    pub(super) fn connect(
        &mut self,
        member: MemberName,
        reply: Sender<Result<Connection, ConnectError>>,
        now: Instant,
    ) {
        let dialed = self.address_of(&member).and_then(|address| {
            let unreachable = |reason: quic_net::SendFailure| reason.to_string();
            let peer = self.endpoint.connect(address, now).map_err(unreachable);
            peer.map(|peer| (address, peer)).map_err(ConnectError::Unreachable)
        });
        match dialed {
            Ok((address, Some(peer))) => {
                let _ = reply.send(self.verified(address, &member, &peer));
            }
            Ok((address, None)) => self.dials.waiting.push(Dial { address, member, reply }),
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
    }

    /// Closes all connections to a member.
    pub(super) fn disconnect(
        &mut self,
        member: &MemberName,
        now: Instant,
    ) -> Result<usize, ConnectError> {
        let address = self.address_of(member)?;
        let connections = self.endpoint.connections();
        let here = connections.iter().filter(|info| info.peer.address == address).count();
        self.endpoint.close(address, CloseReason::Requested, now);
        Ok(here)
    }

    /// A dial succeeded.
    pub(super) fn dial_succeeded(&mut self, peer: &Arc<PeerIdentity>) {
        for Dial { address, member, reply } in self.dials.take(peer.address) {
            let _ = reply.send(self.verified(address, &member, peer));
        }
    }

    /// A dial, or whatever else was sent there, failed.
    pub(super) fn dial_failed(&mut self, address: SocketAddr, reason: quic_net::SendFailure) {
        for Dial { reply, .. } in self.dials.take(address) {
            let _ = reply.send(Err(ConnectError::Unreachable(reason.to_string())));
        }
    }

    fn verified(
        &self,
        address: SocketAddr,
        member: &MemberName,
        peer: &PeerIdentity,
    ) -> Result<Connection, ConnectError> {
        if !peer.is(member.as_bytes()) {
            let reason = quic_net::SendFailure::NameMismatch.to_string();
            return Err(ConnectError::Unreachable(reason));
        }
        let found = self.preferred(address).as_ref().map(Connection::from_info);
        found.ok_or_else(|| ConnectError::Unreachable("it closed the connection".to_owned()))
    }

    fn preferred(&self, address: SocketAddr) -> Option<ConnectionStats> {
        let mut connections = self.endpoint.connections().into_iter();
        connections.find(|info| info.preferred && info.peer.address == address)
    }

    /// Where a member is, ourselves excepted.
    fn address_of(&self, member: &MemberName) -> Result<SocketAddr, ConnectError> {
        let known = self.membership.member(member);
        let known = known.filter(|known| known.name() != self.membership.local().name());
        let known = known.map(|known| known.address());
        known.ok_or_else(|| ConnectError::Unknown(member.to_string()))
    }
}

impl Dials {
    fn take(&mut self, address: SocketAddr) -> Vec<Dial> {
        self.waiting.extract_if(.., |dial| dial.address == address).collect()
    }
}
