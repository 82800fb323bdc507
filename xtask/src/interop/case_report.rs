//! What a run prints: one line for each case, the logs of those that failed, and a count.
//!
//! A case must pass, and a sabotaged one must fail with the reason by which its sabotage is
//! noticed.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::cases::Case;
use crate::clock;
use crate::fleet::reporter::{Reporter, milliseconds};

/// What became of a case.
pub(super) struct Outcome {
    pub(super) case: &'static Case,
    pub(super) run: u16,
    pub(super) sabotaged: bool,
    /// Why the story did not end well.
    pub(super) failure: Option<String>,
    pub(super) notes: String,
    /// Words of what Go peers warn of because the story wants it.
    pub(super) explained: Vec<String>,
    pub(super) took: Duration,
    pub(super) directory: PathBuf,
    pub(super) logs: Vec<(String, PathBuf)>,
}

impl Outcome {
    /// Whether the files may go: it passed, or noticed its sabotage.
    pub(super) fn is_good(&self) -> bool {
        match &self.failure {
            None => !self.sabotaged,
            Some(reason) => self.sabotaged && reason.contains(self.case.notices),
        }
    }
}

pub(super) struct Report {
    reporter: Reporter,
    /// Sabotaged cases must fail for the run to pass.
    proving: bool,
    /// How many cases there are.
    tasks: usize,
    began: Instant,
    passed: usize,
    failed: usize,
}

impl Report {
    pub(super) fn new(json: bool, proving: bool, tasks: usize) -> Self {
        let (reporter, began) = (Reporter::new(json), clock::now());
        Self { reporter, proving, tasks, began, passed: 0, failed: 0 }
    }

    /// Counts and prints one outcome.
    pub(super) fn add(&mut self, outcome: &Outcome) {
        let ok = if self.proving { outcome.is_good() } else { outcome.failure.is_none() };
        *(if ok { &mut self.passed } else { &mut self.failed }) += 1;
        self.reporter.object(self.began.elapsed(), "case", object(outcome, ok));
        self.lines(outcome, ok).iter().for_each(|line| self.reporter.line(line));
        let ended = self.passed + self.failed;
        self.reporter.show(&format!("{ended} of {} cases have ended", self.tasks), String::new());
    }

    /// Prints the count; `true` if the run passed.
    pub(super) fn close(&self) -> bool {
        let (passed, failed, took) = (self.passed, self.failed, self.began.elapsed());
        let ok = failed == 0 && passed > 0;
        let ms = milliseconds(took);
        let summary = json!({ "ok": ok, "passed": passed, "failed": failed, "ms": ms });
        let seconds = took.as_secs_f64();
        let line = format!("interop: {passed} passed, {failed} failed, {seconds:.1} s");
        self.reporter.close(took, summary, &[line]);
        ok
    }

    fn lines(&self, outcome: &Outcome, ok: bool) -> Vec<String> {
        let Outcome { case, run, failure, notes, took, directory, logs, .. } = outcome;
        let word = match (ok, self.proving) {
            (true, false) => "passed",
            (true, true) => "noticed",
            (false, false) => "FAILED",
            (false, true) => "MISSED",
        };
        let name = if *run > 1 { format!("{} (run {run})", case.name) } else { case.name.into() };
        let said = match failure.as_deref() {
            None => notes,
            // The state of all views is of interest only where something is wrong.
            Some(reason) if self.proving && ok => reason.split(';').next().unwrap_or_default(),
            Some(reason) => reason,
        };
        let seconds = took.as_secs_f64();
        let mut lines = vec![format!("{name:<31}{word:<8}{seconds:6.1} s  {said}")];
        if ok {
            return lines;
        }
        if self.proving {
            let Case { sabotage, notices, .. } = case;
            lines.push(format!("    sabotaged ({sabotage}), it must fail with \"{notices}\""));
        }
        lines.push(format!("    transcript: {}", directory.join("transcript").display()));
        lines.extend(logs.iter().map(|(name, log)| format!("    {name}: {}", log.display())));
        lines
    }
}

fn object(outcome: &Outcome, ok: bool) -> Value {
    let Outcome { case, run, failure, notes, took, directory, logs, .. } = outcome;
    let ms = milliseconds(*took);
    let mut object = json!({ "case": case.name, "run": run, "ok": ok, "ms": ms, "notes": notes });
    if let Some(reason) = failure {
        object["reason"] = json!(reason);
    }
    if !ok {
        object["directory"] = json!(directory);
        object["logs"] = logs.iter().map(|(name, log)| (name.clone(), json!(log))).collect();
    }
    object
}

#[cfg(test)]
mod tests {
    use super::super::cases::CASES;
    use super::*;

    fn outcome(sabotaged: bool, failure: Option<&str>) -> Outcome {
        Outcome {
            case: &CASES[0],
            run: 2,
            sabotaged,
            failure: failure.map(str::to_owned),
            notes: "after 1 s".to_owned(),
            explained: Vec::new(),
            took: Duration::from_millis(1_234),
            directory: "d".into(),
            logs: vec![("r1".to_owned(), "d/r1.log".into())],
        }
    }

    #[test]
    fn a_sabotage_counts_only_if_it_is_noticed_for_its_reason() {
        let noticed = format!("gave up until {}; r1 sees nobody", CASES[0].notices);
        assert!(outcome(true, Some(&noticed)).is_good());
        assert!(!outcome(true, Some("the node crashed")).is_good());
        assert!(!outcome(true, None).is_good());
        assert!(outcome(false, None).is_good());
        assert!(!outcome(false, Some(&noticed)).is_good());
    }

    #[test]
    fn a_failed_case_names_the_logs_and_a_run_without_a_case_proves_nothing() {
        let mut report = Report::new(false, false, 2);
        let failed = outcome(false, Some("gave up"));
        let lines = report.lines(&failed, false);
        assert!(lines[0].contains("(run 2)") && lines[0].contains("1.2 s  gave up"), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("r1: d/r1.log")), "{lines:?}");
        assert_eq!(object(&failed, false)["logs"]["r1"], "d/r1.log");
        assert!(!report.close());
        report.add(&outcome(false, None));
        assert!(report.close());
        report.add(&failed);
        assert!(!report.close());
    }
}
