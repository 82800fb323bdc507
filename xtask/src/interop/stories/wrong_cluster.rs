//! Clusters that must not mix: another label, another key.
//!
//! Each kind tries to join the other and is refused, and the node says why, in an event and in
//! its log.

use std::time::Duration;

use crate::Stop;
use crate::fleet::stage::{Stage, fail};

const KEY: &str = "000102030405060708090a0b0c0d0e0f";
const OTHER_KEY: &str = "ff0102030405060708090a0b0c0d0e0f";

pub(in crate::interop) fn wrong_label(stage: &mut Stage, sabotaged: bool) -> Result<(), Stop> {
    let ours = if sabotaged { "blue" } else { "green" };
    refused(stage, ["--label", ours], ["--label", "blue"], "label")
}

pub(in crate::interop) fn wrong_key(stage: &mut Stage, sabotaged: bool) -> Result<(), Stop> {
    let ours = if sabotaged { KEY } else { OTHER_KEY };
    refused(stage, ["--key", ours], ["--key", KEY], "key")
}

fn refused(stage: &mut Stage, ours: [&str; 2], theirs: [&str; 2], why: &str) -> Result<(), Stop> {
    let peer = stage.start("g1", &theirs)?;
    let node = stage.start("r1", &[ours[0], ours[1], "--join", &peer])?;
    let ended = "r1's attempt to join ends";
    stage.wait(ended, Duration::from_secs(15), |stage| !stage.history("r1").seeds.is_empty())?;
    if stage.history("r1").seeds[0].is_none() {
        return fail(format!("r1 joined g1 with the wrong {why}"));
    }
    if stage.attempt("g1", &format!("join {node}"))?.ok {
        return fail(format!("g1 joined r1 with the wrong {why}"));
    }
    let names_it = |text: &str| text.to_lowercase().contains(why);
    let what = format!("r1 says that it refused the wrong {why}");
    stage.wait(&what, Duration::from_secs(5), |stage| {
        let warnings = &stage.history("r1").warnings;
        warnings.iter().any(|(what, detail)| names_it(what) || names_it(detail))
    })?;
    let log = stage.log("r1");
    let Some(line) = log.lines().find(|line| line.contains(" WARN ") && names_it(line)) else {
        return fail(format!("r1's log does not say that it refused the wrong {why}"));
    };
    let said = line.splitn(4, ' ').last().unwrap_or_default().to_owned();
    stage.note(format!("\"{said}\""));
    stage.watch(Duration::from_secs(1), |stage| {
        ["r1", "g1"].into_iter().find_map(|name| {
            let seen = stage.history(name).beliefs.keys().next()?;
            Some(format!("{name} took {seen} in with the wrong {why}"))
        })
    })
}
