//! `cargo xtask demo`: a real cluster from one command.
//!
//! Builds the node, makes throw-away certificates and plays the [`script`]. An ERROR line in a
//! log fails the demo as well.

mod screen;
mod script;
#[cfg(test)]
mod tests;

use screen::DemoScreen;
use script::{Sabotage, name};

use crate::Stop;
use crate::fleet::folder::Folder;
use crate::fleet::programs::{GoPeer, Programs};
use crate::fleet::stage::Stage;
use crate::fleet::{Fleet, Program, logs};

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
        fleet.certify(&name(node), Program::Node, fleet.home())?;
    }
    let mut stage = Stage::new(fleet, DemoScreen::new(arguments.json));
    let played = script::play(&mut stage, nodes, arguments.sabotage);
    let at = stage.elapsed();
    let Stage { fleet, observer: screen, .. } = stage;
    let paths: Vec<_> = fleet.ids().map(|id| (fleet.name(id).to_owned(), fleet.log(id))).collect();
    drop(fleet);
    if arguments.keep {
        folder.keep();
    }
    let bug = paths.iter().find_map(|(node, path)| {
        Some(format!("{node} logged an error: {}", logs::first_error(&logs::read(path))?))
    });
    let reason = match (played, bug) {
        (Ok(steps), None) => {
            screen.passed(&steps, nodes, arguments.keep.then(|| folder.path()), at);
            return Ok(());
        }
        (Ok(_), Some(bug)) => bug,
        (Err(Stop::Interrupted), _) => return Err(Stop::Interrupted),
        (Err(stop), None) => stop.told(),
        (Err(stop), Some(bug)) => format!("{}; {bug}", stop.told()),
    };
    folder.keep();
    let described: Vec<_> =
        paths.iter().map(|(node, path)| (node.clone(), logs::describe(path))).collect();
    screen.failed(&reason, &described, at);
    Err(Stop::Said(1))
}
