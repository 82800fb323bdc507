//! What logs may say: no ERROR line of a node, and no WARN or ERR line of a Go peer but those that
//! its case explains.
//!
//! Reads logs after their processes have ended, and changes nothing.

use std::path::PathBuf;

use super::stage::is_go;
use crate::demo::node_event::first_error;

/// Lines of Go peers that are no sign of a fault where somebody was killed, stopped, cut off or
/// refused, by what they contain. Each stands with its explanation in `MIGRATING-FROM-GO`.
const AFTER_TROUBLE: &[&str] = &[
    "Failed fallback TCP ping",
    "Failed to send ack: stream",
    "timeout: no recent network activity",
    "context canceled",
    "Was able to connect to",
    "Refuting a suspect message",
    "Refuting a dead message",
    "Push/Pull with",
    "discarding stream with unacceptable label",
    "discarding packet with unacceptable label",
    "no installed keys could decrypt the message",
    "Decrypt packet failed",
];

/// The first line of any of these logs that nobody accepts. In a calm case a Go peer has nothing
/// to complain of at all.
pub(super) fn first_unaccepted(logs: &[(&'static str, PathBuf)], calm: bool) -> Option<String> {
    logs.iter().find_map(|(name, path)| {
        let text = std::fs::read(path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let line = if is_go(name) {
            complaints(&text).find(|line| calm || !is_explained(line))
        } else {
            first_error(&text)
        };
        Some(format!("{name} logged: {}", line?))
    })
}

/// All lines of a Go peer's log at WARN or ERR.
pub(super) fn complaints(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.contains("[WARN]") || line.contains("[ERR]"))
}

fn is_explained(line: &str) -> bool {
    AFTER_TROUBLE.iter().any(|words| line.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBUG: &str = "2026/11/22 21:53:34.654842 [DEBUG] memberlist: Stream connection";
    const EXPLAINED: &str = "2026/11/22 21:53:36.141640 [ERR] memberlist: Failed fallback TCP ping";
    const UNKNOWN: &str = "2026/11/22 21:53:36.141640 [ERR] memberlist: msg type (245) not found";

    fn verdict(name: &'static str, text: &str, calm: bool) -> Option<String> {
        let path = std::env::temp_dir().join(format!(
            "swim-quic-logs-{}-{}-{calm}-{}",
            std::process::id(),
            name,
            text.len()
        ));
        std::fs::write(&path, text).unwrap();
        let verdict = first_unaccepted(&[(name, path.clone())], calm);
        std::fs::remove_file(path).unwrap();
        verdict
    }

    #[test]
    fn a_go_peer_may_complain_of_trouble_and_of_nothing_else() {
        let text = format!("{DEBUG}\n{EXPLAINED}\n");
        assert_eq!(verdict("g1", &text, false), None);
        assert_eq!(verdict("g1", &text, true), Some(format!("g1 logged: {EXPLAINED}")));
        let text = format!("{EXPLAINED}\n{UNKNOWN}\n");
        assert_eq!(verdict("g1", &text, false), Some(format!("g1 logged: {UNKNOWN}")));
        assert_eq!(verdict("g1", DEBUG, true), None);
    }

    #[test]
    fn a_node_may_log_no_error() {
        assert_eq!(verdict("r1", "2026-01-01T00:00:00Z WARN net odd", true), None);
        assert!(verdict("r1", "2026-01-01T00:00:00Z ERROR net impossible", false).is_some());
    }
}
