//! What hosts and routers say of datagrams that did not reach a process.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// An ICMP error about a datagram of ours (RFC 792, RFC 4443).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum HostError {
    /// The host itself says that no process has that port.
    PortUnreachable,
    /// A router on the way, or this machine, says that the host cannot be reached.
    HostUnreachable,
}

impl fmt::Display for HostError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::PortUnreachable => "port unreachable",
            Self::HostUnreachable => "host unreachable",
        })
    }
}

/// An error as the kernel hands it over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedError {
    /// Where the datagram was to go.
    pub to: SocketAddr,
    /// What is said of it.
    pub what: HostError,
    /// Who says so; `None` where the kernel does not tell.
    pub by: Option<IpAddr>,
    /// The first bytes of the datagram, as far as the error quotes them.
    pub quote: Vec<u8>,
}
