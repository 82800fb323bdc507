//! How the demo is shown: a live table on a terminal, else a line for each change, or JSON.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use comfy_table::{Cell, Color, Table};
use rustix::process::Signal;
use serde_json::{Map, Value, json};

use super::script::{Phase, Screen, Step};
use crate::fleet::Observed;
use crate::fleet::event::{EventKind, SeenState};
use crate::fleet::observer::{Deed, Observer};
use crate::fleet::reporter::{Reporter, clock, milliseconds};

/// What one node's row of the table shows.
struct Row {
    /// Its process id, or none once it has ended.
    pid: Option<u32>,
    sees: BTreeMap<String, SeenState>,
}

pub(super) struct DemoScreen {
    reporter: Reporter,
    rows: BTreeMap<String, Row>,
    waiting: String,
}

impl DemoScreen {
    pub(super) fn new(json: bool) -> Self {
        let (rows, waiting) = (BTreeMap::new(), String::new());
        Self { reporter: Reporter::new(json), rows, waiting }
    }

    /// The one line at the end of a demo that went well.
    pub(super) fn passed(&self, steps: &[Step], nodes: usize, kept: Option<&Path>, at: Duration) {
        self.reporter.end();
        let figures: Map<String, Value> = steps
            .iter()
            .map(|step| {
                let [min, median, max] = step.spread().map(milliseconds);
                let figures = json!({ "min_ms": min, "median_ms": median, "max_ms": max });
                (step.phase.word().to_owned(), figures)
            })
            .collect();
        let summary = json!({ "ok": true, "nodes": nodes, "steps": figures, "directory": kept });
        self.reporter.object(at, "summary", summary);
        let figures: Vec<String> = steps.iter().map(brief).collect();
        self.reporter.line(&format!("demo passed with {nodes} nodes: {}", figures.join(", ")));
        if let Some(kept) = kept {
            self.reporter.line(&format!("its files are in {}", kept.display()));
        }
    }

    /// What did not happen, and where to look.
    pub(super) fn failed(&self, reason: &str, logs: &[(String, String)], at: Duration) {
        self.reporter.end();
        let paths: Map<String, Value> =
            logs.iter().map(|(node, log)| (node.clone(), json!(log))).collect();
        let (ok, nodes) = (false, logs.len());
        let summary = json!({ "ok": ok, "nodes": nodes, "reason": reason, "logs": paths });
        self.reporter.object(at, "summary", summary);
        self.reporter.line(&format!("demo failed: {reason}"));
        for (node, log) in logs {
            self.reporter.line(&format!("    {node}: {log}"));
        }
    }

    /// A line for people where there is no table.
    fn change(&self, at: Duration, text: &str) {
        if !self.reporter.is_live() {
            self.reporter.line(&format!("{}  {text}", clock(at)));
        }
    }

    fn draw(&self) {
        if self.reporter.is_live() {
            self.reporter.show(&self.waiting, self.table());
        }
    }

    fn table(&self) -> String {
        let mut table = Table::new();
        let columns = self.rows.keys().map(String::as_str);
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(["", "process"].into_iter().chain(columns));
        for (observer, row) in &self.rows {
            let process = row.pid.map_or("ended".to_owned(), |pid| pid.to_string());
            let seen = |subject: &String| {
                let state = row.sees.get(subject).filter(|_| row.pid.is_some());
                let (mark, colour) = match state {
                    None => ("·", Color::DarkGrey),
                    Some(SeenState::Alive) => ("●", Color::Green),
                    Some(SeenState::Suspect) => ("?", Color::Yellow),
                    Some(SeenState::Failed) => ("✗", Color::Red),
                    Some(SeenState::Left) => ("←", Color::Blue),
                };
                Cell::new(mark).fg(colour)
            };
            let head = [Cell::new(observer), Cell::new(process)];
            table.add_row(head.into_iter().chain(self.rows.keys().map(seen)));
        }
        table.to_string()
    }
}

impl Observer for DemoScreen {
    fn did(&mut self, name: &str, deed: Deed<'_>, at: Duration) {
        match deed {
            // Its process id comes with its first event.
            Deed::Start(_) => {
                self.rows.insert(name.to_owned(), Row { pid: None, sees: BTreeMap::new() });
            }
            Deed::Signal(Signal::KILL) => {
                self.reporter.object(at, "killed", json!({ "node": name }));
                self.change(at, &format!("{name} killed with SIGKILL"));
            }
            Deed::Signal(_) => {}
            Deed::Command(command) => {
                self.reporter.object(at, "command", json!({ "node": name, "command": command }));
                self.change(at, &format!("{name} told: {command}"));
            }
        }
    }

    fn saw(&mut self, name: &str, what: &Observed, at: Duration) {
        let Some(row) = self.rows.get_mut(name) else { return };
        match what {
            Observed::Exited(_) => row.pid = None,
            Observed::Malformed { .. } => {}
            Observed::Event(event, _) => {
                if let EventKind::Ready { pid, .. } = event.kind {
                    row.pid = Some(pid);
                    row.sees.insert(name.to_owned(), SeenState::Alive);
                    self.reporter.object(at, "started", json!({ "node": name, "pid": pid }));
                    self.change(at, &format!("{name} started, process {pid}"));
                } else if let Some((subject, state)) = event.belief() {
                    let about = &subject.node;
                    row.sees.insert(about.clone(), state);
                    let change = json!({ "node": name, "about": about, "state": state.word() });
                    self.reporter.object(at, "change", change);
                    self.change(at, &format!("{name} sees {about} {state}"));
                }
            }
        }
        self.draw();
    }

    fn waits(&mut self, what: &str) {
        self.waiting = format!("waiting until {what}");
        self.draw();
    }
}

impl Screen for DemoScreen {
    fn step(&mut self, step: &Step, at: Duration) {
        let [min, median, max] = step.spread().map(milliseconds);
        let fields = json!({
            "step": step.phase.word(), "observers": step.times.len(), "min_ms": min,
            "median_ms": median, "max_ms": max, "bound_ms": milliseconds(step.bound),
        });
        self.reporter.object(at, "step", fields);
        self.reporter.line(&format!("{}  {}", clock(at), sentence(step)));
    }
}

fn sentence(step: &Step) -> String {
    let observers = step.times.len();
    let what = match step.phase {
        Phase::Gather => format!("all {observers} see each other, since the last start"),
        Phase::Crash => format!("{observers} saw the crash"),
        Phase::Leave => format!("{observers} saw the leave"),
        Phase::Restart => format!("{observers} see all alive after the restart"),
        Phase::Watch => "it stayed alive".to_owned(),
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
            sentence(&crash),
            "4 saw the crash: min 4.000 s, median 5.500 s, max 9.000 s (bound 25.0 s)"
        );
        assert!(brief(&crash).contains("4.00/5.50/9.00 s"));
        assert_eq!(brief(&step(Phase::Leave, &[17])), "leave after 0.017 s");
    }

    #[test]
    fn the_table_has_a_row_and_a_column_for_each_node() {
        let mut screen = DemoScreen::new(true);
        for name in ["n1", "n2", "n3"] {
            let sees = BTreeMap::from([("n2".to_owned(), SeenState::Failed)]);
            screen.rows.insert(name.to_owned(), Row { pid: Some(4711), sees });
        }
        let table = screen.table();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 4, "{table}");
        assert!(lines[0].contains("n1") && lines[0].contains("n3"), "{table}");
        assert!(lines[1].contains("4711") && lines[1].contains('✗'), "{table}");
    }
}
