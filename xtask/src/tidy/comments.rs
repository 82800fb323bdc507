//! Doc comments that say nothing.
//!
//! A doc comment of three words or fewer, all of which the item's name holds too, tells nobody
//! anything: `/// The queue.` on `queue`. Nor does the formula by which a file is said to "decide"
//! this and that: its head says what the file is for.

use super::source::{Source, numbered, words};
use super::tree::{Finding, finding};

/// Comments of so many words or fewer must say more than the name.
const WORDS: usize = 3;
/// Words that add nothing to a name.
const EMPTY: &[&str] = &["a", "an", "the", "of", "its", "this", "our", "all"];
/// What may stand before the name of an item.
const BEFORE_A_NAME: &[&str] = &[
    "pub",
    "crate",
    "super",
    "in",
    "const",
    "async",
    "unsafe",
    "extern",
    "fn",
    "struct",
    "enum",
    "type",
    "trait",
    "static",
    "mut",
    "mod",
    "macro_rules",
    "union",
];
/// How no sentence of a file's head begins, and what is said nowhere.
const FORMULA: (&str, &str) = ("Decides", concat!("ecides ", "nothing"));

/// Repetitions and formulas in one file.
pub(super) fn check(source: &Source<'_>) -> Vec<Finding> {
    let mut findings = repetitions(source);
    findings.extend(formulas(source));
    findings
}

fn repetitions(source: &Source<'_>) -> Vec<Finding> {
    let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
    let is_doc = |at: Option<usize>| {
        at.and_then(|at| lines.get(at)).is_some_and(|line| line.starts_with("///"))
    };
    let mut findings = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(said) = line.strip_prefix("///") else {
            continue;
        };
        if is_doc(at.checked_sub(1)) || is_doc(Some(at + 1)) {
            continue;
        }
        let mut after = lines[at + 1..].iter().skip_while(|line| line.starts_with("#["));
        let name = after.next().and_then(|line| declared(line)).unwrap_or_default();
        if repeats(said, &name) {
            let rule = format!("\"{}\" only repeats the name {name}", said.trim());
            findings.push(finding(source.path, at + 1, rule));
        }
    }
    findings
}

/// What the line declares: an item, a field, a variant.
fn declared(line: &str) -> Option<String> {
    let mut parts = line.split(|c: char| !c.is_alphanumeric() && c != '_');
    parts.find(|part| !part.is_empty() && !BEFORE_A_NAME.contains(part)).map(str::to_owned)
}

fn repeats(said: &str, name: &str) -> bool {
    let stem = |word: &String| word.trim_end_matches('s').to_owned();
    let said = words(said);
    let name: Vec<String> = words(name).iter().map(stem).collect();
    let mut telling = said.iter().filter(|word| word.len() > 1 && !EMPTY.contains(&word.as_str()));
    (1..=WORDS).contains(&said.len()) && telling.all(|word| name.contains(&stem(word)))
}

fn formulas(source: &Source<'_>) -> Vec<Finding> {
    let (first, anywhere) = FORMULA;
    let mut findings = Vec::new();
    let mut before = String::new();
    for (number, line) in numbered(&source.comments) {
        let line = line.trim();
        if let Some(head) = line.strip_prefix("//!") {
            for (at, _) in head.match_indices(first) {
                let before = format!("{before}{}", &head[..at]);
                let before = before.trim_end();
                if before.is_empty() || before.ends_with(['.', ':']) {
                    let rule = format!("a head with a sentence that begins with \"{first}\"");
                    findings.push(finding(source.path, number, rule));
                }
            }
            before.push_str(head);
        }
        if line.contains(anywhere) {
            let rule = format!("\"d{anywhere}\": say what it does");
            findings.push(finding(source.path, number, rule));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<String> {
        let findings = check(&Source::new("a/src/b.rs", text));
        findings.into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn a_comment_that_repeats_the_name_is_found() {
        for text in [
            "/// The queue.\nqueue: Vec<u8>,",
            "/// Member table.\n#[derive(Debug)]\npub(crate) struct MemberTable;",
            "/// Polls timeouts.\npub const fn poll_timeout(&self) {}",
            "/// Suspect.\nSuspect(u8),",
        ] {
            assert!(rules(text)[0].contains("only repeats"), "{text}");
        }
        for text in [
            "/// The queue, oldest first.\nqueue: Vec<u8>,",
            "/// In bytes.\nlength: u8,",
            "/// The queue.\n/// Bounded by 256 entries.\nqueue: Vec<u8>,",
            "// The queue.\nqueue: Vec<u8>,",
            "let a = \"/// The queue\";",
        ] {
            assert_eq!(rules(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn the_formula_is_found_in_heads_and_nowhere_else() {
        for text in ["//! Decides what runs.\n", "//! A list.\n//!\n//! Decides what\n//! runs.\n"]
        {
            assert!(rules(text)[0].contains("begins with"), "{text}");
        }
        assert!(rules(concat!("// It d", "ecides ", "nothing.\n"))[0].contains("say what it does"));
        for text in [
            "//! The verdict decides what runs.\n",
            "//! What the caller\n//! Decides here.\n",
            "/// Decides what runs.\nfn choose() {}",
        ] {
            assert_eq!(rules(text), Vec::<String>::new(), "{text}");
        }
    }
}
