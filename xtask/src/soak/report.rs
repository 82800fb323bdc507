//! How a soak is shown: a line a minute, what broke with what happened around it, and a summary.

use std::fs;
use std::path::Path;
use std::time::Duration;

use comfy_table::Table;
use serde_json::{Value, json};

use super::roles::Participants;
use super::rules::{Verdict, Violation};
use super::timeline::Timeline;
use crate::Stop;
use crate::fleet::reporter::{Reporter, clock, milliseconds, spread};

/// More violations than this tell nothing new.
const SHOWN: usize = 8;
/// How much of the timeline is shown before and after a violation.
const BEFORE: Duration = Duration::from_secs(15);
const AFTER: Duration = Duration::from_secs(1);
const EXCERPT_LINES: usize = 14;

pub(super) struct Report {
    reporter: Reporter,
    participants: Participants,
    seed: u64,
    minutes: u64,
}

impl Report {
    pub(super) fn new(participants: Participants, seed: u64, json: bool) -> Self {
        Self { reporter: Reporter::new(json), participants, seed, minutes: 0 }
    }

    /// A fault begins or ends.
    pub(super) fn did(&self, what: &str, member: usize, at: Duration) {
        let node = self.participants.name(member);
        self.reporter.show(&format!("{node}: {what}"), String::new());
        self.reporter.object(at, "action", json!({ "what": what, "node": node }));
    }

    /// One line a minute.
    pub(super) fn progress(&mut self, verdict: &Verdict, at: Duration) {
        if at.as_secs() / 60 <= self.minutes {
            return;
        }
        self.minutes = at.as_secs() / 60;
        let fields = json!({ "minute": self.minutes, "judged": verdict.judged });
        self.reporter.object(at, "progress", fields);
        self.reporter.line(&format!("{}  judged {}", clock(at), judged(verdict)));
    }

    /// What broke, what happened around it, and how to see it again; or the figures of a soak in
    /// which all held. `timeline.log` is written beside the logs.
    pub(super) fn close(
        &self,
        verdict: &Verdict,
        timeline: &Timeline,
        folder: &Path,
        at: Duration,
    ) -> Result<(), Stop> {
        let telling = timeline.entries.iter().filter(|entry| entry.is_telling());
        let text: String = telling.map(|entry| entry.line(self.participants) + "\n").collect();
        fs::write(folder.join("timeline.log"), text)
            .map_err(|error| Stop::cannot("write the timeline", error))?;
        let mut lines = Vec::new();
        for violation in verdict.violations.iter().take(SHOWN) {
            lines.push(format!("\n{}", self.sentence(violation)));
            lines.extend(self.excerpt(violation, timeline));
        }
        lines.extend(self.figures(verdict, at));
        let (seed, broken) = (self.seed, verdict.violations.len());
        let Participants { members, go } = self.participants;
        lines.push(if broken == 0 {
            format!("soak passed: seed {seed}, {}", clock(at).trim_start())
        } else {
            let folder = folder.display();
            format!(
                "soak failed: {broken} violations; --nodes {members} --go {go} --seed {seed}; \
                 the logs (NAME.log) and timeline.log are in {folder}"
            )
        });
        self.reporter.close(at, self.summary(verdict), &lines);
        Ok(())
    }

    fn sentence(&self, Violation { rule, at, member, what }: &Violation) -> String {
        let who = member.map_or(String::new(), |member| self.participants.name(member) + " ");
        format!("{}  {rule:?}: {who}{what}", clock(*at))
    }

    /// What was done, and what the violation's member said, around it.
    fn excerpt(&self, violation: &Violation, timeline: &Timeline) -> Vec<String> {
        let Some(member) = violation.member else { return Vec::new() };
        let around = violation.at.saturating_sub(BEFORE)..violation.at + AFTER;
        let lines: Vec<String> = timeline
            .entries
            .iter()
            .filter(|entry| around.contains(&entry.at) && entry.is_telling())
            .filter(|entry| entry.member == member || entry.is_deed())
            .map(|entry| format!("    {}", entry.line(self.participants)))
            .collect();
        lines[lines.len().saturating_sub(EXCERPT_LINES)..].to_vec()
    }

    fn figures(&self, verdict: &Verdict, at: Duration) -> Vec<String> {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(["    heard", "cases", "missed", "median", "longest"]);
        for one in &verdict.statistics {
            let [_, median, longest] = spread(&one.times).map(|time| format!("{time:.2?}"));
            let [cases, missed] = [one.cases(), one.missed.len()].map(|count| count.to_string());
            table.add_row([format!("    {}", one.name), cases, missed, median, longest]);
        }
        let mut lines = vec![table.to_string()];
        lines.extend(verdict.exceptions.iter().map(|(evidence, count)| {
            let most = evidence.ceiling(self.participants, at);
            format!("    {count} exceptions because {evidence}; at most {most}")
        }));
        lines.push(format!("    judged: {}", judged(verdict)));
        lines.extend(verdict.most.iter().map(|(what, most)| format!("    most {what}: {most:.1}")));
        lines
    }

    fn summary(&self, verdict: &Verdict) -> Value {
        let statistics = verdict.statistics.iter().map(|one| {
            let [_, median, longest] = spread(&one.times).map(milliseconds);
            json!({
                "name": one.name, "cases": one.cases(), "missed": one.missed.len(),
                "median_ms": median, "max_ms": longest,
            })
        });
        let exceptions = verdict
            .exceptions
            .iter()
            .map(|(evidence, count)| json!({ "because": evidence.to_string(), "count": count }));
        let violations = verdict
            .violations
            .iter()
            .map(|violation| json!({ "rule": violation.rule, "what": self.sentence(violation) }));
        json!({
            "ok": verdict.violations.is_empty(), "seed": self.seed, "judged": verdict.judged,
            "statistics": statistics.collect::<Vec<_>>(), "most": verdict.most,
            "exceptions": exceptions.collect::<Vec<_>>(),
            "violations": violations.collect::<Vec<_>>(),
        })
    }
}

fn judged(verdict: &Verdict) -> String {
    let counts = verdict.judged.iter().map(|(what, count)| format!("{count} {what}"));
    counts.collect::<Vec<_>>().join(", ")
}
