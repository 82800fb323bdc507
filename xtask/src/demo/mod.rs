//! `cargo xtask demo`: a real cluster from one command.
//!
//! Builds the node, makes throw-away certificates and plays the [`script`]. An ERROR line in a
//! log fails the demo as well.

mod screen;
mod script;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use screen::DemoScreen;
use script::{Sabotage, Step, name};
use serde_json::{Value, json};

use crate::Stop;
use crate::fleet::folder::Folder;
use crate::fleet::programs::{GoPeer, Programs};
use crate::fleet::reporter::Reporter;
use crate::fleet::stage::Stage;
use crate::fleet::{Fleet, logs};

#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 all of it happened, 1 something did not (the files then stay, and each node's log \
is named), 2 bad input or a missing prerequisite, 130 interrupted.

With --json, stdout is one object a line, each with \"at_ms\" (since the demo began) and \"ev\":
  started   node, pid
  killed    node
  command   node, command: written to its stdin
  change    node, about, state (alive, suspect, failed, left): what a node sees of another
  step      step (gather, crash, leave, restart, watch), observers, min_ms, median_ms, max_ms,
            bound_ms: when the observers saw it, since its cause
  summary   ok, nodes; if ok: steps (the times again), directory (null unless kept);
            else: reason, logs (node to path). Always the last line.")]
pub(crate) struct Arguments {
    /// How many nodes
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(3..=20))]
    nodes: u8,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// Keep certificates and logs
    #[arg(long)]
    keep: bool,
    /// Leave this step out: the demo must then fail
    #[arg(long, value_enum)]
    sabotage: Option<Sabotage>,
}

/// Runs the demo.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Stop> {
    let programs = Programs::build(GoPeer::No)?;
    let mut folder = Folder::create("demo")?;
    let fleet = Fleet::new(programs, folder.path());
    let nodes = usize::from(arguments.nodes);
    for node in 0..nodes {
        fleet.certify(&name(node), None)?;
    }
    let reporter = Reporter::new(arguments.json);
    let mut stage = Stage::new(fleet, DemoScreen::new(reporter.clone()));
    let played = script::play(&mut stage, &reporter, nodes, arguments.sabotage);
    let (at, paths) = (stage.elapsed(), stage.fleet.logs());
    drop(stage);
    if arguments.keep {
        folder.keep();
    }
    let bug = paths.iter().find_map(|(node, path)| {
        Some(format!("{node} logged an error: {}", logs::first_error(&logs::read(path))?))
    });
    let reason = match (played, bug) {
        (Ok(steps), None) => {
            let kept = arguments.keep.then(|| folder.path().to_owned());
            let figures: BTreeMap<&str, Value> =
                steps.iter().map(|step| (step.word(), step.figures())).collect();
            let brief: Vec<String> = steps.iter().map(Step::brief).collect();
            let mut lines = vec![format!("demo passed with {nodes} nodes: {}", brief.join(", "))];
            lines.extend(kept.iter().map(|kept| format!("its files are in {}", kept.display())));
            let summary =
                json!({ "ok": true, "nodes": nodes, "steps": figures, "directory": kept });
            reporter.close(at, summary, &lines);
            return Ok(());
        }
        (Err(Stop::Interrupted), _) => return Err(Stop::Interrupted),
        (Ok(_), Some(bug)) => bug,
        (Err(stop), None) => stop.told(),
        (Err(stop), Some(bug)) => format!("{}; {bug}", stop.told()),
    };
    folder.keep();
    let logs: BTreeMap<&String, String> =
        paths.iter().map(|(node, path)| (node, logs::describe(path))).collect();
    let mut lines = vec![format!("demo failed: {reason}")];
    lines.extend(logs.iter().map(|(node, log)| format!("    {node}: {log}")));
    let summary = json!({ "ok": false, "nodes": nodes, "reason": reason, "logs": logs });
    reporter.close(at, summary, &lines);
    Err(Stop::Said(1))
}
