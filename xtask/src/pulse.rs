//! Whether the machine itself stood still.
//!
//! A virtual machine that pauses for half a second looks, to the members on it, like a network
//! that loses everything. A thread here wakes up many times a second and keeps the longest time
//! by which it came late. It measures, and decides nothing.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::clock;

/// Between two wakings.
const BEAT: Duration = Duration::from_millis(20);

/// The longest lateness so far.
struct Lateness {
    last: Instant,
    longest: Duration,
}

impl Lateness {
    fn woke(&mut self, now: Instant) {
        let late = now.saturating_duration_since(self.last).saturating_sub(BEAT);
        self.longest = self.longest.max(late);
        self.last = now;
    }
}

/// Measures from its start to its end.
pub(crate) struct Pulse {
    stop: Sender<()>,
    thread: JoinHandle<Duration>,
}

impl Pulse {
    pub(crate) fn start() -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut lateness = Lateness { last: clock::now(), longest: Duration::ZERO };
            while stopped.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
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
    fn a_pause_is_what_a_waking_came_late_by_and_an_ordinary_beat_is_none() {
        let begin = clock::now();
        let mut lateness = Lateness { last: begin, longest: Duration::ZERO };
        lateness.woke(begin + BEAT);
        assert_eq!(lateness.longest, Duration::ZERO);
        lateness.woke(begin + BEAT * 2 + Duration::from_millis(640));
        lateness.woke(begin + BEAT * 3 + Duration::from_millis(641));
        assert_eq!(lateness.longest, Duration::from_millis(640));
    }

    #[test]
    fn a_pulse_ends_when_it_is_told_to() {
        let pulse = Pulse::start();
        assert!(pulse.end() < Duration::from_mins(1));
    }
}
