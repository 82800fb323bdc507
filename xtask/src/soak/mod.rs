//! `cargo xtask soak`: real processes under hours of trouble.
//!
//! Builds the node, draws a [schedule](plan) from the seed and carries it out: crashes, freezes,
//! leaves, new metadata, messages. Asks everybody all the time what it believes and holds. Every
//! verdict is the [judge]'s, except that an ERROR line or a panic in a log of ours fails
//! the soak as well.

mod flat;
mod fleet;
mod judge;
mod message_ledger;
mod model;
mod participants;
mod plan;
mod play;
mod replies;
mod rng;
mod screen;
mod soak_event;
mod time_bounds;
mod timings;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fleet::{Fleet, Programs};
use judge::Broken;
use participants::Participants;
use plan::{Fault, Plan};
use play::Play;
use screen::Screen;

use crate::fleet::folder::Folder;
use crate::fleet::logs::first_error;
use crate::fleet::programs;
use crate::{Stop, certs, prerequisites, workspace};

#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 all of it held, 1 something did not (the files then stay, and the log of the member \
concerned is named), 2 bad input or a missing prerequisite, 130 interrupted.

The same seed with the same members and minutes draws the same schedule. Two minutes are the \
least: shorter soaks have no room for a crash to be noticed, forgiven and forgotten.

With --json, stdout is one object a line, each with \"at_ms\" and \"ev\":
  deed      what, node: a fault begins or ends
  progress  minute, members, and what was counted so far
  broken    what, node, log: something that must not be
  summary   ok, seed, and all figures. Always the last line.")]
pub(crate) struct Arguments {
    /// How many members
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(4..=50))]
    nodes: u8,
    /// How long, in minutes
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(2..))]
    minutes: u16,
    /// What the whole schedule is drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many of the members are Go peers; at most half
    #[arg(long, default_value_t = 0)]
    go: u8,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// Keep certificates and logs
    #[arg(long)]
    keep: bool,
}

/// Runs the soak.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Stop> {
    let participants =
        Participants { members: usize::from(arguments.nodes), go: usize::from(arguments.go) };
    if participants.go * 2 > participants.members {
        return Err(Stop::BadInput(format!(
            "{} Go peers are more than half of {} members: ask for fewer, or for more --nodes",
            participants.go, participants.members
        )));
    }
    prerequisites::ensure()?;
    let node = workspace::build_example("swim-quic", "node")?;
    let go_peer = (participants.go > 0).then(programs::go_peer).transpose()?;
    let tool = certs::build()?;
    let mut folder = Folder::create("soak")?;
    let programs = Programs {
        node: snapshot(&node, folder.path())?,
        go_peer: go_peer.map(|go_peer| snapshot(&go_peer, folder.path())).transpose()?,
    };
    let home = home();
    for node in participants.everybody() {
        certs::issue(&tool, folder.path(), &participants.name(node), &[home])?;
    }
    let lasting = Duration::from_secs(60 * u64::from(arguments.minutes));
    let plan = Plan::draw(arguments.seed, participants, lasting);
    let screen = Screen::new(arguments.json, arguments.seed, folder.path())
        .map_err(|error| Stop::Failed(format!("cannot write a timeline: {error}")))?;
    let fleet = Fleet::new(participants, programs, folder.path(), home);
    let mut play = Play::new(participants, fleet, screen, plan, lasting);
    let played = play.run();
    let (judge, screen, plan, mut broken, at) = play.close();
    if arguments.keep {
        folder.keep();
    }
    played?;
    broken.extend(bugs(participants, folder.path(), at));
    if broken.is_empty() {
        screen.passed(&judge, &plan, arguments.keep.then(|| folder.path()), at);
        return Ok(());
    }
    folder.keep();
    screen.failed(&judge, &plan, &broken, folder.path(), at);
    Err(Stop::Said(1))
}

/// A copy of the program, so that a build in the meantime changes nothing for who restarts.
fn snapshot(program: &Path, folder: &Path) -> Result<PathBuf, Stop> {
    let copy = folder.join(program.file_name().unwrap_or_default());
    std::fs::copy(program, &copy)
        .map_err(|error| Stop::Failed(format!("cannot copy {}: {error}", program.display())))?;
    Ok(copy)
}

/// A loopback address of its own, so that no other program takes a port while its owner is down.
fn home() -> IpAddr {
    let [.., high, low] = std::process::id().to_be_bytes();
    if cfg!(target_os = "linux") {
        IpAddr::V4(Ipv4Addr::new(127, 100, high, low.clamp(1, 254)))
    } else {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    }
}

/// What the logs of our nodes report as a bug, and panics of Go peers, one for each log.
fn bugs(participants: Participants, folder: &Path, at: Duration) -> Vec<Broken> {
    let bug = |node: usize| {
        let log = std::fs::read(folder.join(format!("{}.log", participants.name(node)))).ok()?;
        let log = String::from_utf8_lossy(&log);
        let line = if participants.is_go(node) {
            // The adapter between memberlist and quic-go logs errors in the ordinary course.
            log.lines().find(|line| line.starts_with("panic:") || line.starts_with("fatal error:"))
        } else {
            first_error(&log)
        };
        Some(Broken { at, node: Some(node), what: format!("logged a bug: {}", line?) })
    };
    participants.everybody().filter_map(bug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bugs_in_logs_are_found_and_what_go_peers_say_in_passing_is_none() {
        let folder = Folder::create("soak-test").unwrap();
        let participants = Participants { members: 4, go: 2 };
        for (name, log) in [
            ("n1", "2026-01-01T00:00:00Z WARN x ERROR is only a word\n"),
            ("n2", "2026-01-01T00:00:00Z INFO x y\n2026-01-01T00:00:00Z ERROR x y\n"),
            ("g1", "2026/01/01 00:00:00 [ERR] memberlist: Push/Pull failed\n"),
            ("g2", "panic: runtime error: index out of range\n"),
        ] {
            std::fs::write(folder.path().join(format!("{name}.log")), log).unwrap();
        }
        let found = bugs(participants, folder.path(), Duration::ZERO);
        let nodes: Vec<Option<usize>> = found.iter().map(|bug| bug.node).collect();
        assert_eq!(nodes, [Some(1), Some(3)]);
    }
}
