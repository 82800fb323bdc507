//! Packets in and out: pings answered, probes relayed, claims passed on, user messages delivered.
//!
//! A packet is decoded wholly before its first message is acted on.

use std::net::SocketAddr;
use std::time::Duration;

use super::Membership;
use crate::error::OperationError;
use crate::member::{Advertised, MemberName, MemberState, Peer};
use crate::output::{Destination, Event, OperationId, Outcome, Output, WarningKind};
use crate::roster::Slot;
use crate::time::Time;
use crate::timers::Timer;
use crate::wire::{Ack, IndirectPing, Message, Nack, PacketDecodeError, Ping};

/// What we wait for under one of our sequence numbers, beside the probe round's own.
#[derive(Debug)]
pub(super) enum Expected {
    /// Somebody asked us to ping `target` for it.
    Relay { target: MemberName, sequence: u32, reply_to: Destination, wants_nack: bool },
    /// The application asked.
    User { operation: OperationId, target: MemberName, address: SocketAddr, sent: Time },
    /// A peer was told that we leave.
    Leave { target: MemberName },
}

/// The most pings under way for others; further requests are dropped.
const MAX_RELAYS: usize = 1024;

impl Membership {
    pub(super) fn receive_packet(&mut self, from: &Peer, bytes: &[u8]) {
        self.counters.packets_in += 1;
        self.counters.packet_bytes_in += bytes.len() as u64;
        let mut decoder = self.codec.lend_decoder();
        match decoder.decode(bytes, &self.codec.layers) {
            Ok(packet) => {
                self.counters.refused_parts +=
                    (packet.truncated + packet.unknown + packet.empty) as u64;
                self.counters.messages_in += packet.messages.len() as u64;
                for message in &packet.messages {
                    log::trace!("from {}: {message:?}", from.address);
                    self.receive_message(from, message);
                }
            }
            Err(error) => self.refuse_packet(from, &error),
        }
        self.codec.take_back(decoder);
    }

    fn receive_message(&mut self, from: &Peer, message: &Message<'_>) {
        match message {
            Message::Ping(ping) => self.answer_ping(from, ping),
            Message::IndirectPing(request) => self.relay_ping(from, request),
            Message::Ack(ack) => self.receive_ack(from, ack),
            Message::Nack(nack) => self.receive_nack(from, *nack),
            Message::Suspect(suspect) => self.claim_suspect(suspect),
            Message::Alive(alive) => {
                if self.config.allows(from.address.ip()) {
                    self.claim_alive(alive, from.address);
                } else {
                    self.counters.refused_admission += 1;
                }
            }
            Message::Dead(dead) => self.claim_dead(dead),
            Message::User(payload) => self.deliver(from, payload, false),
        }
    }

    fn refuse_packet(&mut self, from: &Peer, error: &PacketDecodeError) {
        let kind = match error {
            PacketDecodeError::Label(_) => {
                self.counters.refused_label += 1;
                WarningKind::WrongLabel
            }
            PacketDecodeError::Decrypt { .. } => {
                self.counters.refused_key += 1;
                WarningKind::WrongKey
            }
            PacketDecodeError::Empty
            | PacketDecodeError::Checksum { .. }
            | PacketDecodeError::Compound { .. }
            | PacketDecodeError::Decompress { .. }
            | PacketDecodeError::TooDeep { .. }
            | PacketDecodeError::TooManyMessages { .. }
            | PacketDecodeError::Malformed { .. } => {
                self.counters.refused_malformed += 1;
                WarningKind::Malformed
            }
        };
        self.warn(kind, from.address, error.to_string());
    }

    pub(super) fn deliver(&mut self, from: &Peer, payload: &[u8], reliable: bool) {
        self.counters.user_messages_in += 1;
        let event = Event::Message {
            from: self.name_of(from),
            address: from.address,
            reliable,
            payload: payload.to_vec(),
        };
        self.emit(event);
    }

    /// The name of who is at the other end: proven, or looked up by address.
    fn name_of(&self, from: &Peer) -> Option<MemberName> {
        let known = |name: &&MemberName| self.roster.find(name.as_bytes()).is_some();
        if let Some(first) = from.names.first() {
            return Some(from.names.iter().find(known).unwrap_or(first).clone());
        }
        let mut at_address =
            self.roster.iter().filter(|(_, member)| member.address() == from.address);
        at_address.next().map(|(_, member)| member.name().clone())
    }

    /// Whether `from` may speak as `source`; counted and reported if not.
    pub(super) fn is_genuine(&mut self, from: &Peer, source: &[u8]) -> bool {
        if source.is_empty() || from.speaks_for_bytes(source) {
            return true;
        }
        self.counters.refused_impostor += 1;
        let detail =
            format!("{:?} calls itself \"{}\"", from.names, String::from_utf8_lossy(source));
        self.warn(WarningKind::Impostor, from.address, detail);
        false
    }

    /// Whether a ping of that name is for us; counted if not.
    pub(super) fn is_for_me(&mut self, node: &[u8]) -> bool {
        let mine = node.is_empty() || self.is_me(node);
        if !mine {
            self.counters.refused_wrong_target += 1;
        }
        mine
    }

    fn answer_ping(&mut self, from: &Peer, ping: &Ping<'_>) {
        if !self.is_for_me(ping.node) || !self.is_genuine(from, ping.source_node) {
            return;
        }
        let to = reply_address(from, ping.source_addr, ping.source_port, ping.source_node);
        let payload = (!self.ack_payload.is_empty()).then(|| self.ack_payload.clone());
        let ack = Ack { seq_no: ping.seq_no, payload: payload.as_deref() };
        self.send_with_news(to, &Message::Ack(ack));
    }

    fn relay_ping(&mut self, from: &Peer, request: &IndirectPing<'_>) {
        if !self.is_genuine(from, request.source_node) {
            return;
        }
        let port =
            if request.port == 0 { self.me().record().advertised.port } else { request.port };
        let target = request.target.and_then(|ip| Advertised::from_wire(ip, port));
        let (Some(target), Ok(name)) = (target, MemberName::try_from(request.node)) else {
            self.counters.refused_claim += 1;
            return;
        };
        let relays = |expected: &&Expected| matches!(expected, Expected::Relay { .. });
        if self.expected.len() >= MAX_RELAYS
            && self.expected.values().filter(relays).count() >= MAX_RELAYS
        {
            self.counters.refused_relay_full += 1;
            return;
        }
        let reply_to =
            reply_address(from, request.source_addr, request.source_port, request.source_node);
        let to = Destination { address: target.to_socket(), name: Some(name.clone()) };
        self.expect_ack_from(
            to,
            &name,
            Expected::Relay {
                target: name.clone(),
                sequence: request.seq_no,
                reply_to,
                wants_nack: request.nack,
            },
        );
    }

    fn receive_ack(&mut self, from: &Peer, ack: &Ack<'_>) {
        if self.probe.as_ref().is_some_and(|round| round.sequence == ack.seq_no) {
            self.receive_probe_ack(from, ack.payload.unwrap_or_default());
            return;
        }
        let target = match self.expected.get(&ack.seq_no) {
            Some(
                Expected::Relay { target, .. }
                | Expected::User { target, .. }
                | Expected::Leave { target },
            ) if from.speaks_for(target) => target,
            Some(_) | None => {
                self.counters.refused_ack += 1;
                return;
            }
        };
        log::trace!("ack {} from {target}", ack.seq_no);
        self.timers.clear(Timer::Expected(ack.seq_no));
        match self.expected.remove(&ack.seq_no) {
            Some(Expected::Relay { sequence, reply_to, .. }) => {
                let ack = Ack { seq_no: sequence, payload: None };
                self.send_with_news(reply_to, &Message::Ack(ack));
            }
            Some(Expected::User { operation, sent, .. }) => {
                self.finish(operation, Outcome::Pong { rtt: self.now - sent });
            }
            Some(Expected::Leave { target }) => self.leave_was_heard(&target),
            None => {}
        }
    }

    fn receive_nack(&mut self, from: &Peer, nack: Nack) {
        let noted = match &mut self.probe {
            Some(round) if round.sequence == nack.seq_no => round.note_nack(from),
            Some(_) | None => false,
        };
        if !noted {
            self.counters.refused_ack += 1;
        }
    }

    /// Nobody acknowledged `sequence` in time.
    pub(super) fn give_up_expecting(&mut self, sequence: u32) {
        match self.expected.remove(&sequence) {
            Some(Expected::Relay { target, sequence: theirs, reply_to, wants_nack: true }) => {
                let nack = Message::Nack(Nack { seq_no: theirs });
                self.send_with_news(reply_to.clone(), &nack);
                // An ack may still come, and is still worth passing on.
                let rest = self.answer_time().saturating_sub(self.nack_time());
                self.timers.set(Timer::Expected(sequence), self.now + rest);
                let relay =
                    Expected::Relay { target, sequence: theirs, reply_to, wants_nack: false };
                self.expected.insert(sequence, relay);
            }
            Some(Expected::User { operation, .. }) => {
                self.finish(operation, Outcome::Failed(OperationError::TimedOut));
            }
            Some(Expected::Relay { wants_nack: false, .. } | Expected::Leave { .. }) | None => {}
        }
    }

    pub(super) fn note_send_failure(&mut self, to: SocketAddr) {
        let hopeless: Vec<u32> = self
            .expected
            .iter()
            .filter(|(_, expected)| {
                matches!(expected, Expected::User { address, .. } if *address == to)
            })
            .map(|(sequence, _)| *sequence)
            .collect();
        for sequence in hopeless {
            self.timers.clear(Timer::Expected(sequence));
            if let Some(Expected::User { operation, .. }) = self.expected.remove(&sequence) {
                self.finish(operation, Outcome::Failed(OperationError::SendFailed));
            }
        }
        self.probe_send_failed(to);
    }

    /// Sends a ping of our own and waits for its ack as long as a direct probe would.
    pub(super) fn expect_ack_from(
        &mut self,
        to: Destination,
        name: &MemberName,
        expected: Expected,
    ) {
        let sequence = self.next_sequence();
        let ping = self.encode_ping(sequence, name);
        let slot = self.roster.find(name.as_bytes());
        self.expect(sequence, expected);
        let plain = self.piggyback(ping, to.address, slot);
        self.send_plain(to, plain, false);
    }

    pub(super) fn expect(&mut self, sequence: u32, expected: Expected) {
        let patience = match &expected {
            Expected::Relay { wants_nack: true, .. } => self.nack_time(),
            Expected::Relay { wants_nack: false, .. }
            | Expected::User { .. }
            | Expected::Leave { .. } => self.answer_time(),
        };
        self.timers.set(Timer::Expected(sequence), self.now + patience);
        self.expected.insert(sequence, expected);
    }

    /// When a relay sends its nack: at 80 % of its timeout (Lifeguard, section IV-A), since the
    /// asker's deadline ends with it. Go waits for all of it, and its nacks come just too late.
    fn nack_time(&self) -> Duration {
        self.answer_time() * 4 / 5
    }

    /// How long a direct answer may take.
    pub(super) fn answer_time(&self) -> Duration {
        if self.config.probe_timeout.is_zero() { self.beat() } else { self.config.probe_timeout }
    }

    /// Skips numbers that are still waited for, should the counter ever wrap around.
    pub(super) fn next_sequence(&mut self) -> u32 {
        loop {
            self.sequence = self.sequence.wrapping_add(1);
            if !self.expected.contains_key(&self.sequence) {
                return self.sequence;
            }
        }
    }

    pub(super) fn encode_ping(&self, sequence: u32, target: &MemberName) -> Vec<u8> {
        let me = self.me().record();
        let ping = Ping {
            seq_no: sequence,
            node: target.as_bytes(),
            source_addr: me.advertised.ip_bytes(),
            source_port: me.advertised.port,
            source_node: me.name.as_bytes(),
        };
        Message::Ping(ping).to_vec()
    }

    /// Sends a message with as much news as fits beside it.
    pub(super) fn send_with_news(&mut self, to: Destination, message: &Message<'_>) {
        let slot = to.name.as_ref().and_then(|name| self.roster.find(name.as_bytes()));
        let slot = slot.filter(|slot| self.hears_broadcasts(*slot));
        let plain = self.piggyback(message.to_vec(), to.address, slot);
        self.send_plain(to, plain, false);
    }

    fn hears_broadcasts(&self, slot: Slot) -> bool {
        slot != Slot::ME && self.roster.get(slot).state() != MemberState::Left
    }

    pub(super) fn send_plain(&mut self, to: Destination, plain: Vec<u8>, checksum: bool) {
        let bytes = self.codec.seal_packet(&plain, checksum);
        self.counters.packets_out += 1;
        self.counters.packet_bytes_out += bytes.len() as u64;
        self.outputs.push_back(Output::Packet { to, bytes });
    }
}

/// Go answers to where the message says it comes from, else to where it came from.
fn reply_address(from: &Peer, ip: &[u8], port: u16, name: &[u8]) -> Destination {
    let stated = Advertised::from_wire(ip, port).filter(|_| port != 0);
    Destination {
        address: stated.map_or(from.address, Advertised::to_socket),
        name: MemberName::try_from(name).ok(),
    }
}
