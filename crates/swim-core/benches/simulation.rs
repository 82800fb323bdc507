//! One second of virtual time: of a quiet cluster, and of one in trouble.
//!
//! An iteration is one virtual second under the checkers of every 100 ms, so 1 ms an iteration is
//! 1,000 times real time. Says after each quiet cluster how much memory the process has taken at
//! most so far (Linux only).

#![expect(clippy::print_stdout, reason = "a benchmark reports on stdout")]

use std::fs;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use swim_core::Config;
use swim_core::sim::{Fault, HostId, Setup, Simulation, Watch};

fn converged(members: usize) -> (Simulation, Vec<HostId>) {
    let watch = Watch::Every(Duration::from_millis(100));
    let mut sim = Simulation::new(1, Setup { watch, ..Setup::new(Config::lan()) });
    let hosts: Vec<HostId> = (0..members).map(|n| sim.add(&format!("member-{n:09}"))).collect();
    for host in &hosts {
        sim.start(*host);
    }
    sim.acquaint();
    (sim, hosts)
}

fn quiet(criterion: &mut Criterion) {
    for members in [128, 1000, 5000] {
        let (mut sim, _) = converged(members);
        criterion.bench_function(&format!("quiet second of {members} members"), |bencher| {
            bencher.iter(|| sim.run_for(Duration::from_secs(1)));
        });
        assert_eq!(sim.violation(), None);
        if let Some(peak) = peak_memory() {
            println!("with {members} members, the process took {peak} at most");
        }
    }
}

/// The most memory that this process ever held, as the kernel tells it.
fn peak_memory() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.trim().to_owned())
}

fn chaos(criterion: &mut Criterion) {
    for members in [128, 1000] {
        let (mut sim, hosts) = converged(members);
        sim.begin_fault(Fault::Loss { hosts, inbound: 150_000, outbound: 150_000 });
        sim.begin_fault(Fault::Duplicate { rate: 100_000 });
        sim.begin_fault(Fault::Slow { by: Duration::from_millis(20) });
        criterion.bench_function(&format!("chaotic second of {members} members"), |bencher| {
            bencher.iter(|| sim.run_for(Duration::from_secs(1)));
        });
        assert_eq!(sim.violation(), None);
    }
}

criterion_group! {
    name = simulation;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(10));
    targets = quiet, chaos
}
criterion_main!(simulation);
