//! What a cluster's memory grows by while a third of its members attack in one way.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use swim_core::sim::scenario::{self, Size};

/// The most bytes that an attack may cost each honest member, above a cluster that nobody attacks.
const MOST: usize = 64 << 20;
/// Of ten members, three attack.
const HONEST: usize = 7;

/// The peak counts everything in the simulation: what hostile members hold themselves, and what is
/// under way between them.
#[test]
fn an_attack_costs_each_honest_member_64_mib_at_most() {
    let size = Size { members: Some(10), repetitions: Some(0..1), ..Size::default() };
    let scenario = scenario::named("hostile", size).unwrap();
    let mut quiet = None;
    for job in &scenario.jobs {
        let before = HELD.load(Relaxed);
        PEAK.store(before, Relaxed);
        let measure = job.run();
        let peak = PEAK.load(Relaxed) - before;
        let quiet = *quiet.get_or_insert(peak);
        println!("{:24} {:7} KiB at most, {quiet} bytes quiet", measure.row, peak >> 10);
        assert!(peak.saturating_sub(quiet) <= MOST * HONEST, "{}: {peak} bytes", measure.row);
    }
    assert!(quiet.is_some_and(|quiet| quiet > 0));
}

/// Bytes asked for and not yet given back, and the most since the test has set it back.
static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator that counts has no safe form; a test needs one")]
// SAFETY: every call goes to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(held, Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: `place` came from `alloc` with this layout.
        unsafe { System.dealloc(place, layout) }
    }
}
