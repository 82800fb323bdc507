//! One contestant of `cargo xtask bench cluster`: many members in one process, measured from
//! outside, so that the programs of other libraries can do the same.
//!
//! `cluster --members N --quiet SECONDS --times K` prints one JSON object: how long until all saw
//! all, what the process used while nothing happened, and how long changes took to be seen by all.
//! Its fields are listed at [`Report`].
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the report is its output")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::time::Duration;

use clap::Parser;
use swim_quic::Config;

use self::fleet::{Failure, Fleet};
use self::report::Report;

mod fleet;
mod report;
mod usage;

/// How long a cluster may take to form, and a change to be seen.
const PATIENCE: Duration = Duration::from_secs(120);
/// After all see all, before what is quiet is measured.
const SETTLING: Duration = Duration::from_secs(10);

#[derive(Parser)]
struct Arguments {
    /// Members of the cluster, all in this process
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..))]
    members: u16,
    /// How long nothing happens while the process is measured, in seconds
    #[arg(long, default_value_t = 20)]
    quiet: u64,
    /// How often each change is made
    #[arg(long, default_value_t = 3)]
    times: u16,
    /// So many members watch each other one; 0: all probe all
    #[arg(long, default_value_t = 0)]
    observers: usize,
    /// Be one member that joins there until it is killed
    #[arg(long, value_name = "ADDRESS", hide = true)]
    victim: Option<String>,
    /// Cargo says this to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let mut config = Config::lan();
    config.observers = arguments.observers;
    if let Some(address) = &arguments.victim {
        return fleet::be_a_victim(address, &config);
    }
    let report = measure(&arguments, &config)?;
    println!("{}", serde_json::to_string(&report.as_json())?);
    Ok(())
}

fn measure(arguments: &Arguments, config: &Config) -> Result<Report, Failure> {
    let mut report = Report::of(arguments.members);
    let mut fleet = Fleet::start(arguments.members, config)?;
    report.formed = fleet.wait_until_formed(PATIENCE);
    if report.formed.is_none() {
        report.missing = fleet.missing();
        return Ok(report);
    }
    std::thread::sleep(SETTLING);
    let before = usage::usage()?;
    std::thread::sleep(Duration::from_secs(arguments.quiet));
    let after = usage::usage()?;
    report.quiet = Some(after.since(&before));
    report.resident = after.resident;
    report.connections = fleet.connections()?;
    report.missing = fleet.missing();
    for round in 0..arguments.times {
        report.metadata.push(fleet.change_metadata(round, PATIENCE)?);
    }
    for round in 0..arguments.times {
        report.leaves.push(fleet.leave(round, PATIENCE)?);
    }
    for _ in 0..arguments.times {
        report.crashes.push(fleet.crash(PATIENCE)?);
    }
    Ok(report)
}
