//! A chat on several terminals: what is typed goes to everybody, and `@bob hello` to Bob alone,
//! with a note whether he has it. Who comes, leaves and dies is told.
//!
//! ```sh
//! cargo xtask certs --dir chat --name ada --ip 127.0.0.1
//! cargo xtask certs --dir chat --name bob --ip 127.0.0.1
//! cargo run -p swim-quic --example chat -- chat ada
//! cargo run -p swim-quic --example chat -- chat bob 127.0.0.1:PORT   # as ada says
//! ```
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "an example shows what it does, and skips what it does not need"
)]

use std::error::Error;
use std::io::BufRead;
use std::path::Path;
use std::time::Duration;

use swim_quic::{Cluster, Event, Identity, with_sources};

const PATIENCE: Duration = Duration::from_secs(5);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(directory), Some(name)) = (arguments.next(), arguments.next()) else {
        return Err(
            "give DIRECTORY NAME [SEED]: where the certificates are, who you are, and the \
                    address of somebody who is there"
                .into(),
        );
    };
    let file = |name: &str, kind| Path::new(&directory).join(format!("{name}.{kind}"));
    let identity =
        Identity::from_pem_files(file("ca", "pem"), file(&name, "pem"), file(&name, "key"))?;
    let builder = Cluster::builder(name.as_str()).bind("127.0.0.1:0").identity(identity);
    let builder = builder.seeds(arguments.next());
    let events = builder.subscribe();
    let cluster = builder.start()?;
    println!("{name} listens at {}", cluster.address());
    std::thread::spawn(move || {
        for event in events {
            tell(&event);
        }
    });
    for line in std::io::stdin().lock().lines() {
        say(&cluster, &line?);
    }
    let report = cluster.shutdown(PATIENCE)?;
    println!("{} of {} know that {name} left", report.told, report.wanted);
    Ok(())
}

/// Sends a line to whom it is meant for.
fn say(cluster: &Cluster, line: &str) {
    let sent = match line.strip_prefix('@').and_then(|line| line.split_once(' ')) {
        Some((to, text)) => cluster
            .send_reliable(to, text, PATIENCE)
            .map(|_| println!("({to} has it)"))
            .map_err(|error| with_sources(&error)),
        None => cluster.broadcast(line).map_err(|error| with_sources(&error)),
    };
    if let Err(why) = sent {
        println!("(not sent: {why})");
    }
}

fn tell(event: &Event) {
    match event {
        Event::Joined(member) => println!("{} is here", member.name()),
        Event::Left(member) => println!("{} left", member.name()),
        Event::Failed { member, .. } => println!("{} is gone", member.name()),
        Event::Message { from: Some(from), reliable, payload, .. } => {
            let text = String::from_utf8_lossy(payload);
            println!("{from}{}: {text}", if *reliable { " to you" } else { "" });
        }
        _ => {}
    }
}
