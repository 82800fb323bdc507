//! A member whose peers wait for it in vain.

use std::net::UdpSocket;

use swim_quic::Cluster;

use crate::common::eventually;

/// Drops a member and takes its address, from where nobody answers any more.
pub(crate) fn silence(member: Cluster) -> UdpSocket {
    let place = member.address();
    drop(member);
    let mut silent = None;
    eventually("the port is free", || {
        silent = UdpSocket::bind(place).ok();
        silent.is_some()
    });
    silent.unwrap()
}
