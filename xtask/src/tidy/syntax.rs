//! A Rust file as syn reads it, without its tests.
//!
//! What `#[cfg(test)]` marks is skipped, and so are whole files of tests: rules about structure
//! hold for production code. A file that does not parse is left to the compiler.

use syn::visit::{self, Visit};

use super::source::Source;

/// A production file and its items.
pub(super) struct Parsed<'a> {
    pub(super) path: &'a str,
    pub(super) items: Vec<syn::Item>,
}

/// The production files among `sources`, the examples included.
pub(super) fn parse<'a>(sources: &[Source<'a>]) -> Vec<Parsed<'a>> {
    let production = sources.iter().filter(|source| !source.is_test());
    let parsed = production.filter_map(|source| {
        let file = syn::parse_file(source.text).ok()?;
        let is_test = file.attrs.iter().any(is_test);
        (!is_test).then(|| Parsed { path: source.path, items: without_tests(file.items) })
    });
    parsed.collect()
}

fn without_tests(items: Vec<syn::Item>) -> Vec<syn::Item> {
    let kept = items.into_iter().filter(|item| !attributes(item).iter().any(is_test));
    kept.map(|item| match item {
        syn::Item::Mod(mut module) => {
            module.content = module.content.map(|(brace, items)| (brace, without_tests(items)));
            syn::Item::Mod(module)
        }
        syn::Item::Impl(mut block) => {
            block.items.retain(|item| match item {
                syn::ImplItem::Fn(method) => !method.attrs.iter().any(is_test),
                _ => true,
            });
            syn::Item::Impl(block)
        }
        item => item,
    })
    .collect()
}

/// Whether the attribute is `#[test]` or a `#[cfg(..)]` that names `test`.
fn is_test(attribute: &syn::Attribute) -> bool {
    let path = attribute.path();
    let syn::Meta::List(list) = &attribute.meta else {
        return path.is_ident("test");
    };
    path.is_ident("cfg") && list.tokens.to_string() == "test"
}

/// The attributes of an item of any kind.
fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Every path in code, and every `a::b` in a macro's arguments, each with its line.
pub(super) fn paths(item: &syn::Item) -> Vec<(Vec<String>, usize)> {
    let mut paths = Paths(Vec::new());
    paths.visit_item(item);
    paths.0
}

struct Paths(Vec<(Vec<String>, usize)>);

impl<'ast> Visit<'ast> for Paths {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if let Some(first) = path.segments.first() {
            self.0.push((names, line(first.ident.span())));
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invoked: &'ast syn::Macro) {
        self.tokens(invoked.tokens.clone());
        visit::visit_macro(self, invoked);
    }

    // A nested module is a scope of its own, which the caller looks into.
    fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {}

    // Imports are read as trees, not as paths.
    fn visit_item_use(&mut self, _: &'ast syn::ItemUse) {}
}

impl Paths {
    fn tokens(&mut self, tokens: proc_macro2::TokenStream) {
        use proc_macro2::TokenTree;
        let mut path: Vec<String> = Vec::new();
        let mut at = 0;
        let mut colons = 0;
        let mut end = |path: &mut Vec<String>, at| {
            if !path.is_empty() {
                self.0.push((std::mem::take(path), at));
            }
        };
        let mut groups = Vec::new();
        for tree in tokens {
            match tree {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        end(&mut path, at);
                        at = line(ident.span());
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' && !path.is_empty() => colons += 1,
                TokenTree::Group(group) => {
                    end(&mut path, at);
                    groups.push(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => end(&mut path, at),
            }
            if path.is_empty() {
                colons = 0;
            }
        }
        end(&mut path, at);
        for group in groups {
            self.tokens(group);
        }
    }
}

/// One name that a `use` brings in.
pub(super) struct Import {
    /// The whole path, its last part `*` for a glob.
    pub(super) path: Vec<String>,
    /// What it is called here.
    pub(super) name: String,
    pub(super) line: usize,
}

/// The names that a `use` brings in.
pub(super) fn imports(item: &syn::ItemUse) -> Vec<Import> {
    let mut imports = Vec::new();
    branch(&item.tree, &mut Vec::new(), &mut imports);
    imports
}

fn branch(tree: &syn::UseTree, parents: &mut Vec<String>, imports: &mut Vec<Import>) {
    let with = |last: &str| parents.iter().cloned().chain([last.to_owned()]).collect::<Vec<_>>();
    match tree {
        syn::UseTree::Path(path) => {
            parents.push(path.ident.to_string());
            branch(&path.tree, parents, imports);
            parents.pop();
        }
        syn::UseTree::Name(leaf) => {
            let (name, line) = (leaf.ident.to_string(), line(leaf.ident.span()));
            let itself = name == "self";
            let name = if itself { parents.last().cloned().unwrap_or_default() } else { name };
            let path = if itself { parents.clone() } else { with(&name) };
            imports.push(Import { path, name, line });
        }
        syn::UseTree::Rename(leaf) => {
            let (path, name) = (with(&leaf.ident.to_string()), leaf.rename.to_string());
            imports.push(Import { path, name, line: line(leaf.ident.span()) });
        }
        syn::UseTree::Glob(glob) => {
            let line = line(glob.star_token.span);
            imports.push(Import { path: with("*"), name: "*".to_owned(), line });
        }
        syn::UseTree::Group(group) => {
            for tree in &group.items {
                branch(tree, parents, imports);
            }
        }
    }
}

/// The line on which a span begins, from 1.
pub(super) fn line(span: proc_macro2::Span) -> usize {
    span.start().line
}

/// What an item is called, and where; nothing for blocks and imports.
pub(super) fn name(item: &syn::Item) -> Option<&proc_macro2::Ident> {
    Some(match item {
        syn::Item::Const(item) => &item.ident,
        syn::Item::Enum(item) => &item.ident,
        syn::Item::Fn(item) => &item.sig.ident,
        syn::Item::Macro(item) => item.ident.as_ref()?,
        syn::Item::Mod(item) => &item.ident,
        syn::Item::Static(item) => &item.ident,
        syn::Item::Struct(item) => &item.ident,
        syn::Item::Trait(item) => &item.ident,
        syn::Item::Type(item) => &item.ident,
        syn::Item::Union(item) => &item.ident,
        _ => return None,
    })
}
