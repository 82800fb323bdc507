//! What the model asks of the network between the hosts.

use std::net::SocketAddr;
use std::time::Duration;

use super::network::{Fate, SimNetwork, StreamTrouble};
use super::packet_faults::PacketFaults;
use crate::model::{EndpointId, Journey, Links, StreamFaults};
use crate::sim::coverage::{Counted, Coverage};
use crate::sim::fault::HostId;
use crate::sim::hosts::Hosts;

/// A host's number is that of its endpoint.
pub(super) fn endpoint(host: HostId) -> EndpointId {
    EndpointId(host.0)
}

pub(super) fn host(endpoint: EndpointId) -> HostId {
    HostId(endpoint.0)
}

/// The network, and who is where.
pub(crate) struct HostLinks<'a> {
    pub(super) network: &'a mut SimNetwork,
    pub(super) packets: &'a mut PacketFaults,
    pub(super) hosts: &'a Hosts,
    pub(super) coverage: &'a mut Coverage,
}

impl Links for HostLinks<'_> {
    fn endpoint_at(&self, address: SocketAddr) -> Option<EndpointId> {
        self.hosts.at(address).map(endpoint)
    }

    fn connects(&self, from: EndpointId, to: EndpointId) -> bool {
        self.network.connects(host(from), host(to))
    }

    fn datagram(&mut self, from: EndpointId, to: EndpointId, bytes: &mut [u8]) -> Journey {
        let journey = match self.network.fate(host(from), host(to), self.coverage) {
            Fate::Lost | Fate::CutOff => return Journey::Lost,
            Fate::Arrives(journey) => journey,
        };
        if !bytes.is_empty() && self.hosts.process(host(to)).is_none() {
            self.coverage.add(Counted::PacketToNobody);
        }
        if journey.corrupted {
            if !self.packets.corrupt(bytes, self.network.rng()) {
                return Journey::Lost;
            }
            self.coverage.add(Counted::PacketCorrupted);
        }
        let again = journey.again.filter(|_| !bytes.is_empty());
        let again = again.filter(|_| !self.packets.carries_application_bytes(bytes));
        if again.is_some() {
            self.coverage.add(Counted::PacketDuplicated);
        }
        Journey::Arrives { after: journey.after, again }
    }

    fn refuses(&self, from: EndpointId, to: EndpointId, is_up: bool) -> bool {
        self.network.refuses(host(from), host(to), is_up)
    }

    fn longest_datagram(&self, from: EndpointId, to: EndpointId) -> usize {
        self.network.longest_datagram(host(from), host(to))
    }

    fn stream_delay(&mut self, from: EndpointId, to: EndpointId) -> Duration {
        let pace = self.network.stream_trouble().pace.map_or(Duration::ZERO, |(_, by)| by);
        self.network.travel() + pace + self.network.retransmission(host(from), host(to))
    }

    fn stream_faults(&mut self) -> StreamFaults {
        let StreamTrouble { refused, reset, pieces, .. } = self.network.stream_trouble();
        let rng = self.network.rng();
        let refused = rng.happens(refused);
        let reset_after = rng.happens(reset).then(|| rng.below(2 * pieces.max(1)));
        StreamFaults { refused, reset_after }
    }

    fn piece(&mut self, waiting: usize) -> usize {
        let StreamTrouble { pieces: most, pace, .. } = self.network.stream_trouble();
        if let Some((piece, _)) = pace {
            self.coverage.add(Counted::StreamSlowed);
            return waiting.min(piece);
        }
        if most <= 1 || waiting < 2 {
            return waiting;
        }
        let piece = self.network.rng().between(1, waiting);
        if piece < waiting {
            self.coverage.add(Counted::StreamChopped);
        }
        piece
    }
}
