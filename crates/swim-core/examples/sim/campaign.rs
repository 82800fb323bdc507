//! Campaigns: many seeds, and what they explored in all.

use std::io::{BufWriter, Write as _};
use std::ops::{ControlFlow, Range};

use serde_json::json;
use swim_core::sim::{Counted, Coverage, SeedReport, Verbosity, run_seed};

use crate::{clock, parallel};

/// From so many seeds on, everything must have occurred at least once.
const MUST_COVER_ALL: u64 = 1024;
/// So many failing seeds are told in detail.
const DETAILS: usize = 5;

/// How a campaign runs, and what it prints.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    /// The first seed that breaks a rule ends it.
    pub(crate) until_broken: bool,
    /// Each seed's digest is printed.
    pub(crate) digests: bool,
    /// The digest over all seeds must be this one.
    pub(crate) expected: Option<u64>,
    pub(crate) json: bool,
    /// How many watch each member, where few do; 0: all probe all.
    pub(crate) observers: usize,
}

/// Runs all seeds of a range; true when none broke a rule, enough was explored, and the digest is
/// the expected one.
pub(crate) fn run(seeds: Range<u64>, options: Options) -> bool {
    let began = clock::now();
    let count = usize::try_from(seeds.end - seeds.start).unwrap_or(usize::MAX);
    let observers = options.observers;
    let work = |n: usize| run_seed(seeds.start + n as u64, observers, Verbosity::Nothing);
    let reports = parallel::map("seeds", count, work, |report| {
        let Some(violation) = &report.violation else {
            return ControlFlow::Continue(());
        };
        eprintln!("sim: seed {} broke a rule: {violation}", report.seed);
        if options.until_broken { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let seconds = (clock::now() - began).as_secs_f64();
    let mut coverage = Coverage::new();
    for report in &reports {
        coverage.merge(&report.coverage);
    }
    let failed: Vec<&SeedReport> =
        reports.iter().filter(|report| report.violation.is_some()).collect();
    let demanded = seeds.end - seeds.start >= MUST_COVER_ALL;
    let missing = coverage.missing();
    let digest = digest(&reports);
    let differs = options.expected.is_some_and(|expected| expected != digest);
    let well = failed.is_empty() && (missing.is_empty() || !demanded) && !differs;
    if let Some(expected) = options.expected.filter(|_| differs) {
        eprintln!("sim: the digest of all seeds is {digest:016x}, expected {expected:016x}");
    }
    if options.json {
        println!("{}", as_json(&seeds, &reports, &coverage, seconds));
        return well;
    }
    for report in failed.iter().take(DETAILS) {
        explain(report.seed, observers);
    }
    if options.digests {
        for report in &reports {
            println!("seed {} digest {:016x}", report.seed, report.digest);
        }
    }
    print!("{coverage}");
    print_summary(&seeds, &reports, seconds);
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|what| what.name()).collect();
        let weight = if demanded { "FAILED: " } else { "" };
        println!("{weight}never occurred: {}", names.join(", "));
    }
    println!("{} of {} seeds passed", reports.len() - failed.len(), reports.len());
    well
}

fn print_summary(seeds: &Range<u64>, reports: &[SeedReport], seconds: f64) {
    let virtual_seconds: f64 = reports.iter().map(|report| report.virtual_time.as_secs_f64()).sum();
    let hosts: usize = reports.iter().map(|report| report.hosts).sum();
    let kinds: usize = reports.iter().map(|report| report.kinds).sum();
    let slowest = reports.iter().max_by(|a, b| share(a).total_cmp(&share(b)));
    println!(
        "seeds {}..{}: {:.1} seeds/s, {virtual_seconds:.0} s of virtual time at {:.0} x real time",
        seeds.start,
        seeds.end,
        parallel::per_second(reports.len(), seconds),
        virtual_seconds / seconds
    );
    println!(
        "{:.1} members and {:.1} kinds of fault a seed",
        parallel::per_second(hosts, parallel::per_second(reports.len(), 1.0)),
        parallel::per_second(kinds, parallel::per_second(reports.len(), 1.0))
    );
    println!("digest of all seeds {:016x}", digest(reports));
    if let Some(slowest) = slowest {
        println!(
            "slowest healing: seed {} took {:.1} s of the {:.0} s that its configuration allows",
            slowest.seed,
            slowest.heal_time.as_secs_f64(),
            slowest.heal_bound.as_secs_f64()
        );
    }
}

/// One hash over the hashes of all seeds.
fn digest(reports: &[SeedReport]) -> u64 {
    let mix = |all: u64, report: &SeedReport| {
        (all.rotate_left(7) ^ report.digest).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    };
    reports.iter().fold(0, mix)
}

fn share(report: &SeedReport) -> f64 {
    report.heal_time.as_secs_f64() / report.heal_bound.as_secs_f64()
}

/// Replays a failed seed and shows how it ended.
fn explain(seed: u64, observers: usize) {
    let report = run_seed(seed, observers, Verbosity::LastLines);
    println!("seed={seed} with {} members:", report.hosts);
    for line in &report.last_lines {
        println!("    {line}");
    }
    let with = if observers == 0 { String::new() } else { format!(" --observers {observers}") };
    println!("    replay: cargo xtask sim --seed {seed}{with} --trace");
}

/// Runs one seed; true when it broke no rule.
pub(crate) fn run_one(seed: u64, observers: usize, trace: bool, json: bool) -> bool {
    let verbosity = if trace {
        // A trace has many lines; whoever stops reading it ends it.
        let mut out = BufWriter::new(std::io::stdout());
        Verbosity::Everything(Box::new(move |line| {
            let _ = writeln!(out, "{line}");
        }))
    } else {
        Verbosity::LastLines
    };
    let report = run_seed(seed, observers, verbosity);
    if json {
        println!("{}", seed_as_json(&report));
        return report.violation.is_none();
    }
    println!(
        "seed {seed}: {} members, {} kinds of fault, {:.1} s, healed after {:.1} s of {:.0} s",
        report.hosts,
        report.kinds,
        report.virtual_time.as_secs_f64(),
        report.heal_time.as_secs_f64(),
        report.heal_bound.as_secs_f64()
    );
    println!("digest {:016x}", report.digest);
    match &report.violation {
        Some(violation) => {
            for line in &report.last_lines {
                println!("    {line}");
            }
            println!("FAILED: {violation}");
            false
        }
        None => true,
    }
}

fn seed_as_json(report: &SeedReport) -> serde_json::Value {
    json!({
        "seed": report.seed,
        "members": report.hosts,
        "kinds": report.kinds,
        "virtual_seconds": report.virtual_time.as_secs_f64(),
        "heal_seconds": report.heal_time.as_secs_f64(),
        "heal_bound_seconds": report.heal_bound.as_secs_f64(),
        "digest": format!("{:016x}", report.digest),
        "violation": report.violation.as_ref().map(ToString::to_string),
    })
}

fn as_json(
    seeds: &Range<u64>,
    reports: &[SeedReport],
    coverage: &Coverage,
    seconds: f64,
) -> serde_json::Value {
    let counts: serde_json::Map<String, serde_json::Value> = Counted::ALL
        .iter()
        .map(|what| (what.name().to_owned(), coverage.count(*what).into()))
        .collect();
    let failed: Vec<_> =
        reports.iter().filter(|report| report.violation.is_some()).map(seed_as_json).collect();
    json!({
        "from": seeds.start,
        "to": seeds.end,
        "seconds": seconds,
        "digest": format!("{:016x}", digest(reports)),
        "failed": failed,
        "missing": coverage.missing().iter().map(|what| what.name()).collect::<Vec<_>>(),
        "counts": counts,
    })
}
