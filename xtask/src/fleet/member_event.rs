//! What a member writes on stdout: one JSON object a line, the same for a node and a Go peer.
//!
//! A line that is no event, or lacks a field that its kind must have, is an error; a kind that is
//! not known here is [`EventKind::Other`].

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use serde::Deserialize;
use serde_json::{Map, Value};

/// One line.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct MemberEvent {
    /// When the member wrote it: Unix seconds by its own clock.
    pub(crate) ts: f64,
    #[serde(flatten)]
    pub(crate) kind: EventKind,
}

/// What happened; `docs` of the example `node` and the Go peer's README describe each kind.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "ev", rename_all = "lowercase")]
pub(crate) enum EventKind {
    /// It listens; the address is the one it announces, with its real port.
    Ready {
        addr: SocketAddr,
        pid: u32,
    },
    /// Another member appeared, or came back.
    Join(Subject),
    Update(Subject),
    Suspect(Subject),
    /// A suspicion was cleared.
    Alive(Subject),
    Leave(Subject),
    Fail(Subject),
    /// Two members claim one name.
    Conflict {
        node: String,
    },
    Restarted(Subject),
    Moved(Subject),
    /// The member itself was suspended for so many milliseconds.
    Resumed {
        away_ms: u64,
    },
    Msg(UserMessage),
    /// What a peer's application added to the state that it exchanged, in a join or another time.
    State {
        join: bool,
        text: Option<String>,
        hex: Option<String>,
    },
    Stream {
        from: String,
        protocol: String,
    },
    /// A standing join attempt ended.
    Seed {
        ok: bool,
        error: Option<String>,
    },
    /// It refused something; at most one a second per kind.
    Warn {
        what: String,
        detail: String,
    },
    /// A Go peer did not hear, or was not heard, for so long until now: a dial blocked it, or
    /// a packet waited for its handler.
    Deaf {
        ms: u64,
    },
    /// The answer to a command, exactly one for each.
    Reply(Reply),
    /// A kind that this program does not know.
    #[serde(other)]
    Other,
}

/// The member that an event is about.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Subject {
    pub(crate) node: String,
    meta: Option<String>,
    meta_hex: Option<String>,
    /// Who suspected or cleared it; a Go peer does not know.
    pub(crate) by: Option<String>,
    /// A Go peer does not say.
    pub(crate) incarnation: Option<u64>,
}

impl Subject {
    /// The metadata, where the event carries it: as text, or `hex …` for bytes that are no text.
    pub(crate) fn meta(&self) -> Option<String> {
        text_or_hex(self.meta.as_ref(), self.meta_hex.as_ref())
    }
}

/// A message of an application.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct UserMessage {
    /// The sender; a Go peer does not know.
    pub(crate) from: Option<String>,
    pub(crate) reliable: bool,
    text: Option<String>,
    hex: Option<String>,
}

impl UserMessage {
    /// The payload: as text, or `hex …` for bytes that are no text.
    pub(crate) fn payload(&self) -> String {
        text_or_hex(self.text.as_ref(), self.hex.as_ref()).unwrap_or_default()
    }
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Reply {
    /// The command's first word.
    pub(crate) cmd: String,
    pub(crate) ok: bool,
    pub(crate) error: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub(crate) fields: Map<String, Value>,
}

impl Reply {
    /// Why the command was refused, or `None` if it was carried out.
    pub(crate) fn refusal(&self) -> Option<&str> {
        (!self.ok).then(|| self.error.as_deref().unwrap_or("no reason given"))
    }

    /// A number below a path such as `/transport/udp/in`.
    pub(crate) fn count(&self, path: &str) -> Option<u64> {
        let (first, rest) = path.trim_start_matches('/').split_once('/')?;
        self.fields.get(first)?.pointer(&format!("/{rest}"))?.as_u64()
    }

    /// The rows of a reply to `members`, by name.
    ///
    /// # Errors
    /// The field is missing, or one of its rows is not as it should be.
    pub(crate) fn members(&self) -> Result<BTreeMap<String, Row>, serde_json::Error> {
        let listed = self.fields.get("members").cloned().unwrap_or_default();
        let rows: Vec<Row> = serde_json::from_value(listed)?;
        Ok(rows.into_iter().map(|row| (row.node.clone(), row)).collect())
    }

    /// What the process uses, from a reply to `stats`; `None` where a figure is missing.
    pub(crate) fn resources(&self) -> Option<Resources> {
        let of_either = |node: &str, go: &str| self.count(node).or_else(|| self.count(go));
        Some(Resources {
            rss_bytes: self.count("/process/rss_bytes")?,
            descriptors: self.count("/process/fds")?,
            threads: self.count("/process/threads")?,
            cpu_ms: self.count("/process/cpu_ms")?,
            connections: of_either("/transport/connections/held", "/transport/pooled")?
                .saturating_sub(self.count("/transport/connections/handshaking").unwrap_or(0)),
            dialed: of_either("/transport/handshakes/dialed", "/transport/dialed")?,
            dials_failed: of_either("/transport/handshakes/failed", "/transport/dial_failed")?,
            // quic-go sends none here, and does not count them.
            resets_sent: self.count("/transport/resets/sent").unwrap_or_default(),
            accepted: of_either("/transport/handshakes/accepted", "/transport/accepted")?,
            // A Go peer does not count them, and is not judged by them.
            confirmed: self.count("/transport/handshakes/confirmed").unwrap_or_default(),
        })
    }
}

/// One line of a list of members.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Row {
    node: String,
    pub(crate) addr: String,
    pub(crate) state: SeenState,
    pub(crate) incarnation: u64,
    #[serde(default)]
    pub(crate) meta: String,
}

/// What a process uses at one moment; processor time, handshakes begun by it and by others, and
/// stateless resets count from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Resources {
    pub(crate) rss_bytes: u64,
    pub(crate) descriptors: u64,
    pub(crate) threads: u64,
    pub(crate) cpu_ms: u64,
    pub(crate) connections: u64,
    pub(crate) dialed: u64,
    pub(crate) dials_failed: u64,
    pub(crate) resets_sent: u64,
    pub(crate) accepted: u64,
    /// Handshakes that both sides completed.
    pub(crate) confirmed: u64,
}

/// What one member believes about another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SeenState {
    Alive,
    Suspect,
    #[serde(rename = "dead")]
    Failed,
    Left,
}

impl fmt::Display for SeenState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Failed => "failed",
            Self::Left => "left",
        })
    }
}

impl MemberEvent {
    /// Reads one line.
    ///
    /// # Errors
    /// The line is no JSON object, or a field that its kind must have is missing or wrong.
    pub(crate) fn parse(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }

    /// The belief about another member that begins with this event.
    pub(crate) fn belief(&self) -> Option<(&Subject, SeenState)> {
        match &self.kind {
            EventKind::Join(subject) | EventKind::Alive(subject) => {
                Some((subject, SeenState::Alive))
            }
            EventKind::Suspect(subject) => Some((subject, SeenState::Suspect)),
            EventKind::Fail(subject) => Some((subject, SeenState::Failed)),
            EventKind::Leave(subject) => Some((subject, SeenState::Left)),
            _ => None,
        }
    }
}

pub(super) fn text_or_hex(text: Option<&String>, hex: Option<&String>) -> Option<String> {
    text.cloned().or_else(|| Some(format!("hex {}", hex?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> MemberEvent {
        let line = format!(r#"{{"ts":1.5,{body}}}"#);
        MemberEvent::parse(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    #[test]
    fn every_belief_of_a_members_life_is_read() {
        for (kind, state) in [
            ("join", SeenState::Alive),
            ("alive", SeenState::Alive),
            ("suspect", SeenState::Suspect),
            ("fail", SeenState::Failed),
            ("leave", SeenState::Left),
        ] {
            let event = read(&format!(
                r#""ev":"{kind}","node":"b","addr":"127.0.0.1:2","meta":"m","by":"a""#
            ));
            let (subject, seen) = event.belief().unwrap();
            assert_eq!((subject.node.as_str(), seen), ("b", state));
            assert_eq!((subject.meta(), subject.by.as_deref()), (Some("m".into()), Some("a")));
            assert!((event.ts - 1.5).abs() < f64::EPSILON);
        }
        assert_eq!(read(r#""ev":"update","node":"b","meta_hex":"ff""#).belief(), None);
        assert_eq!(read(r#""ev":"something-new","node":7"#).kind, EventKind::Other);
    }

    #[test]
    fn every_other_kind_is_read_with_its_fields() {
        let ready = read(r#""ev":"ready","node":"a","addr":"127.0.0.1:7001","pid":411"#);
        let addr = SocketAddr::from(([127, 0, 0, 1], 7001));
        assert_eq!(ready.kind, EventKind::Ready { addr, pid: 411 });
        let EventKind::Msg(message) =
            read(r#""ev":"msg","reliable":false,"hex":"ff00","from":null"#).kind
        else {
            panic!()
        };
        assert_eq!((message.payload(), message.from), ("hex ff00".to_owned(), None));
        for line in [
            r#""ev":"restarted","node":"b","addr":"127.0.0.1:1""#,
            r#""ev":"moved","node":"b","addr":"127.0.0.1:1""#,
            r#""ev":"resumed","away_ms":1200"#,
            r#""ev":"conflict","node":"b","other":"127.0.0.1:1""#,
            r#""ev":"state","join":true,"text":"load=3","len":6"#,
            r#""ev":"stream","from":"a","protocol":"echo""#,
            r#""ev":"seed","addr":"x","ok":false,"error":"timed out""#,
            r#""ev":"deaf","why":"dial","ms":5000"#,
            r#""ev":"warn","what":"label","detail":"not ours","count":3"#,
        ] {
            assert_ne!(read(line).kind, EventKind::Other, "{line}");
        }
    }

    #[test]
    fn a_list_of_members_is_read_whole_or_not_at_all() {
        let list = |state: &str| {
            let EventKind::Reply(reply) = read(&format!(
                r#""ev":"reply","cmd":"members","ok":true,"members":[
                {{"node":"a","addr":"h:1","state":"{state}","incarnation":3,"meta":"m"}}]"#
            ))
            .kind
            else {
                panic!()
            };
            reply.members()
        };
        let row = list("dead").unwrap().remove("a").unwrap();
        assert_eq!((row.state, row.incarnation, row.meta.as_str()), (SeenState::Failed, 3, "m"));
        assert!(list("fine").unwrap_err().to_string().contains("fine"));
    }

    #[test]
    fn both_kinds_of_members_tell_what_they_use() {
        let process = r#""process":{"rss_bytes":2048,"fds":9,"threads":5,"cpu_ms":70}"#;
        let (node, go) = (
            concat!(
                r#"{"connections":{"held":7,"handshaking":3},"#,
                r#""handshakes":{"dialed":3,"failed":2,"accepted":1}}"#
            ),
            r#"{"pooled":4,"dialed":3,"dial_failed":2,"accepted":1}"#,
        );
        for transport in [node, go] {
            let line = format!(
                r#""ev":"reply","cmd":"stats","ok":true,"transport":{transport},{process}"#
            );
            let EventKind::Reply(reply) = read(&line).kind else { panic!() };
            let used = reply.resources().unwrap();
            assert_eq!((used.connections, used.dialed, used.accepted), (4, 3, 1));
            assert_eq!((used.rss_bytes, used.descriptors, used.threads), (2048, 9, 5));
            assert_eq!((used.cpu_ms, used.dials_failed), (70, 2));
        }
    }

    #[test]
    fn a_refused_command_has_a_reason() {
        let line = r#""ev":"reply","cmd":"leave","ok":false,"error":"not yet""#;
        let EventKind::Reply(reply) = read(line).kind else { panic!() };
        assert_eq!(reply.refusal(), Some("not yet"));
        assert!(reply.members().is_err() && reply.resources().is_none());
    }

    #[test]
    fn what_is_no_event_is_an_error() {
        for line in [
            "",
            "hello",
            "{}",
            r#"{"ev":"join","node":"b"}"#,
            r#"{"ts":1,"ev":"join"}"#,
            r#"{"ts":1,"ev":"ready","node":"a","addr":"here","pid":1}"#,
            r#"{"ts":1,"ev":"reply","cmd":"members"}"#,
            r#"{"ts":1,"ev":"msg","from":"a","text":"x"}"#,
        ] {
            assert!(MemberEvent::parse(line).is_err(), "{line}");
        }
    }
}
