//! Several machines in virtual time, on the modelled transport.
//!
//! Everything takes one millisecond on the wire. A story ends when its condition holds, or fails
//! with everybody's view when its bound has passed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use swim_core::model::{EndpointId, Journey, Links, ModelHandle, ModelLimits, TransportModel};
use swim_core::{
    AcknowledgementId, Config, DeliveryStatus, Destination, LocalMember, Member, MemberName,
    MemberState, Membership, MembershipEvent, OperationId, Outcome, Output, Peer, RngSeed,
    StreamFailure, StreamGone, StreamId, StreamRead, Time, Transport, TransportAdapter,
    TransportEvent,
};

const LATENCY: Duration = Duration::from_millis(1);

pub(crate) fn name(text: &str) -> MemberName {
    MemberName::try_from(text).unwrap()
}

/// The name that a node of a story announces: two claim the same one as "bob" and "bob/2".
fn announced(who: &str) -> MemberName {
    name(who.split('/').next().unwrap_or(who))
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
    model: TransportModel,
    /// Packets that nobody sent, by when they arrive.
    injected: BTreeMap<(Time, usize), (&'static str, TransportEvent)>,
    injections: usize,
}

pub(crate) struct Node {
    pub(crate) machine: Option<Membership>,
    adapter: TransportAdapter,
    endpoint: EndpointId,
    pub(crate) address: SocketAddr,
    pub(crate) events: Vec<(Time, MembershipEvent)>,
    pub(crate) finished: BTreeMap<OperationId, Outcome>,
    pub(crate) forgotten: Vec<SocketAddr>,
    pub(crate) resolutions: usize,
    pub(crate) packets_sent: usize,
    /// What its application does with reliable messages; `None`: nothing so far.
    pub(crate) disposes: Option<DeliveryStatus>,
    /// Reliable messages with which the application has done nothing so far.
    pub(crate) owed: Vec<AcknowledgementId>,
}

/// What the network does to its traffic.
#[derive(Default)]
pub(crate) struct Wire {
    names: Vec<&'static str>,
    addresses: BTreeMap<SocketAddr, EndpointId>,
    /// Nothing passes from the first to the second.
    cut: BTreeSet<(&'static str, &'static str)>,
    /// Packets from the first to the second are refused, as the first is told.
    rejected: BTreeSet<(&'static str, &'static str)>,
    /// Hosts that refuse packets while their process is down.
    refusing: BTreeSet<&'static str>,
    /// No packets pass, but streams do.
    packets_cut: BTreeSet<(&'static str, &'static str)>,
    /// Peers prove no names.
    pub(crate) unverified: bool,
    /// A packet as it was sent, with sender and receiver.
    pub(crate) log: Vec<(&'static str, SocketAddr, Vec<u8>)>,
}

impl Links for Wire {
    fn endpoint_at(&self, address: SocketAddr) -> Option<EndpointId> {
        self.addresses.get(&address).copied()
    }

    fn connects(&self, from: EndpointId, to: EndpointId) -> bool {
        !self.cut.contains(&(self.who(from), self.who(to)))
    }

    fn refuses(&self, from: EndpointId, to: EndpointId, is_up: bool) -> bool {
        if to.index() >= self.names.len() {
            return false;
        }
        let (from, to) = (self.who(from), self.who(to));
        self.rejected.contains(&(from, to)) || !is_up && self.refusing.contains(to)
    }

    fn datagram(&mut self, from: EndpointId, to: EndpointId, bytes: &mut [u8]) -> Journey {
        // What QUIC itself has to say is no packet of a machine.
        let blocked =
            !bytes.is_empty() && self.packets_cut.contains(&(self.who(from), self.who(to)));
        match self.connects(from, to) && !blocked {
            true => Journey::Arrives { after: LATENCY, again: None },
            false => Journey::Lost,
        }
    }

    fn stream_delay(&mut self, _: EndpointId, _: EndpointId) -> Duration {
        LATENCY
    }

    /// In two pieces where that is possible, as a real transport might.
    fn piece(&mut self, waiting: usize) -> usize {
        waiting.div_ceil(2)
    }
}

/// A member's transport, which writes down what the stories look at.
struct Watched<'a> {
    model: ModelHandle<'a, Wire>,
    sent: Vec<(SocketAddr, Vec<u8>)>,
    forgotten: Vec<SocketAddr>,
}

impl Transport for Watched<'_> {
    fn send_packet(&mut self, to: &Destination, bytes: &[u8], now: Time) {
        self.sent.push((to.address, bytes.to_vec()));
        self.model.send_packet(to, bytes, now);
    }

    fn open_stream(&mut self, id: StreamId, to: &Destination, deadline: Time, now: Time) {
        self.model.open_stream(id, to, deadline, now);
    }

    fn write(&mut self, id: StreamId, bytes: &[u8], finish: bool) -> Result<usize, StreamGone> {
        self.model.write(id, bytes, finish)
    }

    fn read(&mut self, id: StreamId, buffer: &mut [u8]) -> Result<StreamRead, StreamFailure> {
        self.model.read(id, buffer)
    }

    fn stop(&mut self, id: StreamId) {
        self.model.stop(id);
    }

    fn reset(&mut self, id: StreamId) {
        self.model.reset(id);
    }

    fn peer_departed(&mut self, address: SocketAddr) {
        self.forgotten.push(address);
    }

    fn close_peer(&mut self, address: SocketAddr, now: Time) {
        self.model.close_peer(address, now);
    }
}

impl Wire {
    fn who(&self, endpoint: EndpointId) -> &'static str {
        self.names[endpoint.index()]
    }

    pub(crate) fn isolate(&mut self, who: &'static str, others: &[&'static str]) {
        for other in others {
            self.cut.insert((who, other));
            self.cut.insert((other, who));
        }
    }

    /// Nothing that `from` sends reaches `to`.
    pub(crate) fn cut_one_way(&mut self, from: &'static str, to: &'static str) {
        self.cut.insert((from, to));
    }

    pub(crate) fn block_packets(&mut self, one: &'static str, other: &'static str) {
        self.packets_cut.insert((one, other));
        self.packets_cut.insert((other, one));
    }

    /// A firewall refuses packets of one to another.
    pub(crate) fn reject(&mut self, from: &'static str, to: &'static str) {
        self.rejected.insert((from, to));
    }

    /// The host lives on when its process dies.
    pub(crate) fn let_refuse(&mut self, who: &'static str) {
        self.refusing.insert(who);
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
            model: TransportModel::new(ModelLimits::default()),
            injected: BTreeMap::new(),
            injections: 0,
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
        // Until everybody was told of the joins.
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
        let me = LocalMember { name: announced(who), address, meta: Vec::new() };
        let mut seed = [0; 32];
        seed[0] = u8::try_from(self.nodes.len()).unwrap();
        seed[1..9].copy_from_slice(&self.now.as_micros().to_be_bytes());
        let machine = Membership::new(config, me, RngSeed(seed), self.now).unwrap();
        let endpoint = self.endpoint(who);
        self.wire.addresses.retain(|_, other| *other != endpoint);
        self.wire.addresses.insert(address, endpoint);
        let node = Node {
            machine: Some(machine),
            adapter: TransportAdapter::default(),
            endpoint,
            address,
            events: Vec::new(),
            finished: BTreeMap::new(),
            forgotten: Vec::new(),
            resolutions: 0,
            packets_sent: 0,
            disposes: Some(DeliveryStatus::Taken),
            owed: Vec::new(),
        };
        self.nodes.insert(who, node);
        self.model.start(endpoint, self.peer(who));
        self.perform(who);
    }

    /// The endpoint of a member, also while it is down.
    fn endpoint(&mut self, who: &'static str) -> EndpointId {
        if let Some(node) = self.nodes.get(who) {
            return node.endpoint;
        }
        self.wire.names.push(who);
        self.model.add(Peer::unverified(([0, 0, 0, 0], 0).into()))
    }

    pub(crate) fn crash(&mut self, who: &str) {
        let node = self.nodes.get_mut(who).unwrap();
        node.machine = None;
        self.model.crash(node.endpoint);
    }

    /// The host of `who` gets another address: its connections are gone, its machine runs on.
    pub(crate) fn move_host(&mut self, who: &'static str, address: SocketAddr) {
        let endpoint = self.nodes[who].endpoint;
        self.model.crash(endpoint);
        self.wire.addresses.retain(|_, other| *other != endpoint);
        self.wire.addresses.insert(address, endpoint);
        self.nodes.get_mut(who).unwrap().address = address;
        self.model.start(endpoint, self.peer(who));
    }

    /// A member speaks memberlist's wire only, as Go's do, on connections made from here on.
    pub(crate) fn speak_as_go(&mut self, who: &str) {
        self.model.set_features(self.nodes[who].endpoint, None);
    }

    /// From now on a member says on new connections that it is the process with this start number.
    pub(crate) fn claim_start(&mut self, who: &str, start: u64) {
        self.model.set_start(self.nodes[who].endpoint, Some(start));
    }

    /// From now on dials fail at once where nobody answers, and nobody has a connection to `who`.
    pub(crate) fn fail_dials_to(&mut self, who: &str) {
        let limits = ModelLimits { dial_timeout: LATENCY, ..ModelLimits::default() };
        self.model.set_limits(limits);
        self.model.close_connections(self.nodes[who].endpoint);
    }

    /// All connections of `who` close, with the streams on them; new ones can be made.
    pub(crate) fn break_connections(&mut self, who: &str) {
        self.model.close_connections(self.nodes[who].endpoint);
        self.hand_over();
    }

    pub(crate) fn address(&self, who: &str) -> SocketAddr {
        self.nodes[who].address
    }

    /// Gives a command and performs what comes of it.
    pub(crate) fn tell<T>(
        &mut self,
        who: &'static str,
        command: impl FnOnce(&mut Membership, Time) -> T,
    ) -> T {
        let now = self.now;
        let machine = self.nodes.get_mut(who).unwrap().machine.as_mut();
        let result = command(machine.expect("it is running"), now);
        self.perform(who);
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
    pub(crate) fn inject(&mut self, from: &'static str, to: &'static str, bytes: Vec<u8>) {
        let (at, number) = (self.now + LATENCY, self.injections);
        self.injections += 1;
        let event = TransportEvent::Packet { from: self.peer(from), bytes };
        self.injected.insert((at, number), (to, event));
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
        let injected = self.injected.first_key_value().map(|((at, _), _)| *at);
        let carried = self.model.poll_timeout();
        let timers = self.nodes.iter().filter_map(|(who, node)| {
            let machine = node.machine.as_ref()?.poll_timeout();
            Some((machine.into_iter().chain(node.adapter.poll_timeout()).min()?, *who))
        });
        let timer = timers.min();
        let next = injected.into_iter().chain(carried).chain(timer.map(|(due, _)| due)).min();
        let Some(next) = next.filter(|next| *next <= end) else { return false };
        self.now = self.now.max(next);
        if carried == Some(next) {
            self.model.advance(self.now, &mut self.wire);
            self.hand_over();
        } else if injected == Some(next) {
            let (_, (who, event)) = self.injected.pop_first().unwrap();
            self.hear(who, event);
            self.hand_over();
        } else if let Some((_, who)) = timer {
            self.act_on_timers(who);
            self.hand_over();
        }
        true
    }

    /// Gives machines what their transports report.
    fn hand_over(&mut self) {
        while let Some((endpoint, event)) = self.model.poll_event() {
            self.hear(self.wire.who(endpoint), event);
        }
    }

    fn hear(&mut self, who: &'static str, event: TransportEvent) {
        self.act(who, |adapter, machine, transport, now| {
            adapter.handle_event(event, machine, transport, now);
        });
    }

    fn act_on_timers(&mut self, who: &'static str) {
        self.act(who, |adapter, machine, transport, now| {
            if machine.poll_timeout().is_some_and(|due| due <= now) {
                machine.handle_timeout(now);
            }
            adapter.perform(machine, transport, now);
            adapter.handle_timeout(machine, transport, now);
        });
    }

    fn perform(&mut self, who: &'static str) {
        self.act(who, |adapter, machine, transport, now| {
            adapter.perform(machine, transport, now);
        });
        self.hand_over();
    }

    fn act(
        &mut self,
        who: &'static str,
        act: impl FnOnce(&mut TransportAdapter, &mut Membership, &mut Watched<'_>, Time),
    ) {
        let now = self.now;
        let node = self.nodes.get_mut(who).unwrap();
        let Node { machine: Some(machine), adapter, .. } = node else { return };
        let model = self.model.handle(node.endpoint, &mut self.wire, now);
        let mut transport = Watched { model, sent: Vec::new(), forgotten: Vec::new() };
        act(adapter, machine, &mut transport, now);
        let Watched { sent, forgotten, .. } = transport;
        node.packets_sent += sent.len();
        node.forgotten.extend(forgotten);
        self.wire.log.extend(sent.into_iter().map(|(to, bytes)| (who, to, bytes)));
        let mut disposed = Vec::new();
        while let Some(output) = node.adapter.poll_output() {
            match output {
                Output::ResolveSeeds => node.resolutions += 1,
                Output::Finished { operation, outcome } => {
                    let before = node.finished.insert(operation, outcome);
                    assert!(before.is_none(), "{who} finished {operation:?} twice");
                }
                Output::Event(MembershipEvent::Message { acknowledgement: Some(id), .. })
                    if node.disposes.is_none() =>
                {
                    node.owed.push(id);
                }
                Output::Event(event) => {
                    let mut taken = true;
                    if let MembershipEvent::Message { acknowledgement: Some(id), .. } = &event {
                        let status = node.disposes.expect("checked above");
                        disposed.push((*id, status));
                        taken = status == DeliveryStatus::Taken;
                    }
                    if taken {
                        node.events.push((now, event));
                    }
                }
                other => panic!("the adapter performs this itself: {other:?}"),
            }
        }
        self.dispose(who, disposed);
    }

    /// The application of a member has done something with reliable messages.
    fn dispose(&mut self, who: &'static str, of: Vec<(AcknowledgementId, DeliveryStatus)>) {
        for (id, status) in of {
            self.act(who, |adapter, machine, transport, now| {
                machine.acknowledge(id, status, now);
                adapter.perform(machine, transport, now);
            });
        }
    }

    pub(crate) fn peer(&self, who: &'static str) -> Peer {
        let names: Arc<[MemberName]> =
            if self.wire.unverified { Arc::new([]) } else { Arc::new([announced(who)]) };
        Peer { address: self.address(who), names }
    }
}
