//! Everything a developer runs: `cargo xtask demo`, `test`, `interop`, `soak`, `tidy`, ...
//!
//! Exit codes: 0 for success, 1 for a failure, 2 for bad input or a missing prerequisite, 130 after
//! Ctrl-C. What needs BoringSSL is built by child processes, so this program itself needs nothing
//! but Rust and a linker.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command line tool reports on stdout")]

mod bench;
mod certs;
mod clock;
mod demo;
mod fleet;
mod fuzz;
mod interop;
mod planted;
mod prerequisites;
mod process;
mod sim;
mod soak;
mod stop;
mod test;
mod test_programs;
mod test_steps;
mod tidy;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};
use stop::Stop;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "What a developer runs here")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a real cluster, crash a member, let one leave, take one back
    Demo(demo::Arguments),
    /// Run the whole check, step by step
    Test(test::Arguments),
    /// Run all tests, several programs of them at the same time
    Tests,
    /// Put nodes and Go peers into one cluster, case by case
    Interop(interop::Arguments),
    /// Let real nodes crash, freeze, leave and return for as long as you like
    Soak(soak::Arguments),
    /// Look for inputs that break the codec or the machine
    Fuzz(fuzz::Arguments),
    /// Run many members in virtual time: seeds, experiments, planted bugs
    Sim(sim::Arguments),
    /// Measure, each figure beside what it should be compared with
    Bench(bench::Arguments),
    /// Check what the architecture and the style of this repository promise
    Tidy(tidy::Arguments),
    /// Write certificates for one member (and an authority if there is none), show, verify
    Certs(certs::Arguments),
}

fn main() -> ExitCode {
    match parse(std::env::args_os().collect()).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            let text = stop.told();
            if !text.is_empty() {
                eprintln!("cargo xtask: {text}");
            }
            ExitCode::from(stop.exit_code())
        }
    }
}

fn run(command: Command) -> Result<(), Stop> {
    process::listen_for_interrupts()?;
    match command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Tests => test_programs::run(),
        Command::Interop(arguments) => interop::run(&arguments),
        Command::Soak(arguments) => soak::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Sim(arguments) => sim::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Tidy(arguments) => {
            tidy::run(&arguments, &workspace::root(), &CommandLine::command())
        }
        Command::Certs(arguments) => certs::run(&arguments),
    }
}

fn parse(arguments: Vec<OsString>) -> Result<Command, Stop> {
    let asked = arguments.get(1).and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    match CommandLine::try_parse_from(arguments) {
        Ok(line) => Ok(line.command),
        Err(error) if !error.use_stderr() => {
            print!("{error}");
            Err(Stop::Said(0))
        }
        Err(error) => Err(Stop::BadInput(one_line(&error, &asked))),
    }
}

/// Clap's message on one line: the cause, and where the remedy is found.
fn one_line(error: &clap::Error, asked: &str) -> String {
    let missing =
        [ErrorKind::MissingSubcommand, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
    let cause = if missing.contains(&error.kind()) {
        "no command given".to_owned()
    } else {
        let text = error.to_string();
        let cause: Vec<&str> = text
            .lines()
            .map(str::trim)
            .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
            .filter(|line| !line.is_empty())
            .collect();
        cause.join(" ").trim_start_matches("error: ").to_owned()
    };
    let known = CommandLine::command();
    let names: Vec<&str> = known.get_subcommands().map(clap::Command::get_name).collect();
    if names.contains(&asked) {
        format!("{cause}; see cargo xtask {asked} --help")
    } else {
        format!("{cause}; the commands are {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(line: &str) -> String {
        match parse(line.split_whitespace().map(Into::into).collect()) {
            Ok(_) => String::new(),
            Err(stop) => {
                assert_eq!(stop.exit_code(), 2, "{stop}");
                stop.to_string()
            }
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn bad_command_lines_are_one_line_with_cause_and_remedy() {
        for (line, cause) in [
            ("xtask", "no command given"),
            ("xtask dmeo", "unrecognized subcommand 'dmeo'"),
            ("xtask demo --nodes 2", "invalid value '2' for '--nodes <NODES>'"),
            ("xtask demo --nodes many", "invalid value 'many'"),
            ("xtask demo --sabotage rain", "invalid value 'rain'"),
            ("xtask soak --nodes 3", "invalid value '3'"),
            ("xtask bench codec", "unrecognized subcommand 'codec'"),
            ("xtask soak --minutes 0", "invalid value '0'"),
            ("xtask demo --fast", "unexpected argument '--fast'"),
            ("xtask certs --dir x", "--name <NAME>"),
            ("xtask certs --dir x --name a --ip 1.2.3", "invalid value '1.2.3'"),
            ("xtask test --only nothing", "invalid value 'nothing'"),
        ] {
            let refusal = refusal(line);
            assert!(refusal.contains(cause), "{line}: {refusal}");
            assert!(refusal.contains("; see ") || refusal.contains("; the commands are"));
            assert!(!refusal.contains('\n'), "{refusal:?}");
        }
    }

    #[test]
    fn good_command_lines_pass() {
        for line in [
            "xtask demo",
            "xtask demo --nodes 3 --json --keep --sabotage crash",
            "xtask demo --nodes 20",
            "xtask soak",
            "xtask soak --nodes 10 --minutes 20 --seed 1 --go 3 --json --keep",
            "xtask test --list",
            "xtask test --from tidy",
            "xtask tidy",
            "xtask bench transport",
            "xtask bench transport ping bulk",
            "xtask fuzz packet stream --seconds 5 --runs 9 --fresh",
            "xtask fuzz packet --replay crash",
            "xtask fuzz --smoke --seconds 5",
            "xtask certs --dir d --name a --ip 127.0.0.1,::1",
        ] {
            assert_eq!(refusal(line), "", "{line}");
        }
    }
}
