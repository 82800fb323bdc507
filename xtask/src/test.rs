//! `cargo xtask test`: the whole check, step by step.
//!
//! Each step is a child process, so that one that dies takes no other with it. Those that mostly
//! wait run at the same time, and beside them, one after the other and with the lowest priority,
//! those that compute; what each prints is then shown as one piece, in the order of the list. All
//! steps run even when one has failed, and the last line counts them.

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::test_steps::{STEPS, Step, Verdict, Work};
use crate::workspace::Archives;
use crate::{Stop, clock, prerequisites, process};

fn names() -> clap::builder::PossibleValuesParser {
    STEPS.iter().map(|step| step.name).collect::<Vec<_>>().into()
}

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// List the steps and run none
    #[arg(long, conflicts_with_all = ["only", "from"])]
    list: bool,
    /// Run this step alone; may be given more than once
    #[arg(long, value_name = "STEP", value_parser = names(), conflicts_with = "from")]
    only: Vec<String>,
    /// Begin with this step
    #[arg(long, value_name = "STEP", value_parser = names())]
    from: Option<String>,
}

/// What became of a step.
struct Outcome {
    step: &'static Step,
    verdict: Verdict,
    took: Duration,
}

/// Runs the chosen steps.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Stop> {
    let chosen = choose(&arguments.only, arguments.from.as_deref());
    if arguments.list {
        for step in STEPS {
            println!("{:<14}{}", step.name, step.about);
        }
        return Ok(());
    }
    let program =
        std::env::current_exe().map_err(|error| Stop::cannot("find this program", error))?;
    prerequisites::ensure()?;
    let listed: Vec<&str> = chosen.iter().map(|step| step.name).collect();
    println!("running {} steps: {}", chosen.len(), listed.join(", "));
    let mut outcomes = Vec::new();
    for group in chosen.chunk_by(|one, other| one.work.is_shared() && other.work.is_shared()) {
        run_group(group, &program, chosen.len(), &mut outcomes)?;
    }
    println!("\n{}", report(&outcomes));
    let failed = outcomes.iter().any(|outcome| outcome.verdict == Verdict::Failed);
    if failed { Err(Stop::Said(1)) } else { Ok(()) }
}

/// Runs steps at the same time, those that compute one after the other, and tells of each in the
/// order of the list.
fn run_group(
    group: &[&'static Step],
    program: &Path,
    count: usize,
    outcomes: &mut Vec<Outcome>,
) -> Result<(), Stop> {
    let is_kept = group.len() > 1;
    thread::scope(|scope| {
        let mut computing = Vec::new();
        let mut ends = Vec::new();
        for &step in group {
            let (sender, receiver) = mpsc::channel();
            ends.push((step, receiver));
            if step.work.computes() {
                computing.push((step, sender));
            } else {
                scope.spawn(move || sender.send(step.run(program, is_kept)));
            }
        }
        scope.spawn(move || {
            for (step, sender) in computing {
                let _ = sender.send(step.run(program, is_kept));
            }
        });
        for (step, end) in ends {
            let number = format!("[{}/{count}]", outcomes.len() + 1);
            println!("\n{number} {}: {}", step.name, step.about);
            let (verdict, took, said) = match end.recv().unwrap_or(Err(Stop::Said(1))) {
                Ok(ended) => ended,
                Err(Stop::Interrupted) => return Err(Stop::Interrupted),
                Err(stop) => (Verdict::Failed, Duration::ZERO, format!("{}\n", stop.told())),
            };
            print!("{said}");
            println!("{number} {}", line(step.name, verdict, took));
            outcomes.push(Outcome { step, verdict, took });
        }
        Ok(())
    })
}

fn choose(only: &[String], from: Option<&str>) -> Vec<&'static Step> {
    let named = |step: &&Step| only.is_empty() || only.iter().any(|name| name == step.name);
    STEPS
        .iter()
        .skip_while(|step| from.is_some_and(|name| name != step.name))
        .filter(named)
        .collect()
}

impl Step {
    /// Runs it; its output goes to ours, or is returned if it is to be `kept`.
    fn run(&self, program: &Path, kept: bool) -> Result<(Verdict, Duration, String), Stop> {
        let began = clock::now();
        let mut command = match self.work.command(program) {
            Ok(command) => command,
            Err((verdict, missing)) => return Ok((verdict, Duration::ZERO, missing + "\n")),
        };
        let expected = if let Work::Refused(_, words) = self.work { Some(words) } else { None };
        let (status, mut said) = if kept || expected.is_some() {
            process::record(&mut command, self.name)?
        } else {
            (process::run(&mut command, self.name)?, String::new())
        };
        if let Work::Package(_) = self.work {
            Archives::here().end()?;
        }
        let passed = expected.map_or(status.success(), |words| {
            let verdict =
                said.lines().rfind(|line| line.starts_with("demo ")).unwrap_or("no verdict");
            let refused = status.code() == Some(1) && verdict.contains(words);
            said = format!("{verdict}\n");
            refused
        });
        Ok((passed.into(), began.elapsed(), said))
    }
}

fn line(name: &str, verdict: Verdict, took: Duration) -> String {
    let verdict = match verdict {
        Verdict::Passed => "passed ",
        Verdict::Failed => "FAILED ",
        Verdict::Skipped => "SKIPPED",
    };
    format!("{name:<14}{verdict} {:8.1} s", took.as_secs_f64())
}

/// The table of all outcomes and the closing line.
fn report(outcomes: &[Outcome]) -> String {
    let count = |verdict| outcomes.iter().filter(|outcome| outcome.verdict == verdict).count();
    let mut lines: Vec<String> = outcomes
        .iter()
        .map(|outcome| line(outcome.step.name, outcome.verdict, outcome.took))
        .collect();
    let (passed, failed) = (count(Verdict::Passed), count(Verdict::Failed));
    lines.push(match count(Verdict::Skipped) {
        0 => format!("{passed} passed, {failed} failed"),
        skipped => format!("{passed} passed, {failed} failed, {skipped} skipped"),
    });
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(only: &[&str], from: Option<&str>) -> Vec<&'static str> {
        let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
        choose(&only, from).iter().map(|step| step.name).collect()
    }

    #[test]
    fn steps_can_be_chosen_one_by_one_or_from_one_on() {
        assert_eq!(chosen(&[], None).len(), STEPS.len());
        assert_eq!(chosen(&["tests", "fmt"], None), ["fmt", "tests"]);
        assert_eq!(chosen(&[], Some("tests"))[..2], ["tests", "sim"]);
    }

    #[test]
    fn the_closing_line_counts_the_steps() {
        let outcome = |index: usize, verdict| Outcome {
            step: &STEPS[index],
            verdict,
            took: Duration::from_millis(1500),
        };
        let (passed, failed) = (Verdict::Passed, Verdict::Failed);
        let three = [outcome(0, passed), outcome(1, failed), outcome(2, passed)];
        let told = report(&three);
        assert!(told.ends_with("\n2 passed, 1 failed"), "{told}");
        let skipped = report(&[outcome(0, passed), outcome(1, Verdict::Skipped)]);
        assert!(skipped.ends_with("\n1 passed, 0 failed, 1 skipped"), "{skipped}");
        assert!(told.contains("tidy          FAILED       1.5 s"), "{told}");
    }

    #[test]
    fn the_last_steps_run_at_the_same_time() {
        let steps = choose(&[], None);
        let groups = steps.chunk_by(|one, other| one.work.is_shared() && other.work.is_shared());
        let groups: Vec<Vec<&str>> =
            groups.map(|group| group.iter().map(|step| step.name).collect()).collect();
        let (last, others) = groups.split_last().unwrap();
        assert!(others.iter().all(|group| group.len() == 1), "{groups:?}");
        assert_eq!((last[0], last.last()), ("sim", Some(&"soak")));
    }

    #[test]
    fn steps_that_run_at_the_same_time_are_told_of_in_their_order() {
        const SCRIPT: &str = "echo $0; test $0 = sh";
        static TWO: [Step; 2] = [
            Step { name: "waits", about: "", work: Work::Cluster(&["-c", SCRIPT]) },
            Step { name: "computes", about: "", work: Work::Xtask(&["-c", SCRIPT, "sh"]) },
        ];
        let mut outcomes = Vec::new();
        run_group(&[&TWO[0], &TWO[1]], Path::new("sh"), 2, &mut outcomes).unwrap();
        let told: Vec<_> = outcomes.iter().map(|one| (one.step.name, one.verdict)).collect();
        assert_eq!(told, [("waits", Verdict::Passed), ("computes", Verdict::Passed)]);
    }

    #[test]
    fn a_step_that_must_be_refused_passes_for_its_reason_only() {
        let refused =
            |words| Step { name: "x", about: "", work: Work::Refused(&["-c", SCRIPT], words) };
        const SCRIPT: &str = "echo noise; echo demo failed: no rain; exit 1";
        let verdict = |words| refused(words).run(Path::new("sh"), true).unwrap();
        let (passed, _, said) = verdict("no rain");
        assert_eq!((passed, said.as_str()), (Verdict::Passed, "demo failed: no rain\n"));
        assert_eq!(verdict("no sun").0, Verdict::Failed);
    }
}
