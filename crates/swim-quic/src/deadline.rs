//! From a caller's timeout to the moment at which it ends.

use std::time::{Duration, Instant};

/// The moment `timeout` from now on.
#[expect(clippy::disallowed_methods, reason = "a caller's timeout starts when the caller calls")]
pub(crate) fn deadline_after(timeout: Duration) -> Instant {
    let now = Instant::now();
    // A timeout beyond what the clock can hold means: as long as it takes.
    now.checked_add(timeout).unwrap_or(now + Duration::from_secs(86_400 * 365))
}
