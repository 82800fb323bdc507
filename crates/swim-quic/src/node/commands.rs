//! Commands of handles, carried out on the driver thread.
//!
//! Hands each to the machine or the endpoint and remembers who waits for the outcome. Decides
//! nothing that the machine would not decide.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use quic_net::{MAX_PACKET, Protocol};
use swim_core::{MemberName, OperationId, Outcome};

use super::Node;
use crate::application::{self, OpenReply};
use crate::command::{Command, KeyChange};
use crate::errands::Errand;
use crate::error::OpenStreamError;
use crate::event::{Connection, Stats};
use crate::raw;

/// How long connections stay open after a leave, for peers that still ask.
const LINGER_AFTER_LEAVE: Duration = Duration::from_secs(1);

impl Node {
    /// Carries out a command of a handle.
    pub(crate) fn command(&mut self, command: Command, now: Instant) {
        let time = self.clock.time(now);
        let text = |error: &dyn std::fmt::Display| error.to_string();
        // A caller that gave up has dropped its receiver: an answer nobody reads is no error.
        match command {
            Command::Join { address, name, reply } => {
                let operation = self.membership.join(address, name, time);
                self.waiting.insert(operation, reply);
            }
            Command::Leave { reply } => {
                self.seeds.stop();
                let operation = self.membership.leave(time);
                self.waiting.insert(operation, reply);
                self.errands.add(now + LINGER_AFTER_LEAVE, Errand::CloseAll);
            }
            Command::SetMeta { meta, reply } => {
                let done = self.membership.set_meta(meta, time);
                let _ = reply.send(done.map_err(|error| text(&error)));
            }
            Command::Keys { reply } => {
                let _ = reply.send(self.membership.keys());
            }
            Command::ChangeKeys { change, key, reply } => {
                let done = match change {
                    KeyChange::Add => self.membership.add_key(&key),
                    KeyChange::Use => self.membership.use_key(&key),
                    KeyChange::Remove => self.membership.remove_key(&key),
                };
                let _ = reply.send(done.map_err(|error| text(&error)));
            }
            Command::Send { to, payload, reply } => {
                let done = self.membership.send(&to, &payload, time);
                let _ = reply.send(done.map_err(|error| text(&error)));
            }
            Command::Broadcast { payload, reply } => {
                let done = self.membership.broadcast(payload, time);
                let _ = reply.send(done.map_err(|error| text(&error)));
            }
            Command::SendReliable { to, payload, timeout, reply } => {
                let begun = self.membership.send_reliable(&to, &payload, timeout, time);
                self.await_outcome(begun, reply);
            }
            Command::Ping { to, reply } => {
                let begun = self.membership.ping(&to, time);
                self.await_outcome(begun, reply);
            }
            Command::OpenStream { to, protocol, deadline, reply } => {
                self.open_stream(&to, protocol, deadline, reply, now);
            }
            Command::Listen { protocol, reply } => {
                let _ = reply.send(self.applications.listen(protocol));
            }
            Command::SendDatagram { to, protocol, payload, reply } => {
                let _ = reply.send(self.send_datagram(&to, &protocol, &payload, now));
            }
            Command::ListenDatagrams { protocol, reply } => {
                let _ = reply.send(self.applications.listen_datagrams(protocol));
            }
            Command::Connections { reply } => {
                let connections = self.endpoint.connections();
                let _ = reply.send(connections.iter().map(Connection::from_info).collect());
            }
            Command::Connection { member, reply } => {
                let _ = reply.send(self.connection(&member));
            }
            Command::Connect { member, reply } => self.connect(member, reply, now),
            Command::Disconnect { member, reply } => {
                let _ = reply.send(self.disconnect(&member, now));
            }
            Command::ListenRaw { reply } => {
                let (sender, receiver) = bounded(raw::INCOMING);
                self.raw = Some(sender);
                let _ = reply.send(receiver);
            }
            Command::SendRaw { to, payload, reply } => {
                let _ = reply.send(self.endpoint.send_raw(to, &payload));
            }
            Command::Stats { reply } => {
                let _ = reply.send(Stats {
                    membership: self.membership.stats(),
                    transport: self.endpoint.stats(),
                    raw_datagrams_dropped: self.raw_dropped,
                });
            }
        }
        self.settle(now);
    }

    fn open_stream(
        &mut self,
        to: &MemberName,
        protocol: String,
        deadline: Instant,
        reply: Sender<OpenReply>,
        now: Instant,
    ) {
        let opened = self.application_peer(to).and_then(|address| {
            let header = application::header(&protocol).ok_or(OpenStreamError::Protocol)?;
            let name = Some(to.as_bytes());
            let stream = self.applications.next_token();
            self.endpoint.open_stream(stream, address, name, deadline, now);
            self.endpoint
                .write(stream, &header, false)
                .map_err(|error| OpenStreamError::Unreachable(error.to_string()))?;
            Ok(stream)
        });
        match opened {
            Ok(stream) => self.applications.opening(stream, to.clone(), protocol, reply),
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
    }

    fn send_datagram(
        &mut self,
        to: &MemberName,
        protocol: &str,
        payload: &[u8],
        now: Instant,
    ) -> Result<(), OpenStreamError> {
        let address = self.application_peer(to)?;
        let mut bytes = application::header(protocol).ok_or(OpenStreamError::Protocol)?;
        bytes.extend_from_slice(payload);
        if bytes.len() > MAX_PACKET {
            let reason = format!("{} bytes are too many: send a stream instead", payload.len());
            return Err(OpenStreamError::TooLarge(reason));
        }
        self.endpoint.send_packet(address, Some(to.as_bytes()), &bytes, now);
        Ok(())
    }

    /// Where a member can be reached with application protocols.
    fn application_peer(&self, to: &MemberName) -> Result<SocketAddr, OpenStreamError> {
        let member = self
            .membership
            .member(to)
            .filter(|member| member.state().is_live())
            .ok_or_else(|| OpenStreamError::Unknown(to.clone()))?;
        let peer = self.endpoint.peer(member.address());
        if peer.is_some_and(|peer| peer.protocol == Protocol::Classic) {
            return Err(OpenStreamError::PeerSpeaksGo);
        }
        Ok(member.address())
    }

    fn await_outcome(
        &mut self,
        begun: Result<OperationId, swim_core::SendRefusal>,
        reply: Sender<Outcome>,
    ) {
        match begun {
            Ok(operation) => {
                self.waiting.insert(operation, reply);
            }
            Err(refusal) => {
                let _ = reply.send(Outcome::Failed(refusal.into()));
            }
        }
    }
}
