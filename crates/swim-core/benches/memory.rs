//! What a member costs on the heap, by the number of members known.
//!
//! Counts what the machine asks the allocator for, before and after it learns of the members and
//! has gossiped about them; tables that grow by doubling are counted with their empty places.
//! Ends with an error where a member costs more than the target.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::Crowd;

/// The most bytes that a member may cost at 10,000 members.
const TARGET: usize = 120;

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn main() -> ExitCode {
    let mut costly = false;
    for members in [100, 1_000, 10_000] {
        let mut crowd = Crowd::strangers(members);
        let (bytes, blocks) = (BYTES.load(Ordering::Relaxed), BLOCKS.load(Ordering::Relaxed));
        crowd.learn(members);
        let bytes = BYTES.load(Ordering::Relaxed) - bytes;
        let blocks = BLOCKS.load(Ordering::Relaxed) - blocks;
        println!(
            "{members:6} members: {:4} bytes in {}.{:02} blocks each",
            bytes / members,
            blocks / members,
            blocks % members * 100 / members
        );
        costly |= members == 10_000 && bytes > TARGET * members;
    }
    if costly {
        println!("a member costs more than {TARGET} bytes");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Bytes asked for and not yet given back.
static BYTES: AtomicUsize = AtomicUsize::new(0);
/// Blocks they lie in.
static BLOCKS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator that counts has no safe form; a benchmark needs one")]
// SAFETY: every call goes to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        BLOCKS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        BLOCKS.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}
