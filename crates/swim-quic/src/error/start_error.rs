//! Why a cluster, or a driver thread, could not be started.

use std::io;
use std::net::{AddrParseError, IpAddr, SocketAddr};

use certs::{ContextError, IdentityError, NameReading};
use quic_net::{EndpointError, LimitsError};
use rustix::io::Errno;
use swim_core::{ConfigError, NameError};
use thiserror::Error;

use super::{CommandError, SeedsError};

/// Why a driver thread could not be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DriverError {
    /// The operating system refused the poll that waits for sockets.
    #[error("the driver thread has no poll: raise the limit of open files (ulimit -n)")]
    Poll(#[source] io::Error),
    /// The operating system refused the thread.
    #[error("the driver thread was not started: raise the limit of threads (ulimit -u)")]
    Thread(#[source] io::Error),
}

/// Why a cluster could not be started. Nothing is left running.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The member's own name is not 1 to 255 bytes.
    #[error("member name {name:?} is not usable: give 1 to 255 bytes")]
    Name {
        /// The name that was given.
        name: String,
        /// What is wrong with it.
        source: NameError,
    },
    /// A seed address is malformed, or there are too many seeds.
    #[error(transparent)]
    Seeds(#[from] SeedsError),
    /// The bind address is not `IP:PORT`.
    #[error("cannot bind to {text:?}: give IP:PORT, such as 0.0.0.0:7946 or [::]:7946")]
    Bind {
        /// What was given.
        text: String,
        /// What the parser says.
        source: AddrParseError,
    },
    /// No identity was given.
    #[error(
        "no identity was given: give every member a certificate with identity() or identity_files()"
    )]
    NoIdentity,
    /// The files of the identity hold none that can be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The certificate proves other names than the member's.
    #[error(
        "the certificate is for {}, not for {name:?} ({reading}): issue one for this name, let \
         another field count (Builder::name_fields), or use the name policy `any`",
        listed(.reading.proven())
    )]
    NameNotInCertificate {
        /// The name asked for.
        name: String,
        /// What the certificate holds and proves.
        reading: Box<NameReading>,
    },
    /// The identity is one for development, which was not allowed.
    #[error(
        "the identity is for development only: issue one with an authority of your own, or call \
         allow_development_identity()"
    )]
    DevelopmentIdentity,
    /// With an identity for development a member listens on loopback only.
    #[error(
        "a member with an identity for development listens on loopback only, not on {address}: \
         bind it to 127.0.0.1 or [::1], or issue an identity with an authority of your own"
    )]
    NotLoopback {
        /// The address that was to be bound.
        address: SocketAddr,
    },
    /// The configuration is not usable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A limit of the transport cannot work.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// No address to announce could be told.
    #[error(transparent)]
    Announce(#[from] AnnounceError),
    /// The TLS context could not be made from the identity.
    #[error(transparent)]
    Tls(#[from] ContextError),
    /// The QUIC endpoint could not be made from the TLS context and the limits.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The socket could not be bound.
    #[error("{}", not_bound(.address, .source))]
    Socket {
        /// Where.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: is getrandom(2) allowed here?")]
    Randomness,
    /// The member's own driver thread could not be started.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The driver thread did not take the member.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Why no address to announce could be told. [`Builder::advertise`](crate::Builder::advertise)
/// gives one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AnnounceError {
    /// The advertised address is a wildcard.
    #[error(
        "cannot announce {0}, which nobody can dial: give an address of this machine \
         (Builder::advertise)"
    )]
    Unspecified(IpAddr),
    /// The text that says what to announce is none of the forms of [`Advertise`](crate::Advertise).
    #[error(
        "cannot announce {0:?}: give advertise() an IP:PORT, an IP, a network such as 10.0.0.0/8, \
         or the name of an interface"
    )]
    NotUnderstood(String),
    /// This machine has no address in the network, or at the interface, of a family that the
    /// socket reaches.
    #[error("{}", not_found(.text, .interfaces))]
    NotFound {
        /// The network, or the interface's name.
        text: String,
        /// The interfaces of this machine, one entry for each address.
        interfaces: Vec<(String, IpAddr)>,
    },
    /// Bound to a wildcard, which is given here, on a machine without an address of that family
    /// but loopback and link-local ones.
    #[error("{}", no_address(*.0))]
    NoAddress(IpAddr),
    /// Bound to a wildcard on a machine without a default route, with several addresses, and
    /// without a seed that resolves.
    #[error(
        "cannot tell which address to announce: there is no default route, and the machine has \
         {}; give one (Builder::advertise), or a seed",
        .0.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ")
    )]
    SeveralAddresses(Vec<IpAddr>),
}

pub(super) fn listed(names: &[String]) -> String {
    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
}

fn not_found(text: &str, interfaces: &[(String, IpAddr)]) -> String {
    let all: Vec<String> = interfaces.iter().map(|(name, ip)| format!("{name} ({ip})")).collect();
    let place = if text.contains('/') { "in the network" } else { "at an interface called" };
    format!(
        "cannot announce an address {place} {text}: this machine has none there that the socket \
         reaches; it has {}; give another one (Builder::advertise)",
        all.join(", ")
    )
}

fn no_address(bind: IpAddr) -> String {
    let (family, instead) = match bind {
        IpAddr::V4(_) => ("IPv4", "bind to [::] where it has IPv6 ones, "),
        IpAddr::V6(_) => ("IP", ""),
    };
    format!(
        "cannot tell which address to announce: this machine has no {family} address that others \
         reach; {instead}connect it to a network, or give an address (Builder::advertise)"
    )
}

fn not_bound(address: &SocketAddr, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::AddrInUse {
        return format!(
            "port taken: another process listens on {address}; stop it or bind another port (port \
             0 takes a free one)"
        );
    }
    let errno = error.raw_os_error();
    if [Errno::MFILE, Errno::NFILE].map(|limit| Some(limit.raw_os_error())).contains(&errno) {
        return format!(
            "no socket for {address}: close files or sockets, or raise the limit of descriptors \
             (ulimit -n)"
        );
    }
    format!("cannot bind to {address}: use an address of this machine and a port you may open")
}
