//! Experiments on single links and small groups.
//!
//! Each prepares a cluster, lets time pass and returns what it measured.

use std::time::Duration;

use crate::config::Config;
use crate::sim::fault::{Fault, HostId};
use crate::sim::scenario::experiment::{
    Job, Measure, Scenario, Size, length, number, one_row_each,
};
use crate::sim::scenario::scenario_cluster::{converged, deaths, failure};
use crate::sim::setup::{Setup, Watch};
use crate::sim::sim_rng::MILLION;
use crate::sim::simulation::Simulation;

const REPETITIONS: u64 = 5;

/// One member hears nobody, or is heard by nobody.
pub(super) fn one_way(size: Size) -> Scenario {
    let members = size.members.unwrap_or(64);
    let mut jobs = Vec::new();
    for (row, deaf) in [("hears nobody", true), ("heard by nobody", false)] {
        for seed in 0..REPETITIONS {
            jobs.push(Job::new(move || {
                let (mut sim, hosts) = converged(seed, members, Config::lan());
                let (victim, others) = (hosts[1], others(&hosts, 1));
                let fault = if deaf {
                    Fault::OneWay { from: others.clone(), to: vec![victim] }
                } else {
                    Fault::OneWay { from: vec![victim], to: others.clone() }
                };
                sim.begin_fault(fault);
                sim.run_for(Duration::from_secs(120));
                let by_others = deaths(&sim)
                    .filter(|(_, subject, viewer)| subject == &victim && *viewer != victim);
                let seen_dead = number(by_others.count() as u64);
                let wrong = deaths(&sim)
                    .filter(|(_, subject, viewer)| *subject != victim && *viewer != victim)
                    .count();
                sim.end_all_faults();
                let began = sim.now();
                let bound = Duration::from_secs(180);
                sim.run_until(bound, |sim| sim.agreement().is_ok());
                Measure {
                    row: format!("{row}, seed {seed}"),
                    values: vec![
                        ("noticed by", seen_dead),
                        ("others dead", number(wrong as u64)),
                        ("healed in s", (sim.now() - began).as_secs_f64()),
                    ],
                    failure: failure(&sim, true),
                }
            }));
        }
    }
    Scenario {
        about: "one member among all hears nobody, or is heard by nobody, for 120 s",
        anchor: "SWIM's failure model (Das, Gupta and Motivala 2002): a member that cannot be \
                 reached either way is declared dead, and nobody else is",
        jobs,
        summarize: one_row_each,
    }
}

/// Two members that cannot reach each other while everybody else reaches both.
pub(super) fn blackhole_pair(size: Size) -> Scenario {
    let members = size.members.unwrap_or(64);
    let run = move |seed| {
        let (mut sim, hosts) = converged(seed, members, Config::lan());
        let (ada, bob) = (hosts[1], hosts[2]);
        sim.begin_fault(Fault::OneWay { from: vec![ada], to: vec![bob] });
        sim.begin_fault(Fault::OneWay { from: vec![bob], to: vec![ada] });
        let span = Duration::from_secs(600);
        sim.run_for(span);
        let dead = deaths(&sim).count();
        let counters = |host| {
            let stats = sim.membership(host).map(|membership| membership.stats());
            stats.map_or((0, 0), |stats| {
                (stats.counters.probes_indirect, stats.counters.probes_failed)
            })
        };
        let (pair, all) = ([ada, bob].map(counters), hosts.iter().map(|host| counters(*host)));
        Measure {
            row: format!("seed {seed}"),
            values: vec![
                ("indirect", number(pair.iter().map(|(indirect, _)| indirect).sum())),
                ("failed", number(all.map(|(_, failed)| failed).sum())),
                ("deaths", number(dead as u64)),
            ],
            failure: failure(&sim, true).or((dead > 0).then(|| format!("{dead} deaths"))),
        }
    };
    Scenario {
        about: "two members cannot reach each other for 600 s, everybody else reaches both",
        anchor: "SWIM's indirect probes (2002, section 3.1) exist for this: no member may be \
                 declared dead",
        jobs: (0..REPETITIONS).map(|seed| Job::new(move || run(seed))).collect(),
        summarize: one_row_each,
    }
}

/// One member reaches a single other one.
pub(super) fn one_link(size: Size) -> Scenario {
    let members = size.members.unwrap_or(11);
    let repetitions = size.repetitions.unwrap_or(0..4 * REPETITIONS);
    let run = move |seed| {
        let (mut sim, hosts) = converged(seed, members, Config::lan());
        let (loner, rest) = (hosts[1], hosts[2..].to_vec());
        let cut = [vec![hosts[0]], rest[1..].to_vec()].concat();
        sim.begin_fault(Fault::OneWay { from: vec![loner], to: cut.clone() });
        sim.begin_fault(Fault::OneWay { from: cut, to: vec![loner] });
        let mut health = 0;
        for _ in 0..180 {
            sim.run_for(Duration::from_secs(1));
            let stats = sim.membership(loner).map(|membership| membership.stats());
            health = health.max(stats.map_or(0, |stats| stats.health));
        }
        let healthy = |host: HostId| host != loner;
        let wrong = |at_healthy: bool| {
            let wrong = deaths(&sim)
                .filter(|(_, subject, viewer)| healthy(*subject) && healthy(*viewer) == at_healthy);
            wrong.count() as u64
        };
        let (at_others, at_loner) = (wrong(true), wrong(false));
        let suspicions: u64 = hosts
            .iter()
            .filter(|host| healthy(**host))
            .filter_map(|host| sim.membership(*host))
            .map(|membership| membership.stats().counters.suspicions)
            .sum();
        Measure {
            row: format!("seed {seed}"),
            values: vec![
                ("suspicions", number(suspicions)),
                ("dead at others", number(at_others)),
                ("dead at it", number(at_loner)),
                ("its health", number(u64::from(health))),
            ],
            failure: failure(&sim, false)
                .or((at_others > 0).then(|| format!("seed {seed}: {at_others} false deaths"))),
        }
    };
    Scenario {
        about: "one of eleven members reaches a single other one for 180 s",
        anchor: "Lifeguard (2018), section III: a member whose own links are bad must not make \
                 others suspect healthy members for dead",
        jobs: repetitions.map(|seed| Job::new(move || run(seed))).collect(),
        summarize: one_row_each,
    }
}

/// Packets are lost everywhere while members join one by one.
pub(super) fn swim_loss(size: Size) -> Scenario {
    let members = size.members.unwrap_or(17);
    let run = move |seed| {
        let watch = Watch::Every(Duration::from_millis(100));
        let setup = Setup { watch, keep_events: true, ..Setup::new(Config::lan()) };
        let mut sim = Simulation::new(seed, setup);
        let hosts: Vec<HostId> = (0..members).map(|n| sim.add(&format!("member-{n:05}"))).collect();
        let rate = MILLION / 10;
        sim.begin_fault(Fault::Loss { hosts: hosts.clone(), inbound: rate, outbound: 0 });
        let mut slowest = 0.0_f64;
        for (n, host) in hosts.iter().enumerate() {
            sim.set_first_seed(*host, hosts[0]);
            let began = sim.now();
            sim.start(*host);
            let bound = Duration::from_secs(60);
            sim.run_until(bound, |sim| sees_all(sim, &hosts[..=n]));
            slowest = slowest.max((sim.now() - began).as_secs_f64());
            sim.run_for(Duration::from_secs(2));
        }
        sim.run_for(Duration::from_secs(600));
        let stats = |sim: &Simulation, of: fn(&crate::Counters) -> u64| {
            let memberships = hosts.iter().filter_map(|host| sim.membership(*host));
            number(memberships.map(|membership| of(&membership.stats().counters)).sum())
        };
        let suspicions = stats(&sim, |counters| counters.suspicions);
        let refutes = stats(&sim, |counters| counters.refutes);
        let dead = deaths(&sim).count();
        Measure {
            row: format!("seed {seed}"),
            values: vec![
                ("slowest join s", slowest),
                ("suspicions", suspicions),
                ("refutes", refutes),
                ("false deaths", number(dead as u64)),
                ("a member-hour", number(dead as u64) * 6.0 / length(&hosts)),
            ],
            failure: failure(&sim, false),
        }
    };
    Scenario {
        about: "10 % of all packets are lost while members join one by one, and for 600 s after",
        anchor: "SWIM (2002, section 5): with 17 members and 10 % loss the suspicion mechanism \
                 keeps false deaths rare; here each is counted at every member that believed it",
        jobs: (0..REPETITIONS).map(|seed| Job::new(move || run(seed))).collect(),
        summarize: one_row_each,
    }
}

/// Whether each of these holds all of them for living.
fn sees_all(sim: &Simulation, present: &[HostId]) -> bool {
    present.iter().all(|viewer| {
        sim.membership(*viewer).is_some_and(|membership| {
            let stats = membership.stats();
            stats.alive + stats.suspect == present.len()
        })
    })
}

fn others(hosts: &[HostId], without: usize) -> Vec<HostId> {
    hosts.iter().copied().enumerate().filter(|(n, _)| *n != without).map(|(_, host)| host).collect()
}
