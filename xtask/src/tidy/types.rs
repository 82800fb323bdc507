//! How large a type may grow: fields of a struct, and files that hold its logic.
//!
//! A struct has at most 16 fields, except the kinds of [`MANY_FIELDS`]. A type's logic stands in
//! at most four files: those with an inherent `impl` that holds a method of more than ten lines.
//! Files that only delegate, in shorter methods, do not count. Of two types of one name in a
//! package, an `impl` belongs to the one that is defined nearest.

use std::collections::{BTreeMap, BTreeSet};

use super::syntax::{Parsed, line, name};
use super::tree::{Finding, finding};

const FIELDS: usize = 16;
const LOGIC_FILES: usize = 4;
/// A method of so many lines or fewer, its signature included, is no logic.
const SHORT_METHOD: usize = 10;

/// The structs that may have more fields, as the ending of the name, with the reason.
const MANY_FIELDS: &[(&str, &str)] = &[
    ("Config", "configuration: one knob a field"),
    ("Limits", "configuration: one bound a field"),
    ("Arguments", "configuration: one flag a field"),
    ("Builder", "configuration until the start"),
    ("Counters", "one counter a field"),
    ("Stats", "one figure a field"),
];

/// Too many fields, and logic in too many files.
pub(super) fn check(files: &[Parsed<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut definitions: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for file in files {
        walk(&file.items, &mut |item| {
            if let (syn::Item::Struct(_) | syn::Item::Enum(_), Some(name)) = (item, name(item)) {
                definitions.entry(name.to_string()).or_default().push(file.path);
            }
        });
    }
    let mut logic: BTreeMap<(String, &str), BTreeSet<&str>> = BTreeMap::new();
    for file in files {
        walk(&file.items, &mut |item| match item {
            syn::Item::Struct(item) => findings.extend(fields(file.path, item)),
            syn::Item::Impl(block) if block.trait_.is_none() && holds_logic(block) => {
                if let Some(name) = name_of(&block.self_ty) {
                    let home = nearest(definitions.get(&name), file.path);
                    logic.entry((name, home)).or_default().insert(file.path);
                }
            }
            _ => {}
        });
    }
    for ((name, _), files) in logic.iter().filter(|(_, files)| files.len() > LOGIC_FILES) {
        let list: Vec<&str> = files.iter().copied().collect();
        let rule = format!(
            "the logic of {name} is in {} files, more than {LOGIC_FILES}: {}",
            list.len(),
            list.join(", ")
        );
        findings.push(finding(list[0], 0, rule));
    }
    findings
}

/// Calls `see` with each item, those of nested modules included.
fn walk<'a>(items: &'a [syn::Item], see: &mut impl FnMut(&'a syn::Item)) {
    for item in items {
        see(item);
        if let syn::Item::Mod(syn::ItemMod { content: Some((_, items)), .. }) = item {
            walk(items, see);
        }
    }
}

fn fields(path: &str, item: &syn::ItemStruct) -> Option<Finding> {
    let name = item.ident.to_string();
    let may_be_many = MANY_FIELDS.iter().any(|(ending, _)| name.ends_with(ending));
    let count = item.fields.len();
    (count > FIELDS && !may_be_many).then(|| {
        let rule = format!("{name} has {count} fields, more than {FIELDS}");
        finding(path, line(item.ident.span()), rule)
    })
}

fn holds_logic(block: &syn::ItemImpl) -> bool {
    block.items.iter().any(|item| {
        let syn::ImplItem::Fn(method) = item else {
            return false;
        };
        let begin = line(method.sig.fn_token.span);
        let end = method.block.brace_token.span.close().end().line;
        end + 1 - begin > SHORT_METHOD
    })
}

/// The last part of a type's name, references and generics aside.
pub(super) fn name_of(of: &syn::Type) -> Option<String> {
    match of {
        syn::Type::Path(path) => Some(path.path.segments.last()?.ident.to_string()),
        syn::Type::Reference(reference) => name_of(&reference.elem),
        _ => None,
    }
}

/// Of the files that define a type, the one that shares most of its path with `path`.
fn nearest<'a>(definitions: Option<&Vec<&'a str>>, path: &'a str) -> &'a str {
    let shared = |file: &str| file.bytes().zip(path.bytes()).take_while(|(a, b)| a == b).count();
    definitions.into_iter().flatten().copied().max_by_key(|file| shared(file)).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::super::source::Source;
    use super::super::syntax;
    use super::*;

    fn rules(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<Source<'_>> =
            files.iter().map(|(path, text)| Source::new(path, text)).collect();
        check(&syntax::parse(&sources)).into_iter().map(|finding| finding.rule).collect()
    }

    fn structure(name: &str, fields: usize) -> String {
        let fields: String = (0..fields).map(|n| format!("a{n}: u8, ")).collect();
        format!("struct {name} {{ {fields} }}")
    }

    #[test]
    fn a_struct_of_many_fields_is_found_unless_it_is_configuration_or_counters() {
        assert_eq!(
            rules(&[("a/src/b.rs", &structure("Machine", 17))]),
            ["Machine has 17 fields, more than 16"]
        );
        assert_eq!(rules(&[("a/src/b.rs", &structure("Machine", 16))]), Vec::<String>::new());
        for (ending, _) in MANY_FIELDS {
            let text = structure(&format!("Probe{ending}"), 40);
            assert_eq!(rules(&[("a/src/b.rs", &text)]), Vec::<String>::new());
        }
        let nested = format!("mod inner {{ {} }}", structure("Machine", 17));
        assert_eq!(rules(&[("a/src/b.rs", &nested)]).len(), 1);
    }

    #[test]
    fn logic_of_one_type_in_five_files_is_found_and_delegation_is_not() {
        let method = |lines: usize| {
            let body = "        call();\n".repeat(lines - 2);
            format!("impl<'a> Machine<'a> {{\n    fn f(&self) {{\n{body}    }}\n}}\n")
        };
        let (long, short) = (method(11), method(10));
        let paths: Vec<String> = (0..5).map(|n| format!("a/src/b{n}.rs")).collect();
        let five = |text: &str, last: &str| {
            let mut files: Vec<(&str, &str)> =
                paths.iter().map(|path| (path.as_str(), text)).collect();
            files[4].1 = last;
            files.push(("a/src/b.rs", "struct Machine;"));
            rules(&files)
        };
        assert!(five(&long, &long)[0].contains("Machine is in 5 files"));
        assert_eq!(five(&long, &short), Vec::<String>::new());
        let of_a_trait = long.replace("impl<'a> Machine", "impl<'a> Display for Machine");
        assert_eq!(five(&long, &of_a_trait), Vec::<String>::new());
        let mut others: Vec<(&str, &str)> =
            paths.iter().map(|path| (path.as_str(), long.as_str())).collect();
        others[4].0 = "other/src/b.rs";
        others.extend([("a/src/b.rs", "struct Machine;"), ("other/src/c.rs", "struct Machine;")]);
        assert_eq!(rules(&others), Vec::<String>::new());
    }
}
