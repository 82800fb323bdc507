//! `cargo xtask bench cluster`: programs of several libraries, each with many members in one
//! process, in turn, in one run.
//!
//! Each contestant prints the same report about itself (the bench `cluster` of swim-quic lists its
//! fields). Where the system permits it, each has a network of its own, so that all bytes through
//! its loopback interface are its own.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::figures::{Figures, Report};
use super::page;
use crate::fleet::programs;
use crate::{Stop, process, workspace};

/// Runs a program in a network of its own.
const OWN_NETWORK: [&str; 6] =
    ["--user", "--map-root-user", "--net", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Members of the clusters, one size after the other
    #[arg(long, value_delimiter = ',', default_values_t = [10, 100, 200])]
    members: Vec<u16>,
    /// How often each contestant runs with each size
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// One round with 10 and 100 members; at most ten minutes
    #[arg(long, conflicts_with_all = ["members", "rounds"])]
    quick: bool,
    /// Ours alone, ten members, half a minute, as the tests are built: whether the benchmark works
    #[arg(long, conflicts_with_all = ["members", "rounds", "quick"])]
    smoke: bool,
    /// Write all figures to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page with plots to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// A program that measures a cluster of its own library.
struct Contestant {
    name: &'static str,
    program: PathBuf,
    arguments: &'static [&'static str],
}

/// How long and how often a contestant measures.
struct Effort {
    members: Vec<u16>,
    rounds: u16,
    flags: [&'static str; 4],
}

impl Arguments {
    fn effort(&self) -> Effort {
        let (members, rounds, quiet, times) = match (self.smoke, self.quick) {
            (true, _) => (vec![10], 1, "5", "1"),
            (_, true) => (vec![10, 100], 1, "20", "2"),
            _ => (self.members.clone(), self.rounds, "30", "3"),
        };
        Effort { members, rounds, flags: ["--quiet", quiet, "--times", times] }
    }
}

/// Builds all contestants and lets them run in turn.
pub(super) fn run(arguments: &Arguments) -> Result<(), Stop> {
    let contestants = contestants(arguments.smoke)?;
    let effort = arguments.effort();
    let has_own_network = can_have_own_network();
    if !has_own_network {
        eprintln!("xtask: no networks of their own here: bytes are those of the whole machine");
    }
    let mut figures = Figures::new(contestants.iter().map(|one| one.name).collect());
    for round in 1..=effort.rounds {
        for members in &effort.members {
            for (place, contestant) in contestants.iter().enumerate() {
                eprintln!("xtask: round {round}, {members} members, {}", contestant.name);
                let report = contestant.measure(*members, effort.flags, has_own_network)?;
                figures.add(place, *members, report);
            }
        }
    }
    println!("{}", figures.table());
    for (file, text) in
        [(&arguments.json, figures.as_json().to_string()), (&arguments.html, page::page(&figures))]
    {
        if let Some(file) = file {
            std::fs::write(file, text)
                .map_err(|error| Stop::cannot(format!("write {}", file.display()), error))?;
        }
    }
    if figures.has_failure(0) {
        return Err(Stop::Failed("some of our clusters did not form, or lost members".into()));
    }
    Ok(())
}

fn contestants(alone: bool) -> Result<Vec<Contestant>, Stop> {
    let program = workspace::build_bench("cluster", !alone)?;
    let mut all = vec![Contestant { name: "swim-quic", program, arguments: &[] }];
    if !alone {
        let program = programs::go_peer()?;
        for (name, arguments) in [
            ("Go memberlist, QUIC (our stand-in)", &["bench", "--transport", "quic"]),
            ("Go memberlist, UDP and TCP", &["bench", "--transport", "net"]),
        ] {
            all.push(Contestant { name, program: program.clone(), arguments });
        }
    }
    Ok(all)
}

fn can_have_own_network() -> bool {
    let mut unshare = Command::new("unshare");
    unshare.args(OWN_NETWORK).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
    unshare.status().is_ok_and(|status| status.success())
}

impl Contestant {
    fn measure(&self, members: u16, flags: [&str; 4], own_network: bool) -> Result<Report, Stop> {
        let mut command = if own_network {
            let mut command = Command::new("unshare");
            command.args(OWN_NETWORK).arg(&self.program);
            command
        } else {
            Command::new(&self.program)
        };
        command.args(self.arguments).args(["--members", &members.to_string()]).args(flags);
        let done = process::capture(&mut command, self.name)?;
        let report = done.lines.iter().find_map(|line| serde_json::from_str(line).ok());
        match report {
            Some(report) if done.status.success() => Ok(report),
            _ => Err(Stop::Failed(format!("{} with {members} members gave no report", self.name))),
        }
    }
}
