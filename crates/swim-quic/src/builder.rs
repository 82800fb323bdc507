//! Describes a member before it starts, and starts it.
//!
//! Everything that can be wrong is checked before anything runs.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use certs::{Identity, IdentityFiles, NameFields, NamePolicy, Trust};
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
use crate::hooks::Hooks;
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
use crate::subscribers::{Subscribers, Subscription, SubscriptionLimits};

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

    /// Where to listen and dial from: `IP:PORT`, or an IP alone for port 7946 (default
    /// `0.0.0.0:7946`); port 0 takes a free one. Checked by [`start`](Self::start).
    #[must_use]
    pub fn bind(mut self, address: impl Into<String>) -> Self {
        self.bind = address.into();
        self
    }

    /// The address to announce to others, or where it is found, see [`Advertise`]. Port 0 means the
    /// bound port. Default: the bound one; for a wildcard bind, the one that the kernel would use
    /// towards the first seed that resolves (within 2 s), else for the default route, else the
    /// machine's only one, each time of the socket's family.
    #[must_use]
    pub fn advertise(mut self, what: impl Into<Advertise>) -> Self {
        self.advertise = Some(what.into());
        self
    }

    /// This member's certificate and key, and the roots it trusts.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(IdentitySource::Given(identity));
        self
    }

    /// This member's certificate, key and roots, from files that are followed while it runs: looked
    /// at every 3 s, on a thread of their own, by content. What is renewed is taken into use as by
    /// [`Cluster::rotate`] ([`Event::IdentityRotated`]), all three files of one generation; what
    /// cannot be used is told ([`Event::IdentityProblem`]), and the former certificate stays. Links
    /// that are swapped, as cert-manager does, count like files that are replaced. With
    /// [`trust`](Self::trust), the roots in the files are not used. Where renewals bring new keys,
    /// give a [`reset_secret`](Self::reset_secret).
    ///
    /// [`Event::IdentityRotated`]: crate::Event::IdentityRotated
    /// [`Event::IdentityProblem`]: crate::Event::IdentityProblem
    #[must_use]
    pub fn identity_files(mut self, files: IdentityFiles) -> Self {
        self.identity = Some(IdentitySource::Files(files));
        self
    }

    /// Lets this member use an identity of [`Identity::development`], which else is refused at the
    /// start, as it is on any address but loopback.
    #[must_use]
    pub fn allow_development_identity(mut self) -> Self {
        self.allows_development_identity = true;
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

    /// Which fields of a certificate prove a name, ours and our peers', dialed and accepted
    /// (default: those of the [`trust`](Self::trust), else [`NameFields::default`]). All members
    /// should have the same.
    #[must_use]
    pub fn name_fields(mut self, fields: NameFields) -> Self {
        self.name_fields = Some(fields);
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

    /// Standing seeds, at most 64: `[name/]host[:port]` or, with the feature `srv`, a service such
    /// as `_swim._udp.example.com`, whose SRV records have hosts and ports. Names are resolved
    /// again and again, and seeds that belong to no live member are retried for as long as this
    /// member runs, which also heals partitions.
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

    /// The secret behind stateless reset tokens (RFC 9000, section 10.3). It should survive
    /// restarts and certificate rotations, so that peers notice a restart at once. Default:
    /// derived from the private key, the name and the announced port.
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

    /// Rules and state of the application: who may be a member, and what travels with the states
    /// that members exchange. Members started from clones of this builder share them, and wait for
    /// each other's calls. Hooks that hold a [`Cluster`] keep the member from ending with its last
    /// other handle: then [`close`](Cluster::close) ends it.
    #[must_use]
    pub fn hooks(mut self, hooks: impl Hooks + Send + 'static) -> Self {
        self.hooks = Some(Arc::new(Mutex::new(hooks)));
        self
    }

    /// How far subscriptions may be behind, those made before this call included (default
    /// [`SubscriptionLimits::default`]).
    #[must_use]
    pub fn subscription_limits(self, limits: SubscriptionLimits) -> Self {
        self.shared.subscribers.set_limits(limits);
        self
    }

    /// Subscribes before the start, so that no event can be missed.
    pub fn subscribe(&self) -> Subscription {
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
