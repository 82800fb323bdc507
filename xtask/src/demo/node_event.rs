//! What a node says on stdout, one JSON object a line.
//!
//! Reads only what the judge needs and refuses a line that is no event. It never guesses: an
//! event of a kind that it does not know is kept apart, not taken for another.

use std::fmt;
use std::net::SocketAddr;

use serde_json::Value;

/// What one member believes about another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Alive,
    Suspect,
    Failed,
    Left,
}

impl State {
    /// A word for people and for `--json`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Failed => "failed",
            Self::Left => "left",
        }
    }

    /// Reads the word that a list of members uses.
    pub(crate) fn listed(word: &str) -> Option<Self> {
        match word {
            "alive" => Some(Self::Alive),
            "suspect" => Some(Self::Suspect),
            "dead" => Some(Self::Failed),
            "left" => Some(Self::Left),
            _ => None,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

#[derive(Debug, PartialEq)]
pub(super) enum Event {
    /// The node listens on this address.
    Ready(SocketAddr),
    /// Its belief about the member of this name is this from here on.
    View(String, State),
    /// The answer to a command; `members` is filled for the command of that name.
    Reply { command: String, error: Option<String>, members: Vec<(String, State)> },
    /// Anything else.
    Other,
}

/// Reads one line.
///
/// # Errors
/// What is wrong with it, for people.
pub(super) fn parse(line: &str) -> Result<Event, String> {
    let object: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let kind = text(&object, "ev")?;
    let about = |state| Ok(Event::View(text(&object, "node")?, state));
    match kind.as_str() {
        "ready" => {
            let address = text(&object, "addr")?;
            let parsed = address.parse().map_err(|_| format!("\"{address}\" is no address"))?;
            Ok(Event::Ready(parsed))
        }
        "join" | "alive" => about(State::Alive),
        "suspect" => about(State::Suspect),
        "fail" => about(State::Failed),
        "leave" => about(State::Left),
        "reply" => reply(&object),
        _ => Ok(Event::Other),
    }
}

fn reply(object: &Value) -> Result<Event, String> {
    let ok = object["ok"].as_bool().ok_or("a reply without \"ok\"")?;
    let error = (!ok).then(|| object["error"].as_str().unwrap_or("no reason given").to_owned());
    let members = object["members"]
        .as_array()
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .map(|member| {
            let word = text(member, "state")?;
            let state = State::listed(&word).ok_or(format!("a member in state \"{word}\""))?;
            Ok((text(member, "node")?, state))
        })
        .collect::<Result<_, String>>()?;
    Ok(Event::Reply { command: text(object, "cmd")?, error, members })
}

fn text(object: &Value, field: &str) -> Result<String, String> {
    let value = object[field].as_str().ok_or_else(|| format!("no text in \"{field}\""))?;
    Ok(value.to_owned())
}

/// The first line of a log that reports a bug: level ERROR, or a panic.
pub(crate) fn first_error(log: &str) -> Option<&str> {
    log.lines().find(|line| {
        line.split_whitespace().nth(1) == Some("ERROR")
            || line.starts_with("thread '") && line.contains("panicked at")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_of_a_members_life_is_read() {
        let node = |event: &str| parse(&format!(r#"{{"ts":1.5,"ev":"{event}","node":"b"}}"#));
        for (event, state) in [
            ("join", State::Alive),
            ("alive", State::Alive),
            ("suspect", State::Suspect),
            ("fail", State::Failed),
            ("leave", State::Left),
        ] {
            assert_eq!(node(event), Ok(Event::View("b".into(), state)));
        }
        assert_eq!(node("update"), Ok(Event::Other));
        assert_eq!(node("something-new"), Ok(Event::Other));
    }

    #[test]
    fn ready_names_the_real_port() {
        let line = r#"{"ts":1,"ev":"ready","node":"a","addr":"127.0.0.1:7001","pid":411}"#;
        assert_eq!(parse(line), Ok(Event::Ready("127.0.0.1:7001".parse().unwrap())));
    }

    #[test]
    fn replies_carry_members_or_a_reason() {
        let line = r#"{"ts":1,"ev":"reply","cmd":"members","ok":true,"members":[
            {"node":"a","state":"alive"},{"node":"b","state":"dead"}]}"#;
        let members = vec![("a".into(), State::Alive), ("b".into(), State::Failed)];
        assert_eq!(
            parse(line),
            Ok(Event::Reply { command: "members".into(), error: None, members })
        );
        let refused = r#"{"ts":1,"ev":"reply","cmd":"leave","ok":false,"error":"not yet"}"#;
        assert_eq!(
            parse(refused),
            Ok(Event::Reply {
                command: "leave".into(),
                error: Some("not yet".into()),
                members: vec![]
            })
        );
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for line in [
            "",
            "hello",
            "{}",
            r#"{"ev":"join"}"#,
            r#"{"ev":"ready","addr":"here"}"#,
            r#"{"ev":"reply","cmd":"members"}"#,
            r#"{"ev":"reply","cmd":"members","ok":true,"members":[{"node":"a","state":"fine"}]}"#,
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn an_error_line_is_found_by_its_level_and_not_by_the_word() {
        let log = "2026-01-01T00:00:00Z WARN net ERROR is only a word here\n";
        assert_eq!(first_error(log), None);
        let bad = format!("{log}2026-01-01T00:00:01Z ERROR net impossible\nmore");
        assert_eq!(first_error(&bad), Some("2026-01-01T00:00:01Z ERROR net impossible"));
        assert!(first_error("thread 'driver' (7) panicked at src/a.rs:1:2:").is_some());
    }
}
