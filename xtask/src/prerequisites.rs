//! What BoringSSL's build needs beside Rust: cmake, make, git (it patches its sources with it), a
//! C++ compiler, libclang.
//!
//! Looks for them as the build will, installs what is missing where it can (apt-get, as root or
//! with sudo that asks for no password), and otherwise names the line to type. Never asks a
//! question and never touches a machine that has everything.

mod search;

use std::fmt;
use std::process::Command;

use crate::{Stop, process};

/// One thing the build needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Cmake,
    Make,
    Git,
    Compiler,
    Libclang,
}

impl Need {
    const ALL: [Self; 5] = [Self::Cmake, Self::Make, Self::Git, Self::Compiler, Self::Libclang];
}

impl fmt::Display for Need {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Cmake => "cmake",
            Self::Make => "make",
            Self::Git => "git",
            Self::Compiler => "a C++ compiler",
            Self::Libclang => "libclang",
        })
    }
}

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
    /// The line that installs what is missing; brew refuses to run as root.
    fn line(&self, missing: &[Need]) -> String {
        let mut packages: Vec<&str> = Need::ALL
            .iter()
            .zip(self.packages)
            .filter(|(need, _)| missing.contains(need))
            .map(|(_, package)| package)
            .collect();
        packages.dedup();
        let sudo = if self.install.starts_with("brew") { "" } else { "sudo " };
        format!("{sudo}{} {}", self.install, packages.join(" "))
    }
}

/// How this user may install packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Power {
    Root,
    Sudo,
    None,
}

#[derive(Debug, PartialEq, Eq)]
enum Plan {
    Ready,
    /// Commands to run, one after the other.
    Install(Vec<Vec<String>>),
    /// What to tell the user.
    Tell(String),
}

fn plan(missing: &[Need], apt: bool, power: Power) -> Plan {
    if missing.is_empty() {
        return Plan::Ready;
    }
    let prefix: &[&str] = match power {
        Power::Root => &[],
        Power::Sudo => &["sudo", "-n"],
        Power::None => return Plan::Tell(advice(missing)),
    };
    if !apt {
        return Plan::Tell(advice(missing));
    }
    let line = MANAGERS[0].line(missing);
    let install = line.trim_start_matches("sudo ").split(' ');
    let command = |words: &mut dyn Iterator<Item = &str>| {
        prefix.iter().copied().chain(words).map(str::to_owned).collect::<Vec<_>>()
    };
    Plan::Install(vec![
        command(&mut ["apt-get", "update"].into_iter()),
        command(&mut ["env", "DEBIAN_FRONTEND=noninteractive"].into_iter().chain(install)),
    ])
}

fn named(missing: &[Need]) -> String {
    missing.iter().map(Need::to_string).collect::<Vec<_>>().join(", ")
}

fn advice(missing: &[Need]) -> String {
    let mut text = format!("missing: {}; install with one of", named(missing));
    for manager in &MANAGERS {
        text.push_str("\n    ");
        text.push_str(&manager.line(missing));
    }
    text
}

/// Makes sure that everything is there, installing it where that is possible.
///
/// # Errors
/// [`Stop::BadInput`] (exit code 2) with the lines to type where it is not.
pub(crate) fn ensure() -> Result<(), Stop> {
    let missing = search::missing();
    match plan(&missing, search::on_path("apt-get"), power(&missing)) {
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

fn power(missing: &[Need]) -> Power {
    if missing.is_empty() {
        Power::None
    } else if rustix::process::geteuid().is_root() {
        Power::Root
    } else if process::answer(Command::new("sudo").args(["-n", "true"])).is_some() {
        Power::Sudo
    } else {
        Power::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complete_machine_is_left_alone() {
        assert_eq!(plan(&[], true, Power::Root), Plan::Ready);
    }

    #[test]
    fn root_with_apt_installs_what_is_missing_and_only_that() {
        let Plan::Install(commands) = plan(&[Need::Cmake, Need::Libclang], true, Power::Root)
        else {
            panic!("root with apt installs");
        };
        assert_eq!(commands[0], ["apt-get", "update"]);
        assert_eq!(
            commands[1].join(" "),
            "env DEBIAN_FRONTEND=noninteractive apt-get install -y cmake libclang-dev"
        );
    }

    #[test]
    fn sudo_without_a_password_is_used_and_never_asks() {
        let Plan::Install(commands) = plan(&[Need::Compiler], true, Power::Sudo) else {
            panic!("sudo with apt installs");
        };
        assert!(commands.iter().all(|words| words[..2] == ["sudo", "-n"]), "{commands:?}");
        assert!(commands[1].ends_with(&["g++".to_owned()]));
    }

    #[test]
    fn others_are_told_the_line_for_each_package_manager() {
        for (apt, power) in [(false, Power::Root), (true, Power::None), (false, Power::None)] {
            let Plan::Tell(advice) =
                plan(&[Need::Cmake, Need::Compiler, Need::Libclang], apt, power)
            else {
                panic!("nothing can be installed here");
            };
            for line in [
                "missing: cmake, a C++ compiler, libclang",
                "sudo apt-get install -y cmake g++ libclang-dev",
                "sudo dnf install -y cmake gcc-c++ clang-devel",
                "sudo pacman -S --needed cmake gcc clang",
                "sudo apk add cmake g++ clang-dev",
                "\n    brew install cmake llvm",
            ] {
                assert!(advice.contains(line), "{line} not in {advice}");
            }
        }
    }
}
