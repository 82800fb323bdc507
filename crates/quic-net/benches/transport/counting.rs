//! Counts what the Rust heap is asked for, while it is told to, on one of two accounts.
//!
//! BoringSSL allocates by itself and is not counted; it is asked for the same by both sides of
//! every comparison.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering::Relaxed};

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static COUNTS: AtomicBool = AtomicBool::new(false);
static ACCOUNT: AtomicUsize = AtomicUsize::new(0);
static ALLOCATIONS: [AtomicI64; 2] = [const { AtomicI64::new(0) }; 2];
static BYTES: [AtomicI64; 2] = [const { AtomicI64::new(0) }; 2];

/// One account's figures: allocations so far, and bytes held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) allocations: i64,
    pub(crate) bytes: i64,
}

/// Runs `work` and counts for `account`, 0 or 1.
pub(crate) fn counted<T>(account: usize, work: impl FnOnce() -> T) -> T {
    ACCOUNT.store(account, Relaxed);
    COUNTS.store(true, Relaxed);
    let result = work();
    COUNTS.store(false, Relaxed);
    result
}

pub(crate) fn figures(account: usize) -> Figures {
    Figures { allocations: ALLOCATIONS[account].load(Relaxed), bytes: BYTES[account].load(Relaxed) }
}

fn note(allocations: i64, bytes: i64) {
    if COUNTS.load(Relaxed) {
        let account = ACCOUNT.load(Relaxed);
        ALLOCATIONS[account].fetch_add(allocations, Relaxed);
        BYTES[account].fetch_add(bytes, Relaxed);
    }
}

fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

#[expect(unsafe_code, reason = "an allocator cannot be written without; it only passes on")]
// SAFETY: every call goes to the system's allocator with the arguments that came in.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, signed(layout.size()));
        // SAFETY: see above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        note(0, -signed(layout.size()));
        // SAFETY: see above.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, signed(size) - signed(layout.size()));
        // SAFETY: see above.
        unsafe { System.realloc(place, layout, size) }
    }
}
