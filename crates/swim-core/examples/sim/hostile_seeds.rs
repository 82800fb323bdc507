//! Campaigns of hostile seeds, and what each strategy did in all.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

use swim_core::sim::{HostileReport, StrategyKind, Verbosity, run_hostile_seed};

use crate::parallel;

/// From so many seeds on, every strategy must have acted.
const MUST_ACT_ALL: u64 = 64;
/// So many failing seeds are told in detail.
const DETAILS: usize = 5;

/// Runs all seeds of a range; true when none broke a rule and every strategy acted.
pub(crate) fn run(seeds: Range<u64>, observers: usize, until_broken: bool) -> bool {
    let count = usize::try_from(seeds.end - seeds.start).unwrap_or(usize::MAX);
    let work = |n: usize| run_hostile_seed(seeds.start + n as u64, observers, Verbosity::Nothing);
    let reports = parallel::map("hostile seeds", count, work, |report| {
        let Some(violation) = &report.violation else {
            return ControlFlow::Continue(());
        };
        eprintln!("sim: hostile seed {} broke a rule: {violation}", report.seed);
        if until_broken { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let failed: Vec<&HostileReport> =
        reports.iter().filter(|report| report.violation.is_some()).collect();
    for report in failed.iter().take(DETAILS) {
        println!(
            "hostile seed {} with {} members, {} hostile",
            report.seed, report.hosts, report.hostile
        );
        let kinds: Vec<&str> = report.acts.keys().map(|kind| kind.name()).collect();
        println!("    {}", kinds.join(", "));
        let with = if observers == 0 { String::new() } else { format!(" --observers {observers}") };
        println!("    replay: cargo xtask sim --hostile --seed {}{with} --trace", report.seed);
    }
    let mut acts: BTreeMap<StrategyKind, u64> = BTreeMap::new();
    for (kind, number) in reports.iter().flat_map(|report| &report.acts) {
        *acts.entry(*kind).or_default() += number;
    }
    let number = |kind| acts.get(kind).copied().unwrap_or(0);
    for kind in StrategyKind::ALL {
        println!("{:<42}{:>14}", kind.name(), number(kind));
    }
    let idle = StrategyKind::ALL.iter().filter(|kind| number(kind) == 0).count();
    let demanded = seeds.end - seeds.start >= MUST_ACT_ALL;
    if demanded && idle > 0 {
        println!("FAILED: {idle} strategies never acted");
    }
    println!("{} of {} hostile seeds passed", reports.len() - failed.len(), reports.len());
    failed.is_empty() && !(demanded && idle > 0)
}

/// Runs one seed; true when it broke no rule.
pub(crate) fn run_one(seed: u64, observers: usize, trace: bool) -> bool {
    let verbosity = if trace {
        Verbosity::Everything(Box::new(|line| println!("{line}")))
    } else {
        Verbosity::LastLines
    };
    let report = run_hostile_seed(seed, observers, verbosity);
    for line in &report.last_lines {
        println!("    {line}");
    }
    println!("hostile seed {seed}: {} members, {} of them hostile", report.hosts, report.hostile);
    for (kind, number) in &report.acts {
        println!("    {:<38}{number:>14}", kind.name());
    }
    println!("digest {:016x}", report.digest);
    if let Some(violation) = &report.violation {
        println!("FAILED: {violation}");
    }
    report.violation.is_none()
}
