//! What a node's log says that a soak must know of.

use super::timeline::Said;
use crate::fleet::logs;

/// Whose warnings a node writes as events too, with their times.
const TOLD: &str = "swim_quic::warnings";

/// A line of a node's log, if it is at WARN or ERROR, or reports a panic.
pub(super) fn logged(line: &str) -> Option<Said> {
    if logs::first_error(line).is_some() {
        return Some(Said::LoggedError(line.to_owned()));
    }
    let mut words = line.splitn(4, ' ');
    let (_, level, target, detail) = (words.next(), words.next()?, words.next()?, words.next()?);
    let (what, detail) = (target.to_owned(), detail.to_owned());
    (level == "WARN" && target != TOLD).then_some(Said::Warned { what, detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_log_are_told_apart_by_their_level() {
        let line =
            |level| format!("2026-01-01T00:00:00.000Z {level} quic_net::pool too many ERRORs");
        let (what, detail) = ("quic_net::pool".to_owned(), "too many ERRORs".to_owned());
        assert_eq!(logged(&line("WARN")), Some(Said::Warned { what, detail }));
        assert_eq!(logged(&line("ERROR")), Some(Said::LoggedError(line("ERROR"))));
        assert_eq!(logged(&line("INFO")), None);
        assert_eq!(logged(&line("WARN").replace("quic_net::pool", TOLD)), None);
        assert!(logged("thread 'driver' panicked at src/a.rs:1:2:").is_some());
    }
}
