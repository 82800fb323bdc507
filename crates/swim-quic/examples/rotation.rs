//! Two members change their authority while they run, in three steps, and a stream that was opened
//! before lives on.
//!
//! Run it with `cargo run -p swim-quic --example rotation`.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown};
use std::time::Duration;

use swim_quic::{Authority, Cluster, Event, Identity, Trust};

const DAY: Duration = Duration::from_secs(86_400);
const TIMEOUT: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let former = Authority::generate("former authority", 30 * DAY)?;
    let later = Authority::generate("later authority", 30 * DAY)?;
    let ada = start(identity(&former, "ada")?, "ada")?;
    let bob = start(identity(&former, "bob")?, "bob")?;
    ada.join([bob.address().to_string()], TIMEOUT)?;

    let calls = bob.listen("notes")?;
    let mut stream = ada.open_stream("bob", "notes", TIMEOUT)?;
    stream.write_all(b"before, ")?;
    let mut call = calls.recv_timeout(TIMEOUT)?;
    let events = ada.subscribe();
    // Reliable messages are for whoever has subscribed.
    let messages = bob.subscribe();

    let both = [former.certificate_pem(), later.certificate_pem()].concat();
    let both = Trust::from_pem(both.as_bytes())?;
    let later_alone = Trust::from_pem(later.certificate_pem().as_bytes())?;
    let steps = [
        ("all trust both authorities", &former, &both),
        ("all have certificates of the later one", &later, &both),
        ("all trust the later one alone", &later, &later_alone),
    ];
    for (step, authority, trust) in steps {
        // Each step is taken at every member before the next one begins.
        ada.rotate(&identity(authority, "ada")?, trust)?;
        bob.rotate(&identity(authority, "bob")?, trust)?;
        ada.send_reliable("bob", step, TIMEOUT)?;
        println!("{step}: bob has been told");
    }
    let rotated = |event: &Event| matches!(event, Event::IdentityRotated { .. });
    println!("ada rotated {} times", events.try_iter().filter(rotated).count());
    let message = |event: &Event| matches!(event, Event::Message { .. });
    println!("bob has {} messages", messages.try_iter().filter(message).count());

    stream.write_all(b"and after")?;
    stream.shutdown(Shutdown::Write);
    let mut notes = String::new();
    call.stream.set_read_timeout(Some(TIMEOUT));
    call.stream.read_to_string(&mut notes)?;
    println!("bob read {notes:?} on one stream");

    let report = ada.shutdown(TIMEOUT)?;
    println!("{} of {} were told that ada leaves", report.told, report.wanted);
    Ok(())
}

fn identity(authority: &Authority, name: &str) -> Result<Identity, Box<dyn Error>> {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Ok(authority.issue(name, &[loopback], 30 * DAY)?.identity()?)
}

fn start(identity: Identity, name: &str) -> Result<Cluster, Box<dyn Error>> {
    Ok(Cluster::builder(name).bind("127.0.0.1:0").identity(identity).start()?)
}
