//! Who does not answer: probe rounds, the pings of others that we relay, and local health.
//!
//! One member is probed at a time: directly, then through other members and by stream. This is
//! the only place where a member is suspected at first hand. A lost connection or a failed send
//! is no more than a missing answer.

mod hinted;
mod outcomes;
mod pending_acks;
mod pings;
mod probe_round;
mod refused_rounds;
mod round_end;
mod saved_by_stream;
mod unheard_targets;

use std::net::SocketAddr;
use std::time::Duration;

pub(crate) use hinted::Hinted;
pub(crate) use outcomes::{Acknowledged, IndirectProbe, ProbeStep, TimedOut};
pub(crate) use pending_acks::{GoneClaim, PendingAck};
use pings::{draw_relays, draw_witnesses};
pub(crate) use pings::{indirect_ping, ping_to, reply_destination};

use crate::awareness::Awareness;
use crate::config::Config;
use crate::effects::Effects;
use crate::error::{OperationError, StreamFailure};
use crate::member::Peer;
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::member_table::MemberTable;
use crate::output::{MembershipEvent, Outcome, StreamId};
use crate::payer::Payer;
use crate::peer_processes::PeerProcesses;
use crate::time::Time;
use crate::timers::Timer;
use crate::wire::{Ack, Nack};
use pending_acks::PendingAcks;
pub(crate) use probe_round::RoundEnd;
use probe_round::{Phase, ProbeRound, Relay};
use saved_by_stream::SavedByStream;
use unheard_targets::UnheardTargets;

/// From this protocol version on, members answer stream pings.
const ANSWERS_STREAM_PINGS: u8 = 3;

pub(crate) struct FailureDetector {
    round: Option<ProbeRound>,
    /// A tick came while a round was under way; it counts once.
    probe_overdue: bool,
    pending: PendingAcks,
    awareness: Awareness,
    unheard: UnheardTargets,
    /// Rounds in a row that only a stream ping saved, by member; no packet of it answered since.
    saved_by_stream: SavedByStream,
    hinted: Hinted,
    ack_payload: Vec<u8>,
}

impl FailureDetector {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            round: None,
            probe_overdue: false,
            pending: PendingAcks::default(),
            unheard: UnheardTargets::default(),
            awareness: Awareness::new(config.awareness_max_multiplier),
            saved_by_stream: SavedByStream::default(),
            hinted: Hinted::default(),
            ack_payload: Vec::new(),
        }
    }

    /// The local health score.
    pub(crate) fn health(&self) -> u8 {
        self.awareness.score()
    }

    /// What the application adds to our acks, if anything.
    pub(crate) fn ack_payload(&self) -> Option<&[u8]> {
        (!self.ack_payload.is_empty()).then_some(&self.ack_payload)
    }

    pub(crate) fn set_ack_payload(&mut self, payload: Vec<u8>) {
        self.ack_payload = payload;
    }

    /// We had to refute, or others refute many of our suspicions: a sign that we ourselves are slow
    /// or cut off.
    pub(crate) fn note_refute(&mut self) {
        self.awareness.apply_delta(1);
    }

    /// Sets the next tick, whenever this one was `due`; whether a round shall begin.
    pub(crate) fn tick(&mut self, due: Time, config: &Config, effects: &mut Effects) -> bool {
        let interval = config.probe_interval;
        let late = (effects.now() - due).as_micros() / interval.as_micros().max(1);
        let late = u32::try_from(late).unwrap_or(u32::MAX);
        effects.set_timer(Timer::Probe, due + interval.saturating_mul(late.saturating_add(1)));
        self.probe_overdue = self.round.is_some();
        self.round.is_none()
    }

    /// Whether the turn of a member is left to the next one: see [`UnheardTargets`].
    pub(crate) fn passes_over(&self, was_heard: bool, now: Time) -> bool {
        !was_heard && self.unheard.passes_over(now)
    }

    /// Local health, and whether a member from which nothing was ever heard did not answer lately.
    pub(crate) fn doubts(&self, now: Time) -> (u8, bool) {
        (self.health(), self.unheard.has_failed(now))
    }

    /// Begins to probe a member; returns the sequence number of the ping to send.
    pub(crate) fn begin_round(
        &mut self,
        (target, was_heard): (MemberIndex, bool),
        members: &MemberTable,
        config: &Config,
        effects: &mut Effects,
    ) -> u32 {
        debug_assert!(self.round.is_none(), "one member is probed at a time");
        let member = members.get(target);
        let (sequence, now) = (self.pending.next_sequence(), effects.now());
        effects.count().probes += 1;
        self.unheard.note_probe(was_heard);
        effects.set_timer(Timer::ProbePhase, now + config.probe_timeout);
        self.round = Some(ProbeRound {
            sequence,
            target,
            name: member.name().clone(),
            address: member.address(),
            is_refuted: false,
            was_heard,
            sent: now,
            deadline: now + self.scaled_interval(config),
            phase: Phase::Direct,
            refused: false,
            relays: Vec::new(),
            stream: None,
            stream_answered: false,
        });
        sequence
    }

    /// Whether the round is about this member, or it is asked whether it is gone.
    pub(crate) fn is_examining(&self, target: MemberIndex, name: &MemberName) -> bool {
        self.round.as_ref().is_some_and(|it| it.target == target) || self.pending.is_asked(name)
    }

    /// A later incarnation of a member is alive; a round and a question were about a former one.
    pub(crate) fn note_alive(&mut self, target: MemberIndex, name: &MemberName) {
        if let Some(round) = self.round.as_mut().filter(|round| round.target == target) {
            round.is_refuted = true;
        }
        self.pending.forget_asked(name);
    }

    fn scaled_interval(&self, config: &Config) -> Duration {
        let interval = config.probe_interval;
        if config.local_health_probe { self.awareness.scale(interval) } else { interval }
    }

    /// The present phase of the round is over without an answer.
    pub(crate) fn advance(
        &mut self,
        (members, processes): (&MemberTable, &PeerProcesses),
        config: &Config,
        effects: &mut Effects,
    ) -> Option<ProbeStep> {
        match self.round.as_ref().map(|round| round.phase)? {
            Phase::Direct => {
                let known = (members, processes);
                self.start_indirect_probe(known, config, effects).map(ProbeStep::AskOthers)
            }
            Phase::Indirect => self.finish_probe(effects),
        }
    }

    fn start_indirect_probe(
        &mut self,
        (members, processes): (&MemberTable, &PeerProcesses),
        config: &Config,
        effects: &mut Effects,
    ) -> Option<IndirectProbe> {
        let round = self.round.as_mut()?;
        let target = members.get(round.target);
        effects.count().probes_indirect += 1;
        log::debug!("{} does not answer; asking others", round.name);
        let relays = match round.refused {
            true => draw_witnesses(round.target, (members, processes), config, effects),
            false => draw_relays(round.target, members, config, effects),
        };
        let names = relays.iter().map(|(index, nacks)| {
            let name = members.get(*index).name().clone();
            Relay { name, nacks: *nacks, nacked: false, refused: false }
        });
        round.go_indirect(names.collect());
        effects.set_timer(Timer::ProbePhase, round.deadline);
        let by_stream = config.stream_fallback
            && target.record().understands(ANSWERS_STREAM_PINGS)
            && !config.stream_fallback_exceptions.contains(&round.name);
        Some(IndirectProbe {
            sequence: round.sequence,
            target: round.target,
            relays,
            stream_until: by_stream.then_some(round.deadline),
        })
    }

    /// The target is also pinged on this stream.
    pub(crate) fn set_stream(&mut self, stream: StreamId) {
        debug_assert!(self.round.is_some(), "a stream ping without a probe round");
        if let Some(round) = &mut self.round {
            round.set_stream(stream);
        }
    }

    /// The stream ping was answered. Whether packets arrive is still open until the deadline.
    pub(crate) fn receive_stream_ack(&mut self, sequence: u32) {
        // The round may have ended by a packet that was faster.
        if let Some(round) = self.round.as_mut().filter(|round| round.sequence == sequence) {
            round.note_stream_ack();
        }
    }

    fn finish_probe(&mut self, effects: &mut Effects) -> Option<ProbeStep> {
        let round = self.round.take()?;
        if round.stream_answered {
            effects.count().probes_saved_by_stream += 1;
            self.awareness.apply_delta(-1);
            self.saved_by_stream.note(&round, effects);
            return Some(ProbeStep::End(self.end_round(&round, effects)));
        }
        effects.count().probes_failed += 1;
        if round.was_heard {
            self.awareness.apply_delta(round.penalty());
        } else {
            self.unheard.note_failure(effects.now());
        }
        let end = self.end_round(&round, effects);
        if round.is_refuted {
            return Some(ProbeStep::End(end));
        }
        Some(ProbeStep::Suspect { target: round.target, end })
    }

    pub(crate) fn receive_ack(
        &mut self,
        from: &Peer,
        ack: &Ack<'_>,
        members: &MemberTable,
        effects: &mut Effects,
    ) -> Option<Acknowledged> {
        if self.round.as_ref().is_some_and(|round| round.sequence == ack.seq_no) {
            return self.receive_probe_ack(from, ack, members, effects);
        }
        let pending = self.pending.get(ack.seq_no);
        if !pending.is_some_and(|pending| from.speaks_for(pending.target())) {
            effects.count().refused_ack += 1;
            return None;
        }
        effects.clear_timer(Timer::PendingAck(ack.seq_no));
        match self.pending.remove(ack.seq_no)? {
            PendingAck::Relay { sequence, reply_to, .. } => {
                Some(Acknowledged::Relay { sequence, reply_to })
            }
            PendingAck::User { operation, sent, .. } => {
                effects.finish(operation, Outcome::Pong { rtt: effects.now() - sent });
                None
            }
            PendingAck::Leave { target } => Some(Acknowledged::Leave(target)),
            PendingAck::Place { target: name, address } => {
                Some(Acknowledged::Place { name, address })
            }
            PendingAck::Gone(claim) => Some(Acknowledged::Gone(claim)),
        }
    }

    /// Whether this member may be asked whether it is gone, as somebody says.
    pub(crate) fn can_ask(&self, target: &MemberName) -> bool {
        self.pending.can_ask(target)
    }

    fn receive_probe_ack(
        &mut self,
        from: &Peer,
        ack: &Ack<'_>,
        members: &MemberTable,
        effects: &mut Effects,
    ) -> Option<Acknowledged> {
        let Some(round) = self.round.take_if(|round| round.may_ack(from)) else {
            effects.count().refused_ack += 1;
            return None;
        };
        if round.phase == Phase::Direct {
            effects.emit(MembershipEvent::ProbeAnswered {
                member: members.get(round.target).clone(),
                rtt: effects.now() - round.sent,
                payload: ack.payload.unwrap_or_default().to_vec(),
            });
        }
        self.hinted.note_answer(round.target);
        // That another member reaches it does not say that we are well.
        if round.is_target(from) {
            self.saved_by_stream.forget(&round.name);
            self.awareness.apply_delta(-1);
        }
        let answered = Some((round.target, round.is_target(from)));
        Some(Acknowledged::Probe(RoundEnd { answered, ..self.end_round(&round, effects) }))
    }

    pub(crate) fn receive_nack(&mut self, from: &Peer, nack: Nack, effects: &mut Effects) {
        let round = self.round.as_mut().filter(|round| round.sequence == nack.seq_no);
        if !round.is_some_and(|round| round.note_nack(from)) {
            effects.count().refused_ack += 1;
        }
    }

    /// Whether one more ping for this peer may be under way; counted if not.
    pub(crate) fn admit_relay(&self, payer: &Payer, effects: &mut Effects) -> bool {
        let admitted = self.pending.has_room_for_relay(payer);
        effects.count().refused_relay_full += u64::from(!admitted);
        admitted
    }

    /// Returns the sequence number of the ping to send, whose ack is waited for from here on.
    pub(crate) fn await_ack(
        &mut self,
        pending: PendingAck,
        config: &Config,
        effects: &mut Effects,
    ) -> u32 {
        let sequence = self.pending.next_sequence();
        effects.set_timer(Timer::PendingAck(sequence), effects.now() + pending.timeout(config));
        self.pending.insert(sequence, pending);
        sequence
    }

    /// Nobody acknowledged `sequence` in time: what follows from that, if anything.
    pub(crate) fn ack_timed_out(
        &mut self,
        sequence: u32,
        config: &Config,
        effects: &mut Effects,
    ) -> Option<TimedOut> {
        match self.pending.remove(sequence)? {
            PendingAck::Relay { target, sequence: theirs, reply_to, wants_nack: true, payer } => {
                // An ack may still come, and is still worth passing on.
                let rest = config.ack_timeout().saturating_sub(config.nack_timeout());
                effects.set_timer(Timer::PendingAck(sequence), effects.now() + rest);
                let nack =
                    TimedOut::Relay(reply_to.clone(), Nack { seq_no: theirs, refused: false });
                let relay = PendingAck::Relay {
                    target,
                    sequence: theirs,
                    reply_to,
                    wants_nack: false,
                    payer,
                };
                self.pending.insert(sequence, relay);
                Some(nack)
            }
            PendingAck::User { operation, .. } => {
                effects.finish(operation, Outcome::Failed(OperationError::TimedOut));
                None
            }
            PendingAck::Gone(claim) => Some(TimedOut::Gone(claim)),
            PendingAck::Relay { wants_nack: false, .. }
            | PendingAck::Leave { .. }
            | PendingAck::Place { .. } => None,
        }
    }

    /// A packet to `to` could not be sent: whether the round need not wait for an answer to it.
    pub(crate) fn send_failed(
        &mut self,
        to: SocketAddr,
        reason: StreamFailure,
        effects: &mut Effects,
    ) -> bool {
        for (sequence, operation) in self.pending.take_user_pings(to) {
            effects.clear_timer(Timer::PendingAck(sequence));
            effects.finish(operation, Outcome::Failed(OperationError::SendFailed(reason)));
        }
        self.round.as_ref().is_some_and(|it| it.phase == Phase::Direct && it.address == to)
    }
}
