//! A running hash over everything that members output: equal runs have equal digests.
//!
//! Portable (fixed arithmetic, little-endian words) and fast. It is no cryptographic hash: a
//! digest shows that two runs differ, not that somebody wanted them to look equal.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::error::{OperationError, StreamFailure};
use crate::member::Member;
use crate::member_name::MemberName;
use crate::output::{DeliveryReport, MembershipEvent, Outcome, Output, WarningKind};
use crate::sim::fault::HostId;
use crate::time::Time;

/// The hash so far.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest(u64);

impl Digest {
    pub(crate) fn new() -> Self {
        Self(0x6a09_e667_f3bc_c908)
    }

    pub(crate) fn word(&mut self, word: u64) {
        let mixed = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(word));
        }
    }

    /// Adds a packet that a member sends.
    pub(crate) fn packet(&mut self, to: SocketAddr, bytes: &[u8]) {
        self.address(to);
        self.bytes(bytes);
    }

    /// Adds what a member wants of the peer at an address, with a deadline by its own clock.
    pub(crate) fn stream(&mut self, to: SocketAddr, deadline: Time) {
        self.address(to);
        self.word(deadline.as_micros());
    }

    /// Adds what a host outputs at a moment.
    pub(crate) fn output_at(&mut self, now: Time, host: HostId, output: &Output) {
        self.word(now.as_micros());
        self.word(u64::from(host.0));
        self.output(output);
    }

    /// Everything that an output says, except the text of errors and warnings and the numbers
    /// that a member gives its own streams and operations: a reworded message or a renamed
    /// type must not change a digest.
    fn output(&mut self, output: &Output) {
        match output {
            Output::Packet { .. }
            | Output::OpenStream { .. }
            | Output::WriteStream { .. }
            | Output::CloseStream { .. }
            | Output::ResetStream { .. }
            | Output::ForgetPeer { .. } => {
                debug_assert!(false, "the adapter makes calls of the transport of it: {output:?}");
            }
            Output::ResolveSeeds => self.word(6),
            Output::Finished { outcome, .. } => {
                self.word(7);
                self.outcome(outcome);
            }
            Output::Event(event) => self.event(event),
        }
    }

    fn outcome(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Joined => self.word(1),
            Outcome::Left { told, wanted } => {
                self.word(2);
                self.word(*told as u64);
                self.word(*wanted as u64);
            }
            Outcome::Pong { rtt } => {
                self.word(3);
                self.span(*rtt);
            }
            Outcome::Delivered(DeliveryReport::Acknowledged) => self.word(4),
            Outcome::Delivered(DeliveryReport::Sent) => self.word(4 | 1 << 8),
            Outcome::Failed(error) => self.word(5 | error_code(error) << 8),
        }
    }

    fn event(&mut self, event: &MembershipEvent) {
        match event {
            MembershipEvent::Joined(member) => self.member(16, member),
            MembershipEvent::Updated(member) => self.member(17, member),
            MembershipEvent::Left(member) => self.member(18, member),
            MembershipEvent::Failed { member, suspected_by, declared_by, after, .. } => {
                self.member(19, member);
                self.name(suspected_by);
                self.name(declared_by);
                self.span(*after);
            }
            MembershipEvent::Suspected { member, by } => {
                self.member(20, member);
                self.name(by);
            }
            MembershipEvent::Cleared { member, by } => {
                self.member(21, member);
                self.name(by);
            }
            MembershipEvent::ProbeAnswered { member, rtt, payload } => {
                self.member(22, member);
                self.span(*rtt);
                self.bytes(payload);
            }
            MembershipEvent::Message { from, address, reliable, acknowledgement, payload } => {
                let flags = [*reliable, from.is_some(), acknowledgement.is_some()];
                let [reliable, known, awaited] = flags.map(u64::from);
                self.word(23 | reliable << 8 | known << 16 | awaited << 24);
                self.bytes(from.as_ref().map_or(&[], MemberName::as_bytes));
                self.address(*address);
                self.bytes(payload);
            }
            MembershipEvent::Conflict { member, other } => {
                self.member(24, member);
                self.address(*other);
            }
            MembershipEvent::Restarted(member) => self.member(29, member),
            MembershipEvent::Moved { member, from } => {
                self.member(28, member);
                self.address(*from);
            }
            MembershipEvent::RemoteState { address, join, state } => {
                self.word(25 | u64::from(*join) << 8);
                self.address(*address);
                self.bytes(state);
            }
            MembershipEvent::SeedTried { address, error } => {
                self.word(26 | error.as_ref().map_or(0, error_code) << 8);
                self.address(*address);
            }
            MembershipEvent::Removed { member, reason } => {
                self.member(30, member);
                self.bytes(reason.as_bytes());
            }
            MembershipEvent::StableView(view) => {
                self.word(31);
                self.word(view.id);
                for members in [&view.members[..], &view.joined, &view.left, &view.failed] {
                    self.word(members.len() as u64);
                    members.iter().for_each(|member| self.name(member.name()));
                }
            }
            MembershipEvent::Resumed { away } => {
                self.word(29);
                self.span(*away);
            }
            MembershipEvent::Warning { kind, address, .. } => {
                self.word(27 | warning_code(*kind) << 8);
                self.address(*address);
            }
        }
    }

    fn member(&mut self, kind: u64, member: &Member) {
        let state = member.state() as u64;
        self.word(kind | state << 8 | u64::from(member.incarnation()) << 32);
        self.name(member.name());
        self.address(member.address());
        self.bytes(member.advertised());
        self.bytes(member.meta());
        match member.versions() {
            Some(versions) => self.bytes(&versions.to_bytes()),
            None => self.word(0),
        }
    }

    fn name(&mut self, name: &MemberName) {
        self.bytes(name.as_bytes());
    }

    fn address(&mut self, address: SocketAddr) {
        match address.ip() {
            IpAddr::V4(ip) => self.bytes(&ip.octets()),
            IpAddr::V6(ip) => self.bytes(&ip.octets()),
        }
        self.word(address.port().into());
    }

    fn span(&mut self, span: Duration) {
        self.word(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

/// The numbers are this file's own, so that variants can be renamed and reordered.
fn error_code(error: &OperationError) -> u64 {
    match error {
        OperationError::TimedOut => 1,
        OperationError::SendFailed(_) => 2,
        OperationError::PeerRefused(_) | OperationError::ClosedWithoutAnswer => 3,
        OperationError::OwnAddress(_)
        | OperationError::TooLarge { .. }
        | OperationError::UnacceptableAnswer(_)
        | OperationError::MergeRefused(_) => 4,
        OperationError::HasLeft => 5,
        OperationError::TooManyOperations { .. } => 6,
        OperationError::Unreachable(StreamFailure::Refused) => 7,
        OperationError::Unreachable(StreamFailure::TimedOut) => 8,
        OperationError::Unreachable(StreamFailure::Reset) => 9,
        OperationError::Unreachable(StreamFailure::PeerMismatch) => 10,
        OperationError::Unreachable(StreamFailure::Closed | StreamFailure::NotConnected(_)) => 11,
        OperationError::UnknownMember(_) => 12,
        OperationError::NotAlive(_) => 13,
        OperationError::NameTaken { .. } => 14,
        OperationError::LeadsToOurselves(_) => 15,
        OperationError::Busy => 16,
        OperationError::NoReceiver => 17,
        OperationError::Unknown => 18,
    }
}

fn warning_code(kind: WarningKind) -> u64 {
    match kind {
        WarningKind::WrongLabel => 1,
        WarningKind::WrongKey => 2,
        WarningKind::VersionRefused => 3,
        WarningKind::Malformed => 4,
        WarningKind::Impostor => 5,
        WarningKind::NotAdmitted => 6,
        WarningKind::Overload => 7,
        WarningKind::PacketsBlocked => 8,
        WarningKind::SharedAddress => 9,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::evidence::FailureEvidence;
    use crate::member::{Advertised, MemberRecord, MemberState};

    fn of(parts: &[&[u8]]) -> u64 {
        let mut digest = Digest::new();
        for part in parts {
            digest.bytes(part);
        }
        digest.value()
    }

    #[test]
    fn a_changed_byte_and_a_moved_boundary_both_show() {
        assert_eq!(of(&[b"alive", b"bob"]), of(&[b"alive", b"bob"]));
        assert_ne!(of(&[b"alive", b"bob"]), of(&[b"alive", b"bop"]));
        assert_ne!(of(&[b"aliv", b"ebob"]), of(&[b"alive", b"bob"]));
        assert_ne!(of(&[b"bob", b"alive"]), of(&[b"alive", b"bob"]));
    }

    #[test]
    fn every_part_of_an_event_shows() {
        let member = |incarnation, state| {
            let place = Advertised::from_wire(&[10, 0, 0, 1], 7946).unwrap();
            let name = MemberName::try_from("bob").unwrap();
            Member::new(MemberRecord {
                name,
                meta: None,
                changed: Time::ZERO,
                incarnation,
                advertised: place,
                versions: None,
                state,
            })
        };
        let [ada, cyd] = ["ada", "cyd"].map(|name| MemberName::try_from(name).unwrap());
        let alive = || member(1, MemberState::Alive);
        let failed = |suspected_by: &MemberName, seconds| MembershipEvent::Failed {
            member: alive(),
            suspected_by: suspected_by.clone(),
            declared_by: suspected_by.clone(),
            after: Duration::from_secs(seconds),
            evidence: FailureEvidence::Silence,
            hint: None,
        };
        let events = [
            MembershipEvent::Joined(alive()),
            MembershipEvent::Updated(alive()),
            MembershipEvent::Joined(member(2, MemberState::Alive)),
            MembershipEvent::Joined(member(1, MemberState::Dead)),
            failed(&ada, 4),
            failed(&cyd, 4),
            failed(&ada, 5),
            MembershipEvent::Message {
                from: None,
                address: ([10, 0, 0, 1], 1).into(),
                reliable: false,
                acknowledgement: None,
                payload: vec![],
            },
            MembershipEvent::Message {
                from: None,
                address: ([10, 0, 0, 1], 1).into(),
                reliable: true,
                acknowledgement: None,
                payload: vec![],
            },
            MembershipEvent::Conflict { member: alive(), other: ([10, 0, 0, 1], 1).into() },
            MembershipEvent::Conflict { member: alive(), other: ([10, 0, 0, 1], 2).into() },
            MembershipEvent::SeedTried { address: ([10, 0, 0, 1], 1).into(), error: None },
            MembershipEvent::SeedTried {
                address: ([10, 0, 0, 1], 1).into(),
                error: Some(OperationError::TimedOut),
            },
        ];
        let values: BTreeSet<u64> = events
            .iter()
            .map(|event| {
                let mut digest = Digest::new();
                digest.event(event);
                digest.value()
            })
            .collect();
        assert_eq!(values.len(), events.len());
    }

    #[test]
    fn the_wording_of_a_warning_does_not_show() {
        let of_warning = |kind, detail: &str| {
            let mut digest = Digest::new();
            let address = ([10, 0, 0, 1], 1).into();
            digest.event(&MembershipEvent::Warning { kind, address, detail: detail.to_owned() });
            digest.value()
        };
        let malformed = of_warning(WarningKind::Malformed, "it ends early");
        assert_eq!(malformed, of_warning(WarningKind::Malformed, "the message is incomplete"));
        assert_ne!(malformed, of_warning(WarningKind::WrongKey, "it ends early"));
    }

    #[test]
    fn the_value_is_the_same_on_every_machine() {
        assert_eq!(of(&[b"the same on every machine"]), 179_441_387_581_504_341);
    }
}
