//! Why the kernel did not send a datagram.

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
    /// Another error, by its number (errno); 0 where it has none.
    Other(i32),
}

impl KernelRefusal {
    pub(crate) fn of(error: &io::Error) -> Self {
        let named = [
            (ErrorKind::PermissionDenied, Self::NotPermitted),
            (ErrorKind::NetworkUnreachable, Self::NetworkUnreachable),
            (ErrorKind::HostUnreachable, Self::HostUnreachable),
        ];
        let same = named.into_iter().find(|(kind, _)| *kind == error.kind());
        same.map_or_else(|| Self::Other(error.raw_os_error().unwrap_or(0)), |(_, refusal)| refusal)
    }

    /// Whether the next datagram to the same destination would be refused as well, so that a dial
    /// need not wait for its deadline.
    pub(crate) fn is_lasting(self) -> bool {
        !matches!(self, Self::Other(_))
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
            Self::Other(errno) => write!(formatter, "the kernel refused to send (errno {errno})"),
        }
    }
}
