//! What the endpoint reports: packets, streams, failures, refusals.
//!
//! Translates each into one call of the machine, or routes it to an application protocol.
//! Decides nothing.

use std::sync::Arc;
use std::time::Instant;

use quic_net::{PeerIdentity, Read, ReadError, StreamError, StreamToken};
use swim_core::{MemberName, Peer, StreamFailure};

use super::Node;
use crate::raw::RawDatagram;

impl Node {
    /// The network has something to say.
    pub(super) fn take_in(&mut self, event: quic_net::EndpointEvent, now: Instant) {
        use quic_net::EndpointEvent as Net;
        let time = self.time(now);
        match event {
            Net::Packet { peer, bytes } => {
                let peer = self.peers.get(&peer);
                self.membership.handle_packet(&peer, &bytes, time);
            }
            Net::StreamOpened { stream, peer, application: true } => {
                let from = self.member_behind(&peer);
                self.applications.opened(&mut self.endpoint, stream, from, now);
            }
            Net::ApplicationPacket { peer, bytes } => {
                let from = self.member_behind(&peer);
                self.applications.datagram(&bytes, from);
            }
            Net::StreamReadable { stream } => {
                if !self.applications.progress(&mut self.endpoint, stream) {
                    self.read(stream, now);
                }
            }
            Net::StreamFailed { stream, reason } => {
                if self.applications.failed(stream, &reason) {
                    return;
                }
                if let Some(id) = self.streams.forget(stream) {
                    self.membership.handle_stream_failed(id, stream_failure(&reason), time);
                }
            }
            Net::SendFailed { to, reason } => {
                log::debug!("sending to {to} failed: {reason}");
                self.dial_failed(to, reason);
                self.membership.handle_send_failed(to, time);
            }
            Net::PacketLimit { to, limit } => self.membership.handle_packet_limit(to, limit, time),
            Net::Refused { from, what, detail } => {
                self.warn(what.name().to_owned(), format!("{from}: {detail}"), now);
            }
            Net::Connected { peer } => {
                log::debug!("connected to {}", peer.address);
                self.dial_succeeded(&peer);
                if let Some(name) = self.member_behind(&peer) {
                    self.greet_if_go(&name, &peer, now);
                }
            }
            Net::Closed { peer, reason } => {
                log::debug!("connection to {} closed: {reason}", peer.address);
            }
            Net::StreamWritable { stream } => {
                if !self.applications.progress(&mut self.endpoint, stream) {
                    self.streams.resume(&mut self.endpoint, stream);
                }
            }
            Net::StreamOpened { stream, peer, .. } => {
                let peer = self.peers.get(&peer);
                let id = self.streams.accept(stream);
                self.membership.handle_stream_opened(id, &peer, time);
            }
            Net::RawDatagram { from, bytes } => {
                let datagram = RawDatagram { from, payload: bytes };
                if self.raw.as_ref().is_none_or(|raw| raw.try_send(datagram).is_err()) {
                    self.raw_dropped += 1;
                    log::trace!("nobody takes a raw datagram from {from}, or not in time");
                }
            }
            _ => log::debug!("an event that this version does not know"),
        }
    }

    /// Carries what has arrived on a stream to the machine, chunk by chunk.
    fn read(&mut self, stream: StreamToken, now: Instant) {
        let time = self.time(now);
        while let Some(id) = self.streams.id(stream) {
            match self.endpoint.read(stream, &mut self.read_buffer) {
                Ok(Read { bytes: 0, fin: false }) => break,
                Ok(Read { bytes, fin }) => {
                    let chunk = self.read_buffer.get(..bytes).unwrap_or_default();
                    self.membership.handle_stream_data(id, chunk, fin, time);
                    self.drain(now);
                    if fin {
                        break;
                    }
                }
                Err(error) => {
                    self.streams.forget(stream);
                    let failure = match error {
                        ReadError::Reset(_) => StreamFailure::Reset,
                        ReadError::UnknownStream | _ => StreamFailure::Closed,
                    };
                    self.membership.handle_stream_failed(id, failure, time);
                    break;
                }
            }
        }
    }

    /// The member behind a connection: the one its certificate names, else the one that announces
    /// its address.
    fn member_behind(&mut self, identity: &Arc<PeerIdentity>) -> Option<MemberName> {
        let peer = self.peers.get(identity);
        peer.names.first().cloned().or_else(|| {
            let mut members = self.membership.members();
            members.find(|member| member.address() == peer.address).map(|m| m.name().clone())
        })
    }
}

/// The machine's view of each connection's peer, made once for each connection.
#[derive(Default)]
pub(super) struct Peers {
    last: Option<(Arc<PeerIdentity>, Peer)>,
}

impl Peers {
    fn get(&mut self, identity: &Arc<PeerIdentity>) -> Peer {
        if let Some((known, peer)) = &self.last
            && Arc::ptr_eq(known, identity)
        {
            return peer.clone();
        }
        let names = identity.names.iter();
        let names = names.filter_map(|name| MemberName::try_from(name.as_slice()).ok()).collect();
        let peer = Peer { address: identity.address, names };
        self.last = Some((Arc::clone(identity), peer.clone()));
        peer
    }
}

fn stream_failure(error: &StreamError) -> StreamFailure {
    match error {
        StreamError::TimedOut => StreamFailure::TimedOut,
        StreamError::Refused(_) => StreamFailure::Refused,
        StreamError::NameMismatch => StreamFailure::PeerMismatch,
        StreamError::Reset(_) => StreamFailure::Reset,
        StreamError::Unreachable | StreamError::Closed | StreamError::Unavailable | _ => {
            StreamFailure::Closed
        }
    }
}
