//! `cargo xtask bench`: benchmarks that measure a reference beside each figure.
//!
//! Builds in release mode. What the figures mean is in docs/BENCHMARKS.md.

mod clusters;
mod figures;
mod page;

use crate::{Stop, prerequisites, process, workspace};

const CASES: [&str; 5] = ["datagrams", "ping", "bulk", "handshakes", "memory"];

#[derive(clap::Args)]
#[command(
    after_help = "The first time this builds BoringSSL in release mode, which takes minutes."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(clap::Subcommand)]
enum Subject {
    /// Datagrams, pings, streams and handshakes beside bare quiche and plain UDP
    Transport {
        /// Which of its cases; all if none is given
        #[arg(value_name = "CASE", value_parser = CASES)]
        cases: Vec<String>,
    },
    /// Many members in one process, beside Go's memberlist over QUIC and over UDP and TCP
    Cluster(clusters::Arguments),
}

/// Builds the benchmark and runs it.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Stop> {
    prerequisites::ensure()?;
    let cases = match &arguments.subject {
        Subject::Transport { cases } => cases,
        Subject::Cluster(arguments) => return clusters::run(arguments),
    };
    let mut cargo = workspace::cargo();
    cargo
        .current_dir(workspace::root())
        .args(["bench", "--package", "swim-quic-net", "--bench", "transport", "--"])
        .args(cases);
    match process::run(&mut cargo, "the benchmark")?.success() {
        true => Ok(()),
        false => Err(Stop::Failed("the benchmark failed: see above".into())),
    }
}
