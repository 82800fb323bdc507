//! What the applications of the hosts do: seeds, joins, leaves, metadata, messages.
//!
//! Draws nothing: whoever runs the simulation says what is to be done, and when.

use std::net::SocketAddr;
use std::time::Duration;

use crate::sim::checker::messages::{Kind, Operation, number_of};
use crate::sim::coverage::Counted;
use crate::sim::fault::HostId;
use crate::sim::host::{Arrival, Host, Order};
use crate::sim::simulation::{Cause, SimEvent, Simulation};

impl Simulation {
    /// Sets the standing seeds of a host, for this life and later ones.
    pub fn set_seeds(&mut self, host: HostId, seeds: &[HostId]) {
        let seeds: Vec<SocketAddr> = seeds.iter().map(|seed| self.address(*seed)).collect();
        self.hosts[host.index()].seeds.clone_from(&seeds);
        self.plan_order(host, Order::Seeds(seeds));
    }

    /// Gives a host one standing seed from its next start on.
    pub fn set_first_seed(&mut self, host: HostId, seed: HostId) {
        self.hosts[host.index()].seeds = vec![self.address(seed)];
    }

    /// Gives a host that is down the seeds of another.
    pub fn inherit_seeds(&mut self, host: HostId, from: HostId) {
        self.hosts[host.index()].seeds = self.hosts[from.index()].seeds.clone();
    }

    /// Joins through one host.
    pub fn join(&mut self, host: HostId, via: HostId) {
        let via = self.address(via);
        self.plan_order(host, Order::Join(via));
    }

    /// Leaves; the host stays up.
    pub fn leave(&mut self, host: HostId) {
        self.plan_order(host, Order::Leave);
    }

    /// Changes metadata, for this life and later ones.
    pub fn set_meta(&mut self, host: HostId, meta: &[u8]) {
        self.hosts[host.index()].meta = meta.to_vec();
        self.plan_order(host, Order::Meta(meta.to_vec()));
    }

    /// Sends a numbered message of about `len` bytes to everybody.
    pub fn broadcast(&mut self, host: HostId, len: usize) {
        let (_, payload) = self.checker.messages.compose(Kind::Broadcast, None, len);
        self.plan_order(host, Order::Broadcast(payload));
    }

    /// Sends a numbered message of about `len` bytes by packet.
    pub fn send(&mut self, host: HostId, to: HostId, len: usize) {
        let (_, payload) = self.checker.messages.compose(Kind::Packet, Some(to), len);
        let to = self.hosts[to.index()].name.clone();
        self.plan_order(host, Order::Send(to, payload));
    }

    /// Sends a numbered message of about `len` bytes by stream.
    pub fn send_reliable(&mut self, host: HostId, to: HostId, len: usize, timeout: Duration) {
        let (_, payload) = self.checker.messages.compose(Kind::Stream, Some(to), len);
        let to = self.hosts[to.index()].name.clone();
        self.plan_order(host, Order::SendReliable(to, payload, timeout));
    }

    /// Pings.
    pub fn ping(&mut self, host: HostId, to: HostId) {
        let to = self.hosts[to.index()].name.clone();
        self.plan_order(host, Order::Ping(to));
    }

    /// Tells a host how large packets to a peer may be.
    pub fn set_packet_limit(&mut self, host: HostId, to: HostId, limit: usize) {
        self.coverage.add(Counted::LimitChanged);
        let to = self.address(to);
        self.plan(host, Arrival::PacketLimit { to, limit });
    }

    pub(super) fn plan_order(&mut self, host: HostId, order: Order) {
        self.plan(host, Arrival::Order(order));
    }

    fn plan(&mut self, host: HostId, arrival: Arrival) {
        if let Some(life) = &self.hosts[host.index()].life {
            let life = life.number;
            self.agenda.plan(self.now, SimEvent::Arrive { host, life, arrival });
        }
    }

    pub(super) fn obey(&mut self, host: HostId, order: Order) {
        let now = self.now;
        let Host { clock, life: Some(life), .. } = &mut self.hosts[host.index()] else {
            return;
        };
        let (machine, now) = (&mut life.machine, clock.local(now));
        // A command that is refused (the member is unknown by then, say) has no effect.
        let begun = match order {
            Order::Seeds(seeds) => {
                machine.set_seeds(seeds, now);
                None
            }
            Order::Join(via) => Some((machine.join(via, None, now), Operation::Join)),
            Order::Leave => {
                self.coverage.add(Counted::Leave);
                self.checker.views.note_leave(host, machine.local().incarnation());
                Some((machine.leave(now), Operation::Leave))
            }
            Order::Meta(meta) => {
                let _ = machine.set_meta(meta, now);
                None
            }
            Order::Broadcast(payload) => {
                let _ = machine.broadcast(payload, now);
                None
            }
            Order::Send(to, payload) => {
                let _ = machine.send(&to, &payload, now);
                None
            }
            Order::SendReliable(to, payload, timeout) => {
                let number = number_of(&payload).unwrap_or_default();
                let begun = machine.send_reliable(&to, &payload, timeout, now).ok();
                begun.map(|id| (id, Operation::Send(number)))
            }
            Order::Ping(to) => machine.ping(&to, now).ok().map(|id| (id, Operation::Ping)),
        };
        if let Some((id, operation)) = begun {
            self.checker.messages.begin(host, id, operation);
        }
        self.settle(host, Cause::Order);
    }
}
