//! One member of a story: what it was told, what it has said, and what it may do.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::Signal;

use super::event::{EventKind, Reply, SeenState};
use super::history::History;
use super::{MemberId, Observed};

/// How a member's process is meant to fare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Runs,
    Killed,
    Quits,
    Ended,
}

pub(super) struct Actor {
    id: MemberId,
    fate: Fate,
    /// It was asked to leave since it started.
    leaves: bool,
    /// Where its first process listened.
    address: Option<SocketAddr>,
    history: History,
}

impl Actor {
    /// A process that was started; `former` is the one before.
    pub(super) fn new(id: MemberId, former: Option<&Self>) -> Self {
        let address = former.and_then(|former| former.address);
        Self { id, fate: Fate::Runs, leaves: false, address, history: History::default() }
    }

    pub(super) fn id(&self) -> MemberId {
        self.id
    }

    pub(super) fn history(&self) -> &History {
        &self.history
    }

    pub(super) fn has_ended(&self) -> bool {
        self.fate == Fate::Ended
    }

    /// It is told this command.
    pub(super) fn told(&mut self, command: &str) {
        self.leaves |= command == "leave";
        if command == "quit" {
            self.fate = Fate::Quits;
        }
    }

    pub(super) fn signalled(&mut self, signal: Signal) {
        if signal == Signal::KILL {
            self.fate = Fate::Killed;
        }
    }

    /// The oldest reply that nobody has taken yet.
    pub(super) fn take_reply(&mut self) -> Option<Reply> {
        self.history.replies.pop_front()
    }

    /// It did this.
    ///
    /// # Errors
    /// What no member may do, without its name.
    pub(super) fn did(&mut self, what: &Observed, at: Duration) -> Result<(), String> {
        match what {
            Observed::Malformed { line, error } => {
                Err(format!("wrote a line that is no event ({error}): {line}"))
            }
            Observed::Exited(code) => {
                let asked_for = match self.fate {
                    Fate::Killed => code.is_none(),
                    Fate::Quits => *code == Some(0),
                    Fate::Runs | Fate::Ended => false,
                };
                self.fate = Fate::Ended;
                let how = code.map_or("a signal".to_owned(), |code| format!("exit code {code}"));
                if asked_for { Ok(()) } else { Err(format!("ended with {how}")) }
            }
            Observed::Event(event, _) => {
                self.history.add(event, at);
                Ok(())
            }
        }
    }

    /// What it may not do where everybody must be right, without its name.
    pub(super) fn mistake(&mut self, kind: &EventKind) -> Option<String> {
        match kind {
            EventKind::Ready { addr, .. } => {
                let first = *self.address.get_or_insert(*addr);
                (first != *addr).then(|| format!("was restarted on {first} but listens on {addr}"))
            }
            EventKind::Reply(reply) => {
                Some(format!("refused the command {}: {}", reply.cmd, reply.refusal()?))
            }
            EventKind::Conflict { node, .. } => Some(format!("sees two members called {node}")),
            EventKind::Join(_)
            | EventKind::Update(_)
            | EventKind::Suspect(_)
            | EventKind::Alive(_)
            | EventKind::Leave(_)
            | EventKind::Fail(_)
            | EventKind::Restarted(_)
            | EventKind::Moved(_)
            | EventKind::Resumed { .. }
            | EventKind::Deaf { .. }
            | EventKind::Msg(_)
            | EventKind::Stream { .. }
            | EventKind::Seed { .. }
            | EventKind::Warn { .. }
            | EventKind::Other => None,
        }
    }

    /// Whether another may say this of it.
    pub(super) fn may_be_seen(&self, state: SeenState) -> bool {
        match state {
            SeenState::Failed => !self.leaves && self.fate != Fate::Runs,
            SeenState::Left => self.leaves,
            SeenState::Alive | SeenState::Suspect => true,
        }
    }
}
