//! Participants of the cluster tests: an authority, members on free loopback ports, and waiting
//! with a bound.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use certs::Authority;
use swim_quic::{Builder, Cluster, Config, Event, Identity, MemberState, Subscription};

/// Longer than anything here takes on a busy machine; reaching it fails the test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const DAY: Duration = Duration::from_secs(86_400);

/// A cluster's authority.
pub(crate) struct Participants {
    pub(crate) authority: Authority,
}

impl Participants {
    pub(crate) fn new() -> Self {
        Self { authority: Authority::generate("test cluster", 30 * DAY).unwrap() }
    }

    /// An identity issued by this authority.
    pub(crate) fn identity(&self, name: &str) -> Identity {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let issued = self.authority.issue(name, &[loopback], 30 * DAY).unwrap();
        Identity::from_pem(
            self.authority.certificate_pem().as_bytes(),
            issued.certificate_pem.as_bytes(),
            issued.key_pem.as_bytes(),
        )
        .unwrap()
    }

    /// A member that is ready to start on a free port, with quick timers.
    pub(crate) fn member(&self, name: &str) -> Builder {
        Cluster::builder(name).bind("127.0.0.1:0").identity(self.identity(name)).config(quick())
    }

    /// Starts one member for each name, all joined through the first.
    pub(crate) fn cluster(&self, names: &[&str]) -> Vec<Cluster> {
        let mut members: Vec<Cluster> = Vec::new();
        for name in names {
            let seeds: Vec<String> =
                members.first().map(|first| first.address().to_string()).into_iter().collect();
            members.push(self.member(name).seeds(seeds).start().unwrap());
        }
        for member in &members {
            eventually("all see all", || alive(member).len() == names.len());
        }
        members
    }
}

/// Timers ten times as fast as on one machine, so that a death takes a second; and no event but
/// those of what a test does.
pub(crate) fn quick() -> Config {
    let mut config = Config::local();
    config.probe_interval = Duration::from_millis(200);
    config.probe_timeout = Duration::from_millis(100);
    config.gossip_interval = Duration::from_millis(20);
    config.stable_view_age = Duration::ZERO;
    config
}

/// The names that a member believes alive, in order.
pub(crate) fn alive(cluster: &Cluster) -> Vec<String> {
    cluster
        .members()
        .iter()
        .filter(|member| member.state() == MemberState::Alive)
        .map(|member| member.name().to_string())
        .collect()
}

/// Waits until `done`, looking often; fails after [`PATIENCE`].
#[expect(clippy::disallowed_methods, reason = "tests over real sockets wait in real time")]
pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for an event that `wanted` turns into something.
#[expect(clippy::disallowed_methods, reason = "tests over real sockets wait in real time")]
pub(crate) fn hear<T>(
    what: &str,
    events: &Subscription,
    mut wanted: impl FnMut(&Event) -> Option<T>,
) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let event = events.recv_deadline(deadline).unwrap_or_else(|_| panic!("never: {what}"));
        if let Some(found) = wanted(&event) {
            return found;
        }
    }
}
