//! `cargo xtask test`: the whole check, step by step.
//!
//! One constant lists the steps; each is a child process, so that one that dies takes no other
//! with it. Those that mostly wait run at the same time; what each prints is then shown as one
//! piece, in the order of the list. All steps run even when one has failed, and the last line
//! counts them.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::fleet::{logs, programs};
use crate::{Stop, clock, prerequisites, process, workspace};

/// Archives know nothing of the workspace's profile: with another one BoringSSL would be built
/// again.
const PACKAGE: &[&str] = &[
    "package",
    "--allow-dirty",
    "-pswim-quic-core",
    "-pswim-quic-net",
    "-pswim-quic-certs",
    "-pswim-quic",
    "--config=profile.dev.opt-level=1",
    "--config=profile.dev.debug='line-tables-only'",
    "--config=profile.dev.package.'*'.opt-level=3",
    "--config=profile.dev.package.'*'.debug=false",
];

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
        about: "licences, sources and bans of all dependencies",
        work: Work::WithDeny(&["deny", "--workspace", "check", "bans", "licenses", "sources"]),
    },
    Step {
        name: "clippy",
        about: "no lint complains",
        work: Work::Cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--",
            "-D",
            "warnings",
        ]),
    },
    Step {
        name: "bare",
        about: "no lint complains about the library without its features",
        work: Work::Cargo(&["clippy", "-p", "swim-quic", "--lib", "--", "-D", "warnings"]),
    },
    Step {
        name: "docs",
        about: "the documentation builds without a warning",
        work: Work::Docs(&["doc", "--workspace", "--no-deps", "--all-features"]),
    },
    Step {
        name: "package",
        about: "each package builds from its own archive",
        work: Work::Cargo(PACKAGE),
    },
    Step {
        name: "tests",
        about: "unit, integration and documentation tests, with all features",
        work: Work::Cargo(&["test", "--workspace", "--all-features"]),
    },
    Step {
        name: "sim",
        about: "1,024 seeds of simulated faults break no rule and have the reference digest",
        work: Work::Xtask(&["sim", "--seeds", "0..1024", "--reference"]),
    },
    Step {
        name: "sim-hostile",
        about: "every strategy of hostile members acts in 64 seeds, and no rule is broken",
        work: Work::Xtask(&["sim", "--hostile", "--seeds", "0..64"]),
    },
    Step {
        name: "sim-planted",
        about: "a third of the planted bugs, the commit chooses which, are noticed",
        work: Work::Xtask(&["sim", "--planted", "--smoke"]),
    },
    Step {
        name: "fuzz",
        about: "a fuzzer finds the canary, and nothing in the target whose turn it is",
        work: Work::Xtask(&["fuzz", "--smoke", "--seconds", "15"]),
    },
    Step {
        name: "demo",
        about: "five real nodes: gather, crash, leave, restart",
        work: Work::Cluster(&["demo"]),
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
        name: "earlier",
        about: "nodes and those of an earlier commit share clusters",
        work: Work::Cluster(&["interop", "--earlier"]),
    },
    Step {
        name: "bench",
        about: "the benchmark of clusters works, with ten members of ours",
        work: Work::Cluster(&["bench", "cluster", "--smoke"]),
    },
    Step {
        name: "soak-planted",
        about: "the soak reports the planted fault whose turn it is",
        work: Work::Cluster(&["soak", "--prove", "--smoke"]),
    },
    Step {
        name: "soak",
        about: "eight real nodes crash, freeze, leave and return for two minutes",
        work: Work::Cluster(&["soak", "--nodes", "8", "--minutes", "2", "--seed", "1"]),
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
    /// A command of this program that mostly waits.
    Cluster(&'static [&'static str]),
    /// A command of cargo-deny, which is skipped where that is not installed.
    WithDeny(&'static [&'static str]),
    /// The same, and it must exit with 1 and print this with its verdict.
    Refused(&'static [&'static str], &'static str),
    /// The same, and it needs Go: where there is none it fails in CI, which sets `CI`, and is
    /// skipped elsewhere.
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
    // Steps of one group run at the same time.
    for group in chosen.chunk_by(|one, other| one.work.waits() && other.work.waits()) {
        thread::scope(|scope| {
            let start = |step: &'static Step| {
                let program = &program;
                scope.spawn(move || step.run(program, group.len() > 1))
            };
            let running: Vec<_> = group.iter().map(|step| (*step, start(step))).collect();
            for (step, thread) in running {
                let number = format!("[{}/{}]", outcomes.len() + 1, chosen.len());
                println!("\n{number} {}: {}", step.name, step.about);
                let ended = thread.join().unwrap_or(Err(Stop::Said(1)));
                let (verdict, took, said) = match ended {
                    Ok(ended) => ended,
                    Err(Stop::Interrupted) => return Err(Stop::Interrupted),
                    Err(stop) => (Verdict::Failed, Duration::ZERO, format!("{}\n", stop.told())),
                };
                print!("{said}");
                println!("{number} {}", line(step.name, verdict, took));
                outcomes.push(Outcome { step, verdict, took });
            }
            Ok(())
        })?;
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

impl Step {
    /// Runs it; its output goes to ours, or is returned if it is to be `kept`.
    fn run(&self, program: &Path, kept: bool) -> Result<(Verdict, Duration, String), Stop> {
        let began = clock::now();
        let mut command = match self.work.command(program) {
            Ok(command) => command,
            Err((verdict, missing)) => return Ok((verdict, Duration::ZERO, missing + "\n")),
        };
        let expected = if let Work::Refused(_, words) = self.work { Some(words) } else { None };
        let output = (kept || expected.is_some()).then(|| redirect(&mut command)).transpose()?;
        let status = process::run(&mut command, self.name)?;
        let mut said = output.map(|file| logs::read(file.path())).unwrap_or_default();
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

/// Sends what a command prints to a file.
fn redirect(command: &mut Command) -> Result<NamedTempFile, Stop> {
    let cannot = |error| Stop::cannot("keep a step's output", error);
    let file = NamedTempFile::new().map_err(cannot)?;
    command.stdout(file.reopen().map_err(cannot)?);
    let end = std::fs::OpenOptions::new().append(true).open(file.path());
    command.stderr(end.map_err(cannot)?);
    Ok(file)
}

impl Work {
    /// Whether it mostly waits.
    fn waits(&self) -> bool {
        matches!(self, Self::Cluster(_) | Self::Refused(..) | Self::WithGo(_))
    }

    /// What is to be run, or what becomes of the step and why.
    fn command(&self, program: &Path) -> Result<Command, (Verdict, String)> {
        let mut cargo = workspace::cargo();
        cargo.current_dir(workspace::root());
        let (mut command, arguments) = match self {
            Self::Cargo(arguments) => (cargo, arguments),
            Self::Docs(arguments) => {
                cargo.env("RUSTDOCFLAGS", "-D warnings");
                (cargo, arguments)
            }
            Self::WithDeny(arguments) => {
                let mut version = workspace::cargo();
                if process::answer(version.args(["deny", "--version"])).is_none() {
                    let missing =
                        "cargo-deny is not installed; install it: cargo install cargo-deny";
                    return Err((Verdict::Skipped, missing.to_owned()));
                }
                (cargo, arguments)
            }
            Self::WithGo(arguments) => {
                without_go(std::env::var_os("CI").is_some(), programs::find_go().err())?;
                (Command::new(program), arguments)
            }
            Self::Xtask(arguments) | Self::Cluster(arguments) | Self::Refused(arguments, _) => {
                (Command::new(program), arguments)
            }
        };
        command.args(*arguments);
        Ok(command)
    }
}

/// A machine of the developers may lack Go; where everybody's check runs it must not.
fn without_go(ci: bool, missing: Option<Stop>) -> Result<(), (Verdict, String)> {
    let verdict = if ci { Verdict::Failed } else { Verdict::Skipped };
    missing.map_or(Ok(()), |missing| Err((verdict, missing.told())))
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
    fn steps_that_wait_run_at_the_same_time() {
        let steps = choose(&[], None);
        let groups = steps.chunk_by(|one, other| one.work.waits() && other.work.waits());
        let last: Vec<&str> = groups.last().unwrap().iter().map(|step| step.name).collect();
        assert_eq!(
            last,
            [
                "demo",
                "demo-crash",
                "demo-leave",
                "demo-restart",
                "interop",
                "earlier",
                "bench",
                "soak-planted",
                "soak"
            ]
        );
    }

    #[test]
    fn a_missing_go_fails_in_ci_and_is_told_with_its_remedy() {
        let missing = || Some(Stop::BadInput("no Go; get it".to_owned()));
        let told = "no Go; get it".to_owned();
        assert_eq!(without_go(true, missing()), Err((Verdict::Failed, told.clone())));
        assert_eq!(without_go(false, missing()), Err((Verdict::Skipped, told)));
        assert_eq!(without_go(true, None), Ok(()));
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

    #[test]
    fn the_workflow_runs_every_step_once() {
        let workflow = workspace::root().join(".github/workflows/ci.yml");
        let workflow = std::fs::read_to_string(workflow).unwrap();
        let words: Vec<&str> = workflow.split([' ', '"', '\n']).collect();
        let mut run: Vec<&str> =
            words.windows(2).filter(|pair| pair[0] == "--only").map(|pair| pair[1]).collect();
        let mut steps: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        run.sort_unstable();
        steps.sort_unstable();
        assert_eq!(run, steps);
    }

    #[test]
    fn no_two_steps_share_a_name() {
        let mut names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
    }
}
