//! A running hash over everything that leaves the machines: equal runs have equal digests.
//!
//! Portable (fixed arithmetic, little-endian words) and quick; it resists accidents, not attacks.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::member::{Member, MemberName};
use crate::output::Event;

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

    /// Everything that an event says. The usual ones field by field: as text they would take a
    /// quarter of a simulation's time.
    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::Joined(member) => self.member(16, member),
            Event::Updated(member) => self.member(17, member),
            Event::Left(member) => self.member(18, member),
            Event::Failed { member, suspected_by, after } => {
                self.member(19, member);
                self.name(suspected_by);
                self.span(*after);
            }
            Event::Suspected { member, by } => {
                self.member(20, member);
                self.name(by);
            }
            Event::Cleared { member, by } => {
                self.member(21, member);
                self.name(by);
            }
            Event::ProbeAnswered { member, rtt, payload } => {
                self.member(22, member);
                self.span(*rtt);
                self.bytes(payload);
            }
            Event::Message { .. }
            | Event::Conflict { .. }
            | Event::RemoteState { .. }
            | Event::SeedTried { .. }
            | Event::Warning { .. } => {
                // Writing into the digest cannot fail.
                let _ = write!(self, "{event:?}");
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

/// Hashes what is formatted, without building the text.
impl fmt::Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::member::{Advertised, MemberState, Record};
    use crate::time::Time;

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
            Member::new(Record {
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
        let failed = |suspected_by: &MemberName, seconds| Event::Failed {
            member: alive(),
            suspected_by: suspected_by.clone(),
            after: Duration::from_secs(seconds),
        };
        let events = [
            Event::Joined(alive()),
            Event::Updated(alive()),
            Event::Joined(member(2, MemberState::Alive)),
            Event::Joined(member(1, MemberState::Dead)),
            failed(&ada, 4),
            failed(&cyd, 4),
            failed(&ada, 5),
            Event::Message {
                from: None,
                address: ([10, 0, 0, 1], 1).into(),
                reliable: false,
                payload: vec![],
            },
            Event::Message {
                from: None,
                address: ([10, 0, 0, 1], 1).into(),
                reliable: true,
                payload: vec![],
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
    fn the_value_is_the_same_on_every_machine() {
        assert_eq!(of(&[b"the same on every machine"]), 179_441_387_581_504_341);
    }
}
