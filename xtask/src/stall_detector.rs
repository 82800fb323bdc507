//! Whether the machine itself stood still.
//!
//! To the members on a virtual machine, a pause of half a second looks like a network that loses
//! everything. A thread wakes up 50 times a second and keeps the longest time by which it woke
//! late, so that a failed test can say whether the machine stalled meanwhile.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::clock;

/// From one wake-up to the next.
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

/// Measures from [`start`](Self::start) to [`end`](Self::end).
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

    /// By how much the latest wake-up came late.
    pub(crate) fn end(self) -> Duration {
        let _ = self.stop.send(());
        self.thread.join().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_how_late_a_wake_up_came_and_a_punctual_one_is_none() {
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
        let stall_detector = StallDetector::start();
        assert!(stall_detector.end() < Duration::from_mins(1));
    }
}
