//! The same scripts on real endpoints and on the model of them that the simulator uses.
//!
//! Each script is run in two worlds; what every member was told, in which order, and what it
//! read must be equal. Times are not compared, nor how many bytes one call takes or brings.

mod model;
mod real;
mod scripts;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use swim_core::{
    Destination, Features, MemberName, StreamFailure, StreamGone, StreamId, StreamRead, Time,
    Transport, TransportEvent,
};

/// Those who take part, by their place in it.
const PARTICIPANTS: [&str; 3] = ["ada", "bob", "cyd"];
pub(super) const ADA: usize = 0;
pub(super) const BOB: usize = 1;
pub(super) const CYD: usize = 2;
/// An address where nobody is.
pub(super) const NOBODY: usize = 9;

/// How long both worlds give a dial.
const DIAL_TIMEOUT: Duration = Duration::from_millis(400);
/// A deadline that no script reaches.
pub(super) const LONG: Duration = Duration::from_secs(10);
/// How long whoever writes or reads much waits between two calls.
const STEP: Duration = Duration::from_millis(5);
/// Longer than anything takes that nobody delays on purpose.
pub(super) const MOMENT: Duration = Duration::from_millis(120);

fn name(text: &str) -> MemberName {
    MemberName::try_from(text).unwrap()
}

fn address(who: usize) -> SocketAddr {
    let host = u8::try_from(who + 1).unwrap();
    SocketAddr::from((Ipv4Addr::new(10, 0, 0, host), 7946))
}

/// What a participant says that it speaks.
fn features(who: usize) -> Features {
    Features::from_bits(1 << who)
}

/// Three transports and a network between them.
trait World {
    /// Lets a member use its transport.
    fn act(&mut self, who: usize, act: &mut dyn FnMut(&mut dyn Transport, Time));
    /// Lets time pass, at least this much of it.
    fn pass(&mut self, span: Duration);
    /// What a member's transport has reported.
    fn take_events(&mut self, who: usize) -> Vec<TransportEvent>;
    /// Lets nothing travel from one to the other, or lets it again.
    fn cut(&mut self, from: usize, to: usize, is_cut: bool);
    /// Lets nothing longer than this travel as one datagram, in bytes of UDP payload.
    fn narrow(&mut self, longest: usize);
    /// A member's process ends and starts anew at once.
    fn restart(&mut self, who: usize);
}

/// Runs a script in a world and writes down what everybody was told.
pub(super) struct Stage<'a> {
    world: &'a mut dyn World,
    /// How long everybody waits before reading on while somebody writes; `None` is for ever.
    pub(super) reading_pause: Option<Duration>,
    unread_for: Duration,
    stories: [Story; PARTICIPANTS.len()],
}

/// What one member was told.
#[derive(Default)]
struct Story {
    lines: Vec<String>,
    /// Streams that others opened, in the order in which it heard of them.
    accepted: Vec<StreamId>,
    /// Bytes read of each stream on the side, while somebody wrote.
    read: BTreeMap<StreamId, usize>,
    /// What it was told of the features of others.
    features: Vec<(SocketAddr, Option<Features>)>,
}

/// A stream as a script calls it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Name {
    /// The one that the member opened under this number.
    Own(u64),
    /// The one that it heard of as its so-manyth, from 0.
    Theirs(usize),
}

impl<'a> Stage<'a> {
    fn new(world: &'a mut dyn World) -> Self {
        Self {
            world,
            reading_pause: Some(Duration::ZERO),
            unread_for: Duration::ZERO,
            stories: Default::default(),
        }
    }

    /// Lets time pass and writes down what is reported.
    pub(super) fn pass(&mut self, span: Duration) {
        self.world.pass(span);
        for who in 0..PARTICIPANTS.len() {
            for event in self.world.take_events(who) {
                self.stories[who].note(&event);
            }
        }
    }

    pub(super) fn open(&mut self, who: usize, number: u64, to: usize, deadline: Duration) {
        let to =
            Destination { address: address(to), name: PARTICIPANTS.get(to).copied().map(name) };
        self.open_at(who, number, &to, deadline);
    }

    /// The member opens its stream 1 to another, writes on it, and the first bytes arrive.
    pub(super) fn request(&mut self, who: usize, to: usize, length: usize, finish: bool) {
        self.open(who, 1, to, LONG);
        self.write(who, Name::Own(1), length, finish);
        self.pass(MOMENT);
    }

    pub(super) fn open_expecting(&mut self, who: usize, number: u64, to: usize, expected: &str) {
        let to = Destination { address: address(to), name: Some(name(expected)) };
        self.open_at(who, number, &to, LONG);
    }

    fn open_at(&mut self, who: usize, number: u64, to: &Destination, deadline: Duration) {
        self.world.act(who, &mut |transport, now| {
            transport.open_stream(StreamId::outgoing(number), to, now + deadline, now);
        });
    }

    pub(super) fn packet(&mut self, who: usize, to: usize, length: usize) {
        let expected = PARTICIPANTS.get(to).copied();
        self.packet_expecting(who, to, expected, length);
    }

    pub(super) fn packet_expecting(
        &mut self,
        who: usize,
        to: usize,
        expected: Option<&str>,
        length: usize,
    ) {
        let to = Destination { address: address(to), name: expected.map(name) };
        let bytes = vec![1; length];
        self.world.act(who, &mut |transport, now| transport.send_packet(&to, &bytes, now));
    }

    /// Sends packets of this length, one after the other, until one of them has arrived.
    pub(super) fn packets_until_one_arrives(&mut self, who: usize, to: usize, length: usize) {
        let arrived = format!("a packet of {length} bytes from {}", PARTICIPANTS[who]);
        for _ in 0..50 {
            self.packet(who, to, length);
            self.pass(MOMENT);
            if self.stories[to].lines.contains(&arrived) {
                return;
            }
        }
        panic!("no packet of {length} bytes arrives");
    }

    /// Writes all of it, passing time whenever the transport takes no more at once.
    pub(super) fn write(&mut self, who: usize, stream: Name, length: usize, finish: bool) {
        let id = self.stories[who].id(stream);
        let bytes = vec![2; length];
        let mut written = 0;
        for _ in 0..4_000 {
            let mut result = Err(StreamGone);
            self.world.act(who, &mut |transport, _| {
                result = transport.write(id, &bytes[written..], finish);
            });
            match result {
                Ok(taken) => written += taken,
                Err(StreamGone) => {
                    self.stories[who].line(format!("{stream:?} takes no more"));
                    return;
                }
            }
            if written == length {
                return;
            }
            self.pass(STEP);
            self.read_quietly();
        }
        panic!("{} of {length} bytes were never taken", length - written);
    }

    /// Reads what is there and writes down how much it was.
    pub(super) fn read(&mut self, who: usize, stream: Name) {
        let id = self.stories[who].id(stream);
        let text = match self.read_all(who, id) {
            Ok((bytes, fin)) => {
                format!("read {bytes} of {stream:?}{}", if fin { ", end" } else { "" })
            }
            Err(reason) => format!("reading {stream:?} failed: {reason:?}"),
        };
        self.stories[who].line(text);
    }

    /// Reads until the end of a long stream, passing time in between.
    pub(super) fn read_to_end(&mut self, who: usize, stream: Name) {
        let id = self.stories[who].id(stream);
        let mut all = self.stories[who].read.remove(&id).unwrap_or(0);
        for _ in 0..4_000 {
            match self.read_all(who, id) {
                Ok((bytes, fin)) => {
                    all += bytes;
                    if fin {
                        self.stories[who].line(format!("read {all} of {stream:?}, end"));
                        return;
                    }
                }
                Err(reason) => {
                    self.stories[who].line(format!("reading {stream:?} failed: {reason:?}"));
                    return;
                }
            }
            self.pass(STEP);
        }
        panic!("{stream:?} never ends");
    }

    fn read_all(&mut self, who: usize, id: StreamId) -> Result<(usize, bool), StreamFailure> {
        let mut buffer = vec![0; 16 * 1024];
        let mut all = 0;
        loop {
            let mut result = Err(StreamFailure::Closed);
            self.world.act(who, &mut |transport, _| result = transport.read(id, &mut buffer));
            let StreamRead { bytes, fin } = result?;
            all += bytes;
            if fin || bytes == 0 {
                return Ok((all, fin));
            }
        }
    }

    /// Everybody reads, so that writers get on; what was read counts for `read_to_end`.
    fn read_quietly(&mut self) {
        self.unread_for += STEP;
        if self.reading_pause.is_none_or(|pause| self.unread_for < pause) {
            return;
        }
        self.unread_for = Duration::ZERO;
        for who in 0..PARTICIPANTS.len() {
            for id in self.stories[who].accepted.clone() {
                if let Ok((bytes, _)) = self.read_all(who, id) {
                    *self.stories[who].read.entry(id).or_default() += bytes;
                }
            }
        }
    }

    pub(super) fn stop(&mut self, who: usize, stream: Name) {
        let id = self.stories[who].id(stream);
        self.world.act(who, &mut |transport, _| transport.stop(id));
    }

    pub(super) fn reset(&mut self, who: usize, stream: Name) {
        let id = self.stories[who].id(stream);
        self.world.act(who, &mut |transport, _| transport.reset(id));
    }

    pub(super) fn close_peer(&mut self, who: usize, peer: usize) {
        self.world.act(who, &mut |transport, now| transport.close_peer(address(peer), now));
    }

    pub(super) fn cut(&mut self, one: usize, other: usize) {
        self.world.cut(one, other, true);
        self.world.cut(other, one, true);
    }

    pub(super) fn heal(&mut self, one: usize, other: usize) {
        self.world.cut(one, other, false);
        self.world.cut(other, one, false);
    }

    pub(super) fn narrow(&mut self, longest: usize) {
        self.world.narrow(longest);
    }

    pub(super) fn restart(&mut self, who: usize) {
        self.world.restart(who);
        self.stories[who].line("restarted".to_owned());
    }

    fn tell(&self) -> String {
        let mut text = String::new();
        for (who, story) in PARTICIPANTS.iter().zip(&self.stories) {
            let _ = writeln!(text, "{who}:");
            for line in &story.lines {
                let _ = writeln!(text, "    {line}");
            }
            let _ = writeln!(text, "    features: {:?}", story.features);
        }
        text
    }
}

impl Story {
    fn note(&mut self, event: &TransportEvent) {
        let text = match event {
            TransportEvent::Packet { from, bytes } => {
                let name = from.names.first().map(ToString::to_string).unwrap_or_default();
                format!("a packet of {} bytes from {name}", bytes.len())
            }
            TransportEvent::StreamOpened { id, from } => {
                self.accepted.push(*id);
                let name = from.names.first().map(ToString::to_string).unwrap_or_default();
                format!("{} was opened by {name}", self.label(*id))
            }
            TransportEvent::StreamReadable { id } => format!("{} is readable", self.label(*id)),
            TransportEvent::StreamWritable { id } => format!("{} is writable", self.label(*id)),
            TransportEvent::StreamFailed { id, reason } => {
                format!("{} failed: {reason:?}", self.label(*id))
            }
            TransportEvent::SendFailed { to, .. } => format!("sending to {to} failed"),
            // An opener may write before it hears of them.
            TransportEvent::PeerFeatures { to, features, .. } => {
                self.features.push((*to, *features));
                return;
            }
            // It comes whenever path MTU discovery has found something out.
            TransportEvent::PacketLimit { .. } => return,
            // The kernel says so where a process is down; the model can say so as well.
            TransportEvent::Hint { .. } => return,
        };
        self.line(text);
    }

    /// The same thing said twice in a row is said once: how often depends on how bytes travel.
    fn line(&mut self, text: String) {
        if self.lines.last() != Some(&text) {
            self.lines.push(text);
        }
    }

    fn id(&self, stream: Name) -> StreamId {
        match stream {
            Name::Own(number) => StreamId::outgoing(number),
            Name::Theirs(index) => *self
                .accepted
                .get(index)
                .unwrap_or_else(|| panic!("no stream {index} was heard of: {:?}", self.lines)),
        }
    }

    fn label(&self, id: StreamId) -> String {
        let index = self.accepted.iter().position(|known| *known == id);
        let name = index.map_or_else(|| Name::Own(id.to_raw() >> 1), Name::Theirs);
        format!("{name:?}")
    }
}

/// Runs a script in both worlds and compares what was told.
fn compare(script: fn(&mut Stage<'_>)) {
    let told = |world: &mut dyn World| {
        let mut stage = Stage::new(world);
        script(&mut stage);
        stage.tell()
    };
    let (model, real) = (told(&mut model::ModelWorld::new()), told(&mut real::RealWorld::new()));
    assert!(model == real, "the model tells\n{model}\nand the endpoints tell\n{real}");
    assert!(real.lines().count() > 2 * PARTICIPANTS.len(), "nothing happened:\n{real}");
}
