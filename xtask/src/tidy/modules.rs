//! No import circle between the files of a crate.
//!
//! File A imports file B when production code of A names something that B defines: by `use`, by a
//! path in code (`crate::b::f()`, `super::b::T`, `b::f()` for an imported or own module `b`), or
//! in the arguments of a macro. Names are followed through re-exports to the file that defines
//! them, so `use crate::Error` is an import of `error.rs` where `lib.rs` re-exports it.
//!
//! No import: `mod b;`, and a `pub use` whose name the file itself does not mention again. Calls
//! of methods are not seen, since nothing names the file that holds them. A folder's `mod.rs` and
//! the files beside it count like any others.

use std::collections::{BTreeMap, BTreeSet};

use super::syntax::{self, Import, Parsed};
use super::tree::{Finding, finding};

/// A module by its path from the crate's root, which is empty.
type Path = Vec<String>;

/// One module: what it defines and what it brings in.
#[derive(Default)]
struct Module {
    /// The index of its file; that of the file around it for a nested module.
    file: usize,
    defined: BTreeSet<String>,
    modules: BTreeSet<String>,
    imports: Vec<(Import, Visible)>,
    paths: Vec<(Vec<String>, usize)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visible {
    Here,
    Outside,
}

/// One crate: the files below a folder that holds a `lib.rs` or a `main.rs`.
struct Crate<'a> {
    files: Vec<&'a str>,
    modules: BTreeMap<Path, Module>,
}

/// An import of one file by another.
struct Edge {
    line: usize,
    name: String,
}

/// The circles, each reported once, at the first of its files.
pub(super) fn check(files: &[Parsed<'_>]) -> Vec<Finding> {
    roots(files).iter().flat_map(|root| circles(&Crate::new(root, files))).collect()
}

/// The folders that hold a crate's root.
fn roots<'a>(files: &[Parsed<'a>]) -> BTreeSet<&'a str> {
    let folder = |file: &Parsed<'a>| {
        let root = file.path.strip_suffix("lib.rs").or_else(|| file.path.strip_suffix("main.rs"));
        root.filter(|root| root.ends_with('/'))
    };
    files.iter().filter_map(folder).collect()
}

impl<'a> Crate<'a> {
    fn new(root: &str, files: &[Parsed<'a>]) -> Self {
        let mut this = Self { files: Vec::new(), modules: BTreeMap::new() };
        for file in files {
            let Some(below) = file.path.strip_prefix(root) else {
                continue;
            };
            let below = below.strip_suffix(".rs").unwrap_or(below);
            let mut path: Path = below.split('/').map(str::to_owned).collect();
            if matches!(path.last().map(String::as_str), Some("mod" | "lib" | "main")) {
                path.pop();
            }
            this.files.push(file.path);
            this.add(path, this.files.len() - 1, &file.items);
        }
        this
    }

    fn add(&mut self, path: Path, file: usize, items: &[syn::Item]) {
        let mut module = Module { file, ..Module::default() };
        for item in items {
            if let Some(name) = syntax::name(item) {
                module.defined.insert(name.to_string());
            }
            match item {
                syn::Item::Mod(inner) => {
                    module.modules.insert(inner.ident.to_string());
                    if let Some((_, items)) = &inner.content {
                        let path = path.iter().cloned().chain([inner.ident.to_string()]);
                        self.add(path.collect(), file, items);
                    }
                }
                syn::Item::Use(imported) => {
                    let is_own = matches!(imported.vis, syn::Visibility::Inherited);
                    let visible = if is_own { Visible::Here } else { Visible::Outside };
                    let imports = syntax::imports(imported);
                    module.imports.extend(imports.into_iter().map(|import| (import, visible)));
                }
                item => module.paths.extend(syntax::paths(item)),
            }
        }
        self.modules.insert(path, module);
    }

    /// The imports of each file by each other, with one place where each is seen.
    fn edges(&self) -> BTreeMap<(usize, usize), Edge> {
        let mut edges = BTreeMap::new();
        for (here, module) in &self.modules {
            let mut see = |path: &[String], line: usize| {
                let Some(file) = self.file_of(here, path).filter(|file| *file != module.file)
                else {
                    return;
                };
                let name = path.join("::");
                edges.entry((module.file, file)).or_insert(Edge { line, name });
            };
            for (import, visible) in &module.imports {
                let mentioned =
                    || module.paths.iter().any(|(path, _)| path.first() == Some(&import.name));
                if *visible == Visible::Here || mentioned() {
                    see(&import.path, import.line);
                }
            }
            for (path, line) in &module.paths {
                // One name alone is an import that was seen above, or is of this file.
                if path.len() > 1 {
                    see(path, *line);
                }
            }
        }
        edges
    }

    /// The file that defines what `path` means in the module `here`; none for another crate, and
    /// for a path that names no more than a module.
    fn file_of(&self, here: &Path, path: &[String]) -> Option<usize> {
        match self.resolve(here, path, 0)? {
            Target::Module => None,
            Target::Item(file) => Some(file),
        }
    }

    fn resolve(&self, here: &Path, path: &[String], depth: usize) -> Option<Target> {
        // Imports that lead to each other are an error of the code, not ours.
        if depth > 16 {
            return None;
        }
        let mut module = here.clone();
        let mut rest = path;
        while let [first, others @ ..] = rest {
            match first.as_str() {
                "crate" => module.clear(),
                "self" => {}
                "super" => {
                    module.pop()?;
                }
                _ => break,
            }
            rest = others;
        }
        self.descend(module, rest, depth)
    }

    fn descend(&self, module: Path, rest: &[String], depth: usize) -> Option<Target> {
        let node = self.modules.get(&module)?;
        let [first, others @ ..] = rest else {
            return Some(Target::Module);
        };
        if first == "*" {
            return Some(Target::Item(node.file));
        }
        if node.modules.contains(first) {
            let inner: Path = module.iter().cloned().chain([first.clone()]).collect();
            return self.descend(inner, others, depth);
        }
        if node.defined.contains(first) {
            return Some(Target::Item(node.file));
        }
        let named = node.imports.iter().filter(|(import, _)| import.name == *first);
        let globs = node.imports.iter().filter(|(import, _)| import.name == "*");
        named.chain(globs).find_map(|(import, _)| {
            let mut path = import.path.clone();
            if import.name == "*" {
                path.pop();
                path.push(first.clone());
            }
            path.extend(others.iter().cloned());
            // `use a::b` inside a module may start with one of its own modules or another crate.
            self.resolve(&module, &path, depth + 1)
        })
    }
}

/// What a path leads to.
enum Target {
    Module,
    /// An item of this file.
    Item(usize),
}

fn circles(of: &Crate<'_>) -> Vec<Finding> {
    let edges = of.edges();
    let count = of.files.len();
    let mut reached = vec![vec![false; count]; count];
    for (from, to) in edges.keys() {
        reached[*from][*to] = true;
    }
    for middle in 0..count {
        let onward = reached[middle].clone();
        for from in reached.iter_mut().filter(|from| from[middle]) {
            for (to, is_reached) in onward.iter().enumerate() {
                from[to] |= is_reached;
            }
        }
    }
    let mut findings = Vec::new();
    let mut told: BTreeSet<usize> = BTreeSet::new();
    for (start, onward) in reached.iter().enumerate() {
        if !onward[start] || told.contains(&start) {
            continue;
        }
        let circle: Vec<usize> =
            (0..count).filter(|file| onward[*file] && reached[*file][start]).collect();
        told.extend(&circle);
        let mut rule = format!("an import circle of {} files", circle.len());
        for ((from, to), edge) in &edges {
            if circle.contains(from) && circle.contains(to) {
                let (from, to, name) = (of.files[*from], of.files[*to], &edge.name);
                rule.push_str(&format!("\n    {from}:{} -> {to} ({name})", edge.line));
            }
        }
        findings.push(finding(of.files[start], 0, rule));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::source::Source;
    use super::*;

    /// The findings in a crate of these files, `lib.rs` included.
    fn rules(files: &[(&str, &str)]) -> Vec<String> {
        let paths: Vec<(String, &str)> =
            files.iter().map(|(name, text)| (format!("a/src/{name}"), *text)).collect();
        let sources: Vec<Source<'_>> =
            paths.iter().map(|(path, text)| Source::new(path, text)).collect();
        check(&syntax::parse(&sources)).into_iter().map(|finding| finding.rule).collect()
    }

    fn bites(files: &[(&str, &str)]) {
        let rules = rules(files);
        assert!(rules.len() == 1 && rules[0].contains("circle of 2 files"), "{files:?}: {rules:?}");
    }

    fn is_silent(files: &[(&str, &str)]) {
        assert_eq!(rules(files), Vec::<String>::new(), "{files:?}");
    }

    const ROOT: (&str, &str) = ("lib.rs", "mod b; mod c; pub use b::B; pub use c::C;");

    #[test]
    fn files_that_import_each_other_are_found_however_they_name_each_other() {
        let b = ("b.rs", "use crate::c::C; pub struct B; pub fn g() {} pub const N: u8 = 1;");
        for uses in [
            "use crate::b::B;",
            "use super::b::{self, B as Other};",
            "use crate::B;",
            "use crate::b::*;",
            "use super::b; fn f() { b::g(); }",
            "fn f(x: crate::b::B) {}",
            "fn f() { println!(\"{}\", crate::b::N); }",
            "mod inner { use super::super::b::B; }",
            "impl crate::b::B {}",
        ] {
            let c = format!("{uses} pub struct C;");
            bites(&[ROOT, b, ("c.rs", &c)]);
        }
    }

    #[test]
    fn imports_one_way_only_are_no_circle() {
        let c = ("c.rs", "use std::fmt; use other::b::B; pub struct C; // crate::b::B");
        is_silent(&[ROOT, ("b.rs", "use crate::c::C; pub struct B;"), c]);
        is_silent(&[ROOT, ("b.rs", "pub struct B;"), ("c.rs", "use crate::B; pub struct C;")]);
    }

    #[test]
    fn a_parent_that_declares_and_re_exports_imports_nothing() {
        let child = ("b.rs", "use super::Root; pub struct B; pub fn g() {} impl Root {}");
        is_silent(&[("lib.rs", "mod b; pub use b::B; pub struct Root;"), child]);
        bites(&[("lib.rs", "mod b; pub use b::B; pub struct Root(B);"), child]);
        bites(&[("lib.rs", "mod b; pub struct Root; fn f() { b::g(); }"), child]);
    }

    #[test]
    fn tests_may_import_what_they_like() {
        let c = "pub struct C; #[cfg(test)] mod tests { use crate::b::B; }";
        let b = ("b.rs", "use crate::c::C; pub struct B;");
        is_silent(&[ROOT, b, ("c.rs", c), ("c/tests.rs", "use crate::b::B;")]);
    }
}
