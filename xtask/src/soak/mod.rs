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
mod rng;
mod rules;
mod runner;
mod timeline;

use std::time::Duration;

use plan::Plan;
use report::Report;
use rules::Verdict;
use runner::Runner;

use crate::Stop;
use crate::fleet::folder::Folder;
use crate::fleet::programs::{GoPeer, Programs};
use crate::fleet::{Fleet, Program};

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
}

/// Who takes part: so many nodes of ours, then so many Go peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Participants {
    /// All of them.
    members: usize,
    /// Those of them that are Go peers, the last ones.
    go: usize,
}

/// What one soak is.
#[derive(Debug, Clone, Copy)]
struct Settings {
    participants: Participants,
    length: Duration,
    seed: u64,
    json: bool,
    keep: bool,
}

/// Runs the soak, or proves the oracle.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Stop> {
    if arguments.prove {
        return prove::run(&arguments.only, arguments.seed, arguments.keep);
    }
    let participants =
        Participants { members: usize::from(arguments.nodes), go: usize::from(arguments.go) };
    if participants.go * 2 > participants.members {
        return Err(Stop::BadInput(format!(
            "{} Go peers are more than half of {} members: ask for fewer, or for more --nodes",
            participants.go, participants.members
        )));
    }
    let programs = Programs::build(participants.go_peer())?;
    let settings = Settings {
        participants,
        length: Duration::from_secs(60 * u64::from(arguments.minutes)),
        seed: arguments.seed,
        json: arguments.json,
        keep: arguments.keep,
    };
    let verdict = soak(settings, programs)?;
    if verdict.violations.is_empty() { Ok(()) } else { Err(Stop::Said(1)) }
}

/// Runs one soak and shows what came of it.
fn soak(settings: Settings, programs: Programs) -> Result<Verdict, Stop> {
    let Settings { participants, length, seed, json, keep } = settings;
    let mut folder = Folder::create("soak")?;
    let fleet = Fleet::new(programs.copied_to(folder.path())?, folder.path()).on_own_address();
    for member in participants.all() {
        fleet.certify(&participants.name(member), Program::Node, fleet.home())?;
    }
    let plan = Plan::draw(seed, participants, length);
    let report = Report::new(participants, seed, json);
    let verdict = Runner::new(settings, &plan, fleet, report).run(folder.path());
    if keep || verdict.as_ref().is_ok_and(|verdict| !verdict.violations.is_empty()) {
        folder.keep();
    }
    if keep {
        eprintln!("xtask: its files are in {}", folder.path().display());
    }
    verdict
}

impl Participants {
    fn all(self) -> std::ops::Range<usize> {
        0..self.members
    }

    fn is_go(self, member: usize) -> bool {
        member >= self.members - self.go
    }

    fn go_peer(self) -> GoPeer {
        if self.go > 0 { GoPeer::Pinned } else { GoPeer::No }
    }

    /// Ours are n1, n2, …; Go peers g1, g2, ….
    fn name(self, member: usize) -> String {
        let ours = self.members - self.go;
        if member < ours { format!("n{}", member + 1) } else { format!("g{}", member - ours + 1) }
    }

    fn find(self, name: &str) -> Option<usize> {
        self.all().find(|member| self.name(*member) == name)
    }

    /// The most members that may be absent at a time: never a majority.
    fn most_absent(self) -> usize {
        self.members.saturating_sub(1) / 2
    }

    /// Whether its process lives from the beginning to the end: some of ours must, to show leaks.
    fn stays(self, member: usize) -> bool {
        member < (self.members - self.go).div_ceil(4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_name_and_is_found_by_it() {
        let participants = Participants { members: 10, go: 3 };
        let names: Vec<String> =
            participants.all().map(|member| participants.name(member)).collect();
        assert_eq!(names, ["n1", "n2", "n3", "n4", "n5", "n6", "n7", "g1", "g2", "g3"]);
        for member in participants.all() {
            assert_eq!(participants.find(&participants.name(member)), Some(member));
        }
        assert_eq!(participants.find("n8"), None);
        assert_eq!(participants.most_absent(), 4);
        let stay: Vec<usize> = participants.all().filter(|m| participants.stays(*m)).collect();
        assert_eq!(stay, [0, 1]);
    }
}
