//! One probe round: whom it asks, and what came back.

use std::net::SocketAddr;

use crate::member::Peer;
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::output::StreamId;
use crate::time::Time;

/// A round under way. Its fields are read by the failure detector and changed by its methods.
#[derive(Debug)]
pub(super) struct ProbeRound {
    pub(super) sequence: u32,
    pub(super) target: MemberIndex,
    pub(super) name: MemberName,
    pub(super) address: SocketAddr,
    /// Whether the member was found to be alive at a later incarnation since the round began.
    pub(super) is_refuted: bool,
    /// Whether anything was ever heard of it.
    pub(super) was_heard: bool,
    pub(super) sent: Time,
    /// When the round has failed at the latest.
    pub(super) deadline: Time,
    pub(super) phase: Phase,
    /// Whether the target's host refused a packet of ours.
    pub(super) refused: bool,
    pub(super) relays: Vec<Relay>,
    pub(super) stream: Option<StreamId>,
    pub(super) stream_answered: bool,
}

/// What is left of a round.
#[derive(Debug)]
#[must_use]
pub(crate) struct RoundEnd {
    /// A stream that nobody waits for any more.
    pub(crate) stream: Option<StreamId>,
    /// The next round is due already.
    pub(crate) probe_overdue: bool,
    /// The target, if it answered, and whether it did so itself and not through others.
    pub(crate) answered: Option<(MemberIndex, bool)>,
}

/// How far a round has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Only the target itself was pinged.
    Direct,
    /// Others were asked to ping it too.
    Indirect,
}

/// A member that was asked to ping the target for us.
#[derive(Clone, Debug)]
pub(super) struct Relay {
    pub(super) name: MemberName,
    /// Whether its version promises a nack.
    pub(super) nacks: bool,
    pub(super) nacked: bool,
    /// Whether it says that the target's host refused its packet too.
    pub(super) refused: bool,
}

impl ProbeRound {
    /// These members are asked too.
    pub(super) fn go_indirect(&mut self, relays: Vec<Relay>) {
        self.phase = Phase::Indirect;
        self.relays = relays;
    }

    /// A ping was sent by stream too.
    pub(super) fn set_stream(&mut self, stream: StreamId) {
        self.stream = Some(stream);
    }

    /// The ping by stream was answered, and its stream is done with.
    pub(super) fn note_stream_ack(&mut self) {
        self.stream = None;
        self.stream_answered = true;
    }

    /// Whether an ack of this round's number counts when it comes from `from`.
    pub(super) fn may_ack(&self, from: &Peer) -> bool {
        from.speaks_for(&self.name) || self.relays.iter().any(|relay| from.speaks_for(&relay.name))
    }

    /// Whether the target itself is at the other end, as far as the transport proved it.
    pub(super) fn is_target(&self, from: &Peer) -> bool {
        if from.names.is_empty() {
            from.address == self.address
        } else {
            from.speaks_for(&self.name)
        }
    }

    /// Notes a nack; false if nobody by that name owes one.
    pub(super) fn note_nack(&mut self, from: &Peer) -> bool {
        let owed =
            |relay: &&mut Relay| relay.nacks && !relay.nacked && from.speaks_for(&relay.name);
        match self.relays.iter_mut().find(owed) {
            Some(relay) => {
                relay.nacked = true;
                true
            }
            None => false,
        }
    }

    /// The target's host refused a packet of ours.
    pub(super) fn note_refusal(&mut self) {
        self.refused = true;
    }

    /// Notes that a relay was refused too; false if that was nobody who was asked.
    pub(super) fn note_relays_refusal(&mut self, from: &Peer) -> bool {
        let relay = self.relays.iter_mut().find(|relay| from.speaks_for(&relay.name));
        let is_asked = relay.is_some();
        if let Some(relay) = relay {
            relay.refused = true;
        }
        is_asked
    }

    /// A relay's own host refuses our packets: it will not answer. False if that is nobody who was
    /// asked.
    pub(super) fn note_relay_gone(&mut self, name: &MemberName) -> bool {
        let relay = self.relays.iter_mut().find(|relay| relay.name == *name);
        let is_asked = relay.is_some();
        if let Some(relay) = relay {
            relay.nacked = true;
        }
        is_asked
    }

    /// Whether we were refused, and so many of those whom we asked, and nobody whom we asked is
    /// still to answer: one of them may reach the target.
    pub(super) fn is_refused_by(&self, relays: usize) -> bool {
        let has_answered = |relay: &Relay| relay.refused || relay.nacked || !relay.nacks;
        self.refused
            && self.relays.iter().filter(|relay| relay.refused).count() >= relays
            && self.relays.iter().all(has_answered)
    }

    /// What is added to the local health score when the round fails: the number of missing nacks,
    /// since the fault may be ours. Where nobody could nack, one.
    pub(super) fn penalty(&self) -> i32 {
        let owing = self.relays.iter().filter(|relay| relay.nacks);
        let penalty = match owing.clone().count() {
            0 => 1,
            _ => owing.filter(|relay| !relay.nacked).count(),
        };
        i32::try_from(penalty).unwrap_or(i32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn name(text: &str) -> MemberName {
        MemberName::try_from(text).unwrap()
    }

    fn peer(text: &str) -> Peer {
        Peer { address: "10.0.0.9:7946".parse().unwrap(), names: Arc::new([name(text)]) }
    }

    fn round(relays: &[(&str, bool)]) -> ProbeRound {
        ProbeRound {
            sequence: 1,
            target: MemberIndex::ME,
            name: name("bob"),
            address: "10.0.0.2:7946".parse().unwrap(),
            is_refuted: false,
            was_heard: true,
            sent: Time::ZERO,
            deadline: Time::from_micros(1_000_000),
            phase: Phase::Indirect,
            refused: false,
            relays: relays
                .iter()
                .map(|(text, nacks)| {
                    let (name, nacks) = (name(text), *nacks);
                    Relay { name, nacks, nacked: false, refused: false }
                })
                .collect(),
            stream: None,
            stream_answered: false,
        }
    }

    #[test]
    fn only_the_target_and_the_relays_may_ack() {
        let round = round(&[("cyd", true)]);
        assert!(round.may_ack(&peer("bob")) && round.may_ack(&peer("cyd")));
        assert!(!round.may_ack(&peer("eve")));
        assert!(round.may_ack(&Peer::unverified("10.0.0.9:1".parse().unwrap())));
    }

    #[test]
    fn a_nack_counts_once_and_only_from_a_relay() {
        let mut round = round(&[("cyd", true), ("dan", true), ("old", false)]);
        assert_eq!(round.penalty(), 2);
        assert!(round.note_nack(&peer("cyd")) && !round.note_nack(&peer("cyd")));
        assert!(!round.note_nack(&peer("eve")) && !round.note_nack(&peer("old")));
        assert_eq!(round.penalty(), 1);
        assert!(round.note_nack(&peer("dan")));
        assert_eq!(round.penalty(), 0);
    }

    #[test]
    fn without_anybody_to_nack_the_penalty_is_one() {
        assert_eq!(round(&[]).penalty(), 1);
        assert_eq!(round(&[("old", false)]).penalty(), 1);
    }
}
