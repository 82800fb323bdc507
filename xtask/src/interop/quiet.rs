//! Three nodes and three Go peers that nothing happens to, for as long as asked.
//!
//! Fails at the first change of anybody's view, and if a Go peer logged a warning or an error:
//! where nothing happens, there is nothing to complain of.

use std::time::Duration;

use super::stories::first_suspicion;
use super::stories::gather::SPREAD;
use crate::Stop;
use crate::fleet::folder::Folder;
use crate::fleet::programs::Programs;
use crate::fleet::stage::{Stage, fail};
use crate::fleet::transcript::Transcript;
use crate::fleet::{Fleet, Program, logs};

/// How often it says that it still watches.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// Watches for so many minutes.
pub(super) fn run(programs: Programs, folder: &mut Folder, minutes: u16) -> Result<(), Stop> {
    let fleet = Fleet::new(programs, folder.path());
    let mut stage = Stage::new(fleet, Transcript::create(folder.path())?);
    let told = watch(&mut stage, minutes);
    if let Err(Stop::Failed(_) | Stop::Cannot { .. }) = &told {
        folder.keep();
        eprintln!("xtask: the logs are in {}", folder.path().display());
    }
    told
}

fn watch(stage: &mut Stage, minutes: u16) -> Result<(), Stop> {
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
        return fail(format!("the lists changed from {before:?} to {after:?}"));
    }
    let mut warnings = 0;
    for name in names.into_iter().filter(|name| Program::named(name) == Program::GoPeer) {
        for (kind, count) in logs::count_warnings_of_go(&stage.log(name)) {
            warnings += count;
            println!("{name}: {count} × {kind}");
        }
    }
    if warnings > 0 {
        return fail(format!("the Go peers logged {warnings} warnings or errors"));
    }
    println!("quiet for {minutes} minutes");
    Ok(())
}
