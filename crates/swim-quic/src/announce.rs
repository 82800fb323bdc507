//! Which address a member binds to and announces to others.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::address::{DEFAULT_PORT, JoinAddress};
use crate::error::{AnnounceError, StartError};

/// Parses `IP:PORT`, or an IP alone, which stands for the default port.
pub(crate) fn parse_bind(text: &str) -> Result<SocketAddr, StartError> {
    text.parse::<SocketAddr>()
        .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DEFAULT_PORT)))
        .map_err(|source| StartError::Bind { text: text.to_owned(), source })
}

/// The address to announce; port 0 stands for the bound port.
///
/// Peers dial it, so a wildcard cannot be announced. For a wildcard bind it is the source address
/// that the kernel would use towards the first seed, since whoever answers there can answer us;
/// without a seed address, the machine's one private address. Several leave no way to choose.
pub(crate) fn announced_address(
    bind: SocketAddr,
    advertise: Option<SocketAddr>,
    seeds: &[JoinAddress],
) -> Result<SocketAddr, AnnounceError> {
    match advertise {
        Some(address) if address.ip().is_unspecified() => {
            return Err(AnnounceError::Unspecified(address.ip()));
        }
        Some(address) => return Ok(address),
        None if !bind.ip().is_unspecified() => return Ok(bind),
        None => {}
    }
    let towards = seeds.iter().find_map(JoinAddress::socket_address);
    if let Some(ip) = towards.and_then(|seed| source_towards(bind, seed)) {
        return Ok(SocketAddr::new(ip, bind.port()));
    }
    let found = private_addresses();
    match found.as_slice() {
        [ip] => Ok(SocketAddr::new(*ip, bind.port())),
        [] => Err(AnnounceError::NoPrivateAddress),
        _ => Err(AnnounceError::SeveralPrivateAddresses(found)),
    }
}

/// Which of our addresses the kernel would use towards `peer`. Connecting a UDP socket sends
/// nothing.
fn source_towards(bind: SocketAddr, peer: SocketAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind(SocketAddr::new(bind.ip(), 0)).ok()?;
    socket.connect(peer).ok()?;
    let ip = socket.local_addr().ok()?.ip().to_canonical();
    (!ip.is_unspecified()).then_some(ip)
}

/// The machine's addresses out of RFC 1918 and RFC 4193 space.
fn private_addresses() -> Vec<IpAddr> {
    let is_private = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => ip.is_private(),
        IpAddr::V6(ip) => ip.is_unique_local(),
    };
    let mut found: Vec<IpAddr> = if_addrs::get_if_addrs()
        .unwrap_or_default()
        .into_iter()
        .map(|interface| interface.ip())
        .filter(is_private)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_explicit_or_bound_address_is_announced_as_it_is() {
        let bound = socket("127.0.0.1:7001");
        assert_eq!(announced_address(bound, None, &[]).unwrap(), bound);
        let explicit = socket("10.9.8.7:0");
        assert_eq!(announced_address(bound, Some(explicit), &[]).unwrap(), explicit);
        let error = announced_address(bound, Some(socket("0.0.0.0:1")), &[]).unwrap_err();
        assert!(error.to_string().contains("Builder::advertise"), "{error}");
    }

    #[test]
    fn a_wildcard_bind_announces_the_source_address_towards_the_first_seed() {
        let seeds = ["seed.example:1".parse().unwrap(), "127.0.0.1:9".parse().unwrap()];
        let announced = announced_address(socket("0.0.0.0:7001"), None, &seeds).unwrap();
        assert_eq!(announced, socket("127.0.0.1:7001"));
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
