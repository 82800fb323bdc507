//! Makes authorities and members' certificates, and writes them.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use certs::{Authority, AuthorityError, Existing, MemberRequest, SaveError, with_sources};

use crate::failure::{Failure, MACHINE};

const DAY: u64 = 86_400;

fn days() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=36_500)
}

/// Make a member's certificate, and the cluster's authority if there is none yet.
#[derive(clap::Args)]
pub(crate) struct Flat {
    /// Directory of the cluster's certificates; made if it is not there.
    #[arg(long, required = true)]
    dir: Option<PathBuf>,
    /// The member's name.
    #[arg(long, required = true)]
    name: Option<String>,
    /// The IP addresses that peers dial, separated by commas.
    #[arg(long, required = true, value_delimiter = ',')]
    ip: Vec<IpAddr>,
    /// How long the member's certificate is valid; the authority's own is for ten years.
    #[arg(long, default_value_t = 365, value_parser = days())]
    days: u64,
    /// Replace the member's certificate and key if they are there. Never the authority's.
    #[arg(long)]
    replace: bool,
}

#[derive(clap::Args)]
pub(crate) struct Ca {
    /// Directory for ca.pem and ca.key; made if it is not there.
    #[arg(long)]
    out: PathBuf,
    /// The organisation in its subject.
    #[arg(long, default_value = "swim-quic")]
    organisation: String,
    /// How long it is valid.
    #[arg(long, default_value_t = 3_650, value_parser = days())]
    days: u64,
}

#[derive(clap::Args)]
pub(crate) struct Node {
    /// The member's name.
    name: String,
    /// Directory with ca.pem and ca.key.
    #[arg(long)]
    ca: PathBuf,
    /// Directory for NAME.pem and NAME.key, made if it is not there; that of --ca if not given.
    #[arg(long)]
    out: Option<PathBuf>,
    /// The IP addresses that peers dial, separated by commas. Go members need them.
    #[arg(long, value_delimiter = ',')]
    ip: Vec<IpAddr>,
    /// Further DNS names, separated by commas: whoever has the certificate can speak in each.
    #[arg(long, value_delimiter = ',')]
    dns: Vec<String>,
    /// A SPIFFE ID.
    #[arg(long)]
    spiffe: Option<String>,
    /// How long the certificate is valid; never longer than the authority.
    #[arg(long, default_value_t = 365, value_parser = days())]
    days: u64,
    /// Replace the member's certificate and key if they are there.
    #[arg(long)]
    replace: bool,
}

/// The flat form.
pub(crate) fn flat(arguments: Flat) -> Result<String, Failure> {
    let Flat { dir, name, ip, days, replace } = arguments;
    // The parser demands both.
    let (directory, name) = (dir.unwrap_or_default(), name.unwrap_or_default());
    make_directory(&directory, "--dir")?;
    let mut report = String::new();
    let authority = authority(&directory, &mut report)?;
    let request = MemberRequest { addresses: ip, ..MemberRequest::new(name) };
    report += &issue(&authority, &request, days, &directory, replace)?;
    Ok(report)
}

pub(crate) fn ca(arguments: &Ca) -> Result<String, Failure> {
    let Ca { out, organisation, days } = arguments;
    make_directory(out, "--out")?;
    let made = Authority::generate(organisation, Duration::from_secs(days * DAY));
    let made = made.map_err(|error| match error {
        error @ AuthorityError::Organisation { .. } => Failure::input(error),
        error @ (AuthorityError::Unusable(_) | AuthorityError::Crypto(_) | _) => error.into(),
    })?;
    made.save(out).map_err(|error| match error {
        SaveError::Exists { file } => Failure::input(format!(
            "{} exists and is kept: choose another --out, or remove it with its other half if no \
             member needs it",
            file.display()
        )),
        other @ (SaveError::FileName { .. } | SaveError::Unwritable { .. } | _) => other.into(),
    })?;
    Ok(wrote(out, "ca"))
}

pub(crate) fn node(arguments: Node) -> Result<String, Failure> {
    let Node { name, ca, out, ip, dns, spiffe, days, replace } = arguments;
    let authority = Authority::load(&ca).map_err(|error| {
        let error = with_sources(&error);
        Failure::input(format!("{error}; cargo xtask certs ca --out DIR makes an authority"))
    })?;
    let directory = out.unwrap_or(ca);
    make_directory(&directory, "--out")?;
    let request = MemberRequest {
        addresses: ip,
        dns_names: dns,
        spiffe_id: spiffe,
        ..MemberRequest::new(name)
    };
    issue(&authority, &request, days, &directory, replace)
}

fn make_directory(directory: &Path, flag: &str) -> Result<(), Failure> {
    fs::create_dir_all(directory).map_err(|error| Failure {
        message: format!("cannot make {}: {error}; choose another {flag}", directory.display()),
        code: MACHINE,
    })
}

fn issue(
    authority: &Authority,
    request: &MemberRequest,
    days: u64,
    directory: &Path,
    replace: bool,
) -> Result<String, Failure> {
    let existing = if replace { Existing::Replace } else { Existing::Keep };
    let validity = Duration::from_secs(days * DAY);
    let issued = authority.issue_request(request, validity, now()).map_err(Failure::input)?;
    issued.save(directory, existing).map_err(|error| match error {
        SaveError::Exists { file } => Failure::input(format!(
            "{} exists and is kept: pass --replace to issue it anew",
            file.display()
        )),
        other @ (SaveError::FileName { .. } | SaveError::Unwritable { .. } | _) => other.into(),
    })?;
    Ok(wrote(directory, &request.name))
}

#[expect(clippy::disallowed_methods, reason = "certificates are dated in wall-clock time")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
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
