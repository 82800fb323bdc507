//! Members of both kinds find each other, see each other's metadata and its changes.
//!
//! All must list the same members, addresses, incarnations and metadata at all.

use std::time::Duration;

use super::GATHER;
use crate::Stop;
use crate::fleet::stage::{Stage, fail};

/// Updates are gossiped a limited number of times to random members, so in a cluster of six one
/// member in a hundred misses them; it learns them from its next push-pull. The first that a
/// Go peer begins comes 30 to 60 s after its start.
pub(in crate::interop) const SPREAD: Duration = Duration::from_secs(65);
/// As much metadata as a member may have.
const LARGEST_META: usize = 512;

pub(in crate::interop) fn rust_joins_go(stage: &mut Stage, sabotaged: bool) -> Result<(), Stop> {
    one_joins_two(stage, ["g1", "g2", "r1"], sabotaged)
}

pub(in crate::interop) fn go_joins_rust(stage: &mut Stage, sabotaged: bool) -> Result<(), Stop> {
    one_joins_two(stage, ["r1", "r2", "g1"], sabotaged)
}

fn one_joins_two(stage: &mut Stage, names: [&'static str; 3], sabotaged: bool) -> Result<(), Stop> {
    let [first, second, third] = names;
    let large = "m".repeat(LARGEST_META);
    let metas = ["größe=∞, first", "", large.as_str()];
    let address = stage.start(first, &["--meta", metas[0]])?;
    stage.start(second, &["--meta", metas[1], "--join", &address])?;
    stage.gathered(&[first, second], GATHER)?;
    if sabotaged {
        stage.start(third, &["--meta", metas[2]])?;
    } else {
        stage.start(third, &["--meta", metas[2], "--join", &address])?;
    }
    stage.gathered(&names, GATHER)?;
    let took = stage.elapsed();
    let rows = stage.agree(&names)?;
    for (name, meta) in names.iter().zip(metas) {
        if rows[*name].meta != meta {
            return fail(format!("all see the metadata \"{}\" of {name}", rows[*name].meta));
        }
        if rows[*name].addr != stage.address(name) {
            return fail(format!("all see {name} at {}", rows[*name].addr));
        }
    }
    stage.note(format!("gathered after {:.1} s", took.as_secs_f64()));
    update(stage, third, "changed by the newcomer", &names)?;
    update(stage, first, "geändert", &names)?;
    stage.agree(&names)?;
    Ok(())
}

pub(in crate::interop) fn three_and_three(stage: &mut Stage, sabotaged: bool) -> Result<(), Stop> {
    let names = ["g1", "r1", "g2", "r2", "g3", "r3"];
    let mut last = String::new();
    for name in names {
        // Each joins the one before, which is of the other kind.
        let mut flags = vec!["--meta", name];
        if !last.is_empty() {
            flags.extend(["--join", &last]);
        }
        last = stage.start(name, &flags)?;
    }
    stage.gathered(&names, SPREAD)?;
    let rows = stage.agree(&names)?;
    if let Some((name, row)) = rows.iter().find(|(name, row)| row.meta != **name) {
        return fail(format!("all see the metadata \"{}\" of {name}", row.meta));
    }
    for name in ["g3", "r3", "g1", "r1"] {
        if !(sabotaged && name == "g1") {
            stage.ask(name, &format!("meta second of {name}"))?;
        }
    }
    for name in ["g3", "r3", "g1", "r1"] {
        updated(stage, name, &format!("second of {name}"), &names)?;
    }
    stage.agree(&names)?;
    Ok(())
}

/// Changes a member's metadata and waits until all others have seen it.
fn update(stage: &mut Stage, name: &str, meta: &str, all: &[&str]) -> Result<(), Stop> {
    stage.ask(name, &format!("meta {meta}"))?;
    updated(stage, name, meta, all)
}

fn updated(stage: &mut Stage, name: &str, meta: &str, all: &[&str]) -> Result<(), Stop> {
    for observer in all.iter().filter(|observer| **observer != name) {
        let what = format!("{observer} sees the new metadata of {name}");
        stage.wait(&what, SPREAD, |stage| {
            stage.history(observer).beliefs.get(name).is_some_and(|belief| belief.meta == meta)
        })?;
    }
    Ok(())
}
