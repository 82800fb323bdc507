//! Clusters for tests: real members in one process, and a network between them that fails on
//! demand. Under the feature `testkit`, which belongs among the `dev-dependencies`.
//!
//! A [`TestCluster`] starts members on loopback sockets, with throw-away certificates, and passes
//! every datagram between them through a proxy on a thread of its own. It cuts, loses and delays
//! what passes, and members crash, freeze and restart. No root is needed, and tests that run at the
//! same time do not see each other.
//!
//! ```
//! use std::time::Duration;
//! use swim_quic::testkit::TestCluster;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut cluster = TestCluster::start(["ada", "bob", "cyd"])?;
//! let soon = Duration::from_secs(30);
//! cluster.cut(["ada"], ["bob", "cyd"])?;
//! cluster.wait_until("bob loses ada", soon, |cluster| !cluster.sees("bob", "ada"))?;
//! assert!(cluster.sees("bob", "cyd"));
//! cluster.heal();
//! cluster.wait_until("all agree again", soon, TestCluster::all_agree)?;
//! # Ok(())
//! # }
//! ```

mod fault_calls;
mod proxy;
mod standstill;
mod test_cluster_error;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use certs::Identity;
use swim_core::Config;

use crate::builder::Builder;
use crate::cluster::Cluster;
use crate::deadline::{deadline_after, time_until};
use crate::driver::Driver;
use crate::error::StartError;
use proxy::{Port, Proxy};
use standstill::Standstill;
pub use test_cluster_error::TestClusterError;

/// How long [`TestCluster::start`] waits for the members to agree.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks of [`TestCluster::wait_until`].
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// [`Config::local`] with probes every 200 ms, gossip every 20 ms, and suspicions that last at most
/// twice the shortest time: of a few members, one that is gone is declared dead within about two
/// seconds. What the members of a [`TestCluster`] start with.
///
/// ```
/// assert!(swim_quic::testkit::quick_config().probe_interval.as_millis() == 200);
/// ```
#[must_use]
pub fn quick_config() -> Config {
    let mut config = Config::local();
    config.probe_interval = Duration::from_millis(200);
    config.probe_timeout = Duration::from_millis(100);
    config.gossip_interval = Duration::from_millis(20);
    config.suspicion_max_timeout_multiplier = 2;
    config
}

type Configure = Box<dyn Fn(Builder) -> Builder + Send>;

/// One member, whether it runs or has crashed.
struct TestMember {
    cluster: Cluster,
    driver: Driver,
    identity: Identity,
    configure: Configure,
    port: Port,
    /// While it is frozen.
    standstill: Option<Standstill>,
    has_crashed: bool,
}

/// Members in one process, and the network between them.
///
/// All of them join through all others. What is done to the network holds for datagrams that arrive
/// at the proxy from then on. When this is dropped every member ends, without a leave and whoever
/// has further handles to it, and so do all threads.
///
/// The first and the last of two members in a call are the sender and the receiver.
pub struct TestCluster {
    members: BTreeMap<String, TestMember>,
    // After the members, whose last datagrams go nowhere then.
    proxy: Proxy,
}

impl fmt::Debug for TestCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.members.keys()).finish()
    }
}

impl TestCluster {
    /// A cluster without a member. Which datagrams are lost follows from `seed`: on each link the
    /// n-th datagram has the same fate in each run.
    ///
    /// # Errors
    ///
    /// [`TestClusterError::Network`] when the operating system refuses a poll or a thread.
    ///
    /// ```
    /// # use swim_quic::testkit::{TestCluster, TestClusterError};
    /// let mut cluster = TestCluster::new(7)?;
    /// let ada = cluster.add_with("ada", |builder| builder.meta("role=db"))?;
    /// assert_eq!(ada.members().get("ada").unwrap().meta(), b"role=db");
    /// # Ok::<(), TestClusterError>(())
    /// ```
    pub fn new(seed: u64) -> Result<Self, TestClusterError> {
        let proxy = Proxy::start(seed).map_err(TestClusterError::Network)?;
        Ok(Self { members: BTreeMap::new(), proxy })
    }

    /// Starts one member for each name, and returns when all see all. The seed is 0.
    ///
    /// # Errors
    ///
    /// Those of [`add`](Self::add), and [`TestClusterError::TimedOut`] after 30 s.
    ///
    /// ```
    /// # use swim_quic::testkit::{TestCluster, TestClusterError};
    /// let cluster = TestCluster::start(["ada", "bob"])?;
    /// assert!(cluster.sees("ada", "bob") && cluster.sees("bob", "ada"));
    /// # Ok::<(), TestClusterError>(())
    /// ```
    pub fn start<N: Into<String>>(
        names: impl IntoIterator<Item = N>,
    ) -> Result<Self, TestClusterError> {
        let mut cluster = Self::new(0)?;
        for name in names {
            cluster.add(name)?;
        }
        cluster.wait_until("all members see each other", PATIENCE, Self::all_agree)?;
        Ok(cluster)
    }

    /// Starts a further member, and returns once it runs: the others learn of it after that.
    ///
    /// # Errors
    ///
    /// [`TestClusterError::NameTaken`], and what keeps a member from starting.
    ///
    /// ```no_run
    /// # use swim_quic::testkit::{TestCluster, TestClusterError};
    /// # use std::time::Duration;
    /// # fn example(cluster: &mut TestCluster) -> Result<(), TestClusterError> {
    /// cluster.add("dan")?;
    /// cluster.wait_until("dan is known", Duration::from_secs(10), TestCluster::all_agree)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn add(&mut self, name: impl Into<String>) -> Result<Cluster, TestClusterError> {
        self.add_with(name, |builder| builder)
    }

    /// Starts a further member with settings of its own: hooks, metadata, another configuration
    /// than [`quick_config`]. The settings are taken again when it restarts. Where it binds, what
    /// it announces, its seeds and its driver are the test cluster's.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    ///
    /// ```no_run
    /// # use swim_quic::{Config, testkit::{TestCluster, TestClusterError}};
    /// # fn example(cluster: &mut TestCluster) -> Result<(), TestClusterError> {
    /// cluster.add_with("slow", |builder| builder.config(Config::wan()))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn add_with(
        &mut self,
        name: impl Into<String>,
        configure: impl Fn(Builder) -> Builder + Send + 'static,
    ) -> Result<Cluster, TestClusterError> {
        let name = name.into();
        if self.members.contains_key(&name) {
            return Err(TestClusterError::NameTaken(name));
        }
        let identity = Identity::development(&name).map_err(|source| {
            TestClusterError::Identity { name: name.clone(), source: source.into() }
        })?;
        let port = self.proxy.open_port().map_err(TestClusterError::Network)?;
        let configure: Configure = Box::new(configure);
        let (cluster, driver) = self.start_member(&name, &identity, &configure, port)?;
        let handle = cluster.clone();
        let (standstill, has_crashed) = (None, false);
        let member =
            TestMember { cluster, driver, identity, configure, port, standstill, has_crashed };
        self.members.insert(name, member);
        Ok(handle)
    }

    /// The member that runs under this name; after a restart another one than before.
    ///
    /// # Errors
    ///
    /// [`TestClusterError::UnknownMember`], [`TestClusterError::Crashed`].
    ///
    /// ```no_run
    /// # use swim_quic::testkit::TestCluster;
    /// # fn example(cluster: &TestCluster) -> Result<(), Box<dyn std::error::Error>> {
    /// cluster.member("ada")?.send("bob", "hello")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn member(&self, name: &str) -> Result<&Cluster, TestClusterError> {
        let member = self.known(name)?;
        match member.has_crashed {
            true => Err(TestClusterError::Crashed(name.to_owned())),
            false => Ok(&member.cluster),
        }
    }

    /// Whether `observer` runs and holds `other` alive or suspect. Names that are not here are seen
    /// by nobody.
    ///
    /// ```no_run
    /// # fn example(cluster: &swim_quic::testkit::TestCluster) {
    /// assert!(cluster.sees("ada", "bob"), "nothing has happened yet");
    /// # }
    /// ```
    #[must_use]
    pub fn sees(&self, observer: &str, other: &str) -> bool {
        let observer = self.member(observer).ok();
        let found = observer.and_then(|observer| observer.members().get(other).cloned());
        found.is_some_and(|other| other.state().is_live())
    }

    /// Whether every member that has not crashed sees those, itself among them, and nobody else.
    ///
    /// ```no_run
    /// # fn example(cluster: &swim_quic::testkit::TestCluster) {
    /// println!("partitioned: {}", !cluster.all_agree());
    /// # }
    /// ```
    #[must_use]
    pub fn all_agree(&self) -> bool {
        let running = || self.members.iter().filter(|(_, member)| !member.has_crashed);
        let names: Vec<&str> = running().map(|(name, _)| name.as_str()).collect();
        running().all(|(_, member)| live_names(&member.cluster) == names)
    }

    /// Looks every 5 ms until `done`, at most for `timeout`.
    ///
    /// # Errors
    ///
    /// [`TestClusterError::TimedOut`] with `what`, and whom each member sees.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use swim_quic::testkit::{TestCluster, TestClusterError};
    /// # fn example(cluster: &mut TestCluster) -> Result<(), TestClusterError> {
    /// let soon = Duration::from_secs(10);
    /// cluster.crash("bob")?;
    /// cluster.wait_until("ada finds bob dead", soon, |cluster| !cluster.sees("ada", "bob"))?;
    /// # Ok(())
    /// # }
    /// ```
    #[expect(clippy::disallowed_methods, reason = "what is waited for has no event of its own")]
    pub fn wait_until(
        &self,
        what: &str,
        timeout: Duration,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Result<(), TestClusterError> {
        let deadline = deadline_after(timeout);
        while !done(self) {
            if time_until(deadline).is_zero() {
                let (what, views) = (what.to_owned(), self.views());
                return Err(TestClusterError::TimedOut { what, timeout, views });
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
        Ok(())
    }

    fn start_member(
        &self,
        name: &str,
        identity: &Identity,
        configure: &Configure,
        port: Port,
    ) -> Result<(Cluster, Driver), TestClusterError> {
        let failed = |source: StartError| {
            let (name, source) = (name.to_owned(), source.into());
            TestClusterError::Start { name, source }
        };
        let driver = Driver::start().map_err(|error| failed(error.into()))?;
        let builder = Cluster::builder(name)
            .identity(identity.clone())
            .allow_development_identity()
            .config(quick_config());
        let builder = configure(builder)
            .bind("127.0.0.1:0")
            .advertise(self.proxy.address(port))
            .driver(&driver)
            .seeds(Vec::<String>::new());
        let cluster = builder.start().map_err(failed)?;
        // Only now is it known where it listens, so that answers to it pass.
        self.proxy.attach(port, cluster.bound_address());
        let others = self.members.iter().filter(|(other, _)| *other != name);
        let seeds = others.map(|(_, member)| self.proxy.address(member.port));
        let seeds: Vec<String> =
            seeds.take(MAX_SEEDS).map(|seed: SocketAddr| seed.to_string()).collect();
        cluster.set_seeds(seeds).map_err(|source| TestClusterError::Seeds {
            name: name.to_owned(),
            source: source.into(),
        })?;
        Ok((cluster, driver))
    }

    fn known(&self, name: &str) -> Result<&TestMember, TestClusterError> {
        self.members.get(name).ok_or_else(|| TestClusterError::UnknownMember {
            name: name.to_owned(),
            known: self.members.keys().cloned().collect(),
        })
    }

    fn port(&self, name: &str) -> Result<Port, TestClusterError> {
        self.known(name).map(|member| member.port)
    }

    /// Whom each member sees, on one line.
    fn views(&self) -> String {
        let views = self.members.iter().map(|(name, member)| match member.has_crashed {
            true => format!("{name} has crashed"),
            false => format!("{name} sees {}", live_names(&member.cluster).join(", ")),
        });
        views.collect::<Vec<_>>().join("; ")
    }
}

/// As many as a member may have.
const MAX_SEEDS: usize = 64;

impl TestMember {
    /// Ends it at once; nothing it sends passes any more.
    fn end(&mut self) {
        self.standstill = None;
        self.cluster.close(Duration::ZERO);
        self.has_crashed = true;
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        for member in self.members.values_mut() {
            self.proxy.detach(member.port);
            member.end();
        }
    }
}

/// The names of those whom a member holds alive or suspect, in order.
fn live_names(cluster: &Cluster) -> Vec<String> {
    let members = cluster.members();
    let live = members.iter().filter(|member| member.state().is_live());
    live.map(|member| member.name().to_string()).collect()
}
