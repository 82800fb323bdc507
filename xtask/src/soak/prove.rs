//! `cargo xtask soak --prove`: each planted fault must be reported under the rule that it breaks.
//!
//! The faults are patches in `crates/swim-quic/planted`. Lines above a patch say which rule must
//! report it (`rule: safety`), which words the report must have (`words: ...`), and how long a
//! soak it needs (`minutes: 3`), of how many members (`nodes: 12`), and with how many Go peers
//! (`go: 3`), where that is not two minutes of eight and none.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::rules::{Rule, Verdict};
use super::settings::{Participants, Settings};
use super::start::soak;
use crate::fleet::programs::{GoPeer, Programs};
use crate::{Stop, planted, workspace};

/// Where the faults are kept, below the repository's root.
const FAULTS: &str = "crates/swim-quic/planted";

/// One planted fault.
struct Planted {
    name: String,
    patch: PathBuf,
    rule: Rule,
    /// Words of which one must stand in a report under that rule.
    words: Vec<String>,
    minutes: u64,
    members: usize,
    go: usize,
}

/// Plants them, one after the other.
pub(super) fn run(only: &[String], seed: u64, keep: bool) -> Result<(), Stop> {
    let root = workspace::root();
    let mut faults: Vec<Planted> = planted::patches(&root.join(FAULTS))?
        .into_iter()
        .map(Planted::read)
        .collect::<Result<_, _>>()?;
    if let Some(unknown) = only.iter().find(|name| !faults.iter().any(|one| one.name == **name)) {
        let names: Vec<&str> = faults.iter().map(|fault| fault.name.as_str()).collect();
        let names = names.join(", ");
        return Err(Stop::BadInput(format!("--only {unknown}: the planted faults are {names}")));
    }
    faults.retain(|fault| only.is_empty() || only.contains(&fault.name));
    let with_go = faults.iter().any(|fault| fault.go > 0);
    let programs = Programs::build(if with_go { GoPeer::Pinned } else { GoPeer::No })?;
    let mut missed = Vec::new();
    for fault in &faults {
        println!("\nplanting {}", fault.name);
        let copy = planted::plant(&root, &fault.patch)?;
        let node = workspace::build_planted_example(&copy, "swim-quic", "node")?;
        let verdict = soak(fault.settings(seed, keep), programs.clone().with_node(node))?;
        let how = fault.outcome(&verdict);
        println!("{:<34}{}", fault.name, how.unwrap_or("MISSED"));
        if how.is_none() {
            missed.push(fault.name.as_str());
        }
    }
    println!("\n{} of {} planted faults reported", faults.len() - missed.len(), faults.len());
    if missed.is_empty() {
        return Ok(());
    }
    println!("missed: {}", missed.join(", "));
    Err(Stop::Said(1))
}

impl Planted {
    fn read(patch: PathBuf) -> Result<Self, Stop> {
        let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&patch)
            .map_err(|error| Stop::cannot(format!("read {}", patch.display()), error))?;
        Self::parse(&name, &patch, &text)
            .ok_or_else(|| Stop::Failed(format!("{name}: its first lines name no rule")))
    }

    fn parse(name: &str, patch: &Path, text: &str) -> Option<Self> {
        let header: Vec<(&str, &str)> = text
            .lines()
            .take_while(|line| !line.starts_with("--- "))
            .filter_map(|line| line.split_once(": "))
            .collect();
        let value = |key: &str| header.iter().find(|(k, _)| *k == key).map(|(_, value)| *value);
        let rules = [Rule::Safety, Rule::Agreement, Rule::Service, Rule::Resources, Rule::Logs];
        Some(Self {
            name: name.to_owned(),
            patch: patch.to_owned(),
            rule: rules.into_iter().find(|rule| value("rule") == Some(&rule.to_string()))?,
            words: value("words")?.split(" | ").map(str::to_owned).collect(),
            minutes: value("minutes").map_or(Some(2), |minutes| minutes.parse().ok())?,
            members: value("nodes").map_or(Some(8), |members| members.parse().ok())?,
            go: value("go").map_or(Some(0), |go| go.parse().ok())?,
        })
    }

    fn settings(&self, seed: u64, keep: bool) -> Settings {
        Settings {
            participants: Participants { members: self.members, go: self.go },
            length: Duration::from_secs(60 * self.minutes),
            seed,
            json: false,
            keep,
        }
    }

    /// How it was reported: under its rule, with one of its words.
    fn outcome(&self, verdict: &Verdict) -> Option<&'static str> {
        let mut reports = verdict.violations.iter().filter(|one| one.rule == self.rule);
        reports
            .any(|one| self.words.iter().any(|words| one.what.contains(words)))
            .then_some("reported")
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::Violation;
    use super::*;

    #[test]
    fn a_fault_counts_as_reported_under_its_own_rule_and_words_alone() {
        let text =
            "It is cut.\nrule: service\nwords: damaged | harmed\ngo: 3\n--- a/x\nrule: logs\n";
        let planted = Planted::parse("cut", Path::new("cut.patch"), text).unwrap();
        assert_eq!((planted.rule, planted.go, planted.members), (Rule::Service, 3, 8));
        let verdict = |rule, what: &str| {
            let violation = Violation { rule, at: Duration::ZERO, member: None, what: what.into() };
            Verdict { violations: vec![violation], ..Verdict::default() }
        };
        assert!(planted.outcome(&verdict(Rule::Service, "got a damaged message")).is_some());
        assert!(planted.outcome(&verdict(Rule::Service, "refused a ping")).is_none());
        assert!(planted.outcome(&verdict(Rule::Logs, "got a damaged message")).is_none());
        assert!(Planted::parse("x", Path::new("x"), "--- a/x\nrule: service\n").is_none());
    }
}
