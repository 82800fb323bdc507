//! How long a file and a line may be.
//!
//! A file's tests do not count. A file that may be longer is named in [`LONG_FILES`] with its
//! reason. Columns are counted because rustfmt leaves comments and literals as wide as they are.

use super::source::{Source, numbered};
use super::tree::{Finding, finding};

const COLUMNS: usize = 100;
const FILE_LINES: usize = 400;

/// Files that may be longer, each with its limit and its reason.
const LONG_FILES: &[(&str, usize, &str)] =
    &[("fuzz/checks/src/membership.rs", 500, "one table of operations, each a few lines")];

/// Every limit, on one file.
pub(super) fn check(source: &Source<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(length(source));
    findings.extend(columns(source));
    findings
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

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<String> {
        check(&Source::new(path, text)).into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let lines = "// x\n".repeat(FILE_LINES + 1);
        assert!(rules("a/src/b.rs", &lines)[0].contains("401 production lines"));
        let tests = format!("#[cfg(test)]\nmod tests {{\n{lines}}}\n");
        assert_eq!(rules("a/src/b.rs", &tests), Vec::<String>::new());
    }

    #[test]
    fn a_long_line_is_found_by_its_characters_not_its_bytes() {
        let wide = format!("// {}\n", "é".repeat(97));
        assert_eq!(rules("a/src/b.rs", &wide), Vec::<String>::new());
        assert_eq!(rules("a/src/b.rs", &format!("// {}\n", "e".repeat(98))).len(), 1);
    }

    #[test]
    fn the_list_of_long_files_gives_reasons() {
        assert!(
            LONG_FILES.iter().all(|(_, limit, reason)| *limit > FILE_LINES && reason.len() > 20)
        );
    }
}
