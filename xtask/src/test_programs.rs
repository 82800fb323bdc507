//! `cargo xtask tests`: all tests of the workspace. Cargo builds their programs, several of which
//! run at the same time, as most wait most of the time. What a program prints is shown if one of
//! its tests fails.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::{Stop, clock, process, workspace};

/// What is tested.
const WHAT: [&str; 2] = ["--workspace", "--all-features"];
/// How many programs run at the same time: on two cores more would hurry none.
const AT_ONCE: usize = 3;

/// A program that cargo has built.
#[derive(Debug, PartialEq, Eq)]
struct TestProgram {
    name: String,
    executable: PathBuf,
    /// Where it runs, as under cargo.
    folder: PathBuf,
}

/// Builds and runs them, then those in the documentation.
pub(crate) fn run() -> Result<(), Stop> {
    let mut build = workspace::cargo();
    build.current_dir(workspace::root()).arg("test").args(WHAT);
    let built = process::capture(
        build.args(["--no-run", "--message-format=json-render-diagnostics"]),
        "building the tests",
    )?;
    if !built.status.success() {
        return Err(Stop::Failed("the tests do not build: see above".to_owned()));
    }
    let programs: VecDeque<TestProgram> =
        built.lines.iter().filter_map(|line| TestProgram::in_message(line)).collect();
    if programs.is_empty() {
        return Err(Stop::Failed("cargo names no program of tests".to_owned()));
    }
    let passed = run_all(programs)?;
    let mut documented = workspace::cargo();
    documented.current_dir(workspace::root()).args(["test", "--doc", "--quiet"]).args(WHAT);
    let documented = process::run(&mut documented, "the tests in the documentation")?;
    if passed && documented.success() { Ok(()) } else { Err(Stop::Said(1)) }
}

fn run_all(programs: VecDeque<TestProgram>) -> Result<bool, Stop> {
    let waiting = Mutex::new(programs);
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work = || {
        let mut passed = true;
        while let Some(program) = next() {
            passed &= program.run()?;
        }
        Ok(passed)
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let ended = workers.into_iter().map(|worker| worker.join().unwrap_or(Err(Stop::Said(1))));
        let all: Vec<bool> = ended.collect::<Result<_, _>>()?;
        Ok(all.into_iter().all(|passed| passed))
    })
}

impl TestProgram {
    /// The one that a message of cargo names, if it does.
    fn in_message(line: &str) -> Option<Self> {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_test = message["profile"]["test"] == true;
        let executable = message["executable"].as_str().filter(|_| is_test)?;
        let manifest = PathBuf::from(message["manifest_path"].as_str()?);
        let folder = manifest.parent()?.to_path_buf();
        let package = folder.file_name()?.to_string_lossy().into_owned();
        let name = format!("{package} {}", message["target"]["name"].as_str()?);
        Some(Self { name, executable: executable.into(), folder })
    }

    /// Runs it and tells how it ended, with all that it printed if it failed.
    fn run(&self) -> Result<bool, Stop> {
        let began = clock::now();
        let mut command = Command::new(&self.executable);
        command.current_dir(&self.folder).env("CARGO_MANIFEST_DIR", &self.folder);
        let (status, said) = process::record(&mut command, &self.name)?;
        let passed = status.success();
        let summary = summary(&said);
        let seconds = began.elapsed().as_secs_f64();
        if passed {
            println!("{:<36}{summary}, {seconds:.1} s", self.name);
        } else {
            println!("{said}\n{:<36}FAILED: {summary}, {seconds:.1} s", self.name);
        }
        Ok(passed)
    }
}

/// The line that counts a program's tests, or that there is none.
fn summary(said: &str) -> String {
    let counted = said.lines().rev().find_map(|line| line.strip_prefix("test result: "));
    let counts: Vec<&str> = counted.unwrap_or("ended early").split("; ").take(3).collect();
    counts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_messages_name_the_programs() {
        let message = |test: bool| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/r/crates/certs/Cargo.toml",
                    "target":{{"name":"reload"}},"profile":{{"test":{test}}},
                    "executable":"/t/reload-1"}}"#
            )
        };
        let program = TestProgram::in_message(&message(true)).unwrap();
        assert_eq!(program.name, "certs reload");
        assert_eq!(program.folder, PathBuf::from("/r/crates/certs"));
        assert_eq!(TestProgram::in_message(&message(false)), None, "an example");
        assert_eq!(TestProgram::in_message("warning: text"), None);
    }

    #[test]
    fn one_program_that_fails_fails_all() {
        let program = |executable: &str| TestProgram {
            name: executable.to_owned(),
            executable: executable.into(),
            folder: workspace::root(),
        };
        let run = |names: &[&str]| run_all(names.iter().map(|name| program(name)).collect());
        assert_eq!(run(&["true", "true", "true", "true"]).ok(), Some(true));
        assert_eq!(run(&["true", "false", "true", "true"]).ok(), Some(false));
        assert!(run(&["no-such-program"]).is_err());
    }

    #[test]
    fn the_last_line_of_counts_is_told() {
        let said = "running 2 tests\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured\n";
        assert_eq!(summary(said), "ok. 2 passed, 0 failed, 0 ignored");
        assert_eq!(summary("Segmentation fault"), "ended early");
    }
}
