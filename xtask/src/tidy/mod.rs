//! `cargo xtask tidy`: the rules of this repository that no common tool checks.
//!
//! Each rule is a function from the files to its findings, tested on a made-up file that breaks
//! it and on one that looks alike and does not. Nothing is built and nothing is changed.

#![expect(clippy::wildcard_enum_match_arm, reason = "syn's enums are open; rules name their kinds")]

mod comments;
mod dependencies;
mod documents;
mod modules;
mod names;
mod operations;
mod parts;
mod public_api;
mod purity;
mod shape;
mod source;
mod syntax;
mod tree;
mod types;
mod vocabulary;

use std::path::Path;

use tree::{Finding, Tree};

use crate::Stop;

/// The rules by name, each with what it demands.
const RULES: &[(&str, &str)] = &[
    ("layers", "which package may depend on which"),
    ("circles", "no two files of a crate import each other"),
    ("types", "fields of a struct, and files that hold a type's logic"),
    ("parts", "no part of the membership machine changes another"),
    ("api", "no type of another library in the public APIs"),
    ("shape", "lines in a file, columns"),
    ("purity", "what the code of a layer must not mention"),
    ("words", "words that are not said here, and what is said instead"),
    ("names", "file names that lead to more than two files"),
    ("comments", "doc comments that say nothing"),
    ("operations", "errors and warnings that the documents do not explain"),
    ("documents", "links, commands and paths in documents"),
];

fn names() -> clap::builder::PossibleValuesParser {
    RULES.iter().map(|(name, _)| *name).collect::<Vec<_>>().into()
}

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// List the rules and check nothing
    #[arg(long, conflicts_with = "only")]
    list: bool,
    /// Check this rule alone; may be given more than once
    #[arg(long, value_name = "RULE", value_parser = names())]
    only: Vec<String>,
}

/// What the rules read: every text file, and the Rust among them read and parsed once.
struct Workspace<'a> {
    tree: &'a Tree,
    sources: Vec<source::Source<'a>>,
    parsed: Vec<syntax::Parsed<'a>>,
}

impl<'a> Workspace<'a> {
    fn new(tree: &'a Tree) -> Self {
        let sources = tree.sources();
        let parsed = syntax::parse(&sources);
        Self { tree, sources, parsed }
    }

    /// All findings of a rule; `commands` are those that documents may name.
    fn check(&self, rule: &str, commands: &clap::Command) -> Vec<Finding> {
        let Self { tree, sources, parsed } = self;
        let mut findings = match rule {
            "layers" => dependencies::check(tree),
            "circles" => modules::check(parsed),
            "types" => types::check(parsed),
            "parts" => parts::check(parsed),
            "api" => public_api::check(parsed),
            "comments" => sources.iter().flat_map(comments::check).collect(),
            "shape" => sources.iter().flat_map(shape::check).collect(),
            "purity" => sources.iter().flat_map(purity::check).collect(),
            "words" => vocabulary::check(tree),
            "names" => names::check(tree),
            "operations" => operations::check(tree, parsed),
            "documents" => documents::check(tree, commands),
            _ => Vec::new(),
        };
        findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
        findings
    }
}

/// Checks the repository at `root`; `commands` are those that documents may name.
pub(crate) fn run(
    arguments: &Arguments,
    root: &Path,
    commands: &clap::Command,
) -> Result<(), Stop> {
    if arguments.list {
        for (name, demand) in RULES {
            println!("{name:<12}{demand}");
        }
        return Ok(());
    }
    let tree = Tree::load(root)
        .map_err(|error| Stop::cannot(format!("read {}", root.display()), error))?;
    let workspace = Workspace::new(&tree);
    let is_asked = |name: &str| arguments.only.iter().any(|asked| asked == name);
    let mut failed = 0;
    for (name, _) in RULES {
        if !arguments.only.is_empty() && !is_asked(name) {
            continue;
        }
        let findings = workspace.check(name, commands);
        for finding in &findings {
            println!("{finding}");
        }
        if *name == "names" {
            println!("names that lead to two files: {}", names::twice(&tree).join(", "));
        }
        failed += findings.len();
    }
    let sources = tree.ending(".rs").count();
    println!("tidy: {} files, {sources} of Rust, {failed} findings", tree.files.len());
    if failed == 0 { Ok(()) } else { Err(Stop::Said(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_one_that_is_checked() {
        // A file that breaks each rule, so that a rule without its check would be silent.
        let tree = Tree::of(&[
            ("a/src/lib.rs", "mod b; use b::B; pub struct A; #[ignore] fn f() {}\n"),
            ("a/src/b.rs", "use crate::A; pub struct B;\n"),
            ("b/b.rs", "mod pulse;"),
            (
                "crates/swim-quic/src/a.rs",
                "pub use mio::Poll; enum E { #[error(\"full: wait\")] Full }",
            ),
            ("c/b.rs", ""),
            ("a/src/long.rs", &"// x\n".repeat(1_000)),
            ("a/src/wide.rs", &format!("/// Wide.\nstruct Wide {{ {} }}", "a: u8, ".repeat(99))),
        ]);
        let workspace = Workspace::new(&tree);
        for (name, _) in RULES {
            let findings = workspace.check(name, &clap::Command::new("xtask"));
            assert!(!findings.is_empty(), "{name}");
        }
    }
}
