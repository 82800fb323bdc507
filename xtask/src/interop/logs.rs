//! What logs may say: no ERROR line of a node, and no WARN or ERR line of a Go peer but those that
//! have an explanation.
//!
//! Reads logs after their processes have ended, and changes nothing.

use std::path::PathBuf;

use super::stage::is_go;
use crate::demo::event::first_error;

/// Lines of Go peers that are no sign of a fault, by what they contain.
const ACCEPTED: &[&str] = &[];

/// The first line of any of these logs that nobody accepts.
pub(super) fn first_unaccepted(logs: &[(&'static str, PathBuf)]) -> Option<String> {
    logs.iter().find_map(|(name, path)| {
        let text = std::fs::read(path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let line = if is_go(name) { None } else { first_error(&text) };
        Some(format!("{name} logged: {}", line?))
    })
}

/// All lines of a Go peer's log at WARN or ERR.
pub(super) fn complaints(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.contains("[WARN]") || line.contains("[ERR]"))
}

/// Whether a complaint has an explanation.
pub(super) fn is_accepted(line: &str) -> bool {
    ACCEPTED.iter().any(|words| line.contains(words))
}
