//! `cargo xtask fuzz`: libFuzzer with AddressSanitizer on what `fuzz/checks` checks.
//!
//! A finding fails the run, except in the canary, a target with a planted bug, which fails without
//! one. The programs are built apart from everything else, in `fuzz/target`, since the sanitizer's
//! flags would have every dependency built again.

mod folders;
mod outcome;
mod toolchain;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::{Stop, process, workspace};
use folders::Folders;
use outcome::Report;
use toolchain::Toolchain;

/// The canary comes first: where it is not found, the others' silence means nothing.
const TARGETS: [&str; 15] = [
    CANARY,
    "packet",
    "stream",
    "hello",
    "reliable",
    "messages",
    "compression",
    "membership",
    "cluster",
    "application_header",
    "address_text",
    "settings_text",
    "pem_text",
    "retry_tokens",
    "live_connections",
];
/// The last ones link BoringSSL.
const SERVICE: &[&str] = TARGETS.split_at(9).1;
const CANARY: &str = "canary";

/// Longer than the longest packet, 65,535 bytes.
const MAX_LEN: u32 = 70_000;
/// An input that takes this long is a finding, in seconds: a machine under load included.
const TIMEOUT: u32 = 30;
/// Short stacks of allocations, a short memory of freed ones, new ones not filled with a pattern:
/// half as many executions again. A replay has the sanitizer's own settings, and so tells all.
const SANITIZER: &str = "quarantine_size_mb=1:thread_local_quarantine_size_kb=64:\
                         malloc_context_size=1:max_malloc_fill_size=0:\
                         detect_stack_use_after_return=0";
/// How libFuzzer exits after SIGINT or SIGTERM.
const INTERRUPTED: i32 = 72;
/// The longest input that a committed corpus keeps.
const KEPT_LEN: u32 = 4_096;
/// Fuzzing time of one target unless told otherwise, in seconds.
const SECONDS: u64 = 60;

#[derive(clap::Args)]
#[command(after_help = "\
Starts from the committed corpus and from what earlier runs found (fuzz/target/fuzz). Exits with \
0 when nothing was found (and the canary was), 1 on a finding, 2 when the machine lacks \
something.")]
pub(crate) struct Arguments {
    /// What to fuzz; everything if not given
    #[arg(value_name = "TARGET", value_parser = TARGETS)]
    targets: Vec<String>,
    /// Fuzz each target this long; 60 s unless --runs is given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
    /// Stop each target after this many executions
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    runs: Option<u64>,
    /// Start from nothing instead of from the corpus
    #[arg(long)]
    fresh: bool,
    /// Learn from compared values too: finds constants, at half the executions
    #[arg(long)]
    compares: bool,
    /// The canary and one other target, which the commit chooses
    #[arg(long, conflicts_with = "targets")]
    smoke: bool,
    /// Run one input through one target
    #[arg(long, value_name = "FILE", conflicts_with_all = ["fresh", "smoke", "runs", "seconds"])]
    replay: Option<PathBuf>,
    /// Make the committed corpus the smallest that covers what was ever covered
    #[arg(long, conflicts_with_all = ["fresh", "smoke", "runs", "seconds", "replay"])]
    minimise: bool,
}

/// Builds the targets and does what was asked.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Stop> {
    let targets = choose(arguments)?;
    let toolchain = Toolchain::find()?;
    println!("fuzz: {toolchain}, AddressSanitizer, inputs up to {MAX_LEN} bytes");
    let folders = Folders::new(&workspace::root().join("fuzz"), arguments.compares);
    let mut build = build(&toolchain, &folders, &targets, arguments.compares);
    let status = process::run(&mut build, "building the targets")?;
    if !status.success() {
        return Err(Stop::Failed("the fuzz targets do not build: see above".into()));
    }
    let mut failed = false;
    for target in targets {
        let fuzzer = Fuzzer { target, program: folders.program(toolchain.host(), target) };
        failed |= match &arguments.replay {
            Some(input) => !fuzzer.replay(input)?,
            None if arguments.minimise => !fuzzer.minimise(&folders)?,
            None => !fuzzer.fuzz(&folders, arguments)?,
        };
    }
    if failed { Err(Stop::Said(1)) } else { Ok(()) }
}

fn choose(arguments: &Arguments) -> Result<Vec<&'static str>, Stop> {
    let is_named = |target: &&str| arguments.targets.iter().any(|name| name == target);
    let mut targets: Vec<&'static str> = TARGETS.into_iter().filter(is_named).collect();
    if arguments.replay.is_some() && targets.len() != 1 {
        return Err(Stop::BadInput(
            "--replay runs one input through one target; name the target".into(),
        ));
    }
    if arguments.smoke {
        targets = smoke(&workspace::commit());
    }
    if targets.is_empty() {
        targets = TARGETS.to_vec();
    }
    if arguments.minimise {
        targets.retain(|target| *target != CANARY);
    }
    Ok(targets)
}

/// The canary and the target whose turn it is.
fn smoke(commit: &str) -> Vec<&'static str> {
    let [canary, others @ ..] = TARGETS;
    vec![canary, others[workspace::turn(commit, others.len())]]
}

fn build(toolchain: &Toolchain, folders: &Folders, targets: &[&str], compares: bool) -> Command {
    let mut cargo = toolchain.cargo();
    cargo.current_dir(folders.workspace()).args(["build", "--release", "--quiet"]);
    // Naming the host keeps the flags away from build scripts.
    cargo.args(["--target", toolchain.host()]).arg("--target-dir").arg(folders.build());
    for target in targets {
        cargo.args(["--bin", target]);
    }
    if targets.iter().any(|target| SERVICE.contains(target)) {
        cargo.args(["--features", "service"]);
        workspace::use_built_boringssl(&mut cargo);
    }
    let mut flags = toolchain::FLAGS.to_vec();
    flags.extend(compares.then_some(toolchain::COMPARES));
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    cargo
}

/// One built target.
struct Fuzzer {
    target: &'static str,
    program: PathBuf,
}

impl Fuzzer {
    /// Whether the outcome is the one that this target must have.
    fn fuzz(&self, folders: &Folders, arguments: &Arguments) -> Result<bool, Stop> {
        let target = self.target;
        let (grown, committed) = (folders.grown(target, arguments.fresh), folders.corpus(target));
        folders::make(&grown, arguments.fresh)?;
        let findings = folders.findings(target);
        folders::make(&findings, false)?;
        let mut command = Command::new(&self.program);
        command.arg(&grown);
        if !arguments.fresh && committed.is_dir() {
            command.arg(&committed);
        }
        command.args(limits(arguments.seconds, arguments.runs));
        command.env("ASAN_OPTIONS", SANITIZER);
        command.arg(format!("-artifact_prefix={}/", findings.display()));
        let what = format!("fuzzing {target}");
        let (status, log) = self.logged(command, &folders.log(target), &what)?;
        let report = Report::read(&log);
        let is_canary = target == CANARY;
        let is_found = !status.success() && report.input.is_some();
        let is_stopped = status.code() == Some(INTERRUPTED) && report.input.is_none();
        let verdict = match (is_canary, status.success()) {
            (false, true) => "nothing found",
            (false, false) if is_stopped => "nothing found until it was interrupted",
            (false, false) => "a FINDING",
            (true, _) if is_found => "found the planted bug",
            (true, _) => "the planted bug NOT found: what this build reports means nothing",
        };
        println!("{}", report.line(target, verdict));
        if is_canary || status.success() {
            return Ok(is_canary == is_found);
        }
        for line in &report.cause {
            println!("    {line}");
        }
        match &report.input {
            Some(input) => println!(
                "    the input is {input}\n    replay it: \
                 cargo xtask fuzz {target} --replay {input}"
            ),
            None => println!("    it ended by {status}: see {}", folders.log(target).display()),
        }
        Ok(false)
    }

    fn replay(&self, input: &Path) -> Result<bool, Stop> {
        if !input.is_file() {
            let input = input.display();
            return Err(Stop::BadInput(format!("there is no file {input}; name an input to run")));
        }
        let mut command = Command::new(&self.program);
        command.arg(input).env("RUST_BACKTRACE", "1");
        let status = process::run(&mut command, "replaying an input")?;
        let holds = status.success();
        println!("{}: {}", self.target, if holds { "the input holds" } else { "a finding" });
        Ok(holds)
    }

    /// Replaces the committed corpus by the smallest part of all inputs that covers as much.
    fn minimise(&self, folders: &Folders) -> Result<bool, Stop> {
        let target = self.target;
        let (committed, merged) = (folders.corpus(target), folders.merged(target));
        folders::make(&committed, false)?;
        folders::make(&merged, true)?;
        let mut command = Command::new(&self.program);
        // Counting how often an edge is passed would keep five times as many inputs.
        command.args(["-merge=1", "-use_counters=0"]).arg(format!("-max_len={KEPT_LEN}"));
        command.args([&merged, &committed]);
        for grown in [folders.grown(target, false), folders.grown(target, true)] {
            if grown.is_dir() {
                command.arg(grown);
            }
        }
        let what = format!("minimising {target}");
        let (status, log) = self.logged(command, &folders.log(target), &what)?;
        if !status.success() {
            println!("{target}: {what} ended by {status}");
            println!("{}", Report::read(&log).cause.join("\n"));
            return Ok(false);
        }
        let (files, bytes) = folders::replace(&committed, &merged)?;
        println!("{target:<12}{files:6} inputs, {bytes:8} bytes");
        Ok(true)
    }

    /// Runs to the end with all output in a file.
    fn logged(
        &self,
        mut command: Command,
        path: &Path,
        what: &str,
    ) -> Result<(ExitStatus, String), Stop> {
        let failed = |error| Stop::cannot(format!("write {}", path.display()), error);
        let log = File::create(path).map_err(failed)?;
        command.stderr(log);
        let status = process::run(&mut command, what)?;
        let bytes = fs::read(path).map_err(failed)?;
        Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// How long libFuzzer goes on.
fn limits(seconds: Option<u64>, runs: Option<u64>) -> Vec<String> {
    let seconds = seconds.or_else(|| runs.is_none().then_some(SECONDS));
    let mut limits = vec![
        format!("-max_len={MAX_LEN}"),
        // Its bookkeeping of rare features takes longer than the stories do: without it the same
        // time holds 2.5 times as many executions of `membership`.
        "-entropic=0".to_owned(),
        format!("-timeout={TIMEOUT}"),
        "-print_final_stats=1".to_owned(),
    ];
    limits.extend(seconds.map(|seconds| format!("-max_total_time={seconds}")));
    limits.extend(runs.map(|runs| format!("-runs={runs}")));
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_its_program_and_its_checks() {
        let fuzz = workspace::root().join("fuzz");
        let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
        let programs = fs::read_dir(fuzz.join("fuzz_targets")).unwrap().count();
        assert_eq!((programs, manifest.matches("[[bin]]").count()), (TARGETS.len(), TARGETS.len()));
        for target in TARGETS {
            assert!(fuzz.join(format!("fuzz_targets/{target}.rs")).is_file(), "{target}");
            assert!(fuzz.join(format!("checks/src/{target}.rs")).is_file(), "{target}");
            assert!(manifest.contains(&format!("name = \"{target}\"")), "{target}");
        }
    }

    #[test]
    fn time_ends_a_target_unless_a_number_of_runs_does() {
        assert!(limits(None, None).contains(&"-max_total_time=60".to_owned()));
        assert!(
            limits(Some(5), Some(9)).ends_with(&["-max_total_time=5".into(), "-runs=9".into()])
        );
        assert!(limits(None, Some(9)).iter().all(|limit| !limit.contains("time=")));
    }

    #[test]
    fn every_target_has_its_turn_in_the_smoke() {
        let mut turns: Vec<&str> = (0..16u8).map(|n| smoke(&"a".repeat(n.into()))[1]).collect();
        turns.sort_unstable();
        turns.dedup();
        assert_eq!(turns.len(), TARGETS.len() - 1);
        assert_eq!(smoke("")[0], CANARY);
    }
}
