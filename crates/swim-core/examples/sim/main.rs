//! Runs the simulator: campaigns of seeds, one seed with its trace, named experiments.
//!
//! `cargo xtask sim` builds this in release mode and hands its arguments on. Uses every core;
//! exits with 0 when all is well, 1 when a rule was broken or a digest is not
//! the expected one, 2 for bad arguments.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command line tool reports on stdout")]

mod campaign;
mod clock;
mod experiment;
mod hostile_seeds;
mod parallel;

use std::ops::Range;
use std::process::ExitCode;

use clap::Parser;
use swim_core::sim::scenario;

#[derive(Parser)]
#[command(name = "sim", about = "Many real members in virtual time, replayed from a seed")]
#[command(group = clap::ArgGroup::new("what").required(true))]
struct Arguments {
    /// Run these seeds, the last one excluded
    #[arg(long, value_name = "A..B", value_parser = range, group = "what")]
    seeds: Option<Range<u64>>,
    /// Up to a third of the members are hostile
    #[arg(long, conflicts_with_all = ["digests", "expect", "scenario", "json"])]
    hostile: bool,
    /// Stop at the first seed that breaks a rule
    #[arg(long, requires = "seeds")]
    until_broken: bool,
    /// Print each seed's digest, a line each
    #[arg(long, requires = "seeds", conflicts_with = "json")]
    digests: bool,
    /// Fail unless this is the digest over all seeds
    #[arg(long, value_name = "HEX", value_parser = hexadecimal, requires = "seeds")]
    expect: Option<u64>,
    /// Run one seed
    #[arg(long, value_name = "N", group = "what")]
    seed: Option<u64>,
    /// So many members watch each one, 0 or 3 to 64; with 0 all probe all
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        conflicts_with = "scenario",
        value_parser = observers
    )]
    observers: usize,
    /// Print everything that happens in that seed
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Run a named experiment
    #[arg(long, value_name = "NAME", value_parser = scenario_names(), group = "what")]
    scenario: Option<String>,
    /// How many members it has
    #[arg(
        long,
        value_name = "N",
        requires = "scenario",
        value_parser = clap::value_parser!(u32).range(4..=100_000)
    )]
    members: Option<u32>,
    /// The whole grid
    #[arg(long, requires = "scenario")]
    full: bool,
    /// Only these repetitions of a grid, to run a long one in parts
    #[arg(long, value_name = "A..B", value_parser = range, requires = "scenario")]
    repetitions: Option<Range<u64>>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let well = if let (true, Some(seeds)) = (arguments.hostile, &arguments.seeds) {
        hostile_seeds::run(seeds.clone(), arguments.observers, arguments.until_broken)
    } else if let (true, Some(seed)) = (arguments.hostile, arguments.seed) {
        hostile_seeds::run_one(seed, arguments.observers, arguments.trace)
    } else if let Some(seeds) = arguments.seeds {
        let options = campaign::Options {
            until_broken: arguments.until_broken,
            digests: arguments.digests,
            expected: arguments.expect,
            json: arguments.json,
            observers: arguments.observers,
        };
        campaign::run(seeds, options)
    } else if let Some(seed) = arguments.seed {
        campaign::run_one(seed, arguments.observers, arguments.trace, arguments.json)
    } else if let Some(name) = arguments.scenario {
        let members = arguments.members.and_then(|members| usize::try_from(members).ok());
        let size =
            scenario::Size { members, full: arguments.full, repetitions: arguments.repetitions };
        experiment::run(&name, size, arguments.json)
    } else {
        false
    };
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn scenario_names() -> clap::builder::PossibleValuesParser {
    scenario::NAMES.to_vec().into()
}

fn observers(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| matches!(count, 0 | 3..=64));
    count.ok_or_else(|| "write 0, or 3 to 64".to_owned())
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let parsed = text.split_once("..").and_then(|(from, to)| {
        let range = from.parse().ok()?..to.parse().ok()?;
        (!range.is_empty()).then_some(range)
    });
    parsed.ok_or_else(|| "write it like 0..1024".to_owned())
}

fn hexadecimal(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text, 16)
        .map_err(|error| format!("write it like f7dbc1b84a6c10a3: {error}"))
}
