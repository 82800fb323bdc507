//! Members are upgraded one after the other, each by a restart that takes two seconds.

use std::time::Duration;

use crate::config::Config;
use crate::member::MemberState;
use crate::protocol_versions::ProtocolVersions;
use crate::sim::fault::HostId;
use crate::sim::scenario::experiment::{Job, Measure, Scenario, Size, number, one_row_each};
use crate::sim::scenario::scenario_cluster::deaths;
use crate::sim::setup::{Setup, Watch};
use crate::sim::simulation::Simulation;
use crate::time::Time;

const REPETITIONS: u64 = 6;
/// How long a restart takes, and how long the next one waits after it.
const DOWN: Duration = Duration::from_secs(2);
const APART: Duration = Duration::from_secs(3);
/// Exchanges of states reach everybody in this time, whatever gossip does.
const AT_MOST: Duration = Duration::from_secs(90);
/// How long a newcomer may need to know all that understand it, and metadata to be known by them.
const MOST: Duration = Duration::from_secs(2);

/// The versions of memberlist's protocol understood and spoken, and the application's.
type Versions = [u8; 6];

/// From 1 to 5, 2, 0 to 0, 0. All understand all, so that one round is enough.
const PROTOCOL: (&str, &[Versions]) = ("protocol 2 to 5", &[[1, 5, 5, 0, 0, 0]]);
/// First all understand the new version, then all speak it, then nobody understands the old one.
const OVERLAPPING: (&str, &[Versions]) =
    ("delegate, in three rounds", &[[1, 5, 2, 0, 1, 0], [1, 5, 2, 0, 1, 1], [1, 5, 2, 1, 1, 1]]);
/// In between the cluster has two parts that do not understand each other.
const AT_ONCE: (&str, &[Versions]) = ("delegate, at once", &[[1, 5, 2, 1, 1, 1]]);

/// Three kinds of upgrade.
pub(super) fn scenario(size: Size) -> Scenario {
    let members = size.members.unwrap_or(12).max(4);
    let repetitions = size.repetitions.unwrap_or(0..REPETITIONS);
    let jobs = [PROTOCOL, OVERLAPPING, AT_ONCE]
        .into_iter()
        .flat_map(|kind| repetitions.clone().map(move |seed| (kind, seed)))
        .map(|((name, rounds), seed)| {
            let row = format!("{name}, seed {seed}");
            Job::new(move || Upgrade::new(seed, members).run(row.clone(), rounds))
        })
        .collect();
    Scenario {
        about: "every member restarts with other versions, one after the other",
        anchor: "memberlist refuses a whole exchange for one entry that it does not understand, so \
                 that an upgrade stops all exchanges; here members that understand each other must \
                 go on as if the others were not there, and at the end all must agree",
        jobs,
        summarize: one_row_each,
    }
}

struct Upgrade {
    sim: Simulation,
    hosts: Vec<HostId>,
    slowest_join: Duration,
    slowest_metadata: Duration,
    /// Of members that understand who declared them dead.
    deaths: usize,
    counted_until: Time,
}

impl Upgrade {
    fn new(seed: u64, members: usize) -> Self {
        let setup = Setup { watch: Watch::Never, keep_events: true, ..Setup::new(Config::lan()) };
        let mut sim = Simulation::new(seed, setup);
        let hosts: Vec<HostId> = (0..members).map(|n| sim.add(&format!("member-{n:02}"))).collect();
        for host in &hosts {
            sim.start(*host);
        }
        // Each has two others as seeds, one that is upgraded before it and one after it.
        for (place, host) in hosts.iter().enumerate() {
            let seeds = [1, members - 1].map(|by| hosts[(place + by) % members]);
            sim.set_seeds(*host, &seeds);
        }
        sim.run_until(AT_MOST, |sim| sim.agreement().is_ok());
        let (slowest_join, slowest_metadata) = (Duration::ZERO, Duration::ZERO);
        let counted_until = sim.now();
        Self { sim, hosts, slowest_join, slowest_metadata, deaths: 0, counted_until }
    }

    fn run(mut self, row: String, rounds: &[Versions]) -> Measure {
        self.sim.run_for(Duration::from_secs(30));
        let mut number_of_change = 0u32;
        for versions in rounds {
            for host in self.hosts.clone() {
                self.sim.crash(host);
                self.sim.set_versions(host, ProtocolVersions::from_bytes(*versions));
                self.sim.run_for(DOWN);
                self.sim.start(host);
                let took = self.until_known(host, |sim, viewer| {
                    sim.state(viewer, host) == Some(MemberState::Alive)
                        && sim.state(host, viewer) == Some(MemberState::Alive)
                });
                self.slowest_join = self.slowest_join.max(took);
                for subject in [self.hosts[0], self.hosts[self.hosts.len() - 1]] {
                    number_of_change += 1;
                    let meta = number_of_change.to_be_bytes();
                    self.sim.set_meta(subject, &meta);
                    let took = self.until_known(subject, |sim, viewer| {
                        sim.member(viewer, subject).is_some_and(|member| member.meta() == meta)
                    });
                    self.slowest_metadata = self.slowest_metadata.max(took);
                }
                self.sim.run_for(APART);
                self.count_deaths();
            }
        }
        let began = self.sim.now();
        self.sim.run_until(AT_MOST, |sim| sim.agreement().is_ok());
        let agreeing = self.sim.now() - began;
        self.count_deaths();
        self.measure(row, agreeing)
    }

    /// How long it takes until this holds at all members that understand the subject.
    fn until_known(
        &mut self,
        subject: HostId,
        is_known: impl Fn(&Simulation, HostId) -> bool,
    ) -> Duration {
        let began = self.sim.now();
        let versions = |host: &HostId| self.sim.versions(*host);
        let viewers: Vec<HostId> = self
            .hosts
            .iter()
            .copied()
            .filter(|host| *host != subject && fits(versions(host), versions(&subject)))
            .collect();
        self.sim.run_until(AT_MOST, |sim| viewers.iter().all(|viewer| is_known(sim, *viewer)));
        self.sim.now() - began
    }

    /// Counts those since the last call. Members that do not understand each other are none of each
    /// other's business.
    fn count_deaths(&mut self) {
        let versions = |host| self.sim.versions(host);
        let is_new = |at: Time| at > self.counted_until;
        self.deaths += deaths(&self.sim)
            .filter(|(at, subject, viewer)| {
                is_new(*at) && fits(versions(*subject), versions(*viewer))
            })
            .count();
        self.counted_until = self.sim.now();
    }

    fn measure(self, row: String, agreeing: Duration) -> Measure {
        let deaths = self.deaths;
        let mut failures = Vec::new();
        if let Some(violation) = self.sim.violation() {
            failures.push(violation.to_string());
        }
        if let Err(disagreement) = self.sim.agreement() {
            failures.push(disagreement.to_string());
        }
        if deaths > 0 {
            failures.push(format!("{deaths} deaths, though nobody was down for long"));
        }
        for (what, took) in [("join", self.slowest_join), ("metadata", self.slowest_metadata)] {
            if took > MOST {
                failures.push(format!("{what}: known after {} s", took.as_secs_f64()));
            }
        }
        Measure {
            values: vec![
                ("slowest join, s", self.slowest_join.as_secs_f64()),
                ("slowest metadata, s", self.slowest_metadata.as_secs_f64()),
                ("deaths", number(deaths as u64)),
                ("all agree, s", agreeing.as_secs_f64()),
            ],
            failure: (!failures.is_empty()).then(|| failures.join("; ")),
            row,
        }
    }
}

/// Whether each speaks what the other understands, of both protocols, computed apart from the
/// product's code.
fn fits(one: ProtocolVersions, other: ProtocolVersions) -> bool {
    let understands = |one: ProtocolVersions, other: ProtocolVersions| {
        (one.protocol_min..=one.protocol_max).contains(&other.protocol_current)
            && (one.delegate_min..=one.delegate_max).contains(&other.delegate_current)
    };
    understands(one, other) && understands(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rolling_upgrades_disturb_nobody() {
        let scenario = scenario(Size { repetitions: Some(0..1), ..Size::default() });
        let measures: Vec<Measure> = scenario.jobs.iter().map(Job::run).collect();
        assert_eq!(measures.len(), 3);
        assert_eq!(scenario.summarize(&measures).failures, Vec::<String>::new());
    }
}
