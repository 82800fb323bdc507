//! Commands of handles, executed on the driver thread.
//!
//! Each goes to the membership machine or to the endpoint. An operation that takes time leaves the
//! way of its answer behind until its outcome is known.

use std::net::SocketAddr;
use std::time::Instant;

use quic_net::{CloseReason, MAX_PACKET, Protocol, StreamToken};
use swim_core::wire::KeyError;
use swim_core::{AdvertiseRefusal, MemberName, MemberState, OperationId, Outcome, SecretKey};

use super::Node;
use crate::answer::Reply;
use crate::application::OpenReply;
use crate::cluster_event::{RawDatagram, Stats};
use crate::command::Command;
use crate::error::{OpenStreamError, SendDatagramError};
use crate::receiver::{Incoming, bounded};
use crate::settings_command::{KeyChange, SettingsCommand};

/// Raw datagrams that may wait to be received; further ones are dropped.
const RAW_QUEUE: usize = 256;

impl Node {
    /// Carries out a command of a handle.
    pub(crate) fn command(&mut self, command: Command, now: Instant) {
        let time = self.clock.time(now);
        match command {
            Command::Join { address, name, reply } => {
                let operation = self.membership.join(address, name, time);
                self.operations.leads_to(operation, address);
                self.operations.await_outcome(operation, reply);
            }
            Command::Leave { reply } => {
                self.seeds.stop();
                let operation = self.membership.leave(time);
                self.operations.await_outcome(operation, reply);
                self.operations.leaving = Some(operation);
            }
            Command::Settings(command) => self.change_settings(command, now),
            Command::Send { to, payload, reply } => {
                reply.send(self.membership.send(&to, &payload, time));
            }
            Command::Broadcast { payload, reply } => {
                reply.send(self.membership.broadcast(payload, time));
            }
            Command::SendReliable { to, payload, timeout, held, reply } => {
                let begun = self.membership.send_reliable(&to, &payload, timeout, time);
                if let Ok(operation) = &begun {
                    self.operations.hold(*operation, held);
                }
                self.await_outcome(begun, reply);
            }
            Command::Ping { to, reply } => {
                let begun = self.membership.ping(&to, time);
                self.await_outcome(begun, reply);
            }
            Command::Doubt { member, reply } => reply.send(self.membership.doubt(&member, time)),
            Command::OpenStream { to, protocol, header, deadline, reply } => {
                self.open_stream_for((to, protocol), &header, deadline, reply, now);
            }
            Command::Listen { protocol, reply } => {
                reply.send(self.applications.listen(protocol));
            }
            Command::SendDatagram { to, header, payload, reply } => {
                reply.send(self.send_datagram(&to, header, &payload, now));
            }
            Command::ListenDatagrams { protocol, reply } => {
                reply.send(self.applications.listen_datagrams(protocol));
            }
            Command::Connections { reply } => reply.send(self.connections()),
            Command::PreferredConnection { member, reply } => {
                reply.send(self.connection(&member));
            }
            Command::Connect { member, reply } => self.connect(member, reply, now),
            Command::Disconnect { member, reply } => {
                reply.send(self.disconnect(&member, now));
            }
            Command::Rotate { identity, trust, reply } => self.rotate(identity, &trust, reply, now),
            Command::Revoke { fingerprint, reply } => self.revoke(fingerprint, reply, now),
            Command::ListenRaw { reply } => reply.send(self.listen_raw()),
            Command::SendRaw { to, payload, reply } => {
                reply.send(self.endpoint.send_raw(to, &payload));
            }
            Command::AwaitTime { time, reply } => self.operations.await_time(time, reply),
            Command::Stats { reply } => reply.send(self.stats()),
            Command::Agreement { reply } => reply.send(self.membership.agreement()),
        }
        self.settle(now);
    }

    /// Drops what calls have left behind whose callers have given up.
    pub(crate) fn forget_given_up(&mut self) {
        self.operations.forget_given_up();
        self.applications.forget_given_up(&mut self.endpoint);
    }

    /// From here on raw datagrams go to this receiver, and to no earlier one.
    fn listen_raw(&mut self) -> Incoming<RawDatagram> {
        let (feed, incoming) = bounded(RAW_QUEUE);
        self.raw.listener = Some(feed);
        incoming
    }

    fn stats(&self) -> Stats {
        Stats {
            membership: self.membership.stats(),
            transport: self.endpoint.stats(),
            raw_datagrams_dropped: self.raw.dropped,
            pending_calls: self.operations.len() + self.applications.opening_count(),
        }
    }

    fn change_settings(&mut self, command: SettingsCommand, now: Instant) {
        let time = self.clock.time(now);
        match command {
            SettingsCommand::Meta { meta, reply } => {
                reply.send(self.membership.set_meta(meta, time));
            }
            SettingsCommand::UserState { state, reply } => {
                reply.send(self.membership.set_user_state(state));
            }
            SettingsCommand::Advertise { address, source, reply } => {
                let changed = self.set_advertise(address, now);
                if changed.is_ok() {
                    self.host.announced(address, source, now);
                }
                reply.send(changed);
            }
            SettingsCommand::Config { reply } => reply.send(self.membership.config().clone()),
            SettingsCommand::Reconfigure { config, reply } => {
                reply.send(self.membership.reconfigure(*config, time));
            }
            SettingsCommand::SetSeeds { seeds, reply } => {
                self.seeds.replace(seeds);
                reply.send(());
            }
            SettingsCommand::ForgetSeed { seed, reply } => reply.send(self.seeds.forget(&seed)),
            SettingsCommand::Keys { reply } => reply.send(self.membership.keys()),
            SettingsCommand::ChangeKeys { change, key, reply } => {
                reply.send(self.change_keys(change, &key));
            }
        }
    }

    fn change_keys(&mut self, change: KeyChange, key: &SecretKey) -> Result<(), KeyError> {
        match change {
            KeyChange::Add => self.membership.add_key(key),
            KeyChange::Use => self.membership.use_key(key),
            KeyChange::Remove => self.membership.remove_key(key),
        }
    }

    /// Announces another address, on new connections: an answer to the old address would come by
    /// those that are there, as if somebody were at it.
    pub(super) fn set_advertise(
        &mut self,
        address: SocketAddr,
        now: Instant,
    ) -> Result<(), AdvertiseRefusal> {
        let before = self.membership.local().address();
        self.membership.set_advertise(address, self.clock.time(now))?;
        if self.membership.local().address() != before {
            self.endpoint.close_where(CloseReason::Requested, now, |_| true);
        }
        Ok(())
    }

    fn open_stream_for(
        &mut self,
        (to, protocol): (MemberName, String),
        header: &[u8],
        deadline: Instant,
        reply: Reply<OpenReply>,
        now: Instant,
    ) {
        // For nobody there is nothing to open.
        if reply.is_given_up() {
            return;
        }
        match self.open_stream(&to, header, deadline, now) {
            Ok(stream) => self.applications.opening(stream, to, protocol, reply),
            Err(error) => reply.send(Err(error)),
        }
    }

    fn open_stream(
        &mut self,
        to: &MemberName,
        header: &[u8],
        deadline: Instant,
        now: Instant,
    ) -> Result<StreamToken, OpenStreamError> {
        let address = match self.application_peer(to) {
            Reachable::At(address) => address,
            Reachable::Unknown => return Err(OpenStreamError::UnknownMember(to.clone())),
            Reachable::NotAlive => return Err(OpenStreamError::NotAlive(to.clone())),
            Reachable::SpeaksGo => return Err(OpenStreamError::PeerSpeaksGo),
            Reachable::WeLeft => return Err(OpenStreamError::Left),
        };
        let stream = self.applications.next_token();
        self.endpoint.open_stream(stream, address, Some(to.as_bytes()), deadline, now);
        self.endpoint.write(stream, header, false)?;
        Ok(stream)
    }

    fn send_datagram(
        &mut self,
        to: &MemberName,
        header: Vec<u8>,
        payload: &[u8],
        now: Instant,
    ) -> Result<(), SendDatagramError> {
        let address = match self.application_peer(to) {
            Reachable::At(address) => address,
            Reachable::Unknown => return Err(SendDatagramError::UnknownMember(to.clone())),
            Reachable::NotAlive => return Err(SendDatagramError::NotAlive(to.clone())),
            Reachable::SpeaksGo => return Err(SendDatagramError::PeerSpeaksGo),
            Reachable::WeLeft => return Err(SendDatagramError::Left),
        };
        let limit = MAX_PACKET - header.len();
        if payload.len() > limit {
            return Err(SendDatagramError::TooLarge { len: payload.len(), limit });
        }
        let mut bytes = header;
        bytes.extend_from_slice(payload);
        self.endpoint.send_packet(address, Some(to.as_bytes()), &bytes, now);
        Ok(())
    }

    /// Whether and where a member can be reached with application protocols.
    fn application_peer(&self, to: &MemberName) -> Reachable {
        if self.membership.local().state() == MemberState::Left {
            return Reachable::WeLeft;
        }
        let Some(member) = self.membership.member(to) else {
            return Reachable::Unknown;
        };
        if !member.state().is_live() {
            return Reachable::NotAlive;
        }
        let peer = self.endpoint.peer(member.address());
        if peer.is_some_and(|peer| peer.protocol == Protocol::Classic) {
            return Reachable::SpeaksGo;
        }
        Reachable::At(member.address())
    }

    fn await_outcome(
        &mut self,
        begun: Result<OperationId, swim_core::SendRefusal>,
        reply: Reply<Outcome>,
    ) {
        match begun {
            Ok(operation) => self.operations.await_outcome(operation, reply),
            Err(refusal) => reply.send(Outcome::Failed(refusal.into())),
        }
    }
}

/// Whether a member can be reached with application protocols.
enum Reachable {
    At(SocketAddr),
    Unknown,
    NotAlive,
    SpeaksGo,
    /// We are no member any more.
    WeLeft,
}
