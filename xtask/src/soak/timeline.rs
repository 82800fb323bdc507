//! What was done to the members of a soak and what they said, in the order of its times.
//!
//! The oracle judges a timeline and nothing else, so that a test can make one up.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::payload;
use super::roles::Participants;
use crate::fleet::event::{EventKind, MemberEvent, Reply, Resources, Row, SeenState};
use crate::fleet::logs;
use crate::fleet::reporter::clock;

/// Everything since the fleet was made; times never decrease.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    pub(super) entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) at: Duration,
    pub(super) member: usize,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    /// All members see all for the first time: they are held to it from here on. The member does
    /// not matter.
    Formed,
    /// A process was started, with this metadata.
    Started(String),
    Killed,
    Frozen,
    Thawed,
    /// It was told to leave and to quit.
    ToldToLeave,
    /// The machine itself stood still since then. The member does not matter.
    Stalled(Duration),
    /// A command was written to it.
    Asked(Command),
    /// The process ended, with this exit code unless by a signal.
    Exited(Option<i32>),
    /// From here on, what it wrote.
    Ready,
    Sees(View),
    /// Another member's new metadata.
    Updated {
        about: usize,
        meta: String,
    },
    Conflict(String),
    /// A message with its number, or its beginning and what is wrong with it.
    Message {
        from: Option<usize>,
        reliable: bool,
        received: Result<u32, (String, &'static str)>,
    },
    /// A Go member has not heard, or was not heard, for this long until now.
    Deaf(Duration),
    /// It refused something, or its log has a line at WARN.
    Warned {
        what: String,
        detail: String,
    },
    /// Its log reports a bug.
    LoggedError(String),
    Listed(Listed),
    Uses(Resources),
    /// Any other reply; the answer of a stream, or why the command was refused.
    Replied(Result<Option<String>, String>),
    /// A line that is no event.
    Malformed(String),
}

/// A command, as far as its outcome is judged. Each process answers in the order of its commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// A user message with this number; no receiver: a broadcast.
    Send {
        number: u32,
        reliable: bool,
        to: Option<usize>,
    },
    Ping {
        to: usize,
    },
    /// The text that must come back.
    Stream {
        to: usize,
        text: String,
    },
    Members,
    Stats,
    Leave,
    Quit,
    /// Its metadata from then on.
    Meta(String),
}

/// A member's state as another sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    pub(super) about: usize,
    pub(super) state: SeenState,
    /// Whether it had been unknown or gone before.
    pub(super) joined: bool,
    /// Who suspected it, where that is known.
    pub(super) by: Option<usize>,
    /// A node says it.
    pub(super) incarnation: Option<u64>,
}

/// A list of members.
pub(super) type Listed = Rc<BTreeMap<usize, Row>>;

impl Timeline {
    pub(super) fn push(&mut self, at: Duration, member: usize, what: What) {
        self.entries.push(Entry { at, member, what });
    }

    /// The time of the last entry.
    pub(super) fn end(&self) -> Duration {
        self.entries.last().map(|entry| entry.at).unwrap_or_default()
    }
}

/// Translates an event of a member. `None`: it is not judged.
pub(super) fn said(event: MemberEvent, participants: Participants) -> Option<What> {
    let find = |name: &str| participants.find(name);
    let stranger =
        |name: &str| What::Malformed(format!("it speaks of {name}, whom nobody started"));
    if let Some((subject, state)) = event.belief() {
        let joined = matches!(event.kind, EventKind::Join(_));
        let by = subject.by.as_deref().and_then(find);
        let Some(about) = find(&subject.node) else { return Some(stranger(&subject.node)) };
        let incarnation = subject.incarnation;
        return Some(What::Sees(View { about, state, joined, by, incarnation }));
    }
    Some(match event.kind {
        EventKind::Ready { .. } => What::Ready,
        EventKind::Update(subject) => match find(&subject.node) {
            Some(about) => What::Updated { about, meta: subject.meta().unwrap_or_default() },
            None => stranger(&subject.node),
        },
        EventKind::Conflict { node } => What::Conflict(node),
        EventKind::Msg(message) => {
            let text = message.payload();
            let received = payload::parse(&text).map_err(|why| (start(&text, 60), why));
            let from = message.from.as_deref().and_then(find);
            What::Message { from, reliable: message.reliable, received }
        }
        EventKind::Deaf { ms } => What::Deaf(Duration::from_millis(ms)),
        EventKind::Warn { what, detail } => What::Warned { what, detail },
        EventKind::Reply(reply) => replied(&reply, find),
        _ => return None,
    })
}

fn replied(reply: &Reply, find: impl Fn(&str) -> Option<usize>) -> What {
    match (reply.refusal(), reply.cmd.as_str()) {
        (Some(reason), _) => What::Replied(Err(reason.to_owned())),
        (None, "members") => match reply.members() {
            Ok(rows) => {
                let known = rows.into_iter().filter_map(|(name, row)| Some((find(&name)?, row)));
                What::Listed(Rc::new(known.collect()))
            }
            Err(error) => What::Malformed(format!("its list of members: {error}")),
        },
        (None, "stats") => reply
            .resources()
            .map_or_else(|| What::Malformed("its stats lack a figure".to_owned()), What::Uses),
        (None, _) => {
            let answer = reply.fields.get("answer").and_then(|answer| answer.as_str());
            What::Replied(Ok(answer.map(str::to_owned)))
        }
    }
}

/// Whose warnings a node writes as events too, with their times.
const TOLD: &str = "swim_quic::warnings";

/// A line of a node's log, if it is at WARN or ERROR, or reports a panic.
pub(super) fn logged(line: &str) -> Option<What> {
    if logs::first_error(line).is_some() {
        return Some(What::LoggedError(line.to_owned()));
    }
    let mut words = line.splitn(4, ' ').skip(1).map(str::to_owned);
    let (level, what, detail) = (words.next()?, words.next()?, words.next()?);
    (level == "WARN" && what != TOLD).then_some(What::Warned { what, detail })
}

/// The beginning of a long text.
pub(super) fn start(text: &str, letters: usize) -> String {
    text.chars().take(letters).collect()
}

impl Entry {
    /// For people who look for the cause of a failure.
    pub(super) fn line(&self, participants: Participants) -> String {
        let name = |member| participants.name(member);
        let text = match &self.what {
            What::Sees(View { about, state, joined, by, .. }) => {
                let by = by.map_or(String::new(), |by| format!(" by {}", name(by)));
                let word = if *joined { "join".to_owned() } else { state.to_string() };
                format!("sees {} {word}{by}", name(*about))
            }
            What::Updated { about, meta } => format!("sees {} with {meta}", name(*about)),
            other => format!("{other:?}"),
        };
        format!("{} {} {}", clock(self.at), name(self.member), start(&text, 160))
    }

    /// Whether it was done to a member, or by the machine.
    pub(super) fn is_deed(&self) -> bool {
        matches!(
            self.what,
            What::Formed
                | What::Started(_)
                | What::Killed
                | What::Frozen
                | What::Thawed
                | What::ToldToLeave
                | What::Stalled(_)
        )
    }

    /// Whether it helps to find the cause of a failure that is not about itself.
    pub(super) fn is_telling(&self) -> bool {
        !matches!(
            self.what,
            What::Asked(_)
                | What::Listed(_)
                | What::Uses(_)
                | What::Message { .. }
                | What::Replied(Ok(_))
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_log_are_told_apart_by_their_level() {
        let line =
            |level| format!("2026-01-01T00:00:00.000Z {level} quic_net::pool too many ERRORs");
        let (what, detail) = ("quic_net::pool".to_owned(), "too many ERRORs".to_owned());
        assert_eq!(logged(&line("WARN")), Some(What::Warned { what, detail }));
        assert_eq!(logged(&line("ERROR")), Some(What::LoggedError(line("ERROR"))));
        assert_eq!(logged(&line("INFO")), None);
        assert_eq!(logged(&line("WARN").replace("quic_net::pool", TOLD)), None);
        assert!(logged("thread 'driver' panicked at src/a.rs:1:2:").is_some());
    }
}
