//! What arrives: packets and streams, and what is answered to them.
//!
//! A packet is decoded wholly before its first message is handled. The side of a push-pull that is
//! asked answers before it merges, and neither waits for the end of the stream.

use std::net::SocketAddr;

use super::Membership;
use super::moves::Answer;
use super::pings::acknowledging;
use crate::bearer::Bearer;
use crate::error::{OperationError, UnacceptableAnswer};
use crate::exchange_refusal::{message_refusal, refusal_in};
use crate::exchanges::{Purpose, Role};
use crate::failure_detector::{Acknowledged, PendingAck, reply_destination};
use crate::member::{MemberState, Peer};
use crate::member_name::{MemberName, printable};
use crate::merge_admission::{check_sender, check_veto, is_at};
use crate::move_examiner::{claimant_of, is_from_ourselves};
use crate::output::{Destination, MembershipEvent, OperationId, Outcome, StreamId, WarningKind};
use crate::payer::Payer;
use crate::push_pull::state_of;
use crate::relocation::{OpenExchange, own_entry_elsewhere};
use crate::undecodable;
use crate::wire::{
    Ack, Alive, Dead, ErrorMessage, IndirectPing, Message, Nack, NodeState, Ping, PushPull,
    StreamDecodeError, StreamMessage, Suspect,
};
use crate::with_sources::with_sources;

impl Membership {
    pub(super) fn receive_packet(&mut self, from: &Peer, bytes: &[u8]) {
        self.effects.count_packet_in(bytes.len());
        // Messages borrow from the decoder, and their handling from the rest of the machine.
        let mut decoder = std::mem::take(&mut self.decoder);
        let packets = decoder.for_peer(from, self.effects.now());
        match packets.decode(bytes, self.effects.encoder().settings()) {
            Ok(packet) => {
                let counters = self.effects.count();
                counters.refused_parts += (packet.truncated + packet.unknown + packet.empty) as u64;
                counters.messages_in += packet.messages.len() as u64;
                for message in &packet.messages {
                    log::trace!("from {}: {message:?}", from.address);
                    self.receive_message(from, message);
                }
                self.hear_gossip(from, &packet.messages);
                self.notify_heard(from);
            }
            Err(error) => undecodable::refuse_packet(&error, from, &mut self.effects),
        }
        decoder.charge(Some(from), self.effects.now());
        self.decoder = decoder;
    }

    fn receive_message(&mut self, from: &Peer, message: &Message<'_>) {
        match message {
            Message::Ping(ping) => self.answer_ping(from, ping),
            Message::IndirectPing(request) => self.relay_ping(from, request),
            Message::Ack(ack) => self.receive_ack(from, ack),
            Message::Nack(nack) => self.receive_nack(from, *nack),
            Message::Suspect(suspect) => self.handle_suspect(suspect, Some(Bearer::Peer(from))),
            Message::Alive(alive) => {
                if self.config.allows(from.address.ip()) {
                    self.handle_alive(alive, Bearer::Peer(from));
                } else {
                    self.effects.count().refused_admission += 1;
                }
            }
            Message::Dead(dead) => self.handle_dead(dead, Some(Bearer::Peer(from))),
            Message::User(payload) => self.deliver(from, payload, false),
        }
    }

    fn deliver(&mut self, from: &Peer, payload: &[u8], reliable: bool) {
        self.effects.count().user_messages_in += 1;
        self.effects.emit(MembershipEvent::Message {
            from: self.members.name_of(from).cloned(),
            address: from.address,
            reliable,
            acknowledgement: None,
            payload: payload.to_vec(),
        });
    }

    /// Whether `from` may speak as `source`; counted and reported if not.
    fn check_source(&mut self, from: &Peer, source: &[u8]) -> bool {
        if source.is_empty() || from.speaks_for_bytes(source) {
            return true;
        }
        self.effects.count().refused_impostor += 1;
        let detail = format!("{:?} calls itself \"{}\"", from.names, printable(source));
        self.effects.warn(WarningKind::Impostor, from.address, detail);
        false
    }

    fn answer_ping(&mut self, from: &Peer, ping: &Ping<'_>) {
        if !self.check_target(ping.node) || !self.check_source(from, ping.source_node) {
            return;
        }
        let to = reply_destination(from, ping.source_node);
        if self.lifecycle.is_leaving() {
            return self.answer_with_departure(to, ping.seq_no);
        }
        self.hear_digest(from, ping.digest);
        let wait = self.deal_turn(from, ping);
        self.send_ack(to, ping.seq_no, wait);
    }

    fn relay_ping(&mut self, from: &Peer, request: &IndirectPing<'_>) {
        if !self.check_source(from, request.source_node) {
            return;
        }
        let reply_to = reply_destination(from, request.source_node);
        let index = self.claims().pinged_for_others(request);
        let Some(index) = index else {
            self.effects.count().refused_relay_unknown += 1;
            if request.nack {
                let nack = Nack { seq_no: request.seq_no, refused: false };
                self.send_answer(reply_to, &Message::Nack(nack));
            }
            return;
        };
        let payer = Payer::of(from);
        if !self.detector.admit_relay(&payer, &mut self.effects) {
            return;
        }
        let to = Destination::of(self.members.get(index));
        let target = self.members.get(index).name().clone();
        let (sequence, wants_nack) = (request.seq_no, request.nack);
        let relay =
            PendingAck::Relay { target: target.clone(), sequence, reply_to, wants_nack, payer };
        self.send_ping(to, &target, relay);
    }

    fn receive_ack(&mut self, from: &Peer, ack: &Ack<'_>) {
        self.hear_digest(from, ack.digest);
        match self.detector.receive_ack(from, ack, &self.members, &mut self.effects) {
            Some(Acknowledged::Probe(end)) => {
                if let Some((index, itself)) = end.answered {
                    self.members.forget_evidence(index, itself);
                    if itself {
                        self.hear_turn(index, ack);
                    }
                }
                self.end_round(end);
            }
            Some(Acknowledged::Relay { sequence, reply_to }) => {
                self.send_answer(reply_to, &acknowledging(sequence));
            }
            Some(Acknowledged::Place { name, address }) => self.place_answered(&name, address),
            Some(Acknowledged::Gone(claim)) => self.claims().claim_is_false(&claim),
            Some(Acknowledged::Leave(by)) => {
                self.lifecycle.leave_acknowledged(by, &mut self.effects);
            }
            None => {}
        }
    }

    pub(super) fn receive_stream(&mut self, id: StreamId, bytes: &[u8], fin: bool) {
        // Bytes may still arrive on a stream that the machine has closed.
        let Some(mut stream) = self.exchanges.take(id, bytes.len(), &mut self.effects) else {
            return;
        };
        let (role, received) = stream.receive(bytes, fin, &mut self.decoder, &self.effects);
        match received {
            Ok(Some(message)) => {
                if self.receive_stream_message(id, role, message) == Answer::Waits {
                    self.exchanges.hold(id, stream);
                    return;
                }
            }
            Ok(None) if fin => self.exchange_failed(role, OperationError::ClosedWithoutAnswer),
            Ok(None) => {
                self.exchanges.put_back(id, stream, &self.config, &mut self.effects);
                return;
            }
            Err(error) => self.refuse_stream(id, role, error),
        }
        self.exchanges.close(id, &mut self.effects);
    }

    fn receive_stream_message(
        &mut self,
        id: StreamId,
        role: &Role,
        message: StreamMessage<'_>,
    ) -> Answer {
        match role {
            Role::Incoming { from } => return self.receive_request(id, from, message),
            Role::PushPull { to, purpose } => self.receive_state(to, *purpose, message),
            Role::StreamPing { sequence } => {
                if matches!(message, StreamMessage::Ack(ack) if ack.seq_no == *sequence) {
                    self.detector.receive_stream_ack(*sequence);
                }
            }
            Role::Message { operation } => self.receive_message_answer(*operation, &message),
        }
        Answer::Given
    }

    fn receive_request(&mut self, id: StreamId, from: &Peer, message: StreamMessage<'_>) -> Answer {
        match message {
            StreamMessage::Ping(ping) => {
                if self.check_target(ping.node) && self.check_source(from, ping.source_node) {
                    let ack = acknowledging(ping.seq_no);
                    self.exchanges.answer(id, &ack.to_vec(), &mut self.effects);
                }
            }
            StreamMessage::PushPull(theirs) => return self.answer_push_pull(id, from, &theirs),
            StreamMessage::User(payload) => {
                self.deliver(from, payload, true);
                // No reply exists; that our side ends tells the sender that it was taken.
                self.exchanges.finish(id, &mut self.effects);
            }
            StreamMessage::Ack(_) | StreamMessage::Error(_) => {
                self.effects.count().refused_malformed += 1;
            }
        }
        Answer::Given
    }

    /// A reliable message is answered by the end of the stream, or by an error message.
    fn receive_message_answer(&mut self, operation: OperationId, answer: &StreamMessage<'_>) {
        let error = message_refusal(answer);
        self.effects.finish(operation, Outcome::Failed(error));
    }

    fn answer_push_pull(&mut self, id: StreamId, from: &Peer, theirs: &PushPull<'_>) -> Answer {
        if !theirs.nodes.clone().any(|node| from.speaks_for_bytes(node.name)) {
            self.effects.count().refused_impostor += 1;
            self.effects.count().exchanges_failed += 1;
            let detail = format!("{:?} sent a state in which it does not occur", from.names);
            self.effects.warn(WarningKind::Impostor, from.address, detail);
            return Answer::Given;
        }
        if is_from_ourselves(&self.members, from, theirs) {
            return self.refuse_ourselves(id);
        }
        if !self.exchanges.own_state().is_paid_by(from, &mut self.effects) {
            return Answer::Given;
        }
        let claimant = claimant_of(&self.members, from, theirs);
        if claimant.is_none() {
            let answer = self.encode_state(theirs.join);
            self.exchanges.answer(id, &answer, &mut self.effects);
        }
        match self.merge(theirs, Bearer::Peer(from)) {
            Ok(()) => self.effects.count().exchanges_answered += 1,
            Err(_) => self.effects.count().exchanges_failed += 1,
        }
        claimant.map_or(Answer::Given, |who| self.answer_claimant(id, who, theirs.join))
    }

    fn receive_state(&mut self, to: &Destination, purpose: Purpose, answer: StreamMessage<'_>) {
        let mut elsewhere = None;
        let merged = match answer {
            StreamMessage::PushPull(theirs) => {
                elsewhere = own_entry_elsewhere(self.members.me(), &theirs);
                match elsewhere.filter(|held| !self.may_merge(purpose, *held)) {
                    Some(held) => {
                        return self.wait_for_name(OpenExchange { to: to.clone(), purpose }, held);
                    }
                    None => self.merge_answer(to, &theirs),
                }
            }
            StreamMessage::Error(error) => Err(refusal_in(&error, to.address)),
            StreamMessage::Ping(_) | StreamMessage::Ack(_) | StreamMessage::User(_) => {
                Err(OperationError::UnacceptableAnswer(UnacceptableAnswer::UnexpectedMessage))
            }
        };
        match (merged, elsewhere) {
            (Ok(()), Some(held)) => {
                self.merged_elsewhere(OpenExchange { to: to.clone(), purpose }, held);
            }
            (Ok(()), None) => self.push_pull_succeeded(to.address, purpose),
            (Err(error), _) => self.push_pull_failed(to.address, purpose, error),
        }
    }

    fn merge_answer(
        &mut self,
        to: &Destination,
        theirs: &PushPull<'_>,
    ) -> Result<(), OperationError> {
        let contains =
            |name: &MemberName| theirs.nodes.clone().any(|node| node.name == name.as_bytes());
        let counters = self.effects.counters();
        if counters.exchanges_started + counters.exchanges_answered == 0 {
            // Answers are written before our own state is merged into them.
            self.lifecycle.set_returning(contains(self.members.me().name()));
        }
        match to.name.as_ref().filter(|name| !contains(name)) {
            None => self.merge(theirs, Bearer::Answer(to.address)),
            Some(name) => Err(UnacceptableAnswer::WrongMember(name.clone()).into()),
        }
    }

    pub(super) fn push_pull_succeeded(&mut self, address: SocketAddr, purpose: Purpose) {
        self.effects.count().exchanges_started += 1;
        self.begin_telling();
        if purpose.is_join() {
            self.exchange_again();
        }
        match purpose {
            Purpose::Join(operation) => {
                self.bootstrap.add_joined(address);
                self.effects.finish(operation, Outcome::Joined);
            }
            Purpose::Bootstrap => {
                self.bootstrap.tried(address);
                self.effects.emit(MembershipEvent::SeedTried { address, error: None });
            }
            Purpose::Periodic => {}
        }
    }

    /// All or nothing as far as the sender's versions and vetoes go; then entry by entry, by the
    /// usual rules.
    fn merge(&mut self, theirs: &PushPull<'_>, bearer: Bearer<'_>) -> Result<(), OperationError> {
        let address = bearer.address();
        let Self { members, hooks, effects, .. } = self;
        let is_sender = |node: &NodeState<'_>| match bearer {
            Bearer::Peer(peer) if !peer.names.is_empty() => peer.speaks_for_bytes(node.name),
            Bearer::Peer(_) | Bearer::Answer(_) => is_at(node, address),
        };
        check_sender(theirs, is_sender, address, members, effects)?;
        if let Some(hooks) = hooks.as_deref_mut().filter(|_| theirs.join) {
            check_veto(theirs, address, hooks, effects)?;
        }
        for node in theirs.nodes.clone() {
            self.merge_entry(&node, bearer);
        }
        if !theirs.user_state.is_empty() {
            self.deliver_user_state(theirs, bearer);
        }
        Ok(())
    }

    fn merge_entry(&mut self, node: &NodeState<'_>, bearer: Bearer<'_>) {
        let NodeState { name, incarnation, addr, port, meta, vsn, .. } = *node;
        match state_of(node.state) {
            Some(MemberState::Alive) => {
                let alive = Alive { incarnation, node: name, addr, port, meta, vsn };
                self.handle_alive(&alive, bearer);
            }
            // A death at second hand is a suspicion: the member may still refute.
            Some(MemberState::Suspect | MemberState::Dead) => {
                let me = self.members.me().name().clone();
                let suspect = Suspect { incarnation, node: name, from: me.as_bytes() };
                self.handle_suspect(&suspect, Some(bearer));
            }
            Some(MemberState::Left) => {
                self.handle_dead(&Dead { incarnation, node: name, from: name }, Some(bearer));
            }
            None => self.effects.count().refused_claim += 1,
        }
    }

    /// The bytes of a stream could not be decoded.
    fn refuse_stream(&mut self, id: StreamId, role: &Role, error: StreamDecodeError) {
        if matches!(error, StreamDecodeError::Truncated { offset: 0 }) {
            match role {
                // The other side ended without a word: it took the message.
                Role::Message { operation } => {
                    self.effects.finish(
                        *operation,
                        Outcome::Delivered(crate::output::DeliveryReport::Sent),
                    );
                    return;
                }
                Role::PushPull { .. } => {
                    self.exchange_failed(role, OperationError::ClosedWithoutAnswer);
                    return;
                }
                Role::StreamPing { .. } | Role::Incoming { .. } => {}
            }
        }
        let kind = undecodable::count_stream(&error, &mut self.effects);
        match role {
            Role::Incoming { from } => {
                self.effects.warn(kind, from.address, with_sources(&error));
                if error.is_answered() {
                    let plain = ErrorMessage::to_vec(&with_sources(&error));
                    self.exchanges.answer(id, &plain, &mut self.effects);
                }
                return;
            }
            Role::PushPull { to, .. } => {
                self.effects.warn(kind, to.address, with_sources(&error));
            }
            Role::StreamPing { .. } | Role::Message { .. } => {}
        }
        self.exchange_failed(role, UnacceptableAnswer::Decode(error).into());
    }
}
