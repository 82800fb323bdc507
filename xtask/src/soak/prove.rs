//! `cargo xtask soak --prove`: each planted fault must be reported under the rule that it breaks.
//!
//! The faults are patches in `crates/swim-quic/planted`. Lines above a patch say which rule must
//! report it (`rule: safety`), which words the report must have (`words: ...`), and how long a
//! soak it needs (`minutes: 3`), of how many members (`nodes: 12`), and with how many Go peers
//! (`go: 3`), where that is not two minutes of eight and none.

use std::collections::BTreeMap;
use std::path::Path;

use super::roles::{Participants, Settings};
use super::rules::{Rule, Verdict};
use super::runner::soak;
use crate::fleet::programs::{GoPeer, Programs};
use crate::{Stop, planted, workspace};

/// Where the faults are kept, below the repository's root.
const FAULTS: &str = "crates/swim-quic/planted";

/// How long a soak takes at least, in minutes.
const SHORTEST: u64 = 2;

/// How one planted fault is shown.
struct Planted {
    rule: Rule,
    /// Words of which one must stand in a report under that rule.
    words: Vec<String>,
    minutes: u64,
    participants: Participants,
}

/// Plants them, one after the other: all, those named, or the one whose turn it is.
pub(super) fn run(only: &[String], smoke: bool, seed: u64, keep: bool) -> Result<(), Stop> {
    let root = workspace::root();
    let mut faults = BTreeMap::new();
    for patch in planted::patches(&root.join(FAULTS))? {
        let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let fault = Planted::read(&name, &patch)?;
        faults.insert(name, (patch, fault));
    }
    if let Some(unknown) = only.iter().find(|name| !faults.contains_key(*name)) {
        let names = faults.into_keys().collect::<Vec<_>>().join(", ");
        return Err(Stop::BadInput(format!("--only {unknown}: the planted faults are {names}")));
    }
    faults.retain(|name, _| only.is_empty() || only.contains(name));
    if smoke {
        faults.retain(|_, (_, fault)| fault.minutes == SHORTEST && fault.participants.go == 0);
        let turn = workspace::turn(&workspace::commit(), faults.len());
        faults = faults.into_iter().skip(turn).take(1).collect();
    }
    let with_go = faults.values().any(|(_, fault)| fault.participants.go > 0);
    let programs = Programs::build(if with_go { GoPeer::Pinned } else { GoPeer::No })?;
    let mut missed = Vec::new();
    for (name, (patch, Planted { rule, words, minutes, participants })) in &faults {
        println!("\nplanting {name}");
        let copy = planted::plant(&root, patch, "soak")?;
        let node = workspace::build_planted_example(&copy, "node")?;
        let length = std::time::Duration::from_secs(60 * minutes);
        let settings = Settings { participants: *participants, length, seed, json: false, keep };
        let verdict = soak(settings, programs.clone().with_node(node))?;
        let reported = is_reported(&verdict, *rule, words);
        println!("{name:<34}{}", if reported { "reported" } else { "MISSED" });
        missed.extend((!reported).then_some(name.as_str()));
    }
    println!("\n{} of {} planted faults reported", faults.len() - missed.len(), faults.len());
    if missed.is_empty() {
        return Ok(());
    }
    println!("missed: {}", missed.join(", "));
    Err(Stop::Said(1))
}

impl Planted {
    fn read(name: &str, patch: &Path) -> Result<Self, Stop> {
        let text = std::fs::read_to_string(patch)
            .map_err(|error| Stop::cannot(format!("read {}", patch.display()), error))?;
        Self::parse(&text)
            .ok_or_else(|| Stop::Failed(format!("{name}: its first lines name no rule")))
    }

    fn parse(text: &str) -> Option<Self> {
        let header: BTreeMap<&str, &str> = text
            .lines()
            .take_while(|line| !line.starts_with("--- "))
            .filter_map(|line| line.split_once(": "))
            .collect();
        let number = |key, otherwise: u8| match header.get(key) {
            Some(value) => value.parse().ok(),
            None => Some(otherwise),
        };
        let (members, go) = (usize::from(number("nodes", 8)?), usize::from(number("go", 0)?));
        Some(Self {
            rule: serde_json::from_value((*header.get("rule")?).into()).ok()?,
            words: header.get("words")?.split(" | ").map(str::to_owned).collect(),
            minutes: number("minutes", 2)?.into(),
            participants: Participants { members, go },
        })
    }
}

/// Whether it was reported under its rule, with one of its words.
fn is_reported(verdict: &Verdict, rule: Rule, words: &[String]) -> bool {
    let mut reports = verdict.violations.iter().filter(|one| one.rule == rule);
    reports.any(|one| words.iter().any(|words| one.what.contains(words)))
}

#[cfg(test)]
mod tests {
    use super::super::rules::Violation;
    use super::*;

    #[test]
    fn a_fault_counts_as_reported_under_its_own_rule_and_words_alone() {
        let text =
            "It is cut.\nrule: service\nwords: damaged | harmed\ngo: 3\n--- a/x\nrule: logs\n";
        let Planted { rule, words, participants, minutes } = Planted::parse(text).unwrap();
        assert_eq!((rule, minutes), (Rule::Service, 2));
        assert_eq!(participants, Participants { members: 8, go: 3 });
        let is_reported = |under, what: &str| {
            let (at, what) = (std::time::Duration::ZERO, what.to_owned());
            let violations = vec![Violation { rule: under, at, member: None, what }];
            is_reported(&Verdict { violations, ..Verdict::default() }, rule, &words)
        };
        assert!(is_reported(Rule::Service, "got a damaged message"));
        assert!(!is_reported(Rule::Service, "refused a ping"));
        assert!(!is_reported(Rule::Logs, "got a damaged message"));
        assert!(Planted::parse("--- a/x\nrule: service\n").is_none());
    }
}
