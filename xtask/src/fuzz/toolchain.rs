//! The compiler that fuzzing needs: one with AddressSanitizer, whose flags are unstable.
//!
//! The nightly compiler if it has the sanitizer's runtime, else the one that runs this program
//! with its unstable flags unlocked. Installs nothing; says what is missing and how to get it.

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::process::Command;

use crate::{Stop, process, workspace};

/// Coverage as libFuzzer wants it (counters and places), and the sanitizer.
pub(super) const FLAGS: &[&str] = &[
    "-Zsanitizer=address",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "--cfg=fuzzing",
];

/// Compared values too: they lead to constants, at the price of half of all executions.
pub(super) const COMPARES: &str = "-Cllvm-args=-sanitizer-coverage-trace-compares";

/// A compiler that can fuzz.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Toolchain {
    channel: Channel,
    host: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Channel {
    Nightly,
    /// Whichever runs this program, unstable flags unlocked.
    Own,
}

impl Channel {
    fn command(self, program: &str) -> Command {
        let mut command = Command::new("rustup");
        match self {
            Self::Nightly => {
                command.args(["run", "nightly", program]);
            }
            Self::Own if program == "cargo" => {
                command = workspace::cargo();
                command.env("RUSTC_BOOTSTRAP", "1");
            }
            Self::Own => command = Command::new(program),
        }
        command
    }

    /// The host's name, if this compiler has the sanitizer's runtime.
    fn host(self) -> Option<String> {
        let ask = |what| process::answer(self.command("rustc").args(["--print", what]));
        let (host, root) = (ask("host-tuple")?, ask("sysroot")?);
        let libraries = Path::new(&root).join("lib/rustlib").join(&host).join("lib");
        let mut names = std::fs::read_dir(libraries).ok()?.flatten().map(|entry| entry.file_name());
        names.any(|name| is_runtime(&name)).then_some(host)
    }
}

impl Toolchain {
    /// # Errors
    /// [`Stop::BadInput`] (exit code 2) with the line to type when something is missing.
    pub(super) fn find() -> Result<Self, Stop> {
        let compilers = ["c++", "g++", "clang++"];
        let has_compiler = compilers
            .iter()
            .any(|name| process::answer(Command::new(name).arg("--version")).is_some());
        let found = [Channel::Nightly, Channel::Own]
            .into_iter()
            .find_map(|channel| Some(Self { channel, host: channel.host()? }));
        match found {
            Some(toolchain) if has_compiler => Ok(toolchain),
            Some(_) => Err(Stop::BadInput(
                "libFuzzer needs a C++ compiler; install one, for example: apt-get install g++"
                    .into(),
            )),
            None => Err(Stop::BadInput(
                "no compiler here has AddressSanitizer; install one: rustup toolchain install \
                 nightly"
                    .into(),
            )),
        }
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn cargo(&self) -> Command {
        self.channel.command("cargo")
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.channel {
            Channel::Nightly => "nightly compiler",
            Channel::Own => "own compiler, unstable flags unlocked",
        })
    }
}

/// As in `librustc-nightly_rt.asan.a`.
fn is_runtime(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("librustc") && name.contains("_rt.asan.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_is_told_from_other_libraries() {
        let is_runtime = |name: &str| is_runtime(OsStr::new(name));
        assert!(is_runtime("librustc-nightly_rt.asan.a"));
        assert!(is_runtime("librustc-stable_rt.asan.a"));
        assert!(!is_runtime("librustc-nightly_rt.tsan.a"));
        assert!(!is_runtime("libstd-d1237ef7159db0a2.so"));
    }

    #[test]
    fn only_the_own_compiler_is_unlocked() {
        let is_unlocked = |channel: Channel| channel.command("cargo").get_envs().next().is_some();
        assert!(is_unlocked(Channel::Own));
        assert!(!is_unlocked(Channel::Nightly));
    }
}
