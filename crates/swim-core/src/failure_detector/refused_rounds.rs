//! Probes whose target's host refuses packets, ours or a relay's.

use std::net::SocketAddr;

use super::pending_acks::{GoneClaim, PendingAck};
use super::probe_round::{Phase, RoundEnd};
use super::{FailureDetector, Hinted, ProbeRound};
use crate::effects::Effects;
use crate::evidence::Hint;
use crate::member::Peer;
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::output::Destination;
use crate::timers::Timer;
use crate::wire::Nack;

impl FailureDetector {
    /// What hints there were.
    pub(crate) fn hinted(&mut self) -> &mut Hinted {
        &mut self.hinted
    }

    /// The last hint about a member, unless it was long ago.
    pub(crate) fn hint_about(&self, index: MemberIndex, effects: &Effects) -> Option<Hint> {
        self.hinted.hint_about(index, effects.now())
    }

    /// Whether a round more may be under way.
    pub(crate) fn has_room(&self) -> bool {
        self.rounds.len() < self.side_by_side
    }

    /// Whether a round about this member may begin.
    pub(crate) fn may_begin(&self, target: MemberIndex) -> bool {
        self.has_room() && !self.rounds.contains_key(&target)
    }

    /// The round that has this number. There are few.
    pub(super) fn numbered(&mut self, sequence: u32) -> Option<&mut ProbeRound> {
        self.rounds.values_mut().find(|round| round.sequence == sequence)
    }

    /// Our ping to a member was refused. Returns whether others are still to be asked; `None` where
    /// no round is about it.
    pub(crate) fn round_refused(&mut self, target: MemberIndex) -> Option<bool> {
        let round = self.rounds.get_mut(&target)?;
        round.note_refusal();
        Some(round.phase == Phase::Direct)
    }

    /// A relay did not reach the target; it may say that its ping was refused as well. Returns the
    /// target, if it was asked.
    pub(crate) fn relay_answered(&mut self, from: &Peer, nack: Nack) -> Option<MemberIndex> {
        let round = self.numbered(nack.seq_no)?;
        if nack.refused && !round.note_relays_refusal(from) {
            return None;
        }
        Some(round.target)
    }

    /// The host of a member refuses our packets. Returns the targets that it was asked to ping.
    pub(crate) fn relay_gone(&mut self, name: &MemberName) -> Vec<MemberIndex> {
        let asked = self.rounds.values_mut().filter_map(|round| {
            let is_asked = round.note_relay_gone(name);
            is_asked.then_some(round.target)
        });
        asked.collect()
    }

    /// Ends the round about a member if we and as many relays were refused.
    pub(crate) fn end_refused(
        &mut self,
        target: MemberIndex,
        wanted: usize,
        effects: &mut Effects,
    ) -> Option<RoundEnd> {
        let is_refused = |round: &ProbeRound| !round.is_refuted && round.is_refused_by(wanted);
        if !self.rounds.get(&target).is_some_and(is_refused) {
            return None;
        }
        let round = self.rounds.remove(&target)?;
        effects.count().probes_failed += 1;
        // That a host answers for its dead process says nothing of us: local health stays.
        Some(self.end_round(&round, effects))
    }

    /// A member's host refused our ping: what is to be said to those for whom we sent it, of those
    /// that understand; that it was `refused` only where that means something. An ack may still
    /// come, and is still worth passing on.
    pub(crate) fn refused_relays(
        &mut self,
        (target, refused): (&MemberName, bool),
        understands: impl Fn(SocketAddr) -> bool,
    ) -> Vec<(Destination, Nack)> {
        let mut nacks = Vec::new();
        for pending in self.pending.waiting_for(target) {
            if let PendingAck::Relay { sequence, reply_to, wants_nack, .. } = pending
                && *wants_nack
                && understands(reply_to.address)
            {
                *wants_nack = false;
                nacks.push((reply_to.clone(), Nack { seq_no: *sequence, refused }));
            }
        }
        nacks
    }

    /// Takes the questions whether a member is gone, as others say: its host refuses us as well.
    pub(crate) fn refused_questions(
        &mut self,
        target: &MemberName,
        effects: &mut Effects,
    ) -> Vec<GoneClaim> {
        let taken = self.pending.take_asked(target);
        let claims = taken.into_iter().map(|(sequence, claim)| {
            effects.clear_timer(Timer::PendingAck(sequence));
            claim
        });
        claims.collect()
    }
}
