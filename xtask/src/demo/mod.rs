//! `cargo xtask demo`: a real cluster from one command.
//!
//! Builds the node, makes throw-away certificates, and carries out the script of the
//! [judge]: it starts, kills and commands processes and reports what they write. Every
//! verdict is the judge's, except that an ERROR line in a log fails the demo as well.

mod bounds;
mod judge;
pub(crate) mod node_event;
mod nodes;
mod screen;
mod script;

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use judge::Judge;
use node_event::Event;
use nodes::{Input, Nodes};
use screen::Screen;
use script::{Action, Sabotage, Step, Verdict, name};

use crate::folder::Folder;
use crate::{Stop, certs, clock, prerequisites, workspace};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

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
    prerequisites::ensure()?;
    let program = workspace::build_example("swim-quic", "node")?;
    let tool = certs::build()?;
    let folder = Folder::create("demo")
        .map_err(|error| Stop::Failed(format!("cannot make a temporary folder: {error}")))?;
    let count = usize::from(arguments.nodes);
    for node in 0..count {
        certs::issue(&tool, folder.path(), &name(node), &[LOCALHOST])?;
    }
    let mut nodes = Nodes::new(program, folder.path(), count, clock::now());
    let mut screen = Screen::new(count, arguments.json);
    let played = play(Judge::new(count, arguments.sabotage), &mut nodes, &mut screen);
    let at = nodes.elapsed();
    let logs: Vec<_> = (0..count).map(|node| (name(node), nodes.log(node))).collect();
    drop(nodes);
    if arguments.keep {
        folder.keep();
    }
    let (steps, verdict) = played?;
    let bug = logs.iter().find_map(|(node, log)| {
        let text = String::from_utf8_lossy(&std::fs::read(log).ok()?).into_owned();
        Some(format!("{node} logged an error: {}", node_event::first_error(&text)?))
    });
    let reason = match (verdict, bug) {
        (Verdict::Passed, None) => {
            let kept = arguments.keep.then(|| folder.path());
            screen.passed(&steps, kept, at);
            return Ok(());
        }
        (Verdict::Failed(reason), None) | (Verdict::Passed, Some(reason)) => reason,
        (Verdict::Failed(reason), Some(bug)) => format!("{reason}; {bug}"),
    };
    folder.keep();
    let logs: Vec<_> = logs.iter().map(|(node, log)| (node.clone(), describe(log))).collect();
    screen.failed(&reason, &logs, at);
    Err(Stop::Said(1))
}

/// A log's path and its last line, which often tells why a node ended.
fn describe(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    match text.lines().last() {
        Some(last) => format!("{} (ends: {last})", log.display()),
        None => format!("{} (empty)", log.display()),
    }
}

/// Carries out the script until there is a verdict.
fn play(
    mut judge: Judge,
    nodes: &mut Nodes,
    screen: &mut Screen,
) -> Result<(Vec<Step>, Verdict), Stop> {
    let mut steps = Vec::new();
    loop {
        while let Some(step) = judge.poll_step() {
            screen.step(&step, &judge, nodes.elapsed());
            steps.push(step);
        }
        while let Some(action) = judge.poll_action() {
            perform(&action, nodes, screen)?;
            judge.performed(&action, nodes.elapsed());
        }
        screen.draw(&judge, nodes.elapsed());
        if let Some(verdict) = judge.verdict() {
            return Ok((steps, verdict.clone()));
        }
        let redraw = screen.pace().map(|pace| nodes.elapsed() + pace);
        let deadline = redraw.map_or(judge.deadline(), |redraw| redraw.min(judge.deadline()));
        match nodes.wait(deadline) {
            Some(Input::Line { node, line, at }) => match node_event::parse(&line) {
                Ok(event) => {
                    if let Event::View(about, state) = &event {
                        screen.changed(node, about, *state, at);
                    }
                    judge.observe(node, &event, at);
                }
                Err(reason) => judge.garbled(node, &line, &reason),
            },
            Some(Input::Exited { node, code, at }) => {
                nodes.exited(node);
                judge.exited(node, code, at);
            }
            Some(Input::Interrupted) => return Err(Stop::Interrupted),
            None => judge.tick(nodes.elapsed()),
        }
    }
}

fn perform(action: &Action, nodes: &mut Nodes, screen: &mut Screen) -> Result<(), Stop> {
    match action {
        Action::Start { node, bind, join } => {
            let pid = nodes
                .start(*node, *bind, join)
                .map_err(|error| Stop::Failed(format!("cannot start {}: {error}", name(*node))))?;
            screen.started(*node, pid, nodes.elapsed());
        }
        Action::Kill { node } => {
            nodes.kill(*node);
            screen.killed(*node, nodes.elapsed());
        }
        Action::Command { node, command } => {
            nodes.command(*node, command);
            screen.commanded(*node, command, nodes.elapsed());
        }
    }
    Ok(())
}
