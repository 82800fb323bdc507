//! What BoringSSL's build needs beside Rust: cmake, make, git (it patches its sources with it), a
//! C++ compiler, libclang.
//!
//! Looks for them as the build will. As root on a system with apt-get it installs what is missing;
//! otherwise it prints the line to type. It never calls sudo, never asks a question, and does
//! nothing on a machine that has everything.

mod search;

use std::process::Command;

use crate::{Stop, process};
use search::Need;

/// A package manager and what it calls the needs.
struct Manager {
    install: &'static str,
    /// In the order of [`Need::ALL`].
    packages: [&'static str; 5],
}

const MANAGERS: [Manager; 5] = [
    Manager {
        install: "apt-get install -y",
        packages: ["cmake", "make", "git", "g++", "libclang-dev"],
    },
    Manager {
        install: "dnf install -y",
        packages: ["cmake", "make", "git", "gcc-c++", "clang-devel"],
    },
    Manager { install: "pacman -S --needed", packages: ["cmake", "make", "git", "gcc", "clang"] },
    Manager { install: "apk add", packages: ["cmake", "make", "git", "g++", "clang-dev"] },
    Manager { install: "brew install", packages: ["cmake", "make", "git", "llvm", "llvm"] },
];

impl Manager {
    /// The line that installs what is missing, for root (brew: for any other user).
    fn line(&self, missing: &[Need]) -> String {
        let mut packages: Vec<&str> = Need::ALL
            .iter()
            .zip(self.packages)
            .filter(|(need, _)| missing.contains(need))
            .map(|(_, package)| package)
            .collect();
        packages.dedup();
        format!("{} {}", self.install, packages.join(" "))
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Plan {
    Ready,
    /// Commands to run, one after the other.
    Install(Vec<Vec<String>>),
    /// What to tell the user.
    Tell(String),
}

fn plan(missing: &[Need], has_apt: bool, is_root: bool) -> Plan {
    if missing.is_empty() {
        return Plan::Ready;
    }
    if !has_apt || !is_root {
        return Plan::Tell(advice(missing));
    }
    let install = format!("env DEBIAN_FRONTEND=noninteractive {}", MANAGERS[0].line(missing));
    let words = |line: &str| line.split(' ').map(str::to_owned).collect();
    Plan::Install(vec![words("apt-get update"), words(&install)])
}

fn named(missing: &[Need]) -> String {
    missing.iter().map(Need::to_string).collect::<Vec<_>>().join(", ")
}

fn advice(missing: &[Need]) -> String {
    let mut text = format!("missing: {}; install as root with one of", named(missing));
    for manager in &MANAGERS {
        text.push_str(&format!("\n    {}", manager.line(missing)));
    }
    text
}

/// Makes sure that everything is there, installing it where this user may.
///
/// # Errors
/// [`Stop::BadInput`] (exit code 2) with the lines to type where it is not.
pub(crate) fn ensure() -> Result<(), Stop> {
    let missing = search::missing();
    let is_root = rustix::process::geteuid().is_root();
    match plan(&missing, search::on_path("apt-get"), is_root) {
        Plan::Ready => Ok(()),
        Plan::Tell(advice) => Err(Stop::BadInput(advice)),
        Plan::Install(commands) => {
            eprintln!("xtask: missing: {}; installing", named(&missing));
            for words in &commands {
                let line = words.join(" ");
                eprintln!("xtask: {line}");
                let status = process::run(Command::new(&words[0]).args(&words[1..]), &line)?;
                if !status.success() {
                    return Err(Stop::BadInput(format!("{line} failed; {}", advice(&missing))));
                }
            }
            let still = search::missing();
            if still.is_empty() {
                return Ok(());
            }
            Err(Stop::BadInput(format!("after installing, still {}", advice(&still))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complete_machine_is_left_alone() {
        assert_eq!(plan(&[], true, true), Plan::Ready);
    }

    #[test]
    fn root_with_apt_installs_what_is_missing_and_only_that() {
        let Plan::Install(commands) = plan(&[Need::Cmake, Need::Libclang], true, true) else {
            panic!("root with apt installs");
        };
        assert_eq!(commands[0], ["apt-get", "update"]);
        assert_eq!(
            commands[1].join(" "),
            "env DEBIAN_FRONTEND=noninteractive apt-get install -y cmake libclang-dev"
        );
    }

    #[test]
    fn others_are_told_the_line_for_each_package_manager() {
        for (has_apt, is_root) in [(false, true), (true, false), (false, false)] {
            let Plan::Tell(advice) =
                plan(&[Need::Cmake, Need::Compiler, Need::Libclang], has_apt, is_root)
            else {
                panic!("nothing can be installed here");
            };
            for line in [
                "missing: cmake, a C++ compiler, libclang",
                "\n    apt-get install -y cmake g++ libclang-dev",
                "\n    dnf install -y cmake gcc-c++ clang-devel",
                "\n    pacman -S --needed cmake gcc clang",
                "\n    apk add cmake g++ clang-dev",
                "\n    brew install cmake llvm",
            ] {
                assert!(advice.contains(line), "{line} not in {advice}");
            }
            assert!(!advice.contains("sudo"), "{advice}");
        }
    }
}
