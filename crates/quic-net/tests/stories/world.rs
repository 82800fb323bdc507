//! A few endpoints and a network in memory between them. Time is real, since quiche reads the
//! clock by itself; waiting is for a deadline, never for a guess.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use certs::{Authority, Identity, NamePolicy};
use quic_net::{Endpoint, EndpointConfig, EndpointEvent, EventLoop, Limits, Read, StreamToken};

pub(crate) const EXTENDED: &[u8] = b"extended/1";
pub(crate) const CLASSIC: &[u8] = b"classic/1";
/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) actors: Vec<Actor>,
    pub(crate) sleep: EventLoop,
    /// Drops a datagram (sender, receiver, bytes) that it answers with true.
    pub(crate) lose: Lose,
    /// Whether datagrams that are sent at once arrive in the opposite order.
    pub(crate) reverse: bool,
    /// Datagrams delivered.
    pub(crate) delivered: usize,
    /// Streams opened by anybody.
    streams: u64,
    /// Where the datagrams of an actor behind a NAT come from, and where answers reach it.
    pub(crate) outside: BTreeMap<usize, SocketAddr>,
    /// Bytes sent to addresses where nobody lives.
    pub(crate) undelivered: BTreeMap<SocketAddr, usize>,
}

pub(crate) type Lose = Box<dyn FnMut(usize, usize, &[u8]) -> bool>;

pub(crate) struct Actor {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) endpoint: Endpoint,
    pub(crate) events: Vec<EndpointEvent>,
}

impl World {
    /// Endpoints of one authority that check names.
    pub(crate) fn new(names: &[&str]) -> Self {
        Self::with(names, |_| {})
    }

    /// As [`new`](Self::new), with changed limits or labels.
    pub(crate) fn with(names: &[&str], adjust: impl Fn(&mut EndpointConfig)) -> Self {
        let mut world = Self::empty();
        for name in names {
            let identity = identity(authority(), name);
            let mut config = config(&identity, name);
            adjust(&mut config);
            world.add(name, config, &identity);
        }
        world
    }

    pub(crate) fn empty() -> Self {
        Self {
            actors: Vec::new(),
            sleep: EventLoop::new().unwrap(),
            lose: Box::new(|_, _, _| false),
            reverse: false,
            delivered: 0,
            streams: 0,
            outside: BTreeMap::new(),
            undelivered: BTreeMap::new(),
        }
    }

    pub(crate) fn add(&mut self, name: &str, config: EndpointConfig, identity: &Identity) -> usize {
        let number = self.actors.len();
        let endpoint = endpoint(config, identity);
        let host = u8::try_from(number + 1).unwrap();
        let address = SocketAddr::from((Ipv4Addr::new(10, 0, 0, host), 7946));
        self.actors.push(Actor { name: name.to_owned(), address, endpoint, events: Vec::new() });
        number
    }

    pub(crate) fn address(&self, actor: usize) -> SocketAddr {
        self.actors[actor].address
    }

    pub(crate) fn send(&mut self, from: usize, to: usize, bytes: &[u8]) {
        let to = self.address(to);
        self.actors[from].endpoint.send_packet(to, None, bytes, now());
    }

    pub(crate) fn open(&mut self, from: usize, to: usize) -> StreamToken {
        let to = self.address(to);
        self.open_at(from, to, None)
    }

    /// Opens a stream under a token that was never used before.
    pub(crate) fn open_at(
        &mut self,
        from: usize,
        to: SocketAddr,
        expected: Option<&[u8]>,
    ) -> StreamToken {
        let token = StreamToken::from_caller(self.streams);
        self.streams += 1;
        self.actors[from].endpoint.open_stream(token, to, expected, now() + PATIENCE, now());
        token
    }

    /// Carries datagrams until nobody has any more to send at the moment.
    pub(crate) fn carry(&mut self) {
        for _ in 0..10_000 {
            let mut quiet = true;
            for from in 0..self.actors.len() {
                quiet &= !self.carry_from(from);
            }
            if quiet {
                return;
            }
        }
        panic!("the endpoints never fall silent");
    }

    /// Carries what one actor has to send, and no answer.
    pub(crate) fn carry_one_way(&mut self, from: usize) {
        self.carry_from(from);
    }

    /// Who gets what is sent to an address.
    fn actor_at(&self, address: SocketAddr) -> Option<usize> {
        let inside = || self.actors.iter().position(|actor| actor.address == address);
        let behind = self.outside.iter().find(|(_, outside)| **outside == address);
        behind.map(|(actor, _)| *actor).or_else(inside)
    }

    fn carry_from(&mut self, from: usize) -> bool {
        let mut buffer = vec![0; 16 * 1500];
        let sender = self.outside.get(&from).copied().unwrap_or(self.address(from));
        let mut any = false;
        let timeout = self.actors[from].endpoint.poll_timeout();
        if timeout.is_some_and(|due| due <= now()) {
            self.actors[from].endpoint.handle_timeout(now());
        }
        while let Some(transmit) = self.actors[from].endpoint.poll_transmit(&mut buffer, now()) {
            any = true;
            let segment = transmit.segment.unwrap_or(transmit.len);
            let Some(to) = self.actor_at(transmit.to) else {
                *self.undelivered.entry(transmit.to).or_default() += transmit.len;
                continue;
            };
            let mut datagrams: Vec<_> = buffer[..transmit.len].chunks_mut(segment).collect();
            if self.reverse {
                datagrams.reverse();
            }
            for datagram in datagrams {
                if !(self.lose)(from, to, datagram) {
                    self.delivered += 1;
                    let receiver = &mut self.actors[to];
                    let to_ip = Some(receiver.address.ip());
                    receiver.endpoint.handle_udp(sender, to_ip, datagram, now());
                }
            }
        }
        for actor in &mut self.actors {
            while let Some(event) = actor.endpoint.poll_event() {
                actor.events.push(event);
            }
        }
        any
    }

    /// Runs the world until `done`, and says what was awaited if that never comes.
    pub(crate) fn run_until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let end = now() + PATIENCE;
        loop {
            self.carry();
            if done(self) {
                return;
            }
            assert!(now() < end, "never came: {what}\n{}", self.story());
            self.rest(end);
        }
    }

    /// Waits for the next deadline of anybody, at most until `end`.
    fn rest(&mut self, end: Instant) {
        let next = self.actors.iter().filter_map(|actor| actor.endpoint.poll_timeout()).min();
        self.sleep.wait(Some(next.unwrap_or(end).min(end))).unwrap();
    }

    /// Runs the world for a span of time, to see that something does not happen. Returns how
    /// often anybody woke up.
    pub(crate) fn run_for(&mut self, span: Duration) -> usize {
        let end = now() + span;
        let mut wakes = 0;
        while now() < end {
            self.carry();
            self.rest(end);
            wakes += 1;
        }
        self.carry();
        wakes
    }

    /// Reads all that is there; true at the end of the stream.
    pub(crate) fn read_all(
        &mut self,
        actor: usize,
        stream: StreamToken,
        into: &mut Vec<u8>,
    ) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match self.read(actor, stream, &mut buffer) {
                Read { bytes: 0, fin } => return fin,
                Read { bytes, fin } => {
                    into.extend_from_slice(&buffer[..bytes]);
                    if fin {
                        return true;
                    }
                }
            }
        }
    }

    fn read(&mut self, actor: usize, stream: StreamToken, buffer: &mut [u8]) -> Read {
        let read = self.actors[actor].endpoint.read(stream, buffer);
        read.unwrap_or_else(|error| panic!("{stream:?}: {error}\n{}", self.story()))
    }

    pub(crate) fn story(&self) -> String {
        let mut story = String::new();
        for actor in &self.actors {
            story += &format!("{}:\n", actor.name);
            for event in &actor.events {
                story += &format!("  {event:?}\n");
            }
        }
        story
    }
}

impl Actor {
    /// The payloads of all packets received so far.
    pub(crate) fn packets(&self) -> Vec<Vec<u8>> {
        let payload = |event: &EndpointEvent| match event {
            EndpointEvent::Packet { bytes, .. } => Some(bytes.clone()),
            _ => None,
        };
        self.events.iter().filter_map(payload).collect()
    }

    pub(crate) fn count(&self, matches: impl Fn(&EndpointEvent) -> bool) -> usize {
        self.events.iter().filter(|event| matches(event)).count()
    }

    pub(crate) fn opened(&self) -> Vec<StreamToken> {
        let stream = |event: &EndpointEvent| match event {
            EndpointEvent::StreamOpened { stream, .. } => Some(*stream),
            _ => None,
        };
        self.events.iter().filter_map(stream).collect()
    }
}

#[expect(clippy::disallowed_methods, reason = "the tests are the drivers here")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::generate("world", DAY).unwrap())
}

pub(crate) fn identity(authority: &Authority, name: &str) -> Identity {
    let here = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let issued = authority.issue(name, &here, DAY).unwrap();
    Identity::from_pem(
        authority.certificate_pem().as_bytes(),
        issued.certificate_pem.as_bytes(),
        issued.key_pem.as_bytes(),
    )
    .unwrap()
}

pub(crate) fn config(identity: &Identity, name: &str) -> EndpointConfig {
    let mut config = EndpointConfig::new(EXTENDED, CLASSIC, identity.reset_secret(name, 7946));
    config.name = name.as_bytes().to_vec();
    let trust = identity.trust().with_policy(NamePolicy::Match);
    config.identify = std::sync::Arc::new(move |leaf| trust.binding_names(leaf));
    config
}

pub(crate) fn endpoint(config: EndpointConfig, identity: &Identity) -> Endpoint {
    let tls = certs::tls_context(identity, &identity.trust()).unwrap();
    Endpoint::new(config, tls, now()).unwrap()
}

pub(crate) fn limits(adjust: impl Fn(&mut Limits)) -> impl Fn(&mut EndpointConfig) {
    move |config| adjust(&mut config.limits)
}

const DAY: Duration = Duration::from_secs(86_400);
