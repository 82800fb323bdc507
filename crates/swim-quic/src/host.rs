//! What this machine knows of addresses.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::address::JoinAddress;
use crate::answer::answer;
use crate::deadline::{deadline_after, wait_until};
use crate::reach::Reach;
use crate::resolve::Resolver;

/// What this machine knows of addresses.
pub(crate) trait Host {
    /// Which of our addresses the kernel would use towards `peer`.
    fn source_towards(&self, bind: SocketAddr, peer: SocketAddr) -> Option<IpAddr>;

    /// The addresses of a seed that is a name; none if there is no answer in time.
    fn resolve(&mut self, seed: &JoinAddress) -> Vec<SocketAddr>;

    /// The addresses of all interfaces, with the names of these.
    fn interfaces(&self) -> Vec<(String, IpAddr)>;

    /// The addresses of all interfaces.
    fn addresses(&self) -> Vec<IpAddr> {
        self.interfaces().into_iter().map(|(_, ip)| ip).collect()
    }
}

/// How long a start may wait for the resolver, for all seeds together.
const RESOLVE_TIME: Duration = Duration::from_secs(2);

/// This machine.
pub(crate) struct ThisHost {
    resolver: Resolver,
    until: Option<Instant>,
}

impl ThisHost {
    pub(crate) fn new() -> Self {
        Self { resolver: Resolver::new(Reach::ANY), until: None }
    }
}

impl Host for ThisHost {
    fn source_towards(&self, bind: SocketAddr, peer: SocketAddr) -> Option<IpAddr> {
        let socket = UdpSocket::bind(SocketAddr::new(bind.ip(), 0)).ok()?;
        let peer = match (bind.ip(), peer.ip()) {
            (IpAddr::V6(_), IpAddr::V4(ip)) => {
                SocketAddr::new(ip.to_ipv6_mapped().into(), peer.port())
            }
            _ => peer,
        };
        // Connecting a UDP socket sends nothing.
        socket.connect(peer).ok()?;
        let ip = socket.local_addr().ok()?.ip().to_canonical();
        (!ip.is_unspecified()).then_some(ip)
    }

    fn resolve(&mut self, seed: &JoinAddress) -> Vec<SocketAddr> {
        let until = *self.until.get_or_insert_with(|| deadline_after(RESOLVE_TIME));
        let (reply, answered) = answer(None);
        self.resolver.look_up(seed.clone(), |resolved| reply.send(resolved));
        let resolved = wait_until(answered, until).and_then(Result::ok);
        resolved.and_then(|resolved| resolved.found.ok()).unwrap_or_default()
    }

    fn interfaces(&self) -> Vec<(String, IpAddr)> {
        let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
        let named = interfaces.into_iter().map(|interface| (interface.ip(), interface.name));
        named.map(|(ip, name)| (name, ip)).collect()
    }
}
