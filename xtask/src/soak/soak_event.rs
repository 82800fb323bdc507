//! What a node says on stdout, as far as the soak needs it.
//!
//! One JSON object a line. A line that is no event is refused; an event of a kind that nobody
//! asks for is kept apart, never taken for another.

use std::net::SocketAddr;

use serde::Deserialize as _;
use serde_json::Value;

use crate::fleet::event::SeenState as State;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    /// The node listens on this address.
    Ready(SocketAddr),
    /// A belief about a member begins; with its metadata, and with who suspected it, where the
    /// event carries them.
    View {
        about: String,
        state: State,
        meta: Option<String>,
        by: Option<String>,
    },
    /// A member's metadata changed.
    Update {
        about: String,
        meta: String,
    },
    /// A user message; Go members are not told from whom.
    Message {
        from: Option<String>,
        reliable: bool,
        text: String,
    },
    Conflict {
        about: String,
    },
    Reply(Reply),
    /// Anything else.
    Other,
}

/// What an event adds to a belief.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    pub(super) meta: Option<&'a str>,
    pub(super) by: Option<&'a str>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Reply {
    pub(super) command: String,
    pub(super) error: Option<String>,
    /// Filled for `members`.
    pub(super) members: Vec<Row>,
    /// Filled for `stats`.
    pub(super) usage: Option<Usage>,
}

/// One line of a list of members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) state: State,
    pub(super) incarnation: u64,
    pub(super) meta: String,
}

/// What a process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Usage {
    /// Resident memory, in KiB.
    pub(super) memory: u64,
    pub(super) descriptors: u64,
    pub(super) threads: u64,
    pub(super) connections: u64,
    /// Processor time, in milliseconds.
    pub(super) processor: u64,
}

/// Reads one line.
///
/// # Errors
/// What is wrong with it, for people.
pub(super) fn parse(line: &str) -> Result<Event, String> {
    let object: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let view = |state| {
        let optional = |field: &str| object[field].as_str().map(str::to_owned);
        let (meta, by) = (optional("meta"), optional("by"));
        Ok(Event::View { about: text(&object, "node")?, state, meta, by })
    };
    match text(&object, "ev")?.as_str() {
        "ready" => {
            let address = text(&object, "addr")?;
            let parsed = address.parse().map_err(|_| format!("\"{address}\" is no address"))?;
            Ok(Event::Ready(parsed))
        }
        "join" | "alive" => view(State::Alive),
        "suspect" => view(State::Suspect),
        "fail" => view(State::Failed),
        "leave" => view(State::Left),
        "update" => {
            Ok(Event::Update { about: text(&object, "node")?, meta: text(&object, "meta")? })
        }
        "msg" => Ok(Event::Message {
            from: object["from"].as_str().map(str::to_owned),
            reliable: object["reliable"].as_bool().ok_or("a message without \"reliable\"")?,
            text: text(&object, "text")?,
        }),
        "conflict" => Ok(Event::Conflict { about: text(&object, "node")? }),
        "reply" => reply(&object).map(Event::Reply),
        _ => Ok(Event::Other),
    }
}

fn reply(object: &Value) -> Result<Reply, String> {
    let ok = object["ok"].as_bool().ok_or("a reply without \"ok\"")?;
    let error = (!ok).then(|| object["error"].as_str().unwrap_or("no reason given").to_owned());
    let command = text(object, "cmd")?;
    let mut reply = Reply { command, error, ..Reply::default() };
    if reply.error.is_none() && reply.command == "members" {
        let rows = object["members"].as_array().ok_or("a list of members without \"members\"")?;
        reply.members = rows.iter().map(row).collect::<Result<_, _>>()?;
    }
    if reply.error.is_none() && reply.command == "stats" {
        reply.usage = Some(usage(object)?);
    }
    Ok(reply)
}

fn row(member: &Value) -> Result<Row, String> {
    let word = text(member, "state")?;
    Ok(Row {
        name: text(member, "node")?,
        state: State::deserialize(&member["state"])
            .map_err(|_| format!("a member in state \"{word}\""))?,
        incarnation: number(&member["incarnation"], "incarnation")?,
        meta: text(member, "meta")?,
    })
}

fn usage(object: &Value) -> Result<Usage, String> {
    let process = &object["process"];
    // Go peers count their pool.
    let connections = [&object["transport"]["connections"]["held"], &object["transport"]["pooled"]];
    let connections = connections.into_iter().find(|count| !count.is_null());
    Ok(Usage {
        memory: number(&process["rss_bytes"], "rss_bytes")? / 1024,
        descriptors: number(&process["fds"], "fds")?,
        threads: number(&process["threads"], "threads")?,
        connections: number(connections.unwrap_or(&Value::Null), "connections")?,
        processor: number(&process["cpu_ms"], "cpu_ms")?,
    })
}

fn number(value: &Value, what: &str) -> Result<u64, String> {
    value.as_u64().ok_or_else(|| format!("no number in \"{what}\""))
}

fn text(object: &Value, field: &str) -> Result<String, String> {
    let value = object[field].as_str().ok_or_else(|| format!("no text in \"{field}\""))?;
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_members_life_is_read_with_its_metadata() {
        let join = r#"{"ts":1.5,"ev":"join","node":"b","addr":"127.0.0.1:1","meta":"m"}"#;
        let (about, state, meta) = ("b".to_owned(), State::Alive, Some("m".to_owned()));
        assert_eq!(parse(join), Ok(Event::View { about: about.clone(), state, meta, by: None }));
        let fail = r#"{"ts":1.5,"ev":"fail","node":"b","by":"a","after_ms":4000}"#;
        let (state, by) = (State::Failed, Some("a".to_owned()));
        assert_eq!(parse(fail), Ok(Event::View { about: about.clone(), state, meta: None, by }));
        let update = r#"{"ts":1.5,"ev":"update","node":"b","meta":"m2"}"#;
        assert_eq!(parse(update), Ok(Event::Update { about, meta: "m2".into() }));
        assert_eq!(parse(r#"{"ts":1.5,"ev":"rumour"}"#), Ok(Event::Other));
    }

    #[test]
    fn both_kinds_of_members_tell_what_they_hold() {
        let process = r#""process":{"rss_bytes":2048,"fds":9,"threads":5,"cpu_ms":70}"#;
        let expected =
            Usage { memory: 2, descriptors: 9, threads: 5, connections: 4, processor: 70 };
        for transport in [r#"{"connections":{"held":4}}"#, r#"{"pooled":4}"#] {
            let line = format!(
                r#"{{"ev":"reply","cmd":"stats","ok":true,"transport":{transport},{process}}}"#
            );
            let Ok(Event::Reply(reply)) = parse(&line) else { panic!("{line}") };
            assert_eq!(reply.usage, Some(expected));
        }
    }

    #[test]
    fn a_list_of_members_is_read_row_by_row() {
        let line = r#"{"ev":"reply","cmd":"members","ok":true,"members":[
            {"node":"a","addr":"x","state":"dead","incarnation":3,"meta":"m"}]}"#;
        let Ok(Event::Reply(reply)) = parse(line) else { panic!() };
        let row = Row { name: "a".into(), state: State::Failed, incarnation: 3, meta: "m".into() };
        assert_eq!(reply.members, [row]);
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for line in [
            "",
            "{}",
            r#"{"ev":"join"}"#,
            r#"{"ev":"msg","from":"a","text":"x"}"#,
            r#"{"ev":"reply","cmd":"members","ok":true}"#,
            r#"{"ev":"reply","cmd":"stats","ok":true,"process":{}}"#,
            r#"{"ev":"reply","cmd":"members","ok":true,"members":[{"node":"a","state":"fine"}]}"#,
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
