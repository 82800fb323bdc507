//! How a soak is shown: a line a minute, what broke with what happened around it, and a summary.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::plan::Action;
use super::rules::{self, Verdict, Violation};
use super::settings::Participants;
use super::timeline::{Entry, Timeline};
use crate::Stop;

/// More violations than this tell nothing new.
const SHOWN: usize = 8;
/// How much of the timeline is shown before and after a violation.
const BEFORE: Duration = Duration::from_secs(15);
const AFTER: Duration = Duration::from_secs(1);
const EXCERPT_LINES: usize = 14;

pub(super) struct Report {
    pub(super) participants: Participants,
    pub(super) seed: u64,
    pub(super) json: bool,
    minutes: u64,
}

impl Report {
    pub(super) fn new(participants: Participants, seed: u64, json: bool) -> Self {
        Self { participants, seed, json, minutes: 0 }
    }

    pub(super) fn did(&self, participants: Participants, action: Action, at: Duration) {
        let (what, member) = match action {
            Action::Kill { member } => ("kill", member),
            Action::Start { member } => ("start", member),
            Action::Freeze { member } => ("freeze", member),
            Action::Thaw { member } => ("thaw", member),
            Action::Leave { member } => ("leave", member),
            Action::Meta { .. }
            | Action::Send { .. }
            | Action::Broadcast { .. }
            | Action::Ping { .. }
            | Action::Stream { .. } => return,
        };
        if self.json {
            emit(at, json!({ "ev": "action", "what": what, "node": participants.name(member) }));
        }
    }

    /// One line a minute.
    pub(super) fn progress(&mut self, participants: Participants, verdict: &Verdict, at: Duration) {
        if at.as_secs() / 60 <= self.minutes {
            return;
        }
        self.minutes = at.as_secs() / 60;
        let judged = json!(verdict.judged);
        if self.json {
            emit(at, json!({ "ev": "progress", "minute": self.minutes, "judged": judged }));
        } else {
            let count = |what| verdict.judged.get(what).copied().unwrap_or_default();
            let (members, lists, views) = (participants.members, count("lists"), count("views"));
            let (absences, messages) = (count("absences"), count("messages"));
            println!(
                "{}  {members} members, {absences} absences; judged {lists} lists, {views} views, \
                 {messages} messages",
                clock(at)
            );
        }
    }

    /// The summary of a soak in which all held.
    pub(super) fn passed(&self, verdict: &Verdict, at: Duration) {
        if self.json {
            return emit(at, self.summary(verdict));
        }
        print!("{}", self.table(verdict, at));
        println!("soak passed: seed {}, {}", self.seed, clock(at).trim_start());
    }

    /// What broke, what happened around it, and how to see it again.
    pub(super) fn failed(
        &self,
        verdict: &Verdict,
        timeline: &Timeline,
        folder: &Path,
        at: Duration,
    ) {
        if self.json {
            return emit(at, self.summary(verdict));
        }
        for violation in verdict.violations.iter().take(SHOWN) {
            println!("\n{}", self.sentence(violation));
            for line in self.excerpt(violation, timeline) {
                println!("    {line}");
            }
        }
        println!();
        print!("{}", self.table(verdict, at));
        let Participants { members, go } = self.participants;
        println!(
            "soak failed: {} violations; --nodes {members} --go {go} --seed {}; the logs \
             (NAME.log) and timeline.log are in {}",
            verdict.violations.len(),
            self.seed,
            folder.display()
        );
    }

    fn sentence(&self, violation: &Violation) -> String {
        let Violation { rule, at, member, what } = violation;
        let who = member.map_or(String::new(), |member| self.participants.name(member) + " ");
        format!("{}  {rule}: {who}{what}", clock(*at))
    }

    /// What was done, and what the violation's member said, around it.
    fn excerpt(&self, violation: &Violation, timeline: &Timeline) -> Vec<String> {
        let Some(member) = violation.member else { return Vec::new() };
        let around = violation.at.saturating_sub(BEFORE)..violation.at + AFTER;
        let lines: Vec<String> = timeline
            .entries
            .iter()
            .filter(|entry| around.contains(&entry.at) && entry.what.is_telling())
            .filter(|entry| entry.member == member || entry.what.is_deed())
            .map(|entry| self.line(entry))
            .collect();
        lines[lines.len().saturating_sub(EXCERPT_LINES)..].to_vec()
    }

    /// Members are numbered in the order of the participants; names are easier to read.
    fn line(&self, entry: &Entry) -> String {
        let mut text = entry.what.to_string();
        for member in self.participants.all().rev() {
            text = text.replace(&format!("#{member}"), &self.participants.name(member));
        }
        let text: String = text.chars().take(160).collect();
        format!("{} {} {text}", clock(entry.at), self.participants.name(entry.member))
    }

    /// Writes what is telling to `timeline.log`, beside the logs.
    ///
    /// # Errors
    /// [`Stop::Cannot`].
    pub(super) fn write_timeline(&self, timeline: &Timeline, folder: &Path) -> Result<(), Stop> {
        let telling = timeline.entries.iter().filter(|entry| entry.what.is_telling());
        let text: String = telling.map(|entry| self.line(entry) + "\n").collect();
        fs::write(folder.join("timeline.log"), text)
            .map_err(|error| Stop::cannot("write the timeline", error))
    }

    fn table(&self, verdict: &Verdict, at: Duration) -> String {
        let mut text = String::new();
        for statistic in &verdict.statistics {
            let _ = writeln!(
                text,
                "    {:<28}{:>5} cases, {} missed; median {:.2?}, longest {:.2?}",
                statistic.name,
                statistic.cases(),
                statistic.misses,
                statistic.median(),
                statistic.longest()
            );
        }
        for (evidence, count) in &verdict.exceptions {
            let most = rules::ceiling(*evidence, self.participants, at);
            let _ = writeln!(text, "    {count} exceptions because {evidence}; at most {most}");
        }
        let judged: Vec<String> =
            verdict.judged.iter().map(|(what, count)| format!("{count} {what}")).collect();
        let _ = writeln!(text, "    judged: {}", judged.join(", "));
        for (what, most) in &verdict.most {
            let _ = writeln!(text, "    most {what}: {most:.1}");
        }
        text
    }

    fn summary(&self, verdict: &Verdict) -> Value {
        let statistics = verdict.statistics.iter().map(|statistic| {
            json!({
                "name": statistic.name, "cases": statistic.cases(), "missed": statistic.misses,
                "median_ms": statistic.median().as_millis(),
                "max_ms": statistic.longest().as_millis(),
            })
        });
        let exceptions = verdict
            .exceptions
            .iter()
            .map(|(evidence, count)| json!({ "because": evidence.to_string(), "count": count }));
        let violations = verdict.violations.iter().map(|violation| {
            json!({ "rule": violation.rule.to_string(), "what": self.sentence(violation) })
        });
        json!({
            "ev": "summary", "ok": verdict.violations.is_empty(), "seed": self.seed,
            "statistics": statistics.collect::<Vec<_>>(), "judged": verdict.judged,
            "exceptions": exceptions.collect::<Vec<_>>(), "most": verdict.most,
            "violations": violations.collect::<Vec<_>>(),
        })
    }
}

fn emit(at: Duration, mut object: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert("at_ms".to_owned(), json!(at.as_millis()));
    }
    println!("{object}");
}

fn clock(at: Duration) -> String {
    format!("{:>3}:{:04.1}", at.as_secs() / 60, at.as_secs_f64() % 60.0)
}
