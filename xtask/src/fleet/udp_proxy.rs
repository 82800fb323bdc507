//! A network between members whose links can be made worse, each direction on its own.
//!
//! Every member announces a socket of the proxy and binds the same port on a loopback address of
//! its own, so that the sender of each datagram is known and sees only announced addresses. Linux
//! only: elsewhere there is one loopback address.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::clock;

/// Tells the proxies of clusters that run at the same time apart.
static NEXT: AtomicU8 = AtomicU8::new(1);
/// Longest wait without a datagram.
const IDLE: Duration = Duration::from_secs(60);

/// What is wrong with a link in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LinkFault {
    /// Of a hundred datagrams, so many are dropped, evenly spread; 100 is a cut link.
    pub(crate) lost_percent: u32,
    /// Each datagram is delivered so much later.
    pub(crate) delay: Duration,
    /// Longer datagrams are dropped; zero is no limit.
    pub(crate) largest: usize,
}

impl LinkFault {
    /// Nothing passes.
    pub(crate) const CUT: Self = Self { lost_percent: 100, delay: Duration::ZERO, largest: 0 };
}

#[derive(Default)]
struct Links {
    /// By the address that a member sends from: its name and its socket here.
    members: BTreeMap<IpAddr, (String, Arc<UdpSocket>)>,
    /// By sender and receiver: the fault, and how many datagrams were sent since it began.
    faults: BTreeMap<(String, String), (LinkFault, u32)>,
}

/// The proxy of one cluster.
pub(crate) struct UdpProxy {
    number: u8,
    links: Arc<Mutex<Links>>,
    stop: Arc<AtomicBool>,
    /// By name: where it binds, what it announces.
    attached: BTreeMap<String, (SocketAddr, SocketAddr)>,
    threads: Vec<(SocketAddr, JoinHandle<()>)>,
}

impl UdpProxy {
    pub(crate) fn new() -> io::Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed).checked_rem(250).unwrap_or(0) + 1;
        let (links, stop) = (Arc::default(), Arc::default());
        Ok(Self { number, links, stop, attached: BTreeMap::new(), threads: Vec::new() })
    }

    /// Makes room for a member, once: where it must bind, and what it must announce.
    pub(crate) fn attach(&mut self, name: &str) -> io::Result<(SocketAddr, SocketAddr)> {
        if let Some(addresses) = self.attached.get(name) {
            return Ok(*addresses);
        }
        let front = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
        let announced = front.local_addr()?;
        let host = u8::try_from(self.attached.len() + 1).map_err(io::Error::other)?;
        let home = IpAddr::V4(Ipv4Addr::new(127, 77, self.number, host));
        let bind = SocketAddr::new(home, announced.port());
        lock(&self.links).members.insert(home, (name.to_owned(), Arc::clone(&front)));
        let receiver = Receiver { name: name.to_owned(), home: bind, delayed: BTreeMap::new() };
        let (links, stop) = (Arc::clone(&self.links), Arc::clone(&self.stop));
        let thread = thread::spawn(move || receiver.run(&links, &stop, &front));
        self.threads.push((announced, thread));
        self.attached.insert(name.to_owned(), (bind, announced));
        Ok((bind, announced))
    }

    /// From here on this is wrong with what `from` sends to `to`.
    pub(crate) fn impair(&self, from: &str, to: &str, fault: LinkFault) {
        lock(&self.links).faults.insert((from.to_owned(), to.to_owned()), (fault, 0));
    }

    /// From here on nothing passes between the two, either way.
    pub(crate) fn cut(&self, one: &str, other: &str) {
        self.impair(one, other, LinkFault::CUT);
        self.impair(other, one, LinkFault::CUT);
    }
}

fn lock(links: &Mutex<Links>) -> MutexGuard<'_, Links> {
    links.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Links {
    /// The socket through which a datagram goes on, and its delay; none if it is lost.
    fn pass(
        &mut self,
        from: IpAddr,
        to: &str,
        length: usize,
    ) -> Option<(Arc<UdpSocket>, Duration)> {
        let (sender, socket) = self.members.get(&from)?;
        let Some((fault, sent)) = self.faults.get_mut(&(sender.clone(), to.to_owned())) else {
            return Some((Arc::clone(socket), Duration::ZERO));
        };
        // The whole part of `sent * percent / 100` grows at each datagram that is to be lost.
        let lost_before = u64::from(*sent) * u64::from(fault.lost_percent) / 100;
        *sent = sent.wrapping_add(1);
        let lost = u64::from(*sent) * u64::from(fault.lost_percent) / 100;
        let too_long = fault.largest > 0 && length > fault.largest;
        (lost == lost_before && !too_long).then(|| (Arc::clone(socket), fault.delay))
    }
}

/// Delivers what arrives on one member's socket to that member.
struct Receiver {
    name: String,
    home: SocketAddr,
    /// By time of delivery, then by arrival: the sender's socket and the datagram.
    delayed: BTreeMap<(Instant, u64), (Arc<UdpSocket>, Vec<u8>)>,
}

impl Receiver {
    fn run(mut self, links: &Mutex<Links>, stop: &AtomicBool, front: &UdpSocket) {
        let mut buffer = vec![0; 65_536];
        for arrival in 0.. {
            let wait = self.deliver_due(clock::now());
            let arrived =
                front.set_read_timeout(Some(wait)).and_then(|()| front.recv_from(&mut buffer));
            if stop.load(Ordering::Relaxed) {
                return;
            }
            // An error is a timeout, or an earlier datagram's that found nobody.
            let Ok((length, from)) = arrived else { continue };
            let passed = lock(links).pass(from.ip(), &self.name, length);
            match passed {
                Some((sender, Duration::ZERO)) => {
                    let _ = sender.send_to(&buffer[..length], self.home);
                }
                Some((sender, delay)) => {
                    let datagram = buffer[..length].to_vec();
                    self.delayed.insert((clock::now() + delay, arrival), (sender, datagram));
                }
                None => {}
            }
        }
    }

    /// Delivers what is due; returns how long until the next one is.
    fn deliver_due(&mut self, now: Instant) -> Duration {
        while let Some(first) = self.delayed.first_entry() {
            let due = first.key().0;
            if due > now {
                return due - now;
            }
            let (sender, datagram) = first.remove();
            let _ = sender.send_to(&datagram, self.home);
        }
        IDLE
    }
}

impl Drop for UdpProxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for (announced, thread) in self.threads.drain(..) {
            // Any datagram wakes the thread up.
            if let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
                && socket.send_to(&[], announced).is_ok()
            {
                let _ = thread.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Network {
        proxy: UdpProxy,
        sockets: Vec<(UdpSocket, SocketAddr)>,
    }

    fn network(names: &[&str]) -> Network {
        let mut proxy = UdpProxy::new().unwrap();
        let attach = |name: &&str| {
            let (bind, announced) = proxy.attach(name).unwrap();
            let socket = UdpSocket::bind(bind).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            (socket, announced)
        };
        let sockets = names.iter().map(attach).collect();
        Network { proxy, sockets }
    }

    impl Network {
        fn send(&self, from: usize, to: usize, text: &str) {
            self.sockets[from].0.send_to(text.as_bytes(), self.sockets[to].1).unwrap();
        }

        fn receive(&self, at: usize) -> (String, SocketAddr) {
            let mut buffer = [0; 64];
            let (length, from) = self.sockets[at].0.recv_from(&mut buffer).unwrap();
            (String::from_utf8_lossy(&buffer[..length]).into_owned(), from)
        }
    }

    #[test]
    fn members_see_announced_addresses_and_a_cut_link_carries_nothing() {
        let network = network(&["ada", "bob", "cyd"]);
        let announced = |member: usize| network.sockets[member].1;
        network.send(0, 1, "hello");
        assert_eq!(network.receive(1), ("hello".to_owned(), announced(0)));

        network.proxy.cut("ada", "bob");
        network.send(1, 0, "lost");
        network.send(1, 2, "kept");
        network.send(2, 0, "other");
        assert_eq!(network.receive(0), ("other".to_owned(), announced(2)));
        assert_eq!(network.receive(2).0, "kept");
        network.proxy.impair("bob", "ada", LinkFault::default());
        network.send(1, 0, "healed");
        assert_eq!(network.receive(0).0, "healed");
    }

    #[test]
    fn a_link_loses_its_share_drops_what_is_too_long_and_delays_in_order() {
        let network = network(&["ada", "bob"]);
        let fault = LinkFault { lost_percent: 50, largest: 4, ..LinkFault::default() };
        network.proxy.impair("ada", "bob", fault);
        for text in ["1", "2", "3 is too long", "4", "5"] {
            network.send(0, 1, text);
        }
        assert_eq!([network.receive(1).0, network.receive(1).0], ["1", "5"]);
        let delay = Duration::from_millis(30);
        network.proxy.impair("ada", "bob", LinkFault { delay, ..LinkFault::default() });
        let began = clock::now();
        network.send(0, 1, "first");
        network.send(0, 1, "second");
        assert_eq!([network.receive(1).0, network.receive(1).0], ["first", "second"]);
        assert!(began.elapsed() >= delay);
    }
}
