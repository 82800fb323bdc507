//! `cargo xtask certs`: certificates are made, shown and verified.
//!
//! Builds the certificate tool (`crates/certs/examples/certs`) and runs it. The command line of the
//! flat form is checked here, that of the commands in the tool.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Stop, prerequisites, process, workspace};

#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Without a command, writes ca.pem, ca.key, NAME.pem and NAME.key into the folder, keys with mode \
0600. An authority that is there already is used again. Exits with the tool's code: 0, 2 for bad \
input, 1 for a certificate that would be refused."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Passed>,
    /// Folder of the authority and its members; made if absent
    #[arg(long, required = true)]
    dir: Option<PathBuf>,
    /// The member's name
    #[arg(long, required = true)]
    name: Option<String>,
    /// Addresses that peers dial, separated by commas
    #[arg(long, required = true, value_delimiter = ',')]
    ip: Vec<IpAddr>,
}

/// What the tool is given as it is; `--help` too.
#[derive(clap::Subcommand)]
enum Passed {
    /// Make an authority: --out DIR
    #[command(disable_help_flag = true)]
    Ca(Rest),
    /// Issue a member's certificate: NAME --ca DIR, with --ip, --dns, --spiffe, --days
    #[command(disable_help_flag = true)]
    Node(Rest),
    /// Show what the certificates of a file hold: FILE
    #[command(disable_help_flag = true)]
    Show(Rest),
    /// Say why a certificate would be refused: --ca FILE --cert FILE --key FILE, with --name
    #[command(disable_help_flag = true)]
    Verify(Rest),
}

#[derive(clap::Args)]
struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    rest: Vec<OsString>,
}

/// Builds the tool and runs it once, in the caller's folder.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Stop> {
    prerequisites::ensure()?;
    let tool = build()?;
    let status =
        process::run(Command::new(tool).args(tool_arguments(arguments)), "the certificate tool")?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(Stop::Said(u8::try_from(code).unwrap_or(1))),
        None => Err(Stop::Failed(format!("the certificate tool ended by {status}"))),
    }
}

/// Builds the certificate tool and says where it is.
pub(crate) fn build() -> Result<PathBuf, Stop> {
    workspace::build_example("certs")
}

fn tool_arguments(arguments: &Arguments) -> Vec<OsString> {
    let (command, rest) = match &arguments.command {
        None => {
            // The parser demands both.
            let dir = arguments.dir.as_deref().unwrap_or(Path::new(""));
            return flags(dir, arguments.name.as_deref().unwrap_or_default(), &arguments.ip);
        }
        Some(Passed::Ca(passed)) => ("ca", passed),
        Some(Passed::Node(passed)) => ("node", passed),
        Some(Passed::Show(passed)) => ("show", passed),
        Some(Passed::Verify(passed)) => ("verify", passed),
    };
    [OsString::from(command)].into_iter().chain(rest.rest.iter().cloned()).collect()
}

/// The tool's command line in the flat form.
pub(crate) fn flags(dir: &Path, name: &str, ip: &[IpAddr]) -> Vec<OsString> {
    let addresses: Vec<String> = ip.iter().map(IpAddr::to_string).collect();
    vec![
        "--dir".into(),
        dir.into(),
        "--name".into(),
        name.into(),
        "--ip".into(),
        addresses.join(",").into(),
    ]
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn the_flags_reach_the_tool_as_given() {
        let ip = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        assert_eq!(
            flags("some dir".as_ref(), "a", &ip),
            ["--dir", "some dir", "--name", "a", "--ip", "127.0.0.1,::1"]
        );
    }

    #[derive(clap::Parser)]
    struct CommandLine {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn commands_reach_the_tool_with_all_that_follows_them() {
        let passed = |line: &str| {
            let line = CommandLine::try_parse_from(line.split_whitespace());
            line.map(|line| tool_arguments(&line.arguments).join(" ".as_ref()))
        };
        for line in [
            "ca --out d",
            "ca --help",
            "node a --ca d --ip 127.0.0.1,::1 --days 3",
            "node --ca d a --replace",
            "show a.pem",
            "show",
            "verify --ca c --cert a --key k --name -b",
        ] {
            assert_eq!(passed(&format!("certs {line}")).unwrap(), line);
        }
        let flat = "--dir d --name a --ip ::1";
        assert_eq!(passed(&format!("certs {flat}")).unwrap(), flat);
        for bad in ["certs", "certs --dir d --name a", "certs issue a", "certs --dir d ca --out d"]
        {
            assert!(passed(bad).is_err(), "{bad}");
        }
    }
}
