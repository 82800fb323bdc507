//! What `cargo xtask test` runs: one constant lists the steps.

use std::path::Path;
use std::process::Command;

use crate::fleet::programs;
use crate::workspace::{self, Archives};
use crate::{Stop, process};

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
pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        about: "the code is formatted",
        work: Work::Cargo(&["fmt", "--all", "--check"]),
    },
    Step { name: "tidy", about: "architecture and style are kept", work: Work::Alone(&["tidy"]) },
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
        work: Work::Unlinked(&["clippy", "-p", "swim-quic", "--lib", "--", "-D", "warnings"]),
    },
    Step {
        name: "docs",
        about: "the documentation builds without a warning",
        work: Work::Docs(&["doc", "--workspace", "--no-deps", "--all-features"]),
    },
    Step {
        name: "package",
        about: "each package builds from its own archive",
        work: Work::Package(PACKAGE),
    },
    Step {
        name: "tests",
        about: "unit, integration and documentation tests, with all features",
        work: Work::Alone(&["tests"]),
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
        about: "a sixth of the planted bugs, the commit chooses which, are noticed",
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

pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) work: Work,
}

pub(crate) enum Work {
    Cargo(&'static [&'static str]),
    /// Cargo where no program is linked, and other features are chosen than for all: for them
    /// BoringSSL would be built once more.
    Unlinked(&'static [&'static str]),
    /// Cargo with the packages of this repository as archives.
    Package(&'static [&'static str]),
    /// Cargo with warnings of rustdoc as errors; other steps do not see that setting.
    Docs(&'static [&'static str]),
    /// A command of this program that runs alone.
    Alone(&'static [&'static str]),
    /// A command of this program that mostly computes, and does not care how long it takes.
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
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

impl Work {
    /// Whether it can run while others do.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Self::Xtask(_) | Self::Cluster(_) | Self::Refused(..) | Self::WithGo(_))
    }

    /// Whether it takes a processor for itself, which others have before it.
    pub(crate) fn computes(&self) -> bool {
        matches!(self, Self::Xtask(_))
    }

    /// What is to be run, or what becomes of the step and why.
    pub(crate) fn command(&self, program: &Path) -> Result<Command, (Verdict, String)> {
        let mut cargo = workspace::cargo();
        cargo.current_dir(workspace::root());
        let (mut command, arguments): (_, &[_]) = match self {
            Self::Cargo(arguments) => (cargo, arguments),
            Self::Unlinked(arguments) => {
                workspace::use_built_boringssl(&mut cargo);
                (cargo, arguments)
            }
            Self::Package(arguments) => {
                let begun = Archives::here().begin();
                begun.map_err(|error| (Verdict::Failed, error.told()))?;
                (cargo, arguments)
            }
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
            Self::Xtask(arguments) => {
                let mut nice = Command::new("nice");
                nice.args(["-n", "19"]).arg(program);
                (nice, arguments)
            }
            Self::Alone(arguments) | Self::Cluster(arguments) | Self::Refused(arguments, _) => {
                (Command::new(program), arguments)
            }
        };
        command.args(arguments);
        Ok(command)
    }
}

/// A machine of the developers may lack Go; where everybody's check runs it must not.
fn without_go(ci: bool, missing: Option<Stop>) -> Result<(), (Verdict, String)> {
    let verdict = if ci { Verdict::Failed } else { Verdict::Skipped };
    missing.map_or(Ok(()), |missing| Err((verdict, missing.told())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_go_fails_in_ci_and_is_told_with_its_remedy() {
        let missing = || Some(Stop::BadInput("no Go; get it".to_owned()));
        let told = "no Go; get it".to_owned();
        assert_eq!(without_go(true, missing()), Err((Verdict::Failed, told.clone())));
        assert_eq!(without_go(false, missing()), Err((Verdict::Skipped, told)));
        assert_eq!(without_go(true, None), Ok(()));
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
