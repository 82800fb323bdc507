//! The examples that run by themselves do what they say.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/example_path.rs"]
mod example_path;

use std::process::Command;

use example_path::path_of;

/// What an example prints. It must end well.
fn output(example: &str) -> String {
    let output = Command::new(path_of(example)).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    printed
}

fn assert_lines(printed: &str, expected: &[&str]) {
    for line in expected {
        assert!(printed.lines().any(|printed| printed == *line), "{line:?} is not in\n{printed}");
    }
}

#[test]
fn streams_are_answered() {
    let expected =
        [r#"ada: bob says "hello over there""#, r#"bob: the answer is "HELLO OVER THERE""#];
    assert_lines(&output("streams"), &expected);
}

#[test]
fn a_service_on_tokio_serves_and_shuts_down() {
    let expected = [
        "service: 5 bytes",
        r#"client: the answer is "HELLO OVER THERE""#,
        "client: the service left",
        "service: 1 of 1 were told of its leave",
    ];
    assert_lines(&output("tokio_service"), &expected);
}

#[test]
fn a_service_on_tokio_is_thirty_lines_without_a_thread() {
    let source = include_str!("../examples/tokio_service.rs");
    let service = source.split_once("async fn serve(").unwrap().1;
    let lines = service.split_once("\n}\n").unwrap().0.lines().count() + 1;
    assert!(lines <= 30, "{lines} lines");
    assert!(!source.contains("std::thread"));
}

#[test]
fn a_service_on_threads_serves_and_shuts_down() {
    let expected =
        [r#"client: the answer is "HELLO OVER THERE""#, "service: 1 of 1 were told of its leave"];
    assert_lines(&output("threaded_service"), &expected);
}

#[test]
fn a_ring_moves_the_keys_of_who_left_and_no_others() {
    let printed = output("ring");
    let owned = |name: &str| -> usize {
        let line = printed.lines().find(|line| line.starts_with(&format!("{name} owns")));
        line.unwrap().split(' ').nth(2).unwrap().parse().unwrap()
    };
    let [ada, bob, cyd] = ["ada", "bob", "cyd"].map(owned);
    assert_eq!(ada + bob + cyd, 1_000, "{printed}");
    assert!([ada, bob, cyd].iter().all(|keys| *keys > 200), "{printed}");
    assert_lines(&printed, &[&format!("cyd has left: {cyd} of its keys moved, 0 others")]);
}

#[test]
fn an_authority_is_changed_and_a_stream_lives_on() {
    let expected = [
        "all trust the later one alone: bob has been told",
        "ada rotated 3 times",
        "bob has 3 messages",
        r#"bob read "before, and after" on one stream"#,
        "1 of 1 were told that ada leaves",
    ];
    assert_lines(&output("rotation"), &expected);
}
