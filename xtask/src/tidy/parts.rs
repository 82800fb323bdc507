//! The parts of swim-core's `Membership` own their state; only the switchboard joins them.
//!
//! The home of a part is the file that defines it, with the modules below that file. There nothing
//! names `&mut` of another part, no struct or enum holds another part, and nothing opens
//! `impl Membership`. Two parts are for all: `Effects` (what must leave the machine) is handed
//! around as `&mut`, and `MemberTable` is read as `&`.

use syn::visit::{self, Visit};

use super::syntax::{Parsed, line};
use super::tree::{Finding, finding};
use super::types::name_of;

/// Where the parts are.
const SOURCES: &str = "crates/swim-core/src/";
/// The type that joins them.
const SWITCHBOARD: &str = "Membership";
/// The part that every other may write to.
const EFFECTS: &str = "Effects";
/// All of them.
const PARTS: &[&str] = &[
    "Bootstrap",
    "Dissemination",
    EFFECTS,
    "Exchanges",
    "FailureDetector",
    "Lifecycle",
    "MemberTable",
];

/// What one part does to another, and parts that are not there.
pub(super) fn check(files: &[Parsed<'_>]) -> Vec<Finding> {
    let core: Vec<&Parsed<'_>> =
        files.iter().filter(|file| file.path.starts_with(SOURCES)).collect();
    let mut findings = Vec::new();
    for part in PARTS {
        let Some(home) = core.iter().find(|file| defines(file, part)) else {
            findings.push(finding(SOURCES, 0, format!("no file defines the part {part}")));
            continue;
        };
        let stem = home.path.trim_end_matches(".rs").trim_end_matches("/mod");
        let below = format!("{stem}/");
        for file in
            core.iter().filter(|file| file.path == home.path || file.path.starts_with(&below))
        {
            findings.extend(meddling(file, part));
        }
    }
    findings
}

fn defines(file: &Parsed<'_>, part: &str) -> bool {
    file.items.iter().any(|item| matches!(item, syn::Item::Struct(item) if item.ident == part))
}

fn meddling(file: &Parsed<'_>, part: &'static str) -> Vec<Finding> {
    let mut visitor = Meddling { part, found: Vec::new() };
    for item in &file.items {
        visitor.visit_item(item);
    }
    let found = visitor.found.into_iter();
    found.map(|(line, what)| finding(file.path, line, format!("{part} {what}"))).collect()
}

struct Meddling {
    part: &'static str,
    found: Vec<(usize, String)>,
}

impl Meddling {
    /// The name of another part, if the type is one.
    fn other(&self, of: &syn::Type) -> Option<String> {
        let is_other = |name: &String| {
            name != self.part && (PARTS.contains(&name.as_str()) || name == SWITCHBOARD)
        };
        name_of(of).filter(is_other)
    }
}

impl<'ast> Visit<'ast> for Meddling {
    fn visit_type_reference(&mut self, reference: &'ast syn::TypeReference) {
        let other = self.other(&reference.elem).filter(|name| name != EFFECTS);
        if let (Some(other), Some(mutable)) = (other, &reference.mutability) {
            self.found.push((line(mutable.span), format!("takes &mut {other}")));
        }
        visit::visit_type_reference(self, reference);
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        let mut inside = Inside(Vec::new());
        inside.visit_type(&field.ty);
        for (of, line) in inside.0 {
            if let Some(other) = self.other(&of) {
                self.found.push((line, format!("holds {other}")));
            }
        }
        visit::visit_field(self, field);
    }

    fn visit_item_impl(&mut self, block: &'ast syn::ItemImpl) {
        if name_of(&block.self_ty).is_some_and(|name| name == SWITCHBOARD) {
            let at = line(block.impl_token.span);
            self.found.push((at, format!("opens impl {SWITCHBOARD}")));
        }
        visit::visit_item_impl(self, block);
    }
}

/// The types of which a field's type is made, itself included.
struct Inside(Vec<(syn::Type, usize)>);

impl<'ast> Visit<'ast> for Inside {
    fn visit_type(&mut self, of: &'ast syn::Type) {
        if let syn::Type::Path(path) = of
            && let Some(last) = path.path.segments.last()
        {
            self.0.push((of.clone(), line(last.ident.span())));
        }
        visit::visit_type(self, of);
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::Source;
    use super::super::syntax;
    use super::*;

    /// The findings when the home of the failure detector holds `text` too.
    fn rules(text: &str) -> Vec<String> {
        let files: Vec<(String, String)> = PARTS
            .iter()
            .map(|part| {
                let text = if *part == "FailureDetector" { text } else { "" };
                (format!("{SOURCES}{part}.rs"), format!("pub(crate) struct {part} {{}}\n{text}"))
            })
            .chain([(format!("{SOURCES}membership/mod.rs"), SWITCH.to_owned())])
            .collect();
        let sources: Vec<Source<'_>> =
            files.iter().map(|(path, text)| Source::new(path, text)).collect();
        check(&syntax::parse(&sources)).into_iter().map(|finding| finding.rule).collect()
    }

    /// What only the switchboard may do.
    const SWITCH: &str = "pub struct Membership { table: MemberTable, detector: FailureDetector }
        impl Membership { fn f(table: &mut MemberTable, bootstrap: &mut Bootstrap) {} }";

    #[test]
    fn a_part_that_changes_or_holds_another_is_found() {
        for (text, what) in [
            ("fn f(table: &mut MemberTable) {}", "takes &mut MemberTable"),
            ("fn f(x: &mut crate::gossip::Dissemination) {}", "takes &mut Dissemination"),
            ("impl FailureDetector { fn f(&self, x: Option<&mut Lifecycle>) {} }", "Lifecycle"),
            ("fn f(all: &mut Membership) {}", "takes &mut Membership"),
            ("struct Round { table: MemberTable }", "holds MemberTable"),
            ("struct Round { queue: Vec<Box<Dissemination>> }", "holds Dissemination"),
            ("enum Round { One(Effects) }", "holds Effects"),
            ("impl Membership { fn probe(&mut self) {} }", "opens impl Membership"),
        ] {
            let rules = rules(text);
            assert!(rules.len() == 1 && rules[0].contains(what), "{text}: {rules:?}");
        }
    }

    #[test]
    fn a_part_that_reads_the_table_and_writes_effects_is_fine() {
        for text in [
            "fn f(table: &MemberTable, effects: &mut Effects, own: &mut FailureDetector) {}",
            "impl FailureDetector { fn f(&mut self, lifecycle: &Lifecycle) {} }",
            "struct MemberTableRow { x: u8 } fn f(x: &mut MemberTableRow) {}",
            "#[cfg(test)] mod tests { fn f(x: &mut MemberTable) {} }",
        ] {
            assert_eq!(rules(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn a_part_that_is_not_there_is_missed() {
        let source = Source::new("crates/swim-core/src/a.rs", "struct MemberTable;");
        assert_eq!(check(&syntax::parse(&[source])).len(), PARTS.len() - 1);
    }
}
