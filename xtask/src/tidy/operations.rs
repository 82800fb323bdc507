//! What is printed at night stands in the documents: every text of an error in `docs/ERRORS.md`,
//! which has no other, and every kind of warning in `docs/OPERATIONS.md`.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};

use super::syntax::Parsed;
use super::tree::{Finding, Tree, finding};

const ERRORS: &str = "docs/ERRORS.md";
const OPERATIONS: &str = "docs/OPERATIONS.md";

/// The enums whose variants are kinds of warnings, with the function that says what each is called.
const WARNINGS: &[(&str, &str)] = &[("WarningKind", "fmt"), ("Refusal", "name")];

pub(super) fn check(tree: &Tree, parsed: &[Parsed<'_>]) -> Vec<Finding> {
    let mut found = Texts::default();
    let of_crates = |file: &&Parsed<'_>| {
        file.path.starts_with("crates/")
            && !file.path.contains("/sim/")
            && !file.path.contains("/examples/")
    };
    for item in parsed.iter().filter(of_crates).flat_map(|file| &file.items) {
        found.visit_item(item);
    }
    let document = tree.text(ERRORS).unwrap_or_default();
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split("` |").next());
    let written: BTreeSet<String> = rows.map(str::to_owned).collect();
    let lacking = |text: &String| finding(ERRORS, 0, format!("lacks the error `{text}`"));
    let gone = |text: &String| finding(ERRORS, 0, format!("no error of the code says `{text}`"));
    let mut findings: Vec<_> = found.errors.difference(&written).map(lacking).collect();
    findings.extend(written.difference(&found.errors).map(gone));
    let operations = tree.text(OPERATIONS).unwrap_or_default();
    let unexplained =
        found.warnings.iter().filter(|kind| !operations.contains(&format!("| `{kind}` |")));
    findings.extend(
        unexplained
            .map(|kind| finding(OPERATIONS, 0, format!("does not explain the warning `{kind}`"))),
    );
    findings
}

/// Texts in attributes `#[error("…")]`, and those that enums of warnings are named by.
#[derive(Default)]
struct Texts {
    errors: BTreeSet<String>,
    warnings: BTreeSet<String>,
    /// The function of the enum that is being visited.
    naming: Option<&'static str>,
}

impl<'ast> Visit<'ast> for Texts {
    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        let syn::Meta::List(list) = &attribute.meta else { return };
        let first = list.tokens.clone().into_iter().next().map(|token| token.to_string());
        if list.path.is_ident("error")
            && let Some(text) = first.and_then(|text| syn::parse_str::<syn::LitStr>(&text).ok())
            && is_prose(&text.value())
        {
            self.errors.insert(text.value().replace('|', "/"));
        }
    }

    fn visit_item_impl(&mut self, block: &'ast syn::ItemImpl) {
        let syn::Type::Path(path) = &*block.self_ty else { return };
        let warnings = WARNINGS.iter().find(|(name, _)| path.path.is_ident(name));
        self.naming = warnings.map(|(_, function)| *function);
        visit::visit_item_impl(self, block);
        self.naming = None;
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if self.naming.is_some_and(|name| function.sig.ident == name) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = &*arm.body
            && self.naming.is_some()
        {
            self.warnings.insert(text.value());
        }
    }
}

/// Whether a text says anything beside what is filled in.
fn is_prose(text: &str) -> bool {
    let mut depth = 0;
    let outside = text.chars().filter(|c| {
        depth += i32::from(*c == '{') - i32::from(*c == '}');
        depth == 0 && c.is_ascii_lowercase()
    });
    outside.count() >= 3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::syntax;

    fn findings(errors: &str, operations: &str) -> Vec<String> {
        let code = r#"
            #[derive(Error)]
            enum E {
                #[error("the queue is full: wait")]
                Full,
                #[error(transparent)]
                Other(#[from] Io),
                #[error("{0}: {1}")]
                Both(u8, u8),
            }
            impl Refusal {
                fn name(self) -> &'static str { match self { Self::Late => "too late" } }
                fn other(self) -> &'static str { match self { Self::Late => "came late" } }
            }
            fn group(late: Late) -> &'static str { match late { Late => "later" } }"#;
        let tree =
            Tree::of(&[("crates/x/src/e.rs", code), (ERRORS, errors), (OPERATIONS, operations)]);
        let sources = tree.sources();
        let found = check(&tree, &syntax::parse(&sources));
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn texts_and_their_documents_are_held_equal() {
        let errors = "| `the queue is full: wait` | x |\n";
        assert_eq!(findings(errors, "| `too late` | y |"), Vec::<String>::new());
        let missing = findings("", "nothing");
        assert!(missing[0].contains("lacks the error"), "{missing:?}");
        assert!(missing[1].contains("`too late`"), "{missing:?}");
        assert_eq!(missing.len(), 2, "{missing:?}");
        let old = findings("| `the queue is full: wait` | x |\n| `gone` | x |\n", "| `too late` |");
        assert_eq!(old.len(), 1, "{old:?}");
    }
}
