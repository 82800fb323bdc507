//! The fleet itself: its processes, their commands and their lines.
//!
//! Should this program be killed, its children see the end of their stdin.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::event::EventKind;
use super::programs::Programs;
use super::udp_proxy::UdpProxy;
use super::{Members, Observation, Observed};
use crate::{Stop, clock, process};

enum Input {
    /// The number tells the processes of one member apart.
    From(String, u32, Observed, Duration),
    Interrupted,
}

/// A process that reads and writes lines.
struct Child {
    pid: Pid,
    stdin: ChildStdin,
    reader: JoinHandle<()>,
}

impl Child {
    /// Its stderr is appended to `log`; its end is the last thing heard, on a thread of its own.
    fn start(
        command: &mut Command,
        log: &Path,
        mut hear: impl FnMut(Observed) + Send + 'static,
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
                hear(Observed::line(line));
            }
            hear(Observed::Exited(child.wait().ok().and_then(|status| status.code())));
        });
        Ok(Self { pid, stdin, reader })
    }

    /// Waits until all is heard.
    fn join(self) {
        drop(self.stdin);
        let _ = self.reader.join();
    }
}

#[derive(Default)]
struct Process {
    child: Option<Child>,
    /// How many processes it has had; what an earlier one still has to say does not count.
    number: u32,
    running: bool,
    /// Where it binds, and what it announces, once it has listened.
    bind: Option<SocketAddr>,
    address: Option<SocketAddr>,
}

impl Process {
    /// Once its end was read, its process id may belong to another process.
    fn signal(&self, signal: Signal) {
        if let Some(child) = self.child.as_ref().filter(|_| self.running) {
            let _ = kill_process(child.pid, signal);
        }
    }

    fn end(&mut self) {
        self.signal(Signal::KILL);
        if let Some(child) = self.child.take() {
            child.join();
        }
    }
}

/// See the [module](super).
pub(crate) struct Fleet {
    programs: Programs,
    folder: PathBuf,
    home: IpAddr,
    began: Instant,
    processes: BTreeMap<String, Process>,
    proxy: Option<UdpProxy>,
    sender: Sender<Input>,
    /// Taken when the fleet is dropped.
    receiver: Option<Receiver<Input>>,
}

impl Fleet {
    /// No process yet. Certificates and logs go to `folder`, which must exist.
    pub(crate) fn new(programs: Programs, folder: &Path) -> Self {
        let (sender, receiver) = mpsc::channel();
        let interrupts = sender.clone();
        process::on_interrupt(move || interrupts.send(Input::Interrupted).is_ok());
        Self {
            programs,
            folder: folder.to_path_buf(),
            home: IpAddr::V4(Ipv4Addr::LOCALHOST),
            began: clock::now(),
            processes: BTreeMap::new(),
            proxy: None,
            sender,
            receiver: Some(receiver),
        }
    }

    /// The same on a loopback address that no other program uses, so that nobody takes a port
    /// while its member is down. Linux only: elsewhere there is one loopback address.
    pub(crate) fn on_own_address(mut self) -> Self {
        let [.., high, low] = std::process::id().to_be_bytes();
        if cfg!(target_os = "linux") {
            self.home = IpAddr::V4(Ipv4Addr::new(127, 100, high, low.clamp(1, 254)));
        }
        self
    }

    /// Puts a network between the members that are started from now on.
    pub(crate) fn use_proxy(&mut self) {
        self.proxy = Some(UdpProxy::new());
    }

    /// From here on nothing passes between the two, either way.
    pub(crate) fn cut(&self, one: &str, other: &str) {
        if let Some(proxy) = &self.proxy {
            proxy.cut(one, other);
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes a certificate with the tool of the member's own kind; for the fleet's address unless
    /// another is given.
    ///
    /// # Errors
    /// [`Stop::Failed`] when the tool fails.
    pub(crate) fn certify(&self, name: &str, ip: Option<IpAddr>) -> Result<(), Stop> {
        self.programs.certify(&self.folder, name, ip.unwrap_or(self.home))
    }

    /// All members that were ever started, and where the stderr of all their processes goes.
    pub(crate) fn logs(&self) -> Vec<(String, PathBuf)> {
        self.processes.keys().map(|name| (name.clone(), self.log(name))).collect()
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    /// The announced addresses of all others, separated by commas.
    pub(crate) fn others(&self, name: &str) -> String {
        let others = self.processes.iter().filter(|(other, _)| *other != name);
        let addresses = others.filter_map(|(_, other)| Some(other.address?.to_string()));
        addresses.collect::<Vec<_>>().join(",")
    }

    /// Whether its process runs, as far as its end was handed out by [`Members::next`].
    pub(crate) fn is_running(&self, name: &str) -> bool {
        self.processes.get(name).is_some_and(|process| process.running)
    }

    fn command(&mut self, name: &str, flags: &[&str]) -> Result<Command, Stop> {
        let mut command = Command::new(self.programs.of(name));
        command.args(["--name", name, "--json", "--exit-on-eof", "--certs"]).arg(&self.folder);
        let former = self.processes.get(name).and_then(|process| process.bind);
        let mut bind = former.unwrap_or(SocketAddr::new(self.home, 0));
        if let Some(proxy) = &mut self.proxy {
            let attached = proxy.attach(name);
            let (own, announced) = attached.map_err(|source| {
                Stop::cannot(format!("attach {name} to the proxy; is the loopback whole?"), source)
            })?;
            bind = own;
            command.args(["--advertise", &announced.to_string()]);
            self.processes.entry(name.to_owned()).or_default().bind = Some(own);
        }
        if !flags.contains(&"--bind") {
            command.args(["--bind", &bind.to_string()]);
        }
        command.args(flags);
        Ok(command)
    }
}

impl Members for Fleet {
    fn elapsed(&self) -> Duration {
        clock::now().saturating_duration_since(self.began)
    }

    fn spawn(&mut self, name: &str, flags: &[&str]) -> Result<(), Stop> {
        let mut command = self.command(name, flags)?;
        let (log, sender, began) = (self.log(name), self.sender.clone(), self.began);
        let process = self.processes.entry(name.to_owned()).or_default();
        process.end();
        process.number += 1;
        let (number, owner) = (process.number, name.to_owned());
        let child = Child::start(&mut command, &log, move |what| {
            let at = clock::now().saturating_duration_since(began);
            let _ = sender.send(Input::From(owner.clone(), number, what, at));
        });
        process.child =
            Some(child.map_err(|source| Stop::cannot(format!("start {name}"), source))?);
        process.running = true;
        Ok(())
    }

    fn send(&mut self, name: &str, command: &str) {
        let process = self.processes.get_mut(name);
        if let Some(child) = process.and_then(|process| process.child.as_mut()) {
            let _ = writeln!(child.stdin, "{command}");
        }
    }

    fn signal(&mut self, name: &str, signal: Signal) {
        if let Some(process) = self.processes.get(name) {
            process.signal(signal);
        }
    }

    fn next(&mut self, deadline: Duration) -> Result<Option<Observation>, Stop> {
        loop {
            let timeout = deadline.saturating_sub(self.elapsed());
            let next = self.receiver.as_ref().and_then(|inputs| inputs.recv_timeout(timeout).ok());
            let (name, number, what, at) = match next {
                None => return Ok(None),
                Some(Input::Interrupted) => return Err(Stop::Interrupted),
                Some(Input::From(name, number, what, at)) => (name, number, what, at),
            };
            let own = self.processes.get_mut(&name).filter(|process| process.number == number);
            let Some(process) = own else { continue };
            match &what {
                Observed::Exited(_) => process.running = false,
                Observed::Event(event, _) => {
                    if let EventKind::Ready { addr, .. } = event.kind {
                        process.address = Some(addr);
                        process.bind.get_or_insert(addr);
                    }
                }
                Observed::Malformed { .. } => {}
            }
            return Ok(Some(Observation { name, at, what }));
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.receiver = None;
        self.processes.values_mut().for_each(Process::end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_answers_and_its_end_is_the_last_thing_heard() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let (sender, heard) = mpsc::channel();
        let child = Child::start(&mut Command::new("cat"), log.path(), move |what| {
            let _ = sender.send(what);
        });
        let mut process = Process { child: child.ok(), running: true, ..Process::default() };
        writeln!(process.child.as_mut().unwrap().stdin, "hello").unwrap();
        let first = heard.recv().unwrap();
        assert!(matches!(first, Observed::Malformed { line, .. } if line == "hello"));
        process.end();
        assert!(matches!(heard.recv().unwrap(), Observed::Exited(None)));
    }
}
