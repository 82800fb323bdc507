//! Three machines on a network that loses, repeats, reorders and damages what they send.
//!
//! Each step is one byte: a packet or stream that is under way is delivered, lost, repeated or
//! damaged, the clock goes on to the next deadline, a member crashes and comes back, or somebody
//! commands something. After every step `watch` checks the machine concerned.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use swim_core::wire::WireSettings;
use swim_core::{
    Config, LocalMember, Membership, Output, Peer, RngSeed, StreamFailure, StreamId, Time,
};

use crate::draw::Draw;
use crate::participants;
use crate::watch::Watch;

const MEMBERS: usize = 3;
/// Steps of one story; what follows is ignored.
const MOST_STEPS: usize = 50;
/// Packets and streams under way; the oldest get lost beyond that.
const MOST_UNDER_WAY: usize = 64;

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
    watch: Watch,
}

enum UnderWay {
    Packet { bytes: Vec<u8> },
    Request { id: StreamId, bytes: Vec<u8> },
    Answer { id: StreamId, bytes: Vec<u8> },
}

struct Letter {
    from: usize,
    to: usize,
    content: UnderWay,
}

struct Cluster {
    config: Config,
    members: Vec<Host>,
    now: Time,
    under_way: VecDeque<Letter>,
    /// Streams that were opened: by whom, under which name there, and which name here.
    streams: VecDeque<(usize, StreamId, usize, StreamId)>,
    next_stream: u64,
    births: u8,
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
        let now = Time::ZERO;
        let mut cluster = Self {
            members: Vec::new(),
            config,
            now,
            under_way: VecDeque::new(),
            streams: VecDeque::new(),
            next_stream: 0,
            births: 0,
        };
        for index in 0..MEMBERS {
            let host = cluster.host(index);
            cluster.members.push(host);
            cluster.settle(index);
        }
        cluster
    }

    /// A machine that begins anew, at incarnation 1.
    fn host(&mut self, index: usize) -> Host {
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
        Host { machine: machine.expect("the settings work"), watch }
    }

    fn step(&mut self, draw: &mut Draw<'_>) {
        match draw.below(16) {
            0..5 => self.deliver_next(0),
            5 => self.deliver_next(draw.byte().into()),
            6 => self.lose(draw.byte().into()),
            7 => self.repeat(draw.byte().into()),
            8 => self.damage(draw.byte().into(), draw),
            9..13 => self.wait_for_deadline(),
            13 => {
                self.now += Duration::from_millis(1 << draw.below(16));
                self.pass_time();
            }
            14 => self.crash(draw.below(MEMBERS)),
            _ => self.command(draw),
        }
    }

    /// Takes what a machine wants sent.
    fn settle(&mut self, from: usize) {
        let Host { machine, watch } = &mut self.members[from];
        for output in watch.step(machine) {
            match output {
                Output::Packet { to, bytes } => {
                    self.post(from, to.address, UnderWay::Packet { bytes });
                }
                Output::OpenStream { id, to, bytes, .. } => {
                    self.post(from, to.address, UnderWay::Request { id, bytes });
                }
                Output::WriteStream { id, bytes, .. } => {
                    let opener = self
                        .streams
                        .iter()
                        .find(|(.., host, theirs)| (*host, *theirs) == (from, id));
                    if let Some(&(to, id, ..)) = opener {
                        let content = UnderWay::Answer { id, bytes };
                        self.under_way.push_back(Letter { from, to, content });
                    }
                }
                Output::CloseStream { .. }
                | Output::ResetStream { .. }
                | Output::ForgetPeer { .. }
                | Output::ResolveSeeds
                | Output::Finished { .. }
                | Output::Event(_) => {}
            }
        }
        while self.under_way.len() > MOST_UNDER_WAY {
            self.lose(0);
        }
    }

    fn post(&mut self, from: usize, address: SocketAddr, content: UnderWay) {
        if let Some(to) = (0..MEMBERS).find(|index| participants::address(*index) == address) {
            self.under_way.push_back(Letter { from, to, content });
        }
    }

    fn take(&mut self, choice: usize) -> Option<Letter> {
        let index = choice.checked_rem(self.under_way.len())?;
        self.under_way.remove(index)
    }

    fn deliver_next(&mut self, choice: usize) {
        if let Some(letter) = self.take(choice) {
            self.deliver(letter);
        }
    }

    fn deliver(&mut self, Letter { from, to, content }: Letter) {
        let peer =
            Peer { address: participants::address(from), names: [participants::name(from)].into() };
        let Host { machine, watch } = &mut self.members[to];
        match content {
            UnderWay::Packet { bytes } => machine.handle_packet(&peer, &bytes, self.now),
            UnderWay::Answer { id, bytes } => {
                machine.handle_stream_data(id, &bytes, true, self.now);
            }
            UnderWay::Request { id: theirs, bytes } => {
                let id = StreamId::incoming(self.next_stream);
                self.next_stream += 1;
                self.streams.push_back((from, theirs, to, id));
                if self.streams.len() > MOST_UNDER_WAY {
                    self.streams.pop_front();
                }
                watch.opened(id);
                machine.handle_stream_opened(id, &peer, self.now);
                self.settle(to);
                self.members[to].machine.handle_stream_data(id, &bytes, true, self.now);
            }
        }
        self.settle(to);
    }

    /// A lost packet is silence; a lost stream is a failure that its opener hears of.
    fn lose(&mut self, choice: usize) {
        let Some(letter) = self.take(choice) else {
            return;
        };
        let (opener, id) = match letter.content {
            UnderWay::Packet { .. } => return,
            UnderWay::Request { id, .. } => (letter.from, id),
            UnderWay::Answer { id, .. } => (letter.to, id),
        };
        let Host { machine, watch } = &mut self.members[opener];
        watch.failed(id);
        machine.handle_stream_failed(id, StreamFailure::Reset, self.now);
        self.settle(opener);
    }

    /// Delivers a packet and leaves it under way; streams are never repeated.
    fn repeat(&mut self, choice: usize) {
        let Some(letter) = self.take(choice) else {
            return;
        };
        if let UnderWay::Packet { bytes } = &letter.content {
            let content = UnderWay::Packet { bytes: bytes.clone() };
            self.under_way.push_back(Letter { content, ..letter });
        }
        self.deliver(letter);
    }

    fn damage(&mut self, choice: usize, draw: &mut Draw<'_>) {
        let Some(mut letter) = self.take(choice) else {
            return;
        };
        let (UnderWay::Packet { bytes }
        | UnderWay::Request { bytes, .. }
        | UnderWay::Answer { bytes, .. }) = &mut letter.content;
        let place = usize::from(draw.u16()).checked_rem(bytes.len());
        let damage = draw.byte();
        match place {
            Some(place) if damage == 0 => bytes.truncate(place),
            Some(place) => bytes[place] ^= damage,
            None => bytes.push(damage),
        }
        self.deliver(letter);
    }

    fn wait_for_deadline(&mut self) {
        let deadlines = self.members.iter().filter_map(|member| member.machine.poll_timeout());
        if let Some(deadline) = deadlines.min() {
            self.now = self.now.max(deadline);
            self.pass_time();
        }
    }

    fn pass_time(&mut self) {
        for index in 0..MEMBERS {
            let due = self.members[index].machine.poll_timeout();
            if due.is_none_or(|due| due > self.now) {
                continue;
            }
            self.members[index].machine.handle_timeout(self.now);
            self.settle(index);
            let Host { machine, watch } = &self.members[index];
            watch.timeout(machine, self.now);
        }
    }

    /// It comes back at once and remembers nothing; others may still write to its old self.
    fn crash(&mut self, index: usize) {
        let host = self.host(index);
        self.members[index] = host;
        self.under_way.retain(|letter| {
            let is_answer = matches!(letter.content, UnderWay::Answer { .. });
            letter.from != index && !(letter.to == index && is_answer)
        });
        self.streams.retain(|(opener, _, host, _)| *opener != index && *host != index);
        self.settle(index);
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
                self.settle(who);
                let _ = self.members[who].machine.broadcast(b"text".to_vec(), self.now);
                None
            }
        };
        if let Some(operation) = operation {
            self.members[who].watch.issued(operation);
        }
        self.settle(who);
    }
}
