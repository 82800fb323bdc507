//! Which families of addresses a member's socket can send to.

use std::net::SocketAddr;

/// The families that a socket reaches, by the address that it is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    v4: bool,
    v6: bool,
}

impl Reach {
    /// An IPv4 socket sends to IPv4 addresses. One that is bound to `[::]` sends to both kinds, one
    /// that is bound to another IPv6 address only from there, and so to IPv6 ones.
    pub(crate) fn of(bind: SocketAddr) -> Self {
        let v4 = bind.ip().to_canonical().is_ipv4();
        Self { v4: v4 || bind.ip().is_unspecified(), v6: !v4 }
    }

    /// Whatever the socket is.
    pub(crate) const ANY: Self = Self { v4: true, v6: true };

    pub(crate) fn includes(self, address: &SocketAddr) -> bool {
        if address.ip().to_canonical().is_ipv4() { self.v4 } else { self.v6 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_reaches_its_own_family_and_the_wildcard_of_ipv6_both() {
        let reaches = |bind: &str, peer: &str| {
            Reach::of(bind.parse().unwrap()).includes(&peer.parse().unwrap())
        };
        let (four, six, mapped) = ("10.0.0.1:1", "[fd00::1]:1", "[::ffff:10.0.0.1]:1");
        for bind in ["0.0.0.0:7946", "127.0.0.1:7946", "[::ffff:127.0.0.1]:7946"] {
            assert!(reaches(bind, four) && reaches(bind, mapped) && !reaches(bind, six), "{bind}");
        }
        assert!(reaches("[::]:7946", four) && reaches("[::]:7946", six));
        assert!(!reaches("[fd00::9]:7946", four) && reaches("[fd00::9]:7946", six));
    }
}
