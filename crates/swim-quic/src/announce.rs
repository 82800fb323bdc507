//! Which address a member binds to and announces to others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::address::{DEFAULT_PORT, JoinAddress};
use crate::advertise::{Advertise, is_link_local};
use crate::error::{AnnounceError, StartError};
use crate::host::Host;

/// Parses `IP:PORT`, or an IP alone, which stands for the default port.
pub(crate) fn parse_bind(text: &str) -> Result<SocketAddr, StartError> {
    text.parse::<SocketAddr>()
        .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DEFAULT_PORT)))
        .map_err(|source| StartError::Bind { text: text.to_owned(), source })
}

/// The address to announce; port 0 stands for the bound port.
///
/// Peers dial it, so a wildcard cannot be announced. For a wildcard bind it is the source address
/// that the kernel would use towards the first seed that resolves, since whoever answers there can
/// answer us; without such a seed, the one that it would use for the default route; without that,
/// the machine's one address. An IPv4 socket announces an IPv4 address only.
pub(crate) fn announced_address(
    bind: SocketAddr,
    advertise: Option<&Advertise>,
    seeds: &[JoinAddress],
    host: &mut impl Host,
) -> Result<SocketAddr, AnnounceError> {
    match advertise {
        Some(given) => return given.resolve(bind, host),
        None if !bind.ip().is_unspecified() => return Ok(bind),
        None => {}
    }
    let fits = |ip: IpAddr| bind.is_ipv6() || ip.is_ipv4();
    for seed in seeds {
        let known = seed.socket_address().map(|address| vec![address]);
        for peer in known.unwrap_or_else(|| host.resolve(seed)) {
            if let Some(ip) = host.source_towards(bind, peer).filter(|ip| fits(*ip)) {
                return Ok(SocketAddr::new(ip, bind.port()));
            }
        }
    }
    if let Some(ip) = routed_source(bind, &[], host) {
        return Ok(SocketAddr::new(ip, bind.port()));
    }
    let mut found: Vec<IpAddr> = host.addresses().into_iter().filter(|ip| fits(*ip)).collect();
    found.retain(|ip| !is_local(*ip));
    found.sort_unstable();
    found.dedup();
    match found.as_slice() {
        [ip] => Ok(SocketAddr::new(*ip, bind.port())),
        [] => Err(AnnounceError::NoAddress(bind.ip())),
        _ => Err(AnnounceError::SeveralAddresses(found)),
    }
}

/// The source address that the kernel would use towards the first of these peers to which it has a
/// way, else for the default route.
pub(crate) fn routed_source(
    bind: SocketAddr,
    peers: &[SocketAddr],
    host: &impl Host,
) -> Option<IpAddr> {
    let fits = |ip: &IpAddr| bind.is_ipv6() || ip.is_ipv4();
    let mut peers = peers.iter().copied().chain(ANYWHERE);
    peers.find_map(|peer| host.source_towards(bind, peer).filter(fits))
}

/// Addresses that only a default route leads to: those of documents (RFC 5737, RFC 3849). Nothing
/// is sent there. IPv4 first: an IPv6 socket is reached at both kinds of address, by everybody at
/// an IPv4 one.
const ANYWHERE: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 9),
];

/// Whether an address means nothing to other machines: loopback and link-local ones.
fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || is_link_local(ip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::ThisHost;

    fn socket(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_explicit_or_bound_address_is_announced_as_it_is() {
        let (bound, mut host) = (socket("127.0.0.1:7001"), ThisHost::new());
        assert_eq!(announced_address(bound, None, &[], &mut host).unwrap(), bound);
        let explicit = socket("10.9.8.7:0");
        let announced = announced_address(bound, Some(&explicit.into()), &[], &mut host).unwrap();
        assert_eq!(announced, explicit);
        let wildcard = socket("0.0.0.0:1").into();
        let error = announced_address(bound, Some(&wildcard), &[], &mut host).unwrap_err();
        assert!(error.to_string().contains("Builder::advertise"), "{error}");
    }

    #[test]
    fn a_wildcard_bind_announces_the_source_address_towards_a_seed() {
        let seeds = ["127.0.0.1:9".parse().unwrap()];
        let mut host = ThisHost::new();
        for bind in ["0.0.0.0:7001", "[::]:7001"] {
            let announced = announced_address(socket(bind), None, &seeds, &mut host).unwrap();
            assert_eq!(announced, socket("127.0.0.1:7001"), "bound to {bind}");
        }
    }

    /// A machine with these addresses, whose kernel takes the address after the first prefix that
    /// fits, or the default one.
    struct Machine {
        addresses: Vec<IpAddr>,
        routes: Vec<(&'static str, IpAddr)>,
        names: Vec<(&'static str, SocketAddr)>,
    }

    impl Host for Machine {
        fn source_towards(&self, bind: SocketAddr, peer: SocketAddr) -> Option<IpAddr> {
            let fits = |ip: &IpAddr| ip.is_ipv4() == peer.is_ipv4();
            let is_reachable = bind.is_ipv6() || peer.is_ipv4();
            let to = peer.ip().to_string();
            let mut routes = self.routes.iter().filter(|(_, ip)| is_reachable && fits(ip));
            routes.find(|(prefix, _)| to.starts_with(prefix)).map(|(_, ip)| *ip)
        }

        fn resolve(&mut self, seed: &JoinAddress) -> Vec<SocketAddr> {
            let named = self.names.iter().filter(|(name, _)| seed.text.starts_with(name));
            named.map(|(_, address)| *address).collect()
        }

        fn interfaces(&self) -> Vec<(String, IpAddr)> {
            self.addresses.iter().map(|ip| ("eth0".to_owned(), *ip)).collect()
        }
    }

    fn machine(addresses: &[&str], routes: &[(&'static str, &str)]) -> Machine {
        let ip = |text: &&str| text.parse().unwrap();
        Machine {
            addresses: ["127.0.0.1", "::1", "fe80::1"].iter().chain(addresses).map(ip).collect(),
            routes: routes.iter().map(|(prefix, text)| (*prefix, ip(text))).collect(),
            names: vec![("seed.example", socket("172.17.9.9:7946"))],
        }
    }

    fn announced(mut machine: Machine, bind: &str, seeds: &[&str]) -> Result<String, String> {
        let seeds: Vec<JoinAddress> = seeds.iter().map(|seed| seed.parse().unwrap()).collect();
        let announced = announced_address(socket(bind), None, &seeds, &mut machine);
        announced.map(|address| address.ip().to_string()).map_err(|error| error.to_string())
    }

    const ANY4: &str = "0.0.0.0:7946";
    const ANY6: &str = "[::]:7946";

    #[test]
    fn without_a_seed_it_is_the_address_of_the_default_route() {
        for own in ["10.0.0.5", "203.0.113.7", "100.64.0.9"] {
            let host = || machine(&[own, "172.17.0.1"], &[("172.17.", "172.17.0.1"), ("", own)]);
            for (bind, seeds) in [(ANY4, &[][..]), (ANY6, &[]), (ANY4, &["unknown.example"])] {
                assert_eq!(announced(host(), bind, seeds).as_deref(), Ok(own), "{bind} {seeds:?}");
            }
            // The first seed that resolves decides.
            let seeds = ["unknown.example", "seed.example", "198.51.100.1"];
            assert_eq!(announced(host(), ANY4, &seeds).as_deref(), Ok("172.17.0.1"));
        }
        let host = machine(&["10.0.0.5", "fd00::5"], &[("", "10.0.0.5"), ("", "fd00::5")]);
        assert_eq!(announced(host, ANY6, &["[fd00::9]:1"]).as_deref(), Ok("fd00::5"));
    }

    #[test]
    fn without_a_route_it_is_the_only_address_of_the_sockets_family() {
        let host = || machine(&["10.0.0.5", "fd00::5"], &[]);
        assert_eq!(announced(host(), ANY4, &[]).as_deref(), Ok("10.0.0.5"));
        let error = announced(host(), ANY6, &[]).unwrap_err();
        assert!(error.contains("10.0.0.5, fd00::5") && error.contains("advertise"), "{error}");
        assert_eq!(announced(machine(&["fd00::5"], &[]), ANY6, &[]).as_deref(), Ok("fd00::5"));
        let error = announced(machine(&["fd00::5"], &[("", "fd00::5")]), ANY4, &[]).unwrap_err();
        assert!(error.contains("[::]"), "{error}");
    }

    #[test]
    fn bind_takes_an_address_with_or_without_port_and_nothing_else() {
        assert_eq!(parse_bind("[::1]:5").unwrap(), socket("[::1]:5"));
        assert_eq!(parse_bind("127.0.0.1").unwrap(), socket("127.0.0.1:7946"));
        for bad in ["", "localhost:1", "127.0.0.1:", "127.0.0.1:70000", ":7946"] {
            assert!(parse_bind(bad).unwrap_err().to_string().contains("IP:PORT"), "{bad}");
        }
    }
}
