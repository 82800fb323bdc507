//! The error queue of a UDP socket: ICMP errors with the destination that they are about.
//!
//! Without it a socket that sends to many hears nothing of them. With it an error that waits makes
//! the next send fail, whoever that is for, so it is read before and after sends.

use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};

use crate::host_error::{HostError, ReportedError};

/// Errors read at once; more wait for the next turn.
const AT_ONCE: usize = 64;
/// As much of the datagram as is looked at: its header and the longest connection ids.
const QUOTE: usize = 64;
/// Room for the error and the address of who sent it: 16 and 28 bytes, with their headers.
const CONTROL: usize = 256;

/// From ICMP and ICMPv6 messages, in the kernel's numbers.
const ORIGIN_ICMP: u8 = 2;
const ORIGIN_ICMP6: u8 = 3;

/// Has the kernel keep errors for a socket, where it does.
pub(crate) fn enable(socket: &impl AsFd, address: SocketAddr) {
    if address.is_ipv6()
        && let Err(error) = setsockopt(socket, sockopt::Ipv6RecvErr, &true)
    {
        log::debug!("the kernel keeps no errors of IPv6 for the socket: {error}");
    }
    // A socket for both needs both.
    if let Err(error) = setsockopt(socket, sockopt::Ipv4RecvErr, &true) {
        log::debug!("the kernel keeps no errors for the socket: {error}");
    }
}

/// Takes what waits in the queue. Errors that say nothing of a peer are left out.
pub(crate) fn drain(socket: &impl AsFd, mut take: impl FnMut(ReportedError)) {
    for _ in 0..AT_ONCE {
        let (mut quote, mut control) = ([0; QUOTE], [0; CONTROL]);
        let mut slices = [IoSliceMut::new(&mut quote)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let (descriptor, room) = (socket.as_fd().as_raw_fd(), Some(&mut control[..]));
        let received = recvmsg::<SockaddrStorage>(descriptor, &mut slices, room, flags);
        let Ok(message) = received else { return };
        let (to, length) = (message.address.as_ref().and_then(socket_address), message.bytes);
        let errors = message.cmsgs().into_iter().flatten();
        let found = errors.filter_map(|one| error_in(&one)).next();
        if let (Some(to), Some((what, by))) = (to, found) {
            let quote = quote.get(..length).unwrap_or_default().to_vec();
            take(ReportedError { to, what, by, quote });
        }
    }
}

/// What an error says of the peer, and who says so.
fn error_in(control: &ControlMessageOwned) -> Option<(HostError, Option<IpAddr>)> {
    let (error, by) = if let ControlMessageOwned::Ipv4RecvErr(error, by) = control {
        (error, by.map(|by| IpAddr::from(u32::from_be(by.sin_addr.s_addr).to_be_bytes())))
    } else if let ControlMessageOwned::Ipv6RecvErr(error, by) = control {
        (error, by.map(|by| IpAddr::from(by.sin6_addr.s6_addr)))
    } else {
        return None;
    };
    let (errno, origin) = (error.ee_errno, error.ee_origin);
    let errno = i32::try_from(errno).ok()?;
    let is_refused = errno == rustix::io::Errno::CONNREFUSED.raw_os_error();
    let unreachable = [rustix::io::Errno::HOSTUNREACH, rustix::io::Errno::NETUNREACH];
    if is_refused && matches!(origin, ORIGIN_ICMP | ORIGIN_ICMP6) {
        Some((HostError::PortUnreachable, by))
    } else if unreachable.iter().any(|other| other.raw_os_error() == errno) {
        Some((HostError::HostUnreachable, by))
    } else {
        None
    }
}

fn socket_address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(address) = storage.as_sockaddr_in() {
        return Some(SocketAddr::from((address.ip(), address.port())));
    }
    let address = storage.as_sockaddr_in6()?;
    Some(SocketAddr::from((address.ip(), address.port())))
}
