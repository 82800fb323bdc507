//! `cargo xtask test`: the whole check, step by step.
//!
//! One constant lists the steps; each is a child process, so that one that dies takes no other
//! with it. All steps run even when one has failed, and the last line counts them.

use std::process::Command;
use std::time::Duration;

use crate::{Stop, clock, prerequisites, process, workspace};

/// The steps, in order: cheap ones first.
const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        about: "the code is formatted",
        work: Work::Cargo(&["fmt", "--all", "--check"]),
    },
    Step { name: "tidy", about: "architecture and style are kept", work: Work::Xtask(&["tidy"]) },
    Step {
        name: "clippy",
        about: "no lint complains",
        work: Work::Cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    },
    Step {
        name: "docs",
        about: "the documentation builds without a warning",
        work: Work::Docs(&["doc", "--workspace", "--no-deps"]),
    },
    Step {
        name: "tests",
        about: "unit, integration and documentation tests",
        work: Work::Cargo(&["test", "--workspace"]),
    },
    Step {
        name: "sim",
        about: "256 seeds of simulated weather break no rule",
        work: Work::Xtask(&["sim", "--seeds", "0..256"]),
    },
    Step {
        name: "demo",
        about: "five real nodes: gather, crash, leave, restart",
        work: Work::Xtask(&["demo"]),
    },
    Step {
        name: "demo-crash",
        about: "the demo notices a crash that does not happen",
        work: Work::Refused(&["demo", "--sabotage", "crash"], "see that n2 failed"),
    },
    Step {
        name: "demo-leave",
        about: "the demo notices a leave that does not happen",
        work: Work::Refused(&["demo", "--sabotage", "leave"], "see that n3 left"),
    },
    Step {
        name: "demo-restart",
        about: "the demo notices a restart that does not happen",
        work: Work::Refused(&["demo", "--sabotage", "restart"], "see n2 alive again"),
    },
];

struct Step {
    name: &'static str,
    about: &'static str,
    work: Work,
}

enum Work {
    Cargo(&'static [&'static str]),
    /// Cargo with warnings of rustdoc as errors; other steps do not see that setting.
    Docs(&'static [&'static str]),
    /// A command of this program.
    Xtask(&'static [&'static str]),
    /// A command of this program that must exit with 1 and print this in its last words.
    Refused(&'static [&'static str], &'static str),
}

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
    passed: bool,
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
    let program = std::env::current_exe()
        .map_err(|error| Stop::Failed(format!("cannot find this program: {error}")))?;
    prerequisites::ensure()?;
    let listed: Vec<&str> = chosen.iter().map(|step| step.name).collect();
    println!("running {} steps: {}", chosen.len(), listed.join(", "));
    let mut outcomes = Vec::new();
    for (index, step) in chosen.iter().enumerate() {
        println!("\n[{}/{}] {}: {}", index + 1, chosen.len(), step.name, step.about);
        let began = clock::now();
        let passed = match step.work.run(&program, step.name) {
            Ok(passed) => passed,
            Err(Stop::Interrupted) => return Err(Stop::Interrupted),
            Err(stop) => {
                println!("{stop}");
                false
            }
        };
        let took = began.elapsed();
        println!("[{}/{}] {}", index + 1, chosen.len(), line(step.name, passed, took));
        outcomes.push(Outcome { step, passed, took });
    }
    println!("\n{}", report(&outcomes));
    if outcomes.iter().all(|outcome| outcome.passed) { Ok(()) } else { Err(Stop::Said(1)) }
}

fn choose(only: &[String], from: Option<&str>) -> Vec<&'static Step> {
    let named = |step: &&Step| only.is_empty() || only.iter().any(|name| name == step.name);
    STEPS
        .iter()
        .skip_while(|step| from.is_some_and(|name| name != step.name))
        .filter(named)
        .collect()
}

impl Work {
    fn run(&self, program: &std::path::Path, name: &str) -> Result<bool, Stop> {
        let mut cargo = workspace::cargo();
        cargo.current_dir(workspace::root());
        let mut this = Command::new(program);
        match self {
            Self::Cargo(arguments) => Ok(process::run(cargo.args(*arguments), name)?.success()),
            Self::Docs(arguments) => {
                cargo.env("RUSTDOCFLAGS", "-D warnings");
                Ok(process::run(cargo.args(*arguments), name)?.success())
            }
            Self::Xtask(arguments) => Ok(process::run(this.args(*arguments), name)?.success()),
            Self::Refused(arguments, words) => {
                let ended = process::capture(this.args(*arguments), name)?;
                let told = ended.lines.iter().rfind(|line| line.starts_with("demo "));
                let told = told.map_or("no verdict", String::as_str);
                println!("{told}");
                Ok(ended.status.code() == Some(1) && told.contains(words))
            }
        }
    }
}

fn line(name: &str, passed: bool, took: Duration) -> String {
    let verdict = if passed { "passed" } else { "FAILED" };
    format!("{name:<14}{verdict}  {:8.1} s", took.as_secs_f64())
}

/// The table of all outcomes and the closing line.
fn report(outcomes: &[Outcome]) -> String {
    let passed = outcomes.iter().filter(|outcome| outcome.passed).count();
    let mut lines: Vec<String> = outcomes
        .iter()
        .map(|outcome| line(outcome.step.name, outcome.passed, outcome.took))
        .collect();
    lines.push(format!("{passed} passed, {} failed", outcomes.len() - passed));
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
        let outcome = |index: usize, passed| Outcome {
            step: &STEPS[index],
            passed,
            took: Duration::from_millis(1500),
        };
        let report = report(&[outcome(0, true), outcome(1, false), outcome(2, true)]);
        assert!(report.ends_with("\n2 passed, 1 failed"), "{report}");
        assert!(report.contains("tidy          FAILED       1.5 s"), "{report}");
    }

    #[test]
    fn no_two_steps_share_a_name() {
        let mut names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
    }
}
