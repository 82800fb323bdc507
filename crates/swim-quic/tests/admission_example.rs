//! The example `admission` as a process: what it prints.

use std::process::Command;

#[test]
fn who_lacks_the_part_of_a_name_stays_out() {
    let test = std::env::current_exe().unwrap();
    let example = test.parent().unwrap().parent().unwrap().join("examples/admission");
    assert!(example.exists(), "{} is missing: run the tests with cargo test", example.display());
    let output = Command::new(example).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let expected = ["ada.prod refuses eve.test", "bob.prod sees ada.prod, bob.prod"];
    assert_eq!(lines.lines().collect::<Vec<_>>(), expected);
}
