//! A service on threads: one waits for events and streams at once, and each stream is served by a
//! thread of its own. A client in the same process uses it, and tells it to stop.
//!
//! Run it with `cargo run -p swim-quic --example threaded_service`.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "an example shows what it does, and looks at some of the events"
)]

use std::error::Error;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use swim_quic::{Cluster, Event, Identity, IncomingStream, WaitAnyError, wait_any};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until somebody says "stop", finishes what is under way, and leaves.
fn serve(cluster: &Cluster) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (events, calls) = (cluster.subscribe(), cluster.listen("shout")?);
    let mut workers = Vec::new();
    'serving: loop {
        match wait_any(&[&events, &calls], Duration::from_secs(60)) {
            Ok(_) => {}
            Err(WaitAnyError::Timeout) => println!("service: nothing in a minute"),
            Err(error @ WaitAnyError::OnDriverThread) => return Err(error.into()),
        }
        for call in calls.try_iter() {
            workers.push(thread::spawn(move || answer(call)));
        }
        for event in events.try_iter() {
            match event {
                Event::Message { payload, .. } if &payload[..] == b"stop" => break 'serving,
                Event::Stopped { .. } => return Ok(()),
                Event::Joined(member) => println!("service: {} joined", member.name()),
                _ => {}
            }
        }
    }
    for worker in workers {
        if let Ok(Err(error)) = worker.join() {
            println!("service: a call failed: {error}");
        }
    }
    let report = cluster.shutdown(TIMEOUT)?;
    println!("service: {} of {} were told of its leave", report.told, report.wanted);
    Ok(())
}

fn answer(mut call: IncomingStream) -> std::io::Result<()> {
    call.stream.set_read_timeout(Some(TIMEOUT));
    let mut text = String::new();
    call.stream.read_to_string(&mut text)?;
    call.stream.write_all(text.to_uppercase().as_bytes())
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let service = member("service")?;
    let address = service.address().to_string();
    let serving = thread::spawn(move || serve(&service));

    let client = member("client")?;
    client.join([address], TIMEOUT)?;
    let mut stream = client.open_stream("service", "shout", TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT));
    stream.write_all(b"hello over there")?;
    stream.shutdown(Shutdown::Write);
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    println!("client: the answer is {answer:?}");
    client.send_reliable("service", "stop", TIMEOUT)?;
    serving.join().map_err(|_| "the service has panicked")??;
    client.shutdown(TIMEOUT)?;
    Ok(())
}

fn member(name: &str) -> Result<Cluster, Box<dyn Error + Send + Sync>> {
    let identity = Identity::development(name)?;
    let builder = Cluster::builder(name).bind("127.0.0.1:0").identity(identity);
    Ok(builder.allow_development_identity().start()?)
}
