//! `cargo xtask bench`: benchmarks that measure a reference beside each figure.
//!
//! Builds in release mode and hands on which cases to run. What the figures mean is in
//! docs/BENCHMARKS.md.

use crate::{Stop, prerequisites, process, workspace};

const CASES: [&str; 5] = ["datagrams", "ping", "bulk", "handshakes", "memory"];

#[derive(clap::Args)]
#[command(
    after_help = "The first time this builds BoringSSL in release mode, which takes minutes."
)]
pub(crate) struct Arguments {
    /// What to measure
    #[arg(value_name = "SUBJECT", value_parser = ["transport"])]
    subject: String,
    /// Which of its cases; all if none is given
    #[arg(value_name = "CASE", value_parser = CASES)]
    cases: Vec<String>,
}

/// Builds the benchmark and runs it.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Stop> {
    prerequisites::ensure()?;
    let mut cargo = workspace::cargo();
    cargo
        .current_dir(workspace::root())
        .args(["bench", "--package", "swim-quic-net", "--bench", &arguments.subject, "--"])
        .args(&arguments.cases);
    match process::run(&mut cargo, "the benchmark")?.success() {
        true => Ok(()),
        false => Err(Stop::Failed("the benchmark failed: see above".into())),
    }
}
