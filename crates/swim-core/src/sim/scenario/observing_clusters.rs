//! What few observers change: how soon a crash is noticed, and what a member sends and is connected
//! to, at several numbers of members.

use std::time::Duration;

use crate::config::Config;
use crate::member::MemberState;
use crate::output::MembershipEvent;
use crate::sim::fault::HostId;
use crate::sim::scenario::experiment::{
    Job, Measure, Scenario, Size, Table, by_row, length, number, quantile,
};
use crate::sim::scenario::scenario_cluster::{deaths, sent_bytes, started};
use crate::sim::sim_rng::SimRng;
use crate::sim::simulation::Simulation;
use crate::time::Time;

const SIZES: [usize; 4] = [16, 64, 128, 256];
const REPETITIONS: u64 = 3;
/// Crashes in one run, one after the other.
const CRASHES: usize = 12;
/// The random stream that victims and moments are drawn from.
const OBSERVERS: u64 = 9;
/// How many watch each member, 0 being all.
const COUNTS: [usize; 2] = [0, 10];
/// Connections that nothing arrives on for so long are closed, as by the transport.
const IDLE: Duration = Duration::from_secs(40);
/// How often the transport looks for them.
const LOOKS: Duration = Duration::from_secs(5);
/// No more is waited for a crash to be known.
const AT_MOST: Duration = Duration::from_secs(300);

const FIRST: &str = "first probe, periods";
const KNOWN: &str = "known";
const COLUMNS: [&str; 13] = [
    "members, observers",
    "first, mean",
    "p95",
    "p99",
    "known, p50 s",
    "p99 s",
    "B/s",
    "connections",
    "most",
    "dials",
    "agreed, s",
    "false deaths",
    "crashes",
];

/// The same crashes with and without observers.
pub(super) fn scenario(size: Size) -> Scenario {
    let sizes = size.members.map_or(SIZES.to_vec(), |members| vec![members.max(8)]);
    let repetitions = size.repetitions.unwrap_or(0..REPETITIONS);
    let rows = sizes.into_iter().flat_map(|members| COUNTS.map(|count| (members, count)));
    let jobs = rows
        .flat_map(|row| repetitions.clone().map(move |seed| (row, seed)))
        .map(|((members, count), seed)| {
            let watching = if count == 0 { "all".to_owned() } else { count.to_string() };
            let row = format!("{members}, {watching}");
            Job::new(move || Run::new(seed, members, count).measure(row.clone()))
        })
        .collect();
    Scenario {
        about: "members crash one after the other, with all or few observers of each",
        anchor: "SWIM (Das, Gupta, Motivala 2002): the first probe after a crash comes after \
                 1 / (1 - 1/e) = 1.58 periods in the mean, unboundedly late; with turns within one",
        jobs,
        summarize: means_and_quantiles,
    }
}

struct Run {
    sim: Simulation,
    rng: SimRng,
    hosts: Vec<HostId>,
    dials: f64,
    agreed: f64,
}

impl Run {
    fn new(seed: u64, members: usize, observers: usize) -> Self {
        let config = Config { observers, ..Config::lan() };
        let (mut sim, hosts) = started(seed, members, config);
        let began = sim.now();
        sim.run_until(AT_MOST, |sim| sim.agreement().is_ok());
        let agreed = (sim.now() - began).as_secs_f64();
        sim.run_for(Duration::from_secs(10));
        let dials = number(sim.dials()) / length(&hosts);
        let rng = SimRng::new(seed, OBSERVERS);
        let mut run = Self { sim, rng, hosts, dials, agreed };
        // Everybody has settled, and who ceased to be watched is.
        run.pass(Duration::from_secs(120));
        run
    }

    /// Lets time pass, and idle connections be closed.
    fn pass(&mut self, span: Duration) {
        let end = self.sim.now() + span;
        while self.sim.now() < end && self.sim.violation().is_none() {
            self.sim.run_for(LOOKS.min(end - self.sim.now()));
            self.sim.close_idle(IDLE);
        }
    }

    fn measure(mut self, row: String) -> Measure {
        let (sent, began) = (sent_bytes(&self.sim, &self.hosts), self.sim.now());
        self.pass(Duration::from_secs(120));
        let seconds = (self.sim.now() - began).as_secs_f64();
        let rate =
            number(sent_bytes(&self.sim, &self.hosts) - sent) / seconds / length(&self.hosts);
        let held: Vec<u64> = self.hosts.iter().map(|host| self.sim.connections(*host)).collect();
        let mut values = vec![
            ("B/s", rate),
            ("connections", number(held.iter().sum()) / length(&held)),
            ("most", number(held.iter().copied().max().unwrap_or(0))),
            ("dials", self.dials),
            ("agreed", self.agreed),
        ];
        let crashes = CRASHES.min(self.hosts.len() / 4);
        let victims = self.rng.sample(&self.hosts[1..], crashes);
        for victim in &victims {
            let (first, known) = self.crash(*victim);
            values.extend([(FIRST, first), (KNOWN, known)]);
        }
        let wrong = deaths(&self.sim).filter(|(_, subject, _)| !victims.contains(subject)).count();
        values.push(("false deaths", number(wrong as u64)));
        let failure = self.sim.violation().map(ToString::to_string);
        Measure { row, values, failure }
    }

    /// After how many periods the first probe was begun that failed, and after how many seconds
    /// all others knew.
    fn crash(&mut self, victim: HostId) -> (f64, f64) {
        let moment = self.rng.span(Duration::ZERO, Duration::from_secs(2));
        self.pass(Duration::from_secs(5) + moment);
        self.sim.crash(victim);
        let began = self.sim.now();
        let others: Vec<HostId> =
            self.hosts.iter().copied().filter(|it| self.sim.is_up(*it)).collect();
        self.sim.run_until(AT_MOST, |sim| {
            others.iter().all(|viewer| sim.state(*viewer, victim) == Some(MemberState::Dead))
        });
        let known = (self.sim.now() - began).as_secs_f64();
        let suspected = |(at, _, event): &&(Time, HostId, MembershipEvent)| {
            *at >= began
                && matches!(event, MembershipEvent::Suspected { member, .. }
                    if member.name() == self.sim.name(victim))
        };
        let first = self.sim.events().iter().find(suspected).map(|(at, _, _)| *at);
        // A round lasts for one period where the prober is well.
        let interval = Config::lan().probe_interval;
        let first = first.map_or(known, |at| {
            let since = (at - began).saturating_sub(interval);
            since.as_secs_f64() / interval.as_secs_f64()
        });
        (first, known)
    }
}

fn means_and_quantiles(measures: &[Measure]) -> Table {
    let failures = measures.iter().filter_map(|measure| measure.failure.clone()).collect();
    let rows = by_row(measures, |row| {
        let (first, known) = (row.values(FIRST), row.values(KNOWN));
        let mean = |column| mean(&row.values(column));
        vec![
            mean(FIRST),
            quantile(&first, 95),
            quantile(&first, 99),
            quantile(&known, 50),
            quantile(&known, 99),
            mean("B/s"),
            mean("connections"),
            quantile(&row.values("most"), 100),
            mean("dials"),
            mean("agreed"),
            row.values("false deaths").iter().sum(),
            length(&first),
        ]
    });
    Table { columns: COLUMNS.map(str::to_owned).to_vec(), rows, failures }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / length(values).max(1.0)
}
