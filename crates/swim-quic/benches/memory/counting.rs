//! Counts what the Rust heap holds, by the size of the blocks.
//!
//! BoringSSL allocates by itself: what it holds is the rest of what the C library has handed out.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Blocks up to this size are counted by size; larger ones together.
const LARGEST: usize = 1 << 15;

static HELD: AtomicI64 = AtomicI64::new(0);
static BLOCKS: [AtomicI64; LARGEST + 1] = [const { AtomicI64::new(0) }; LARGEST + 1];

/// What is held at one moment.
pub(crate) struct Heap {
    /// Bytes of the Rust heap.
    pub(crate) rust: i64,
    /// Bytes that the C library has handed out to everybody; zero where it cannot tell.
    pub(crate) all: i64,
    /// Blocks by size.
    blocks: Vec<i64>,
}

/// What [`Heap`] itself holds for the count of blocks.
const OWN: i64 = 8 * ((1 << 15) + 1);
/// How many of them are alive.
static TAKEN: AtomicI64 = AtomicI64::new(0);

impl Heap {
    pub(crate) fn now() -> Self {
        let own = OWN * TAKEN.fetch_add(1, Relaxed);
        let (rust, all) = (HELD.load(Relaxed) - own, all() - own);
        let blocks = BLOCKS.iter().map(|count| count.load(Relaxed)).collect();
        Self { rust, all, blocks }
    }

    /// The sizes of which most bytes were added since `earlier`: bytes, size, blocks. Without the
    /// blocks that are larger than all counted by size.
    pub(crate) fn largest_since(&self, earlier: &Self) -> Vec<(i64, usize, i64)> {
        let pairs = self.blocks.iter().zip(&earlier.blocks).enumerate();
        let mut grown: Vec<_> = pairs
            .map(|(size, (now, then))| (signed(size) * (now - then), size, now - then))
            .filter(|(bytes, size, _)| *bytes > 0 && *size < LARGEST)
            .collect();
        grown.sort_unstable_by(|one, other| other.cmp(one));
        grown
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        TAKEN.fetch_sub(1, Relaxed);
    }
}

fn note(size: usize, sign: i64) {
    HELD.fetch_add(sign * signed(size), Relaxed);
    BLOCKS[size.min(LARGEST)].fetch_add(sign, Relaxed);
}

fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

#[expect(unsafe_code, reason = "an allocator cannot be written without; it only passes on")]
// SAFETY: every call goes to the system's allocator with the arguments that came in.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 1);
        // SAFETY: see above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 1);
        // SAFETY: see above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        note(layout.size(), -1);
        // SAFETY: see above.
        unsafe { System.dealloc(place, layout) }
    }
}

/// The figures of the C library's `mallinfo2`.
#[repr(C)]
struct AllocatorFigures {
    arena: usize,
    free_chunks: usize,
    free_fast_chunks: usize,
    mapped_blocks: usize,
    mapped_bytes: usize,
    unused: usize,
    free_fast_bytes: usize,
    bytes_in_use: usize,
    bytes_free: usize,
    releasable: usize,
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the C library's own count has no safe form")]
fn all() -> i64 {
    unsafe extern "C" {
        fn mallinfo2() -> AllocatorFigures;
    }
    // SAFETY: it takes nothing and returns a plain structure, of glibc 2.33 and later.
    let figures = unsafe { mallinfo2() };
    signed(figures.bytes_in_use + figures.mapped_bytes)
}

#[cfg(not(target_env = "gnu"))]
fn all() -> i64 {
    0
}
