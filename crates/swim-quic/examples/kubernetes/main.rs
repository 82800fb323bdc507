//! A member as it runs in a pod: settings from the environment, certificates from a mounted
//! directory, probes and metrics over HTTP, and a leave on SIGTERM.
//!
//! `docs/kubernetes` has manifests that run such a program. The environment:
//!
//! | variable | what | default |
//! |---|---|---|
//! | `MEMBER_NAME` | the member's name, which its certificate must hold | |
//! | `MEMBER_CERTIFICATES` | a directory with `ca.crt`, `tls.crt` and `tls.key` | |
//! | `MEMBER_BIND` | where to listen | `0.0.0.0:7946` |
//! | `MEMBER_ADDRESS` | the address at which others reach it | the kernel's choice |
//! | `MEMBER_SEEDS` | `HOST:PORT`, separated by commas | none |
//! | `MEMBER_HEALTH` | where to serve `/live`, `/ready` and `/metrics` | `0.0.0.0:8080` |
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "an example shows what it does, and looks at some of the events"
)]

mod health;

use std::env;
use std::error::Error;
use std::net::IpAddr;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use swim_quic::{Cluster, Event, IdentityFiles};

/// Shorter than `terminationGracePeriodSeconds`.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let name = required("MEMBER_NAME")?;
    let directory = required("MEMBER_CERTIFICATES")?;
    let file = |name: &str| Path::new(&directory).join(name);
    let files = IdentityFiles {
        authority: file("ca.crt"),
        certificate: file("tls.crt"),
        key: file("tls.key"),
    };
    let seeds = env::var("MEMBER_SEEDS").unwrap_or_default();
    let mut builder = Cluster::builder(name)
        .bind(env::var("MEMBER_BIND").unwrap_or("0.0.0.0:7946".into()))
        .identity_files(files)
        .seeds(seeds.split(',').map(str::trim).filter(|seed| !seed.is_empty()));
    if let Ok(address) = env::var("MEMBER_ADDRESS") {
        // Its port is that of the socket.
        builder = builder.advertise(address.parse::<IpAddr>()?.to_string());
    }
    let events = builder.subscribe();
    let cluster = builder.start()?;
    println!("{} listens at {}", cluster.name(), cluster.address());

    let health = env::var("MEMBER_HEALTH").unwrap_or("0.0.0.0:8080".into());
    let ready = health::serve(&health, cluster.clone())?;
    let on_signal = cluster.clone();
    let (sender, leave) = channel();
    // The kubelet sends SIGTERM, and SIGKILL when the grace period is over.
    ctrlc::set_handler(move || {
        // Nobody receives it after an end of another kind.
        let _ = sender.send(on_signal.shutdown(LEAVE_TIMEOUT));
    })?;
    // Ends when the member has stopped.
    for event in events {
        match event {
            // The first event is of this member itself.
            Event::Joined(member) if member.name() != cluster.name() => {
                ready.found_others();
                println!("{} joined", member.name());
            }
            Event::Moved { member, from } => {
                println!("{} moved from {from} to {}", member.name(), member.address());
            }
            Event::Restarted(member) => println!("{} restarted", member.name()),
            Event::Left(member) => println!("{} left", member.name()),
            Event::Failed { member, .. } => println!("{} failed", member.name()),
            Event::IdentityRotated { .. } => println!("the certificate was renewed"),
            _ => {}
        }
    }
    // The events end with the member, a moment before `shutdown` returns.
    let report = leave.recv_timeout(LEAVE_TIMEOUT)??;
    println!("left: {} members were told", report.told);
    Ok(())
}

fn required(variable: &str) -> Result<String, String> {
    env::var(variable).map_err(|_| format!("set {variable}: see the head of this example"))
}
