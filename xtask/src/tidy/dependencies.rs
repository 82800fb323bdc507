//! Who may depend on whom, from the manifests and the lock file.
//!
//! Imports point down, siblings never import each other, and what must build without a C++
//! compiler depends on nothing that needs one.

use std::collections::{BTreeMap, BTreeSet};

use super::source::numbered;
use super::tree::{Finding, Tree, finding};

/// What a package may depend on.
struct Layer {
    manifest: &'static str,
    dependencies: &'static [&'static str],
    /// Packages of this repository that its tests may use.
    siblings_in_tests: &'static [&'static str],
}

const LAYERS: &[Layer] = &[
    Layer {
        manifest: "crates/swim-core/Cargo.toml",
        dependencies: &[
            "aes-gcm",
            "crc32fast",
            "hashbrown",
            "humantime-serde",
            "libm",
            "log",
            "rand",
            "rmp",
            "serde",
            "siphasher",
            "thiserror",
            "weezl",
        ],
        siblings_in_tests: &["swim-quic-core"],
    },
    Layer {
        manifest: "crates/quic-net/Cargo.toml",
        dependencies: &[
            "boring",
            "humantime-serde",
            "log",
            "mio",
            "quiche",
            "octets",
            "nix",
            "quinn-udp",
            "rustix",
            "ring",
            "rmp-serde",
            "serde",
            "serde_bytes",
            "thiserror",
        ],
        siblings_in_tests: &["swim-quic-certs"],
    },
    Layer {
        manifest: "crates/certs/Cargo.toml",
        dependencies: &["boring", "log", "ring", "serde", "thiserror"],
        siblings_in_tests: &[],
    },
    Layer {
        manifest: "crates/swim-quic/Cargo.toml",
        dependencies: &[
            "arc-swap",
            "crossbeam-channel",
            "futures-core",
            "humantime-serde",
            "if-addrs",
            "log",
            "metrics",
            "mio",
            "ring",
            "rsdns",
            "rustix",
            "serde",
            "swim-quic-certs",
            "swim-quic-core",
            "swim-quic-net",
            "thiserror",
        ],
        siblings_in_tests: &["swim-quic", "swim-quic-certs", "swim-quic-core", "swim-quic-net"],
    },
    Layer {
        manifest: "fuzz/checks/Cargo.toml",
        dependencies: &[
            "quiche",
            "rmp-serde",
            "serde",
            "serde_bytes",
            "serde_json",
            "swim-quic",
            "swim-quic-certs",
            "swim-quic-core",
            "swim-quic-net",
        ],
        siblings_in_tests: &[],
    },
    Layer {
        manifest: "xtask/Cargo.toml",
        dependencies: &[
            "clap",
            "comfy-table",
            "crc32fast",
            "ctrlc",
            "indicatif",
            "proc-macro2",
            "rand",
            "rustix",
            "serde",
            "serde_json",
            "syn",
            "tempfile",
            "thiserror",
        ],
        siblings_in_tests: &["swim-quic-core"],
    },
];

/// Packages to which these may not lead, however far. What only their tests need does not count.
const OUT_OF_REACH: &[(&str, &[&str])] = &[
    (
        "crates/swim-core/Cargo.toml",
        &["boring", "cc", "cmake", "crossbeam-channel", "mio", "quiche", "ring"],
    ),
    ("xtask/Cargo.toml", &["bindgen", "boring", "cc", "cmake", "quiche", "ring"]),
];

/// The manifests, and what the lock file makes of them.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for layer in LAYERS {
        match tree.text(layer.manifest) {
            Some(text) => findings.extend(manifest(layer, text)),
            None => findings.push(finding(layer.manifest, 0, "is missing")),
        }
    }
    findings.extend(workspace(tree));
    match tree.text("Cargo.lock") {
        Some(lock) => findings.extend(reach(tree, lock)),
        None => findings.push(finding("Cargo.lock", 0, "is missing: commit it")),
    }
    findings
}

/// The keys of a manifest with their section and line.
fn keys(text: &str) -> Vec<(String, String, usize)> {
    let mut section = String::new();
    let mut keys = Vec::new();
    for (number, line) in numbered(text) {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.trim().to_owned();
            // [dependencies.name] is a key written as a section.
            if let Some((parent, key)) = section.rsplit_once("dependencies.") {
                keys.push((format!("{parent}dependencies"), key.trim_matches('"').into(), number));
            }
        } else if let Some((key, _)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            let key = key.trim().trim_end_matches(".workspace").trim_matches('"');
            keys.push((section.clone(), key.to_owned(), number));
        }
    }
    keys
}

fn manifest(layer: &Layer, text: &str) -> Vec<Finding> {
    let keys = keys(text);
    let mut findings = Vec::new();
    for (section, key, number) in &keys {
        let is_sibling = key == "swim-quic" || key.starts_with("swim-quic-");
        let allowed = match section.rsplit('.').next() {
            Some(_) if needs(section) => layer.dependencies.contains(&key.as_str()),
            Some("dev-dependencies") => {
                !is_sibling || layer.siblings_in_tests.contains(&key.as_str())
            }
            _ => true,
        };
        if !allowed {
            let rule = format!("{key} is not among what this package may depend on");
            findings.push(finding(layer.manifest, *number, rule));
        }
    }
    let has = |section: &str, key: &str| keys.iter().any(|(s, k, _)| s == section && k == key);
    if !has("lints", "workspace") {
        findings.push(finding(layer.manifest, 0, "does not inherit the workspace's lints"));
    }
    // What only this repository runs.
    if !layer.manifest.starts_with("crates/") && !text.contains("publish = false") {
        findings.push(finding(layer.manifest, 0, "lacks publish = false"));
    }
    findings
}

/// Whether the section lists what the package itself needs, its tests aside.
fn needs(section: &str) -> bool {
    matches!(section.rsplit('.').next(), Some("dependencies" | "build-dependencies"))
}

/// The workspace's manifest and what git ignores.
fn workspace(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let root = tree.text("Cargo.toml").unwrap_or_default();
    let members = root.lines().find(|line| line.starts_with("members"));
    for member in members.unwrap_or_default().split('"').skip(1).step_by(2) {
        if !LAYERS.iter().any(|layer| layer.manifest == format!("{member}/Cargo.toml")) {
            let rule = format!("tidy does not know what {member} may depend on");
            findings.push(finding("Cargo.toml", 0, rule));
        }
    }
    let ignored = tree.text(".gitignore").unwrap_or_default();
    if ignored.lines().any(|line| line.trim().trim_start_matches('/') == "Cargo.lock") {
        findings.push(finding(".gitignore", 0, "Cargo.lock must be committed"));
    }
    findings
}

/// Packages that are reached and must not be.
fn reach(tree: &Tree, lock: &str) -> Vec<Finding> {
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        let name = package.lines().find_map(|line| line.strip_prefix("name = \""));
        let dependencies = package.split_once("dependencies = [").map_or("", |(_, list)| list);
        let dependencies = dependencies.split(']').next().unwrap_or_default().split('"');
        let names = dependencies.skip(1).step_by(2).filter_map(|entry| entry.split(' ').next());
        edges.entry(name.unwrap_or_default().trim_end_matches('"')).or_default().extend(names);
    }
    let mut findings = Vec::new();
    for (from, banned) in OUT_OF_REACH {
        let mut reached = BTreeSet::new();
        let keys = keys(tree.text(from).unwrap_or_default());
        let direct = keys.iter().filter(|(section, ..)| needs(section));
        let mut open: Vec<&str> = direct.map(|(_, key, _)| key.as_str()).collect();
        while let Some(package) = open.pop() {
            if reached.insert(package) {
                open.extend(edges.get(package).into_iter().flatten());
            }
        }
        let hits = banned.iter().filter(|package| reached.contains(**package));
        findings.extend(hits.map(|package| {
            finding("Cargo.lock", 0, format!("{from} leads to {package}, which it must not"))
        }));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\npublish = false\n[lints]\nworkspace = true\n";

    fn rules(layer: usize, dependencies: &str) -> Vec<String> {
        let text = format!("{GOOD}{dependencies}");
        manifest(&LAYERS[layer], &text).into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn a_core_that_needs_the_network_is_found() {
        for dependency in [
            "[dependencies]\nmio.workspace = true",
            "[dependencies]\nquiche = \"0.30\"",
            "[dependencies.ring]\nversion = \"1\"",
            "[target.'cfg(unix)'.dependencies]\nboring = \"5\"",
            "[build-dependencies]\ncc = \"1\"",
        ] {
            assert_eq!(rules(0, dependency).len(), 1, "{dependency}");
        }
        let fine = "[dependencies]\nrand.workspace = true\n# mio = 1\n[features]\nmio = []";
        assert_eq!(rules(0, fine), Vec::<String>::new());
    }

    #[test]
    fn siblings_that_import_each_other_are_found() {
        assert_eq!(rules(1, "[dependencies]\nswim-quic-core.workspace = true").len(), 1);
        assert_eq!(rules(2, "[dev-dependencies]\nswim-quic-net.workspace = true").len(), 1);
        assert_eq!(rules(1, "[dev-dependencies]\nswim-quic-certs.workspace = true").len(), 0);
        assert_eq!(rules(3, "[dependencies]\nswim-quic-core.workspace = true").len(), 0);
    }

    #[test]
    fn a_package_without_lints_or_publish_is_found() {
        let rules = manifest(
            &LAYERS[LAYERS.len() - 1],
            "[package]\nname = \"a\"\n[dependencies]\nlints = 1\n",
        );
        let rules: Vec<_> = rules.into_iter().map(|finding| finding.rule).collect();
        assert_eq!(rules.len(), 3, "{rules:?}");
        assert!(rules.iter().any(|rule| rule.contains("lints")));
        assert!(rules.iter().any(|rule| rule.contains("publish")));
    }

    #[test]
    fn a_member_without_a_layer_and_an_ignored_lock_file_are_found() {
        let good = "members = [\"xtask\"]\n";
        assert!(workspace(&Tree::of(&[("Cargo.toml", good)])).is_empty());
        let bad = [
            ("Cargo.toml", "members = [\"xtask\", \"crates/extra\"]\n"),
            (".gitignore", "/target\nCargo.lock\n"),
        ];
        assert_eq!(workspace(&Tree::of(&bad)).len(), 2);
    }

    #[test]
    fn a_long_way_to_a_compiler_is_found() {
        let lock = "[[package]]\nname = \"a\"\ndependencies = [\n \"b 1.0.0\",\n]\n\
                    [[package]]\nname = \"b\"\ndependencies = [\n \"cc\",\n]\n\
                    [[package]]\nname = \"cc\"\n[[package]]\nname = \"ring\"\n";
        let tree = |dependencies| Tree::of(&[("xtask/Cargo.toml", dependencies)]);
        let rules: Vec<_> = reach(&tree("[dependencies]\na = \"1\""), lock);
        let rules: Vec<_> = rules.into_iter().map(|finding| finding.rule).collect();
        assert_eq!(rules, ["xtask/Cargo.toml leads to cc, which it must not"]);
        assert!(reach(&tree("[dev-dependencies]\na = \"1\""), lock).is_empty());
        assert!(reach(&tree("[dependencies]\nd = \"1\""), lock).is_empty());
    }
}
