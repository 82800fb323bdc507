//! `cargo xtask test`: the whole check, step by step.
//!
//! One constant lists the steps; each is a child process, so that one that dies takes no other
//! with it. All steps run even when one has failed, and the last line counts them.

use std::process::Command;
use std::time::Duration;

use crate::fleet::programs;
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
        name: "deny",
        about: "licences, sources and advisories of all dependencies",
        work: Work::WithDeny(&["deny", "--workspace", "check"]),
    },
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
        about: "1,024 seeds of simulated faults break no rule, and every kind of fault occurs",
        work: Work::Xtask(&["sim", "--seeds", "0..1024"]),
    },
    Step {
        name: "fuzz",
        about: "a fuzzer finds the canary, and nothing in the target whose turn it is",
        work: Work::Xtask(&["fuzz", "--smoke", "--seconds", "15"]),
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
    Step {
        name: "interop",
        about: "nodes and Go peers share clusters",
        work: Work::WithGo(&["interop"]),
    },
    Step {
        name: "soak",
        about: "eight real nodes crash, freeze, leave and return for two minutes",
        work: Work::Xtask(&["soak", "--nodes", "8", "--minutes", "2", "--seed", "1"]),
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
    /// A command of cargo-deny, which is skipped where that is not installed.
    WithDeny(&'static [&'static str]),
    /// A command of this program that must exit with 1 and print this in its last words.
    Refused(&'static [&'static str], &'static str),
    /// A command of this program that needs Go, and is skipped where there is none.
    WithGo(&'static [&'static str]),
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    /// It could not run here, and said why.
    Skipped,
}

impl From<bool> for Verdict {
    fn from(passed: bool) -> Self {
        if passed { Self::Passed } else { Self::Failed }
    }
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
    for (index, step) in chosen.iter().enumerate() {
        println!("\n[{}/{}] {}: {}", index + 1, chosen.len(), step.name, step.about);
        let began = clock::now();
        let verdict = match step.work.run(&program, step.name) {
            Ok(verdict) => verdict,
            Err(Stop::Interrupted) => return Err(Stop::Interrupted),
            Err(stop) => {
                println!("{}", stop.told());
                Verdict::Failed
            }
        };
        let took = began.elapsed();
        println!("[{}/{}] {}", index + 1, chosen.len(), line(step.name, verdict, took));
        outcomes.push(Outcome { step, verdict, took });
    }
    println!("\n{}", report(&outcomes));
    let failed = outcomes.iter().any(|outcome| outcome.verdict == Verdict::Failed);
    if failed { Err(Stop::Said(1)) } else { Ok(()) }
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
    fn run(&self, program: &std::path::Path, name: &str) -> Result<Verdict, Stop> {
        let mut cargo = workspace::cargo();
        cargo.current_dir(workspace::root());
        let mut this = Command::new(program);
        match self {
            Self::Cargo(arguments) => {
                Ok(process::run(cargo.args(*arguments), name)?.success().into())
            }
            Self::Docs(arguments) => {
                cargo.env("RUSTDOCFLAGS", "-D warnings");
                Ok(process::run(cargo.args(*arguments), name)?.success().into())
            }
            Self::Xtask(arguments) => {
                Ok(process::run(this.args(*arguments), name)?.success().into())
            }
            Self::WithGo(arguments) => match programs::find_go() {
                Ok(_) => Ok(process::run(this.args(*arguments), name)?.success().into()),
                Err(missing) => {
                    println!("{missing}");
                    Ok(Verdict::Skipped)
                }
            },
            Self::WithDeny(arguments) => {
                let mut version = workspace::cargo();
                if process::answer(version.args(["deny", "--version"])).is_none() {
                    println!("cargo-deny is not installed; install it: cargo install cargo-deny");
                    return Ok(Verdict::Skipped);
                }
                Ok(process::run(cargo.args(*arguments), name)?.success().into())
            }
            Self::Refused(arguments, words) => {
                let ended = process::capture(this.args(*arguments), name)?;
                let told = ended.lines.iter().rfind(|line| line.starts_with("demo "));
                let told = told.map_or("no verdict", String::as_str);
                println!("{told}");
                Ok((ended.status.code() == Some(1) && told.contains(words)).into())
            }
        }
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
    fn no_two_steps_share_a_name() {
        let mut names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
    }
}
