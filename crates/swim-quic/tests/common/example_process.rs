//! An example as a process that runs beside the test, and what it prints.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

#[path = "example_path.rs"]
mod example_path;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Killed with the test.
pub(crate) struct ExampleProcess {
    pub(crate) child: Child,
    lines: Receiver<String>,
}

impl ExampleProcess {
    /// Starts an example, with the arguments and environment that `adjust` gives it.
    pub(crate) fn start(example: &str, adjust: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(example_path::path_of(example));
        adjust(command.stdout(Stdio::piped()));
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, lines }
    }

    /// The next line that contains this.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no line with {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The last word of the next line that contains this: an address, mostly.
    pub(crate) fn wait_for_word(&self, text: &str) -> String {
        self.wait_for(text).rsplit(' ').next().unwrap().to_owned()
    }
}

impl Drop for ExampleProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
