//! A network between members whose links can be cut one by one.
//!
//! Every member announces a socket of the proxy and binds the same port on a loopback
//! address of its own, so that the sender of each datagram is known and sees only announced
//! addresses. Datagrams on a cut link vanish; all others pass unchanged. Linux only: elsewhere
//! the loopback network has a single address.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Tells the switchboards of cases that run at the same time apart.
static NEXT: AtomicU8 = AtomicU8::new(1);

#[derive(Default)]
struct Wires {
    /// By the address that a member sends from: its name and its socket here.
    plugs: BTreeMap<IpAddr, (&'static str, Arc<UdpSocket>)>,
    cut: BTreeSet<(&'static str, &'static str)>,
}

pub(super) struct UdpProxy {
    number: u8,
    wires: Arc<Mutex<Wires>>,
    stop: Arc<AtomicBool>,
    carriers: Vec<(SocketAddr, JoinHandle<()>)>,
}

impl UdpProxy {
    pub(super) fn new() -> io::Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed).checked_rem(250).unwrap_or(0) + 1;
        Ok(Self { number, wires: Arc::default(), stop: Arc::default(), carriers: Vec::new() })
    }

    /// Makes room for a member: where it must bind, and what it must announce.
    pub(super) fn plug(&mut self, name: &'static str) -> io::Result<(String, String)> {
        let front = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
        let announced = front.local_addr()?;
        let seat = u8::try_from(self.carriers.len() + 1).map_err(io::Error::other)?;
        let home = IpAddr::V4(Ipv4Addr::new(127, 77, self.number, seat));
        let bind = SocketAddr::new(home, announced.port());
        self.lock().plugs.insert(home, (name, Arc::clone(&front)));
        let (wires, stop) = (Arc::clone(&self.wires), Arc::clone(&self.stop));
        let carrier = thread::spawn(move || carry(&wires, &stop, name, &front, bind));
        self.carriers.push((announced, carrier));
        Ok((bind.to_string(), announced.to_string()))
    }

    /// From here on nothing passes between the two, either way.
    pub(super) fn cut(&self, one: &'static str, other: &'static str) {
        self.lock().cut.extend([(one, other), (other, one)]);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Wires> {
        self.wires.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Delivers what arrives on one member's socket to that member.
fn carry(
    wires: &Mutex<Wires>,
    stop: &AtomicBool,
    to: &'static str,
    front: &UdpSocket,
    home: SocketAddr,
) {
    let mut buffer = vec![0; 65_536];
    loop {
        let arrived = front.recv_from(&mut buffer);
        if stop.load(Ordering::Relaxed) {
            return;
        }
        // An error is an earlier datagram's that found nobody.
        let Ok((length, from)) = arrived else { continue };
        let link = {
            let wires = wires.lock().unwrap_or_else(PoisonError::into_inner);
            wires
                .plugs
                .get(&from.ip())
                .filter(|(name, _)| !wires.cut.contains(&(*name, to)))
                .map(|(_, socket)| Arc::clone(socket))
        };
        if let Some(sender) = link {
            let _ = sender.send_to(&buffer[..length], home);
        }
    }
}

impl Drop for UdpProxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for (address, carrier) in self.carriers.drain(..) {
            if let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
                && socket.send_to(&[], address).is_ok()
            {
                let _ = carrier.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn members_see_announced_addresses_and_a_cut_link_carries_nothing() {
        let mut udp_proxy = UdpProxy::new().unwrap();
        let mut plug = |name| {
            let (bind, announced) = udp_proxy.plug(name).unwrap();
            (UdpSocket::bind(bind).unwrap(), announced)
        };
        let (ada, at_ada) = plug("ada");
        let (bob, at_bob) = plug("bob");
        let (cyd, at_cyd) = plug("cyd");
        let mut buffer = [0; 16];
        let patient = Some(Duration::from_secs(5));
        ada.set_read_timeout(patient).unwrap();
        bob.set_read_timeout(patient).unwrap();

        ada.send_to(b"hello", &at_bob).unwrap();
        let (length, from) = bob.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from.to_string()), (&b"hello"[..], at_ada.clone()));

        udp_proxy.cut("ada", "bob");
        bob.send_to(b"lost", &at_ada).unwrap();
        bob.send_to(b"kept", &at_cyd).unwrap();
        cyd.send_to(b"other", &at_ada).unwrap();
        let (length, from) = ada.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from.to_string()), (&b"other"[..], at_cyd));
        let (length, _) = cyd.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"kept");
    }
}
