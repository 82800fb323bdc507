//! The demo's phases, actions, steps and verdict as types.
//!
//! The [judge](super::judge) produces them; the parts that start processes and draw the screen
//! consume them.

use std::net::SocketAddr;
use std::time::Duration;

/// Steps that can be left out to prove that the verdict notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Sabotage {
    /// Kill nobody
    Crash,
    /// Let nobody leave
    Leave,
    /// Restart nobody
    Restart,
}

/// Something to be done to the node of this index, and then to be reported as
/// [performed](super::judge::Judge::performed).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Start { node: usize, bind: SocketAddr, join: Vec<SocketAddr> },
    Kill { node: usize },
    Command { node: usize, command: &'static str },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The first node starts.
    Open,
    /// All start and find each other.
    Gather,
    /// One was killed.
    Crash,
    /// Another leaves.
    Leave,
    /// The one that left quits.
    Quit,
    /// The killed one starts again.
    Restart,
    /// It stays alive.
    Watch,
    /// Everybody is asked.
    Confirm,
    /// Everybody quits.
    Close,
}

/// A step that succeeded: when each observer saw it, since its cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) phase: Phase,
    /// Ascending, never empty.
    pub(super) times: Vec<Duration>,
    pub(super) bound: Duration,
}

impl Step {
    /// Minimum, median and maximum.
    pub(super) fn spread(&self) -> [Duration; 3] {
        let last = self.times.len() - 1;
        let median = (self.times[last / 2] + self.times[last.div_ceil(2)]) / 2;
        [self.times[0], median, self.times[last]]
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    /// What did not happen.
    Failed(String),
}

/// The name of the node of this index.
pub(super) fn name(node: usize) -> String {
    format!("n{}", node + 1)
}
