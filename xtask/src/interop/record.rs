//! What one member has said so far: whom it sees, what it received, what it refused.
//!
//! A pure fold over its JSON lines. Believes only what was written, and refuses a line that is no
//! event; starts and waits for nothing.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::Value;

use crate::demo::node_event::State;

/// What a member says about another, after its latest event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) state: State,
    pub(super) meta: String,
    pub(super) since: Duration,
}

/// A user message that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// Go members are not told.
    pub(super) from: Option<String>,
    pub(super) reliable: bool,
    pub(super) text: String,
}

/// One line of a list of members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) address: String,
    pub(super) state: State,
    pub(super) incarnation: u64,
    pub(super) meta: String,
}

/// All that one member has said since it was started last.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The address it announces, and when it said so.
    pub(super) ready: Option<(String, Duration)>,
    pub(super) sights: BTreeMap<String, Sight>,
    /// Every change of a state that it told, in order.
    pub(super) changes: Vec<(String, State)>,
    pub(super) messages: Vec<Message>,
    /// Replies that nobody has taken yet.
    pub(super) replies: VecDeque<Value>,
    /// Ended attempts to join a seed; with the reason where they failed.
    pub(super) seeds: Vec<Option<String>>,
    /// Refusals: what, and the detail.
    pub(super) warnings: Vec<(String, String)>,
}

impl Record {
    /// Takes in one line.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(super) fn hear(&mut self, line: &str, at: Duration) -> Result<(), String> {
        let object: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        match text(&object, "ev")?.as_str() {
            "ready" => self.ready = Some((text(&object, "addr")?, at)),
            "join" => self.see(&object, State::Alive, at)?,
            "alive" => self.see(&object, State::Alive, at)?,
            "suspect" => self.see(&object, State::Suspect, at)?,
            "fail" => self.see(&object, State::Failed, at)?,
            "leave" => self.see(&object, State::Left, at)?,
            "update" => {
                let name = text(&object, "node")?;
                if let Some(sight) = self.sights.get_mut(&name) {
                    sight.meta = bytes(&object, "meta");
                }
            }
            "msg" => self.messages.push(Message {
                from: object["from"].as_str().map(str::to_owned),
                reliable: object["reliable"].as_bool().ok_or("a msg without \"reliable\"")?,
                text: bytes(&object, "text"),
            }),
            "seed" => {
                let ok = object["ok"].as_bool().ok_or("a seed without \"ok\"")?;
                let reason = object["error"].as_str().unwrap_or("no reason given");
                self.seeds.push((!ok).then(|| reason.to_owned()));
            }
            "warn" => self.warnings.push((text(&object, "what")?, text(&object, "detail")?)),
            "reply" => self.replies.push_back(object),
            _ => {}
        }
        Ok(())
    }

    /// The state of another, or `None` for one never seen.
    pub(super) fn state(&self, name: &str) -> Option<State> {
        self.sights.get(name).map(|sight| sight.state)
    }

    /// Whether it ever told that this happened.
    pub(super) fn told(&self, name: &str, state: State) -> bool {
        self.changes.iter().any(|(about, then)| about == name && *then == state)
    }

    fn see(&mut self, object: &Value, state: State, at: Duration) -> Result<(), String> {
        let name = text(object, "node")?;
        // Only an appearance carries metadata.
        let meta = match object.get("meta").or_else(|| object.get("meta_hex")) {
            Some(_) => bytes(object, "meta"),
            None => self.sights.get(&name).map(|sight| sight.meta.clone()).unwrap_or_default(),
        };
        self.changes.push((name.clone(), state));
        self.sights.insert(name, Sight { state, meta, since: at });
        Ok(())
    }
}

/// Reads the reply to `members`.
///
/// # Errors
/// What is wrong with it, for people.
pub(super) fn rows(reply: &Value) -> Result<BTreeMap<String, Row>, String> {
    let members = reply["members"].as_array().ok_or("a reply without \"members\"")?;
    let row = |member: &Value| {
        let word = text(member, "state")?;
        let row = Row {
            address: text(member, "addr")?,
            state: State::listed(&word).ok_or(format!("a member in state \"{word}\""))?,
            incarnation: member["incarnation"].as_u64().ok_or("a member without incarnation")?,
            meta: bytes(member, "meta"),
        };
        Ok((text(member, "node")?, row))
    };
    members.iter().map(row).collect()
}

fn text(object: &Value, field: &str) -> Result<String, String> {
    let value = object[field].as_str().ok_or_else(|| format!("no text in \"{field}\""))?;
    Ok(value.to_owned())
}

/// Bytes as text, or in hex where a member wrote them so.
fn bytes(object: &Value, field: &str) -> String {
    let as_hex = if field == "text" { "hex".to_owned() } else { format!("{field}_hex") };
    match (object[field].as_str(), object[as_hex.as_str()].as_str()) {
        (Some(text), _) => text.to_owned(),
        (None, Some(hex)) => format!("hex {hex}"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Duration = Duration::from_secs(1);

    fn heard(lines: &[&str]) -> Record {
        let mut record = Record::default();
        for line in lines {
            record.hear(line, AT).unwrap();
        }
        record
    }

    #[test]
    fn the_latest_event_about_a_member_counts_and_none_is_forgotten() {
        let record = heard(&[
            r#"{"ev":"join","node":"b","meta":"m"}"#,
            r#"{"ev":"suspect","node":"b","by":"a"}"#,
            r#"{"ev":"alive","node":"b","by":"b"}"#,
            r#"{"ev":"update","node":"b","meta":"new"}"#,
        ]);
        assert_eq!(record.state("b"), Some(State::Alive));
        assert_eq!(record.sights["b"].meta, "new");
        assert!(record.told("b", State::Suspect));
        assert!(!record.told("b", State::Failed));
        assert_eq!(record.state("c"), None);
    }

    #[test]
    fn messages_keep_their_bytes_and_their_way() {
        let record = heard(&[
            r#"{"ev":"msg","from":null,"reliable":true,"text":"hello","len":5}"#,
            r#"{"ev":"msg","from":"a","reliable":false,"hex":"ff00","len":2}"#,
        ]);
        assert_eq!(record.messages[0].from, None);
        assert!(record.messages[0].reliable);
        assert_eq!(record.messages[1].text, "hex ff00");
    }

    #[test]
    fn refusals_and_seeds_carry_their_reasons() {
        let record = heard(&[
            r#"{"ev":"seed","addr":"x","ok":true,"error":null}"#,
            r#"{"ev":"seed","addr":"x","ok":false,"error":"timed out"}"#,
            r#"{"ev":"warn","what":"label","detail":"not ours","count":1}"#,
        ]);
        assert_eq!(record.seeds, [None, Some("timed out".to_owned())]);
        assert_eq!(record.warnings, [("label".to_owned(), "not ours".to_owned())]);
    }

    #[test]
    fn lists_of_members_are_read_whole_or_not_at_all() {
        let reply = |state: &str| {
            serde_json::json!({"members": [
                {"node": "a", "addr": "h:1", "state": state, "incarnation": 2, "meta": "m"},
            ]})
        };
        let row = rows(&reply("dead")).unwrap().remove("a").unwrap();
        assert_eq!((row.state, row.incarnation), (State::Failed, 2));
        assert!(rows(&reply("fine")).unwrap_err().contains("fine"));
        assert!(rows(&serde_json::json!({})).is_err());
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for line in ["", "hello", "{}", r#"{"ev":"join"}"#, r#"{"ev":"msg","text":"x"}"#] {
            assert!(Record::default().hear(line, AT).is_err(), "{line}");
        }
    }
}
