//! The Interval experiment of the Lifeguard paper (Dadgar, Phillips and Currey 2018).
//!
//! Members whose sends and receives block by turns suspect others wrongly. Each part of Lifeguard
//! is switched on alone, and all together, and false deaths are counted.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::config::Config;
use crate::sim::fault::{HostId, Stall};
use crate::sim::scenario::experiment::{Job, Measure, Scenario, Size, Table, number};
use crate::sim::scenario::scenario_cluster::{deaths, failure};
use crate::sim::setup::{Setup, Watch};
use crate::sim::sim_rng::SimRng;
use crate::sim::simulation::Simulation;

const MEMBERS: usize = 128;
const SETTLING: Duration = Duration::from_secs(15);
const LEAST_LENGTH: Duration = Duration::from_secs(120);
const ANOMALOUS: [usize; 9] = [1, 4, 8, 12, 16, 20, 24, 28, 32];
const DURATIONS: [u64; 6] = [128, 512, 2048, 8192, 16_384, 32_768];
const INTERVALS: [u64; 8] = [1, 4, 16, 64, 256, 1024, 4096, 16_384];
/// The random stream that the anomalous are drawn from.
const ANOMALIES: u64 = 4;

/// Which parts are on: name, local-health probe, local-health suspicion, buddy; the paper's
/// totals of false positives, and of those at healthy members.
const CONFIGURATIONS: [(&str, [bool; 3], [f64; 2]); 5] = [
    ("SWIM", [false, false, false], [339_002.0, 1_326.0]),
    ("LHA-Probe", [true, false, false], [229_574.0, 436.0]),
    ("LHA-Suspicion", [false, true, false], [10_174.0, 89.0]),
    ("Buddy", [false, false, true], [318_935.0, 591.0]),
    ("Lifeguard", [true, true, true], [5_193.0, 25.0]),
];

/// One run of the grid.
#[derive(Clone, Copy)]
struct Cell {
    configuration: usize,
    members: usize,
    anomalous: usize,
    blocked: Duration,
    running: Duration,
    repetition: u64,
}

pub(super) fn scenario(size: Size) -> Scenario {
    let members = size.members.unwrap_or(MEMBERS);
    let (durations, intervals, repetitions) = if size.full {
        (DURATIONS.to_vec(), INTERVALS.to_vec(), 0..10)
    } else {
        (vec![2048, 16_384], vec![4, 256], 0..2)
    };
    let repetitions = size.repetitions.unwrap_or(repetitions);
    let mut jobs = Vec::new();
    // Repetitions outermost: a run that is stopped early has covered the grid evenly.
    for repetition in repetitions {
        for anomalous in ANOMALOUS {
            for blocked in &durations {
                for running in &intervals {
                    for configuration in 0..CONFIGURATIONS.len() {
                        let cell = Cell {
                            configuration,
                            members,
                            anomalous: anomalous.min(members / 2),
                            blocked: Duration::from_millis(*blocked),
                            running: Duration::from_millis(*running),
                            repetition,
                        };
                        jobs.push(Job::new(move || run(cell)));
                    }
                }
            }
        }
    }
    Scenario {
        about: "C of 128 members are blocked for D and run for I by turns, at least 120 s; false \
                deaths by configuration",
        anchor: "Lifeguard (Dadgar, Phillips and Currey 2018), Interval experiment: the paper's \
                 totals over the whole grid stand beside ours; all parts together are to stay \
                 within 5 % of SWIM",
        jobs,
        summarize,
    }
}

fn run(cell: Cell) -> Measure {
    let (name, [probe, suspicion, buddy], _) = CONFIGURATIONS[cell.configuration];
    let mut config = Config::lan();
    config.suspicion_multiplier = 5;
    config.suspicion_max_timeout_multiplier = 6;
    config.local_health_probe = probe;
    config.local_health_suspicion = suspicion;
    config.buddy = buddy;
    config.compression = false;
    // The same faults for every configuration.
    let seed = cell.repetition
        + 16 * cell.anomalous as u64
        + (1 << 16) * millis(cell.blocked)
        + (1 << 40) * millis(cell.running);
    let watch = Watch::Every(Duration::from_secs(10));
    let setup = Setup { watch, keep_events: true, ..Setup::new(config) };
    let mut sim = Simulation::new(seed, setup);
    let hosts: Vec<HostId> =
        (0..cell.members).map(|n| sim.add(&format!("member-{n:03}"))).collect();
    for host in &hosts {
        sim.start(*host);
    }
    sim.acquaint();
    sim.run_for(SETTLING);
    let anomalous: BTreeSet<HostId> =
        SimRng::new(seed, ANOMALIES).sample(&hosts, cell.anomalous).into_iter().collect();
    for host in &anomalous {
        sim.stall(*host, Stall::Network, cell.blocked, cell.running);
    }
    let cycle = cell.blocked + cell.running;
    let cycles = LEAST_LENGTH.as_millis().div_ceil(cycle.as_millis());
    sim.run_for(cycle * u32::try_from(cycles).unwrap_or(u32::MAX));
    measure(&sim, name, &hosts, &anomalous)
}

fn measure(
    sim: &Simulation,
    name: &str,
    hosts: &[HostId],
    anomalous: &BTreeSet<HostId>,
) -> Measure {
    let wrong: Vec<HostId> = deaths(sim)
        .filter(|(_, subject, _)| !anomalous.contains(subject))
        .map(|(_, _, viewer)| viewer)
        .collect();
    let at_healthy = wrong.iter().filter(|viewer| !anomalous.contains(viewer)).count();
    let (mut messages, mut bytes) = (0, 0);
    for membership in hosts.iter().filter_map(|host| sim.membership(*host)) {
        let counters = membership.stats().counters;
        messages += counters.packets_out;
        bytes += counters.packet_bytes_out + counters.stream_bytes_out;
    }
    Measure {
        row: name.to_owned(),
        values: vec![
            ("false deaths", number(wrong.len() as u64)),
            ("at healthy", number(at_healthy as u64)),
            ("messages", number(messages)),
            ("bytes", number(bytes)),
        ],
        failure: failure(sim, false),
    }
}

/// Totals by configuration, each beside the paper's.
fn summarize(measures: &[Measure]) -> Table {
    let mut rows: Vec<(String, Vec<f64>)> = Vec::new();
    for (name, _, paper) in CONFIGURATIONS {
        let mine = measures.iter().filter(|measure| measure.row == name);
        let mut totals = [0.0; 4];
        let mut runs = 0;
        for measure in mine {
            runs += 1;
            for (total, (_, value)) in totals.iter_mut().zip(&measure.values) {
                *total += value;
            }
        }
        let [wrong, healthy, messages, bytes] = totals;
        let first = rows.first().map_or([wrong, healthy], |(_, row)| [row[1], row[4]]);
        let of_swim = |value: f64, all: f64| if all > 0.0 { 100.0 * value / all } else { 0.0 };
        let swim = CONFIGURATIONS[0].2;
        rows.push((
            name.to_owned(),
            vec![
                number(runs),
                wrong,
                of_swim(wrong, first[0]),
                of_swim(paper[0], swim[0]),
                healthy,
                of_swim(healthy, first[1]),
                of_swim(paper[1], swim[1]),
                messages / 1e6,
                bytes / 1e6,
            ],
        ));
    }
    let columns = [
        "configuration",
        "runs",
        "false deaths",
        "% of SWIM",
        "paper %",
        "at healthy",
        "% of SWIM",
        "paper %",
        "M messages",
        "MB",
    ];
    Table {
        columns: columns.map(str::to_owned).to_vec(),
        rows,
        failures: measures.iter().filter_map(|measure| measure.failure.clone()).collect(),
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
