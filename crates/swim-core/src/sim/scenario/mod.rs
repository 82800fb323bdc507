//! Named experiments: each measures one thing and says against what.
//!
//! A scenario is a list of independent jobs, for the caller to run on as many cores as there are,
//! and a way to make one table of their measures.

mod large;
mod lifeguard;
mod small;

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use crate::config::Config;
use crate::output::MembershipEvent;
use crate::sim::fault::HostId;
use crate::sim::setup::{Setup, Watch};
use crate::sim::simulation::Simulation;

/// The names of all scenarios.
pub const NAMES: &[&str] = &[
    "lifeguard",
    "rapid-crash",
    "rapid-flipflop",
    "rapid-loss",
    "one-way",
    "blackhole-pair",
    "mass-restart",
    "partition-heal",
    "join-storm",
    "swim-loss",
];

/// How large an experiment is.
#[derive(Clone, Debug, Default)]
pub struct Size {
    /// How many members; each scenario has its own default.
    pub members: Option<usize>,
    /// The whole grid instead of a sample of it.
    pub full: bool,
    /// Only these repetitions of each cell of a grid, so that a long experiment can be run in
    /// parts; by default all.
    pub repetitions: Option<Range<u64>>,
}

/// One experiment.
pub struct Scenario {
    /// What it does.
    pub about: &'static str,
    /// What its figures are to be held against, and where that comes from.
    pub anchor: &'static str,
    /// Independent runs.
    pub jobs: Vec<Job>,
    summarize: fn(&[Measure]) -> Table,
}

/// One run of an experiment.
pub struct Job(Box<dyn Fn() -> Measure + Send + Sync>);

/// What a run measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measure {
    /// Which row of the table it belongs to.
    pub row: String,
    /// What was measured, by column.
    pub values: Vec<(&'static str, f64)>,
    /// Why the run does not count as passed, if it does not.
    pub failure: Option<String>,
}

/// A table of figures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The heads of the columns; the first one heads the names of the rows.
    pub columns: Vec<String>,
    /// The name of each row and its figures.
    pub rows: Vec<(String, Vec<f64>)>,
    /// What did not end as it must.
    pub failures: Vec<String>,
}

/// The scenario of that name.
#[must_use]
pub fn named(name: &str, size: Size) -> Option<Scenario> {
    Some(match name {
        "lifeguard" => lifeguard::scenario(size),
        "rapid-crash" => large::crash(size),
        "rapid-flipflop" => large::flip_flop(size),
        "rapid-loss" => large::loss(size),
        "join-storm" => large::join_storm(size),
        "mass-restart" => large::mass_restart(size),
        "partition-heal" => large::partition_heal(size),
        "one-way" => small::one_way(size),
        "blackhole-pair" => small::blackhole_pair(size),
        "swim-loss" => small::swim_loss(size),
        _ => return None,
    })
}

impl Scenario {
    /// Makes the table of the measures of all jobs.
    #[must_use]
    pub fn summarize(&self, measures: &[Measure]) -> Table {
        (self.summarize)(measures)
    }
}

impl Job {
    fn new(run: impl Fn() -> Measure + Send + Sync + 'static) -> Self {
        Self(Box::new(run))
    }

    /// Runs it.
    #[must_use]
    pub fn run(&self) -> Measure {
        (self.0)()
    }
}

/// One row for each measure.
fn one_row_each(measures: &[Measure]) -> Table {
    let mut columns = vec!["run".to_owned()];
    if let Some(first) = measures.first() {
        columns.extend(first.values.iter().map(|(name, _)| (*name).to_owned()));
    }
    Table {
        columns,
        rows: measures
            .iter()
            .map(|measure| {
                let values = measure.values.iter().map(|(_, value)| *value).collect();
                (measure.row.clone(), values)
            })
            .collect(),
        failures: measures.iter().filter_map(|measure| measure.failure.clone()).collect(),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.rows.iter().map(|(name, _)| name.len());
        let width = names.chain(self.columns.first().map(String::len)).max().unwrap_or(0);
        let mut heads = self.columns.iter();
        write!(f, "{:<width$}", heads.next().map_or("", String::as_str))?;
        for head in heads {
            write!(f, "  {head:>12}")?;
        }
        writeln!(f)?;
        for (name, values) in &self.rows {
            write!(f, "{name:<width$}")?;
            for (value, head) in values.iter().zip(self.columns.iter().skip(1)) {
                let width = head.len().max(12);
                if value.fract() == 0.0 {
                    write!(f, "  {value:>width$.0}")?;
                } else {
                    write!(f, "  {value:>width$.2}")?;
                }
            }
            writeln!(f)?;
        }
        for failure in &self.failures {
            writeln!(f, "FAILED: {failure}")?;
        }
        Ok(())
    }
}

/// A cluster that has known each other for long, checked every 100 ms.
fn converged(seed: u64, members: usize, config: Config) -> (Simulation, Vec<HostId>) {
    let watch = Watch::Every(Duration::from_millis(100));
    let setup = Setup { watch, keep_events: true, ..Setup::new(config) };
    let mut sim = Simulation::new(seed, setup);
    let hosts: Vec<HostId> = (0..members).map(|n| sim.add(&format!("member-{n:05}"))).collect();
    for host in &hosts {
        sim.set_first_seed(*host, hosts[0]);
        sim.start(*host);
    }
    sim.acquaint();
    (sim, hosts)
}

/// Deaths declared since the simulation began: about whom, and at whom.
fn deaths(sim: &Simulation) -> impl Iterator<Item = (HostId, HostId)> + '_ {
    sim.events().iter().filter_map(|(_, viewer, event)| {
        let MembershipEvent::Failed { member, .. } = event else {
            return None;
        };
        Some((sim.host_named(member.name())?, *viewer))
    })
}

/// Why a run must not count, if it must not: a broken rule, or views that differ.
fn failure(sim: &Simulation, must_agree: bool) -> Option<String> {
    if let Some(violation) = sim.violation() {
        return Some(violation.to_string());
    }
    if must_agree { sim.agreement().err().map(|error| error.to_string()) } else { None }
}

/// Bytes of packets and streams that all running members have sent, in KB a second and member.
fn sent_kilobytes(sim: &Simulation, hosts: &[HostId], seconds: f64) -> f64 {
    let bytes: u64 = hosts
        .iter()
        .filter_map(|host| sim.membership(*host))
        .map(|machine| {
            let counters = machine.stats().counters;
            counters.packet_bytes_out + counters.stream_bytes_out
        })
        .sum();
    number(bytes) / 1000.0 / seconds / length(hosts)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people; counts are far below 2^52")]
fn number(count: u64) -> f64 {
    count as f64
}

fn length<T>(items: &[T]) -> f64 {
    number(items.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_for_a_scenario() {
        for name in NAMES {
            let scenario = named(name, Size { members: Some(10), ..Size::default() });
            assert!(scenario.is_some_and(|scenario| !scenario.jobs.is_empty()), "{name}");
        }
        assert!(named("nothing", Size::default()).is_none());
    }

    #[test]
    fn a_table_shows_every_figure_and_failure() {
        let measure = Measure {
            row: "first".to_owned(),
            values: vec![("seconds", 1.5), ("deaths", 3.0)],
            failure: Some("views differ".to_owned()),
        };
        let text = one_row_each(&[measure]).to_string();
        for part in ["run", "seconds", "deaths", "first", "1.50", "3", "FAILED: views differ"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
