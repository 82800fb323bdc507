//! Addresses of simulated hosts: numbers within 10.0.0.0/8.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// memberlist's default port, which every simulated member uses.
pub(crate) const PORT: u16 = 7946;

/// An address that hosts are given in turn: the last three octets of 10.x.y.z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostAddress(pub(crate) u32);

impl HostAddress {
    pub(crate) fn socket_address(self) -> SocketAddr {
        let [_, b, c, d] = self.0.to_be_bytes();
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, b, c, d)), PORT)
    }

    /// The host address of a socket address, if it is one of the simulation's.
    pub(crate) fn of(address: SocketAddr) -> Option<Self> {
        match address.ip() {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                (a == 10 && address.port() == PORT).then(|| Self(u32::from_be_bytes([0, b, c, d])))
            }
            IpAddr::V6(_) => None,
        }
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_addresses_and_socket_addresses_translate_back_and_forth() {
        for address in [0, 7, 300, 70_000].map(HostAddress) {
            assert_eq!(HostAddress::of(address.socket_address()), Some(address));
        }
        assert_eq!(HostAddress::of("192.168.0.1:7946".parse().unwrap()), None);
    }
}
