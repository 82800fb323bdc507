//! What one member has said since its process was started: whom it sees, what it received.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use super::event::{EventKind, MemberEvent, Reply, SeenState};

/// What a member says about another, after its latest event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Belief {
    pub(crate) state: SeenState,
    pub(crate) meta: String,
}

/// A user message that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    /// Go peers do not know.
    pub(crate) from: Option<String>,
    pub(crate) reliable: bool,
    pub(crate) text: String,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The address it announces, and when it said so.
    pub(crate) ready: Option<(SocketAddr, Duration)>,
    pub(crate) beliefs: BTreeMap<String, Belief>,
    /// Every change of a state that it told, in order.
    pub(crate) changes: Vec<(String, SeenState)>,
    pub(crate) messages: Vec<Received>,
    /// Replies that nobody has taken yet.
    pub(crate) replies: VecDeque<Reply>,
    /// Ended attempts to join a seed; with the reason where they failed.
    pub(crate) seeds: Vec<Option<String>>,
    /// Refusals: what, and the detail.
    pub(crate) warnings: Vec<(String, String)>,
}

impl History {
    /// Adds an event that was read at this time.
    pub(crate) fn add(&mut self, event: &MemberEvent, at: Duration) {
        if let Some((subject, state)) = event.belief() {
            // Only an appearance carries metadata.
            let former = self.beliefs.get(&subject.node).map(|belief| belief.meta.clone());
            let meta = subject.meta().or(former).unwrap_or_default();
            self.changes.push((subject.node.clone(), state));
            self.beliefs.insert(subject.node.clone(), Belief { state, meta });
        }
        match &event.kind {
            EventKind::Ready { addr, .. } => self.ready = Some((*addr, at)),
            EventKind::Update(subject) => {
                if let Some(belief) = self.beliefs.get_mut(&subject.node) {
                    belief.meta = subject.meta().unwrap_or_default();
                }
            }
            EventKind::Msg(message) => {
                let (from, reliable) = (message.from.clone(), message.reliable);
                self.messages.push(Received { from, reliable, text: message.payload() });
            }
            EventKind::Seed { ok, error, .. } => {
                let reason = error.as_deref().unwrap_or("no reason given");
                self.seeds.push((!ok).then(|| reason.to_owned()));
            }
            EventKind::Warn { what, detail, .. } => {
                self.warnings.push((what.clone(), detail.clone()));
            }
            EventKind::Reply(reply) => self.replies.push_back(reply.clone()),
            EventKind::Join(_)
            | EventKind::Suspect(_)
            | EventKind::Alive(_)
            | EventKind::Leave(_)
            | EventKind::Fail(_)
            | EventKind::Conflict { .. }
            | EventKind::Restarted(_)
            | EventKind::Moved(_)
            | EventKind::Resumed { .. }
            | EventKind::Deaf { .. }
            | EventKind::Stream { .. }
            | EventKind::Other => {}
        }
    }

    /// The state of another, or `None` for one never seen.
    pub(crate) fn state(&self, name: &str) -> Option<SeenState> {
        self.beliefs.get(name).map(|belief| belief.state)
    }

    /// Whether it ever told that this happened.
    pub(crate) fn told(&self, name: &str, state: SeenState) -> bool {
        self.changes.iter().any(|(about, then)| about == name && *then == state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(lines: &[&str]) -> History {
        let mut history = History::default();
        for line in lines {
            let event = MemberEvent::parse(&format!(r#"{{"ts":1,{line}}}"#)).unwrap();
            history.add(&event, Duration::from_secs(1));
        }
        history
    }

    #[test]
    fn the_latest_event_about_a_member_counts_and_none_is_forgotten() {
        let history = history(&[
            r#""ev":"join","node":"b","meta":"m""#,
            r#""ev":"suspect","node":"b","by":"a""#,
            r#""ev":"alive","node":"b","by":"b""#,
            r#""ev":"update","node":"b","meta":"new""#,
        ]);
        assert_eq!(history.state("b"), Some(SeenState::Alive));
        assert_eq!(history.beliefs["b"].meta, "new");
        assert!(history.told("b", SeenState::Suspect) && !history.told("b", SeenState::Failed));
        assert_eq!(history.state("c"), None);
    }

    #[test]
    fn messages_refusals_and_seeds_are_kept() {
        let history = history(&[
            r#""ev":"msg","from":null,"reliable":true,"text":"hello","len":5"#,
            r#""ev":"seed","addr":"x","ok":true,"error":null"#,
            r#""ev":"seed","addr":"x","ok":false,"error":"timed out""#,
            r#""ev":"warn","what":"label","detail":"not ours","count":1"#,
        ]);
        let hello = Received { from: None, reliable: true, text: "hello".to_owned() };
        assert_eq!(history.messages, [hello]);
        assert_eq!(history.seeds, [None, Some("timed out".to_owned())]);
        assert_eq!(history.warnings, [("label".to_owned(), "not ours".to_owned())]);
    }
}
