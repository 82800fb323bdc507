//! Where cargo puts examples, seen from a test's own executable.

use std::path::PathBuf;

pub(crate) fn path_of(example: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join("examples").join(example);
    assert!(path.exists(), "{} is missing: run the tests with cargo test", path.display());
    path
}
