//! The example `admission` as a process: what it prints.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/example_path.rs"]
mod example_path;

use std::process::Command;

use example_path::path_of;

#[test]
fn who_lacks_the_part_of_a_name_stays_out() {
    let output = Command::new(path_of("admission")).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let expected = ["ada.prod refuses eve.test", "bob.prod sees ada.prod, bob.prod"];
    assert_eq!(lines.lines().collect::<Vec<_>>(), expected);
}
