//! `cargo xtask soak`: real members under faults for as long as asked, and an [oracle](rules).
//!
//! Builds the members, draws a [plan] from the seed and [carries it out](runner): crashes,
//! freezes, leaves, new metadata, messages. All that was done and said is one [timeline]; what
//! must hold in it is stated by the rules and nowhere else. `--prove` [plants faults](prove) and
//! sees that each breaks its rule.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "each rule is about some kinds of entries, and no other rule's new kind concerns it"
)]

mod bounds;
mod model;
mod payload;
mod plan;
mod prove;
mod report;
mod roles;
mod rules;
mod runner;
mod timeline;

use std::time::Duration;

use roles::{Participants, Settings};
use runner::soak;

use crate::Stop;
use crate::fleet::programs::Programs;

#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 all of it held, 1 something did not (the files then stay, and the log of the member \
concerned is named), 2 bad input or a missing prerequisite, 130 interrupted.

The same seed with the same members and minutes draws the same plan. Two minutes are the least: a \
shorter soak has no room for a crash to be noticed and mended.

With --json, stdout is one object a line, each with \"at_ms\" and \"ev\":
  action    what, node: a fault begins or ends
  progress  minute, and how much was judged so far
  summary   ok, seed, violations, statistics, exceptions. Always the last line.")]
pub(crate) struct Arguments {
    /// How many members
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(4..=50))]
    nodes: u8,
    /// How long, in minutes
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(2..))]
    minutes: u16,
    /// What the whole plan is drawn from
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
    /// Plant known faults one by one, and see that a soak reports each under its rule
    #[arg(long, conflicts_with_all = ["nodes", "minutes", "go", "json"])]
    prove: bool,
    /// Plant this one alone; may be given more than once
    #[arg(long, value_name = "NAME", requires = "prove")]
    only: Vec<String>,
    /// Plant the one whose turn it is by the commit, of those that take two minutes and no Go
    #[arg(long, requires = "prove", conflicts_with = "only")]
    smoke: bool,
}

/// Runs the soak, or proves the oracle.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Stop> {
    let Arguments { nodes, minutes, seed, go, json, keep, .. } = *arguments;
    if arguments.prove {
        return prove::run(&arguments.only, arguments.smoke, seed, keep);
    }
    if usize::from(go) * 2 > usize::from(nodes) {
        return Err(Stop::BadInput(format!(
            "{go} Go peers are more than half of {nodes} members: ask for fewer, or for \
             more --nodes"
        )));
    }
    let participants = Participants { members: nodes.into(), go: go.into() };
    let programs = Programs::build(participants.go_peer())?;
    let length = Duration::from_secs(60 * u64::from(minutes));
    let verdict = soak(Settings { participants, length, seed, json, keep }, programs)?;
    if verdict.violations.is_empty() { Ok(()) } else { Err(Stop::Said(1)) }
}
