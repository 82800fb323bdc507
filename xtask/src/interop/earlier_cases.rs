//! Stories about nodes and those of an earlier commit, as in an upgrade one by one.
//!
//! Members `e…` are the earlier ones.

use super::lifecycle_cases::NOTICE;
use super::steps::{GATHER, Told, noise, received, somebody_told, update, updated};
use crate::Stop;
use crate::fleet::event::SeenState::Failed;
use crate::fleet::event::SeenState::Left;
use crate::fleet::stage::{Stage, fail};

const ALL: [&str; 4] = ["r1", "e1", "r2", "e2"];

/// Joined crosswise, so that both kinds have dialed both.
fn gather(stage: &mut Stage) -> Result<(), Stop> {
    let mut last = stage.start("r1", &["--meta", "r1"])?;
    for name in ["e1", "r2", "e2"] {
        last = stage.start(name, &["--meta", name, "--join", &last])?;
    }
    stage.gathered(&ALL, GATHER)?;
    stage.agree(&ALL).map(drop)
}

pub(super) fn messages(stage: &mut Stage, sabotaged: bool) -> Told {
    gather(stage)?;
    update(stage, "e1", "second of e1", &ALL)?;
    update(stage, "r1", "second of r1", &ALL)?;
    let mut sent = Vec::new();
    // The first letter alone tells the messages of a few bytes apart.
    let mut letters = 'a'..;
    for (from, to) in [("r1", "e1"), ("e1", "r1"), ("e2", "r2"), ("r2", "e2"), ("r1", "r2")] {
        for (command, size) in
            [("send", 1), ("send", 1_000), ("sendr", 3), ("sendr", 1_000), ("sendr", 100_000)]
        {
            let letter = letters.next().unwrap_or('?');
            let text = noise(&format!("{letter}{from}{to} "), size);
            if !(sabotaged && (from, to, size) == ("r1", "e1", 100_000)) {
                stage.ask(from, &format!("{command} {to} {text}"))?;
            }
            sent.push((from, to, command == "sendr", text));
        }
    }
    for from in ["r1", "e1"] {
        let text = noise(&format!("b{from} "), 200);
        stage.ask(from, &format!("bcast {text}"))?;
        for to in ALL.iter().filter(|to| **to != from) {
            received(stage, from, to, None, &text)?;
        }
    }
    for (from, to, reliable, text) in &sent {
        received(stage, from, to, Some(*reliable), text)?;
    }
    somebody_told(stage, &[Failed, Left]).map_or(Ok(()), fail)
}

pub(super) fn comings_and_goings(stage: &mut Stage, sabotaged: bool) -> Told {
    gather(stage)?;
    if !sabotaged {
        stage.kill("r2")?;
    }
    stage.all_see(&["r1", "e1", "e2"], "r2", Failed, NOTICE)?;
    // An earlier node comes back where it was, and a node in the place of one that was killed.
    for name in ["r2", "e1"] {
        let (own, seed) = (stage.address(name), stage.address("r1"));
        if name == "e1" {
            stage.kill(name)?;
        }
        stage.start(name, &["--meta", "again", "--bind", &own, "--join", &seed])?;
        updated(stage, name, "again", &ALL)?;
    }
    stage.gathered(&ALL, GATHER)?;
    stage.tell("e2", "leave");
    stage.all_see(&["r1", "e1", "r2"], "e2", Left, GATHER)?;
    stage.tell("e2", "quit");
    stage.ended("e2")?;
    stage.agree(&["r1", "e1", "r2"]).map(drop)
}
