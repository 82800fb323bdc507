//! Makes a cluster's authority and its members' certificates, shows what certificates hold, and
//! says why they would be refused.
//!
//! `certs --dir DIR --name N --ip A[,A…] [--days D] [--replace]` writes `DIR/ca.pem` and
//! `DIR/ca.key` if there is no authority yet, then `DIR/N.pem` and `DIR/N.key`. `certs ca`,
//! `certs node`, `certs show` and `certs verify` do one thing each. Exit code 0 when it is done
//! and, for `verify`, nobody would refuse the certificate; 2 for bad input; 1 when the machine
//! refused, or a peer would.

mod failure;
mod issue;
mod show;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use certs::{IdentityFiles, NameFields, SpiffePattern, with_sources};
use clap::{Parser, Subcommand};

use failure::{Failure, INPUT, REFUSED};

#[derive(Parser)]
#[command(
    name = "certs",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    about = "Make certificates, show what they hold, and say why they would be refused"
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flat: issue::Flat,
}

#[derive(Subcommand)]
enum Command {
    /// Make an authority: ca.pem for every member, ca.key for whoever issues
    Ca(issue::Ca),
    /// Issue a member's certificate
    Node(issue::Node),
    /// Show what the certificates of a file hold
    Show(show::Show),
    /// Say why a member's certificate would be refused, by whom, and what to do
    Verify(Verify),
}

#[derive(clap::Args)]
struct Verify {
    /// The roots that members trust
    #[arg(long)]
    ca: PathBuf,
    /// The member's certificate, its intermediates behind it
    #[arg(long)]
    cert: PathBuf,
    /// Its private key
    #[arg(long)]
    key: PathBuf,
    /// The member's name; else any will do
    #[arg(long)]
    name: Option<String>,
    /// SPIFFE IDs like this prove names, and nothing else does: spiffe://example.org/member/{name}
    #[arg(long, value_name = "PATTERN")]
    spiffe: Option<SpiffePattern>,
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
    let done = match arguments.command {
        None => issue::flat(arguments.flat),
        Some(Command::Ca(arguments)) => issue::ca(&arguments),
        Some(Command::Node(arguments)) => issue::node(arguments),
        Some(Command::Show(arguments)) => show::run(&arguments),
        Some(Command::Verify(arguments)) => verify(arguments),
    };
    match done {
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

/// One line for each objection; nothing is written but these.
fn verify(arguments: Verify) -> Result<String, Failure> {
    let Verify { ca, cert, key, name, spiffe } = arguments;
    let files = IdentityFiles { authority: ca, certificate: cert, key };
    let fields = spiffe.map_or_else(NameFields::default, NameFields::spiffe);
    let found = files.verify(name.as_deref(), &fields, issue::now());
    let remarks: String =
        found.remarks.iter().map(|remark| format!("not refused, but {remark}\n")).collect();
    if found.objections.is_empty() {
        let names = found.names.join(", ");
        let file = files.certificate.display();
        return Ok(format!("{remarks}accepted on both sides: {file}, for {names}\n"));
    }
    let objections: Vec<String> =
        found.objections.iter().map(|objection| with_sources(objection)).collect();
    let remarks = remarks.trim_end();
    let message = [&objections.join("\n"), remarks].join("\n").trim_end().to_owned();
    Err(Failure { message, code: REFUSED })
}
