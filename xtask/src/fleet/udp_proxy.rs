//! A network between members whose links can be cut.
//!
//! Every member announces a socket of the proxy and binds the same port on a loopback address of
//! its own, so that the sender of each datagram is known and sees only announced addresses. Linux
//! only: elsewhere there is one loopback address.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// Tells the proxies of clusters that run at the same time apart.
static NEXT: AtomicU8 = AtomicU8::new(1);

#[derive(Default)]
struct Links {
    /// By the address that a member sends from: its name and its socket here.
    members: BTreeMap<IpAddr, (String, Arc<UdpSocket>)>,
    /// Sender and receiver of the links that carry nothing.
    cut: BTreeSet<(String, String)>,
}

impl Links {
    /// The socket through which a datagram goes on; none if it is lost.
    fn pass(&self, from: IpAddr, to: &str) -> Option<Arc<UdpSocket>> {
        let (sender, socket) = self.members.get(&from)?;
        let is_cut = self.cut.contains(&(sender.clone(), to.to_owned()));
        (!is_cut).then(|| Arc::clone(socket))
    }
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
    pub(super) fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed).checked_rem(250).unwrap_or(0) + 1;
        let (links, stop) = (Arc::default(), Arc::default());
        Self { number, links, stop, attached: BTreeMap::new(), threads: Vec::new() }
    }

    /// Makes room for a member, once: where it must bind, and what it must announce.
    pub(super) fn attach(&mut self, name: &str) -> io::Result<(SocketAddr, SocketAddr)> {
        if let Some(addresses) = self.attached.get(name) {
            return Ok(*addresses);
        }
        let front = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
        let announced = front.local_addr()?;
        let host = u8::try_from(self.attached.len() + 1).map_err(io::Error::other)?;
        let home = IpAddr::V4(Ipv4Addr::new(127, 77, self.number, host));
        let bind = SocketAddr::new(home, announced.port());
        lock(&self.links).members.insert(home, (name.to_owned(), Arc::clone(&front)));
        let (links, stop, to) = (Arc::clone(&self.links), Arc::clone(&self.stop), name.to_owned());
        let thread = thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while !stop.load(Ordering::Relaxed) {
                // An error is an earlier datagram's that found nobody.
                let Ok((length, from)) = front.recv_from(&mut buffer) else { continue };
                let passed = lock(&links).pass(from.ip(), &to);
                if let Some(sender) = passed {
                    let _ = sender.send_to(&buffer[..length], bind);
                }
            }
        });
        self.threads.push((announced, thread));
        self.attached.insert(name.to_owned(), (bind, announced));
        Ok((bind, announced))
    }

    /// From here on nothing passes between the two, either way.
    pub(super) fn cut(&self, one: &str, other: &str) {
        let cut = &mut lock(&self.links).cut;
        cut.insert((one.to_owned(), other.to_owned()));
        cut.insert((other.to_owned(), one.to_owned()));
    }
}

fn lock(links: &Mutex<Links>) -> MutexGuard<'_, Links> {
    links.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn members_see_announced_addresses_and_a_cut_link_carries_nothing() {
        let mut proxy = UdpProxy::new();
        let sockets = ["ada", "bob", "cyd"].map(|name| {
            let (bind, announced) = proxy.attach(name).unwrap();
            let socket = UdpSocket::bind(bind).unwrap();
            socket.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
            (socket, announced)
        });
        let send = |from: usize, to: usize, text: &str| {
            sockets[from].0.send_to(text.as_bytes(), sockets[to].1).unwrap();
        };
        let receive = |at: usize| {
            let mut buffer = [0; 64];
            let (length, from) = sockets[at].0.recv_from(&mut buffer).unwrap();
            (String::from_utf8_lossy(&buffer[..length]).into_owned(), from)
        };
        send(0, 1, "hello");
        assert_eq!(receive(1), ("hello".to_owned(), sockets[0].1));
        proxy.cut("ada", "bob");
        send(1, 0, "lost");
        send(1, 2, "kept");
        send(2, 0, "other");
        assert_eq!(receive(0), ("other".to_owned(), sockets[2].1));
        assert_eq!(receive(2).0, "kept");
    }
}
