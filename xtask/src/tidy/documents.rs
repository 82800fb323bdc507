//! Documents: the commands they name exist, their links lead somewhere, and no text file names a
//! path that exists on one machine only.

use super::source::numbered;
use super::tree::{Finding, Tree, finding};

const REQUIRED: &[&str] = &[
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "SECURITY.md",
    "docs/ARCHITECTURE.md",
    "crates/certs/README.md",
    "crates/quic-net/README.md",
    "crates/swim-core/README.md",
    "crates/swim-quic/README.md",
    ".ci/run",
    ".github/workflows/ci.yml",
];

/// Beginnings of paths that exist on one machine only.
const PRIVATE: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];

/// Every check of documents; `commands` is the command line that documents may name.
pub(super) fn check(tree: &Tree, commands: &clap::Command) -> Vec<Finding> {
    let missing = REQUIRED.iter().filter(|path| tree.text(path).is_none());
    let mut findings: Vec<Finding> = missing.map(|path| finding(path, 0, "is missing")).collect();
    for (path, text) in tree.ending(".md") {
        findings.extend(named_commands(path, text, commands));
        findings.extend(links(tree, path, text));
    }
    for (path, text) in &tree.files {
        findings.extend(private_paths(path, text));
    }
    findings
}

fn private_paths(path: &str, text: &str) -> Vec<Finding> {
    let is_private = |line: &str| {
        PRIVATE.iter().any(|start| {
            // Only where a path begins: "docs/home/" is one of ours.
            line.match_indices(start).any(|(at, _)| {
                !line[..at].ends_with(|c: char| c.is_alphanumeric() || ".-_/".contains(c))
            })
        })
    };
    numbered(text)
        .filter(|(_, line)| is_private(line))
        .map(|(number, _)| finding(path, number, "a path that exists on one machine only"))
        .collect()
}

/// Each `cargo xtask NAME --flag` in a document must be understood.
fn named_commands(path: &str, text: &str, commands: &clap::Command) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in numbered(text) {
        for (at, prefix) in line.match_indices("cargo xtask ") {
            let rest = line[at + prefix.len()..].split(['`', '#', ';', '|']).next();
            let mut words = rest.unwrap_or_default().split_whitespace();
            let name = words.next().unwrap_or_default().trim_matches(|c: char| ",.:)…".contains(c));
            let Some(command) = commands.find_subcommand(name) else {
                findings.push(finding(path, number, format!("there is no cargo xtask {name}")));
                continue;
            };
            let mut words = words.peekable();
            let below = words.peek().and_then(|word| command.find_subcommand(word));
            let command = below.unwrap_or(command);
            // What it passes on is known elsewhere.
            if command.get_arguments().any(clap::Arg::is_trailing_var_arg_set) {
                continue;
            }
            for flag in words.filter_map(|word| word.trim_start_matches('[').strip_prefix("--")) {
                let flag = flag.trim_end_matches(|c: char| !c.is_alphanumeric());
                let known = |argument: &clap::Arg| argument.get_long() == Some(flag);
                if flag != "help" && !command.get_arguments().any(known) {
                    let rule = format!("cargo xtask {name} knows no --{flag}");
                    findings.push(finding(path, number, rule));
                }
            }
        }
    }
    findings
}

fn links(tree: &Tree, path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in numbered(text) {
        for (at, _) in line.match_indices("](") {
            let target = line[at + 2..].split(')').next().unwrap_or_default();
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path.to_owned() } else { resolve(path, file) };
            let folder = format!("{file}/");
            let is_folder = tree.files.keys().any(|path| path.starts_with(&folder));
            let rule = match tree.text(&file) {
                None if is_folder && anchor.is_empty() => continue,
                None => format!("the link to {target} leads nowhere"),
                Some(text) if anchor.is_empty() || has_heading(text, anchor) => continue,
                Some(_) => format!("{file} has no heading #{anchor}"),
            };
            findings.push(finding(path, number, rule));
        }
    }
    findings
}

/// A relative link's target as a path from the root.
fn resolve(from: &str, link: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn has_heading(text: &str, anchor: &str) -> bool {
    text.lines().filter(|line| line.starts_with('#')).any(|line| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>() == anchor
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands() -> clap::Command {
        let demo = clap::Command::new("demo").arg(clap::Arg::new("json").long("json"));
        let rest = clap::Arg::new("rest").num_args(0..).trailing_var_arg(true);
        let pass = clap::Command::new("pass").arg(rest);
        let certs = clap::Command::new("certs").subcommand(pass);
        clap::Command::new("xtask").subcommand(demo).subcommand(certs)
    }

    #[test]
    fn a_document_that_names_an_unknown_command_is_found() {
        for bad in [
            "cargo xtask dmeo",
            "`cargo xtask demo --jsno`",
            "[cargo xtask fuzz](x)",
            "cargo xtask certs --out",
        ] {
            assert_eq!(named_commands("a.md", bad, &commands()).len(), 1, "{bad}");
        }
        for good in [
            "`cargo xtask demo --json`.",
            "cargo xtask demo # --fast",
            "cargo xtasks x",
            "cargo xtask certs pass --out",
        ] {
            assert_eq!(named_commands("a.md", good, &commands()), [], "{good}");
        }
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let tree = Tree::of(&[
            ("README.md", ""),
            ("docs/A.md", "# The Picture: one, two\n"),
            ("xtask/src/main.rs", ""),
        ]);
        for good in [
            "[a](../README.md)",
            "[a](A.md#the-picture-one-two)",
            "[a](#x) is elsewhere".replace("#x", "A.md").as_str(),
            "[a](../xtask)",
            "[a](https://example.org/x)",
        ] {
            assert_eq!(links(&tree, "docs/A.md", good), [], "{good}");
        }
        for bad in ["[a](README.md)", "[a](A.md#picture)", "[a](../crates)"] {
            assert_eq!(links(&tree, "docs/A.md", bad).len(), 1, "{bad}");
        }
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        for start in PRIVATE {
            assert_eq!(private_paths("a.rs", &format!("see {start}x")).len(), 1, "{start}");
            assert_eq!(private_paths("a.rs", &format!("see docs{start}x")), [], "{start}");
        }
    }

    #[test]
    fn a_missing_document_is_found() {
        let rules = check(&Tree::of(&[("README.md", "")]), &commands());
        assert_eq!(rules.len(), REQUIRED.len() - 1);
    }
}
