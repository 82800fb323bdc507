//! How long the machine itself stood still at most.
//!
//! To its members, a virtual machine that pauses for half a second looks like a network that
//! loses everything. A thread wakes up every 20 ms and keeps the longest time by which it came
//! late.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::clock;

/// Between two wakings.
const INTERVAL: Duration = Duration::from_millis(20);

/// Measures from its start to its end.
pub(crate) struct StallDetector {
    stop: Sender<()>,
    thread: JoinHandle<Duration>,
}

impl StallDetector {
    pub(crate) fn start() -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let (mut last, mut longest) = (clock::now(), Duration::ZERO);
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let now = clock::now();
                longest = longest.max(lateness(last, now));
                last = now;
            }
            longest
        });
        Self { stop, thread }
    }

    /// By how much the latest waking came late.
    pub(crate) fn end(self) -> Duration {
        let _ = self.stop.send(());
        self.thread.join().unwrap_or_default()
    }
}

fn lateness(last: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(last).saturating_sub(INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_what_a_waking_came_late_by_and_a_detector_ends_when_told_to() {
        let begin = clock::now();
        assert_eq!(lateness(begin, begin + INTERVAL), Duration::ZERO);
        let pause = Duration::from_millis(640);
        assert_eq!(lateness(begin, begin + INTERVAL + pause), pause);
        assert!(StallDetector::start().end() < Duration::from_mins(1));
    }
}
