//! The shape of a file: its head, its length, its functions, its columns.
//!
//! Production and tests are measured apart. A file that must be longer than the rest is named in
//! [`LONG_FILES`] with its reason.

use super::source::{Source, numbered};
use super::{Finding, finding};

const COLUMNS: usize = 100;
const FILE_LINES: usize = 420;
const FUNCTION_LINES: usize = 100;
const HEAD_LINES: std::ops::RangeInclusive<usize> = 3..=10;

/// Files that may be longer, each with its limit and its reason.
const LONG_FILES: &[(&str, usize, &str)] = &[
    ("fuzz/checks/src/membership.rs", 480, "one table of operations, each a few lines"),
    ("xtask/src/interop/stage.rs", 480, "the verbs of a stage, which the cases read as one list"),
];

/// All of this page's checks.
pub(super) fn check(source: &Source<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(head(source));
    findings.extend(length(source));
    findings.extend(columns(source));
    findings.extend(functions(source));
    findings
}

/// Each module opens by saying what it decides and what it never does.
fn head(source: &Source<'_>) -> Option<Finding> {
    let lines = source.text.lines().take_while(|line| line.starts_with("//!")).count();
    let has_any = lines > 0;
    let is_module_of_tests = source.path.contains("/src/") && source.is_test();
    let wanted = if is_module_of_tests {
        true
    } else if source.is_test() || source.is_example() {
        has_any
    } else if source.path.ends_with("/lib.rs") {
        lines >= *HEAD_LINES.start()
    } else {
        HEAD_LINES.contains(&lines)
    };
    (!wanted).then(|| {
        let range = format!("{} to {}", HEAD_LINES.start(), HEAD_LINES.end());
        finding(source.path, 1, format!("opens with {lines} lines of //!, not with {range}"))
    })
}

fn length(source: &Source<'_>) -> Option<Finding> {
    let lines = source.production().lines().count();
    let own = LONG_FILES.iter().find(|(path, ..)| *path == source.path);
    let limit = own.map_or(FILE_LINES, |(_, limit, _)| *limit);
    (lines > limit && !source.is_example()).then(|| {
        finding(source.path, limit, format!("{lines} production lines, more than {limit}"))
    })
}

fn columns(source: &Source<'_>) -> Vec<Finding> {
    numbered(source.text)
        .filter(|(_, line)| line.chars().count() > COLUMNS)
        .map(|(number, _)| finding(source.path, number, format!("more than {COLUMNS} columns")))
        .collect()
}

fn functions(source: &Source<'_>) -> Vec<Finding> {
    let code = &source.code;
    let mut findings = Vec::new();
    for (start, _) in code.match_indices("fn ") {
        let is_word =
            code[..start].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_');
        let Some(lines) = is_word.then(|| body_lines(&code[start..])).flatten() else {
            continue;
        };
        if lines > FUNCTION_LINES {
            let number = code[..start].lines().count().max(1);
            let rule = format!("a function of {lines} lines, more than {FUNCTION_LINES}");
            findings.push(finding(source.path, number, rule));
        }
    }
    findings
}

/// How many lines the function that begins here has; none if it has no body.
fn body_lines(code: &str) -> Option<usize> {
    let (mut braces, mut brackets) = (0_usize, 0_usize);
    for (at, character) in code.char_indices() {
        match character {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            ';' if braces == 0 && brackets == 0 => return None,
            '{' => braces += 1,
            '}' if braces == 1 => return Some(code[..=at].lines().count()),
            '}' => braces = braces.saturating_sub(1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "//! Decides something.\n//!\n//! Never does another.\n";

    fn rules(path: &str, text: &str) -> Vec<String> {
        check(&Source::new(path, text)).into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn a_module_without_a_head_is_found() {
        assert_eq!(rules("a/src/b.rs", HEAD), Vec::<String>::new());
        let long = "//! x\n".repeat(11);
        for text in ["fn a() {}\n", "//! One.\n", "// Not a doc.\n", long.as_str()] {
            assert!(rules("a/src/b.rs", text)[0].contains("lines of //!"), "{text}");
        }
        assert_eq!(rules("a/src/lib.rs", &long), Vec::<String>::new());
        assert_eq!(rules("a/tests/b.rs", "//! One.\n"), Vec::<String>::new());
        assert_eq!(rules("a/tests/b.rs", "fn a() {}\n").len(), 1);
        assert_eq!(rules("a/src/b/tests.rs", "use super::*;\n"), Vec::<String>::new());
    }

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let lines = "// x\n".repeat(FILE_LINES);
        assert!(rules("a/src/b.rs", &format!("{HEAD}{lines}"))[0].contains("423 production lines"));
        let tests = format!("{HEAD}#[cfg(test)]\nmod tests {{\n{lines}}}\n");
        assert_eq!(rules("a/src/b.rs", &tests), Vec::<String>::new());
    }

    #[test]
    fn a_long_line_is_found_by_its_characters_not_its_bytes() {
        let wide = format!("{HEAD}// {}\n", "é".repeat(97));
        assert_eq!(rules("a/src/b.rs", &wide), Vec::<String>::new());
        assert_eq!(rules("a/src/b.rs", &format!("{HEAD}// {}\n", "e".repeat(98))).len(), 1);
    }

    #[test]
    fn a_long_function_is_found_and_a_declaration_is_not() {
        let body = "    call();\n".repeat(FUNCTION_LINES);
        let long = format!("{HEAD}fn long(a: [u8; 2]) {{\n{body}}}\n");
        assert_eq!(rules("a/src/b.rs", &long), ["a function of 102 lines, more than 100"]);
        let declared = format!("{HEAD}trait T {{ fn short();\n{body}}}\n");
        assert_eq!(rules("a/src/b.rs", &declared), Vec::<String>::new());
    }

    #[test]
    fn the_list_of_long_files_gives_reasons() {
        assert!(
            LONG_FILES.iter().all(|(_, limit, reason)| *limit > FILE_LINES && reason.len() > 20)
        );
    }
}
