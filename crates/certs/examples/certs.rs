//! Makes a cluster's authority and its members' certificates.
//!
//! `certs --dir DIR --name N --ip A[,A…] [--days D] [--replace]` writes `DIR/ca.pem` and
//! `DIR/ca.key` if there is no authority yet, then `DIR/N.pem` and `DIR/N.key`. Exit code 0 when
//! they are written, 2 for bad input, 1 when the machine refused.

use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use certs::{Authority, AuthorityError, Existing, SaveError};
use clap::Parser;

/// Make a member's certificate, and the cluster's authority if there is none yet.
#[derive(Parser)]
#[command(name = "certs")]
struct Arguments {
    /// Directory of the cluster's certificates; made if it is not there.
    #[arg(long)]
    dir: PathBuf,
    /// The member's name.
    #[arg(long)]
    name: String,
    /// The IP addresses that peers dial, separated by commas.
    #[arg(long, required = true, value_delimiter = ',')]
    ip: Vec<IpAddr>,
    /// How long the member's certificate is valid; the authority's own is for ten years.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=36_500))]
    days: u64,
    /// Replace the member's certificate and key if they are there. Never the authority's.
    #[arg(long)]
    replace: bool,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            let text = error.to_string();
            let asides = ["Usage:", "For more information"];
            let end = asides.iter().filter_map(|aside| text.find(aside)).min();
            let end = end.unwrap_or(text.len());
            let words: Vec<&str> = text[..end].split_whitespace().collect();
            eprintln!("certs: {}; see --help", words.join(" ").trim_start_matches("error: "));
            return ExitCode::from(INPUT);
        }
    };
    match run(&arguments) {
        Ok(report) => match io::stdout().write_all(report.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(Failure { message, code }) => {
            eprintln!("certs: {message}");
            ExitCode::from(code)
        }
    }
}

fn run(arguments: &Arguments) -> Result<String, Failure> {
    let directory = &arguments.dir;
    fs::create_dir_all(directory).map_err(|error| Failure {
        message: format!("cannot make {}: {error}; choose another --dir", directory.display()),
        code: MACHINE,
    })?;
    let mut report = String::new();
    let authority = authority(directory, &mut report)?;
    let existing = if arguments.replace { Existing::Replace } else { Existing::Keep };
    let validity = Duration::from_secs(arguments.days * DAY);
    let issued =
        authority.issue(&arguments.name, &arguments.ip, validity).map_err(Failure::input)?;
    issued.save(directory, existing).map_err(|error| match error {
        SaveError::Exists { file } => Failure::input(format!(
            "{} exists and is kept: pass --replace to issue it anew",
            file.display()
        )),
        other @ (SaveError::FileName { .. } | SaveError::Unwritable { .. } | _) => other.into(),
    })?;
    report += &wrote(directory, &arguments.name);
    Ok(report)
}

/// Loads the directory's authority, or makes it.
fn authority(directory: &Path, report: &mut String) -> Result<Authority, Failure> {
    let certificate = directory.join("ca.pem");
    if certificate.exists() {
        return Authority::load(directory).map_err(Failure::input);
    }
    let made = Authority::generate("swim-quic", Duration::from_secs(3650 * DAY))?;
    match made.save(directory) {
        Ok(()) => {
            *report += &wrote(directory, "ca");
            Ok(made)
        }
        // Another run may be making it; then that one counts.
        Err(SaveError::Exists { file }) => load_soon(directory).ok_or_else(|| {
            Failure::input(format!(
                "{} is there without its other half: restore ca.pem and ca.key together, or \
                 remove it",
                file.display()
            ))
        }),
        Err(error) => Err(error.into()),
    }
}

/// Loads the authority that another run is making: at most a second, as it needs a millisecond.
#[expect(clippy::disallowed_methods, reason = "waits for another process, which cannot wake us")]
fn load_soon(directory: &Path) -> Option<Authority> {
    (0..50).find_map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        Authority::load(directory).ok()
    })
}

fn wrote(directory: &Path, name: &str) -> String {
    let file = |suffix: &str| directory.join(format!("{name}.{suffix}")).display().to_string();
    format!("wrote {}\nwrote {}\n", file("pem"), file("key"))
}

/// One line for people, and the exit code.
struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    fn input(error: impl ToString) -> Self {
        Self { message: error.to_string(), code: INPUT }
    }
}

impl From<SaveError> for Failure {
    fn from(error: SaveError) -> Self {
        let code = match error {
            SaveError::Unwritable { .. } => MACHINE,
            SaveError::Exists { .. } | SaveError::FileName { .. } | _ => INPUT,
        };
        Self { message: error.to_string(), code }
    }
}

impl From<AuthorityError> for Failure {
    fn from(error: AuthorityError) -> Self {
        Self { message: error.to_string(), code: MACHINE }
    }
}

const DAY: u64 = 86_400;
const INPUT: u8 = 2;
const MACHINE: u8 = 1;
