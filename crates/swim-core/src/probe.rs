//! One probe round: whom it asks, what came back, and what that means.
//!
//! Pure data; the conductor sends the pings and keeps the deadlines.

use std::net::SocketAddr;

use crate::member::{MemberName, Peer};
use crate::output::StreamId;
use crate::roster::Slot;
use crate::time::Time;

/// A round under way.
#[derive(Debug)]
pub(crate) struct ProbeRound {
    pub(crate) sequence: u32,
    pub(crate) target: Slot,
    pub(crate) name: MemberName,
    pub(crate) address: SocketAddr,
    /// What an accusation will speak about: a later one clears the member of it.
    pub(crate) incarnation: u32,
    pub(crate) sent: Time,
    /// When the round has failed at the latest.
    pub(crate) deadline: Time,
    pub(crate) phase: Phase,
    pub(crate) relays: Vec<Relay>,
    pub(crate) stream: Option<StreamId>,
    pub(crate) stream_answered: bool,
}

/// How far a round has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Only the target itself was asked.
    Direct,
    /// Others were asked too.
    Indirect,
}

/// Somebody asked to probe the target for us.
#[derive(Clone, Debug)]
pub(crate) struct Relay {
    pub(crate) name: MemberName,
    /// Whether its version promises a nack.
    pub(crate) nacks: bool,
    pub(crate) nacked: bool,
}

impl ProbeRound {
    /// Whether an ack of this round's number counts when it comes from `from`.
    pub(crate) fn may_ack(&self, from: &Peer) -> bool {
        from.speaks_for(&self.name) || self.relays.iter().any(|relay| from.speaks_for(&relay.name))
    }

    /// Notes a nack; false if nobody by that name owes one.
    pub(crate) fn note_nack(&mut self, from: &Peer) -> bool {
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

    /// By how much local health worsens when the round fails: the nacks that are missing tell
    /// that the fault may be ours. Where nobody could nack, one.
    pub(crate) fn penalty(&self) -> usize {
        let owing = self.relays.iter().filter(|relay| relay.nacks);
        match owing.clone().count() {
            0 => 1,
            _ => owing.filter(|relay| !relay.nacked).count(),
        }
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
            target: Slot::ME,
            name: name("bob"),
            address: "10.0.0.2:7946".parse().unwrap(),
            incarnation: 1,
            sent: Time::ZERO,
            deadline: Time::from_micros(1_000_000),
            phase: Phase::Indirect,
            relays: relays
                .iter()
                .map(|(text, nacks)| Relay { name: name(text), nacks: *nacks, nacked: false })
                .collect(),
            stream: None,
            stream_answered: false,
        }
    }

    #[test]
    fn only_the_target_and_the_asked_may_ack() {
        let round = round(&[("cyd", true)]);
        assert!(round.may_ack(&peer("bob")) && round.may_ack(&peer("cyd")));
        assert!(!round.may_ack(&peer("eve")));
        assert!(round.may_ack(&Peer::unverified("10.0.0.9:1".parse().unwrap())));
    }

    #[test]
    fn a_nack_counts_once_and_only_from_the_asked() {
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
