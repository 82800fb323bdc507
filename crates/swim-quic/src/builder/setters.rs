//! What a [`Builder`] is told, and what it may be told later than the rest.

use std::sync::{Arc, Mutex};

use certs::{Identity, IdentityFiles, NameFields, NamePolicy, Trust};
use quic_net::Limits;
use swim_core::Config;

use super::Builder;
use crate::advertise::Advertise;
use crate::driver::Driver;
use crate::hooks::Hooks;
use crate::identity_files::IdentitySource;
use crate::subscribers::{Subscription, SubscriptionLimits};

/// # Settings
impl Builder {
    /// Where to listen and dial from: `IP:PORT`, or an IP alone for port 7946 (default
    /// `0.0.0.0:7946`); port 0 takes a free one. Checked by [`start`](Self::start).
    ///
    /// ```
    /// # use swim_quic::Cluster;
    /// let builder = Cluster::builder("ada").bind("[::]:7946"); // IPv6, and IPv4 on most systems
    /// ```
    #[must_use]
    pub fn bind(mut self, address: impl Into<String>) -> Self {
        self.bind = address.into();
        self
    }

    /// The address to announce to others, or where it is found, see [`Advertise`]. Port 0 means the
    /// bound port. Default: the bound one; for a wildcard bind, the one that the kernel would use
    /// towards the first seed that resolves (within 2 s), else for the default route, else the
    /// machine's only one, each time of the socket's family.
    ///
    /// ```
    /// # use swim_quic::Cluster;
    /// let builder = Cluster::builder("ada").advertise("10.0.0.0/8"); // our address in there
    /// ```
    #[must_use]
    pub fn advertise(mut self, what: impl Into<Advertise>) -> Self {
        self.advertise = Some(what.into());
        self
    }

    /// This member's certificate and key, and the roots it trusts.
    ///
    /// ```no_run
    /// # use swim_quic::{Cluster, Identity, IdentityError};
    /// let identity = Identity::from_pem_files("ca.pem", "ada.pem", "ada.key")?;
    /// let builder = Cluster::builder("ada").identity(identity);
    /// # Ok::<(), IdentityError>(())
    /// ```
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
    /// [`Cluster::rotate`]: crate::Cluster::rotate
    /// [`Event::IdentityRotated`]: crate::Event::IdentityRotated
    /// [`Event::IdentityProblem`]: crate::Event::IdentityProblem
    ///
    /// ```
    /// # use swim_quic::{Cluster, IdentityFiles};
    /// let files = IdentityFiles::in_directory("/etc/swim", "ada");
    /// let builder = Cluster::builder("ada").identity_files(files);
    /// ```
    #[must_use]
    pub fn identity_files(mut self, files: IdentityFiles) -> Self {
        self.identity = Some(IdentitySource::Files(files));
        self
    }

    /// Lets this member use an identity of [`Identity::development`], which else is refused at the
    /// start, as it is on any address but loopback.
    ///
    /// ```
    /// # use swim_quic::{Cluster, Identity};
    /// let ada = Cluster::builder("ada")
    ///     .bind("127.0.0.1:0")
    ///     .identity(Identity::development("ada")?)
    ///     .allow_development_identity()
    ///     .start()?;
    /// assert_eq!(ada.members().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn allow_development_identity(mut self) -> Self {
        self.allows_development_identity = true;
        self
    }

    /// Whom to trust, in place of the roots that came with the identity.
    ///
    /// ```no_run
    /// # use swim_quic::{Cluster, Trust};
    /// let both = std::fs::read("old-and-new-ca.pem")?;
    /// let builder = Cluster::builder("ada").trust(Trust::from_pem(&both)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = Some(trust);
        self
    }

    /// What a certificate must prove (default [`NamePolicy::Match`]).
    ///
    /// ```
    /// # use swim_quic::{Cluster, NamePolicy};
    /// let builder = Cluster::builder("ada").name_policy(NamePolicy::Any); // as Go does
    /// ```
    #[must_use]
    pub fn name_policy(mut self, policy: NamePolicy) -> Self {
        self.name_policy = policy;
        self
    }

    /// Which fields of a certificate prove a name, ours and our peers', dialed and accepted
    /// (default: those of the [`trust`](Self::trust), else [`NameFields::default`]). All members
    /// should have the same.
    ///
    /// ```
    /// # use swim_quic::{Cluster, NameFields, SpiffePatternError};
    /// let fields = NameFields::spiffe("spiffe://example.org/member/{name}".parse()?);
    /// let builder = Cluster::builder("ada").name_fields(fields);
    /// # Ok::<(), SpiffePatternError>(())
    /// ```
    #[must_use]
    pub fn name_fields(mut self, fields: NameFields) -> Self {
        self.name_fields = Some(fields);
        self
    }

    /// The timing and limits of the protocol (default [`Config::lan`]).
    ///
    /// ```
    /// # use swim_quic::{Cluster, Config};
    /// let mut config = Config::wan();
    /// config.label = b"production".to_vec();
    /// let builder = Cluster::builder("ada").config(config);
    /// ```
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// The bounds and timeouts of the transport (default [`Limits::default`]).
    ///
    /// ```
    /// # use swim_quic::{Cluster, Limits};
    /// let mut limits = Limits::default();
    /// limits.connections = 2_000;
    /// let builder = Cluster::builder("ada").limits(limits);
    /// ```
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Standing seeds, at most 64: `[name/]host[:port]` or, with the feature `srv`, a service such
    /// as `_swim._udp.example.com`, whose SRV records have hosts and ports. Names are resolved
    /// again and again, and seeds that belong to no live member are retried for as long as this
    /// member runs, which also heals partitions.
    ///
    /// ```
    /// # use swim_quic::Cluster;
    /// let builder = Cluster::builder("ada").seeds(["10.0.0.2:7946", "seed.example"]);
    /// ```
    #[must_use]
    pub fn seeds<A: Into<String>>(mut self, seeds: impl IntoIterator<Item = A>) -> Self {
        self.seeds = seeds.into_iter().map(Into::into).collect();
        self
    }

    /// Metadata that every member sees, at most 512 bytes (Go's limit).
    ///
    /// ```
    /// # use swim_quic::Cluster;
    /// let builder = Cluster::builder("ada").meta("role=db");
    /// ```
    #[must_use]
    pub fn meta(mut self, meta: impl Into<Vec<u8>>) -> Self {
        self.meta = meta.into();
        self
    }

    /// The secret behind stateless reset tokens (RFC 9000, section 10.3). It should survive
    /// restarts and certificate rotations, so that peers notice a restart at once. Default:
    /// derived from the private key, the name and the announced port.
    ///
    /// ```
    /// # use swim_quic::Cluster;
    /// // Of the machine, kept beside its certificates.
    /// let builder = Cluster::builder("ada").reset_secret([7; 32]);
    /// ```
    #[must_use]
    pub fn reset_secret(mut self, secret: [u8; 32]) -> Self {
        self.reset_secret = Some(secret);
        self
    }

    /// Runs the member on a shared driver thread instead of one of its own.
    ///
    /// ```
    /// # use swim_quic::{Cluster, Driver, DriverError};
    /// let driver = Driver::start()?;
    /// let tenants = ["a", "b"].map(|tenant| Cluster::builder(tenant).driver(&driver));
    /// # Ok::<(), DriverError>(())
    /// ```
    #[must_use]
    pub fn driver(mut self, driver: &Driver) -> Self {
        self.driver = Some(driver.clone());
        self
    }

    /// Rules and state of the application: who may be a member, and what travels with the states
    /// that members exchange. Members started from clones of this builder share them, and wait for
    /// each other's calls. Hooks that hold a [`Cluster`] keep the member from ending with its last
    /// other handle: then [`close`] ends it.
    ///
    /// [`Cluster`]: crate::Cluster
    /// [`close`]: crate::Cluster::close
    ///
    /// ```
    /// # use swim_quic::{Cluster, Hooks, Member, PeerCertificate};
    /// # use std::error::Error;
    /// struct OnlyNodes;
    ///
    /// impl Hooks for OnlyNodes {
    ///     fn admit_member(
    ///         &mut self,
    ///         member: &Member,
    ///         _: Option<&PeerCertificate>,
    ///     ) -> Result<(), Box<dyn Error + Send + Sync>> {
    ///         let name = member.name().to_string();
    ///         if name.starts_with("node-") { Ok(()) } else { Err("no node".into()) }
    ///     }
    /// }
    ///
    /// let builder = Cluster::builder("node-a").hooks(OnlyNodes);
    /// ```
    #[must_use]
    pub fn hooks(mut self, hooks: impl Hooks + Send + 'static) -> Self {
        self.hooks = Some(Arc::new(Mutex::new(hooks)));
        self
    }

    /// How far subscriptions may be behind, those made before this call included (default
    /// [`SubscriptionLimits::default`]).
    ///
    /// ```
    /// # use swim_quic::{Cluster, SubscriptionLimits};
    /// let mut limits = SubscriptionLimits::default();
    /// limits.messages = 100_000;
    /// let builder = Cluster::builder("ada").subscription_limits(limits);
    /// ```
    #[must_use]
    pub fn subscription_limits(self, limits: SubscriptionLimits) -> Self {
        self.shared.subscribers.set_limits(limits);
        self
    }

    /// Subscribes before the start, so that no event can be missed.
    ///
    /// ```
    /// # use swim_quic::Cluster;
    /// let builder = Cluster::builder("ada");
    /// let (for_logs, for_routing) = (builder.subscribe(), builder.subscribe());
    /// ```
    pub fn subscribe(&self) -> Subscription {
        self.shared.subscribers.add()
    }
}
