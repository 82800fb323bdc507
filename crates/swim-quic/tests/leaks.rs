//! What a member holds does not grow with what it does: the heap is counted while probes, pings
//! and messages come and go.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "nothing is heard here")]
mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use common::{Participants, eventually};
use swim_quic::Cluster;

const SECOND: Duration = Duration::from_secs(1);
/// What each probe may add; caches and tables of quiche still fill after the warm-up.
const MOST_FOR_A_PROBE: i64 = 512;

/// Counts the bytes that the Rust heap holds. BoringSSL allocates by itself and is not counted.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static HELD: AtomicI64 = AtomicI64::new(0);

#[test]
fn probes_pings_and_messages_leave_nothing_behind() {
    let members = Participants::new().cluster(&["ada", "bob", "cyd"]);
    let events = members[1].subscribe();
    work_until(&members, 30);
    while events.try_recv().is_ok() {}
    let before = HELD.load(Relaxed);
    work_until(&members, 60);
    while events.try_recv().is_ok() {}
    let grown = HELD.load(Relaxed) - before;
    let most = 30 * 3 * MOST_FOR_A_PROBE;
    assert!(grown < most, "{grown} bytes more after 30 probes by each of three; at most {most}");
}

/// Everybody has sent so many probes; meanwhile the first sends something with each look.
fn work_until(members: &[Cluster], probes: u64) {
    let sent = |member: &Cluster| member.stats().unwrap().membership.counters.probes;
    eventually("so many probes", || {
        members[0].ping("bob", SECOND).unwrap();
        members[0].send_reliable("bob", vec![b'x'; 5_000], SECOND).unwrap();
        members[0].send("bob", vec![b'x'; 500]).unwrap();
        members.iter().all(|member| sent(member) >= probes)
    });
}

#[expect(unsafe_code, reason = "an allocator cannot be written without; it only passes on")]
// SAFETY: every call goes to the system's allocator with the arguments that came in.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(signed(layout.size()), Relaxed);
        // SAFETY: see above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD.fetch_sub(signed(layout.size()), Relaxed);
        // SAFETY: see above.
        unsafe { System.dealloc(place, layout) }
    }
}

fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
