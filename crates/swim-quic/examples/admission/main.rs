//! Three members in one process, two of which admit only members whose certificate has a DNS or URI
//! name with a given part: `.prod` here, so that `eve.test` stays out. Certificates are made on
//! the spot.
//!
//! Run it with `cargo run -p swim-quic --example admission`.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use swim_quic::{Authority, Builder, Cluster, Event, Hooks, Member, PeerCertificate};

const DAY: Duration = Duration::from_secs(86_400);

/// Refuses members whose certificate has no DNS or URI name with this part, and tells whom.
struct NameHas {
    part: &'static str,
    refused: Sender<String>,
}

impl Hooks for NameHas {
    fn admit_member(
        &mut self,
        member: &Member,
        certificate: Option<&PeerCertificate>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        // One of which was only heard is asked about again when it shows its certificate.
        let Some(certificate) = certificate else { return Ok(()) };
        let mut names = certificate.dns_names().iter().chain(certificate.uris());
        if names.any(|name| name.contains(self.part)) {
            return Ok(());
        }
        let _ = self.refused.send(member.name().to_string());
        Err(format!("no DNS or URI name of its certificate has {}", self.part).into())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let authority = Authority::generate("admission example", DAY)?;
    let (refused, refusals) = mpsc::channel();
    let gate = || NameHas { part: ".prod", refused: refused.clone() };

    let ada = member(&authority, "ada.prod")?.hooks(gate()).start()?;
    let seed = ada.address().to_string();
    let eve = member(&authority, "eve.test")?.seeds([seed.clone()]);
    let bob = member(&authority, "bob.prod")?.seeds([seed]).hooks(gate());
    let bob_joins = bob.subscribe();

    let eve = eve.start()?;
    println!("ada.prod refuses {}", refusals.recv_timeout(Duration::from_secs(30))?);
    let bob = bob.start()?;
    for event in bob_joins {
        if matches!(event, Event::Joined(member) if member.name() == ada.name()) {
            break;
        }
    }
    println!("bob.prod sees {}", names(&bob));
    drop(eve);
    bob.leave(Duration::from_secs(5))?;
    Ok(())
}

fn member(authority: &Authority, name: &str) -> Result<Builder, Box<dyn Error>> {
    let identity = authority.issue(name, &[], DAY)?.identity()?;
    Ok(Cluster::builder(name).bind("127.0.0.1:0").identity(identity))
}

fn names(cluster: &Cluster) -> String {
    let members = cluster.members();
    let names: Vec<String> = members.iter().map(|member| member.name().to_string()).collect();
    names.join(", ")
}
