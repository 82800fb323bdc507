//! The node processes of one demo.
//!
//! Starts them, reads their stdout, writes their stdin, kills them. Whatever way the demo ends,
//! none outlives it: dropping [`Nodes`] kills and reaps them, and each is told to exit when its
//! stdin ends, should this process be killed itself.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::script::name;
use crate::child::{Child, Said};
use crate::{clock, process};

/// Lines that may wait for the judge; a node that writes more waits in its write.
const QUEUE: usize = 1024;

/// Something that happened, with its time since the demo began.
pub(super) enum Input {
    Line { node: usize, line: String, at: Duration },
    Exited { node: usize, code: Option<i32>, at: Duration },
    Interrupted,
}

pub(super) struct Nodes {
    program: PathBuf,
    folder: PathBuf,
    began: Instant,
    processes: Vec<Option<Child>>,
    sender: SyncSender<Input>,
    /// Taken when the nodes are dropped, so that no reader waits for room.
    receiver: Option<Receiver<Input>>,
}

impl Nodes {
    /// No process yet; certificates and logs are in `folder`.
    pub(super) fn new(program: PathBuf, folder: &Path, nodes: usize, began: Instant) -> Self {
        let (sender, receiver) = mpsc::sync_channel(QUEUE);
        let interrupts = sender.clone();
        process::on_interrupt(move || interrupts.send(Input::Interrupted).is_ok());
        let processes = (0..nodes).map(|_| None).collect();
        Self {
            program,
            folder: folder.to_path_buf(),
            began,
            processes,
            sender,
            receiver: Some(receiver),
        }
    }

    /// Where the node's stderr goes.
    pub(super) fn log(&self, node: usize) -> PathBuf {
        self.folder.join(format!("{}.log", name(node)))
    }

    /// Time since the demo began.
    pub(super) fn elapsed(&self) -> Duration {
        clock::now().saturating_duration_since(self.began)
    }

    /// The next thing that happened, or `None` at the deadline.
    pub(super) fn wait(&self, deadline: Duration) -> Option<Input> {
        let timeout = deadline.saturating_sub(self.elapsed());
        self.receiver.as_ref()?.recv_timeout(timeout).ok()
    }

    /// Starts a node's process and says its process id.
    pub(super) fn start(
        &mut self,
        node: usize,
        bind: SocketAddr,
        join: &[SocketAddr],
    ) -> io::Result<u32> {
        let mut command = Command::new(&self.program);
        command
            .args(["--name", &name(node), "--bind", &bind.to_string()])
            .arg("--certs")
            .arg(&self.folder)
            .args(["--profile", "lan", "--json", "--exit-on-eof"]);
        if !join.is_empty() {
            let addresses: Vec<String> = join.iter().map(SocketAddr::to_string).collect();
            command.args(["--join", &addresses.join(",")]);
        }
        let (sender, began) = (self.sender.clone(), self.began);
        let child = Child::start(&mut command, &self.log(node), move |said| {
            let at = clock::now().saturating_duration_since(began);
            let _ = sender.send(match said {
                Said::Line(line) => Input::Line { node, line, at },
                Said::Ended(code) => Input::Exited { node, code, at },
            });
        })?;
        let id = child.id();
        self.processes[node] = Some(child);
        Ok(id)
    }

    /// Kills a node's process with SIGKILL.
    pub(super) fn kill(&self, node: usize) {
        if let Some(process) = &self.processes[node] {
            process.signal(Signal::KILL);
        }
    }

    /// Writes one command line; a node that cannot take it has ended, which is seen by itself.
    pub(super) fn command(&mut self, node: usize, command: &str) {
        if let Some(process) = &mut self.processes[node] {
            process.tell(command);
        }
    }

    /// To be called for each [`Input::Exited`], so that its process id is not used again.
    pub(super) fn exited(&mut self, node: usize) {
        if let Some(process) = &mut self.processes[node] {
            process.ended();
        }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for node in 0..self.processes.len() {
            self.kill(node);
        }
        self.receiver = None;
        for process in self.processes.drain(..).flatten() {
            process.join();
        }
    }
}
