//! Many members on one driver thread, of whom one is kept busy: the others hardly notice.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "nothing is heard here")]
mod common;

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use common::{Participants, alive, eventually};
use swim_quic::{Cluster, Driver};

/// Members that share the thread with the busy one.
const MEMBERS: usize = 200;
/// Enough that more comes in than one thread reads.
const FLOODERS: usize = 8;
/// So many pings, or more for as long as fewer datagrams have come to the busy one.
const PINGS: usize = 50;
const DATAGRAMS: u64 = 200_000;
/// What a ping may take while a flood comes in: a turn of the busy member is bounded by work, and
/// this by what the slowest machine does of it.
const SOON: Duration = Duration::from_secs(2);

#[test]
fn a_flooded_member_keeps_no_other_of_its_thread_from_answering() {
    let participants = Participants::new();
    let driver = Driver::start().unwrap();
    let start = |name: &str| participants.member(name).driver(&driver).start().unwrap();
    let members: Vec<Cluster> =
        (0..MEMBERS).map(|number| start(&format!("member-{number:03}"))).collect();
    let busy = start("busy");
    members[1].set_seeds([members[0].address().to_string()]).unwrap();
    eventually("two meet", || alive(&members[0]).len() == 2);

    let (ended, datagrams, calls) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..FLOODERS {
            scope.spawn(|| flood(&busy, &ended, &datagrams));
        }
        scope.spawn(|| {
            while !ended.load(Relaxed) {
                let is_taken = busy.broadcast(vec![7; 1_000]).is_ok();
                calls.fetch_add(u64::from(is_taken), Relaxed);
            }
        });
        let mut times: Vec<Duration> = Vec::new();
        let mut failed = 0;
        while times.len() + failed < PINGS || datagrams.load(Relaxed) < DATAGRAMS {
            match members[0].ping("member-001", SOON) {
                Ok(time) => times.push(time),
                Err(_) => failed += 1,
            }
        }
        ended.store(true, Relaxed);
        assert_eq!(failed, 0, "pings without an answer in {SOON:?}, beside {times:?}");
    });
    assert!(calls.load(Relaxed) > 0, "its calls come through too");
}

/// Sends what looks like QUIC and is not, as fast as the kernel takes it.
fn flood(busy: &Cluster, ended: &AtomicBool, datagrams: &AtomicU64) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let packet = [0x41; 21];
    while !ended.load(Relaxed) {
        datagrams.fetch_add(u64::from(socket.send_to(&packet, busy.address()).is_ok()), Relaxed);
    }
}
