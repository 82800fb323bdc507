//! The example `chat` as three processes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use certs::Authority;

const PATIENCE: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(86_400);

/// Somebody at a terminal; killed with the test.
struct Terminal {
    child: Child,
    typed: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Terminal {
    fn start(authority: &Authority, directory: &Path, name: &str, seed: Option<&str>) -> Self {
        let issued = authority.issue(name, &[], DAY).unwrap();
        std::fs::write(directory.join("ca.pem"), authority.certificate_pem()).unwrap();
        let file = |kind| directory.join(format!("{name}.{kind}"));
        std::fs::write(file("pem"), issued.certificate_pem).unwrap();
        std::fs::write(file("key"), issued.key_pem).unwrap();
        let test = std::env::current_exe().unwrap();
        let example = test.parent().unwrap().parent().unwrap().join("examples/chat");
        assert!(example.exists(), "{} is missing: run cargo test", example.display());
        let mut command = Command::new(example);
        command.arg(directory).arg(name).args(seed);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let typed = child.stdin.take();
        Self { child, typed, lines }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.typed.as_mut().unwrap(), "{line}").unwrap();
    }

    /// The next line that contains this.
    fn wait_for(&self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("never said: {text}"));
            if line.contains(text) {
                return line;
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_is_typed_arrives_and_who_comes_and_goes_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::generate("chat", 30 * DAY).unwrap();
    let start = |name, seed| Terminal::start(&authority, directory.path(), name, seed);
    let mut ada = start("ada", None);
    let address = ada.wait_for("ada listens at ").rsplit(' ').next().unwrap().to_owned();
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
