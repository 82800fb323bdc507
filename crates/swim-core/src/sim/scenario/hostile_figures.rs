//! What honest members' figures become while a third of the cluster attacks, by strategy.

use std::time::Duration;

use crate::config::Config;
use crate::member::MemberState;
use crate::output::MembershipEvent;
use crate::sim::fault::HostId;
use crate::sim::hostile::{HostileMembers, StrategyKind};
use crate::sim::scenario::experiment::{Job, Measure, Scenario, Size, Table, length, number};
use crate::sim::setup::{Setup, Watch};
use crate::sim::sim_rng::SimRng;
use crate::sim::simulation::Simulation;

const REPETITIONS: u64 = 20;
/// The random stream that hostile members draw from.
const HOSTILE_FIGURES: u64 = 7;
/// How often hostile members act.
const TICK: Duration = Duration::from_millis(100);
/// How closely views are looked at.
const LOOK: Duration = Duration::from_millis(10);
const RUN_UP: Duration = Duration::from_secs(20);
/// No more is waited for anything.
const AT_MOST: Duration = Duration::from_secs(180);
/// Changes of metadata, and newcomers, in each run.
const CHANGES: u8 = 5;
const QUIET: &str = "none (quiet)";

/// How many times as long as without hostile members a crash and new metadata may take, and how
/// many seconds a join. New metadata counts as known after a gossip interval without hostile
/// members where it is known earlier: what goes out at once and is overtaken by a forged claim has
/// the regular rounds left.
const MOST: Bounds = Bounds { crash: 1.5, updates: 2.0, join: 1.0 };

struct Bounds {
    crash: f64,
    updates: f64,
    join: f64,
}

const CRASH: &str = "crash known, s";
const UPDATES: &str = "metadata known, s";
const JOIN: &str = "newcomer knows all, s";
const SLOWEST_JOIN: &str = "slowest, s";
const FALSE: &str = "false ends";

/// One strategy at a time, at a third of the members, and none for comparison.
pub(super) fn scenario(size: Size) -> Scenario {
    let members = size.members.unwrap_or(10).max(6);
    let repetitions = size.repetitions.unwrap_or(0..REPETITIONS);
    let strategies = StrategyKind::ALL.iter().copied().map(Some);
    let jobs = std::iter::once(None)
        .chain(strategies)
        .flat_map(|kind| repetitions.clone().map(move |seed| (kind, seed)))
        .map(|(kind, seed)| Job::new(move || Run::new(seed, members, kind).measure(kind)))
        .collect();
    Scenario {
        about: "a third of the members attack in one way; what it costs the honest ones (means)",
        anchor: "the same cluster with nobody hostile, in the first row: crashes must be known \
                 within 1.5 times its figure, metadata within 2 times its figure or the gossip \
                 interval of 0.2 s, newcomers must know all within 1 s, and nobody may be taken \
                 for dead or gone",
        jobs,
        summarize: means_by_row,
    }
}

struct Run {
    sim: Simulation,
    rng: SimRng,
    hostile: HostileMembers,
    honest: Vec<HostId>,
    first: HostId,
}

impl Run {
    fn new(seed: u64, members: usize, kind: Option<StrategyKind>) -> Self {
        let config = Config::lan();
        let setup = Setup { watch: Watch::Never, keep_events: true, ..Setup::new(config.clone()) };
        let mut sim = Simulation::new(seed, setup);
        let hosts: Vec<HostId> = (0..members).map(|n| sim.add(&format!("member-{n:02}"))).collect();
        for host in &hosts {
            sim.set_first_seed(*host, hosts[0]);
            sim.start(*host);
        }
        // By joining, as they must learn of each other's processes.
        sim.run_until(AT_MOST, |sim| sim.agreement().is_ok());
        let (honest, others) = hosts.split_at(members - members / 3);
        let mut hostile = HostileMembers::new(&config);
        for host in others {
            hostile.add(*host, kind.into_iter().collect());
        }
        hostile.begin(&mut sim);
        let rng = SimRng::new(seed, HOSTILE_FIGURES);
        Self { sim, rng, hostile, first: hosts[0], honest: honest.to_vec() }
    }

    fn measure(mut self, kind: Option<StrategyKind>) -> Measure {
        self.attack_until(RUN_UP, |_| false);
        let mut updates = Vec::new();
        let mut joins = Vec::new();
        for number in 0..CHANGES {
            let (subject, meta) = (self.honest[1], vec![number; 16]);
            self.sim.set_meta(subject, &meta);
            updates.push(self.attack_until(AT_MOST, |run| {
                run.all_see(subject, |run, viewer| {
                    let member = run.sim.member(viewer, subject);
                    member.is_some_and(|member| member.meta() == meta)
                })
            }));
            let newcomer = self.sim.add(&format!("newcomer-{number}"));
            self.sim.inherit_seeds(newcomer, self.first);
            self.sim.set_first_seed(newcomer, self.first);
            self.sim.start(newcomer);
            let known = self.honest.clone();
            joins.push(self.attack_until(AT_MOST, |run| {
                known.iter().all(|host| run.is_live(newcomer, *host))
            }));
            self.honest.push(newcomer);
            self.attack_until(Duration::from_secs(3), |_| false);
        }
        let false_ends = self.false_ends();
        let crashed = self.honest.remove(2);
        self.sim.crash(crashed);
        let crash = self.attack_until(AT_MOST, |run| {
            run.all_see(crashed, |run, viewer| !run.is_live(viewer, crashed))
        });
        let slowest = joins.iter().copied().fold(0.0, f64::max);
        let failure = self.sim.violation().map(ToString::to_string);
        Measure {
            row: kind.map_or(QUIET, StrategyKind::name).to_owned(),
            values: vec![
                (CRASH, crash),
                (UPDATES, mean(&updates)),
                (JOIN, mean(&joins)),
                (SLOWEST_JOIN, slowest),
                (FALSE, number(false_ends as u64)),
            ],
            failure,
        }
    }

    /// Lets time pass, while hostile members act, until something is so; says how many seconds.
    fn attack_until(&mut self, at_most: Duration, done: impl Fn(&Self) -> bool) -> f64 {
        let began = self.sim.now();
        while self.sim.now() - began < at_most && !done(self) {
            self.hostile.act(&mut self.sim, &mut self.rng, &self.honest);
            let next = self.sim.now() + TICK;
            while self.sim.now() < next && !done(self) {
                self.sim.run_for(LOOK);
            }
        }
        (self.sim.now() - began).as_secs_f64()
    }

    fn all_see(&self, subject: HostId, sees: impl Fn(&Self, HostId) -> bool) -> bool {
        self.honest.iter().filter(|viewer| **viewer != subject).all(|viewer| sees(self, *viewer))
    }

    fn is_live(&self, viewer: HostId, subject: HostId) -> bool {
        self.sim.state(viewer, subject).is_some_and(MemberState::is_live)
    }

    /// How often an honest member has taken another one for dead or gone; nobody is up to now.
    fn false_ends(&self) -> usize {
        let ended = self.sim.events().iter().filter_map(|(_, viewer, event)| {
            let (MembershipEvent::Failed { member, .. } | MembershipEvent::Left(member)) = event
            else {
                return None;
            };
            Some((*viewer, self.sim.host_named(member.name())?))
        });
        let honest = |host: &HostId| self.honest.contains(host);
        ended.filter(|(viewer, subject)| honest(viewer) && honest(subject)).count()
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / length(values).max(1.0)
}

/// What one strategy did to the figures.
struct Row {
    name: String,
    /// Means.
    crash: f64,
    updates: f64,
    join: f64,
    /// The slowest of all.
    slowest_join: f64,
    false_ends: f64,
}

impl Row {
    fn of(name: &str, measures: &[Measure]) -> Self {
        let all = |column: &str| -> Vec<f64> {
            let of_row = measures.iter().filter(|measure| measure.row == name);
            of_row
                .flat_map(|measure| &measure.values)
                .filter_map(|(name, value)| (*name == column).then_some(*value))
                .collect()
        };
        Self {
            name: name.to_owned(),
            crash: mean(&all(CRASH)),
            updates: mean(&all(UPDATES)),
            join: mean(&all(JOIN)),
            slowest_join: all(SLOWEST_JOIN).into_iter().fold(0.0, f64::max),
            false_ends: all(FALSE).into_iter().sum(),
        }
    }

    fn figures(&self, quiet: &Self) -> Vec<f64> {
        let Self { crash, updates, join, slowest_join, false_ends, .. } = *self;
        vec![
            crash,
            crash / quiet.crash,
            updates,
            updates / quiet.updates,
            join,
            slowest_join,
            false_ends,
        ]
    }

    /// What is not as it must be.
    fn failures(&self, quiet: &Self) -> Vec<String> {
        let usual_updates = quiet.updates.max(Config::lan().gossip_interval.as_secs_f64());
        let is_high = [
            ("crashes are known late", self.crash > MOST.crash * quiet.crash),
            ("metadata is known late", self.updates > MOST.updates * usual_updates),
            ("a newcomer learns of the others late", self.slowest_join > MOST.join),
            ("somebody is taken for dead or gone", self.false_ends > 0.0),
        ];
        let high = is_high.into_iter().filter_map(|(what, is_high)| is_high.then_some(what));
        high.map(|what| format!("{}: {what}", self.name)).collect()
    }
}

/// One row for each strategy: means, the slowest join of all, the sum of false ends, and how many
/// times the first row's figures crashes and metadata took.
fn means_by_row(measures: &[Measure]) -> Table {
    let mut names: Vec<&str> = Vec::new();
    for measure in measures {
        if !names.contains(&measure.row.as_str()) {
            names.push(&measure.row);
        }
    }
    let rows: Vec<Row> = names.iter().map(|name| Row::of(name, measures)).collect();
    let mut failures: Vec<String> =
        measures.iter().filter_map(|measure| measure.failure.clone()).collect();
    let mut figures = Vec::new();
    if let Some(quiet) = rows.first() {
        failures.extend(rows.iter().flat_map(|row| row.failures(quiet)));
        figures.extend(rows.iter().map(|row| (row.name.clone(), row.figures(quiet))));
    }
    let columns = ["strategy", CRASH, "times", UPDATES, "times", JOIN, SLOWEST_JOIN, FALSE];
    Table { columns: columns.map(str::to_owned).to_vec(), rows: figures, failures }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(row: &str, [crash, updates, join, ends]: [f64; 4]) -> Measure {
        let values = vec![
            (CRASH, crash),
            (UPDATES, updates),
            (JOIN, join),
            (SLOWEST_JOIN, join),
            (FALSE, ends),
        ];
        Measure { row: row.to_owned(), values, failure: None }
    }

    #[test]
    fn a_row_fails_beyond_its_bounds_and_not_at_them() {
        let quiet = measure(QUIET, [6.0, 0.2, 0.1, 0.0]);
        let figures = |attacked| means_by_row(&[quiet.clone(), measure("forger", attacked)]);
        let within = figures([9.0, 0.4, 1.0, 0.0]);
        assert_eq!(within.failures, Vec::<String>::new());
        assert_eq!(within.rows[1].1, [9.0, 1.5, 0.4, 2.0, 1.0, 1.0, 0.0]);
        for beyond in [
            [9.1, 0.4, 1.0, 0.0],
            [9.0, 0.41, 1.0, 0.0],
            [9.0, 0.4, 1.1, 0.0],
            [9.0, 0.4, 1.0, 1.0],
        ] {
            assert_eq!(figures(beyond).failures.len(), 1, "{beyond:?}");
        }
        // What takes less than a gossip interval counts as that.
        let sooner = |quiet: f64, attacked| {
            let [quiet, attacked] = [quiet, attacked].map(|updates| [6.0, updates, 0.1, 0.0]);
            means_by_row(&[measure(QUIET, quiet), measure("forger", attacked)]).failures.len()
        };
        assert_eq!([sooner(0.01, 0.4), sooner(0.01, 0.41), sooner(0.3, 0.6)], [0, 1, 0]);
    }
}
