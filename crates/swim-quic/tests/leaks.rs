//! What a member holds does not grow with what it does: the heap is counted while probes, pings
//! and messages come and go.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "nothing is heard here")]
mod common;
#[path = "common/heap.rs"]
mod heap;

use std::time::Duration;

use common::{Participants, eventually};
use swim_quic::Cluster;

const SECOND: Duration = Duration::from_secs(1);
/// What each probe may add; caches and tables of quiche still fill after the warm-up.
const MOST_FOR_A_PROBE: i64 = 512;

#[test]
fn probes_pings_and_messages_leave_nothing_behind() {
    let members = Participants::new().cluster(&["ada", "bob", "cyd"]);
    let events = members[1].subscribe();
    work_until(&members, 30);
    while events.try_recv().is_ok() {}
    let before = heap::held();
    work_until(&members, 60);
    while events.try_recv().is_ok() {}
    let grown = heap::held() - before;
    let most = 30 * 3 * MOST_FOR_A_PROBE;
    assert!(grown < most, "{grown} bytes more after 30 probes by each of three; at most {most}");
}

/// Everybody has sent so many probes; meanwhile the first sends something with each look.
fn work_until(members: &[Cluster], probes: u64) {
    let sent = |member: &Cluster| member.stats().unwrap().membership.counters.probes;
    // Made anew each time, so that what it holds does not count as a leak.
    let events = members[1].subscribe();
    eventually("so many probes", || {
        members[0].ping("bob", SECOND).unwrap();
        members[0].send_reliable("bob", vec![b'x'; 5_000], SECOND).unwrap();
        events.try_iter().for_each(drop);
        members[0].send("bob", vec![b'x'; 500]).unwrap();
        members.iter().all(|member| sent(member) >= probes)
    });
}
