//! Two members in one process: one asks, the other answers, on a stream of their own beside the
//! membership traffic. Certificates are made on the spot.
//!
//! Run it with `cargo run -p swim-quic --example streams`.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown};
use std::time::Duration;

use certs::Authority;
use swim_quic::{Cluster, Event, Identity};

const DAY: Duration = Duration::from_secs(86_400);

fn main() -> Result<(), Box<dyn Error>> {
    let authority = Authority::generate("streams example", DAY)?;
    let ada = start(&authority, "ada", None)?;
    let bob = start(&authority, "bob", Some(ada.address().to_string()))?;
    await_member(&bob, "ada");

    let incoming = ada.listen("shout")?;
    std::thread::spawn(move || {
        for mut call in incoming {
            let mut text = String::new();
            if call.stream.read_to_string(&mut text).is_ok() {
                println!("ada: {} says {text:?}", call.from);
                let _ = call.stream.write_all(text.to_uppercase().as_bytes());
            }
        }
    });

    let mut stream = bob.open_stream("ada", "shout", Duration::from_secs(5))?;
    stream.write_all(b"hello over there")?;
    stream.shutdown(Shutdown::Write);
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    println!("bob: the answer is {answer:?}");

    bob.leave(Duration::from_secs(5))?;
    Ok(())
}

fn start(
    authority: &Authority,
    name: &str,
    seed: Option<String>,
) -> Result<Cluster, Box<dyn Error>> {
    let issued = authority.issue(name, &[IpAddr::V4(Ipv4Addr::LOCALHOST)], DAY)?;
    let identity = Identity::from_pem(
        authority.certificate_pem().as_bytes(),
        issued.certificate_pem.as_bytes(),
        issued.key_pem.as_bytes(),
    )?;
    Ok(Cluster::builder(name).bind("127.0.0.1:0").identity(identity).seeds(seed).start()?)
}

/// Returns once the member is known.
fn await_member(cluster: &Cluster, name: &str) {
    let (members, events) = cluster.subscribe_with_members();
    if members.get(name).is_some() {
        return;
    }
    for event in events {
        if let Event::Joined(member) = event {
            println!("{}: {} joined", cluster.name(), member.name());
            if member.name().as_bytes() == name.as_bytes() {
                return;
            }
        }
    }
}
