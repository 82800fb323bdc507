//! Packets between hosts, as a driver with a QUIC transport carries them: at best once, to the
//! life of the host that was dialed, and with a report when nobody can be dialed.
//! Loss, delay and damage are the weather's to draw.

use std::net::SocketAddr;
use std::time::Duration;

use crate::output::Destination;
use crate::sim::coverage::Counted;
use crate::sim::fault::HostId;
use crate::sim::host::{Arrival, Place};
use crate::sim::network::Fate;
use crate::sim::sim_rng::MILLION;
use crate::sim::simulation::{SimEvent, Simulation};
use crate::wire::{Message, MessageType};

/// How long the transport tries to reach a peer before it says that a send failed.
pub(super) const DIAL_TIMEOUT: Duration = Duration::from_secs(3);

impl Simulation {
    pub(super) fn send_packet(&mut self, from: HostId, to: &Destination, bytes: Vec<u8>) {
        let Some(target) = self.host_at(to.address) else {
            self.coverage.add(Counted::PacketToNobody);
            self.plan_send_failed(from, to.address, DIAL_TIMEOUT);
            return;
        };
        if target == from {
            return;
        }
        if self.is_somebody_else(target, to) {
            self.coverage.add(Counted::StreamMismatched);
            self.plan_send_failed(from, to.address, 2 * self.setup.latency.most);
            return;
        }
        let journey = match self.network.fate(from, target, &mut self.coverage) {
            Fate::Lost => return,
            Fate::CutOff => return self.dial_in_vain(from, target),
            Fate::Arrives(journey) => journey,
        };
        let Some(life) = self.hosts[target.index()].life.as_ref().map(|life| life.number) else {
            self.coverage.add(Counted::PacketToNobody);
            return self.dial_in_vain(from, target);
        };
        let mut bytes = bytes;
        if journey.corrupted && !self.corrupt(&mut bytes) {
            return;
        }
        let at = self.now + journey.after;
        if let Some(again) = journey.again
            && !self.carries_application_bytes(&bytes)
        {
            self.coverage.add(Counted::PacketDuplicated);
            let arrival = Arrival::Packet { from, bytes: bytes.clone() };
            self.agenda.plan(self.now + again, SimEvent::Arrive { host: target, life, arrival });
        }
        let arrival = Arrival::Packet { from, bytes };
        self.agenda.plan(at, SimEvent::Arrive { host: target, life, arrival });
    }

    /// Who is at an address, or was there last.
    pub(super) fn host_at(&self, address: SocketAddr) -> Option<HostId> {
        let place = Place::of(address)?;
        let host = self.occupants.get(place.index()).copied()?;
        (self.hosts[host.index()].place == place).then_some(host)
    }

    pub(super) fn address(&self, host: HostId) -> SocketAddr {
        self.hosts[host.index()].place.address()
    }

    /// Whether the certificate there would name another member than expected.
    pub(super) fn is_somebody_else(&self, target: HostId, expected: &Destination) -> bool {
        let name = &self.hosts[target.index()].name;
        self.setup.verified_names && expected.name.as_ref().is_some_and(|other| other != name)
    }

    pub(super) fn count_lost(&mut self, arrival: &Arrival) {
        if let Arrival::Packet { .. } = arrival {
            self.coverage.add(Counted::PacketToNobody);
        }
    }

    /// Half of the sends meet an open connection, on which packets just vanish; the other half
    /// need a dial, which fails after its timeout.
    fn dial_in_vain(&mut self, from: HostId, to: HostId) {
        let Some(life) = self.hosts[from.index()].life.as_ref().map(|life| life.number) else {
            return;
        };
        if self.network.rng().happens(MILLION / 2) && self.dialing.insert((from, to)) {
            let at = self.now + DIAL_TIMEOUT;
            self.agenda.plan(at, SimEvent::DialTimedOut { from, life, to });
        }
    }

    pub(super) fn dial_timed_out(&mut self, from: HostId, life: u32, to: HostId) {
        self.dialing.remove(&(from, to));
        let reachable = self.hosts[to.index()].life.is_some()
            && self.network.connects(from, to)
            && self.network.connects(to, from);
        if !reachable {
            self.coverage.add(Counted::SendFailed);
            let to = self.address(to);
            self.arrive(from, life, Arrival::SendFailed { to });
        }
    }

    fn plan_send_failed(&mut self, from: HostId, to: SocketAddr, after: Duration) {
        if let Some(life) = &self.hosts[from.index()].life {
            self.coverage.add(Counted::SendFailed);
            let life = life.number;
            let arrival = Arrival::SendFailed { to };
            self.agenda.plan(self.now + after, SimEvent::Arrive { host: from, life, arrival });
        }
    }

    /// Flips one to three bits behind the type byte, where a checksum or a seal sees it; false
    /// for a packet without either.
    fn corrupt(&mut self, bytes: &mut [u8]) -> bool {
        let config = &self.setup.config;
        let start = if config.label.is_empty() { 0 } else { 2 + config.label.len() };
        let guarded =
            !config.keys.is_empty() || bytes.get(start) == Some(&MessageType::HasCrc.to_byte());
        if !guarded || bytes.len() < start + 6 {
            return false;
        }
        self.coverage.add(Counted::PacketCorrupted);
        let rng = self.network.rng();
        for _ in 0..rng.between(1, 3) {
            let place = rng.between(start + 1, bytes.len() - 1);
            bytes[place] ^= 1 << rng.below(8);
        }
        true
    }

    /// Whether QUIC's promise of delivering at most once matters to the application.
    fn carries_application_bytes(&mut self, bytes: &[u8]) -> bool {
        match self.decoder.decode(bytes, &self.layers) {
            Ok(packet) => packet.messages.iter().any(|message| matches!(message, Message::User(_))),
            Err(_) => false,
        }
    }
}
