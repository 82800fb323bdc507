//! The one place of this program that reads a clock, to say how fast it is.

use std::time::Instant;

pub(crate) fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "progress is told in real time")]
    Instant::now()
}
