//! What may stand in a member's log: no ERROR line of a node; of a Go peer no WARN or ERR line
//! but those that its situation explains.

use std::collections::BTreeMap;
use std::path::Path;

use super::Program;

/// Lines of Go peers that are no sign of a fault where somebody was killed, stopped, cut off or
/// refused, by what they contain. `MIGRATING-FROM-GO` explains each.
const AFTER_FAULTS: &[&str] = &[
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

/// A whole log; empty if it cannot be read.
pub(crate) fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// The first line that reports a bug of a node: level ERROR, or a panic.
pub(crate) fn first_error(log: &str) -> Option<&str> {
    log.lines().find(|line| {
        line.split_whitespace().nth(1) == Some("ERROR")
            || line.starts_with("thread '") && line.contains("panicked at")
    })
}

/// The first line that reports a bug of a Go peer: the adapter between memberlist and quic-go
/// logs errors in the ordinary course, so only a panic does.
pub(crate) fn first_panic_of_go(log: &str) -> Option<&str> {
    log.lines().find(|line| line.starts_with("panic:") || line.starts_with("fatal error:"))
}

/// The first line of a log that nobody accepts. Without faults a Go peer has nothing to warn of
/// but what the story explains, by words of the line.
pub(crate) fn first_unaccepted<'a>(
    log: &'a str,
    program: Program,
    faults: bool,
    explained: &[String],
) -> Option<&'a str> {
    match program {
        Program::Node => first_error(log),
        Program::GoPeer => warnings_of_go(log)
            .filter(|line| !explained.iter().any(|words| line.contains(words)))
            .find(|line| !faults || !AFTER_FAULTS.iter().any(|words| line.contains(words))),
    }
}

/// All lines of a Go peer's log at WARN or ERR.
fn warnings_of_go(log: &str) -> impl Iterator<Item = &str> {
    log.lines().filter(|line| line.contains("[WARN]") || line.contains("[ERR]"))
}

/// How often a Go peer warned of what, without date and time.
pub(crate) fn count_warnings_of_go(log: &str) -> BTreeMap<&str, usize> {
    let mut kinds = BTreeMap::new();
    for line in warnings_of_go(log) {
        *kinds.entry(line.splitn(3, ' ').last().unwrap_or(line)).or_default() += 1;
    }
    kinds
}

/// A log's path and its last line, which often tells why a member ended.
pub(crate) fn describe(path: &Path) -> String {
    let log = read(path);
    format!("{} (ends: {})", path.display(), log.lines().last().unwrap_or("it is empty"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBUG: &str = "2026/11/22 21:53:34.654842 [DEBUG] memberlist: Stream connection";
    const EXPLAINED: &str = "2026/11/22 21:53:36.141640 [ERR] memberlist: Failed fallback TCP ping";
    const UNKNOWN: &str = "2026/11/22 21:53:36.141640 [ERR] memberlist: msg type (245) not found";

    #[test]
    fn a_go_peer_may_warn_of_faults_and_of_nothing_else() {
        let unaccepted = |log, faults| first_unaccepted(log, Program::GoPeer, faults, &[]);
        let explained = format!("{DEBUG}\n{EXPLAINED}\n");
        assert_eq!(unaccepted(&explained, true), None);
        assert_eq!(unaccepted(&explained, false), Some(EXPLAINED));
        let unknown = format!("{EXPLAINED}\n{UNKNOWN}\n");
        assert_eq!(unaccepted(&unknown, true), Some(UNKNOWN));
        let explained = ["msg type (245)".to_owned()];
        assert_eq!(first_unaccepted(&unknown, Program::GoPeer, true, &explained), None);
        let line = first_unaccepted(&unknown, Program::GoPeer, false, &explained);
        assert_eq!(line, Some(EXPLAINED));
        assert_eq!(unaccepted(DEBUG, false), None);
        let (kind, count) = count_warnings_of_go(&unknown).pop_last().unwrap();
        assert_eq!((kind, count), ("[ERR] memberlist: msg type (245) not found", 1));
        assert_eq!(first_panic_of_go(&unknown), None);
        assert!(first_panic_of_go("x\npanic: index out of range").is_some());
    }

    #[test]
    fn an_error_line_is_found_by_its_level_and_not_by_the_word() {
        let log = "2026-01-01T00:00:00Z WARN net ERROR is only a word here\n";
        assert_eq!(first_unaccepted(log, Program::Node, false, &[]), None);
        let bad = format!("{log}2026-01-01T00:00:01Z ERROR net impossible\nmore");
        assert_eq!(first_error(&bad), Some("2026-01-01T00:00:01Z ERROR net impossible"));
        assert!(first_error("thread 'driver' (7) panicked at src/a.rs:1:2:").is_some());
    }
}
