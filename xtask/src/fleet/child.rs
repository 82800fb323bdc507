//! A long-lived child process that reads and writes lines.
//!
//! Should this program be killed, the child sees the end of its stdin.

use std::fs::OpenOptions;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Signal, kill_process};

/// What a child does.
pub(super) enum Output {
    /// It wrote a line to stdout.
    Line(String),
    /// It ended, with this code unless by a signal. Always the last one.
    Ended(Option<i32>),
}

pub(super) struct Child {
    pid: Pid,
    stdin: ChildStdin,
    reader: JoinHandle<()>,
    running: bool,
}

impl Child {
    /// Starts `command` with its stderr appended to `log`; `hear` runs on a thread of its own.
    pub(super) fn start(
        command: &mut Command,
        log: &Path,
        mut hear: impl FnMut(Output) + Send + 'static,
    ) -> io::Result<Self> {
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        // A Ctrl-C typed at the terminal is for this program, which then ends its children.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let mut child = command.spawn()?;
        let missing_pipe = || io::Error::other("a pipe to the child is missing");
        let stdin = child.stdin.take().ok_or_else(missing_pipe)?;
        let stdout = child.stdout.take().ok_or_else(missing_pipe)?;
        let pid = Pid::from_child(&child);
        let reader = thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                hear(Output::Line(line));
            }
            hear(Output::Ended(child.wait().ok().and_then(|status| status.code())));
        });
        Ok(Self { pid, stdin, reader, running: true })
    }

    /// Writes one line; a child that cannot take it has ended, which is heard by itself.
    pub(super) fn write_line(&mut self, line: &str) {
        let _ = writeln!(self.stdin, "{line}");
    }

    /// Sends a signal, unless the child has ended.
    pub(super) fn signal(&self, signal: Signal) {
        if self.running {
            let _ = kill_process(self.pid, signal);
        }
    }

    /// To be called once [`Output::Ended`] was heard, so that its process id is not used again.
    pub(super) fn ended(&mut self) {
        self.running = false;
    }

    /// Waits until all is heard. Whoever hears must not wait for the caller by then.
    pub(super) fn join(self) {
        drop(self.stdin);
        let _ = self.reader.join();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_child_answers_and_its_end_is_the_last_thing_heard() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let (sender, heard) = mpsc::channel();
        let mut child = Child::start(&mut Command::new("cat"), log.path(), move |output| {
            let _ = sender.send(output);
        })
        .unwrap();
        child.write_line("hello");
        assert!(matches!(heard.recv().unwrap(), Output::Line(line) if line == "hello"));
        child.signal(Signal::KILL);
        assert!(matches!(heard.recv().unwrap(), Output::Ended(None)));
        child.ended();
        child.join();
    }
}
