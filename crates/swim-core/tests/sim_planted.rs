//! The planted bugs still fit the machine they are planted into.
//!
//! That each of them is caught takes a build of its own: `cargo xtask sim --planted`.

use std::fs;
use std::path::Path;

/// What a patch expects to find: the file, and each hunk's old lines.
fn expectations(patch: &str) -> (String, Vec<String>) {
    let mut file = String::new();
    let mut hunks: Vec<String> = Vec::new();
    for line in patch.lines() {
        if let Some(path) = line.strip_prefix("--- a/crates/swim-core/") {
            file = path.to_owned();
        } else if line.starts_with("@@") {
            hunks.push(String::new());
        } else if let Some(hunk) = hunks.last_mut()
            && let Some(old) = line.strip_prefix(['-', ' '])
        {
            hunk.push_str(old);
            hunk.push('\n');
        }
    }
    (file, hunks)
}

#[test]
fn every_planted_bug_fits_its_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut bugs = 0;
    for entry in fs::read_dir(root.join("planted")).unwrap() {
        let path = entry.unwrap().path();
        let patch = fs::read_to_string(&path).unwrap();
        let (file, hunks) = expectations(&patch);
        let source = fs::read_to_string(root.join(&file)).unwrap();
        assert!(!hunks.is_empty(), "{} changes nothing", path.display());
        for hunk in hunks {
            assert!(source.contains(&hunk), "{} does not fit {file}: make it anew", path.display());
        }
        bugs += 1;
    }
    assert!(bugs >= 8, "{bugs} planted bugs");
}

#[test]
fn a_patch_that_no_longer_fits_is_noticed() {
    let (file, hunks) =
        expectations("--- a/crates/swim-core/src/x.rs\n+++ b/x\n@@ -1 +1 @@\n one\n-two\n+three\n");
    assert_eq!(
        (file.as_str(), hunks.as_slice()),
        ("src/x.rs", ["one\ntwo\n".to_owned()].as_slice())
    );
}
