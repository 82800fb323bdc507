//! Child processes and interrupts.
//!
//! Runs a child to its end, says on stderr that it is still at work when it is long silent, and
//! ends it when the user interrupts. Nothing here polls or sleeps: the end of a child, a line of
//! its output and an interrupt are messages on one channel.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::fleet::logs;
use crate::{Stop, clock};

/// How often a long step says that it is still running.
const HEARTBEAT: Duration = Duration::from_secs(15);

type Listener = Box<dyn Fn() -> bool + Send>;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// One entry for each child run so far, a few dozen at most in the life of this program.
static LISTENERS: Mutex<Vec<Listener>> = Mutex::new(Vec::new());

/// Turns Ctrl-C, SIGTERM and SIGHUP into messages to whoever called [`on_interrupt`].
pub(crate) fn listen_for_interrupts() -> Result<(), Stop> {
    ctrlc::set_handler(|| {
        INTERRUPTED.store(true, Ordering::SeqCst);
        LISTENERS.lock().unwrap_or_else(PoisonError::into_inner).retain(|tell| tell());
    })
    .map_err(|error| Stop::cannot("listen for Ctrl-C", std::io::Error::other(error)))
}

/// Calls `tell` at every interrupt from this one on, at once if one has come already, until it
/// answers `false`.
pub(crate) fn on_interrupt(tell: impl Fn() -> bool + Send + 'static) {
    let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
    if INTERRUPTED.load(Ordering::SeqCst) {
        tell();
    }
    listeners.push(Box::new(tell));
}

enum Progress {
    Line(String),
    OutputEnded,
    Interrupted,
}

/// What a finished child left behind.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    /// Its stdout, one entry a line; empty unless it was captured.
    pub(crate) lines: Vec<String>,
}

/// Runs `command` with its output on ours.
///
/// # Errors
/// [`Stop::Cannot`] when it cannot be started, [`Stop::Interrupted`] after Ctrl-C.
pub(crate) fn run(command: &mut Command, what: &str) -> Result<ExitStatus, Stop> {
    Ok(supervise(command, what, false)?.status)
}

/// Runs `command` and keeps its stdout; its stderr stays ours.
///
/// # Errors
/// As [`run`].
pub(crate) fn capture(command: &mut Command, what: &str) -> Result<Finished, Stop> {
    supervise(command, what, true)
}

/// Runs `command` and keeps what it prints, both outputs in the order of their lines.
///
/// # Errors
/// As [`run`], and [`Stop::Cannot`] where there is no room for a temporary file.
pub(crate) fn record(command: &mut Command, what: &str) -> Result<(ExitStatus, String), Stop> {
    let cannot = |error| Stop::cannot(format!("keep what {what} prints"), error);
    let file = NamedTempFile::new().map_err(cannot)?;
    let end = || OpenOptions::new().append(true).open(file.path()).map_err(cannot);
    let status = run(command.stdout(end()?).stderr(end()?), what)?;
    Ok((status, logs::read(file.path())))
}

/// The first line of what a short command prints, when it runs and succeeds.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.lines().next().unwrap_or_default().to_owned())
}

fn supervise(command: &mut Command, what: &str, captured: bool) -> Result<Finished, Stop> {
    command.stdin(Stdio::null());
    if captured {
        command.stdout(Stdio::piped());
    }
    let began = clock::now();
    let mut child = command.spawn().map_err(|error| {
        Stop::cannot(format!("start {}", command.get_program().display()), error)
    })?;
    let process = rustix::process::Pid::from_child(&child);
    let stdout = child.stdout.take();
    let (sender, receiver) = mpsc::channel();
    let interrupts: Sender<Progress> = sender.clone();
    on_interrupt(move || interrupts.send(Progress::Interrupted).is_ok());
    let waiter = thread::spawn(move || {
        if let Some(stdout) = stdout {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(Progress::Line(line));
            }
        }
        let status = child.wait();
        let _ = sender.send(Progress::OutputEnded);
        status
    });
    let mut lines = Vec::new();
    let mut interrupted = false;
    loop {
        match receiver.recv_timeout(HEARTBEAT) {
            Ok(Progress::Line(line)) => lines.push(line),
            Ok(Progress::OutputEnded) | Err(RecvTimeoutError::Disconnected) => break,
            Ok(Progress::Interrupted) => {
                interrupted = true;
                let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
            }
            Err(RecvTimeoutError::Timeout) => {
                eprintln!("    still at it: {what}, {} s", began.elapsed().as_secs());
            }
        }
    }
    let status = waiter
        .join()
        .map_err(|_| Stop::Failed(format!("lost sight of {what}")))?
        .map_err(|error| Stop::cannot(format!("wait for {what}"), error))?;
    if interrupted {
        return Err(Stop::Interrupted);
    }
    Ok(Finished { status, lines })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_captured_to_its_last_line() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo one; echo two; exit 3"]);
        let finished = capture(&mut shell, "a shell").unwrap();
        assert_eq!(finished.lines, ["one", "two"]);
        assert_eq!(finished.status.code(), Some(3));
    }

    #[test]
    fn both_outputs_of_a_child_are_kept_in_their_order() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo one; echo two >&2; echo three; exit 3"]);
        let (status, said) = record(&mut shell, "a shell").unwrap();
        assert_eq!((status.code(), said.as_str()), (Some(3), "one\ntwo\nthree\n"));
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let stop = run(&mut Command::new("no-such-program"), "nothing").unwrap_err();
        assert!(stop.to_string().contains("no-such-program"), "{stop}");
    }

    #[test]
    fn a_failing_command_answers_nothing() {
        assert_eq!(answer(Command::new("sh").args(["-c", "echo x; exit 1"])), None);
        assert_eq!(answer(Command::new("sh").args(["-c", "echo x; echo y"])), Some("x".into()));
    }
}
