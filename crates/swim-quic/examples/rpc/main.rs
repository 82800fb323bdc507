//! Two members in one process: one calls, the other replies, each call within its deadline. The
//! test of this example, `tests/rpc_example.rs`, makes calls into a partition.
//!
//! Run it with `cargo run -p swim-quic --example rpc`.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod call;

use std::error::Error;
use std::time::Duration;

use swim_quic::{Cluster, Identity};

use crate::call::{CallError, call, serve};

fn main() -> Result<(), Box<dyn Error>> {
    let bob = member("bob")?;
    let ada = member("ada")?;
    ada.join([bob.address().to_string()], Duration::from_secs(10))?;

    serve(&bob, "reverse", |request| request.into_iter().rev().collect())?;
    serve(&bob, "sleep", |_| {
        std::thread::park_timeout(Duration::from_secs(60));
        Vec::new()
    })?;
    let timeout = Duration::from_secs(5);
    let reply = call(&ada, "bob", "reverse", b"hello", timeout)?;
    println!("reverse: {}", String::from_utf8_lossy(&reply));
    for (to, protocol) in [("bob", "sleep"), ("bob", "unknown"), ("cyd", "reverse")] {
        match call(&ada, to, protocol, b"hello", Duration::from_millis(300)) {
            Ok(reply) => println!("{protocol} of {to}: {} bytes", reply.len()),
            Err(CallError::TimedOut) => println!("{protocol} of {to}: no reply in time"),
            Err(CallError::Unreachable(error)) => println!("{protocol} of {to}: {error}"),
            Err(CallError::Broken(error)) => println!("{protocol} of {to}: {error}"),
        }
    }
    ada.shutdown(timeout)?;
    Ok(())
}

fn member(name: &str) -> Result<Cluster, Box<dyn Error>> {
    let identity = Identity::development(name)?;
    let builder = Cluster::builder(name).bind("127.0.0.1:0").identity(identity);
    Ok(builder.allow_development_identity().start()?)
}
