//! A converged cluster of any size at once, through production's own doors.
//!
//! Every machine is handed the alive messages of all others in ordinary packets. That leaves it
//! with news to gossip about everybody; pings from somebody outside the simulation make it spend
//! them in acks, which go nowhere. What remains is a machine as after a long quiet time.

use std::net::SocketAddr;

use crate::member::Peer;
use crate::sim::host::Host;
use crate::sim::simulation::{Cause, Simulation};
use crate::wire::{Alive, Message, Ping, compound, encode_packet};

/// Messages in one packet.
const TOGETHER: usize = 200;
/// More acks than any machine needs to be rid of its news.
const MAX_ACKS: usize = 1_000_000;

impl Simulation {
    /// Makes all running hosts know each other at once, as if they had joined long ago. What the
    /// machines say meanwhile is dropped.
    pub fn acquaint(&mut self) {
        let stranger = Peer::unverified(SocketAddr::from(([192, 0, 2, 1], 7946)));
        let introductions = self.introductions();
        let mut ping = Vec::new();
        Message::Ping(Ping { seq_no: 1, ..Ping::default() }).encode(&mut ping);
        let ping = encode_packet(&ping, &self.layers, false, [0; 12]);
        for host in self.hosts() {
            let now = self.now;
            let Host { clock, life: Some(life), .. } = &mut self.hosts[host.index()] else {
                continue;
            };
            let (machine, local) = (&mut life.machine, clock.local(now));
            for introduction in &introductions {
                machine.handle_packet(&stranger, introduction, local);
                while machine.poll_output().is_some() {}
            }
            for _ in 0..MAX_ACKS {
                if machine.stats().queued_broadcasts == 0 {
                    break;
                }
                machine.handle_packet(&stranger, &ping, local);
                while machine.poll_output().is_some() {}
            }
            self.settle(host, Cause::Packet);
        }
    }

    /// What every running host says of itself, packed.
    fn introductions(&self) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        for machine in self.hosts().filter_map(|host| self.machine(host)) {
            let me = machine.local();
            let versions = me.versions().map(|versions| versions.to_bytes());
            let alive = Alive {
                incarnation: me.incarnation(),
                node: me.name().as_bytes(),
                addr: Some(me.advertised()),
                port: me.address().port(),
                meta: (!me.meta().is_empty()).then(|| me.meta()),
                vsn: versions.as_ref().map(<[u8; 6]>::as_slice),
            };
            let mut message = Vec::new();
            Message::Alive(alive).encode(&mut message);
            messages.push(message);
        }
        messages
            .chunks(TOGETHER)
            .filter_map(|together| compound::join(together).ok())
            .flatten()
            .map(|packet| encode_packet(&packet, &self.layers, false, [0; 12]))
            .collect()
    }
}
