//! What the code of a layer must not mention.
//!
//! swim-core names no clock, no socket, no thread and no randomness of its own; the transport has
//! no word of membership; only two of its files import the poller. Code is searched without
//! comments and literals. What clippy and rustc forbid is not repeated here.

use super::source::{Source, numbered, words};
use super::tree::{Finding, finding};

/// In any code, tests and examples included.
const NOWHERE: &[(&str, &str)] = &[
    ("#[ignore", "a test that does not run"),
    ("cfg!(test)", "what is tested is what runs"),
    ("cfg(not(test))", "what is tested is what runs"),
];

/// In comments.
const UNFINISHED: &[&str] = &["FIXME", "XXX", "TODO"];

/// In swim-core's production code: time, randomness and the outside come in as arguments.
const IMPURE: &[&str] = &[
    "Instant",
    "SystemTime",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "std::thread",
    "std::env",
    "std::fs",
    "std::process",
    "std::io",
    "OsRng",
    "SysRng",
    "thread_rng",
    "rand::rng",
    "Mutex",
    "RwLock",
];

/// Words of membership, none of the transport's business.
const SWIM_WORDS: &[&str] = &[
    "gossip",
    "gossips",
    "incarnation",
    "lifeguard",
    "member",
    "members",
    "memberlist",
    "membership",
    "refute",
    "suspect",
    "suspects",
    "suspicion",
    "swim",
];

/// Names that contain such a word and are the transport's business: the protocols it speaks and
/// the packages of this repository.
const SWIM_NAMES: &[&str] =
    &["memberlist-quic", "swim-quic", "swim_quic", "SWIM_QUIC", "MEMBERLIST_QUIC"];

/// The only files of the transport that import the poller.
const POLLERS: &[&str] = &["crates/quic-net/src/socket.rs", "crates/quic-net/src/event_loop.rs"];

/// Every prohibition, on one file.
pub(super) fn check(source: &Source<'_>) -> Vec<Finding> {
    let mut findings = nowhere(source);
    findings.extend(unsafe_code(source));
    if source.path.starts_with("crates/swim-core/src/") {
        findings.extend(impure(source));
    }
    if source.path.starts_with("crates/quic-net/src/") {
        findings.extend(swim(source));
        findings.extend(poller(source));
    }
    findings
}

fn nowhere(source: &Source<'_>) -> Vec<Finding> {
    let code = numbered(&source.code).flat_map(|(number, line)| {
        let hits = NOWHERE.iter().filter(|(word, _)| holds(line, word));
        hits.map(move |(word, why)| (number, format!("{word}: {why}")))
    });
    let comments = numbered(&source.comments).flat_map(|(number, line)| {
        let hits = UNFINISHED.iter().filter(|word| holds(line, word));
        hits.map(move |word| (number, format!("{word}: unfinished")))
    });
    code.chain(comments).map(|(number, rule)| finding(source.path, number, rule)).collect()
}

/// Whether the line holds the word and not only as a part of another.
fn holds(line: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let starts_a_word = word.starts_with(char::is_alphabetic);
    let ends_a_word = word.ends_with(char::is_alphabetic);
    line.match_indices(word).any(|(at, _)| {
        !(starts_a_word && is_part(line[..at].chars().next_back())
            || ends_a_word && is_part(line[at + word.len()..].chars().next()))
    })
}

fn unsafe_code(source: &Source<'_>) -> Option<Finding> {
    let is_root = source.path.ends_with("/src/lib.rs") || source.path == "xtask/src/main.rs";
    (is_root && !source.code.contains("#![forbid(unsafe_code)]"))
        .then(|| finding(source.path, 0, "lacks #![forbid(unsafe_code)]"))
}

fn impure(source: &Source<'_>) -> Vec<Finding> {
    let hits = numbered(source.production()).flat_map(|(number, line)| {
        let hits = IMPURE.iter().filter(|word| holds(line, word));
        hits.map(move |word| finding(source.path, number, format!("{word} in swim-core")))
    });
    hits.collect()
}

fn swim(source: &Source<'_>) -> Vec<Finding> {
    let hits = numbered(source.text).filter_map(|(number, line)| {
        let line = SWIM_NAMES.iter().fold(line.to_owned(), |line, name| line.replace(name, ""));
        let word = words(&line).into_iter().find(|word| SWIM_WORDS.contains(&word.as_str()))?;
        Some(finding(source.path, number, format!("\"{word}\": the transport knows no membership")))
    });
    hits.collect()
}

fn poller(source: &Source<'_>) -> Vec<Finding> {
    if POLLERS.contains(&source.path) || source.is_test() {
        return Vec::new();
    }
    numbered(source.production())
        .filter(|(_, line)| holds(line, "mio"))
        .map(|(number, _)| finding(source.path, number, "mio outside socket.rs and event_loop.rs"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<String> {
        check(&Source::new(path, text)).into_iter().map(|finding| finding.rule).collect()
    }

    fn bites(path: &str, text: &str, rule: &str) {
        let rules = rules(path, text);
        assert!(rules.len() == 1 && rules[0].contains(rule), "{path}: {text}: {rules:?}");
    }

    fn is_silent(path: &str, text: &str) {
        assert_eq!(rules(path, text), Vec::<String>::new(), "{path}: {text}");
    }

    #[test]
    fn what_is_allowed_nowhere_is_found_in_code_only() {
        for (word, _) in NOWHERE {
            bites("a/src/b.rs", &format!("fn a() {{ {word}"), word);
            is_silent("a/src/b.rs", &format!("// {word}\nlet a = \"{word}\";"));
        }
        is_silent("a/src/b.rs", "#[cfg(test)] fn a() {} // #[ignored]");
    }

    #[test]
    fn unfinished_business_is_found_in_comments_only() {
        for word in UNFINISHED {
            bites("a/src/b.rs", &format!("/// {word}: later"), word);
            is_silent("a/src/b.rs", &format!("let a = \"{word}\"; // {word}S"));
        }
    }

    #[test]
    fn a_library_without_the_ban_on_unsafe_code_is_found() {
        bites("crates/a/src/lib.rs", "// #![forbid(unsafe_code)]", "lacks");
        is_silent("crates/a/src/lib.rs", "#![forbid(unsafe_code)]");
        is_silent("crates/a/src/other.rs", "");
    }

    #[test]
    fn swim_core_reads_no_clock_and_no_environment() {
        bites("crates/swim-core/src/a.rs", "use std::time::Instant;", "Instant");
        bites("crates/swim-core/src/a.rs", "let a = std::env::var(name);", "std::env");
        is_silent(
            "crates/swim-core/src/a.rs",
            "struct Instantly; // Instant\nuse std::time::Duration;",
        );
        is_silent("crates/swim-core/tests/a.rs", "use std::time::Instant;");
    }

    #[test]
    fn the_transport_knows_no_word_of_membership() {
        for word in SWIM_WORDS {
            bites("crates/quic-net/src/a.rs", &format!("// the {word} here"), "no membership");
            bites("crates/quic-net/src/a.rs", &format!("let {word}_count = 1;"), "no membership");
            is_silent("crates/swim-quic/src/a.rs", &format!("let {word}_count = 1;"));
        }
        is_silent("crates/quic-net/src/a.rs", "const ALPN: &[u8] = b\"swim-quic/1\"; // remember");
        is_silent("crates/quic-net/src/a.rs", "// memberlist-quic/1 peers");
    }

    #[test]
    fn the_poller_stays_in_its_two_files() {
        bites("crates/quic-net/src/pool.rs", "use mio::Poll;", "mio outside");
        is_silent("crates/quic-net/src/socket.rs", "use mio::net::UdpSocket;");
        is_silent("crates/quic-net/src/pool.rs", "let premiominor = 1; // mio");
    }
}
