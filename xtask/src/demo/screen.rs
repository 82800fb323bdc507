//! How the demo is shown: a live table, plain lines, or JSON.
//!
//! The table is redrawn in place on a terminal that is large
//! enough; everywhere else each change of state is one line.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::judge::Judge;
use super::node_event::State;
use super::script::{Phase, Step, name};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Table { colours: bool },
    Lines,
    Json,
}

pub(super) struct Screen {
    style: Style,
    nodes: usize,
    /// Process ids, as started last.
    processes: Vec<Option<u32>>,
    /// Lines of the table that is on the terminal.
    drawn: usize,
}

/// Columns of the table before the first member's column.
const MARGIN: usize = 20;
/// Columns for each member.
const COLUMN: usize = 5;

impl Screen {
    pub(super) fn new(nodes: usize, json: bool) -> Self {
        let style = if json {
            Style::Json
        } else if fits(nodes) {
            Style::Table { colours: std::env::var_os("NO_COLOR").is_none() }
        } else {
            Style::Lines
        };
        Self { style, nodes, processes: vec![None; nodes], drawn: 0 }
    }

    /// How often to redraw without an event, so that the clock on the screen moves.
    pub(super) fn pace(&self) -> Option<Duration> {
        matches!(self.style, Style::Table { .. }).then_some(Duration::from_millis(200))
    }

    pub(super) fn started(&mut self, node: usize, pid: u32, at: Duration) {
        self.processes[node] = Some(pid);
        match self.style {
            Style::Table { .. } => {}
            Style::Lines => println!("{}  {} started, process {pid}", clock(at), name(node)),
            Style::Json => {
                emit(at, &json!({ "ev": "started", "node": name(node), "pid": pid }));
            }
        }
    }

    pub(super) fn killed(&self, node: usize, at: Duration) {
        match self.style {
            Style::Table { .. } => {}
            Style::Lines => println!("{}  {} killed with SIGKILL", clock(at), name(node)),
            Style::Json => emit(at, &json!({ "ev": "killed", "node": name(node) })),
        }
    }

    pub(super) fn commanded(&self, node: usize, command: &str, at: Duration) {
        match self.style {
            Style::Table { .. } => {}
            Style::Lines => println!("{}  {} told: {command}", clock(at), name(node)),
            Style::Json => {
                emit(at, &json!({ "ev": "command", "node": name(node), "command": command }));
            }
        }
    }

    /// A node's belief changed, or became known.
    pub(super) fn changed(&self, node: usize, about: &str, state: State, at: Duration) {
        match self.style {
            Style::Table { .. } => {}
            Style::Lines => println!("{}  {} sees {about} {state}", clock(at), name(node)),
            Style::Json => emit(
                at,
                &json!({
                    "ev": "change", "node": name(node), "about": about, "state": state.word(),
                }),
            ),
        }
    }

    /// A step succeeded.
    pub(super) fn step(&mut self, step: &Step, judge: &Judge, at: Duration) {
        let spread = step.spread();
        if self.style == Style::Json {
            let [min, median, max] = spread.map(milliseconds);
            emit(
                at,
                &json!({
                    "ev": "step", "step": label(step.phase), "observers": step.times.len(),
                    "min_ms": min, "median_ms": median, "max_ms": max,
                    "bound_ms": milliseconds(step.bound),
                }),
            );
            return;
        }
        self.erase();
        println!("{}  {}", clock(at), sentence(step, self.nodes));
        self.draw(judge, at);
    }

    /// Brings the table up to date.
    pub(super) fn draw(&mut self, judge: &Judge, at: Duration) {
        let Style::Table { colours } = self.style else {
            return;
        };
        let table = self.table(judge, at, colours);
        self.erase();
        self.drawn = table.lines().count();
        print!("{table}");
        let _ = io::stdout().flush();
    }

    /// The one line at the end of a demo that went well.
    pub(super) fn passed(&mut self, steps: &[Step], kept: Option<&Path>, at: Duration) {
        if self.style == Style::Json {
            let figures: serde_json::Map<String, serde_json::Value> = steps
                .iter()
                .map(|step| {
                    let [min, median, max] = step.spread().map(milliseconds);
                    let figures = json!({ "min_ms": min, "median_ms": median, "max_ms": max });
                    (label(step.phase).to_owned(), figures)
                })
                .collect();
            emit(
                at,
                &json!({ "ev": "summary", "ok": true, "nodes": self.nodes, "steps": figures,
                         "directory": kept }),
            );
            return;
        }
        self.erase();
        let figures: Vec<String> = steps.iter().map(brief).collect();
        println!("demo passed with {} nodes: {}", self.nodes, figures.join(", "));
        if let Some(kept) = kept {
            println!("its files are in {}", kept.display());
        }
    }

    /// What did not happen, and where to look.
    pub(super) fn failed(&self, reason: &str, logs: &[(String, String)], at: Duration) {
        if self.style == Style::Json {
            let logs: serde_json::Map<String, serde_json::Value> =
                logs.iter().map(|(node, log)| (node.clone(), json!(log))).collect();
            emit(
                at,
                &json!({ "ev": "summary", "ok": false, "nodes": self.nodes, "reason": reason,
                         "logs": logs }),
            );
            return;
        }
        println!("demo failed: {reason}");
        for (node, log) in logs {
            println!("    {node}: {log}");
        }
    }

    fn erase(&mut self) {
        if self.drawn > 0 {
            print!("\x1b[{}A\x1b[J", self.drawn);
            self.drawn = 0;
        }
    }

    fn table(&self, judge: &Judge, at: Duration, colours: bool) -> String {
        let mut text = String::new();
        let _ = write!(text, "{:<MARGIN$}", "     process   sees");
        for subject in 0..self.nodes {
            let _ = write!(text, "{:<COLUMN$}", name(subject));
        }
        text.push('\n');
        for observer in 0..self.nodes {
            let process = match (judge.is_up(observer), self.processes[observer]) {
                (true, Some(pid)) => pid.to_string(),
                (false, Some(_)) => "ended".to_owned(),
                (_, None) => "-".to_owned(),
            };
            let _ = write!(text, "{:<5}{process:<15}", name(observer));
            for subject in 0..self.nodes {
                let seen = judge.view(observer, subject).filter(|_| judge.is_up(observer));
                text.push_str(&cell(seen, colours));
            }
            text.push('\n');
        }
        let _ = writeln!(text, "{}  {} …", clock(at), judge.doing());
        text
    }
}

/// Whether stdout is a terminal with room for the table.
fn fits(nodes: usize) -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|terminal| terminal == "dumb");
    if dumb || !io::stdout().is_terminal() {
        return false;
    }
    rustix::termios::tcgetwinsize(io::stdout()).is_ok_and(|size| {
        usize::from(size.ws_col) >= MARGIN + COLUMN * nodes && usize::from(size.ws_row) >= nodes + 4
    })
}

fn cell(seen: Option<State>, colours: bool) -> String {
    let (mark, colour) = match seen {
        None => ("·", 90),
        Some(State::Alive) => ("●", 32),
        Some(State::Suspect) => ("?", 33),
        Some(State::Failed) => ("✗", 31),
        Some(State::Left) => ("←", 34),
    };
    let padding = " ".repeat(COLUMN - 1);
    if colours {
        format!("\x1b[{colour}m{mark}\x1b[0m{padding}")
    } else {
        format!("{mark}{padding}")
    }
}

fn clock(at: Duration) -> String {
    format!("{:8.3} s", at.as_secs_f64())
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn emit(at: Duration, event: &serde_json::Value) {
    let mut line = event.clone();
    line["at_ms"] = json!(milliseconds(at));
    println!("{line}");
}

fn label(phase: Phase) -> &'static str {
    match phase {
        Phase::Open => "open",
        Phase::Gather => "gather",
        Phase::Crash => "crash",
        Phase::Leave => "leave",
        Phase::Quit => "quit",
        Phase::Restart => "restart",
        Phase::Watch => "watch",
        Phase::Confirm => "confirm",
        Phase::Close => "close",
    }
}

fn sentence(step: &Step, nodes: usize) -> String {
    let what = match step.phase {
        Phase::Gather => format!("all {nodes} see each other, since the last start"),
        Phase::Crash => format!("{} saw the crash", step.times.len()),
        Phase::Leave => format!("{} saw the leave", step.times.len()),
        Phase::Restart => format!("{} see all alive after the restart", step.times.len()),
        Phase::Watch => "it stayed alive".to_owned(),
        Phase::Open | Phase::Quit | Phase::Confirm | Phase::Close => label(step.phase).to_owned(),
    };
    let [min, median, max] = step.spread().map(|time| time.as_secs_f64());
    let bound = step.bound.as_secs_f64();
    format!("{what}: min {min:.3} s, median {median:.3} s, max {max:.3} s (bound {bound:.1} s)")
}

fn brief(step: &Step) -> String {
    let [min, median, max] = step.spread().map(|time| time.as_secs_f64());
    match step.phase {
        Phase::Gather => format!("all see all after {max:.3} s"),
        Phase::Crash => {
            format!("crash seen after {min:.2}/{median:.2}/{max:.2} s (min/median/max)")
        }
        Phase::Leave => format!("leave after {max:.3} s"),
        Phase::Restart => format!("restart after {max:.3} s"),
        Phase::Watch => format!("still alive {max:.0} s later"),
        Phase::Open | Phase::Quit | Phase::Confirm | Phase::Close => {
            format!("{} after {max:.3} s", label(step.phase))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(phase: Phase, milliseconds: &[u64]) -> Step {
        let times = milliseconds.iter().map(|time| Duration::from_millis(*time)).collect();
        Step { phase, times, bound: Duration::from_secs(25) }
    }

    #[test]
    fn a_step_is_told_with_minimum_median_and_maximum() {
        let crash = step(Phase::Crash, &[4000, 5000, 6000, 9000]);
        assert_eq!(
            sentence(&crash, 5),
            "4 saw the crash: min 4.000 s, median 5.500 s, max 9.000 s (bound 25.0 s)"
        );
        assert!(brief(&crash).contains("4.00/5.50/9.00 s"));
        assert_eq!(brief(&step(Phase::Leave, &[17])), "leave after 0.017 s");
    }

    #[test]
    fn the_table_has_a_row_and_a_column_for_each_node() {
        let screen = Screen { style: Style::Lines, nodes: 3, processes: vec![None; 3], drawn: 0 };
        let table = screen.table(&Judge::new(3, None), Duration::ZERO, false);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 5);
        assert!(lines[0].ends_with("n1   n2   n3   "));
        assert!(lines[1].starts_with("n1   -"));
        assert!(lines[4].contains("starting n1"));
    }
}
