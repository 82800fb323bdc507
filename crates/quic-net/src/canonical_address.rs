//! The one form of an address that tables are keyed with.

use std::net::{IpAddr, SocketAddr};

/// The address with an IPv4-mapped IP unmapped: a socket for both families sees IPv4 peers mapped.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        // Flow label and scope stay.
        IpAddr::V6(_) => address,
    }
}
