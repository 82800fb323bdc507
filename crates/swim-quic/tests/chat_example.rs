//! The example `chat` as three processes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/example_process.rs"]
mod example_process;

use std::io::Write;
use std::path::Path;
use std::process::{ChildStdin, Stdio};
use std::time::Duration;

use certs::Authority;
use example_process::ExampleProcess;

const DAY: Duration = Duration::from_secs(86_400);

/// Somebody at a terminal.
struct Terminal {
    process: ExampleProcess,
    /// Until nothing more is typed.
    typed: Option<ChildStdin>,
}

impl Terminal {
    fn start(authority: &Authority, directory: &Path, name: &str, seed: Option<&str>) -> Self {
        let issued = authority.issue(name, &[], DAY).unwrap();
        std::fs::write(directory.join("ca.pem"), authority.certificate_pem()).unwrap();
        let file = |kind| directory.join(format!("{name}.{kind}"));
        std::fs::write(file("pem"), issued.certificate_pem).unwrap();
        std::fs::write(file("key"), issued.key_pem).unwrap();
        let mut process = ExampleProcess::start("chat", |command| {
            command.arg(directory).arg(name).args(seed).stdin(Stdio::piped());
        });
        let typed = process.child.stdin.take();
        Self { process, typed }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.typed.as_mut().unwrap(), "{line}").unwrap();
    }

    fn wait_for(&self, text: &str) {
        self.process.wait_for(text);
    }
}

#[test]
fn what_is_typed_arrives_and_who_comes_and_goes_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::generate("chat", 30 * DAY).unwrap();
    let start = |name, seed| Terminal::start(&authority, directory.path(), name, seed);
    let mut ada = start("ada", None);
    let address = ada.process.wait_for_word("ada listens at ");
    let mut bob = start("bob", Some(&address));
    bob.wait_for("ada is here");
    let cyd = start("cyd", Some(&address));
    for _ in 0..2 {
        ada.wait_for(" is here");
        cyd.wait_for(" is here");
    }
    bob.wait_for("cyd is here");
    bob.say("hello everybody");
    ada.wait_for("bob: hello everybody");
    cyd.wait_for("bob: hello everybody");
    ada.say("@bob hello bob");
    bob.wait_for("ada to you: hello bob");
    ada.wait_for("(bob has it)");
    ada.say("@zoe hello");
    ada.wait_for("(not sent: ");
    drop(bob.typed.take());
    bob.wait_for("2 of 2 know that bob left");
    cyd.wait_for("bob left");
}
