//! The repository's text files, and what is found in them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::source::Source;

/// Something that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) path: String,
    /// Counted from 1; 0 where the whole file is meant.
    pub(super) line: usize,
    pub(super) rule: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(formatter, "{}: {}", self.path, self.rule),
            line => write!(formatter, "{}:{line}: {}", self.path, self.rule),
        }
    }
}

/// A finding at a line of a file, or in all of it at line 0.
pub(super) fn finding(path: &str, line: usize, rule: impl Into<String>) -> Finding {
    Finding { path: path.to_owned(), line, rule: rule.into() }
}

/// The text files by their path from the root, with `/` on every system.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) files: BTreeMap<String, String>,
}

impl Tree {
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let own = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Self { files: files.iter().map(own).collect() }
    }

    /// Reads everything below `root` except `.git`, build folders and fuzz corpora.
    pub(super) fn load(root: &Path) -> std::io::Result<Self> {
        let mut tree = Self::default();
        tree.add(root, "")?;
        Ok(tree)
    }

    fn add(&mut self, root: &Path, folder: &str) -> std::io::Result<()> {
        for entry in std::fs::read_dir(root.join(folder))? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let kind = entry.file_type()?;
            if kind.is_dir() && !matches!(name.as_str(), ".git" | "target" | "corpus") {
                self.add(root, &path)?;
            } else if kind.is_file() {
                // A file that is not UTF-8 is binary: no rule reads it.
                if let Ok(text) = String::from_utf8(std::fs::read(entry.path())?) {
                    self.files.insert(path, text);
                }
            }
        }
        Ok(())
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// The files whose path ends so, in the order of their paths.
    pub(super) fn ending(&self, suffix: &'static str) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter(move |(path, _)| path.ends_with(suffix))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    pub(super) fn sources(&self) -> Vec<Source<'_>> {
        let mut sources: Vec<Source<'_>> =
            self.ending(".rs").map(|(path, text)| Source::new(path, text)).collect();
        let tests: Vec<String> = sources.iter().flat_map(Source::test_modules).collect();
        for source in &mut sources {
            let stem = source.path.trim_end_matches(".rs");
            source.is_declared_for_tests = tests.iter().any(|module| {
                stem.strip_prefix(module)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            });
        }
        sources
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_name_the_place() {
        assert_eq!(finding("a.rs", 3, "too long").to_string(), "a.rs:3: too long");
        assert_eq!(finding("a.rs", 0, "no head").to_string(), "a.rs: no head");
    }

    #[test]
    fn this_repository_is_loaded() {
        let tree = Tree::load(&crate::workspace::root()).unwrap();
        assert!(tree.text("Cargo.toml").is_some());
        assert!(tree.text("xtask/src/tidy/mod.rs").is_some());
        assert!(tree.files.keys().all(|path| !path.starts_with("target/")));
    }
}
