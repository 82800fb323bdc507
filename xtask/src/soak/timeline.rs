//! What was done to the members of a soak and what they said, in the order of its times.
//!
//! The oracle judges a timeline and nothing else, so that a test can make one up.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::payload::Received;
use crate::fleet::event::{EventKind, MemberEvent, Reply, Resources, Row, SeenState};

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
    /// It was given new metadata.
    Meta(String),
    /// A command was written to it.
    Asked(Command),
    /// The machine itself stood still since then. The member does not matter.
    Stalled(Duration),
    /// The process ended, with this exit code unless by a signal.
    Exited(Option<i32>),
    /// It wrote this.
    Said(Said),
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
    Meta,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    Ready,
    /// It sees another member so.
    Sees(View),
    /// Another member's new metadata.
    Updated {
        about: usize,
        meta: String,
    },
    Conflict {
        about: String,
    },
    Message {
        from: Option<usize>,
        reliable: bool,
        received: Received,
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

/// An event about another member's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    pub(super) about: usize,
    pub(super) state: SeenState,
    /// Whether it had been unknown or gone before.
    pub(super) joined: bool,
    /// Who suspected it, where that is known.
    pub(super) by: Option<usize>,
}

/// A list of members, shared with the lists before it that were the same.
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

/// Translates an event of a member; `find` knows the members' names. `None`: it is not judged.
pub(super) fn said(event: MemberEvent, find: impl Fn(&str) -> Option<usize>) -> Option<Said> {
    if let Some((subject, state)) = event.belief() {
        let joined = matches!(event.kind, EventKind::Join(_));
        let by = subject.by.as_deref().and_then(&find);
        let view = find(&subject.node).map(|about| View { about, state, joined, by });
        return Some(view.map_or_else(|| stranger(&subject.node), Said::Sees));
    }
    match event.kind {
        EventKind::Ready { .. } => Some(Said::Ready),
        EventKind::Update(subject) => Some(match find(&subject.node) {
            Some(about) => Said::Updated { about, meta: subject.meta().unwrap_or_default() },
            None => stranger(&subject.node),
        }),
        EventKind::Conflict { node, .. } => Some(Said::Conflict { about: node }),
        EventKind::Msg(message) => Some(Said::Message {
            from: message.from.as_deref().and_then(&find),
            reliable: message.reliable,
            received: Received::parse(&message.payload()),
        }),
        EventKind::Deaf { ms, .. } => Some(Said::Deaf(Duration::from_millis(ms))),
        EventKind::Warn { what, detail, .. } => Some(Said::Warned { what, detail }),
        EventKind::Reply(reply) => Some(replied(&reply, find)),
        _ => None,
    }
}

fn stranger(name: &str) -> Said {
    Said::Malformed(format!("it speaks of {name}, whom nobody started"))
}

fn replied(reply: &Reply, find: impl Fn(&str) -> Option<usize>) -> Said {
    if let Some(reason) = reply.refusal() {
        return Said::Replied(Err(reason.to_owned()));
    }
    match reply.cmd.as_str() {
        "members" => match reply.members() {
            Ok(rows) => {
                let known = rows.into_iter().filter_map(|(name, row)| Some((find(&name)?, row)));
                Said::Listed(Rc::new(known.collect()))
            }
            Err(error) => Said::Malformed(format!("its list of members: {error}")),
        },
        "stats" => match reply.resources() {
            Some(resources) => Said::Uses(resources),
            None => Said::Malformed("its stats lack a figure".to_owned()),
        },
        _ => {
            let answer = reply.fields.get("answer").and_then(|answer| answer.as_str());
            Said::Replied(Ok(answer.map(str::to_owned)))
        }
    }
}

impl fmt::Display for What {
    /// For people who look for the cause of a failure.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started(meta) => write!(formatter, "STARTED with {meta}"),
            Self::Meta(meta) => write!(formatter, "GIVEN {meta}"),
            Self::Stalled(since) => write!(formatter, "THE MACHINE STOOD STILL since {since:.1?}"),
            Self::Said(Said::Sees(view)) => {
                let View { about, state, joined, by } = view;
                let word = if *joined { "join" } else { state.word() };
                write!(formatter, "sees #{about} {word}")?;
                by.map_or(Ok(()), |by| write!(formatter, " by #{by}"))
            }
            Self::Said(Said::Replied(Err(reason))) => write!(formatter, "refused: {reason}"),
            Self::Said(said) => write!(formatter, "{said:?}"),
            other => write!(formatter, "{other:?}"),
        }
    }
}

impl What {
    /// Whether it was done to a member, or by the machine.
    pub(super) fn is_deed(&self) -> bool {
        !matches!(self, Self::Asked(_) | Self::Exited(_) | Self::Said(_) | Self::Meta(_))
    }

    /// Whether it helps to find the cause of a failure that is not about itself.
    pub(super) fn is_telling(&self) -> bool {
        match self {
            Self::Asked(_) | Self::Said(Said::Listed(_) | Said::Uses(_) | Said::Message { .. }) => {
                false
            }
            Self::Said(Said::Replied(result)) => result.is_err(),
            _ => true,
        }
    }
}
