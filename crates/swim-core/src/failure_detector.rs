//! Who does not answer: probe rounds, the pings of others that we relay, and local health.
//!
//! A round probes one member: directly, then through other members and by stream. With SWIM's
//! shuffled order there is one round at a time; with observers there are several, each about
//! another member. This is the only place where a member is suspected at first hand. A lost
//! connection or a failed send is no more than a missing answer.

mod ack_payload;
mod hinted;
mod local_health;
mod outcomes;
mod pending_acks;
mod pings;
mod probe_round;
mod refused_rounds;
mod round_end;
mod saved_by_stream;
mod unheard_targets;

use std::collections::BTreeMap;
use std::net::SocketAddr;

pub(crate) use hinted::Hinted;
pub(crate) use outcomes::{Acknowledged, IndirectProbe, ProbeStep, TimedOut};
pub(crate) use pending_acks::{GoneClaim, PendingAck};
use pings::draw_for;
pub(crate) use pings::{indirect_ping, ping_to, reply_destination};

use crate::awareness::Awareness;
use crate::config::Config;
use crate::effects::Effects;
use crate::error::{OperationError, StreamFailure};
use crate::member::Peer;
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::member_table::MemberTable;
use crate::observers::Observing;
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

/// With observers: the most rounds at the same time; further ones wait for their next turn.
const MAX_ROUNDS: usize = 256;

pub(crate) struct FailureDetector {
    /// By target; one at most where members are not observed by few.
    rounds: BTreeMap<MemberIndex, ProbeRound>,
    /// When the last round began.
    begun: Time,
    /// The most rounds at the same time.
    side_by_side: usize,
    /// A tick came while a round was under way; it counts once.
    probe_overdue: bool,
    pending: PendingAcks,
    awareness: Awareness,
    unheard: UnheardTargets,
    /// Rounds in a row that only a stream ping saved, by member; no packet of it answered since.
    saved_by_stream: SavedByStream,
    hinted: Hinted,
    /// Who watches whom; `None` where all probe all.
    observing: Option<Observing>,
    ack_payload: Vec<u8>,
}

impl FailureDetector {
    pub(crate) fn new(me: &MemberName, config: &Config, now: Time) -> Self {
        Self {
            rounds: BTreeMap::new(),
            begun: now,
            side_by_side: if config.observers == 0 { 1 } else { MAX_ROUNDS },
            probe_overdue: false,
            pending: PendingAcks::default(),
            unheard: UnheardTargets::default(),
            awareness: Awareness::new(config.awareness_max_multiplier),
            saved_by_stream: SavedByStream::default(),
            hinted: Hinted::default(),
            observing: Observing::new(me, config, now),
            ack_payload: Vec::new(),
        }
    }

    /// Who watches whom; `None` where all probe all.
    pub(crate) fn observing(&self) -> Option<&Observing> {
        self.observing.as_ref()
    }

    pub(crate) fn observing_mut(&mut self) -> Option<&mut Observing> {
        self.observing.as_mut()
    }

    /// Sets the next tick, whenever this one was `due`; whether a round shall begin.
    pub(crate) fn tick(&mut self, due: Time, config: &Config, effects: &mut Effects) -> bool {
        let interval = config.probe_interval;
        let late = (effects.now() - due).as_micros() / interval.as_micros().max(1);
        let late = u32::try_from(late).unwrap_or(u32::MAX);
        effects.set_timer(Timer::Probe, due + interval.saturating_mul(late.saturating_add(1)));
        // With turns, nobody waits for the end of a round about somebody else.
        self.probe_overdue = self.observing.is_none() && !self.rounds.is_empty();
        self.rounds.is_empty()
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
        debug_assert!(self.may_begin(target), "one member is probed once at a time");
        let member = members.get(target);
        let (sequence, now) = (self.pending.next_sequence(), effects.now());
        effects.count().probes += 1;
        self.unheard.note_probe(was_heard);
        effects.set_timer(Timer::ProbePhase(target), now + config.probe_timeout);
        let round = ProbeRound {
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
        };
        self.rounds.insert(target, round);
        self.begun = now;
        sequence
    }

    /// Whether a round is about this member, or it is asked whether it is gone.
    pub(crate) fn is_examining(&self, target: MemberIndex, name: &MemberName) -> bool {
        self.rounds.contains_key(&target) || self.pending.is_asked(name)
    }

    /// A later incarnation of a member is alive; a round and a question were about a former one.
    pub(crate) fn note_alive(&mut self, target: MemberIndex, name: &MemberName) {
        if let Some(round) = self.rounds.get_mut(&target) {
            round.is_refuted = true;
        }
        self.pending.forget_asked(name);
    }

    /// The present phase of the round about `target` is over without an answer.
    pub(crate) fn advance(
        &mut self,
        target: MemberIndex,
        (members, processes): (&MemberTable, &PeerProcesses),
        config: &Config,
        effects: &mut Effects,
    ) -> Option<ProbeStep> {
        match self.rounds.get(&target)?.phase {
            Phase::Direct => {
                let known = (members, processes);
                self.start_indirect_probe(target, known, config, effects).map(ProbeStep::AskOthers)
            }
            Phase::Indirect => self.finish_probe(target, effects),
        }
    }

    fn start_indirect_probe(
        &mut self,
        target: MemberIndex,
        (members, processes): (&MemberTable, &PeerProcesses),
        config: &Config,
        effects: &mut Effects,
    ) -> Option<IndirectProbe> {
        let round = self.rounds.get_mut(&target)?;
        let target = members.get(round.target);
        effects.count().probes_indirect += 1;
        log::debug!("{} does not answer; asking others", round.name);
        let near = self.observing.as_ref().and_then(|it| it.others_watching(round.target, members));
        let known = (members, processes, config);
        let relays = draw_for(near, (round.target, round.refused), known, effects);
        let names = relays.iter().map(|(index, nacks)| {
            let name = members.get(*index).name().clone();
            Relay { name, nacks: *nacks, nacked: false, refused: false }
        });
        round.go_indirect(names.collect());
        effects.set_timer(Timer::ProbePhase(round.target), round.deadline);
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
    pub(crate) fn set_stream(&mut self, target: MemberIndex, stream: StreamId) {
        let round = self.rounds.get_mut(&target);
        debug_assert!(round.is_some(), "a stream ping without a probe round");
        if let Some(round) = round {
            round.set_stream(stream);
        }
    }

    /// The stream ping was answered. Whether packets arrive is still open until the deadline.
    pub(crate) fn receive_stream_ack(&mut self, sequence: u32) {
        // The round may have ended by a packet that was faster.
        if let Some(round) = self.numbered(sequence) {
            round.note_stream_ack();
        }
    }

    fn finish_probe(&mut self, target: MemberIndex, effects: &mut Effects) -> Option<ProbeStep> {
        let round = self.rounds.remove(&target)?;
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
        if let Some(target) = self.numbered(ack.seq_no).map(|round| round.target) {
            return self.receive_probe_ack(target, from, ack, members, effects);
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
        target: MemberIndex,
        from: &Peer,
        ack: &Ack<'_>,
        members: &MemberTable,
        effects: &mut Effects,
    ) -> Option<Acknowledged> {
        if !self.rounds.get(&target)?.may_ack(from) {
            effects.count().refused_ack += 1;
            return None;
        }
        let round = self.rounds.remove(&target)?;
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
        let round = self.numbered(nack.seq_no);
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

    /// A packet to `to` could not be sent: whose rounds need not wait for an answer to it.
    pub(crate) fn send_failed(
        &mut self,
        to: SocketAddr,
        reason: StreamFailure,
        effects: &mut Effects,
    ) -> Vec<MemberIndex> {
        for (sequence, operation) in self.pending.take_user_pings(to) {
            effects.clear_timer(Timer::PendingAck(sequence));
            effects.finish(operation, Outcome::Failed(OperationError::SendFailed(reason)));
        }
        let is_unsent = |it: &&ProbeRound| it.phase == Phase::Direct && it.address == to;
        self.rounds.values().filter(is_unsent).map(|round| round.target).collect()
    }
}
