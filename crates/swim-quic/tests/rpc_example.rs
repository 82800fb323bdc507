//! The example `rpc`: what it prints, and its calls in a partition.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../examples/rpc/call.rs"]
mod call;
#[path = "common/example_path.rs"]
mod example_path;

use std::error::Error;
use std::process::Command;
use std::time::{Duration, Instant};

use call::{CallError, call, serve};
use example_path::path_of;
use swim_quic::testkit::TestCluster;

#[test]
#[expect(clippy::disallowed_methods, reason = "a deadline is one of real time")]
fn a_call_into_a_partition_ends_by_its_deadline() -> Result<(), Box<dyn Error>> {
    let second = Duration::from_secs(1);
    let mut cluster = TestCluster::start(["ada", "bob"])?;
    let (ada, bob) = (cluster.member("ada")?.clone(), cluster.member("bob")?.clone());
    serve(&bob, "reverse", |request| request.into_iter().rev().collect())?;
    let ask = || call(&ada, "bob", "reverse", b"hello", second / 2);
    assert_eq!(ask()?, b"olleh");
    cluster.cut(["ada"], ["bob"])?;
    let begun = Instant::now();
    assert!(matches!(ask(), Err(CallError::TimedOut)));
    assert!(begun.elapsed() >= second / 2 && begun.elapsed() < 10 * second);
    cluster.heal();
    cluster.wait_until("calls are answered again", 30 * second, |_| ask().is_ok())?;
    Ok(())
}

#[test]
fn the_example_calls_and_gives_up() {
    let output = Command::new(path_of("rpc")).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[..2], ["reverse: olleh", "sleep of bob: no reply in time"]);
    assert!(lines[2].starts_with("unknown of bob: ") && lines[3].contains("cyd"), "{printed}");
}
