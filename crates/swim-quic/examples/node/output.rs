//! Events and replies on stdout: JSON lines with `--json`, sentences without.
//!
//! The form of every line is part of the interface: names may be added, none changed.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use swim_quic::{
    Cluster, Event, Fingerprint, Hint, IncomingStream, Member, MemberName, StableView, with_sources,
};

use crate::process::wall_clock;

/// Where lines go.
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) fn ready(&self, cluster: &Cluster) {
        let mut fields = named(cluster.name());
        fields.insert("addr".into(), cluster.address().to_string().into());
        fields.insert("pid".into(), std::process::id().into());
        self.line("ready", fields);
    }

    /// Prints an event. What concerns this member's own comings and goings is known to whoever
    /// started it.
    pub(crate) fn event(&self, event: &Event, own_name: &MemberName) {
        match event {
            Event::Joined(member) if member.name() != own_name => {
                self.line("join", with_meta(member));
            }
            Event::Updated(member) => self.line("update", with_meta(member)),
            Event::Left(member) if member.name() != own_name => {
                self.line("leave", concerning(member));
            }
            Event::RemoteState { join, state, .. } => self.line("state", exchanged(*join, state)),
            Event::Joined(_) | Event::Left(_) | Event::Stopped { .. } => {}
            Event::Restarted(member) => self.line("restarted", concerning(member)),
            Event::Moved { member, from } => {
                let mut fields = concerning(member);
                fields.insert("from".into(), from.to_string().into());
                self.line("moved", fields);
            }
            Event::Removed { member, reason } => self.line("removed", removed(member, reason)),
            Event::StableView(view) => self.line("stable_view", stable_view(view)),
            Event::Resumed { away } => {
                let fields = [("away_ms".to_owned(), milliseconds(*away))];
                self.line("resumed", fields.into_iter().collect());
            }
            Event::Suspected { member, by } => self.line("suspect", suspected(member, by)),
            Event::Cleared { member, by } => self.line("alive", suspected(member, by)),
            Event::Failed { .. } => self.line("fail", failed(event)),
            Event::Conflict { member, other } => {
                let mut fields = concerning(member);
                fields.insert("other".into(), other.to_string().into());
                self.line("conflict", fields);
            }
            Event::Message { from, address, reliable, payload } => {
                let mut fields = Map::new();
                let from = from.as_ref().map_or_else(|| address.to_string(), ToString::to_string);
                fields.insert("from".into(), from.into());
                fields.insert("reliable".into(), (*reliable).into());
                insert_bytes(&mut fields, "text", "hex", payload);
                fields.insert("len".into(), payload.len().into());
                self.line("msg", fields);
            }
            Event::Seed { address, error } => {
                let mut fields = Map::new();
                fields.insert("addr".into(), address.as_str().into());
                fields.insert("ok".into(), error.is_none().into());
                fields.insert(
                    "error".into(),
                    error.as_ref().map(|error| with_sources(&**error)).into(),
                );
                self.line("seed", fields);
            }
            Event::IdentityRotated { former, fingerprint, not_after } => {
                self.line("rotated", rotated(former, fingerprint, *not_after));
            }
            Event::IdentityProblem { error } => {
                self.warn("certificate", &with_sources(&**error), 1)
            }
            Event::CertificateExpiring { left, .. } => {
                let detail = format!("the certificate ends in {} s", left.as_secs());
                self.warn("certificate", &detail, 1);
            }
            Event::Warning { what, detail, count } => self.warn(what, detail, *count),
            Event::Lagged { missed, .. } => {
                self.warn("lagged", "events were missed: stdout is read too slowly", *missed);
            }
            other => self.warn("event", &format!("{other:?}"), 1),
        }
    }

    /// Another member opened an application stream.
    pub(crate) fn stream(&self, call: &IncomingStream) {
        let mut fields = Map::new();
        fields.insert("from".into(), call.from.to_string().into());
        fields.insert("protocol".into(), call.stream.protocol().into());
        self.line("stream", fields);
    }

    /// The one reply to a command.
    pub(crate) fn reply(&self, command: &str, result: Result<Value, String>) {
        let mut fields = Map::new();
        fields.insert("cmd".into(), command.into());
        fields.insert("ok".into(), result.is_ok().into());
        match result {
            Ok(Value::Object(more)) => fields.extend(more),
            Ok(_) => {}
            Err(error) => {
                fields.insert("error".into(), error.into());
            }
        }
        self.line("reply", fields);
    }

    /// A reply that failed and still has something to show.
    pub(crate) fn failed_reply(&self, command: &str, error: &str, more: Value) {
        let mut fields = Map::new();
        fields.insert("cmd".into(), command.into());
        fields.insert("ok".into(), false.into());
        fields.insert("error".into(), error.into());
        if let Value::Object(more) = more {
            fields.extend(more);
        }
        self.line("reply", fields);
    }

    fn warn(&self, what: &str, detail: &str, count: u64) {
        let mut fields = Map::new();
        fields.insert("what".into(), what.into());
        fields.insert("detail".into(), detail.into());
        fields.insert("count".into(), count.into());
        self.line("warn", fields);
    }

    fn line(&self, event: &str, fields: Map<String, Value>) {
        let since_epoch = wall_clock().duration_since(UNIX_EPOCH).unwrap_or_default();
        let text = if self.json {
            let mut object = Map::new();
            object.insert("ts".into(), json!(since_epoch.as_secs_f64()));
            object.insert("ev".into(), event.into());
            object.extend(fields);
            Value::Object(object).to_string()
        } else {
            let fields: Vec<String> =
                fields.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("{event} {}", fields.join(" "))
        };
        let mut stdout = std::io::stdout().lock();
        // Whoever read our stdout may be gone; the member lives on.
        let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    }
}

/// `node`, and `node_hex` beside it where the name is not text.
fn named(name: &MemberName) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("node".into(), name.to_string().into());
    if std::str::from_utf8(name.as_bytes()).is_err() {
        fields.insert("node_hex".into(), hex(name.as_bytes()).into());
    }
    fields
}

fn concerning(member: &Member) -> Map<String, Value> {
    let mut fields = named(member.name());
    fields.insert("addr".into(), member.address().to_string().into());
    fields.insert("incarnation".into(), member.incarnation().into());
    fields
}

fn with_meta(member: &Member) -> Map<String, Value> {
    let mut fields = concerning(member);
    insert_bytes(&mut fields, "meta", "meta_hex", member.meta());
    fields
}

/// What a peer's application added to its state.
fn exchanged(join: bool, state: &[u8]) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("join".into(), join.into());
    insert_bytes(&mut fields, "text", "hex", state);
    fields.insert("len".into(), state.len().into());
    fields
}

fn removed(member: &Member, reason: &str) -> Map<String, Value> {
    let mut fields = concerning(member);
    fields.insert("reason".into(), reason.into());
    fields
}

fn stable_view(view: &StableView) -> Map<String, Value> {
    let names = |members: &[Member]| -> Value {
        members.iter().map(|member| Value::from(member.name().to_string())).collect()
    };
    let mut fields = Map::new();
    fields.insert("id".into(), format!("{:016x}", view.id).into());
    fields.insert("members".into(), names(&view.members));
    fields.insert("joined".into(), names(&view.joined));
    fields.insert("left".into(), names(&view.left));
    fields.insert("failed".into(), names(&view.failed));
    fields
}

fn failed(event: &Event) -> Map<String, Value> {
    let Event::Failed { member, suspected_by, after, evidence, hint } = event else {
        return Map::new();
    };
    let mut fields = suspected(member, suspected_by);
    fields.insert("after_ms".into(), milliseconds(*after));
    fields.insert("evidence".into(), evidence.name().into());
    fields.insert("hint".into(), hint.map_or("none", Hint::name).into());
    fields
}

fn suspected(member: &Member, by: &MemberName) -> Map<String, Value> {
    let mut fields = concerning(member);
    fields.insert("by".into(), by.to_string().into());
    fields
}

/// A member as `members` lists it.
pub(crate) fn listed(member: &Member) -> Value {
    let mut fields = concerning(member);
    fields.insert("state".into(), member.state().to_string().into());
    insert_bytes(&mut fields, "meta", "meta_hex", member.meta());
    Value::Object(fields)
}

fn rotated(
    former: &Fingerprint,
    fingerprint: &Fingerprint,
    not_after: SystemTime,
) -> Map<String, Value> {
    let until = not_after.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut fields = Map::new();
    fields.insert("former".into(), former.to_string().into());
    fields.insert("fingerprint".into(), fingerprint.to_string().into());
    fields.insert("not_after".into(), until.into());
    fields
}

/// Text where the bytes are text, else hex under another name.
fn insert_bytes(fields: &mut Map<String, Value>, text: &str, as_hex: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(valid) => fields.insert(text.into(), valid.into()),
        Err(_) => fields.insert(as_hex.into(), hex(bytes).into()),
    };
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A duration in whole milliseconds.
pub(crate) fn milliseconds(duration: Duration) -> Value {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).into()
}
