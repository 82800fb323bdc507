//! Hosts that refuse packets: how soon a crash is known, and who is held dead though it is not.

use std::time::Duration;

use crate::config::Config;
use crate::evidence::Evidence;
use crate::member::MemberState;
use crate::sim::fault::{Fault, HostId};
use crate::sim::scenario::experiment::{
    Job, Measure, Scenario, Size, Table, by_row, length, number, quantile,
};
use crate::sim::scenario::scenario_cluster::{deaths, started};
use crate::sim::sim_rng::SimRng;
use crate::sim::simulation::Simulation;
use crate::time::Time;

const REPETITIONS: u64 = 20;
/// The random stream that victims and moments are drawn from.
const REFUSALS: u64 = 8;
/// No more is waited for anything.
const AT_MOST: Duration = Duration::from_secs(120);
/// How long a firewall refuses packets, and how long restarts go on.
const TROUBLE: Duration = Duration::from_secs(60);
/// Whoever has been up for this long is not dead.
const UP_FOR: Duration = Duration::from_secs(2);

/// What refusals may shorten, and how many watch each member: 0 is all.
const EVIDENCE: [(&str, Evidence, usize); 6] = [
    ("hint", Evidence::Hint, 0),
    ("floor", Evidence::Floor, 0),
    ("verdict", Evidence::Verdict, 0),
    ("hint, turns", Evidence::Hint, 10),
    ("floor, turns", Evidence::Floor, 10),
    ("verdict, turns", Evidence::Verdict, 10),
];

const KNOWN: &str = "crash known, s";
const DEATHS: &str = "false deaths";

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// A process dies and its host lives.
    Crash,
    /// A host is gone.
    HostLoss,
    /// The packets of so many members to one other are refused by a firewall.
    Reject(Vantage),
    /// Members restart, each down for 0.1 to 5 s.
    Restarts,
}

/// At how many members a firewall refuses packets to one other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Vantage {
    One,
    Half,
    AllButOne,
}

const TROUBLES: [(&str, Trouble); 6] = [
    ("crash", Trouble::Crash),
    ("host loss", Trouble::HostLoss),
    ("reject at one", Trouble::Reject(Vantage::One)),
    ("reject at half", Trouble::Reject(Vantage::Half)),
    ("reject at all but one", Trouble::Reject(Vantage::AllButOne)),
    ("restarts", Trouble::Restarts),
];

/// Each kind of trouble with each use of evidence.
pub(super) fn scenario(size: Size) -> Scenario {
    let members = size.members.unwrap_or(16).max(4);
    let repetitions = size.repetitions.unwrap_or(0..REPETITIONS);
    let jobs = TROUBLES
        .into_iter()
        .flat_map(|trouble| EVIDENCE.map(|evidence| (trouble, evidence)))
        .flat_map(|row| repetitions.clone().map(move |seed| (row, seed)))
        .map(|(((trouble, what), (name, evidence, observers)), seed)| {
            let row = format!("{trouble}, {name}");
            let config = Config { evidence, observers, ..Config::lan() };
            Job::new(move || Run::new(seed, members, &config).measure(row.clone(), what))
        })
        .collect();
    Scenario {
        about: "hosts and firewalls that refuse packets; what may be concluded from that",
        anchor: "a crash without refusals, which nothing shortens (host loss), and zero: no member \
                 that is reached by another one, or has been up for 2 s, is dead",
        jobs,
        summarize: quantiles_by_row,
    }
}

struct Run {
    sim: Simulation,
    rng: SimRng,
    hosts: Vec<HostId>,
    began: Time,
}

impl Run {
    fn new(seed: u64, members: usize, config: &Config) -> Self {
        let (mut sim, hosts) = started(seed, members, config.clone());
        sim.run_until(AT_MOST, |sim| sim.agreement().is_ok());
        let mut rng = SimRng::new(seed, REFUSALS);
        // Each pair has heard of each other by then, and probes are at any phase.
        let pairs = Duration::from_secs(2 * members as u64);
        sim.run_for(pairs + rng.span(Duration::ZERO, Duration::from_secs(2)));
        let began = sim.now();
        Self { sim, rng, hosts, began }
    }

    fn measure(mut self, row: String, what: Trouble) -> Measure {
        let victim = self.rng.pick(&self.hosts[1..]);
        let mut known = 0.0;
        match what {
            Trouble::Crash => {
                self.sim.let_refuse(victim);
                known = self.crash(victim);
            }
            Trouble::HostLoss => known = self.crash(victim),
            Trouble::Reject(vantage) => self.reject(victim, vantage),
            Trouble::Restarts => self.restart_many(),
        }
        let is_false = |(at, subject, _): &(Time, HostId, HostId)| {
            let is_crash = matches!(what, Trouble::Crash | Trouble::HostLoss);
            *at > self.began && !(is_crash && *subject == victim)
        };
        let wrong = match what {
            // Counted as they restart.
            Trouble::Restarts => self.dead_though_up(),
            Trouble::Crash | Trouble::HostLoss | Trouble::Reject(_) => {
                deaths(&self.sim).filter(is_false).count()
            }
        };
        let failure = self.sim.violation().map(ToString::to_string);
        Measure { row, values: vec![(KNOWN, known), (DEATHS, number(wrong as u64))], failure }
    }

    /// How many seconds it takes until all others know.
    fn crash(&mut self, victim: HostId) -> f64 {
        self.sim.crash(victim);
        let began = self.sim.now();
        let others: Vec<HostId> = self.hosts.iter().copied().filter(|it| *it != victim).collect();
        self.sim.run_until(AT_MOST, |sim| {
            others.iter().all(|viewer| sim.state(*viewer, victim) == Some(MemberState::Dead))
        });
        (self.sim.now() - began).as_secs_f64()
    }

    fn reject(&mut self, victim: HostId, vantage: Vantage) {
        let others: Vec<HostId> = self.hosts.iter().copied().filter(|it| *it != victim).collect();
        let count = match vantage {
            Vantage::One => 1,
            Vantage::Half => others.len() / 2,
            Vantage::AllButOne => others.len() - 1,
        };
        let from = self.rng.sample(&others, count);
        let fault = self.sim.begin_fault(Fault::Reject { from, to: vec![victim] });
        self.sim.run_for(TROUBLE);
        self.sim.end_fault(fault);
        self.sim.run_for(Duration::from_secs(10));
    }

    /// One member after the other goes down for a while; most restart while others are down.
    fn restart_many(&mut self) {
        for host in &self.hosts {
            self.sim.let_refuse(*host);
        }
        let end = self.sim.now() + TROUBLE;
        let mut down: Vec<(Time, HostId)> = Vec::new();
        let mut next = self.sim.now();
        while self.sim.violation().is_none() && (self.sim.now() < end || !down.is_empty()) {
            let now = self.sim.now();
            if now >= next && now < end {
                let host = self.rng.pick(&self.hosts[1..]);
                if down.iter().all(|(_, other)| *other != host) && down.len() < 3 {
                    self.sim.crash(host);
                    let away = self.rng.span(Duration::from_millis(100), Duration::from_secs(5));
                    down.push((now + away, host));
                }
                next = now + self.rng.span(Duration::from_millis(500), Duration::from_secs(3));
            }
            down.retain(|(back, host)| {
                let is_back = *back <= now;
                if is_back {
                    self.sim.start(*host);
                }
                !is_back
            });
            self.sim.run_for(Duration::from_millis(50));
        }
        self.sim.run_for(Duration::from_secs(10));
    }

    /// Deaths of members that had been up for a while, at members that were up themselves.
    fn dead_though_up(&self) -> usize {
        let started = |host: HostId, at: Time| {
            let of_its = |(when, viewer, event): &&(Time, HostId, _)| {
                let _: &crate::output::MembershipEvent = event;
                // Its first event tells that it has started.
                *viewer == host && *when <= at && is_start(event, self.sim.name(host))
            };
            self.sim.events().iter().rfind(of_its).map(|(when, _, _)| *when)
        };
        let is_long_up =
            |host: HostId, at: Time| started(host, at).is_some_and(|since| at - since >= UP_FOR);
        deaths(&self.sim)
            .filter(|(at, subject, _)| *at > self.began && is_long_up(*subject, *at))
            .filter(|(at, subject, _)| self.was_up(*subject, *at))
            .count()
    }

    /// Whether a host has done anything after that moment, before it started anew.
    fn was_up(&self, host: HostId, at: Time) -> bool {
        let later =
            self.sim.events().iter().find(|(when, viewer, _)| *viewer == host && *when > at);
        later.is_some_and(|(_, _, event)| !is_start(event, self.sim.name(host)))
    }
}

fn is_start(event: &crate::output::MembershipEvent, name: &crate::member_name::MemberName) -> bool {
    matches!(event, crate::output::MembershipEvent::Joined(member) if member.name() == name)
}

/// The middle and the slowest of 100, and all deaths.
fn quantiles_by_row(measures: &[Measure]) -> Table {
    let mut failures: Vec<String> =
        measures.iter().filter_map(|measure| measure.failure.clone()).collect();
    let rows = by_row(measures, |row| {
        let known = row.values(KNOWN);
        let wrong: f64 = row.values(DEATHS).iter().sum();
        if wrong > 0.0 {
            failures.push(format!("{}: {wrong} false deaths", row.name()));
        }
        let at = |per_cent| quantile(&known, per_cent);
        vec![at(50), at(95), at(99), wrong, length(&known)]
    });
    let columns = ["trouble, evidence", "known, p50 s", "p95 s", "p99 s", DEATHS, "runs"];
    Table { columns: columns.map(str::to_owned).to_vec(), rows, failures }
}
