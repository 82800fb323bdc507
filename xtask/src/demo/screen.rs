//! How the demo is shown: a live table on a terminal, else a line for each change, or JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::{Cell, Color, Table};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::fleet::Observed;
use crate::fleet::event::{EventKind, SeenState};
use crate::fleet::observer::{Observer, Scene};
use crate::fleet::reporter::{Reporter, clock};

/// What one node's row of the table shows.
#[derive(Default)]
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
    pub(super) fn new(reporter: Reporter) -> Self {
        Self { reporter, rows: BTreeMap::new(), waiting: String::new() }
    }

    /// An object, or a line where there is no table.
    fn change(&self, at: Duration, ev: &str, fields: Value, text: &str) {
        self.reporter.object(at, ev, fields);
        if !self.reporter.is_live() {
            self.reporter.line(&format!("{}  {text}", clock(at)));
        }
    }

    fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(["", "process"].into_iter().chain(self.rows.keys().map(String::as_str)));
        for (observer, row) in &self.rows {
            let process = row.pid.map_or("ended".to_owned(), |pid| pid.to_string());
            let seen = |subject: &String| {
                let (mark, colour) = match row.sees.get(subject).filter(|_| row.pid.is_some()) {
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
    fn note(&mut self, name: &str, scene: Scene<'_>, at: Duration) {
        match scene {
            // Its process id comes with its first event.
            Scene::Starts(_) => {
                self.rows.insert(name.to_owned(), Row::default());
            }
            Scene::Signalled(Signal::KILL) => {
                let text = format!("{name} killed with SIGKILL");
                self.change(at, "killed", json!({ "node": name }), &text);
            }
            Scene::Told(command) => {
                let fields = json!({ "node": name, "command": command });
                self.change(at, "command", fields, &format!("{name} told: {command}"));
            }
            Scene::Does(Observed::Exited(_)) => {
                self.rows.entry(name.to_owned()).or_default().pid = None;
            }
            Scene::Does(Observed::Event(event, _)) => {
                let row = self.rows.entry(name.to_owned()).or_default();
                if let EventKind::Ready { pid, .. } = event.kind {
                    row.pid = Some(pid);
                    row.sees.insert(name.to_owned(), SeenState::Alive);
                    let text = format!("{name} started, process {pid}");
                    self.change(at, "started", json!({ "node": name, "pid": pid }), &text);
                } else if let Some((subject, state)) = event.belief() {
                    let about = &subject.node;
                    row.sees.insert(about.clone(), state);
                    let fields =
                        json!({ "node": name, "about": about, "state": state.to_string() });
                    self.change(at, "change", fields, &format!("{name} sees {about} {state}"));
                }
            }
            Scene::Waits(what) => self.waiting = format!("waiting until {what}"),
            Scene::Signalled(_) | Scene::Does(Observed::Malformed { .. }) => {}
        }
        if self.reporter.is_live() {
            self.reporter.show(&self.waiting, self.table());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_and_a_column_for_each_node() {
        let mut screen = DemoScreen::new(Reporter::new(true));
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
