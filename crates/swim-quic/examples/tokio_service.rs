//! An asynchronous service: its tasks await events, messages and streams on tokio, with no thread
//! of their own, and shut down gracefully. A client in the same process uses it.
//!
//! Run it with `cargo run -p swim-quic --example tokio_service`.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "an example shows what it does, and looks at some of the events"
)]

use std::error::Error;
use std::net::Shutdown;
use std::time::Duration;

use swim_quic::{Cluster, Event, Identity, Member};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until somebody says "stop".
async fn serve(cluster: Cluster) -> Result<(), Box<dyn Error>> {
    let (events, calls) = (cluster.subscribe(), cluster.listen("shout")?);
    loop {
        tokio::select! {
            event = events.recv_async() => match event? {
                Event::Joined(member) => println!("service: {} joined", member.name()),
                Event::Left(member) => println!("service: {} left", member.name()),
                Event::Message { payload, .. } if &payload[..] == b"stop" => break,
                Event::Message { payload, .. } => println!("service: {} bytes", payload.len()),
                _ => {}
            },
            call = calls.recv_async() => {
                let mut stream = call?.stream;
                tokio::spawn(async move {
                    let mut text = Vec::new();
                    stream.read_to_end_async(&mut text).await?;
                    stream.write_all_async(&text.to_ascii_uppercase()).await
                });
            }
        }
    }
    let report = cluster.shutdown_async(TIMEOUT).await?;
    println!("service: {} of {} were told of its leave", report.told, report.wanted);
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = member("service", None)?;
    let client = member("client", Some(service.address().to_string()))?;
    tokio::try_join!(serve(service), ask(client))?;
    Ok(())
}

/// What a client does: a message, a stream, and the end.
async fn ask(cluster: Cluster) -> Result<(), Box<dyn Error>> {
    let (members, events) = cluster.subscribe_with_members();
    while members.get("service").is_none() {
        if matches!(events.recv_async().await?, Event::Joined(member) if is_service(&member)) {
            break;
        }
    }
    cluster.send_reliable_async("service", "hello", TIMEOUT).await?;
    let mut stream = cluster.open_stream_async("service", "shout", TIMEOUT).await?;
    stream.write_all_async(b"hello over there").await?;
    stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    stream.read_to_end_async(&mut answer).await?;
    println!("client: the answer is {:?}", String::from_utf8_lossy(&answer));
    cluster.send_reliable_async("service", "stop", TIMEOUT).await?;
    while !matches!(events.recv_async().await?, Event::Left(member) if is_service(&member)) {}
    println!("client: the service left");
    cluster.shutdown_async(TIMEOUT).await?;
    Ok(())
}

fn is_service(member: &Member) -> bool {
    member.name().as_bytes() == b"service"
}

fn member(name: &str, seed: Option<String>) -> Result<Cluster, Box<dyn Error>> {
    let identity = Identity::development(name)?;
    let builder = Cluster::builder(name).bind("127.0.0.1:0").identity(identity);
    Ok(builder.allow_development_identity().seeds(seed).start()?)
}
