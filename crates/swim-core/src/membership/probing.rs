//! Probing: one member at a time, in a shuffled round; direct, then through others and by stream.
//!
//! The only place where a member is suspected at first hand. A lost connection or a failed send
//! is no more than a missing answer.

use std::net::SocketAddr;
use std::time::Duration;

use super::Membership;
use super::streams::Role;
use crate::member::{Member, MemberState, Peer};
use crate::output::{Event, StreamId, WarningKind};
use crate::probe::{Phase, ProbeRound, Relay};
use crate::roster::Slot;
use crate::time::Time;
use crate::timers::Timer;
use crate::wire::{IndirectPing, Message, Suspect, compound};

/// From this protocol version on, members answer stream pings.
const ANSWERS_STREAM_PINGS: u8 = 3;
/// From this protocol version on, members send nacks.
const SENDS_NACKS: u8 = 4;

impl Membership {
    /// `at` is when the tick was due: late ticks keep the rhythm.
    pub(super) fn probe_tick(&mut self, at: Time) {
        let interval = self.config.probe_interval;
        let late = (self.now - at).as_micros() / interval.as_micros().max(1);
        let late = u32::try_from(late).unwrap_or(u32::MAX);
        let next = at + interval.saturating_mul(late.saturating_add(1));
        self.timers.set(Timer::Probe, next);
        if self.probe.is_some() {
            self.late_probe = true;
        } else {
            self.probe_somebody();
        }
    }

    fn probe_somebody(&mut self) {
        let mut wrapped = false;
        for _ in 0..=self.roster.len() {
            let Some(slot) = self.roster.next_in_round() else {
                if wrapped {
                    return;
                }
                wrapped = true;
                self.purge();
                self.roster.begin_round(&mut self.dice);
                continue;
            };
            let probed = match self.roster.get(slot).state() {
                MemberState::Alive | MemberState::Suspect => slot != Slot::ME,
                MemberState::Dead | MemberState::Left => false,
            };
            if probed {
                self.begin_probe(slot);
                return;
            }
        }
    }

    fn purge(&mut self) {
        let oldest = Duration::from_micros(self.now.as_micros())
            .saturating_sub(self.config.gossip_to_the_dead);
        let before = Time::ZERO + oldest;
        for (slot, member) in self.roster.purge(before) {
            log::debug!("purging {}, {}", member.name(), member.state());
            self.forget_member(slot, &member);
        }
    }

    fn begin_probe(&mut self, slot: Slot) {
        let sequence = self.next_sequence();
        let member = self.roster.get(slot).clone();
        let to = self.destination(slot);
        let ping = self.encode_ping(sequence, member.name());
        self.counters.probes += 1;
        self.probe = Some(ProbeRound {
            sequence,
            target: slot,
            name: member.name().clone(),
            address: to.address,
            incarnation: member.incarnation(),
            sent: self.now,
            deadline: self.now + self.scaled_interval(),
            phase: Phase::Direct,
            relays: Vec::new(),
            stream: None,
            stream_answered: false,
        });
        self.timers.set(Timer::ProbePhase, self.now + self.config.probe_timeout);
        if member.state() == MemberState::Suspect && self.config.buddy {
            let plain = self.ping_with_accusation(ping, &member);
            let checks = self.checks_crc(slot);
            self.send_plain(to, plain, checks);
        } else {
            let plain = self.piggyback(ping, to.address, Some(slot));
            self.send_plain(to, plain, false);
        }
    }

    /// Lifeguard's buddy system: the suspect hears of it with the ping and can refute at once.
    fn ping_with_accusation(&self, ping: Vec<u8>, member: &Member) -> Vec<u8> {
        let accusation = Suspect {
            incarnation: member.incarnation(),
            node: member.name().as_bytes(),
            from: self.me().name().as_bytes(),
        };
        let parts = [ping, Message::Suspect(accusation).to_vec()];
        let joined = compound::join(&parts).ok().and_then(|packets| packets.into_iter().next());
        let [ping, _] = parts;
        joined.unwrap_or(ping)
    }

    fn scaled_interval(&self) -> Duration {
        let interval = self.config.probe_interval;
        if self.config.local_health_probe { self.awareness.scale(interval) } else { interval }
    }

    pub(super) fn receive_probe_ack(&mut self, from: &Peer, payload: &[u8]) {
        let Some(round) = self.probe.take_if(|round| round.may_ack(from)) else {
            self.counters.refused_ack += 1;
            return;
        };
        if round.phase == Phase::Direct
            && let Some(member) = self.roster.try_get(round.target).cloned()
        {
            let rtt = self.now - round.sent;
            self.emit(Event::ProbeAnswered { member, rtt, payload: payload.to_vec() });
        }
        self.awareness.improve();
        self.end_round(&round);
    }

    /// A send that failed is an answer that never comes: no need to wait for it.
    pub(super) fn probe_send_failed(&mut self, to: SocketAddr) {
        let waits = |round: &ProbeRound| round.phase == Phase::Direct && round.address == to;
        if self.probe.as_ref().is_some_and(waits) {
            self.advance_probe();
        }
    }

    pub(super) fn advance_probe(&mut self) {
        match self.probe.as_ref().map(|round| round.phase) {
            Some(Phase::Direct) => self.ask_others(),
            Some(Phase::Indirect) => self.conclude_probe(),
            None => {}
        }
    }

    fn ask_others(&mut self) {
        let Some(mut round) = self.probe.take() else { return };
        let Some(target) = self.roster.try_get(round.target).cloned() else {
            self.end_round(&round);
            return;
        };
        self.counters.probes_indirect += 1;
        log::debug!("{} does not answer; asking others", round.name);
        round.phase = Phase::Indirect;
        let checks = self.config.indirect_checks;
        let relays = self.roster.draw(checks, &mut self.dice, |slot, member| {
            slot != Slot::ME && slot != round.target && member.state() == MemberState::Alive
        });
        for slot in relays {
            let relay = self.roster.get(slot);
            let nacks = speaks_at_least(relay, SENDS_NACKS);
            round.relays.push(Relay { name: relay.name().clone(), nacks, nacked: false });
            self.ask_relay(slot, nacks, round.sequence, &target);
        }
        round.stream = self.ping_by_stream(&round, &target);
        self.timers.set(Timer::ProbePhase, round.deadline);
        self.probe = Some(round);
    }

    fn ask_relay(&mut self, slot: Slot, nack: bool, sequence: u32, target: &Member) {
        let me = self.local();
        let request = IndirectPing {
            seq_no: sequence,
            target: Some(target.advertised()),
            port: target.record().advertised.port,
            node: target.name().as_bytes(),
            nack,
            source_addr: me.advertised(),
            source_port: me.record().advertised.port,
            source_node: me.name().as_bytes(),
        };
        self.send_with_news(self.destination(slot), &Message::IndirectPing(request));
    }

    fn ping_by_stream(&mut self, round: &ProbeRound, target: &Member) -> Option<StreamId> {
        let allowed = self.config.stream_fallback
            && speaks_at_least(target, ANSWERS_STREAM_PINGS)
            && !self.config.stream_fallback_exceptions.contains(&round.name);
        if !allowed {
            return None;
        }
        let ping = self.encode_ping(round.sequence, &round.name);
        let to = self.destination(round.target);
        self.open_stream(to, &ping, round.deadline, Role::StreamPing { sequence: round.sequence })
            .ok()
    }

    /// The stream ping was answered. Whether packets get through is still open until the deadline.
    pub(super) fn stream_ping_answered(&mut self, sequence: u32) {
        if let Some(round) = &mut self.probe
            && round.sequence == sequence
        {
            round.stream = None;
            round.stream_answered = true;
        }
    }

    fn conclude_probe(&mut self) {
        let Some(round) = self.probe.take() else { return };
        if round.stream_answered {
            self.counters.probes_saved_by_stream += 1;
            self.awareness.improve();
            let detail = format!(
                "{} answers streams but no packets: is something between us dropping datagrams?",
                round.name
            );
            self.warn(WarningKind::PacketsBlocked, round.address, detail);
        } else {
            self.counters.probes_failed += 1;
            self.awareness.worsen(round.penalty());
            self.accuse(&round.name, round.incarnation);
        }
        self.end_round(&round);
    }

    fn end_round(&mut self, round: &ProbeRound) {
        self.timers.clear(Timer::ProbePhase);
        if let Some(id) = round.stream {
            self.abandon_stream(id);
        }
        if std::mem::take(&mut self.late_probe) {
            self.probe_somebody();
        }
    }

    /// Ends all probing: we have left, or are leaving.
    pub(super) fn stop_probing(&mut self) {
        self.late_probe = false;
        self.timers.clear(Timer::Probe);
        if let Some(round) = self.probe.take() {
            self.end_round(&round);
        }
    }
}

fn speaks_at_least(member: &Member, protocol: u8) -> bool {
    member.versions().is_some_and(|versions| versions.protocol_max >= protocol)
}
