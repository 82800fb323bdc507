//! One member of a story: what it was told, what it has said, and what it may do.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::Signal;

use super::Observed;
use super::event::{EventKind, Reply, SeenState, UserMessage, text_or_hex};

/// How a member's process is meant to fare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Fate {
    #[default]
    Runs,
    Killed,
    Quits,
    Ended,
}

/// What a member says about another, after its latest event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Belief {
    pub(crate) state: SeenState,
    pub(crate) meta: String,
}

/// See the [module](self). What it says counts since its latest process was started.
#[derive(Debug, Default)]
pub(crate) struct Member {
    fate: Fate,
    /// It was asked to leave.
    leaves: bool,
    /// Where its first process listened.
    first_address: Option<SocketAddr>,
    /// The address it announces, and when it said so.
    pub(crate) ready: Option<(SocketAddr, Duration)>,
    pub(crate) beliefs: BTreeMap<String, Belief>,
    /// Every change of a state that it told, in order.
    pub(crate) changes: Vec<(String, SeenState)>,
    pub(crate) messages: Vec<UserMessage>,
    /// What peers' applications added to their states, and whether in a join.
    pub(crate) states: Vec<(String, bool)>,
    /// Replies that nobody has taken yet.
    pub(crate) replies: VecDeque<Reply>,
    /// Ended attempts to join a seed; with the reason where they failed.
    pub(crate) seeds: Vec<Option<String>>,
    /// Refusals: what, and the detail.
    pub(crate) warnings: Vec<(String, String)>,
}

impl Member {
    /// A process that was started after this one.
    pub(super) fn next(&self) -> Self {
        Self { first_address: self.first_address, ..Self::default() }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.fate == Fate::Ended
    }

    /// The state of another, or `None` for one never seen.
    pub(crate) fn state(&self, name: &str) -> Option<SeenState> {
        self.beliefs.get(name).map(|belief| belief.state)
    }

    /// Whether it sees this metadata of another.
    pub(crate) fn sees_meta(&self, name: &str, meta: &str) -> bool {
        self.beliefs.get(name).is_some_and(|belief| belief.meta == meta)
    }

    /// The first change to one of these states that it told of anybody.
    pub(crate) fn told(&self, states: &[SeenState]) -> Option<&(String, SeenState)> {
        self.changes.iter().find(|(_, state)| states.contains(state))
    }

    /// It is told this command.
    pub(super) fn is_told(&mut self, command: &str) {
        self.leaves |= command == "leave";
        if command == "quit" {
            self.fate = Fate::Quits;
        }
    }

    pub(super) fn is_signalled(&mut self, signal: Signal) {
        if signal == Signal::KILL {
            self.fate = Fate::Killed;
        }
    }

    /// It did this.
    ///
    /// # Errors
    /// What no member may do, without its name.
    pub(super) fn does(&mut self, what: &Observed, at: Duration) -> Result<(), String> {
        match what {
            Observed::Malformed { line, error } => {
                Err(format!("wrote a line that is no event ({error}): {line}"))
            }
            Observed::Exited(code) => {
                let asked_for = match std::mem::replace(&mut self.fate, Fate::Ended) {
                    Fate::Killed => code.is_none(),
                    Fate::Quits => *code == Some(0),
                    Fate::Runs | Fate::Ended => false,
                };
                let how = code.map_or("a signal".to_owned(), |code| format!("exit code {code}"));
                if asked_for { Ok(()) } else { Err(format!("ended with {how}")) }
            }
            Observed::Event(event, _) => {
                if let Some((subject, state)) = event.belief() {
                    // Only an appearance carries metadata.
                    let former = self.beliefs.get(&subject.node).map(|belief| belief.meta.clone());
                    let meta = subject.meta().or(former).unwrap_or_default();
                    self.changes.push((subject.node.clone(), state));
                    self.beliefs.insert(subject.node.clone(), Belief { state, meta });
                }
                self.hears(&event.kind, at);
                Ok(())
            }
        }
    }

    fn hears(&mut self, kind: &EventKind, at: Duration) {
        match kind {
            EventKind::Ready { addr, .. } => self.ready = Some((*addr, at)),
            EventKind::Update(subject) => {
                if let Some(belief) = self.beliefs.get_mut(&subject.node) {
                    belief.meta = subject.meta().unwrap_or_default();
                }
            }
            EventKind::Msg(message) => self.messages.push(message.clone()),
            EventKind::State { join, text, hex } => {
                let state = text_or_hex(text.as_ref(), hex.as_ref()).unwrap_or_default();
                self.states.push((state, *join));
            }
            EventKind::Seed { ok, error } => {
                let reason = error.as_deref().unwrap_or("no reason given");
                self.seeds.push((!ok).then(|| reason.to_owned()));
            }
            EventKind::Warn { what, detail } => {
                self.warnings.push((what.clone(), detail.clone()));
            }
            EventKind::Reply(reply) => self.replies.push_back(reply.clone()),
            _ => {}
        }
    }

    /// What it may not do where everybody must be right, without its name.
    pub(super) fn mistake(&mut self, kind: &EventKind) -> Option<String> {
        match kind {
            EventKind::Ready { addr, .. } => {
                let first = *self.first_address.get_or_insert(*addr);
                (first != *addr).then(|| format!("was restarted on {first} but listens on {addr}"))
            }
            EventKind::Reply(reply) => {
                Some(format!("refused the command {}: {}", reply.cmd, reply.refusal()?))
            }
            EventKind::Conflict { node } => Some(format!("sees two members called {node}")),
            _ => None,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_a_member_says_is_kept_and_the_latest_belief_counts() {
        let mut member = Member::default();
        for line in [
            r#""ev":"join","node":"b","meta":"m""#,
            r#""ev":"suspect","node":"b","by":"a""#,
            r#""ev":"alive","node":"b","by":"b""#,
            r#""ev":"update","node":"b","meta":"new""#,
            r#""ev":"msg","from":null,"reliable":true,"text":"hello","len":5"#,
            r#""ev":"seed","addr":"x","ok":true,"error":null"#,
            r#""ev":"seed","addr":"x","ok":false,"error":"timed out""#,
            r#""ev":"warn","what":"label","detail":"not ours","count":1"#,
        ] {
            let seen = Observed::line(format!(r#"{{"ts":1,{line}}}"#));
            member.does(&seen, Duration::from_secs(1)).unwrap();
        }
        assert_eq!((member.state("b"), member.state("c")), (Some(SeenState::Alive), None));
        assert!(member.sees_meta("b", "new"));
        assert!(member.told(&[SeenState::Suspect]).is_some());
        assert!(member.told(&[SeenState::Failed]).is_none());
        assert_eq!(member.messages[0].payload(), "hello");
        assert_eq!(member.seeds, [None, Some("timed out".to_owned())]);
        assert_eq!(member.warnings, [("label".to_owned(), "not ours".to_owned())]);
    }
}
