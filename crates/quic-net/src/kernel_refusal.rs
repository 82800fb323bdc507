//! Why the kernel did not send a datagram.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};

/// Why this machine's kernel refused to send a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KernelRefusal {
    /// A rule of the local firewall or a security policy forbids it (EPERM, EACCES).
    NotPermitted,
    /// There is no route to the network (ENETUNREACH).
    NetworkUnreachable,
    /// There is no route to the host (EHOSTUNREACH).
    HostUnreachable,
    /// The socket is bound to an IPv4 address, and the destination has an IPv6 one.
    AddressFamily,
    /// The datagram is longer than the network interface takes (EMSGSIZE), for example because its
    /// MTU was lowered. Later ones are shorter: large ones then count as lost.
    TooLong,
    /// A host answered an earlier datagram, perhaps to another address, that nobody listens there
    /// (ECONNREFUSED).
    ConnectionRefused,
    /// Another error, by its number (errno); 0 where it has none. ENOBUFS, a full queue of the
    /// network interface, is none: the datagram waits.
    Other(i32),
}

impl KernelRefusal {
    pub(crate) fn of(error: &io::Error) -> Self {
        let named = [
            (ErrorKind::PermissionDenied, Self::NotPermitted),
            (ErrorKind::NetworkUnreachable, Self::NetworkUnreachable),
            (ErrorKind::HostUnreachable, Self::HostUnreachable),
            (ErrorKind::ConnectionRefused, Self::ConnectionRefused),
        ];
        if error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error()) {
            return Self::TooLong;
        }
        let same = named.into_iter().find(|(kind, _)| *kind == error.kind());
        same.map_or_else(|| Self::Other(error.raw_os_error().unwrap_or(0)), |(_, refusal)| refusal)
    }

    /// Whether the next datagram to the same destination would be refused as well, so that a dial
    /// need not wait for its deadline.
    pub(crate) fn is_lasting(self) -> bool {
        !matches!(self, Self::TooLong | Self::ConnectionRefused | Self::Other(_))
    }
}

impl fmt::Display for KernelRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPermitted => formatter.write_str(
                "this machine forbids sending there (EPERM or EACCES): look at its firewall rules",
            ),
            Self::NetworkUnreachable => formatter
                .write_str("no route to that network (ENETUNREACH): look at this machine's routes"),
            Self::HostUnreachable => formatter
                .write_str("no route to that host (EHOSTUNREACH): look at this machine's routes"),
            Self::AddressFamily => formatter
                .write_str("an IPv4 socket cannot send to an IPv6 address: bind to [::] instead"),
            Self::TooLong => formatter
                .write_str("the datagram is longer than the network interface takes (EMSGSIZE)"),
            Self::ConnectionRefused => formatter
                .write_str("a host answered that nobody listens at its port (ECONNREFUSED)"),
            Self::Other(errno) => write!(formatter, "the kernel refused to send (errno {errno})"),
        }
    }
}

impl Error for KernelRefusal {}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn errors_of_the_kernel_have_names_and_only_lasting_ones_end_a_dial() {
        for (errno, refusal, is_lasting) in [
            (Errno::PERM, KernelRefusal::NotPermitted, true),
            (Errno::ACCESS, KernelRefusal::NotPermitted, true),
            (Errno::NETUNREACH, KernelRefusal::NetworkUnreachable, true),
            (Errno::HOSTUNREACH, KernelRefusal::HostUnreachable, true),
            (Errno::MSGSIZE, KernelRefusal::TooLong, false),
            (Errno::CONNREFUSED, KernelRefusal::ConnectionRefused, false),
            (Errno::IO, KernelRefusal::Other(Errno::IO.raw_os_error()), false),
        ] {
            let found = KernelRefusal::of(&io::Error::from_raw_os_error(errno.raw_os_error()));
            assert_eq!((found, found.is_lasting()), (refusal, is_lasting), "{errno:?}");
        }
    }
}
