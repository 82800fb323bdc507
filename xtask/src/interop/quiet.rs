//! Three nodes and three Go peers that nothing happens to, for as long as asked.
//!
//! Fails at the first change of anybody's view, and if a Go peer logged a warning or an error:
//! where nothing happens, there is nothing to complain of.

use std::collections::BTreeMap;
use std::time::Duration;

use super::stage::Stage;
use super::stories::first_suspicion;
use super::stories::gather::SPREAD;
use super::tools::Tools;
use super::{logs, stage};
use crate::Stop;
use crate::folder::Folder;

/// How often it says that it still watches.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// Watches for so many minutes.
pub(super) fn run(tools: &Tools, folder: &Folder, minutes: u16) -> Result<(), Stop> {
    let mut stage = Stage::new(tools, folder.path().to_path_buf())?;
    let told = watch(&mut stage, minutes);
    if let Err(Stop::Failed(_) | Stop::Cannot { .. }) = &told {
        folder.keep();
        eprintln!("xtask: the logs are in {}", folder.path().display());
    }
    told
}

fn watch(stage: &mut Stage<'_>, minutes: u16) -> Result<(), Stop> {
    let names = ["g1", "r1", "g2", "r2", "g3", "r3"];
    let mut last = String::new();
    for name in names {
        let join = ["--join", &last];
        last = stage.start(name, if last.is_empty() { &[] } else { &join })?;
    }
    stage.gathered(&names, SPREAD)?;
    let before = stage.agree(&names)?;
    println!("three nodes and three Go peers see each other; watching for {minutes} minutes");
    for minute in 1..=minutes {
        stage.watch(HEARTBEAT, first_suspicion)?;
        println!("minute {minute}: no change");
    }
    let after = stage.agree(&names)?;
    if after != before {
        return stage::fail(format!("the lists changed from {before:?} to {after:?}"));
    }
    let mut complaints = 0;
    for name in names.into_iter().filter(|name| stage::is_go(name)) {
        let text = std::fs::read_to_string(stage.log(name)).unwrap_or_default();
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for line in logs::complaints(&text) {
            complaints += 1;
            // Date and time differ from line to line.
            *kinds.entry(line.splitn(3, ' ').last().unwrap_or(line)).or_default() += 1;
        }
        for (kind, count) in kinds {
            println!("{name}: {count} × {kind}");
        }
    }
    if complaints > 0 {
        return stage::fail(format!("the Go peers logged {complaints} warnings or errors"));
    }
    println!("quiet for {minutes} minutes");
    Ok(())
}
