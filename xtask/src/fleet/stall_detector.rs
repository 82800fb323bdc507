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

/// The longest lateness so far.
struct Lateness {
    last: Instant,
    longest: Duration,
}

impl Lateness {
    fn woke(&mut self, now: Instant) {
        let late = now.saturating_duration_since(self.last).saturating_sub(INTERVAL);
        self.longest = self.longest.max(late);
        self.last = now;
    }
}

/// Measures from its start to its end.
pub(crate) struct StallDetector {
    stop: Sender<()>,
    thread: JoinHandle<Duration>,
}

impl StallDetector {
    pub(crate) fn start() -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut lateness = Lateness { last: clock::now(), longest: Duration::ZERO };
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                lateness.woke(clock::now());
            }
            lateness.longest
        });
        Self { stop, thread }
    }

    /// By how much the latest waking came late.
    pub(crate) fn end(self) -> Duration {
        let _ = self.stop.send(());
        self.thread.join().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_what_a_waking_came_late_by_and_an_ordinary_one_is_none() {
        let begin = clock::now();
        let mut lateness = Lateness { last: begin, longest: Duration::ZERO };
        lateness.woke(begin + INTERVAL);
        assert_eq!(lateness.longest, Duration::ZERO);
        lateness.woke(begin + INTERVAL * 2 + Duration::from_millis(640));
        lateness.woke(begin + INTERVAL * 3 + Duration::from_millis(641));
        assert_eq!(lateness.longest, Duration::from_millis(640));
    }

    #[test]
    fn a_detector_ends_when_it_is_told_to() {
        let detector = StallDetector::start();
        assert!(detector.end() < Duration::from_mins(1));
    }
}
