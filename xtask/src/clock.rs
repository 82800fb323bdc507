//! The one place where this program reads a clock.
//!
//! Everything else takes time as an argument, so that verdicts about time can be tested with
//! made-up times.

use std::time::Instant;

/// The current instant.
#[expect(clippy::disallowed_methods, reason = "the one clock read of this program")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
