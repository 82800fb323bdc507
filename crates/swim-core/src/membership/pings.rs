//! Pings, acks and what follows when a round of them has ended.

use super::Membership;
use crate::failure_detector::{
    IndirectProbe, PendingAck, RoundEnd, TimedOut, indirect_ping, ping_to,
};
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::output::Destination;
use crate::view_digest::as_field;
use crate::wire::{Ack, Message, Ping};

impl Membership {
    /// Sends a ping that is not the probe round's, and waits for its ack as long as a direct probe
    /// would.
    pub(super) fn send_ping(&mut self, to: Destination, target: &MemberName, pending: PendingAck) {
        let digest = self.digest_for(to.address);
        let Self { detector, dissemination, members, config, effects, .. } = self;
        let sequence = detector.await_ack(pending, config, effects);
        let ping = ping_to(target, members.me().record(), sequence);
        let ping = Message::Ping(Ping { digest: as_field(&digest), ..ping });
        let recipient = members.find(target.as_bytes());
        dissemination.send_with_updates(&ping, to, recipient, members, config, effects);
    }

    /// Answers a ping, with the application's payload; whoever watches us is to come again after
    /// `wait` milliseconds.
    pub(super) fn send_ack(&mut self, to: Destination, seq_no: u32, wait: u32) {
        let (recipient, digest) = (self.recipient_at(&to), self.digest_for(to.address));
        let Self { detector, dissemination, members, config, effects, .. } = self;
        let (payload, digest) = (detector.ack_payload(), as_field(&digest));
        let ack = Message::Ack(Ack { seq_no, payload, digest, wait });
        dissemination.send_with_updates(&ack, to, recipient, members, config, effects);
    }

    /// Sends a message with as many updates as fit beside it.
    pub(super) fn send_answer(&mut self, to: Destination, message: &Message<'_>) {
        let recipient = self.recipient_at(&to);
        let Self { dissemination, members, config, effects, .. } = self;
        dissemination.send_with_updates(message, to, recipient, members, config, effects);
    }

    /// Asks a relay, and for a nack where it sends them.
    pub(super) fn send_indirect_ping(&mut self, to: (MemberIndex, bool), plan: &IndirectProbe) {
        let (relay, nack) = to;
        let Self { dissemination, members, config, effects, .. } = self;
        let (me, target) = (members.me().record(), members.get(plan.target).record());
        let request = Message::IndirectPing(indirect_ping(target, me, plan.sequence, nack));
        let to = Destination::of(members.get(relay));
        dissemination.send_with_updates(&request, to, Some(relay), members, config, effects);
    }

    pub(super) fn end_round(&mut self, end: RoundEnd) {
        if let Some(stream) = end.stream {
            // The transport may have given it up already.
            let _ = self.exchanges.abandon(stream, &mut self.effects);
        }
        self.probe_hinted();
        if end.probe_overdue && self.detector.has_room() {
            self.probe_next_member();
        }
    }

    pub(super) fn ack_timed_out(&mut self, sequence: u32) {
        let timed_out = self.detector.ack_timed_out(sequence, &self.config, &mut self.effects);
        match timed_out {
            Some(TimedOut::Relay(to, nack)) => self.send_answer(to, &Message::Nack(nack)),
            Some(TimedOut::Gone(claim)) => self.asked_in_vain(&claim),
            None => {}
        }
    }
}

/// An ack with nothing more in it.
pub(super) fn acknowledging(seq_no: u32) -> Message<'static> {
    Message::Ack(Ack { seq_no, ..Ack::default() })
}
