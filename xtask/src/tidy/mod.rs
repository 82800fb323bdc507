//! `cargo xtask tidy`: what the architecture and the style promise, checked on the text.
//!
//! Decides what is a violation; changes nothing and builds nothing. Every check is a function
//! from the files to its findings, so that each is tested on made-up files where it must bite and
//! on a look-alike where it must stay silent.

mod documents;
mod layers;
mod shape;
mod source;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use source::Source;

use crate::Stop;

/// Something that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    /// Counted from 1; 0 where the whole file is meant.
    line: usize,
    rule: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(formatter, "{}: {}", self.path, self.rule),
            line => write!(formatter, "{}:{line}: {}", self.path, self.rule),
        }
    }
}

fn finding(path: &str, line: usize, rule: impl Into<String>) -> Finding {
    Finding { path: path.to_owned(), line, rule: rule.into() }
}

/// The text files of the repository, by path with `/`.
#[derive(Default)]
struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    #[cfg(test)]
    fn of(files: &[(&str, &str)]) -> Self {
        let own = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Self { files: files.iter().map(own).collect() }
    }

    fn load(root: &Path) -> std::io::Result<Self> {
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
                // Binary files hold no rules; every other file is UTF-8.
                if let Ok(text) = String::from_utf8(std::fs::read(entry.path())?) {
                    self.files.insert(path, text);
                }
            }
        }
        Ok(())
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    fn ending(&self, suffix: &'static str) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter(move |(path, _)| path.ends_with(suffix))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    fn sources(&self) -> Vec<Source<'_>> {
        self.ending(".rs").map(|(path, text)| Source::new(path, text)).collect()
    }
}

fn check(tree: &Tree, commands: &clap::Command) -> Vec<Finding> {
    let sources = tree.sources();
    let mut findings = layers::check(tree);
    findings.extend(sources.iter().flat_map(shape::check));
    findings.extend(sources.iter().flat_map(words::check));
    findings.extend(documents::check(tree, commands));
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    findings
}

/// Checks the repository at `root`; `commands` are those that documents may name.
pub(crate) fn run(root: &Path, commands: &clap::Command) -> Result<(), Stop> {
    let tree = Tree::load(root)
        .map_err(|error| Stop::Failed(format!("cannot read {}: {error}", root.display())))?;
    let findings = check(&tree, commands);
    for finding in &findings {
        println!("{finding}");
    }
    let sources = tree.ending(".rs").count();
    println!("tidy: {} files, {sources} of Rust, {} findings", tree.files.len(), findings.len());
    if findings.is_empty() { Ok(()) } else { Err(Stop::Said(1)) }
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
