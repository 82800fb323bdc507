//! How a soak is shown: a line a minute, one live line on a terminal, or JSON; and its summary.
//!
//! A timeline of all deeds and of all that members said about each
//! other is written beside the logs, for whoever has to find out why.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Fault;
use super::flat::GAUGES;
use super::judge::{Broken, Judge, Record};
use super::participants::Participants;
use super::plan::{Deed, Plan};
use super::soak_event::{Event, Usage};
use super::time_bounds::Bounds;

const MINUTE: Duration = Duration::from_secs(60);

pub(super) struct Screen {
    json: bool,
    seed: u64,
    live: bool,
    next_minute: Duration,
    timeline: BufWriter<File>,
}

impl Screen {
    pub(super) fn new(json: bool, seed: u64, folder: &Path) -> io::Result<Self> {
        let timeline = BufWriter::new(File::create(folder.join("timeline.log"))?);
        let live = !json && io::stdout().is_terminal();
        Ok(Self { json, seed, live, next_minute: MINUTE, timeline })
    }

    pub(super) fn did(&mut self, participants: Participants, deed: &Deed, at: Duration) {
        let (what, node) = match deed {
            Deed::Kill { node } => ("killed", node),
            Deed::Start { node, .. } => ("started", node),
            Deed::Freeze { node } => ("stopped", node),
            Deed::Thaw { node } => ("continued", node),
            Deed::Leave { node } => ("told to leave", node),
            Deed::Meta { node, .. } => ("given new metadata", node),
            Deed::Send { .. } | Deed::Broadcast { .. } => return,
        };
        let name = participants.name(*node);
        self.note(at, &format!("{name} {what}"));
        if self.json {
            emit(at, json!({ "ev": "deed", "what": what, "node": name }));
        }
    }

    /// Writes to the timeline what members say about each other.
    pub(super) fn heard(&mut self, name: &str, event: &Event, line: &str, at: Duration) {
        match event {
            Event::Message { .. } | Event::Other => {}
            Event::Reply(reply) if reply.error.is_none() => {}
            Event::Ready(_)
            | Event::View { .. }
            | Event::Update { .. }
            | Event::Conflict { .. }
            | Event::Reply(_) => self.note(at, &format!("    {name}: {line}")),
        }
    }

    pub(super) fn ended(&mut self, name: &str, code: Option<i32>, at: Duration) {
        self.note(at, &format!("    {name} ended with {code:?}"));
    }

    pub(super) fn broke(&mut self, broken: &Broken, name: Option<&str>, log: Option<&Path>) {
        self.note(broken.at, &format!("BROKEN {}", sentence(broken, name)));
        if self.json {
            emit(
                broken.at,
                json!({ "ev": "broken", "what": broken.what, "node": name, "log": log }),
            );
            return;
        }
        self.erase();
        println!("{}  broken: {}", clock(broken.at), sentence(broken, name));
    }

    /// Brings the live line up to date, and prints one that stays once a minute.
    pub(super) fn draw(&mut self, judge: &Judge, plan: &Plan, broken: usize, at: Duration) {
        let minute = at >= self.next_minute;
        if !minute && !self.live {
            return;
        }
        let coverage = judge.coverage();
        let running = judge.running().len();
        if minute {
            self.next_minute += MINUTE;
            let _ = self.timeline.flush();
            if self.json {
                emit(
                    at,
                    json!({
                        "ev": "progress", "minute": at.as_secs() / 60, "members": running,
                        "lists": coverage.lists, "replies": coverage.replies,
                        "deaths": coverage.deaths,
                        "broken": broken,
                    }),
                );
                return;
            }
        }
        let line = format!(
            "{}  {running} of {} up; {} faults planned; {} lists and {} events judged, {} deaths \
             declared; {broken} broken",
            clock(at),
            judge.participants.members,
            plan.faults.len(),
            coverage.lists,
            coverage.events,
            coverage.deaths,
        );
        self.erase();
        if minute {
            println!("{line}");
        } else {
            print!("{line}");
        }
        let _ = io::stdout().flush();
    }

    /// The summary of a soak in which all held.
    pub(super) fn passed(self, judge: &Judge, plan: &Plan, kept: Option<&Path>, at: Duration) {
        self.erase();
        if self.json {
            let mut summary = self.figures(judge, plan);
            summary.insert("ok".into(), true.into());
            summary.insert("directory".into(), json!(kept));
            emit(at, Value::Object(summary));
            return;
        }
        print!("{}", table(judge, plan));
        println!("soak passed: seed {}, {}", self.seed, clock(at).trim_start());
        if let Some(kept) = kept {
            println!("its files are in {}", kept.display());
        }
    }

    /// The summary of a soak in which something broke.
    pub(super) fn failed(
        mut self,
        judge: &Judge,
        plan: &Plan,
        broken: &[Broken],
        folder: &Path,
        at: Duration,
    ) {
        self.erase();
        let _ = self.timeline.flush();
        let told: Vec<String> = broken
            .iter()
            .map(|broken| {
                let name = broken.node.map(|node| judge.participants.name(node));
                format!("{}  {}", clock(broken.at), sentence(broken, name.as_deref()))
            })
            .collect();
        if self.json {
            let mut summary = self.figures(judge, plan);
            summary.insert("ok".into(), false.into());
            summary.insert("broken".into(), json!(told));
            summary.insert("directory".into(), json!(folder));
            emit(at, Value::Object(summary));
            return;
        }
        print!("{}", table(judge, plan));
        println!("soak failed: seed {}, {} broken", self.seed, told.len());
        for line in told {
            println!("    {line}");
        }
        println!("the logs (NAME.log) and timeline.log are in {}", folder.display());
    }

    fn figures(&self, judge: &Judge, plan: &Plan) -> Map<String, Value> {
        let coverage = judge.coverage();
        let faults: Map<String, Value> =
            Fault::all().map(|fault| (fault.word().into(), plan.count(fault).into())).collect();
        let changes: Map<String, Value> = judge
            .timings()
            .figures()
            .iter()
            .map(|(kind, figures)| {
                let figures = json!({
                    "cases": figures.cases(), "late": figures.late, "never": figures.never,
                    "median_ms": milliseconds(figures.median()),
                    "max_ms": milliseconds(figures.longest()),
                });
                (kind.word().into(), figures)
            })
            .collect();
        let messages: Map<String, Value> = judge
            .messages()
            .figures()
            .iter()
            .map(|(kind, figures)| {
                let arrived = json!({
                    "sent": figures.sent, "due": figures.due, "arrived": figures.arrived,
                });
                (kind.word().into(), arrived)
            })
            .collect();
        let summary = json!({
            "ev": "summary", "seed": self.seed, "members": judge.participants.members,
            "go": judge.participants.go, "faults": faults, "changes": changes, "messages": messages,
            "lists": coverage.lists, "rows": coverage.rows, "events": coverage.events,
            "replies": coverage.replies, "suspicions_of_the_well": coverage.suspicions,
            "deaths_declared": coverage.deaths, "deaths_of_deaf_go_members": coverage.deaf,
        });
        match summary {
            Value::Object(summary) => summary,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Map::new(),
        }
    }

    fn erase(&self) {
        if self.live {
            print!("\r\x1b[K");
        }
    }

    /// A timeline that cannot be written costs nobody the soak.
    fn note(&mut self, at: Duration, text: &str) {
        let _ = writeln!(self.timeline, "{} {text}", clock(at));
    }
}

fn sentence(broken: &Broken, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{name} {}", broken.what),
        None => broken.what.clone(),
    }
}

/// The figures of a soak for people.
fn table(judge: &Judge, plan: &Plan) -> String {
    let mut text = String::new();
    let faults: Vec<String> =
        Fault::all().map(|fault| format!("{} {}", plan.count(fault), fault.word())).collect();
    let _ = writeln!(text, "faults        {}", faults.join(", "));
    let coverage = judge.coverage();
    let _ = writeln!(
        text,
        "judged        {} lists ({} rows), {} events, {} replies",
        coverage.lists, coverage.rows, coverage.events, coverage.replies
    );
    let _ = writeln!(
        text,
        "verdicts      {} deaths declared, of the dead or asleep except {} of Go members that were \
         deaf; {} suspicions of the well",
        coverage.deaths, coverage.deaf, coverage.suspicions
    );
    let bounds = Bounds::new(judge.participants.members);
    for (kind, figures) in judge.timings().figures() {
        let _ = writeln!(
            text,
            "{:<14}heard {} times, after {:.2} s (median) to {:.2} s (longest); bound {:.1} s: \
             {} late, {} never",
            kind.word(),
            figures.times.len(),
            figures.median().as_secs_f64(),
            figures.longest().as_secs_f64(),
            kind.bound(bounds).as_secs_f64(),
            figures.late,
            figures.never,
        );
    }
    for (kind, figures) in judge.messages().figures() {
        let _ = writeln!(
            text,
            "{:<14}{} sent; {} of {} copies between healthy members arrived",
            kind.word(),
            figures.sent,
            figures.arrived,
            figures.due
        );
    }
    let _ = writeln!(text, "of each member's longest life, first and last sample after warming up");
    let _ = write!(text, "{:<8}{:>7}", "", "samples");
    for gauge in GAUGES {
        let _ = write!(text, "{:>18}", gauge.name);
    }
    let _ = writeln!(text, "{:>15}", "processor");
    for node in judge.participants.everybody() {
        let lives = judge.records().iter().filter(|record| record.node == node);
        if let Some(longest) = lives.max_by_key(|record| record.samples.len()) {
            text.push_str(&row(&judge.participants.name(node), longest));
        }
    }
    text
}

fn row(name: &str, record: &Record) -> String {
    let warm = record.samples.len() / 3;
    let ends = record.samples.get(warm).zip(record.samples.last());
    let mut text = format!("{name:<8}{:>7}", record.samples.len());
    let Some((first, last)) = ends else {
        text.push('\n');
        return text;
    };
    for gauge in GAUGES {
        let figures = format!("{} → {} {}", (gauge.read)(first), (gauge.read)(last), gauge.unit);
        let _ = write!(text, "{:>18}", figures.trim_end());
    }
    let _ = writeln!(text, "{:>9} ms/min", processor(first, last, record.samples.len() - warm - 1));
    text
}

/// Processor time in a minute of samples, which are two polls apart.
fn processor(first: &Usage, last: &Usage, intervals: usize) -> u64 {
    let seconds = u64::try_from(intervals).unwrap_or(u64::MAX).saturating_mul(4);
    let used = last.processor.saturating_sub(first.processor);
    (used * 60).checked_div(seconds).unwrap_or(0)
}

fn clock(at: Duration) -> String {
    let seconds = at.as_secs();
    format!("{:3}:{:02}.{:03}", seconds / 60, seconds % 60, at.subsec_millis())
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn emit(at: Duration, mut event: Value) {
    event["at_ms"] = json!(milliseconds(at));
    println!("{event}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_members_row_shows_what_it_held_after_warming_up() {
        let sample = |index: u64| Usage {
            memory: 1000 + index,
            descriptors: 9,
            threads: 5,
            connections: 3,
            processor: 10 * index,
        };
        let record = Record { node: 0, samples: (0..31).map(sample).collect() };
        let row = row("n1", &record);
        assert!(row.contains("1010 → 1030 KiB"), "{row}");
        assert!(row.contains("9 → 9"), "{row}");
        assert!(row.contains("150 ms/min"), "{row}");
    }

    #[test]
    fn time_is_shown_in_minutes() {
        assert_eq!(clock(Duration::from_millis(61_005)), "  1:01.005");
    }
}
