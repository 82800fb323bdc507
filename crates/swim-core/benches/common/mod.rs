//! A machine that has learnt of many members, for the benchmarks of the machine.
//!
//! Teaches as the network would, by gossip packets, and lets the updates be told before anything
//! is measured. Every name has 16 bytes, nobody has metadata.

#![expect(clippy::unwrap_used, reason = "a benchmark of broken code must stop")]

use std::net::SocketAddr;
use std::time::Duration;

use swim_core::wire::schema::{Alive, Message};
use swim_core::wire::{WireSettings, compound, encode_packet};
use swim_core::{Config, LocalMember, MemberName, Membership, Peer, RngSeed, Time};

/// Go's default packet budget.
const BUDGET: usize = 1_400;
/// Coprime to every cluster size measured: neighbours in a packet are strangers in memory.
const STRIDE: usize = 7_919;

/// A machine and the packets that speak once of each member it knows.
pub(crate) struct Crowd {
    pub(crate) machine: Membership,
    pub(crate) packets: Vec<Vec<u8>>,
    pub(crate) now: Time,
}

impl Crowd {
    /// A machine that knows nobody yet of the `members` its packets speak of.
    pub(crate) fn strangers(members: usize) -> Self {
        let name = MemberName::try_from("member-itself-00").unwrap();
        let address = SocketAddr::from(([10, 255, 0, 1], 7_946));
        let me = LocalMember { name, address, meta: Vec::new() };
        // Without probes and exchanges nobody is suspected for not answering.
        let mut quiet = Config::lan();
        quiet.probe_interval = Duration::ZERO;
        quiet.push_pull_interval = Duration::ZERO;
        let now = Time::ZERO;
        let machine = Membership::new(quiet, me, RngSeed([7; 32]), now).unwrap();
        Self { machine, packets: packets(members), now }
    }

    /// Hands in every packet, then waits until all updates are told. Each packet comes from another
    /// peer: one alone may bring only so many new members in a minute.
    pub(crate) fn learn(&mut self, members: usize) {
        for index in 0..self.packets.len() {
            let [high, low] = u16::try_from(index).unwrap().to_be_bytes();
            self.hand_in(index, &Peer::unverified(SocketAddr::from(([10, 254, high, low], 7_946))));
        }
        while self.machine.stats().queued_updates > 0 {
            self.now = self.machine.poll_timeout().unwrap();
            self.machine.handle_timeout(self.now);
            while self.machine.poll_output().is_some() {}
        }
        assert_eq!(self.machine.stats().alive, members + 1, "the machine did not learn of all");
    }

    /// Hands in one packet, as if it came from this peer.
    pub(crate) fn hand_in(&mut self, index: usize, from: &Peer) {
        self.machine.handle_packet(from, &self.packets[index], self.now);
        while self.machine.poll_output().is_some() {}
    }
}

/// Full packets that speak once of each of `members`.
fn packets(members: usize) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let mut parts: Vec<Vec<u8>> = Vec::new();
    let mut used = 2;
    for number in 0..members {
        let part = alive(number * STRIDE % members);
        if used + 2 + part.len() > BUDGET {
            packets.push(seal(&std::mem::take(&mut parts)));
            used = 2;
        }
        used += 2 + part.len();
        parts.push(part);
    }
    packets.push(seal(&parts));
    packets
}

fn seal(parts: &[Vec<u8>]) -> Vec<u8> {
    let message = compound::join(parts).unwrap().remove(0);
    let plain = WireSettings { compression: false, ..WireSettings::default() };
    encode_packet(&message, &plain, false, [0; 12])
}

fn alive(number: usize) -> Vec<u8> {
    let name = format!("member-{number:09}");
    let [_, high, middle, low] = u32::try_from(number).unwrap().to_be_bytes();
    let alive = Alive {
        incarnation: 1,
        node: name.as_bytes(),
        addr: Some(&[10, high, middle, low]),
        port: 7_946,
        meta: None,
        vsn: Some(&[1, 5, 2, 0, 0, 0]),
    };
    Message::Alive(alive).to_vec()
}
