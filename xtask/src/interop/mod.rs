//! `cargo xtask interop`: nodes and Go peers in one cluster, case by case.
//!
//! What a case proves is in its story; in addition, a line in a log that no case accepts fails it.

mod case_report;
mod cases;
mod earlier_cases;
mod lifecycle_cases;
mod message_cases;
mod steps;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use case_report::{Outcome, Report};
use cases::{CASES, Case, EARLIER_CASES};

use crate::fleet::folder::Folder;
use crate::fleet::observer::Transcript;
use crate::fleet::programs::{GoPeer, Programs};
use crate::fleet::stage::Stage;
use crate::fleet::stall_detector::StallDetector;

use crate::fleet::{Fleet, Program, logs};
use crate::{Stop, clock};

/// A failed case says so if the machine itself paused for longer: members take half a second of
/// silence for a failed probe.
const UNUSUAL: Duration = Duration::from_millis(100);
/// A paused or stuck member does not hold up a failed case's counters for longer.
const FAREWELL: Duration = Duration::from_secs(2);
/// The last commit whose nodes say nothing of their features and process when they connect.
const EARLIER: &str = "023e00f1c726fcc82535e6cefcf2897a00e7aa1a";
/// Cases at a time: they mostly wait.
const WORKERS: usize = 4;

#[derive(clap::Args)]
#[command(after_help = "\
Each case prints one line with its time. Where one fails, certificates, logs and a transcript stay \
and are named. Exit codes: 0 all passed, 1 some did not, 2 bad input or no Go here, 130 \
interrupted.

--sabotage breaks what a case is about: it must then fail, with exit code 1. --prove does that to \
the chosen cases and passes if each of them notices.

With --json, stdout is one object a line:
  case      case, run, ok, ms, notes; if not ok: reason, directory, logs (name to path)
  summary   ok, passed, failed, ms. Always the last line.")]
pub(crate) struct Arguments {
    /// Run everything this many times
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    repeat: u16,
    /// Run this case alone; may be given more than once
    #[arg(long, value_name = "NAME", value_parser = names())]
    case: Vec<String>,
    /// Run this case with its cause broken: it must then fail
    #[arg(long, value_name = "CASE", value_parser = names())]
    #[arg(conflicts_with_all = ["case", "prove"])]
    sabotage: Option<String>,
    /// Sabotage each chosen case, and pass if all of them notice
    #[arg(long)]
    prove: bool,
    /// Choose the quick cases
    #[arg(long, conflicts_with = "case")]
    quick: bool,
    /// Instead of the cases, watch three nodes and three Go peers for this long
    #[arg(long, value_name = "MINUTES")]
    #[arg(conflicts_with_all = ["case", "sabotage", "prove", "quick"])]
    quiet: Option<u16>,
    /// Instead of the cases with Go, run those with the node of an earlier commit
    #[arg(long, conflicts_with_all = ["case", "sabotage", "quick", "quiet", "newest"])]
    earlier: bool,
    /// Build the Go peer with the newest memberlist
    #[arg(long)]
    newest: bool,
    /// Keep certificates, logs and transcripts
    #[arg(long)]
    keep: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// List the cases and run none
    #[arg(long)]
    list: bool,
}

fn names() -> clap::builder::PossibleValuesParser {
    CASES.iter().map(|case| case.name).collect::<Vec<_>>().into()
}

/// One case to be run.
#[derive(Clone, Copy)]
struct Task {
    case: &'static Case,
    run: u16,
    sabotaged: bool,
}

/// Runs the chosen cases.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Stop> {
    if arguments.list {
        for case in CASES {
            println!("{:<22}{}; sabotage: {}", case.name, case.about, case.sabotage);
        }
        return Ok(());
    }
    let Some(programs) = build(arguments)? else { return Ok(()) };
    let mut folder = Folder::create("interop")?;
    if arguments.keep {
        folder.keep();
        eprintln!("xtask: certificates, logs and transcripts stay in {}", folder.path().display());
    }
    if let Some(minutes) = arguments.quiet {
        let fleet = Fleet::new(programs, folder.path());
        let mut stage = Stage::new(fleet, Transcript::create(folder.path())?);
        let told = lifecycle_cases::quiet(&mut stage, minutes);
        if let Err(Stop::Failed(_) | Stop::Cannot { .. }) = &told {
            folder.keep();
            eprintln!("xtask: the logs are in {}", folder.path().display());
        }
        return told;
    }
    let tasks = choose(arguments);
    let mut report = Report::new(arguments.json, arguments.prove, tasks.len());
    play(&programs, folder.path(), arguments.keep, tasks, &mut report)?;
    if report.close() {
        return Ok(());
    }
    folder.keep();
    Err(Stop::Said(1))
}

/// The programs that the chosen cases need; `None` where one cannot be had, which is said.
fn build(arguments: &Arguments) -> Result<Option<Programs>, Stop> {
    let go = match arguments {
        Arguments { earlier: true, .. } => GoPeer::No,
        Arguments { newest: true, .. } => GoPeer::Newest,
        _ => GoPeer::Pinned,
    };
    let programs = Programs::build(go)?;
    if !arguments.earlier {
        return Ok(Some(programs));
    }
    let with_earlier = programs.with_earlier(EARLIER)?;
    if with_earlier.is_none() {
        println!("skipped: this clone lacks the commit {EARLIER}: git fetch --unshallow");
    }
    Ok(with_earlier)
}

/// The tasks, the longest first within each run.
fn choose(arguments: &Arguments) -> VecDeque<Task> {
    let only = arguments.sabotage.as_slice();
    let named = if only.is_empty() { arguments.case.as_slice() } else { only };
    let cases = if arguments.earlier { EARLIER_CASES } else { CASES };
    let mut chosen: Vec<&'static Case> = cases
        .iter()
        .filter(|case| named.is_empty() || named.iter().any(|name| name == case.name))
        .filter(|case| !arguments.quick || case.is_quick())
        .collect();
    chosen.sort_by_key(|case| std::cmp::Reverse(case.seconds));
    let sabotaged = arguments.prove || arguments.sabotage.is_some();
    (1..=arguments.repeat)
        .flat_map(|run| chosen.iter().map(move |case| Task { case, run, sabotaged }))
        .collect()
}

/// Carries out the tasks, several at a time, and reports each as it ends. The only error is an
/// interrupt.
fn play(
    programs: &Programs,
    folder: &Path,
    keep: bool,
    tasks: VecDeque<Task>,
    report: &mut Report,
) -> Result<(), Stop> {
    let tasks = Mutex::new(tasks);
    let next = || tasks.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let (sender, outcomes) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            let sender = sender.clone();
            // After an interrupt nobody receives, and the worker ends.
            let work = move || {
                while let Some(task) = next() {
                    if sender.send(perform(programs, folder, keep, task)).is_err() {
                        return;
                    }
                }
            };
            scope.spawn(work);
        }
        drop(sender);
        outcomes.into_iter().try_for_each(|outcome| {
            report.add(&outcome?);
            Ok(())
        })
    })
}

/// Tells one story from beginning to end. The only error is an interrupt.
fn perform(programs: &Programs, folder: &Path, keep: bool, task: Task) -> Result<Outcome, Stop> {
    let own = folder.join(format!("{}-{}", task.case.name, task.run));
    let began = clock::now();
    let mut outcome = Outcome {
        case: task.case,
        run: task.run,
        sabotaged: task.sabotaged,
        failure: None,
        notes: String::new(),
        explained: Vec::new(),
        took: Duration::ZERO,
        directory: own.clone(),
        logs: Vec::new(),
    };
    let stall_detector = StallDetector::start();
    let told = std::fs::create_dir(&own)
        .map_err(|error| Stop::cannot(format!("make {}", own.display()), error))
        .and_then(|()| Transcript::create(&own))
        .and_then(|transcript| {
            let mut stage = Stage::new(Fleet::new(programs.clone(), &own), transcript);
            let told = (task.case.tell)(&mut stage, task.sabotaged);
            if matches!(told, Err(Stop::Failed(_) | Stop::Cannot { .. })) {
                stage.collect_counters(FAREWELL)?;
            }
            outcome.notes = stage.notes.join(", ");
            outcome.explained.append(&mut stage.explained);
            outcome.logs = stage.fleet.logs();
            told
        });
    let late = stall_detector.end();
    outcome.took = began.elapsed();
    outcome.failure = match told {
        Err(Stop::Interrupted) => return Err(Stop::Interrupted),
        Err(stop) => Some(stop.told()),
        Ok(()) => first_unaccepted(&outcome),
    };
    if let Some(reason) = outcome.failure.as_mut().filter(|_| late > UNUSUAL) {
        reason.push_str(&format!("; the machine stood still for {late:.0?} meanwhile"));
    }
    if !keep && outcome.is_good() {
        let _ = std::fs::remove_dir_all(&own);
    }
    Ok(outcome)
}

/// The first line of any log that nobody accepts in this case.
fn first_unaccepted(outcome: &Outcome) -> Option<String> {
    outcome.logs.iter().find_map(|(name, path)| {
        let (log, faults) = (logs::read(path), !outcome.case.calm);
        let line = logs::first_unaccepted(&log, Program::named(name), faults, &outcome.explained)?;
        Some(format!("{name} logged: {line}"))
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn chosen(line: &[&str]) -> Vec<(&'static str, u16, bool)> {
        let line = Line::try_parse_from([&["interop"], line].concat()).unwrap();
        let tasks = choose(&line.arguments);
        tasks.iter().map(|task| (task.case.name, task.run, task.sabotaged)).collect()
    }

    #[test]
    fn all_cases_run_by_default_and_the_longest_first() {
        let all = chosen(&[]);
        assert_eq!(all.len(), CASES.len());
        assert!(all[0].0.starts_with("crash"));
        assert!(all.iter().all(|(_, run, sabotaged)| *run == 1 && !sabotaged));
    }

    #[test]
    fn cases_are_chosen_repeated_and_sabotaged_as_asked() {
        assert_eq!(
            chosen(&["--case", "credit", "--repeat", "2"]),
            [("credit", 1, false), ("credit", 2, false)]
        );
        assert_eq!(chosen(&["--sabotage", "leave"]), [("leave", 1, true)]);
        let quick = chosen(&["--quick", "--prove"]);
        assert!(quick.len() > 10 && quick.len() < CASES.len());
        assert!(quick.iter().all(|(_, _, sabotaged)| *sabotaged));
    }
}
