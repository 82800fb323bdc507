//! A cluster for tests leaves no thread and no socket behind, in a process of its own.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use swim_quic::testkit::TestCluster;

const PATIENCE: Duration = Duration::from_secs(30);

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "threads end in real time")]
fn everything_ends_with_it_though_handles_are_held() {
    let before = threads();
    let mut cluster = TestCluster::start(["ada", "bob"]).unwrap();
    let [ada, bob] = ["ada", "bob"].map(|name| cluster.member(name).unwrap().clone());
    cluster.freeze("bob").unwrap();
    cluster.restart("ada").unwrap();
    assert!(threads() > before);
    let place = ada.address();
    assert!(UdpSocket::bind(place).is_err(), "the proxy has it");
    drop(cluster);
    assert!(!ada.is_running() && !bob.is_running());
    let begun = Instant::now();
    while threads() > before || UdpSocket::bind(place).is_err() {
        assert!(begun.elapsed() < PATIENCE, "{} threads, {before} before", threads());
        std::thread::sleep(Duration::from_millis(5));
    }
}
