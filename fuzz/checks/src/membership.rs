//! One machine under an arbitrary sequence of inputs and commands.
//!
//! The first bytes choose its settings; from then on each step is one byte and what it needs:
//! packets and streams (any bytes, or what a few members may say), failures of the transport,
//! commands, and time going forward. After every step `watch` checks what must
//! hold; in the end every operation must have come to its one outcome.

use std::fmt::Write as _;
use std::time::Duration;

use swim_core::wire::{
    Ack, ErrorMessage, Keyring, MAX_META, Message, PacketDecoder, Side, WireSettings, compound,
    encode_packet, encode_push_pull, encode_stream, encode_user,
};
use swim_core::{
    Config, DialFailure, Hooks, IpNetwork, LocalMember, Member, MemberName, Membership, Peer,
    RngSeed, SecretKey, StreamFailure, StreamId, Time,
};

use crate::draw::Draw;
use crate::layers::{self, KEYS, NONCE};
use crate::participants;
use crate::watch::Watch;

/// Steps of one story; what follows is ignored.
const MOST_STEPS: usize = 40;
/// By then every operation has ended: the longest takes a minute.
const LONGEST_OPERATION: Duration = Duration::from_secs(61);

/// Checks one input. Returns whether more happened than the machine's own birth.
///
/// # Panics
/// On a finding.
pub fn check(input: &[u8]) -> bool {
    let mut draw = Draw::new(input);
    if draw.byte() != 0xff {
        return Story::begin(draw, false).run().0 > 1;
    }
    let (events, outputs) = Story::begin(draw.clone(), true).run();
    let (_, again) = Story::begin(draw, true).run();
    assert!(outputs == again, "the same inputs lead to other outputs");
    events > 1
}

/// A veto against one member of the participants.
struct Veto;

impl Hooks for Veto {
    fn admit_member(&mut self, candidate: &Member) -> Result<(), String> {
        if *candidate.name() == participants::name(4) {
            Err("eve stays outside".into())
        } else {
            Ok(())
        }
    }

    fn admit_merge(&mut self, members: &[Member]) -> Result<(), String> {
        if members.len() > 4 { Err("too many at once".into()) } else { Ok(()) }
    }
}

struct Story<'a> {
    draw: Draw<'a>,
    machine: Membership,
    watch: Watch,
    /// As the machine has them.
    layers: WireSettings,
    now: Time,
    next_stream: u64,
    /// Whether another run is compared with this one.
    is_repeated: bool,
    /// Everything that came out, as text, if so.
    outputs: String,
}

/// Settings from three bytes: the layers, switches, sizes.
fn settings(draw: &mut Draw<'_>) -> (Config, WireSettings) {
    let chosen = draw.byte();
    let mut layers = layers::chosen(chosen & 0x3f);
    let switches = draw.byte();
    let has = |bit: u8| switches >> bit & 1 == 1;
    let mut config = match switches & 3 {
        0 | 1 => Config::lan(),
        2 => Config::wan(),
        _ => Config::local(),
    };
    config.observers = if chosen & 0x40 == 0 { 0 } else { 3 };
    config.label = layers.label.as_bytes().to_vec();
    config.keys = layers.keyring.keys().filter_map(|key| SecretKey::try_from(key).ok()).collect();
    config.verify_incoming = layers.verify_incoming;
    config.skip_inbound_label_check = layers.skip_inbound_label_check;
    config.compression = layers.compression;
    layers.encryption_version = WireSettings::default().encryption_version;
    if has(2) {
        config.probe_interval = Duration::ZERO;
    }
    if has(3) {
        config.dead_node_reclaim_time = Duration::from_secs(5);
    }
    if has(4) {
        config.allowed_networks = "10.0.0.0/16".parse::<IpNetwork>().into_iter().collect();
    }
    if has(5) {
        config.local_health_suspicion = false;
        config.local_health_probe = false;
        config.buddy = false;
    }
    if has(6) {
        config.gossip_to_the_dead = Duration::from_secs(2);
    }
    config.max_members = draw.choice([8, 2, 1, 64]);
    config.max_broadcasts = 4;
    (config, layers)
}

impl<'a> Story<'a> {
    fn begin(mut draw: Draw<'a>, is_repeated: bool) -> Self {
        let (config, layers) = settings(&mut draw);
        let has_veto = draw.flag();
        let me = LocalMember {
            name: participants::name(0),
            address: participants::address(0),
            meta: draw.slice().iter().copied().take(MAX_META).collect(),
        };
        let mut seed = RngSeed([7; 32]);
        seed.0[0] = draw.byte();
        let watch = Watch::new(&config, readable(&layers));
        let now = Time::from_micros(draw.u32().into());
        let mut machine = Membership::new(config, me, seed, now).expect("the settings work");
        if has_veto {
            machine.set_hooks(Box::new(Veto));
        }
        let mut story = Self {
            draw,
            machine,
            watch,
            layers,
            now,
            next_stream: 0,
            is_repeated,
            outputs: String::new(),
        };
        story.settle();
        story
    }

    fn run(mut self) -> (usize, String) {
        for _ in 0..MOST_STEPS {
            if self.draw.is_empty() {
                break;
            }
            self.step();
            self.settle();
        }
        self.end();
        (self.watch.events(), self.outputs)
    }

    /// Takes the outputs and checks everything.
    fn settle(&mut self) -> usize {
        let outputs = self.watch.step(&mut self.machine);
        if self.is_repeated {
            for output in &outputs {
                write!(self.outputs, "{output:?}").expect("a string takes everything");
            }
        }
        outputs.len()
    }

    fn step(&mut self) {
        match self.draw.below(24) {
            0 => self.raw_packet(),
            1..6 => self.packet(),
            6 => self.answer_ping(),
            7 => self.raw_stream(),
            8 | 9 => self.incoming_stream(),
            10 => self.answer_stream(),
            11 => self.transport_fails(),
            12..15 => self.wait_for_deadline(),
            15 => self.wait(),
            16 => self.seeds(),
            17 => {
                let (address, name) = (self.place(), self.draw.flag().then(|| self.name()));
                let operation = self.machine.join(address, name, self.now);
                self.watch.issued(operation);
            }
            18 => self.rarely_leave(),
            19 => {
                let meta = self.draw.slice().to_vec();
                let is_short = meta.len() <= MAX_META;
                let accepted = self.machine.set_meta(meta, self.now).is_ok();
                assert!(is_short || !accepted);
            }
            20 => {
                let payload = self.draw.slice().to_vec();
                let _ = self.machine.broadcast(payload, self.now);
            }
            21 => self.send(),
            22 => self.change_keys(),
            _ => {
                let bytes = self.draw.slice().to_vec();
                let _ = self.machine.set_ack_payload(bytes.clone());
                let _ = self.machine.set_user_state(bytes);
            }
        }
    }

    /// Any bytes; those that no decoder reads change nothing.
    fn raw_packet(&mut self) {
        let from = participants::peer(&mut self.draw);
        let bytes = self.draw.slice();
        if PacketDecoder::default().decode(bytes, &self.layers).is_ok() {
            self.machine.handle_packet(&from, bytes, self.now);
            return;
        }
        let members: Vec<Member> = self.machine.members().collect();
        let (timeout, health) = (self.machine.poll_timeout(), self.machine.health());
        self.machine.handle_packet(&from, bytes, self.now);
        assert!(
            members.iter().cloned().eq(self.machine.members()),
            "a bad packet changed a member"
        );
        assert_eq!(timeout, self.machine.poll_timeout(), "a bad packet changed a deadline");
        assert_eq!(health, self.machine.health());
        assert_eq!(self.settle(), 1, "a bad packet causes one warning and nothing else");
    }

    /// What the participants may say.
    fn packet(&mut self) {
        let from = participants::peer(&mut self.draw);
        let Self { draw, watch, .. } = self;
        let mut number = |draw: &mut Draw<'_>| match watch.asked(draw.below(16)) {
            Some((_, number)) => *number,
            None => draw.byte().into(),
        };
        let parts: Vec<Vec<u8>> = (0..=draw.below(4))
            .map(|_| participants::message(draw, &mut number).to_vec())
            .collect();
        let packets = compound::join(&parts).unwrap_or_default();
        for packet in packets {
            let bytes = encode_packet(&packet, &sendable(&self.layers), self.draw.flag(), NONCE);
            self.machine.handle_packet(&from, &bytes, self.now);
            self.settle();
        }
    }

    /// An ack from whoever was asked.
    fn answer_ping(&mut self) {
        let choice = self.draw.below(16);
        let Some((to, number)) = self.watch.asked(choice) else {
            return;
        };
        let from = match &to.name {
            Some(name) => Peer { address: to.address, names: [name.clone()].into() },
            None => Peer::unverified(to.address),
        };
        let ack = Message::Ack(Ack { seq_no: *number, payload: None, ..Ack::default() }).to_vec();
        let bytes = encode_packet(&ack, &sendable(&self.layers), false, NONCE);
        self.machine.handle_packet(&from, &bytes, self.now);
    }

    fn open_stream(&mut self) -> StreamId {
        let from = participants::peer(&mut self.draw);
        let id = StreamId::incoming(self.next_stream);
        self.next_stream += 1;
        self.watch.opened(id);
        self.machine.handle_stream_opened(id, &from, self.now);
        self.settle();
        id
    }

    /// Any bytes on a new stream or on one that is open.
    fn raw_stream(&mut self) {
        let choice = self.draw.byte();
        let index = usize::from(choice >> 2);
        let known = match choice & 3 {
            0 => self.watch.incoming(index),
            1 => self.watch.outgoing(index).map(|(id, _)| id),
            _ => None,
        };
        let id = known.unwrap_or_else(|| self.open_stream());
        let fin = self.draw.flag();
        self.machine.handle_stream_data(id, self.draw.slice(), fin, self.now);
        self.settle();
    }

    /// A message of the participants on a new stream, in two pieces.
    fn incoming_stream(&mut self) {
        let id = self.open_stream();
        let plain = self.stream_message();
        self.feed(id, &plain, Side::Opener);
    }

    /// A message of the participants as the answer on a stream of ours.
    fn answer_stream(&mut self) {
        let choice = self.draw.below(16);
        let Some((id, _)) = self.watch.outgoing(choice) else {
            return;
        };
        let plain = self.stream_message();
        self.feed(id, &plain, Side::Answerer);
    }

    fn feed(&mut self, id: StreamId, plain: &[u8], side: Side) {
        let sealed = encode_stream(plain, &sendable(&self.layers), side, NONCE);
        let sealed = sealed.expect("a story's messages are short");
        let (head, tail) = sealed.split_at(sealed.len() * self.draw.below(4) / 4);
        self.machine.handle_stream_data(id, head, false, self.now);
        self.settle();
        self.machine.handle_stream_data(id, tail, self.draw.flag(), self.now);
        self.settle();
    }

    fn stream_message(&mut self) -> Vec<u8> {
        let draw = &mut self.draw;
        let mut plain = Vec::new();
        match draw.below(8) {
            0 => participants::ping(draw).encode(&mut plain),
            1 => {
                let choice = draw.below(16);
                let number = self.watch.asked(choice).map_or(0, |(_, number)| *number);
                Ack { seq_no: number, payload: draw.optional_slice(), ..Ack::default() }
                    .encode(&mut plain);
            }
            2 => ErrorMessage { error: draw.slice() }.encode(&mut plain),
            3 => encode_user(draw.slice(), &mut plain),
            _ => {
                let join = draw.flag();
                let nodes: Vec<_> =
                    (0..draw.below(8)).map(|_| participants::node_state(draw)).collect();
                encode_push_pull(join, nodes.into_iter(), draw.slice(), &mut plain);
            }
        }
        plain
    }

    fn transport_fails(&mut self) {
        let choice = self.draw.byte();
        let index = usize::from(choice >> 3);
        let streams = [self.watch.incoming(index), self.watch.outgoing(index).map(|(id, _)| id)];
        match choice & 7 {
            0..4 => {
                let reason = self.draw.choice([
                    StreamFailure::Refused,
                    StreamFailure::TimedOut,
                    StreamFailure::Reset,
                    StreamFailure::PeerMismatch,
                    StreamFailure::Closed,
                    StreamFailure::NotConnected(DialFailure::NoAnswer),
                ]);
                if let Some(id) = streams[usize::from(choice & 1)] {
                    self.watch.failed(id);
                    self.machine.handle_stream_failed(id, reason, self.now);
                }
            }
            4..6 => {
                let to = self.place();
                self.machine.handle_send_failed(to, StreamFailure::Closed, self.now);
            }
            _ => {
                let (peer, limit) = (self.place(), self.draw.u16());
                self.machine.handle_packet_limit(peer, limit.into(), self.now);
            }
        }
    }

    fn wait_for_deadline(&mut self) {
        if let Some(deadline) = self.next_deadline() {
            self.now = self.now.max(deadline);
            self.pass_time();
        }
    }

    /// The machine's next deadline, or that of a stream, which the transport keeps.
    fn next_deadline(&self) -> Option<Time> {
        let stream = self.watch.first_deadline().map(|(deadline, _)| deadline);
        self.machine.poll_timeout().into_iter().chain(stream).min()
    }

    fn wait(&mut self) {
        // From a microsecond to half a minute, in powers of two.
        self.now += Duration::from_micros(1 << self.draw.below(26));
        self.pass_time();
    }

    fn pass_time(&mut self) {
        while let Some((_, id)) = self.watch.first_deadline().filter(|due| due.0 <= self.now) {
            self.watch.failed(id);
            self.machine.handle_stream_failed(id, StreamFailure::TimedOut, self.now);
            self.settle();
        }
        self.machine.handle_timeout(self.now);
        self.settle();
        self.watch.timeout(&self.machine, self.now);
    }

    fn seeds(&mut self) {
        let count = self.draw.below(5);
        let seeds = (0..count).map(|_| self.place()).collect();
        self.machine.set_seeds(seeds, self.now);
    }

    /// A leave ends most of what can happen, so it takes two bytes.
    fn rarely_leave(&mut self) {
        if self.draw.byte() < 64 {
            let operation = self.machine.leave(self.now);
            self.watch.issued(operation);
        }
    }

    fn send(&mut self) {
        let to = self.name();
        let choice = self.draw.below(3);
        let operation = match choice {
            0 => {
                let _ = self.machine.send(&to, self.draw.slice(), self.now);
                return;
            }
            1 => self.machine.ping(&to, self.now),
            _ => {
                let timeout = Duration::from_millis(self.draw.u16().min(60_000).into());
                self.machine.send_reliable(&to, self.draw.slice(), timeout, self.now)
            }
        };
        if let Ok(operation) = operation {
            self.watch.issued(operation);
        }
    }

    /// The machine's ring and ours take the same changes with the same result.
    fn change_keys(&mut self) {
        let choice = self.draw.byte();
        let bytes = KEYS[usize::from(choice >> 2) % KEYS.len()];
        let key = SecretKey::try_from(bytes).expect("a key of a good length");
        let ring = &mut self.layers.keyring;
        match choice & 3 {
            0 => assert_eq!(self.machine.add_key(&key).is_ok(), ring.add(bytes).is_ok()),
            1 => assert_eq!(self.machine.use_key(&key).is_ok(), ring.use_key(bytes).is_ok()),
            _ => assert_eq!(self.machine.remove_key(&key).is_ok(), ring.remove(bytes).is_ok()),
        }
    }

    fn name(&mut self) -> MemberName {
        let bytes = participants::name_bytes(&mut self.draw);
        MemberName::try_from(bytes).unwrap_or_else(|_| participants::name(1))
    }

    fn place(&mut self) -> std::net::SocketAddr {
        participants::address(self.draw.below(participants::NAMES.len()))
    }

    /// Lets time pass until every operation has ended.
    fn end(&mut self) {
        let latest = self.now + LONGEST_OPERATION;
        while self.watch.pending() > 0 {
            let deadline = self.next_deadline();
            let deadline = deadline.expect("an operation is under way and nothing will end it");
            assert!(deadline <= latest, "{} operations never end", self.watch.pending());
            self.now = self.now.max(deadline);
            self.pass_time();
        }
    }
}

/// Layers that read whatever the machine may send, whichever of the keys it uses.
fn readable(layers: &WireSettings) -> WireSettings {
    let mut keyring = Keyring::default();
    for key in KEYS {
        keyring.add(key).expect("a key of a good length");
    }
    WireSettings {
        keyring,
        verify_incoming: false,
        skip_inbound_label_check: false,
        ..layers.clone()
    }
}

/// Layers that the machine reads: without a label where somebody else takes it off.
fn sendable(layers: &WireSettings) -> WireSettings {
    let mut layers = layers.clone();
    if layers.skip_inbound_label_check {
        // The label is authenticated all the same, so an encrypted one stays shut.
        layers.label = Default::default();
    }
    layers
}
