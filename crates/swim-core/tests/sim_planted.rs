//! The planted bugs still fit the machine they are planted into.
//!
//! That each of them is caught takes a build of its own: `cargo xtask sim --planted`.

use std::fs;
use std::path::Path;

/// What a patch expects to find: each file, and each hunk's old lines there.
fn expectations(patch: &str) -> Vec<(String, Vec<String>)> {
    let mut files: Vec<(String, Vec<String>)> = Vec::new();
    for line in patch.lines() {
        if let Some(path) = line.strip_prefix("--- a/crates/swim-core/") {
            files.push((path.to_owned(), Vec::new()));
        } else if let Some((_, hunks)) = files.last_mut() {
            if line.starts_with("@@") {
                hunks.push(String::new());
            } else if let Some(hunk) = hunks.last_mut()
                && let Some(old) = line.strip_prefix(['-', ' '])
            {
                hunk.push_str(old);
                hunk.push('\n');
            }
        }
    }
    files
}

#[test]
fn every_planted_bug_fits_its_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut bugs = 0;
    for entry in fs::read_dir(root.join("planted")).unwrap() {
        let path = entry.unwrap().path();
        let patch = fs::read_to_string(&path).unwrap();
        let files = expectations(&patch);
        assert!(!files.is_empty(), "{} changes nothing", path.display());
        for (file, hunks) in files {
            let source = fs::read_to_string(root.join(&file)).unwrap();
            assert!(!hunks.is_empty(), "{} changes nothing in {file}", path.display());
            for hunk in hunks {
                let fits = source.contains(&hunk);
                assert!(fits, "{} does not fit {file}: make it anew", path.display());
            }
        }
        bugs += 1;
    }
    assert!(bugs >= 8, "{bugs} planted bugs");
}

#[test]
fn a_patch_that_no_longer_fits_is_noticed() {
    let in_file = |name: &str| {
        format!("--- a/crates/swim-core/src/{name}\n+++ b/x\n@@ -1 +1 @@\n one\n-two\n+three\n")
    };
    let hunks = || vec!["one\ntwo\n".to_owned()];
    assert_eq!(
        expectations(&(in_file("x.rs") + &in_file("y.rs"))),
        [("src/x.rs".to_owned(), hunks()), ("src/y.rs".to_owned(), hunks())]
    );
}
