//! Carries packets and streams among several machines in virtual time.
//!
//! Every step takes one millisecond on the wire. A story ends when its condition holds, or fails
//! with everybody's view when its bound has passed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use swim_core::{
    Config, Destination, LocalMember, Member, MemberName, MemberState, Membership, MembershipEvent,
    OperationId, Outcome, Output, Peer, RngSeed, StreamFailure, StreamId, Time,
};

const LATENCY: Duration = Duration::from_millis(1);

pub(crate) fn name(text: &str) -> MemberName {
    MemberName::try_from(text).unwrap()
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(crate) struct Cluster {
    pub(crate) now: Time,
    pub(crate) nodes: BTreeMap<&'static str, Node>,
    pub(crate) wire: Wire,
    pending: BTreeMap<(Time, u64), Delivery>,
    deliveries: u64,
    next_stream: u64,
}

pub(crate) struct Node {
    pub(crate) machine: Option<Membership>,
    pub(crate) address: SocketAddr,
    pub(crate) events: Vec<(Time, MembershipEvent)>,
    pub(crate) finished: BTreeMap<OperationId, Outcome>,
    pub(crate) forgotten: Vec<SocketAddr>,
    pub(crate) resolutions: usize,
    pub(crate) packets_sent: usize,
    /// Our end of each stream, and whose other end it is.
    streams: BTreeMap<StreamId, (&'static str, StreamId)>,
}

/// What the network does to its traffic.
#[derive(Default)]
pub(crate) struct Wire {
    /// Nothing passes from the first to the second.
    cut: BTreeSet<(&'static str, &'static str)>,
    /// No packets pass, but streams do.
    packets_cut: BTreeSet<(&'static str, &'static str)>,
    /// Peers prove no names.
    pub(crate) unverified: bool,
    /// What cannot be delivered is reported to the sender.
    pub(crate) reports_failures: bool,
    /// A packet as it was sent, with sender and receiver.
    pub(crate) log: Vec<(&'static str, SocketAddr, Vec<u8>)>,
}

enum Delivery {
    Packet { from: &'static str, to: SocketAddr, bytes: Vec<u8> },
    Opened { to: &'static str, id: StreamId, from: &'static str },
    Data { to: &'static str, id: StreamId, bytes: Vec<u8>, fin: bool },
    StreamFailed { to: &'static str, id: StreamId, reason: StreamFailure },
    SendFailed { to: &'static str, target: SocketAddr },
}

impl Wire {
    pub(crate) fn isolate(&mut self, who: &'static str, others: &[&'static str]) {
        for other in others {
            self.cut.insert((who, other));
            self.cut.insert((other, who));
        }
    }

    pub(crate) fn block_packets(&mut self, one: &'static str, other: &'static str) {
        self.packets_cut.insert((one, other));
        self.packets_cut.insert((other, one));
    }

    pub(crate) fn heal(&mut self) {
        self.cut.clear();
        self.packets_cut.clear();
    }
}

impl Cluster {
    pub(crate) fn of(names: &[&'static str]) -> Self {
        Self::with_config(names, &Config::lan())
    }

    pub(crate) fn with_config(names: &[&'static str], config: &Config) -> Self {
        let mut cluster = Self {
            now: Time::from_micros(3_600_000_000),
            nodes: BTreeMap::new(),
            wire: Wire::default(),
            pending: BTreeMap::new(),
            deliveries: 0,
            next_stream: 0,
        };
        for name in names {
            cluster.start(name, config.clone());
        }
        cluster
    }

    /// Everybody joins the first and knows everybody.
    pub(crate) fn joined(names: &[&'static str]) -> Self {
        Self::joined_with(names, &Config::lan())
    }

    pub(crate) fn joined_with(names: &[&'static str], config: &Config) -> Self {
        let mut cluster = Self::with_config(names, config);
        for other in &names[1..] {
            cluster.join(other, names[0]);
        }
        cluster.run_until(seconds(30), |cluster| {
            names.iter().all(|viewer| {
                names.iter().all(|seen| cluster.state(viewer, seen) == Some(MemberState::Alive))
            })
        });
        // Let the news of the joins die down.
        cluster.run_for(seconds(3));
        cluster
    }

    /// Starts, or restarts, a member with nothing remembered.
    pub(crate) fn start(&mut self, who: &'static str, config: Config) {
        let host = self.nodes.len() + 1;
        let address = self.nodes.get(who).map_or_else(
            || SocketAddr::from(([10, 0, 0, u8::try_from(host).unwrap()], 7946)),
            |node| node.address,
        );
        self.start_at(who, address, config);
    }

    pub(crate) fn start_at(&mut self, who: &'static str, address: SocketAddr, config: Config) {
        let me = LocalMember { name: name(who), address, meta: Vec::new() };
        let mut seed = [0; 32];
        seed[0] = u8::try_from(self.nodes.len()).unwrap();
        seed[1..9].copy_from_slice(&self.now.as_micros().to_be_bytes());
        let machine = Membership::new(config, me, RngSeed(seed), self.now).unwrap();
        let node = Node {
            machine: Some(machine),
            address,
            events: Vec::new(),
            finished: BTreeMap::new(),
            forgotten: Vec::new(),
            resolutions: 0,
            packets_sent: 0,
            streams: BTreeMap::new(),
        };
        self.nodes.insert(who, node);
        self.drain(who);
    }

    pub(crate) fn crash(&mut self, who: &str) {
        self.nodes.get_mut(who).unwrap().machine = None;
    }

    pub(crate) fn address(&self, who: &str) -> SocketAddr {
        self.nodes[who].address
    }

    /// Gives a command and carries out what comes of it.
    pub(crate) fn tell<T>(
        &mut self,
        who: &'static str,
        command: impl FnOnce(&mut Membership, Time) -> T,
    ) -> T {
        let now = self.now;
        let machine = self.nodes.get_mut(who).unwrap().machine.as_mut();
        let result = command(machine.expect("it is running"), now);
        self.drain(who);
        result
    }

    pub(crate) fn join(&mut self, who: &'static str, through: &str) -> OperationId {
        let address = self.address(through);
        self.tell(who, |machine, now| machine.join(address, None, now))
    }

    pub(crate) fn machine(&self, who: &str) -> &Membership {
        self.nodes[who].machine.as_ref().expect("it is running")
    }

    pub(crate) fn view(&self, viewer: &str, seen: &str) -> Option<Member> {
        self.nodes[viewer].machine.as_ref()?.member(&name(seen))
    }

    pub(crate) fn state(&self, viewer: &str, seen: &str) -> Option<MemberState> {
        self.view(viewer, seen).map(|member| member.state())
    }

    pub(crate) fn incarnation(&self, viewer: &str, seen: &str) -> u32 {
        self.view(viewer, seen).expect("known").incarnation()
    }

    pub(crate) fn events(&self, who: &str) -> impl Iterator<Item = &MembershipEvent> {
        self.nodes[who].events.iter().map(|(_, event)| event)
    }

    pub(crate) fn messages(&self, who: &str) -> Vec<Vec<u8>> {
        self.events(who)
            .filter_map(|event| match event {
                MembershipEvent::Message { payload, .. } => Some(payload.clone()),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn outcome(&self, who: &str, operation: OperationId) -> Option<&Outcome> {
        self.nodes[who].finished.get(&operation)
    }

    pub(crate) fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until `done`; fails after `bound`. Returns how long it took.
    pub(crate) fn run_until(&mut self, bound: Duration, done: impl Fn(&Self) -> bool) -> Duration {
        let (start, end) = (self.now, self.now + bound);
        while !done(self) {
            assert!(self.step(end), "not within {bound:?}; views:\n{}", self.views());
        }
        self.now - start
    }

    /// Hands one packet over as if `from` had sent it.
    pub(crate) fn inject(&mut self, from: &'static str, to: &str, bytes: Vec<u8>) {
        let to = self.address(to);
        self.schedule(LATENCY, Delivery::Packet { from, to, bytes });
    }

    fn views(&self) -> String {
        let mut text = String::new();
        for (who, node) in &self.nodes {
            let members = node.machine.iter().flat_map(Membership::members);
            let members: Vec<String> = members
                .map(|member| {
                    format!("{}:{}@{}", member.name(), member.state(), member.incarnation())
                })
                .collect();
            text += &format!("  {who}: {}\n", members.join(" "));
        }
        text
    }

    /// The next thing that happens by `end`, if any.
    fn step(&mut self, end: Time) -> bool {
        let delivery = self.pending.first_key_value().map(|((at, _), _)| *at);
        let timer = self
            .nodes
            .iter()
            .filter_map(|(who, node)| Some((node.machine.as_ref()?.poll_timeout()?, *who)))
            .min();
        match (delivery, timer) {
            (Some(at), timer) if at <= end && timer.is_none_or(|(due, _)| at <= due) => {
                self.now = self.now.max(at);
                let (_, delivery) = self.pending.pop_first().unwrap();
                self.deliver(delivery);
                true
            }
            (_, Some((due, who))) if due <= end => {
                self.now = self.now.max(due);
                self.tell(who, |machine, now| machine.handle_timeout(now));
                true
            }
            _ => false,
        }
    }

    fn schedule(&mut self, after: Duration, delivery: Delivery) {
        self.deliveries += 1;
        self.pending.insert((self.now + after, self.deliveries), delivery);
    }

    fn drain(&mut self, who: &'static str) {
        let mut outputs = Vec::new();
        let node = self.nodes.get_mut(who).unwrap();
        if let Some(machine) = &mut node.machine {
            outputs.extend(std::iter::from_fn(|| machine.poll_output()));
        }
        for output in outputs {
            self.carry_out(who, output);
        }
    }

    fn carry_out(&mut self, who: &'static str, output: Output) {
        let now = self.now;
        let node = self.nodes.get_mut(who).unwrap();
        match output {
            Output::Packet { to, bytes } => {
                node.packets_sent += 1;
                self.wire.log.push((who, to.address, bytes.clone()));
                if self.route(who, &to, true).is_some() {
                    let delivery = Delivery::Packet { from: who, to: to.address, bytes };
                    self.schedule(LATENCY, delivery);
                } else if self.wire.reports_failures {
                    let failed = Delivery::SendFailed { to: who, target: to.address };
                    self.schedule(LATENCY, failed);
                }
            }
            Output::OpenStream { id, to, bytes, .. } => self.open(who, id, &to, bytes),
            Output::WriteStream { id, bytes, finish } => {
                if let Some((peer, far)) = node.streams.get(&id).copied()
                    && self.passes(who, peer, false)
                {
                    let data = Delivery::Data { to: peer, id: far, bytes, fin: finish };
                    self.schedule(LATENCY, data);
                }
            }
            Output::CloseStream { id } => {
                node.streams.remove(&id);
            }
            Output::ForgetPeer { address } => node.forgotten.push(address),
            Output::ResolveSeeds => node.resolutions += 1,
            Output::Finished { operation, outcome } => {
                let before = node.finished.insert(operation, outcome);
                assert!(before.is_none(), "{who} finished {operation:?} twice");
            }
            Output::Event(event) => node.events.push((now, event)),
        }
    }

    fn open(&mut self, who: &'static str, id: StreamId, to: &Destination, bytes: Vec<u8>) {
        let Some(peer) = self.route(who, to, false) else {
            if self.wire.reports_failures {
                let reason = StreamFailure::Refused;
                self.schedule(LATENCY, Delivery::StreamFailed { to: who, id, reason });
            }
            return;
        };
        self.next_stream += 1;
        let far = StreamId::incoming(self.next_stream);
        self.nodes.get_mut(who).unwrap().streams.insert(id, (peer, far));
        self.nodes.get_mut(peer).unwrap().streams.insert(far, (who, id));
        self.schedule(LATENCY, Delivery::Opened { to: peer, id: far, from: who });
        self.schedule(LATENCY, Delivery::Data { to: peer, id: far, bytes, fin: true });
    }

    /// Who is reached at a destination, if anybody is.
    fn route(&self, from: &'static str, to: &Destination, packet: bool) -> Option<&'static str> {
        let (peer, _) = self
            .nodes
            .iter()
            .find(|(_, node)| node.address == to.address && node.machine.is_some())?;
        let expected = to.name.as_ref().is_none_or(|expected| *expected == name(peer));
        (self.passes(from, peer, packet) && (expected || self.wire.unverified)).then_some(*peer)
    }

    fn passes(&self, from: &'static str, to: &'static str, packet: bool) -> bool {
        let cut = self.wire.cut.contains(&(from, to));
        let packets_cut = self.wire.packets_cut.contains(&(from, to));
        !cut && (!packet || !packets_cut)
    }

    fn peer(&self, who: &'static str) -> Peer {
        let names: Arc<[MemberName]> =
            if self.wire.unverified { Arc::new([]) } else { Arc::new([name(who)]) };
        Peer { address: self.address(who), names }
    }

    fn deliver(&mut self, delivery: Delivery) {
        let running = |cluster: &Self, who: &str| cluster.nodes[who].machine.is_some();
        match delivery {
            Delivery::Packet { from, to, bytes } => {
                let peer = self.peer(from);
                let at = self.nodes.iter().find(|(_, node)| node.address == to);
                if let Some(who) = at.map(|(who, _)| *who).filter(|who| running(self, who)) {
                    self.tell(who, |machine, now| machine.handle_packet(&peer, &bytes, now));
                }
            }
            Delivery::Opened { to, id, from } if running(self, to) => {
                let peer = self.peer(from);
                self.tell(to, |machine, now| machine.handle_stream_opened(id, &peer, now));
            }
            Delivery::Data { to, id, bytes, fin } if running(self, to) => {
                // In two pieces, as a real transport might.
                let half = bytes.len() / 2;
                let (first, second) = bytes.split_at(half);
                self.tell(to, |machine, now| machine.handle_stream_data(id, first, false, now));
                self.tell(to, |machine, now| machine.handle_stream_data(id, second, fin, now));
            }
            Delivery::StreamFailed { to, id, reason } if running(self, to) => {
                self.tell(to, |machine, now| machine.handle_stream_failed(id, reason, now));
            }
            Delivery::SendFailed { to, target } if running(self, to) => {
                self.tell(to, |machine, now| machine.handle_send_failed(target, now));
            }
            Delivery::Opened { .. }
            | Delivery::Data { .. }
            | Delivery::StreamFailed { .. }
            | Delivery::SendFailed { .. } => {}
        }
    }
}
