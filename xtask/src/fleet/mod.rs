//! The members of one cluster on this machine: processes of `node` and of the Go peer.
//!
//! Starts them, writes their commands, reads what they say, signals them, and puts a network
//! between them whose links can be broken. Whatever way a run ends, no process outlives its
//! [`Fleet`]: dropping it kills and reaps them, the stopped ones too.

mod actor;
mod child;
pub(crate) mod folder;
pub(crate) mod history;
pub(crate) mod logs;
pub(crate) mod member_event;
pub(crate) mod observer;
mod processes;
pub(crate) mod programs;
pub(crate) mod reporter;
pub(crate) mod stage;
pub(crate) mod stall_detector;
pub(crate) mod transcript;
pub(crate) mod udp_proxy;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) use member_event as event;
use member_event::MemberEvent;
pub(crate) use processes::Fleet;
use rustix::process::Signal;

use crate::Stop;

/// What could not be done with a member.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FleetError {
    /// Its process could not be started.
    #[error("cannot start {name}")]
    Start { name: String, source: io::Error },
    /// The network that it should be attached to could not be made.
    #[error("cannot attach {name} to the proxy: is the loopback network whole?")]
    Attach { name: String, source: io::Error },
    /// Ctrl-C, or a request to terminate.
    #[error("interrupted")]
    Interrupted,
}

impl From<FleetError> for Stop {
    fn from(error: FleetError) -> Self {
        match error {
            FleetError::Interrupted => Self::Interrupted,
            FleetError::Start { name, source } => Self::cannot(format!("start {name}"), source),
            FleetError::Attach { name, source } => {
                Self::cannot(format!("attach {name} to the proxy"), source)
            }
        }
    }
}

/// A member of one fleet. It keeps its id when its process ends and another one is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MemberId(pub(crate) usize);

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

/// How a member's process is started.
#[derive(Debug, Clone)]
pub(crate) struct MemberSpec {
    pub(crate) name: String,
    pub(crate) program: Program,
    /// Whom it joins.
    pub(crate) join: Vec<SocketAddr>,
    /// Whether its datagrams go through the UDP proxy.
    pub(crate) proxied: bool,
    /// More of its command line.
    pub(crate) flags: Vec<String>,
}

impl MemberSpec {
    /// A process that joins nobody and listens where its former process did, else on a free port
    /// of the fleet's address; the flag `--bind` changes that.
    pub(crate) fn new(name: impl Into<String>, program: Program) -> Self {
        let (name, flags) = (name.into(), Vec::new());
        Self { name, program, join: Vec::new(), proxied: false, flags }
    }

    /// The same with more of its command line.
    pub(crate) fn with(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }
}

/// Something that a member did.
#[derive(Debug)]
pub(crate) struct Observation {
    pub(crate) member: MemberId,
    /// When the fleet read it, since the fleet was made.
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

/// What a fleet does for whoever plays with it; a test puts members of its own in its place.
pub(crate) trait Members {
    /// Time since the fleet was made.
    fn elapsed(&self) -> Duration;
    /// Starts a process; one that still runs under this name is killed before.
    fn spawn(&mut self, spec: &MemberSpec) -> Result<MemberId, FleetError>;
    /// Writes one command line. A process that cannot take it has ended, which is observed.
    fn send(&mut self, member: MemberId, command: &str);
    /// Signals the process, unless it has ended.
    fn signal(&mut self, member: MemberId, signal: Signal);
    /// The next thing that a member did, or `None` at the deadline.
    ///
    /// # Errors
    /// [`FleetError::Interrupted`].
    fn next(&mut self, deadline: Duration) -> Result<Option<Observation>, FleetError>;
}
