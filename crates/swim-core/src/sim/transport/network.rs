//! The links between hosts: whether a packet arrives, when, and in what condition.
//!
//! The faults in effect are the only state: the loss rate of every port and the set of cut pairs
//! are derived from them each time a fault begins or ends. Packets themselves are not kept here.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::config::Config;
use crate::sim::coverage::{Counted, Coverage};
use crate::sim::fault::{Fault, FaultId, HostId};
use crate::sim::sim_rng::{MILLION, SimRng};

/// How long packets travel when nothing is wrong.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// The shortest time of travel.
    pub least: Duration,
    /// The longest usual one.
    pub most: Duration,
    /// One packet in a hundred takes up to this long.
    pub tail: Duration,
}

impl Latency {
    /// What suits a configuration: a data centre, or members an ocean apart for slow probes.
    #[must_use]
    pub fn suiting(config: &Config) -> Self {
        if config.probe_timeout >= Duration::from_secs(2) {
            Self {
                least: Duration::from_millis(20),
                most: Duration::from_millis(120),
                tail: Duration::from_millis(300),
            }
        } else {
            Self {
                least: Duration::from_micros(150),
                most: Duration::from_micros(700),
                tail: Duration::from_millis(15),
            }
        }
    }
}

/// The condition of one host's link to the network.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Port {
    loss_in: u32,
    loss_out: u32,
    group: u8,
    /// The longest datagram that passes; `None` is any.
    longest: Option<usize>,
}

/// What the present faults do to everything.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Everywhere {
    duplicated: u32,
    held_back: (u32, Duration),
    corrupted: u32,
    slowed: Duration,
    streams: StreamTrouble,
}

/// What the present faults do to streams, each a probability in millionths.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct StreamTrouble {
    pub(crate) refused: u32,
    pub(crate) reset: u32,
    /// The most pieces in which the bytes of one direction arrive.
    pub(crate) pieces: usize,
    /// The largest piece, and how much longer each takes.
    pub(crate) pace: Option<(usize, Duration)>,
}

/// What happens to a packet on its way.
#[derive(Debug)]
pub(crate) enum Fate {
    /// It is gone.
    Lost,
    /// There is no way to the target at present, so a dial would fail too.
    CutOff,
    Arrives(Transit),
}

/// How a packet travels.
#[derive(Debug)]
pub(crate) struct Transit {
    pub(crate) after: Duration,
    /// A second copy arrives after this time.
    pub(crate) again: Option<Duration>,
    pub(crate) corrupted: bool,
}

/// All links.
pub(crate) struct SimNetwork {
    latency: Latency,
    rng: SimRng,
    faults: Vec<(FaultId, Fault)>,
    ports: Vec<Port>,
    everywhere: Everywhere,
    /// Directed pairs between which nothing travels.
    cut: BTreeSet<(HostId, HostId)>,
    /// Directed pairs between which packets are refused.
    rejected: BTreeSet<(HostId, HostId)>,
    /// Hosts that live on when their process dies, and refuse packets for it.
    refusing: BTreeSet<HostId>,
    next_fault: u32,
}

impl SimNetwork {
    pub(crate) fn new(latency: Latency, rng: SimRng) -> Self {
        Self {
            latency,
            rng,
            faults: Vec::new(),
            ports: Vec::new(),
            everywhere: Everywhere::default(),
            cut: BTreeSet::new(),
            rejected: BTreeSet::new(),
            refusing: BTreeSet::new(),
            next_fault: 0,
        }
    }

    pub(crate) fn set_hosts(&mut self, hosts: usize) {
        self.ports.resize(hosts, Port::default());
        self.derive();
    }

    pub(crate) fn begin(&mut self, fault: Fault, coverage: &mut Coverage) -> FaultId {
        match &fault {
            Fault::Partition { .. } => coverage.add(Counted::Partition),
            Fault::OneWay { .. } => coverage.add(Counted::OneWay),
            Fault::Loss { .. }
            | Fault::Duplicate { .. }
            | Fault::HoldBack { .. }
            | Fault::Corrupt { .. }
            | Fault::Slow { .. }
            | Fault::PathMtu { .. }
            | Fault::Reject { .. }
            | Fault::SlowStreams { .. }
            | Fault::Streams { .. } => {}
        }
        let id = FaultId(self.next_fault);
        self.next_fault += 1;
        self.faults.push((id, fault));
        self.derive();
        id
    }

    pub(crate) fn end(&mut self, id: FaultId) {
        self.faults.retain(|(other, _)| *other != id);
        self.derive();
    }

    pub(crate) fn end_all(&mut self) {
        self.faults.clear();
        self.derive();
    }

    fn derive(&mut self) {
        self.ports.fill(Port::default());
        self.everywhere = Everywhere::default();
        self.cut.clear();
        self.rejected.clear();
        let (ports, everywhere) = (&mut self.ports, &mut self.everywhere);
        for (_, fault) in &self.faults {
            match fault {
                Fault::Loss { hosts, inbound, outbound } => {
                    for host in hosts {
                        let port = &mut ports[host.index()];
                        port.loss_in = port.loss_in.max(*inbound);
                        port.loss_out = port.loss_out.max(*outbound);
                    }
                }
                Fault::Duplicate { rate } => everywhere.duplicated = *rate,
                Fault::HoldBack { rate, at_most } => everywhere.held_back = (*rate, *at_most),
                Fault::Corrupt { rate } => everywhere.corrupted = *rate,
                Fault::Slow { by } => everywhere.slowed = *by,
                Fault::Streams { refused, reset, pieces } => {
                    let (refused, reset, pieces) = (*refused, *reset, *pieces);
                    let pace = everywhere.streams.pace;
                    everywhere.streams = StreamTrouble { refused, reset, pieces, pace };
                }
                Fault::SlowStreams { piece, by } => everywhere.streams.pace = Some((*piece, *by)),
                Fault::PathMtu { hosts, longest } => {
                    for host in hosts {
                        let port = &mut ports[host.index()];
                        port.longest = Some(port.longest.unwrap_or(*longest).min(*longest));
                    }
                }
                Fault::OneWay { from, to } => {
                    let pairs = from.iter().flat_map(|from| to.iter().map(|to| (*from, *to)));
                    self.cut.extend(pairs.filter(|(from, to)| from != to));
                }
                Fault::Reject { from, to } => {
                    let pairs = from.iter().flat_map(|from| to.iter().map(|to| (*from, *to)));
                    self.rejected.extend(pairs.filter(|(from, to)| from != to));
                }
                Fault::Partition { groups } => {
                    for (port, group) in ports.iter_mut().zip(groups) {
                        // Two partitions at once split further.
                        port.group = port.group.wrapping_mul(7).wrapping_add(*group);
                    }
                }
            }
        }
    }

    /// Whether anything travels from one to the other at present.
    pub(crate) fn connects(&self, from: HostId, to: HostId) -> bool {
        self.ports[from.index()].group == self.ports[to.index()].group
            && (self.cut.is_empty() || !self.cut.contains(&(from, to)))
    }

    /// From here on a host lives on when its process dies.
    pub(crate) fn let_refuse(&mut self, host: HostId) {
        self.refusing.insert(host);
    }

    /// Whether packets from one to the other are refused, where a process runs there or not.
    pub(crate) fn refuses(&self, from: HostId, to: HostId, is_up: bool) -> bool {
        self.rejected.contains(&(from, to)) || !is_up && self.refusing.contains(&to)
    }

    /// The longest datagram that gets from one to the other.
    pub(crate) fn longest_datagram(&self, from: HostId, to: HostId) -> usize {
        let ends = [self.ports[from.index()].longest, self.ports[to.index()].longest];
        ends.into_iter().flatten().min().unwrap_or(usize::MAX)
    }

    pub(crate) fn fate(&mut self, from: HostId, to: HostId, coverage: &mut Coverage) -> Fate {
        let travel = self.travel();
        if self.faults.is_empty() {
            return Fate::Arrives(Transit { after: travel, again: None, corrupted: false });
        }
        if !self.connects(from, to) {
            coverage.add(Counted::PacketCut);
            return Fate::CutOff;
        }
        let (out, into) = (self.ports[from.index()].loss_out, self.ports[to.index()].loss_in);
        if self.rng.happens(out) || self.rng.happens(into) {
            coverage.add(Counted::PacketLost);
            return Fate::Lost;
        }
        let Everywhere { duplicated, held_back, corrupted, slowed, .. } = self.everywhere;
        let mut after = travel;
        if !slowed.is_zero() {
            coverage.add(Counted::PacketSlowed);
            after += slowed;
        }
        if self.rng.happens(held_back.0) {
            coverage.add(Counted::PacketReordered);
            after += self.rng.span(Duration::ZERO, held_back.1);
        }
        let again = self.rng.happens(duplicated).then(|| after + 3 * self.travel());
        Fate::Arrives(Transit { after, again, corrupted: self.rng.happens(corrupted) })
    }

    /// The time of travel of one packet.
    pub(crate) fn travel(&mut self) -> Duration {
        let Latency { least, most, tail } = self.latency;
        let most = if self.rng.happens(MILLION / 100) { tail } else { most };
        self.rng.span(least, most)
    }

    /// How much longer the bytes of a stream take because packets are lost and sent again.
    pub(crate) fn retransmission(&mut self, from: HostId, to: HostId) -> Duration {
        let loss = self.ports[from.index()].loss_out.max(self.ports[to.index()].loss_in);
        let mut delay = self.everywhere.slowed;
        let mut wait = Duration::from_millis(200);
        while loss > 0 && self.rng.happens(loss) && wait < Duration::from_secs(60) {
            delay += wait;
            wait *= 2;
        }
        delay
    }

    pub(crate) fn stream_trouble(&self) -> StreamTrouble {
        self.everywhere.streams
    }

    pub(crate) fn rng(&mut self) -> &mut SimRng {
        &mut self.rng
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: HostId = HostId(0);
    const BOB: HostId = HostId(1);
    const CYD: HostId = HostId(2);

    fn network() -> (SimNetwork, Coverage) {
        let mut network = SimNetwork::new(Latency::suiting(&Config::lan()), SimRng::new(1, 1));
        network.set_hosts(3);
        (network, Coverage::new())
    }

    #[test]
    fn a_partition_cuts_both_ways_and_heals() {
        let (mut network, mut coverage) = network();
        let fault = network.begin(Fault::Partition { groups: vec![0, 0, 1] }, &mut coverage);
        assert!(network.connects(ADA, BOB));
        assert!(!network.connects(ADA, CYD) && !network.connects(CYD, ADA));
        network.end(fault);
        assert!(network.connects(ADA, CYD));
    }

    #[test]
    fn a_one_way_cut_lets_answers_through() {
        let (mut network, mut coverage) = network();
        network.begin(Fault::OneWay { from: vec![ADA], to: vec![ADA, BOB] }, &mut coverage);
        assert!(!network.connects(ADA, BOB) && network.connects(BOB, ADA));
        assert!(network.connects(ADA, CYD));
        assert!(matches!(network.fate(ADA, BOB, &mut coverage), Fate::CutOff));
    }

    #[test]
    fn inbound_loss_spares_what_a_host_sends() {
        let (mut network, mut coverage) = network();
        network
            .begin(Fault::Loss { hosts: vec![BOB], inbound: MILLION, outbound: 0 }, &mut coverage);
        assert!(matches!(network.fate(ADA, BOB, &mut coverage), Fate::Lost));
        assert!(matches!(network.fate(BOB, ADA, &mut coverage), Fate::Arrives(_)));
    }
}
