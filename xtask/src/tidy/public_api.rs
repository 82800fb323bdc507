//! What the public API of each package shows: types of this repository and of std, no others.
//!
//! A signature that names a library's type binds the users to that library and its version. Seen is
//! what a file says: signatures, public fields, variants, associated types, generic arguments and
//! re-exports of public items, with the names that the file imports. Items of a private module
//! inside a file do not count.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};

use super::syntax::{Parsed, line};
use super::tree::{Finding, finding};
use super::types::name_of;

/// The packages with a public API of their own.
const LIBRARIES: &[&str] = &[
    "crates/certs/src/",
    "crates/quic-net/src/",
    "crates/swim-core/src/",
    "crates/swim-quic/src/",
];

/// Types that show all the same, by file. The context of TLS is the one thing of a library that
/// passes between two siblings: `certs` makes it, `quic-net` serves with it, and neither knows the
/// other.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("crates/certs/src/tls_context.rs", "SslContextBuilder"),
    ("crates/quic-net/src/endpoint.rs", "SslContextBuilder"),
];

/// The libraries behind them.
const HIDDEN: &[&str] = &[
    "arc_swap",
    "boring",
    "crossbeam_channel",
    "if_addrs",
    "log",
    "mio",
    "quiche",
    "quinn_udp",
    "ring",
    "rustix",
];

/// Types of libraries that show.
pub(super) fn check(files: &[Parsed<'_>]) -> Vec<Finding> {
    let is_library = |file: &&Parsed<'_>| LIBRARIES.iter().any(|path| file.path.starts_with(path));
    files.iter().filter(is_library).flat_map(|file| shown(file.path, &file.items)).collect()
}

fn shown(path: &str, items: &[syn::Item]) -> Vec<Finding> {
    let mut hidden: BTreeSet<String> = HIDDEN.iter().map(|&name| name.to_owned()).collect();
    let mut private = BTreeSet::new();
    let mut findings = Vec::new();
    for item in items {
        if let syn::Item::Use(import) = item {
            let names = imported(&import.tree, false);
            if is_public(&import.vis) && !names.is_empty() {
                let at = line(import.use_token.span);
                let rule = format!("the public API shows {}", names.join(", "));
                findings.push(finding(path, at, rule));
            }
            hidden.extend(names);
        }
        if let syn::Item::Struct(syn::ItemStruct { vis, ident, .. })
        | syn::Item::Enum(syn::ItemEnum { vis, ident, .. }) = item
            && !is_public(vis)
        {
            private.insert(ident.to_string());
        }
    }
    let mut shows = Shows { hidden, found: Vec::new() };
    for item in items {
        shows.look_at(item, &private);
    }
    let is_excepted = |name: &String| EXCEPTIONS.contains(&(path, name.as_str()));
    shows.found.retain(|(name, _)| !is_excepted(name));
    findings.extend(shows.found.into_iter().map(|(name, at)| {
        finding(path, at, format!("the public API shows {name}, a type of another library"))
    }));
    findings
}

fn is_public(visibility: &syn::Visibility) -> bool {
    matches!(visibility, syn::Visibility::Public(_))
}

/// The names that an import takes from a hidden library; `inside` once the path is in one.
fn imported(tree: &syn::UseTree, inside: bool) -> Vec<String> {
    match tree {
        syn::UseTree::Path(path) => {
            let inside = inside || HIDDEN.iter().any(|name| path.ident == name);
            imported(&path.tree, inside)
        }
        syn::UseTree::Name(name) if inside => vec![name.ident.to_string()],
        syn::UseTree::Rename(rename)
            if inside || HIDDEN.iter().any(|name| rename.ident == name) =>
        {
            vec![rename.rename.to_string()]
        }
        syn::UseTree::Group(group) => {
            group.items.iter().flat_map(|tree| imported(tree, inside)).collect()
        }
        _ => Vec::new(),
    }
}

/// Names of hidden libraries in what is looked at.
struct Shows {
    hidden: BTreeSet<String>,
    found: Vec<(String, usize)>,
}

impl<'ast> Visit<'ast> for Shows {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some(first) = path.segments.first()
            && self.hidden.contains(&first.ident.to_string())
        {
            let names: Vec<_> =
                path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.found.push((names.join("::"), line(first.ident.span())));
        }
        visit::visit_path(self, path);
    }

    fn visit_block(&mut self, _: &'ast syn::Block) {}

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_field(&mut self, field: &'ast syn::Field) {
        // The fields of a variant have no visibility of their own.
        if !matches!(field.vis, syn::Visibility::Restricted(_)) {
            visit::visit_field(self, field);
        }
    }
}

impl Shows {
    fn look_at(&mut self, item: &syn::Item, private: &BTreeSet<String>) {
        match item {
            syn::Item::Fn(item) if is_public(&item.vis) => self.visit_signature(&item.sig),
            syn::Item::Struct(item) if is_public(&item.vis) => {
                self.visit_generics(&item.generics);
                let fields = item.fields.iter().filter(|field| is_public(&field.vis));
                fields.for_each(|field| self.visit_field(field));
            }
            syn::Item::Enum(item) if is_public(&item.vis) => self.visit_item_enum(item),
            syn::Item::Trait(item) if is_public(&item.vis) => self.visit_item_trait(item),
            syn::Item::Type(item) if is_public(&item.vis) => self.visit_item_type(item),
            syn::Item::Const(item) if is_public(&item.vis) => self.visit_type(&item.ty),
            syn::Item::Static(item) if is_public(&item.vis) => self.visit_type(&item.ty),
            syn::Item::Mod(syn::ItemMod { vis, content: Some((_, items)), .. })
                if is_public(vis) =>
            {
                items.iter().for_each(|item| self.look_at(item, private));
            }
            syn::Item::Impl(block)
                if !name_of(&block.self_ty).is_some_and(|name| private.contains(&name)) =>
            {
                self.look_at_impl(block);
            }
            _ => {}
        }
    }

    fn look_at_impl(&mut self, block: &syn::ItemImpl) {
        self.visit_generics(&block.generics);
        if let Some((path, _)) = &block.trait_ {
            self.visit_path(path);
        }
        for item in &block.items {
            match item {
                syn::ImplItem::Fn(method) if is_public(&method.vis) => {
                    self.visit_signature(&method.sig);
                }
                syn::ImplItem::Const(item) if is_public(&item.vis) => self.visit_type(&item.ty),
                syn::ImplItem::Type(item) => self.visit_type(&item.ty),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::Source;
    use super::super::syntax;
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        let sources = [Source::new("crates/swim-quic/src/a.rs", text)];
        check(&syntax::parse(&sources)).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_type_of_a_library_in_the_public_api_is_found() {
        for shown in [
            "pub fn f() -> Receiver<u8> { g() }",
            "impl A { pub fn f(&self) -> Result<Receiver<u8>, ()> { g() } }",
            "impl Deref for A { type Target = Receiver<u8>; }",
            "impl From<crossbeam_channel::RecvError> for A { fn from(_: E) -> Self { A } }",
            "pub struct A { pub a: Receiver<u8> }",
            "pub struct A<T: mio::event::Source>(T);",
            "pub enum A { B(Receiver<u8>) }",
            "pub trait A { fn f(&self) -> Receiver<u8>; }",
            "pub type A = channel::Receiver<u8>;",
            "pub mod inner { pub type A = Receiver<u8>; }",
            "pub use crossbeam_channel::Sender;",
        ] {
            let text = format!(
                "use crossbeam_channel::{{self, Receiver}};\nuse crossbeam_channel as channel;\n\
                 {shown}\n"
            );
            assert_eq!(lines(&text), [3], "{shown}");
        }
    }

    #[test]
    fn what_stays_inside_and_what_is_called_alike_is_not() {
        for fine in [
            "pub(crate) fn f() -> Receiver<u8> { g() }",
            "pub struct A { a: Receiver<u8>, pub(crate) b: Receiver<u8> }",
            "struct A { pub a: Receiver<u8> } impl Deref for A { type Target = Receiver<u8>; }",
            "impl A { fn f(&self) -> Receiver<u8> { g() } }",
            "pub fn f() { let a: Receiver<u8> = g(); }",
            "mod sealed { pub struct A(pub Receiver<u8>); }",
            "#[cfg(test)]\nmod tests { pub type A = Receiver<u8>; }",
        ] {
            let text = format!("use crossbeam_channel::Receiver;\n{fine}\n");
            assert_eq!(lines(&text), Vec::<usize>::new(), "{fine}");
        }
        assert!(lines("use std::sync::mpsc::Receiver;\npub type A = Receiver<u8>;").is_empty());
    }

    #[test]
    fn an_exception_holds_for_its_file_and_type_only() {
        let count = |path: &str, name: &str| {
            let text = format!("use boring::ssl::{name};\npub fn f() -> {name} {{ g() }}");
            check(&syntax::parse(&[Source::new(path, &text)])).len()
        };
        assert_eq!(count("crates/certs/src/tls_context.rs", "SslContextBuilder"), 0);
        assert_eq!(count("crates/certs/src/tls_context.rs", "SslRef"), 1);
        assert_eq!(count("crates/certs/src/trust.rs", "SslContextBuilder"), 1);
        assert_eq!(count("xtask/src/certs.rs", "SslContextBuilder"), 0, "it has no public API");
    }
}
