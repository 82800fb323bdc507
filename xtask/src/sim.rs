//! `cargo xtask sim`: the simulator in release mode, and the bugs planted to try it.
//!
//! Builds `crates/swim-core/examples/sim` and runs it with these arguments. Needs nothing but Rust:
//! swim-core links no BoringSSL.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Stop, planted, process, workspace};

const PACKAGE: &str = "swim-quic-core";
/// The digest of a range of seeds, as `A..B HEX`; below the repository's root.
const REFERENCE: &str = "crates/swim-core/reference-digest";
/// Where the bugs are kept, below the repository's root. A seed must catch each of them, or, where
/// a line above a patch says `test: ...`, the test that `cargo test` runs with those arguments, or
/// where it says `hostile: A..B`, one of these hostile seeds, or where it says `figures: A..B`,
/// these repetitions of the scenario `hostile`.
const PLANTED: [&str; 2] = ["crates/swim-core/planted", "crates/quic-net/planted"];
/// One part takes three to six minutes on two cores.
const PARTS: usize = 6;
/// A planted bug must be caught within so many seeds.
const PLANTED_SEEDS: &str = "0..1024";

#[derive(clap::Args)]
#[command(
    after_help = "Exits with 0 when all is well, 1 when a rule was broken or a digest differs, 2 \
                  for bad arguments."
)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct Arguments {
    /// Run these seeds, the last one excluded, on all cores
    #[arg(long, value_name = "A..B", group = "what")]
    seeds: Option<String>,
    /// Up to a third of the members are hostile
    #[arg(
        long,
        conflicts_with_all = ["replay", "reference", "digests", "scenario", "json", "planted"]
    )]
    hostile: bool,
    /// Run them in a debug build too, and see that every byte and event is the same
    #[arg(long, requires = "seeds")]
    replay: bool,
    /// Fail unless the digest of all seeds is the one in crates/swim-core/reference-digest
    #[arg(long, requires = "seeds", conflicts_with = "replay")]
    reference: bool,
    /// So many members watch each one: 0 (all probe all) or 3 to 64
    #[arg(
        long,
        value_name = "N",
        conflicts_with_all = ["reference", "scenario", "planted", "replay"]
    )]
    observers: Option<u32>,
    /// Print each seed's digest, a line each
    #[arg(long, requires = "seeds", conflicts_with_all = ["replay", "json"])]
    digests: bool,
    /// Run one seed
    #[arg(long, value_name = "N", group = "what")]
    seed: Option<u64>,
    /// Print everything that happens in that seed
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Run a named experiment: lifeguard, rapid-crash, rapid-flipflop, rapid-loss, one-way,
    /// blackhole-pair, mass-restart, partition-heal, join-storm, swim-loss, one-link, freeze,
    /// send-outage, hostile, rolling-upgrade, refusals, observers
    #[arg(long, value_name = "NAME", group = "what")]
    scenario: Option<String>,
    /// How many members it has
    #[arg(long, value_name = "N", requires = "scenario")]
    members: Option<u32>,
    /// The whole grid
    #[arg(long, requires = "scenario")]
    full: bool,
    /// Only these repetitions of a grid, to run a long one in parts
    #[arg(long, value_name = "A..B", requires = "scenario")]
    repetitions: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Plant each known bug in turn and see that a seed, or the test that it names, catches it
    #[arg(long, group = "what")]
    planted: bool,
    /// Plant a sixth of them: the commit chooses which
    #[arg(long, requires = "planted")]
    smoke: bool,
}

/// Builds the simulator and runs it.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Stop> {
    if arguments.planted {
        return run_planted(arguments.smoke);
    }
    let root = workspace::root();
    let program = build(&root, &root.join("target"), "release")?;
    if arguments.replay {
        let debug = build(&root, &root.join("target"), "dev")?;
        return compare(&program, &debug, arguments.seeds.as_deref().unwrap_or_default());
    }
    let mut simulate = Command::new(program);
    simulate.args(passed_on(arguments));
    if arguments.reference {
        let text = fs::read_to_string(root.join(REFERENCE))
            .map_err(|error| Stop::cannot(format!("read {REFERENCE}"), error))?;
        let seeds = arguments.seeds.as_deref().unwrap_or_default();
        simulate.arg("--expect").arg(reference(&text, seeds)?);
    }
    let status = process::run(&mut simulate, "simulating")?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(Stop::Said(u8::try_from(code).unwrap_or(1))),
        None => Err(Stop::Failed("the simulator was killed".to_owned())),
    }
}

/// The digest that `text` states for these seeds.
fn reference<'a>(text: &'a str, seeds: &str) -> Result<&'a str, Stop> {
    match text.split_whitespace().collect::<Vec<_>>().as_slice() {
        [range, digest] if *range == seeds => Ok(digest),
        [range, _] => Err(Stop::BadInput(format!(
            "{REFERENCE} states the digest of {range}, not of {seeds}: run --seeds {range}"
        ))),
        _ => Err(Stop::BadInput(format!(
            "{REFERENCE} must hold a range and a digest, as in \"0..1024 f7dbc1b84a6c10a3\""
        ))),
    }
}

/// What the simulator itself is told.
fn passed_on(arguments: &Arguments) -> Vec<OsString> {
    let mut passed: Vec<OsString> = Vec::new();
    let values = [
        ("--seeds", arguments.seeds.clone()),
        ("--seed", arguments.seed.map(|seed| seed.to_string())),
        ("--scenario", arguments.scenario.clone()),
        ("--repetitions", arguments.repetitions.clone()),
        ("--members", arguments.members.map(|members| members.to_string())),
        ("--observers", arguments.observers.map(|observers| observers.to_string())),
    ];
    for (name, value) in values {
        if let Some(value) = value {
            passed.extend([name.into(), value.into()]);
        }
    }
    for (name, given) in [
        ("--hostile", arguments.hostile),
        ("--digests", arguments.digests),
        ("--trace", arguments.trace),
        ("--full", arguments.full),
        ("--json", arguments.json),
    ] {
        if given {
            passed.push(name.into());
        }
    }
    passed
}

/// Runs the same seeds in two builds, each in a process of its own.
fn compare(release: &Path, debug: &Path, seeds: &str) -> Result<(), Stop> {
    let mut digests = Vec::new();
    for (build, program) in [("release", release), ("debug", debug)] {
        let mut command = Command::new(program);
        let ended = process::capture(command.args(["--json", "--seeds", seeds]), build)?;
        let report = ended.lines.first().map(String::as_str).unwrap_or_default();
        let digest = serde_json::from_str::<serde_json::Value>(report)
            .ok()
            .and_then(|report| Some(report["digest"].as_str()?.to_owned()));
        let Some(digest) = digest else {
            return Err(Stop::Failed(format!("the {build} build says nothing: see above")));
        };
        println!("{build:<8}{digest}");
        digests.push((digest, ended.status.success()));
    }
    let [(release, passed), (debug, debug_passed)] = digests.as_slice() else {
        return Err(Stop::Said(1));
    };
    if release != debug {
        return Err(Stop::Failed("the builds differ: something is not portable".to_owned()));
    }
    if *passed && *debug_passed { Ok(()) } else { Err(Stop::Said(1)) }
}

/// Builds the simulator from the sources below `root`; says where it is.
fn build(root: &Path, target: &Path, profile: &str) -> Result<PathBuf, Stop> {
    let mut cargo = workspace::cargo();
    cargo
        .current_dir(root)
        // A planted bug changes one file: all else is not compiled again for each. Where everything
        // is built once this is switched off, with more weight than a profile has.
        .env("CARGO_INCREMENTAL", "1")
        .args(["build", "--quiet", "--profile", profile, "--package", PACKAGE])
        .args(["--features", "sim", "--example", "sim", "--target-dir"])
        .arg(target);
    if !process::run(&mut cargo, "building the simulator")?.success() {
        return Err(Stop::Failed("the simulator does not build: see above".to_owned()));
    }
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(target.join(folder).join("examples/sim"))
}

/// Plants each bug into a copy of the sources and demands that a seed fails.
fn run_planted(smoke: bool) -> Result<(), Stop> {
    let root = workspace::root();
    let mut bugs = Vec::new();
    for folder in PLANTED {
        bugs.extend(planted::patches(&root.join(folder))?);
    }
    if smoke {
        let turn = workspace::turn(&workspace::commit(), PARTS);
        bugs = bugs.into_iter().skip(turn).step_by(PARTS).collect();
    }
    let mut missed = Vec::new();
    let mut sound: BTreeMap<String, bool> = BTreeMap::new();
    for bug in &bugs {
        let name = bug.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let copy = planted::plant(&root, bug, "sim")?;
        let text = fs::read_to_string(bug)
            .map_err(|error| Stop::cannot(format!("read {}", bug.display()), error))?;
        let said = |what| text.lines().find_map(|line| line.strip_prefix(what));
        let caught = if let Some(arguments) = said("test: ") {
            fails_a_test(&copy, arguments, &name)?
        } else if let Some(runs) = said("figures: ") {
            let figures = ["--scenario", "hostile", "--repetitions", runs];
            // They mean something only as long as they are good without the bug.
            if !sound.contains_key(runs) {
                let program = build(&root, &root.join("target"), "release")?;
                sound.insert(runs.to_owned(), is_sound(program, &figures)?);
            }
            sound[runs] && breaks_a_rule(&root, &copy, &figures, &name)?
        } else if let Some(seeds) = said("hostile: ") {
            let hunt = ["--hostile", "--seeds", seeds, "--until-broken"];
            breaks_a_rule(&root, &copy, &hunt, &name)?
        } else {
            let hunt = ["--seeds", PLANTED_SEEDS, "--until-broken"];
            breaks_a_rule(&root, &copy, &hunt, &name)?
        };
        println!("{name:<36}{}", if caught { "caught" } else { "MISSED" });
        if !caught {
            missed.push(name);
        }
    }
    println!("{} of {} planted bugs caught", bugs.len() - missed.len(), bugs.len());
    if missed.is_empty() { Ok(()) } else { Err(Stop::Said(1)) }
}

fn breaks_a_rule(root: &Path, copy: &Path, arguments: &[&str], name: &str) -> Result<bool, Stop> {
    let program = build(copy, &root.join("target/planted/build"), "release")?;
    let mut hunt = Command::new(program);
    hunt.args(arguments).stdout(Stdio::null());
    Ok(process::run(&mut hunt, name)?.code() == Some(1))
}

/// Whether the simulator as it is keeps to the rules; says so if not.
fn is_sound(program: PathBuf, arguments: &[&str]) -> Result<bool, Stop> {
    let mut run = Command::new(program);
    run.args(arguments).stdout(Stdio::null());
    let is_sound = process::run(&mut run, "the same without the bug")?.success();
    if !is_sound {
        println!("{}: a rule is broken without a planted bug too", arguments.join(" "));
    }
    Ok(is_sound)
}

/// Builds the tests first: sources that do not build have caught nothing.
fn fails_a_test(copy: &Path, arguments: &str, name: &str) -> Result<bool, Stop> {
    let test = || {
        let mut cargo = workspace::planted_cargo(copy);
        cargo.env("CARGO_INCREMENTAL", "1").args(["test", "--quiet"]).args(arguments.split(' '));
        cargo
    };
    if !process::run(test().arg("--no-run"), name)?.success() {
        return Err(Stop::Failed(format!("{name}: its tests do not build, see above")));
    }
    Ok(!process::run(test().stdout(Stdio::null()).stderr(Stdio::null()), name)?.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_passed_on_as_they_were_given() {
        let arguments = Arguments {
            seeds: None,
            hostile: false,
            replay: false,
            reference: false,
            digests: false,
            seed: Some(7),
            trace: true,
            scenario: None,
            members: None,
            observers: None,
            full: false,
            repetitions: None,
            json: false,
            planted: false,
            smoke: false,
        };
        assert_eq!(passed_on(&arguments), ["--seed", "7", "--trace"]);
    }

    #[test]
    fn the_reference_counts_for_its_own_seeds_only() {
        let text = "0..1024 f7dbc1b84a6c10a3\n";
        assert_eq!(reference(text, "0..1024").ok(), Some("f7dbc1b84a6c10a3"));
        assert!(reference(text, "0..128").is_err());
        assert!(reference("f7dbc1b84a6c10a3", "0..1024").is_err());
    }
}
