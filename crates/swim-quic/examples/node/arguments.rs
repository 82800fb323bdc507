//! The command line: what is accepted, and one line of refusal for what is not.
//!
//! Bad input ends with exit code 2.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use log::LevelFilter;
use swim_quic::{Config, Evidence, NamePolicy, SecretKey, SpiffePattern};

use crate::files;

/// A member of a swim-quic cluster, driven by commands on stdin.
#[derive(Debug, Parser)]
#[command(name = "node", version)]
pub(crate) struct Arguments {
    /// This member's unique name.
    #[arg(long)]
    pub(crate) name: String,
    /// Where to listen; port 0 takes a free port.
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) bind: String,
    /// Members to join through, separated by commas; retried for ever.
    #[arg(long, value_name = "A,B,…")]
    join: Option<String>,
    /// The directory with ca.pem, NAME.pem and NAME.key, which are followed: renewals are taken up.
    #[arg(long, value_name = "DIR")]
    pub(crate) certs: PathBuf,
    /// The address to announce, where it differs from the bound one.
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) advertise: Option<SocketAddr>,
    /// The cluster's label.
    #[arg(long)]
    label: Option<String>,
    /// An encryption key in hex (16, 24 or 32 bytes); the first one encrypts.
    #[arg(long, value_name = "HEX")]
    key: Vec<String>,
    /// Timing.
    #[arg(long, default_value = "lan")]
    profile: Profile,
    /// Metadata that every member sees.
    #[arg(long, default_value = "")]
    pub(crate) meta: String,
    /// Compress messages.
    #[arg(long, default_value = "on")]
    compress: Switch,
    /// Whether a certificate must name the member.
    #[arg(long, default_value = "match", value_parser = parse_policy)]
    pub(crate) name_policy: NamePolicy,
    /// What refusals of a member's host may shorten: hint, floor or verdict.
    #[arg(long, default_value = "hint", value_parser = parse_evidence)]
    evidence: Evidence,
    /// So many members watch each other one, 0 (all probe all) or 3 to 64; the same in all members.
    #[arg(long, value_name = "N", default_value_t = 0)]
    observers: usize,
    /// SPIFFE IDs like this prove names, and nothing else does: spiffe://example.org/member/{name}.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) spiffe: Option<SpiffePattern>,
    /// Print events and replies as JSON lines.
    #[arg(long)]
    pub(crate) json: bool,
    /// Leave and exit at the end of stdin.
    #[arg(long)]
    pub(crate) exit_on_eof: bool,
    /// Least severe log level: off, error, warn, info, debug or trace.
    #[arg(long, default_value = "info")]
    pub(crate) log: LevelFilter,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Profile {
    Lan,
    Wan,
    Local,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

fn parse_policy(text: &str) -> Result<NamePolicy, String> {
    match text {
        "match" => Ok(NamePolicy::Match),
        "any" => Ok(NamePolicy::Any),
        _ => Err("use match or any".to_owned()),
    }
}

fn parse_evidence(text: &str) -> Result<Evidence, String> {
    match text {
        "hint" => Ok(Evidence::Hint),
        "floor" => Ok(Evidence::Floor),
        "verdict" => Ok(Evidence::Verdict),
        _ => Err("use hint, floor or verdict".to_owned()),
    }
}

impl Arguments {
    /// Parses the process's own command line; `Err` is how to exit.
    pub(crate) fn from_command_line() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            if error.use_stderr() {
                refuse(&one_line(&error))
            } else {
                // Help or version, asked for.
                let _ = error.print();
                ExitCode::SUCCESS
            }
        })
    }

    /// The standing seeds.
    pub(crate) fn seeds(&self) -> Vec<String> {
        self.join
            .iter()
            .flat_map(|list| list.split(','))
            .map(|seed| seed.trim().to_owned())
            .collect()
    }

    /// The protocol settings.
    pub(crate) fn config(&self) -> Result<Config, String> {
        let mut config = match self.profile {
            Profile::Lan => Config::lan(),
            Profile::Wan => Config::wan(),
            Profile::Local => Config::local(),
        };
        config.evidence = self.evidence;
        config.observers = self.observers;
        config.compression = self.compress == Switch::On;
        if let Some(label) = &self.label {
            config.label = label.as_bytes().to_vec();
        }
        config.keys = self
            .key
            .iter()
            .map(|hex| parse_key(hex))
            .collect::<Result<_, _>>()
            .map_err(|error: String| format!("--key: {error}"))?;
        Ok(config)
    }
}

/// An encryption key in hex.
pub(crate) fn parse_key(hex: &str) -> Result<SecretKey, String> {
    let bytes = files::parse_hex(hex)
        .ok_or("a key is hex: give 32, 48 or 64 hex digits (16, 24 or 32 bytes)")?;
    SecretKey::try_from(bytes.as_slice()).map_err(|error| error.to_string())
}

/// clap explains itself over several lines; the first says what is wrong, and where it lists
/// missing arguments the next ones say which.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let cause: Vec<&str> =
        text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:")).collect();
    let cause = cause.join(" ");
    let cause = cause.trim().trim_start_matches("error: ");
    format!("{cause}; see --help for all flags")
}

/// Says in one line why nothing was started.
pub(crate) fn refuse(reason: &str) -> ExitCode {
    eprintln!("node: {reason}");
    ExitCode::from(2)
}
