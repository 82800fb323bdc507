//! Describes a member before it starts, and starts it.
//!
//! Decides which address to announce, who the certificate must name, and how the parts are
//! configured to fit each other. Everything that can be wrong is said before anything runs.

use std::fmt;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use certs::{Identity, NamePolicy, Trust};
use crossbeam_channel::{Receiver, bounded};
use quic_net::{Endpoint, EndpointConfig, Limits, LoopWaker};
use ring::rand::{SecureRandom, SystemRandom};
use swim_core::{Config, LocalMember, MemberName, Membership, Seed, Time};

use crate::address::{DEFAULT_PORT, JoinAddress};
use crate::application::Applications;
use crate::cluster::{Cluster, Inner};
use crate::command::{MakeNode, Message};
use crate::driver::Driver;
use crate::error::{CommandError, StartError};
use crate::event::Event;
use crate::node::{Node, Shared};
use crate::resolve::{Resolver, StandingSeeds};

/// The ALPN token between nodes of this library: the classic wire plus extensions.
pub(crate) const EXTENDED_PROTOCOL: &str = "swim-quic/1";

/// The ALPN token of Go's memberlist-quic.
pub(crate) const CLASSIC_PROTOCOL: &str = "memberlist-quic/1";

/// A member that is not running yet.
#[derive(Clone)]
pub struct Builder {
    name: String,
    bind: String,
    advertise: Option<SocketAddr>,
    identity: Option<Identity>,
    trust: Option<Trust>,
    name_policy: NamePolicy,
    config: Config,
    limits: Limits,
    seeds: Vec<String>,
    meta: Vec<u8>,
    reset_secret: Option<[u8; 32]>,
    driver: Option<Driver>,
    shared: Arc<Shared>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("bind", &self.bind)
            .field("advertise", &self.advertise)
            .field("seeds", &self.seeds)
            .finish_non_exhaustive()
    }
}

impl Builder {
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            bind: format!("0.0.0.0:{DEFAULT_PORT}"),
            advertise: None,
            identity: None,
            trust: None,
            name_policy: NamePolicy::default(),
            config: Config::lan(),
            limits: Limits::default(),
            seeds: Vec::new(),
            meta: Vec::new(),
            reset_secret: None,
            driver: None,
            shared: Arc::default(),
        }
    }

    /// Where to listen and dial from: `IP:PORT` (default `0.0.0.0:7946`); port 0 takes a free
    /// one.
    #[must_use]
    pub fn bind(mut self, address: impl Into<String>) -> Self {
        self.bind = address.into();
        self
    }

    /// The address to announce to others (default: the bound one; for a wildcard bind, the
    /// address the kernel would use towards the first seed, else the machine's one private
    /// address). Port 0 means the bound port.
    #[must_use]
    pub fn advertise(mut self, address: SocketAddr) -> Self {
        self.advertise = Some(address);
        self
    }

    /// This member's certificate and key, and the roots it trusts.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Whom to trust, in place of the roots that came with the identity.
    #[must_use]
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = Some(trust);
        self
    }

    /// What a certificate must prove (default [`NamePolicy::Match`]).
    #[must_use]
    pub fn name_policy(mut self, policy: NamePolicy) -> Self {
        self.name_policy = policy;
        self
    }

    /// The timing and limits of the protocol (default [`Config::lan`]).
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// The bounds and timeouts of the transport (default [`Limits::default`]).
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Standing seeds, `[name/]host[:port]`: names are resolved again and again, and seeds that
    /// belong to no live member are retried for as long as this member runs, which also heals
    /// partitions.
    #[must_use]
    pub fn seeds<A: Into<String>>(mut self, seeds: impl IntoIterator<Item = A>) -> Self {
        self.seeds = seeds.into_iter().map(Into::into).collect();
        self
    }

    /// Metadata that every member sees, at most 512 bytes (Go's limit).
    #[must_use]
    pub fn meta(mut self, meta: impl Into<Vec<u8>>) -> Self {
        self.meta = meta.into();
        self
    }

    /// The secret behind stateless reset tokens. It should survive restarts and certificate
    /// rotations, so that peers notice a restart at once. Default: derived from the private key,
    /// the name and the announced port.
    #[must_use]
    pub fn reset_secret(mut self, secret: [u8; 32]) -> Self {
        self.reset_secret = Some(secret);
        self
    }

    /// Runs the member on a shared driver thread instead of one of its own.
    #[must_use]
    pub fn driver(mut self, driver: &Driver) -> Self {
        self.driver = Some(driver.clone());
        self
    }

    /// Subscribes before the start, so that no event can be missed.
    pub fn subscribe(&self) -> Receiver<Event> {
        self.shared.subscribers.add()
    }

    /// Starts the member: one thread, one socket. Returns once it listens; joining the seeds
    /// goes on in the background.
    ///
    /// # Errors
    ///
    /// [`StartError`] names the cause and the remedy; nothing is left running then.
    pub fn start(self) -> Result<Cluster, StartError> {
        let name = MemberName::try_from(self.name.as_str())
            .map_err(|_| StartError::Name(self.name.clone()))?;
        let bind = parse_bind(&self.bind)?;
        let seeds = self
            .seeds
            .iter()
            .map(|seed| seed.parse::<JoinAddress>())
            .collect::<Result<Vec<_>, _>>()?;
        self.config.validate()?;
        self.limits.validate()?;
        let identity = self.identity.clone().ok_or(StartError::NoIdentity)?;
        if self.name_policy == NamePolicy::Match {
            check_names(&self.name, &identity)?;
        }
        let announced = announced_address(bind, self.advertise, &seeds)?;
        let driver = match &self.driver {
            Some(driver) => driver.clone(),
            None => Driver::start()?,
        };
        let shared = Arc::clone(&self.shared);
        let (announce, announced_at) = bounded(1);
        let waker = driver.sender().waker();
        let own_name = name.clone();
        let make: MakeNode = Box::new(move |local, now| {
            let port = if announced.port() == 0 { local.port() } else { announced.port() };
            let address = SocketAddr::new(announced.ip(), port);
            let node = self.make_node(&identity, own_name, address, seeds, waker, now)?;
            let _ = announce.send(address);
            Ok(node)
        });
        let id = driver.next_node();
        let (reply, hosted) = bounded(1);
        let gone = |error: CommandError| StartError::Driver(error.to_string());
        driver.sender().send(Message::Host { id, bind, make, reply }).map_err(gone)?;
        hosted.recv().map_err(|_| gone(CommandError::Closed))??;
        let address = announced_at.recv().map_err(|_| gone(CommandError::Closed))?;
        log::info!("{name} listens on {address}");
        let sender = driver.sender().clone();
        Ok(Cluster::from_inner(Inner {
            id,
            name,
            address,
            shared,
            resolver: Resolver::default(),
            sender,
        }))
    }

    /// Runs on the driver thread once the socket is bound.
    fn make_node(
        self,
        identity: &Identity,
        name: MemberName,
        address: SocketAddr,
        seeds: Vec<JoinAddress>,
        waker: Arc<LoopWaker>,
        now: Instant,
    ) -> Result<Node, StartError> {
        let trust = self.trust.unwrap_or_else(|| identity.trust()).with_policy(self.name_policy);
        let tls = certs::tls_context(identity, &trust)
            .map_err(|error| StartError::Tls(error.to_string()))?;
        let secret =
            self.reset_secret.unwrap_or_else(|| identity.reset_secret(&self.name, address.port()));
        let mut transport = EndpointConfig::new(EXTENDED_PROTOCOL, CLASSIC_PROTOCOL, secret);
        transport.name = name.as_bytes().to_vec();
        transport.label = self.config.label.clone();
        transport.limits = self.limits;
        transport.identify = Arc::new(move |leaf| trust.binding_names(leaf));
        let endpoint = Endpoint::new(transport, tls, now)
            .map_err(|error| StartError::Tls(error.to_string()))?;
        let me = LocalMember { name, address, meta: self.meta };
        let membership = Membership::new(self.config, me, random_seed()?, Time::ZERO)?;
        let applications = Applications::new(Arc::clone(&waker));
        let seeds = StandingSeeds::new(seeds, waker);
        Ok(Node::new(membership, endpoint, seeds, applications, self.shared, now))
    }
}

fn check_names(name: &str, identity: &Identity) -> Result<(), StartError> {
    let proven = identity.names();
    if proven.iter().any(|proven| proven == name) {
        return Ok(());
    }
    Err(StartError::NameNotInCertificate { name: name.to_owned(), proven: proven.to_vec() })
}

fn random_seed() -> Result<Seed, StartError> {
    let mut seed = [0; 32];
    SystemRandom::new()
        .fill(&mut seed)
        .map_err(|_| StartError::Driver("the operating system gave no randomness".to_owned()))?;
    Ok(Seed(seed))
}

fn parse_bind(text: &str) -> Result<SocketAddr, StartError> {
    text.parse::<SocketAddr>()
        .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DEFAULT_PORT)))
        .map_err(|_| StartError::Bind(text.to_owned()))
}

/// The address to announce; port 0 stands for the bound port.
fn announced_address(
    bind: SocketAddr,
    advertise: Option<SocketAddr>,
    seeds: &[JoinAddress],
) -> Result<SocketAddr, StartError> {
    let none = |reason: &str| Err(StartError::NoAdvertiseAddress(reason.to_owned()));
    match advertise {
        Some(address) if address.ip().is_unspecified() => {
            none("0.0.0.0 and :: cannot be dialed by anybody")
        }
        Some(address) => Ok(address),
        None if !bind.ip().is_unspecified() => Ok(bind),
        None => {
            let towards = seeds.iter().find_map(JoinAddress::socket_address);
            if let Some(ip) = towards.and_then(|seed| source_towards(bind, seed)) {
                return Ok(SocketAddr::new(ip, bind.port()));
            }
            match private_addresses().as_slice() {
                [ip] => Ok(SocketAddr::new(*ip, bind.port())),
                [] => none("the machine has no private address"),
                several => none(&format!("the machine has {} private addresses", several.len())),
            }
        }
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
        assert!(error.to_string().contains("--advertise"), "{error}");
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
