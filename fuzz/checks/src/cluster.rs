//! Three machines on the modelled transport, over a network that loses, repeats, delays and
//! damages what they send.
//!
//! Each step is one byte: something under way is carried, what is sent next gets lost, repeated,
//! delayed or damaged, the clock goes on to the next deadline, a member crashes and comes back, or
//! somebody commands something. After every turn `watch` checks the machine concerned.

use std::net::SocketAddr;
use std::time::Duration;

use swim_core::model::{EndpointId, Journey, Links, ModelHandle, ModelLimits, TransportModel};
use swim_core::wire::WireSettings;
use swim_core::{
    Config, DeliveryStatus, Destination, LocalMember, Membership, MembershipEvent, Output, Peer,
    RngSeed, StreamFailure, StreamGone, StreamId, StreamRead, Time, Transport, TransportAdapter,
    TransportEvent,
};

use crate::draw::Draw;
use crate::participants;
use crate::watch::Watch;

const MEMBERS: usize = 3;
/// Steps of one story; what follows is ignored.
const MOST_STEPS: usize = 50;
/// What one step carries at most: a dial, a request, its answer and their acknowledgements.
const CARRIED_AT_ONCE: usize = 8;

/// Checks one input. Returns whether somebody met somebody.
///
/// # Panics
/// On a finding.
pub fn check(input: &[u8]) -> bool {
    let mut draw = Draw::new(input);
    let mut cluster = Cluster::new(draw.byte());
    for _ in 0..MOST_STEPS {
        if draw.is_empty() {
            break;
        }
        cluster.step(&mut draw);
    }
    cluster.members.iter().any(|member| member.watch.others() > 0)
}

struct Host {
    machine: Membership,
    adapter: TransportAdapter,
    watch: Watch,
}

struct Cluster {
    config: Config,
    members: Vec<Host>,
    model: TransportModel,
    network: Network,
    now: Time,
    births: u8,
}

/// What happens to the next packet.
#[derive(Clone, Copy, Default)]
enum Fault {
    #[default]
    None,
    Lost,
    Repeated,
    Delayed(Duration),
    /// At this place, by these bits.
    Damaged(u16, u8),
}

#[derive(Default)]
struct Network {
    next: Fault,
}

fn index_of(id: EndpointId) -> usize {
    id.index() % MEMBERS
}

impl Links for Network {
    fn endpoint_at(&self, address: SocketAddr) -> Option<EndpointId> {
        let index = (0..MEMBERS).find(|index| participants::address(*index) == address)?;
        u32::try_from(index).ok().map(EndpointId)
    }

    fn connects(&self, _: EndpointId, _: EndpointId) -> bool {
        true
    }

    fn datagram(&mut self, _: EndpointId, _: EndpointId, bytes: &mut [u8]) -> Journey {
        let travel = Duration::from_micros(500);
        let arrives = |after| Journey::Arrives { after, again: None };
        if bytes.is_empty() {
            return arrives(travel);
        }
        match std::mem::take(&mut self.next) {
            Fault::None => arrives(travel),
            Fault::Lost => Journey::Lost,
            Fault::Repeated => Journey::Arrives { after: travel, again: Some(2 * travel) },
            Fault::Delayed(by) => arrives(travel + by),
            Fault::Damaged(place, bits) => {
                if let Some(place) = usize::from(place).checked_rem(bytes.len()) {
                    bytes[place] ^= bits;
                }
                arrives(travel)
            }
        }
    }

    fn stream_delay(&mut self, _: EndpointId, _: EndpointId) -> Duration {
        Duration::from_micros(500)
    }
}

/// A member's transport, which tells `watch` what the machine wants of it.
struct Watched<'a> {
    model: ModelHandle<'a, Network>,
    watch: &'a mut Watch,
    /// Opened, and the request not written yet.
    opening: Option<(StreamId, Destination, Time)>,
}

impl Transport for Watched<'_> {
    fn send_packet(&mut self, to: &Destination, bytes: &[u8], now: Time) {
        self.watch.output(&Output::Packet { to: to.clone(), bytes: bytes.to_vec() });
        self.model.send_packet(to, bytes, now);
    }

    fn open_stream(&mut self, id: StreamId, to: &Destination, deadline: Time, now: Time) {
        self.opened_without_bytes();
        self.opening = Some((id, to.clone(), deadline));
        self.model.open_stream(id, to, deadline, now);
    }

    fn write(&mut self, id: StreamId, bytes: &[u8], finish: bool) -> Result<usize, StreamGone> {
        let bytes_of = || bytes.to_vec();
        if self.opening.as_ref().is_some_and(|(opened, ..)| *opened != id) {
            self.opened_without_bytes();
        }
        match self.opening.take() {
            Some((id, to, deadline)) => {
                let bytes = bytes_of();
                self.watch.output(&Output::OpenStream { id, to, bytes, finish, deadline });
            }
            None if id.is_incoming() => {
                self.watch.output(&Output::WriteStream { id, bytes: bytes_of(), finish });
            }
            // The rest of a request for which there was no room.
            None => {}
        }
        self.model.write(id, bytes, finish)
    }

    fn read(&mut self, id: StreamId, buffer: &mut [u8]) -> Result<StreamRead, StreamFailure> {
        let read = self.model.read(id, buffer);
        if read.is_err() {
            self.watch.failed(id);
        }
        read
    }

    fn stop(&mut self, id: StreamId) {
        self.opened_without_bytes();
        self.watch.output(&Output::CloseStream { id });
        self.model.stop(id);
    }

    fn reset(&mut self, id: StreamId) {
        self.opened_without_bytes();
        self.watch.output(&Output::ResetStream { id });
        self.model.reset(id);
    }

    fn peer_departed(&mut self, address: SocketAddr) {
        self.watch.output(&Output::ForgetPeer { address });
    }

    fn close_peer(&mut self, address: SocketAddr, now: Time) {
        self.model.close_peer(address, now);
    }
}

impl Watched<'_> {
    /// A stream was opened that is to be written later.
    fn opened_without_bytes(&mut self) {
        if let Some((id, to, deadline)) = self.opening.take() {
            let (bytes, finish) = (Vec::new(), false);
            self.watch.output(&Output::OpenStream { id, to, bytes, finish, deadline });
        }
    }
}

impl Cluster {
    fn new(flags: u8) -> Self {
        let has = |bit: u8| flags >> bit & 1 == 1;
        let mut config = Config::local();
        config.max_members = 8;
        config.max_broadcasts = 4;
        config.compression = has(0);
        config.stream_fallback = !has(1);
        if has(2) {
            config.dead_node_reclaim_time = Duration::from_secs(5);
        }
        if has(3) {
            config.gossip_to_the_dead = Duration::from_secs(2);
        }
        let mut cluster = Self {
            members: Vec::new(),
            config,
            model: TransportModel::new(ModelLimits::default()),
            network: Network::default(),
            now: Time::ZERO,
            births: 0,
        };
        for index in 0..MEMBERS {
            cluster.model.add(peer(index));
            let host = cluster.start(index);
            cluster.members.push(host);
            cluster.perform(index);
        }
        cluster
    }

    /// A machine that begins anew, at incarnation 1, and its endpoint.
    fn start(&mut self, index: usize) -> Host {
        let me = LocalMember {
            name: participants::name(index),
            address: participants::address(index),
            meta: vec![self.births],
        };
        let mut seed = RngSeed([3; 32]);
        seed.0[0] = self.births;
        self.births = self.births.wrapping_add(1);
        let watch = Watch::new(&self.config, WireSettings::default());
        let machine = Membership::new(self.config.clone(), me, seed, self.now);
        self.model.start(endpoint(index), peer(index));
        let machine = machine.expect("the settings work");
        Host { machine, adapter: TransportAdapter::default(), watch }
    }

    fn step(&mut self, draw: &mut Draw<'_>) {
        match draw.below(16) {
            0..5 => self.carry(),
            5 => self.network.next = Fault::Delayed(Duration::from_millis(draw.byte().into())),
            6 => self.network.next = Fault::Lost,
            7 => self.network.next = Fault::Repeated,
            8 => self.network.next = Fault::Damaged(draw.u16(), draw.byte()),
            9..13 => self.wait_for_deadline(),
            13 => {
                self.now += Duration::from_millis(1 << draw.below(16));
                self.pass_time();
            }
            14 => self.crash(draw.below(MEMBERS)),
            _ => self.command(draw),
        }
    }

    /// Lets what is under way arrive, as far as that takes no deadline of a machine.
    fn carry(&mut self) {
        let deadline = self.members.iter().filter_map(|member| member.machine.poll_timeout()).min();
        for _ in 0..CARRIED_AT_ONCE {
            let due = self.model.poll_timeout();
            let Some(due) = due.filter(|due| deadline.is_none_or(|deadline| *due < deadline))
            else {
                return;
            };
            self.now = self.now.max(due);
            self.advance();
        }
    }

    /// Does what is due in the model.
    fn advance(&mut self) {
        while self.model.advance(self.now, &mut self.network) {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        while let Some((id, event)) = self.model.poll_event() {
            let index = index_of(id);
            match &event {
                TransportEvent::StreamOpened { id, .. } => self.members[index].watch.opened(*id),
                TransportEvent::StreamFailed { id, .. } => self.members[index].watch.failed(*id),
                TransportEvent::Packet { .. }
                | TransportEvent::StreamReadable { .. }
                | TransportEvent::StreamWritable { .. }
                | TransportEvent::SendFailed { .. }
                | TransportEvent::Hint { .. }
                | TransportEvent::PacketLimit { .. }
                | TransportEvent::PeerFeatures { .. } => {}
            }
            self.act(index, |adapter, machine, transport, now| {
                adapter.handle_event(event, machine, transport, now);
            });
        }
    }

    fn perform(&mut self, index: usize) {
        self.act(index, |adapter, machine, transport, now| {
            adapter.perform(machine, transport, now);
        });
        self.hand_over();
    }

    /// Lets a member act, and checks it.
    fn act(
        &mut self,
        index: usize,
        act: impl FnOnce(&mut TransportAdapter, &mut Membership, &mut Watched<'_>, Time),
    ) {
        let now = self.now;
        let Host { machine, adapter, watch } = &mut self.members[index];
        let model = self.model.handle(endpoint(index), &mut self.network, now);
        let mut transport = Watched { model, watch, opening: None };
        act(adapter, machine, &mut transport, now);
        transport.opened_without_bytes();
        while let Some(output) = adapter.poll_output() {
            transport.watch.output(&output);
            let Output::Event(MembershipEvent::Message { acknowledgement: Some(id), .. }) = output
            else {
                continue;
            };
            machine.acknowledge(id, DeliveryStatus::Taken, now);
            adapter.perform(machine, &mut transport, now);
            transport.opened_without_bytes();
        }
        watch.after_turn(machine);
    }

    fn wait_for_deadline(&mut self) {
        let deadlines = self.members.iter().filter_map(|member| member.machine.poll_timeout());
        if let Some(deadline) = deadlines.min() {
            self.now = self.now.max(deadline);
            self.pass_time();
        }
    }

    fn pass_time(&mut self) {
        self.advance();
        for index in 0..MEMBERS {
            let due = self.members[index].machine.poll_timeout();
            if due.is_none_or(|due| due > self.now) {
                continue;
            }
            self.act(index, |adapter, machine, transport, now| {
                machine.handle_timeout(now);
                adapter.perform(machine, transport, now);
                adapter.handle_timeout(machine, transport, now);
            });
            self.hand_over();
            let Host { machine, watch, .. } = &self.members[index];
            watch.timeout(machine, self.now);
        }
    }

    /// It comes back at once and remembers nothing; others may still write to its old self.
    fn crash(&mut self, index: usize) {
        let host = self.start(index);
        self.members[index] = host;
        self.perform(index);
    }

    fn command(&mut self, draw: &mut Draw<'_>) {
        let (who, whom, what) = (draw.below(MEMBERS), draw.below(MEMBERS), draw.below(8));
        let (name, address) = (participants::name(whom), participants::address(whom));
        let machine = &mut self.members[who].machine;
        let operation = match what {
            0..3 => Some(machine.join(address, None, self.now)),
            3 => machine.ping(&name, self.now).ok(),
            4 => machine.send_reliable(&name, b"hello", Duration::from_secs(3), self.now).ok(),
            5 => (draw.byte() < 16).then(|| machine.leave(self.now)),
            6 => {
                machine.set_seeds(vec![address], self.now);
                None
            }
            _ => {
                let _ = machine.set_meta(draw.slice().to_vec(), self.now);
                self.perform(who);
                let _ = self.members[who].machine.broadcast(b"updates".to_vec(), self.now);
                None
            }
        };
        if let Some(operation) = operation {
            self.members[who].watch.issued(operation);
        }
        self.perform(who);
    }
}

fn endpoint(index: usize) -> EndpointId {
    EndpointId(u32::try_from(index).unwrap_or(0))
}

fn peer(index: usize) -> Peer {
    Peer { address: participants::address(index), names: [participants::name(index)].into() }
}
