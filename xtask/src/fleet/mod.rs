//! The members of one cluster on this machine: processes of `node` and of the Go peer.
//!
//! Starts them, writes their commands, reads what they say, signals them, and puts a network
//! between them whose links can be cut. Whatever way a run ends, no process outlives its
//! [`Fleet`]: dropping it kills and reaps them, the stopped ones too.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a reader of events wants some kinds of them, and no new kind concerns it"
)]

pub(crate) mod folder;
pub(crate) mod logs;
mod member;
pub(crate) mod member_event;
pub(crate) mod observer;
mod processes;
pub(crate) mod programs;
pub(crate) mod reporter;
pub(crate) mod stage;
pub(crate) mod stall_detector;
mod udp_proxy;

use std::time::Duration;

pub(crate) use member_event as event;
use member_event::MemberEvent;
pub(crate) use processes::Fleet;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::Signal;

use crate::Stop;

/// Which program a member runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// The reference member of this repository.
    Node,
    /// The member built on hashicorp/memberlist.
    GoPeer,
}

impl Program {
    /// The program of a member of this name: names of Go peers begin with `g`.
    pub(crate) fn named(name: &str) -> Self {
        if name.starts_with('g') { Self::GoPeer } else { Self::Node }
    }
}

/// Random letters that compression gains little on, the same for the same seed.
pub(crate) fn letters(seed: u64) -> impl Iterator<Item = char> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-";
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    std::iter::repeat_with(move || char::from(LETTERS[random.random_range(0..LETTERS.len())]))
}

/// Something that a member did, and when the fleet read it, since the fleet was made.
#[derive(Debug)]
pub(crate) struct Observation {
    pub(crate) name: String,
    pub(crate) at: Duration,
    pub(crate) what: Observed,
}

/// What a member did.
#[derive(Debug)]
pub(crate) enum Observed {
    /// It wrote an event; with the line that it wrote.
    Event(Box<MemberEvent>, String),
    /// It wrote a line that is no event.
    Malformed { line: String, error: serde_json::Error },
    /// Its process ended, with this exit code unless by a signal.
    Exited(Option<i32>),
}

impl Observed {
    pub(crate) fn line(line: String) -> Self {
        match MemberEvent::parse(&line) {
            Ok(event) => Self::Event(Box::new(event), line),
            Err(error) => Self::Malformed { line, error },
        }
    }
}

/// What a fleet does for whoever plays with it; a test puts members of its own in its place.
pub(crate) trait Members {
    /// Time since the fleet was made.
    fn elapsed(&self) -> Duration;
    /// Starts a process with more of its command line; one that still runs under this name is
    /// killed before. Without `--bind` it listens where its former process did, else on a free
    /// port of the fleet's address.
    fn spawn(&mut self, name: &str, flags: &[&str]) -> Result<(), Stop>;
    /// Writes one command line. A process that cannot take it has ended, which is observed.
    fn send(&mut self, name: &str, command: &str);
    /// Signals the process, unless it has ended.
    fn signal(&mut self, name: &str, signal: Signal);
    /// The next thing that a member did, or `None` at the deadline.
    ///
    /// # Errors
    /// [`Stop::Interrupted`].
    fn next(&mut self, deadline: Duration) -> Result<Option<Observation>, Stop>;
}
