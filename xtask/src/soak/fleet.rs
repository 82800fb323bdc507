//! The processes of one soak.
//!
//! Starts them, hands on what they write, writes their stdin, signals them. Whatever way the soak
//! ends, none outlives it: dropping [`Fleet`] kills and reaps them, the stopped ones too.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::participants::Participants;
use crate::fleet::child::{Child, Output as Said};
use crate::{clock, process};

/// Lines that may wait for the judge; a process that writes more waits in its write.
const QUEUE: usize = 4096;

/// Something that happened, with its time since the fleet was made.
pub(super) enum Input {
    Line { node: usize, line: String, at: Duration },
    Exited { node: usize, code: Option<i32>, at: Duration },
    Interrupted,
}

/// What is run for whom.
pub(super) struct Programs {
    pub(super) node: PathBuf,
    pub(super) go_peer: Option<PathBuf>,
}

struct Seat {
    child: Option<Child>,
    running: bool,
    /// Known once it has listened; a later process binds the same port.
    address: SocketAddr,
}

pub(super) struct Fleet {
    participants: Participants,
    programs: Programs,
    folder: PathBuf,
    began: Instant,
    seats: Vec<Seat>,
    sender: SyncSender<Input>,
    /// Taken when the fleet is dropped, so that no reader waits for room.
    receiver: Option<Receiver<Input>>,
}

impl Fleet {
    /// No process yet; certificates and logs are in `folder`, all will listen on `home`.
    pub(super) fn new(
        participants: Participants,
        programs: Programs,
        folder: &Path,
        home: IpAddr,
    ) -> Self {
        let (sender, receiver) = mpsc::sync_channel(QUEUE);
        let interrupts = sender.clone();
        process::on_interrupt(move || interrupts.send(Input::Interrupted).is_ok());
        let seat = |_| Seat { child: None, running: false, address: SocketAddr::new(home, 0) };
        Self {
            participants,
            programs,
            folder: folder.to_path_buf(),
            began: clock::now(),
            seats: participants.everybody().map(seat).collect(),
            sender,
            receiver: Some(receiver),
        }
    }

    /// Time since the fleet was made.
    pub(super) fn elapsed(&self) -> Duration {
        clock::now().saturating_duration_since(self.began)
    }

    /// The next thing that happened, or `None` at the deadline.
    pub(super) fn wait(&self, deadline: Duration) -> Option<Input> {
        let timeout = deadline.saturating_sub(self.elapsed());
        self.receiver.as_ref()?.recv_timeout(timeout).ok()
    }

    /// Where the node's stderr goes.
    pub(super) fn log(&self, node: usize) -> PathBuf {
        self.folder.join(format!("{}.log", self.participants.name(node)))
    }

    /// Starts a process that joins through all others whose address is known.
    pub(super) fn start(&mut self, node: usize, meta: &str) -> io::Result<()> {
        let program = match &self.programs.go_peer {
            Some(go_peer) if self.participants.is_go(node) => go_peer,
            Some(_) | None => &self.programs.node,
        };
        let mut command = Command::new(program);
        command
            .args(["--name", &self.participants.name(node), "--meta", meta])
            .args(["--bind", &self.seats[node].address.to_string()])
            .arg("--certs")
            .arg(&self.folder)
            .args(["--profile", "lan", "--json", "--exit-on-eof"]);
        let others: Vec<String> = self
            .seats
            .iter()
            .enumerate()
            .filter(|(other, seat)| *other != node && seat.address.port() != 0)
            .map(|(_, seat)| seat.address.to_string())
            .collect();
        if !others.is_empty() {
            command.args(["--join", &others.join(",")]);
        }
        let (sender, began) = (self.sender.clone(), self.began);
        let child = Child::start(&mut command, &self.log(node), move |said| {
            let at = clock::now().saturating_duration_since(began);
            let _ = sender.send(match said {
                Said::Line(line) => Input::Line { node, line, at },
                Said::Ended(code) => Input::Exited { node, code, at },
            });
        })?;
        self.seats[node].child = Some(child);
        self.seats[node].running = true;
        Ok(())
    }

    /// The process listens there.
    pub(super) fn listens(&mut self, node: usize, address: SocketAddr) {
        self.seats[node].address = address;
    }

    pub(super) fn is_running(&self, node: usize) -> bool {
        self.seats[node].running
    }

    pub(super) fn signal(&self, node: usize, signal: Signal) {
        if let Some(child) = &self.seats[node].child {
            child.signal(signal);
        }
    }

    /// Writes one command line; a process that cannot take it has ended, which is heard.
    pub(super) fn tell(&mut self, node: usize, command: &str) {
        if let Some(child) = &mut self.seats[node].child {
            child.write_line(command);
        }
    }

    /// To be called for each [`Input::Exited`], so that its process id is not used again.
    pub(super) fn exited(&mut self, node: usize) {
        self.seats[node].running = false;
        if let Some(child) = &mut self.seats[node].child {
            child.ended();
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for node in self.participants.everybody() {
            self.signal(node, Signal::KILL);
        }
        self.receiver = None;
        for seat in self.seats.drain(..) {
            if let Some(child) = seat.child {
                child.join();
            }
        }
    }
}
