//! `cargo xtask certs`: certificates for one member.
//!
//! Checks the command line, builds the certificate tool (`crates/certs/examples/certs.rs`) and
//! runs it. Which files are written, and with which permissions, is in the tool.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Stop, prerequisites, process, workspace};

const PACKAGE: &str = "swim-quic-certs";
const EXAMPLE: &str = "certs";

#[derive(clap::Args)]
#[command(after_help = "\
Writes ca.pem, ca.key, NAME.pem and NAME.key into the folder, keys with mode 0600. An authority \
that is there already is used again. Exits with the tool's code: 0, or 2 for bad input.")]
pub(crate) struct Arguments {
    /// Folder of the authority and its members; made if absent
    #[arg(long)]
    dir: PathBuf,
    /// The member's name
    #[arg(long)]
    name: String,
    /// Addresses that peers dial, separated by commas
    #[arg(long, required = true, value_delimiter = ',')]
    ip: Vec<IpAddr>,
}

/// Builds the tool and runs it once, in the caller's folder.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Stop> {
    prerequisites::ensure()?;
    let tool = build()?;
    let status = process::run(
        Command::new(tool).args(flags(&arguments.dir, &arguments.name, &arguments.ip)),
        "writing certificates",
    )?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(Stop::Said(u8::try_from(code).unwrap_or(1))),
        None => Err(Stop::Failed(format!("the certificate tool ended by {status}"))),
    }
}

/// Builds the certificate tool and says where it is.
pub(crate) fn build() -> Result<PathBuf, Stop> {
    workspace::build_example(PACKAGE, EXAMPLE)
}

/// The tool's command line.
pub(crate) fn flags(dir: &Path, name: &str, ip: &[IpAddr]) -> Vec<std::ffi::OsString> {
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
    use super::*;

    #[test]
    fn the_flags_reach_the_tool_as_given() {
        let ip = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        assert_eq!(
            flags("some dir".as_ref(), "a", &ip),
            ["--dir", "some dir", "--name", "a", "--ip", "127.0.0.1,::1"]
        );
    }
}
