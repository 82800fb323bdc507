//! File names, of which each should lead to one file.
//!
//! A name may occur twice in the repository, not three times. Names that Rust or a convention
//! gives (`mod.rs`, `error.rs`, ...) do not count, nor do the fuzz targets, which are called after
//! their checks.

use std::collections::BTreeMap;

use super::tree::{Finding, Tree, finding};

const MOST: usize = 2;
const GIVEN: &[&str] = &["mod.rs", "lib.rs", "main.rs", "error.rs", "tests.rs"];
const NAMED_AFTER_OTHERS: &str = "fuzz/fuzz_targets/";

/// Names that occur more often than they may.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let many = by_name(tree).into_iter().filter(|(_, paths)| paths.len() > MOST);
    many.map(|(name, paths)| {
        let rule = format!("{} files are called {name}: {}", paths.len(), paths.join(", "));
        finding(paths[0], 0, rule)
    })
    .collect()
}

/// Names that occur as often as they may, to be thought about.
pub(super) fn twice(tree: &Tree) -> Vec<&str> {
    let twice = by_name(tree).into_iter().filter(|(_, paths)| paths.len() == MOST);
    twice.map(|(name, _)| name).collect()
}

fn by_name(tree: &Tree) -> BTreeMap<&str, Vec<&str>> {
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (path, _) in tree.ending(".rs") {
        let name = path.rsplit('/').next().unwrap_or(path);
        if !GIVEN.contains(&name) && !path.starts_with(NAMED_AFTER_OTHERS) {
            names.entry(name).or_default().push(path);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_to_three_files_is_found() {
        let paths = ["a/stream.rs", "a/b/stream.rs", "c/stream.rs"];
        let three: Vec<(&str, &str)> = paths.iter().map(|path| (*path, "")).collect();
        assert!(check(&Tree::of(&three))[0].rule.starts_with("3 files are called stream.rs"));
        assert_eq!(check(&Tree::of(&three[1..])), []);
        assert_eq!(twice(&Tree::of(&three[1..])), ["stream.rs"]);
    }

    #[test]
    fn names_that_are_given_may_occur_as_often_as_they_like() {
        for name in GIVEN {
            let paths = ["a", "b", "c"].map(|folder| format!("{folder}/{name}"));
            let files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), "")).collect();
            assert_eq!(check(&Tree::of(&files)), []);
        }
        let files = [("a/stream.rs", ""), ("b/stream.rs", ""), ("fuzz/fuzz_targets/stream.rs", "")];
        assert_eq!(check(&Tree::of(&files)), []);
    }
}
