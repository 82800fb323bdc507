//! The network between the members of a test cluster: one thread, and a socket for each member.
//!
//! A member announces its socket here. What arrives there comes from the socket of a member, which
//! tells who sent it, and goes on from the sender's socket here: so members see announced addresses
//! only.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Registry, Token, Waker};

/// Datagrams that wait for the end of their delay.
const MAX_WAITING: usize = 65_536;

/// The largest payload of a UDP datagram, and more.
const BUFFER_SIZE: usize = 65_536;

/// A member's place in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Port(usize);

const WAKE_UP: Token = Token(usize::MAX);

/// What happens to datagrams from one member to another.
#[derive(Clone, Copy)]
pub(super) struct Link {
    pub(super) is_cut: bool,
    /// The share that is lost, from 0 to 1.
    pub(super) lost: f64,
    pub(super) delay: Duration,
    rng: LinkRng,
}

/// SplitMix64 (Steele, Lea and Flood, 2014): each link has its own, so that what passes on others
/// changes nothing for it.
#[derive(Clone, Copy)]
struct LinkRng(u64);

impl LinkRng {
    fn new(seed: u64, from: Port, to: Port) -> Self {
        let mut rng = Self(seed);
        for port in [from, to] {
            rng.0 = rng.next().wrapping_add(port.0 as u64);
        }
        rng
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below 1.
    fn next_share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Link {
    /// When a datagram that arrives now goes on; `None`: it is lost.
    fn passes_at(&mut self, now: Instant) -> Option<Instant> {
        // Drawn for each, so that the n-th has the same fate whatever was cut before.
        let share = self.rng.next_share();
        (!self.is_cut && share >= self.lost).then(|| now + self.delay)
    }
}

struct Member {
    announced: SocketAddr,
    socket: UdpSocket,
    /// Where it is bound; `None` before it has started, and once it has crashed.
    home: Option<SocketAddr>,
}

struct Waiting {
    from: Port,
    to: Port,
    payload: Vec<u8>,
}

struct Links {
    seed: u64,
    members: Vec<Member>,
    links: BTreeMap<(Port, Port), Link>,
    /// By the end of the delay, and the order of arrival.
    waiting: BTreeMap<(Instant, u64), Waiting>,
    arrived: u64,
}

impl Links {
    fn link(&mut self, from: Port, to: Port) -> &mut Link {
        let rng = LinkRng::new(self.seed, from, to);
        let link = Link { is_cut: false, lost: 0.0, delay: Duration::ZERO, rng };
        self.links.entry((from, to)).or_insert(link)
    }

    /// Takes everything that has arrived at the socket of one member.
    fn receive(&mut self, to: Port, buffer: &mut [u8], now: Instant) {
        while let Some(member) = self.members.get(to.0) {
            let (length, sender) = match member.socket.recv_from(buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // An earlier datagram of this socket found nobody.
                Err(_) => continue,
            };
            // Strangers, and those who have crashed, have no place in the network.
            let from = self.members.iter().position(|member| member.home == Some(sender));
            let Some(from) = from.map(Port) else { continue };
            let Some(due) = self.link(from, to).passes_at(now) else { continue };
            let payload = buffer.get(..length).unwrap_or_default();
            if due <= now {
                self.deliver(from, to, payload);
            } else if self.waiting.len() < MAX_WAITING {
                self.arrived += 1;
                let waiting = Waiting { from, to, payload: payload.to_vec() };
                self.waiting.insert((due, self.arrived), waiting);
            }
        }
    }

    fn deliver_due(&mut self, now: Instant) {
        while let Some(entry) = self.waiting.first_entry()
            && entry.key().0 <= now
        {
            let Waiting { from, to, payload } = entry.remove();
            self.deliver(from, to, &payload);
        }
    }

    /// What there is no room for is lost, as in any network.
    fn deliver(&self, from: Port, to: Port, payload: &[u8]) {
        if let Some(sender) = self.members.get(from.0)
            && let Some(home) = self.members.get(to.0).and_then(|member| member.home)
        {
            let _ = sender.socket.send_to(payload, home);
        }
    }
}

/// Ends its thread when it is dropped.
pub(super) struct Proxy {
    links: Arc<Mutex<Links>>,
    registry: Registry,
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    pub(super) fn start(seed: u64) -> io::Result<Self> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let waker = Waker::new(poll.registry(), WAKE_UP)?;
        let (members, links, waiting) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let links = Arc::new(Mutex::new(Links { seed, members, links, waiting, arrived: 0 }));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (Arc::clone(&links), Arc::clone(&stop));
        let thread = std::thread::Builder::new().name("swim-quic-proxy".into());
        let thread = thread.spawn(move || run(poll, &shared, &stopped))?;
        Ok(Self { links, registry, stop, waker, thread: Some(thread) })
    }

    /// Makes room for a member.
    pub(super) fn open_port(&self) -> io::Result<Port> {
        let mut socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let announced = socket.local_addr()?;
        let mut links = lock(&self.links);
        let port = Port(links.members.len());
        self.registry.register(&mut socket, Token(port.0), Interest::READABLE)?;
        links.members.push(Member { announced, socket, home: None });
        Ok(port)
    }

    /// What the member is to announce.
    pub(super) fn address(&self, port: Port) -> SocketAddr {
        let links = lock(&self.links);
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        links.members.get(port.0).map_or(nowhere, |member| member.announced)
    }

    /// The member listens at `home` from here on.
    pub(super) fn attach(&self, port: Port, home: SocketAddr) {
        self.set_home(port, Some(home));
    }

    /// Nothing passes to or from the member any more.
    pub(super) fn detach(&self, port: Port) {
        self.set_home(port, None);
    }

    fn set_home(&self, port: Port, home: Option<SocketAddr>) {
        if let Some(member) = lock(&self.links).members.get_mut(port.0) {
            member.home = home;
        }
    }

    pub(super) fn change_link(&self, from: Port, to: Port, change: impl FnOnce(&mut Link)) {
        change(lock(&self.links).link(from, to));
    }

    /// No link is cut, loses or delays any more.
    pub(super) fn heal(&self) {
        for link in lock(&self.links).links.values_mut() {
            (link.is_cut, link.lost, link.delay) = (false, 0.0, Duration::ZERO);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if self.waker.wake().is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

fn lock(links: &Mutex<Links>) -> MutexGuard<'_, Links> {
    links.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "this is the network's driver: it has the clock")]
fn run(mut poll: Poll, links: &Mutex<Links>, stop: &AtomicBool) {
    let mut events = Events::with_capacity(256);
    let mut buffer = vec![0; BUFFER_SIZE];
    while !stop.load(Ordering::Acquire) {
        let due = lock(links).waiting.first_key_value().map(|((due, _), _)| *due);
        let wait = due.map(|due| due.saturating_duration_since(Instant::now()));
        if let Err(error) = poll.poll(&mut events, wait)
            && error.kind() != ErrorKind::Interrupted
        {
            log::error!("the network of a test cluster ends: {error}");
            return;
        }
        let now = Instant::now();
        let mut links = lock(links);
        for event in events.iter().filter(|event| event.token() != WAKE_UP) {
            links.receive(Port(event.token().0), &mut buffer, now);
        }
        links.deliver_due(now);
    }
}
