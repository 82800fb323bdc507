//! Describes a member before it starts, and starts it.
//!
//! Everything that can be wrong is checked before anything runs.

mod setters;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use certs::{Identity, NameFields, NamePolicy, Trust};
use crossbeam_channel::bounded;
use quic_net::{Endpoint, EndpointConfig, Limits, LoopWaker};
use swim_core::{Config, Features, LocalMember, MemberName, Membership, RngSeed, Time};

use crate::address::{DEFAULT_PORT, JoinAddress};
use crate::address_watch::AddressSource;
use crate::advertise::Advertise;
use crate::announce::{announced_address, parse_bind};
use crate::application::StreamRouter;
use crate::cluster::{Cluster, Inner};
use crate::driver::{Driver, MakeNode};
use crate::error::{CommandError, DriverError, StartError};
use crate::held_bytes::HeldBytes;
use crate::hook_runner::{SharedHooks, install_hooks};
use crate::host::ThisHost;
use crate::host_watch::HostWatch;
use crate::identity_files::{IdentityFilesWatch, IdentitySource, LoadedIdentity};
use crate::live_identity::LiveIdentity;
use crate::node::{Node, NodeParts, Shared};
use crate::protocol::{CLASSIC_PROTOCOL, EXTENDED_PROTOCOL};
use crate::reach::Reach;
use crate::resolve::Resolver;
use crate::standing_seeds::{StandingSeeds, parse_seeds};
use crate::start_checks::{check_development, check_name, note_label, random_bytes};
use crate::subscribers::Subscribers;

/// A member that is not running yet.
///
/// ```no_run
/// use std::time::Duration;
/// use swim_quic::{Cluster, Config, Driver, Identity, Limits, NamePolicy, StartError};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut limits = Limits::default();
/// limits.dial_timeout = Duration::from_secs(5);
/// let driver = Driver::start()?; // only to share one thread among several members
/// let builder = Cluster::builder("ada")
///     .bind("0.0.0.0:7946")
///     .advertise("192.0.2.7:7946")
///     .identity(Identity::from_pem_files("ca.pem", "ada.pem", "ada.key")?)
///     .name_policy(NamePolicy::Match)
///     .config(Config::wan())
///     .limits(limits)
///     .seeds(["seed.example", "bob/192.0.2.8:7946"])
///     .meta("role=db")
///     .driver(&driver);
/// let events = builder.subscribe();
/// match builder.start() {
///     Ok(cluster) => println!("{} listens on {}", cluster.name(), cluster.address()),
///     Err(StartError::Socket { address, source }) => println!("{address}: {source}"),
///     Err(other) => return Err(other.into()),
/// }
/// # drop(events);
/// # Ok(())
/// # }
/// ```
///
/// Members started from clones of one builder are independent of each other. A clone begins
/// without subscriptions: what was subscribed to belongs to the builder that was asked.
pub struct Builder {
    name: String,
    bind: String,
    advertise: Option<Advertise>,
    identity: Option<IdentitySource>,
    allows_development_identity: bool,
    trust: Option<Trust>,
    name_policy: NamePolicy,
    name_fields: Option<NameFields>,
    config: Config,
    limits: Limits,
    seeds: Vec<String>,
    meta: Vec<u8>,
    reset_secret: Option<[u8; 32]>,
    driver: Option<Driver>,
    hooks: Option<SharedHooks>,
    shared: Arc<Shared>,
}

impl Clone for Builder {
    fn clone(&self) -> Self {
        let subscribers = Subscribers::with_limits(self.shared.subscribers.limits());
        Self {
            name: self.name.clone(),
            bind: self.bind.clone(),
            advertise: self.advertise.clone(),
            identity: self.identity.clone(),
            allows_development_identity: self.allows_development_identity,
            trust: self.trust.clone(),
            name_policy: self.name_policy,
            name_fields: self.name_fields.clone(),
            config: self.config.clone(),
            limits: self.limits.clone(),
            seeds: self.seeds.clone(),
            meta: self.meta.clone(),
            reset_secret: self.reset_secret,
            driver: self.driver.clone(),
            hooks: self.hooks.clone(),
            shared: Arc::new(Shared::with_subscribers(subscribers)),
        }
    }
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

impl Cluster {
    /// Starts describing a member called `name` (1 to 255 bytes).
    ///
    /// ```
    /// # use swim_quic::Cluster;
    /// let builder = Cluster::builder("ada").bind("10.0.0.1:7946").seeds(["10.0.0.2"]);
    /// ```
    pub fn builder(name: impl Into<String>) -> Builder {
        Builder::new(name.into())
    }
}

impl Builder {
    fn new(name: String) -> Self {
        Self {
            name,
            bind: format!("0.0.0.0:{DEFAULT_PORT}"),
            advertise: None,
            identity: None,
            allows_development_identity: false,
            trust: None,
            name_policy: NamePolicy::default(),
            name_fields: None,
            config: Config::lan(),
            limits: Limits::default(),
            seeds: Vec::new(),
            meta: Vec::new(),
            reset_secret: None,
            driver: None,
            hooks: None,
            shared: Arc::default(),
        }
    }

    /// Starts the member: one thread, one socket. Returns once it listens; joining the seeds
    /// goes on in the background.
    ///
    /// # Errors
    ///
    /// [`StartError`] names the cause and the remedy; nothing is left running then.
    ///
    /// ```
    /// # use swim_quic::{Cluster, StartError};
    /// let nameless = Cluster::builder("").start();
    /// assert!(matches!(nameless, Err(StartError::Name { .. })));
    /// let without = Cluster::builder("ada").bind("127.0.0.1:0").start();
    /// assert!(matches!(without, Err(StartError::NoIdentity)));
    /// ```
    pub fn start(self) -> Result<Cluster, StartError> {
        let name = MemberName::try_from(self.name.as_str())
            .map_err(|source| StartError::Name { name: self.name.clone(), source })?;
        let bind = parse_bind(&self.bind)?;
        let seeds = parse_seeds(&self.seeds)?;
        self.config.validate()?;
        self.limits.validate()?;
        let loaded = self.identity.clone().ok_or(StartError::NoIdentity)?.load()?;
        check_development(&loaded.identity, self.allows_development_identity, bind)?;
        check_name(&self.name, &loaded.identity, &self.judging_trust(&loaded.identity))?;
        let announced =
            announced_address(bind, self.advertise.as_ref(), &seeds, &mut ThisHost::new())?;
        let driver = match &self.driver {
            Some(driver) => driver.clone(),
            None => Driver::start()?,
        };
        let shared = Arc::clone(&self.shared);
        let towards = seeds.iter().filter_map(JoinAddress::socket_address).collect();
        let source = AddressSource::of(bind, self.advertise.as_ref(), towards);
        let (announce, announced_at) = bounded(1);
        let waker = driver.waker();
        let own_name = name.clone();
        let make: MakeNode = Box::new(move |local, now| {
            let port = if announced.port() == 0 { local.port() } else { announced.port() };
            let address = SocketAddr::new(announced.ip(), port);
            let mut host = HostWatch::new(bind);
            host.announced(address, source, now);
            let node = self.make_node(loaded, (own_name, address), seeds, waker, host, now)?;
            let _ = announce.send((address, local));
            Ok(node)
        });
        let sender = driver.host(bind, Arc::clone(&shared), make)?;
        let (address, bound) = announced_at.recv().map_err(|_| CommandError::Closed)?;
        log::info!("{name} listens on {address}");
        Ok(Cluster::from_inner(Inner {
            name,
            address,
            shared,
            bound,
            resolver: Resolver::new(Reach::of(bind)),
            sender,
            held: HeldBytes::default(),
        }))
    }

    /// Whom to trust, under the rules for names.
    fn judging_trust(&self, identity: &Identity) -> Trust {
        let trust = self.trust.clone().unwrap_or_else(|| identity.trust());
        let trust = trust.with_policy(self.name_policy);
        match &self.name_fields {
            Some(fields) => trust.with_name_fields(fields.clone()),
            None => trust,
        }
    }

    /// Runs on the driver thread once the socket is bound.
    fn make_node(
        self,
        loaded: LoadedIdentity,
        (name, address): (MemberName, SocketAddr),
        seeds: Vec<JoinAddress>,
        waker: Arc<LoopWaker>,
        host: HostWatch,
        now: Instant,
    ) -> Result<Node, StartError> {
        let LoadedIdentity { identity, files } = loaded;
        let follows_roots = self.trust.is_none();
        let trust = self.judging_trust(&identity);
        let mut live = LiveIdentity::new(self.name.clone(), identity.clone(), trust, now);
        if let Some(files) = files {
            let watch = IdentityFilesWatch::start(files, Arc::clone(&waker));
            live.follow(watch.map_err(DriverError::Thread)?, follows_roots);
        }
        let tls = certs::tls_context(live.identity(), live.trust())?;
        let secret =
            self.reset_secret.unwrap_or_else(|| identity.reset_secret(&self.name, address.port()));
        note_label(&name, &self.config.label);
        let mut transport = EndpointConfig::new(EXTENDED_PROTOCOL, CLASSIC_PROTOCOL, secret);
        let start = u64::from_le_bytes(random_bytes()?);
        transport.features = Features::SUPPORTED.to_bytes_with_start(start);
        transport.name = name.as_bytes().to_vec();
        transport.label = self.config.label.clone();
        transport.limits = self.limits;
        close_unneeded(&mut transport, &self.config);
        transport.identify = live.identify();
        transport.describe_names = live.describe_names();
        let endpoint = Endpoint::new(transport, tls, now)?;
        let (me, seed) = (LocalMember { name, address, meta: self.meta }, RngSeed(random_bytes()?));
        let mut membership = Membership::new(self.config, me, seed, Time::ZERO)?;
        install_hooks(self.hooks, &mut membership, &self.shared);
        let applications = StreamRouter::new(Arc::clone(&waker));
        let seeds = StandingSeeds::new(seeds, host.reach(), waker);
        let (identity, shared) = (live, self.shared);
        let parts = NodeParts { membership, endpoint, identity, seeds, applications, shared, host };
        Ok(Node::new(parts, now))
    }
}

/// How often connections that are not needed any more are looked for, where few members watch each.
const LOOK: Duration = Duration::from_secs(10);

/// Where few members watch each, those that do not are to have no connection. Whoever watches a
/// member probes it after twice as many probe intervals as there are observers at the latest.
fn close_unneeded(transport: &mut EndpointConfig, config: &Config) {
    if config.observers > 0 && !config.probe_interval.is_zero() {
        let intervals = u32::try_from(3 * config.observers).unwrap_or(u32::MAX);
        let longest = config.probe_interval.saturating_mul(intervals);
        transport.extended_idle_timeout = Some(longest.min(transport.limits.idle_timeout));
        transport.limits.sweep_interval = transport.limits.sweep_interval.min(LOOK);
    }
}
