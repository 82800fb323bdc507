//! Experiments on whole clusters: many crash, many restart, many join, half is cut off.
//!
//! Each prepares a cluster, lets time pass and returns what it measured.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::config::Config;
use crate::output::MembershipEvent;
use crate::sim::campaign::convergence_bound;
use crate::sim::fault::{Fault, HostId};
use crate::sim::scenario::experiment::{
    Job, Measure, Scenario, Size, length, number, one_row_each,
};
use crate::sim::scenario::scenario_cluster::{converged, deaths, failure, sent_kilobytes};
use crate::sim::setup::{Setup, Watch};
use crate::sim::sim_rng::{MILLION, SimRng};
use crate::sim::simulation::Simulation;
use crate::time::Time;

const REPETITIONS: u64 = 2;
/// The random stream that scenarios draw victims from.
const VICTIMS: u64 = 3;

fn repeated(run: impl Fn(u64) -> Measure + Copy + Send + Sync + 'static) -> Vec<Job> {
    (0..REPETITIONS).map(|seed| Job::new(move || run(seed))).collect()
}

fn victims(seed: u64, hosts: &[HostId], count: usize) -> Vec<HostId> {
    SimRng::new(seed, VICTIMS).sample(&hosts[1..], count)
}

/// The sizes of the cluster that anybody sees at present.
fn sizes(sim: &Simulation, hosts: &[HostId], into: &mut BTreeSet<usize>) {
    for membership in hosts.iter().filter_map(|host| sim.membership(*host)) {
        let stats = membership.stats();
        into.insert(stats.alive + stats.suspect);
    }
}

/// Ten members crash at the same moment.
pub(super) fn crash(size: Size) -> Scenario {
    let members = size.members.unwrap_or(1000);
    let run = move |seed| {
        let (mut sim, hosts) = converged(seed, members, Config::lan());
        sim.run_for(Duration::from_secs(10));
        let crashed = victims(seed, &hosts, 10.min(members / 2));
        for host in &crashed {
            sim.crash(*host);
        }
        let began = sim.now();
        let mut seen = BTreeSet::new();
        let mut first = None;
        let bound = convergence_bound(&Config::lan(), members);
        sim.run_until(bound, |sim| {
            sizes(sim, &hosts, &mut seen);
            if first.is_none() && seen.len() > 1 {
                first = Some((sim.now() - began).as_secs_f64());
            }
            seen.contains(&(members - crashed.len())) && sim.agreement().is_ok()
        });
        let agreed = sim.now();
        // Until the last stable view is told.
        sim.run_for(Duration::from_secs(10));
        let wrong = deaths(&sim).filter(|(_, subject, _)| !crashed.contains(subject)).count();
        let told = stable_views(&sim, began, &crashed);
        Measure {
            row: format!("seed {seed}"),
            values: vec![
                ("first s", first.unwrap_or_default()),
                ("all agree s", (agreed - began).as_secs_f64()),
                ("sizes seen", number(seen.len() as u64)),
                ("stable views, mean", number(told.iter().sum()) / length(&told)),
                ("most", number(told.iter().copied().max().unwrap_or_default())),
                ("false deaths", number(wrong as u64)),
            ],
            failure: failure(&sim, true),
        }
    };
    Scenario {
        about: "ten members crash at the same moment",
        anchor: "Rapid (Suresh and others, USENIX ATC 2018, section 7): 10 of 1,000 crash; every \
                 size between is a view that members disagreed in, as gossip membership must",
        jobs: repeated(run),
        summarize: one_row_each,
    }
}

/// How many stable views each member that is not down was told of since then.
fn stable_views(sim: &Simulation, since: Time, down: &[HostId]) -> Vec<u64> {
    let mut told = vec![0; sim.hosts().count()];
    for (at, viewer, event) in sim.events() {
        if *at > since && matches!(event, MembershipEvent::StableView(_)) {
            told[viewer.index()] += 1;
        }
    }
    let stays = |host: &HostId| !down.contains(host);
    sim.hosts().filter(stays).map(|host| told[host.index()]).collect()
}

/// What 300 s of trouble at one member in a hundred does to everybody's view.
fn unstable(size: Size, trouble: fn(&mut Simulation, &[HostId], Duration)) -> Vec<Job> {
    let members = size.members.unwrap_or(1000);
    repeated(move |seed| {
        let (mut sim, hosts) = converged(seed, members, Config::lan());
        sim.run_for(Duration::from_secs(10));
        let faulty = victims(seed, &hosts, (members / 100).max(1));
        let span = Duration::from_secs(300);
        trouble(&mut sim, &faulty, span);
        let is_faulty = |host: &HostId| faulty.contains(host);
        let (mut of_faulty, mut at_healthy, mut at_faulty) = (0, 0, 0);
        for (_, subject, viewer) in deaths(&sim) {
            match (is_faulty(&subject), is_faulty(&viewer)) {
                (true, _) => of_faulty += 1,
                (false, false) => at_healthy += 1,
                (false, true) => at_faulty += 1,
            }
        }
        let mut seen = BTreeSet::new();
        sizes(&sim, &hosts, &mut seen);
        sim.end_all_faults();
        let began = sim.now();
        let bound = convergence_bound(&Config::lan(), members);
        sim.run_until(bound, |sim| sim.agreement().is_ok());
        Measure {
            row: format!("seed {seed}"),
            values: vec![
                ("of faulty", number(of_faulty)),
                ("false, healthy", number(at_healthy)),
                ("false, faulty", number(at_faulty)),
                ("sizes at end", number(seen.len() as u64)),
                ("healed in s", (sim.now() - began).as_secs_f64()),
                ("KB/s a member", sent_kilobytes(&sim, &hosts, 310.0)),
            ],
            failure: failure(&sim, true),
        }
    })
}

/// One member in a hundred loses all input by turns.
pub(super) fn flip_flop(size: Size) -> Scenario {
    let jobs = unstable(size, |sim, faulty, span| {
        let end = sim.now() + span;
        while sim.now() < end && sim.violation().is_none() {
            let hosts = faulty.to_vec();
            let fault = sim.begin_fault(Fault::Loss { hosts, inbound: MILLION, outbound: 0 });
            sim.run_for(Duration::from_secs(20));
            sim.end_fault(fault);
            sim.run_for(Duration::from_secs(20));
        }
    });
    Scenario {
        about: "1 % of the members lose all input, 20 s on and 20 s off, for 300 s",
        anchor: "Rapid (ATC 2018, section 7): under a one-way flip-flop memberlist never settles; \
                 a false death is one of a member that was never touched",
        jobs,
        summarize: one_row_each,
    }
}

/// One member in a hundred loses most of its input.
pub(super) fn loss(size: Size) -> Scenario {
    let jobs = unstable(size, |sim, faulty, span| {
        let inbound = MILLION / 10 * 8;
        sim.begin_fault(Fault::Loss { hosts: faulty.to_vec(), inbound, outbound: 0 });
        sim.run_for(span);
    });
    Scenario {
        about: "1 % of the members lose 80 % of their input, for 300 s",
        anchor: "Rapid (ATC 2018, section 7): under 80 % loss at 1 % memberlist keeps removing \
                 and adding the faulty, and sometimes healthy members",
        jobs,
        summarize: one_row_each,
    }
}

/// Everybody restarts at incarnation 1.
pub(super) fn mass_restart(size: Size) -> Scenario {
    let members = size.members.unwrap_or(128);
    let run = move |seed| {
        let (mut sim, hosts) = converged(seed, members, Config::lan());
        // Everybody has refuted something before, so that old incarnations are above 1.
        for host in &hosts {
            sim.set_meta(*host, b"before");
        }
        sim.run_for(Duration::from_secs(30));
        let mut rng = SimRng::new(seed, VICTIMS);
        for host in rng.sample(&hosts, hosts.len()) {
            sim.start(host);
            sim.run_for(rng.span(Duration::ZERO, Duration::from_millis(40)));
        }
        let began = sim.now();
        let bound = convergence_bound(&Config::lan(), members);
        sim.run_until(bound, |sim| sim.agreement().is_ok());
        Measure {
            row: format!("seed {seed}"),
            values: vec![
                ("all agree s", (sim.now() - began).as_secs_f64()),
                ("deaths", number(deaths(&sim).count() as u64)),
            ],
            failure: failure(&sim, true),
        }
    };
    Scenario {
        about: "all members restart at incarnation 1 within seconds, without an operator",
        anchor: "memberlist issue 311: there, restarted members stay dead in the eyes of others \
                 until a full exchange happens to reach them; here all views must become equal",
        jobs: repeated(run),
        summarize: one_row_each,
    }
}

/// Two halves forget each other, then meet again.
pub(super) fn partition_heal(size: Size) -> Scenario {
    let members = size.members.unwrap_or(64);
    let run = move |seed| {
        let (mut sim, hosts) = converged(seed, members, Config::lan());
        let groups = hosts.iter().map(|host| u8::from(host.index() % 2 == 1)).collect();
        sim.begin_fault(Fault::Partition { groups });
        sim.run_for(Duration::from_secs(3600));
        let known = sim.membership(hosts[0]).map_or(0, |membership| membership.members().count());
        sim.end_all_faults();
        let began = sim.now();
        let bound = convergence_bound(&Config::lan(), members);
        sim.run_until(bound, |sim| sim.agreement().is_ok());
        Measure {
            row: format!("seed {seed}"),
            values: vec![
                ("known in a half", number(known as u64)),
                ("all agree s", (sim.now() - began).as_secs_f64()),
            ],
            failure: failure(&sim, true),
        }
    };
    Scenario {
        about: "two halves are cut apart for an hour, then meet again, without an operator",
        anchor: "memberlist issue 222: there, halves that forgot each other never meet again; \
                 here standing seeds are tried at least every 60 s (jittered)",
        jobs: repeated(run),
        summarize: one_row_each,
    }
}

/// Everybody starts at once, through one seed.
pub(super) fn join_storm(size: Size) -> Scenario {
    let members = size.members.unwrap_or(500);
    let run = move |seed| {
        let watch = Watch::Every(Duration::from_millis(100));
        let setup = Setup { watch, keep_events: true, ..Setup::new(Config::lan()) };
        let mut sim = Simulation::new(seed, setup);
        let hosts: Vec<HostId> = (0..members).map(|n| sim.add(&format!("member-{n:05}"))).collect();
        for host in &hosts {
            sim.set_first_seed(*host, hosts[0]);
            sim.start(*host);
        }
        let began = sim.now();
        let bound = convergence_bound(&Config::lan(), members);
        sim.run_until(bound, |sim| sim.agreement().is_ok());
        let seconds = (sim.now() - began).as_secs_f64();
        Measure {
            row: format!("seed {seed}"),
            values: vec![
                ("all agree s", seconds),
                ("false deaths", number(deaths(&sim).count() as u64)),
                ("KB/s a member", sent_kilobytes(&sim, &hosts, seconds)),
            ],
            failure: failure(&sim, true),
        }
    };
    Scenario {
        about: "all members start at the same moment and join through one seed",
        anchor: "Rapid (ATC 2018, section 7, bootstrap of 1,000 and 2,000): the time until all \
                 members see all; no member may be declared dead on the way",
        jobs: repeated(run),
        summarize: one_row_each,
    }
}
