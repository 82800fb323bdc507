//! Outages that are shorter than a suspicion: nobody may die of one.
//!
//! A run is a list of independent outages, so that a long experiment is one number of repetitions.

use std::time::Duration;

use crate::config::Config;
use crate::output::MembershipEvent;
use crate::sim::fault::{Fault, HostId, Stall};
use crate::sim::scenario::experiment::{Job, Measure, Scenario, Size, Table, number};
use crate::sim::scenario::scenario_cluster::{converged, deaths, failure};
use crate::sim::sim_rng::SimRng;
use crate::sim::simulation::Simulation;
use crate::time::Time;

/// The random stream that victims, moments and lengths are drawn from.
const OUTAGES: u64 = 5;
/// Outages in one run.
const IN_A_RUN: u64 = 40;
/// How long after an outage a death still counts as its consequence: longer than a suspicion that
/// nobody confirms (24 s).
const AFTERMATH: Duration = Duration::from_secs(30);
/// Views are checked every 100 ms: time enough for a first look.
const FIRST_LOOK: Duration = Duration::from_millis(200);

/// One kind of outage.
#[derive(Clone, Copy)]
struct Kind {
    row: &'static str,
    members: usize,
    /// So many others crash before, and are held dead.
    dead: usize,
    outage: Outage,
    least: Duration,
    most: Duration,
    /// Outages in the whole experiment.
    count: u64,
    /// Nobody may die, as the outage is over before any suspicion is.
    harmless: bool,
}

#[derive(Clone, Copy)]
enum Outage {
    /// The driver stands still.
    Freeze,
    /// Nothing that the host sends arrives.
    Sending,
    /// Nothing that is sent to the host arrives.
    Receiving,
}

/// One driver of eight members stands still for 1.0 to 2.25 s.
pub(super) fn freeze(size: &Size) -> Scenario {
    let kind = |row, dead, count| Kind {
        row,
        members: size.members.unwrap_or(8),
        dead,
        outage: Outage::Freeze,
        least: Duration::from_millis(1_000),
        most: Duration::from_millis(2_250),
        count,
        harmless: true,
    };
    Scenario {
        about: "the driver of one of eight members stands still for 1.0 to 2.25 s and goes on",
        anchor: "Lifeguard (2018): a member that is slow for less than a suspicion must not be \
                 declared dead. Before members were told whenever they were heard: 45 and 22 of \
                 these 12,000 and 4,000 freezes ended in a false death",
        jobs: jobs(&[kind("all alive", 0, 12_000), kind("three dead", 3, 4_000)], size),
        summarize,
    }
}

/// One host cannot send, or cannot receive, for a while.
pub(super) fn send_outage(size: &Size) -> Scenario {
    let kind = |row, members, outage, seconds, count, harmless| Kind {
        row,
        members,
        dead: 0,
        outage,
        least: Duration::from_secs(seconds),
        most: Duration::from_secs(seconds),
        count,
        harmless,
    };
    let kinds = [
        kind("cannot send, 3 s, of three", 3, Outage::Sending, 3, 1_000, true),
        kind("cannot send, 3 s, of six", 6, Outage::Sending, 3, 1_000, true),
        kind("cannot receive, 3 s, of three", 3, Outage::Receiving, 3, 400, true),
        kind("cannot receive, 3 s, of six", 6, Outage::Receiving, 3, 400, true),
        kind("cannot send, 40 s, of three", 3, Outage::Sending, 40, 200, false),
        kind("cannot send, 40 s, of six", 6, Outage::Sending, 40, 200, false),
    ];
    Scenario {
        about: "one host cannot send, or cannot receive, for a while; the other way works",
        anchor: "SWIM (2002), section 4.2: a suspected member that is up again before the \
                 suspicion ends refutes it. Before members were told whenever they were heard, \
                 most outages of 3 s ended in a false death after their end",
        jobs: jobs(&kinds, size),
        summarize,
    }
}

fn jobs(kinds: &[Kind], size: &Size) -> Vec<Job> {
    let mut jobs = Vec::new();
    for kind in kinds.iter().copied() {
        let runs = if size.full { kind.count / IN_A_RUN } else { kind.count / IN_A_RUN / 10 + 1 };
        let runs = size.repetitions.clone().unwrap_or(0..runs);
        jobs.extend(runs.map(|run| Job::new(move || measure(kind, run))));
    }
    jobs
}

/// A run's outages, each in a cluster of its own.
fn measure(kind: Kind, run: u64) -> Measure {
    let mut totals = Totals::default();
    for n in 0..IN_A_RUN {
        suffer(kind, run * IN_A_RUN + n, &mut totals);
    }
    if kind.harmless && totals.fatal > 0 && totals.failure.is_none() {
        totals.failure = Some(format!("{}, run {run}: {} fatal", kind.row, totals.fatal));
    }
    Measure {
        row: kind.row.to_owned(),
        values: vec![
            ("outages", number(IN_A_RUN)),
            ("fatal", number(totals.fatal)),
            ("deaths before", number(totals.during)),
            ("deaths after", number(totals.after)),
            ("others dead", number(totals.others)),
            ("healed s", totals.healed.as_secs_f64()),
        ],
        failure: totals.failure,
    }
}

#[derive(Default)]
struct Totals {
    /// Outages after whose end somebody was declared dead.
    fatal: u64,
    /// Deaths of the victim declared while the outage lasted.
    during: u64,
    /// Deaths of the victim declared after its end.
    after: u64,
    /// Deaths of others that were up.
    others: u64,
    /// The longest time from the end of an outage until somebody who was held dead was alive again.
    healed: Duration,
    failure: Option<String>,
}

fn suffer(kind: Kind, seed: u64, totals: &mut Totals) {
    let mut rng = SimRng::new(seed, OUTAGES);
    let (mut sim, hosts) = converged(seed, kind.members, Config::lan());
    sim.run_for(FIRST_LOOK);
    let mut up = hosts.clone();
    for _ in 0..kind.dead {
        let host = up.remove(rng.below(up.len()));
        sim.crash(host);
    }
    if kind.dead > 0 {
        let bound = Duration::from_secs(60);
        sim.run_until(bound, |sim| sim.agreement().is_ok());
    }
    sim.run_for(rng.span(Duration::from_secs(2), Duration::from_secs(6)));
    let victim = rng.pick(&up);
    begin(&mut sim, kind.outage, victim, &hosts);
    sim.run_for(rng.span(kind.least, kind.most));
    let ended = sim.now();
    sim.end_all_faults();
    sim.run_to(ended + AFTERMATH);
    sim.run_until(4 * AFTERMATH, |sim| sim.agreement().is_ok());
    count(&sim, victim, &up, ended, totals);
    let broken = failure(&sim, true).map(|what| format!("{}, seed {seed}: {what}", kind.row));
    totals.failure = totals.failure.take().or(broken);
}

fn begin(sim: &mut Simulation, outage: Outage, victim: HostId, hosts: &[HostId]) {
    let all = hosts.to_vec();
    match outage {
        Outage::Freeze => {
            let long = Duration::from_secs(600);
            sim.stall(victim, Stall::Driver, long, Duration::from_millis(1));
        }
        Outage::Sending => {
            sim.begin_fault(Fault::OneWay { from: vec![victim], to: all });
        }
        Outage::Receiving => {
            sim.begin_fault(Fault::OneWay { from: all, to: vec![victim] });
        }
    }
}

fn count(sim: &Simulation, victim: HostId, up: &[HostId], ended: Time, totals: &mut Totals) {
    let mut fatal = false;
    for (at, subject, _) in deaths(sim) {
        if !up.contains(&subject) {
            continue;
        }
        fatal |= at > ended;
        match (subject == victim, at > ended) {
            (true, false) => totals.during += 1,
            (true, true) => totals.after += 1,
            (false, _) => totals.others += 1,
        }
    }
    totals.fatal += u64::from(fatal);
    for (at, _, event) in sim.events() {
        if matches!(event, MembershipEvent::Joined(_)) && *at > ended {
            totals.healed = totals.healed.max(*at - ended);
        }
    }
}

/// One line for each kind of outage: sums, and the longest healing.
fn summarize(measures: &[Measure]) -> Table {
    let mut table = Table::default();
    let mut columns = vec!["outage".to_owned()];
    for measure in measures {
        if columns.len() == 1 {
            columns.extend(measure.values.iter().map(|(name, _)| (*name).to_owned()));
        }
        if table.rows.last().is_none_or(|(row, _)| *row != measure.row) {
            table.rows.push((measure.row.clone(), vec![0.0; measure.values.len()]));
        }
        let Some((_, totals)) = table.rows.last_mut() else { continue };
        for (total, (name, value)) in totals.iter_mut().zip(&measure.values) {
            *total = if *name == "healed s" { total.max(*value) } else { *total + value };
        }
        table.failures.extend(measure.failure.clone());
    }
    Table { columns, ..table }
}
