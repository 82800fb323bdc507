//! The fleet itself: its processes, their commands and their lines.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::child::{Child, Output};
use super::event::{EventKind, MemberEvent};
use super::programs::Programs;
use super::udp_proxy::UdpProxy;
use super::{FleetError, MemberId, MemberSpec, Members, Observation, Observed, Program};
use crate::{Stop, clock, process};

enum Input {
    From { member: MemberId, process: u32, output: Output, at: Duration },
    Interrupted,
}

struct Process {
    name: String,
    child: Option<Child>,
    /// How many processes it has had; what an earlier one still has to say does not count.
    process: u32,
    running: bool,
    /// Where it binds, and what it announces, once it has listened.
    bind: Option<SocketAddr>,
    address: Option<SocketAddr>,
}

/// See the [module](super).
pub(crate) struct Fleet {
    programs: Programs,
    folder: PathBuf,
    home: IpAddr,
    began: Instant,
    processes: Vec<Process>,
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
            processes: Vec::new(),
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

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where all members listen that are not told otherwise.
    pub(crate) fn home(&self) -> IpAddr {
        self.home
    }

    /// Makes a certificate with the tool of the member's own kind.
    ///
    /// # Errors
    /// [`Stop::Failed`] when the tool fails.
    pub(crate) fn certify(&self, name: &str, program: Program, ip: IpAddr) -> Result<(), Stop> {
        self.programs.certify(&self.folder, name, program, ip)
    }

    /// All members that were ever started, in that order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = MemberId> + use<> {
        (0..self.processes.len()).map(MemberId)
    }

    pub(crate) fn name(&self, member: MemberId) -> &str {
        &self.processes[member.0].name
    }

    pub(crate) fn find(&self, name: &str) -> Option<MemberId> {
        self.processes.iter().position(|process| process.name == name).map(MemberId)
    }

    /// The announced addresses of all others.
    pub(crate) fn others(&self, name: &str) -> Vec<SocketAddr> {
        let others = self.processes.iter().filter(|process| process.name != name);
        others.filter_map(|process| process.address).collect()
    }

    /// Whether its process runs, as far as its end was handed out by [`Members::next`].
    pub(crate) fn is_running(&self, member: MemberId) -> bool {
        self.processes[member.0].running
    }

    /// Where its stderr goes, that of all its processes.
    pub(crate) fn log(&self, member: MemberId) -> PathBuf {
        self.folder.join(format!("{}.log", self.name(member)))
    }

    /// Stops the process (SIGSTOP) until [`thaw`](Self::thaw).
    pub(crate) fn freeze(&mut self, member: MemberId) {
        self.signal(member, Signal::STOP);
    }

    pub(crate) fn thaw(&mut self, member: MemberId) {
        self.signal(member, Signal::CONT);
    }

    pub(crate) fn kill(&mut self, member: MemberId) {
        self.signal(member, Signal::KILL);
    }

    /// The network between the members that were started `proxied`.
    pub(crate) fn proxy(&mut self) -> io::Result<&mut UdpProxy> {
        if self.proxy.is_none() {
            self.proxy = Some(UdpProxy::new()?);
        }
        self.proxy.as_mut().ok_or_else(|| io::Error::other("no proxy"))
    }

    fn member(&mut self, name: &str) -> MemberId {
        self.find(name).unwrap_or_else(|| {
            self.processes.push(Process {
                name: name.to_owned(),
                child: None,
                process: 0,
                running: false,
                bind: None,
                address: None,
            });
            MemberId(self.processes.len() - 1)
        })
    }

    fn command(&mut self, member: MemberId, spec: &MemberSpec) -> Result<Command, FleetError> {
        let mut command = Command::new(self.programs.of(spec.program));
        command.args(["--name", &spec.name, "--json", "--exit-on-eof", "--certs"]);
        command.arg(&self.folder);
        let former = self.processes[member.0].bind;
        let mut bind = former.unwrap_or(SocketAddr::new(self.home, 0));
        if spec.proxied {
            let name = spec.name.clone();
            let (own, announced) = self
                .proxy()
                .and_then(|proxy| proxy.attach(&spec.name))
                .map_err(|source| FleetError::Attach { name, source })?;
            bind = own;
            command.args(["--advertise", &announced.to_string()]);
            self.processes[member.0].bind = Some(own);
        }
        if !spec.flags.iter().any(|flag| flag == "--bind") {
            command.args(["--bind", &bind.to_string()]);
        }
        let join: Vec<String> = spec.join.iter().map(SocketAddr::to_string).collect();
        if !join.is_empty() {
            command.args(["--join", &join.join(",")]);
        }
        command.args(&spec.flags);
        Ok(command)
    }
}

impl Members for Fleet {
    fn elapsed(&self) -> Duration {
        clock::now().saturating_duration_since(self.began)
    }

    fn spawn(&mut self, spec: &MemberSpec) -> Result<MemberId, FleetError> {
        let member = self.member(&spec.name);
        if let Some(former) = self.processes[member.0].child.take() {
            former.signal(Signal::KILL);
            former.join();
        }
        let mut command = self.command(member, spec)?;
        let (sender, began) = (self.sender.clone(), self.began);
        let process = self.processes[member.0].process + 1;
        let child = Child::start(&mut command, &self.log(member), move |output| {
            let at = clock::now().saturating_duration_since(began);
            let _ = sender.send(Input::From { member, process, output, at });
        })
        .map_err(|source| FleetError::Start { name: spec.name.clone(), source })?;
        let entry = &mut self.processes[member.0];
        (entry.process, entry.running) = (process, true);
        entry.child = Some(child);
        Ok(member)
    }

    fn send(&mut self, member: MemberId, command: &str) {
        if let Some(child) = &mut self.processes[member.0].child {
            child.write_line(command);
        }
    }

    fn signal(&mut self, member: MemberId, signal: Signal) {
        if let Some(child) = &self.processes[member.0].child {
            child.signal(signal);
        }
    }

    fn next(&mut self, deadline: Duration) -> Result<Option<Observation>, FleetError> {
        loop {
            let timeout = deadline.saturating_sub(self.elapsed());
            let next = self.receiver.as_ref().and_then(|inputs| inputs.recv_timeout(timeout).ok());
            match next {
                None => return Ok(None),
                Some(Input::Interrupted) => return Err(FleetError::Interrupted),
                Some(Input::From { member, process, output, at }) => {
                    let entry = &mut self.processes[member.0];
                    if entry.process == process {
                        return Ok(Some(Observation { member, at, what: entry.hear(output) }));
                    }
                }
            }
        }
    }
}

impl Process {
    fn hear(&mut self, output: Output) -> Observed {
        match output {
            Output::Ended(code) => {
                // Its process id may belong to another process from here on.
                if let Some(child) = &mut self.child {
                    child.ended();
                }
                self.running = false;
                Observed::Exited(code)
            }
            Output::Line(line) => match MemberEvent::parse(&line) {
                Ok(event) => {
                    if let EventKind::Ready { addr, .. } = &event.kind {
                        self.address = Some(*addr);
                        self.bind.get_or_insert(*addr);
                    }
                    Observed::Event(Box::new(event), line)
                }
                Err(error) => Observed::Malformed { line, error },
            },
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.receiver = None;
        for process in &mut self.processes {
            if let Some(child) = process.child.take() {
                child.signal(Signal::KILL);
                child.join();
            }
        }
    }
}
