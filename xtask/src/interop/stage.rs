//! The processes of one case, and waiting for what they say.
//!
//! Members whose names begin with `g` are Go peers, all others are nodes. Every wait ends with an
//! event or at its deadline; nothing sleeps. Whatever way a case ends, no process outlives its
//! [`Stage`].

mod failure_stats;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::record::{Record, Row, rows};
use super::tools::Tools;
use super::udp_proxy::UdpProxy;
use crate::child::{Child, Said};
use crate::demo::node_event::State;
use crate::{Stop, certs, clock, process};

/// How long a process may take to listen, and a command to be answered.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks at what no event tells.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

enum Input {
    Heard { name: &'static str, life: u32, said: Said, at: Duration },
    Interrupted,
}

#[derive(Default)]
struct Actor {
    child: Option<Child>,
    /// How often it was started; what an earlier process still has to say does not count.
    life: u32,
    record: Record,
    /// Its end is wanted.
    dismissed: bool,
    exit: Option<Option<i32>>,
}

pub(super) struct Stage<'a> {
    tools: &'a Tools,
    folder: PathBuf,
    began: Instant,
    participants: BTreeMap<&'static str, Actor>,
    sender: Sender<Input>,
    receiver: Option<Receiver<Input>>,
    transcript: File,
    udp_proxy: Option<UdpProxy>,
    /// What the case measured, for its line in the report.
    notes: Vec<String>,
}

/// A failure with its reason.
pub(super) fn fail<T>(reason: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Failed(reason.into()))
}

impl<'a> Stage<'a> {
    /// An empty stage; certificates and logs go to `folder`, which must exist.
    pub(super) fn new(tools: &'a Tools, folder: PathBuf) -> Result<Self, Stop> {
        let (sender, receiver) = mpsc::channel();
        let interrupts = sender.clone();
        process::on_interrupt(move || interrupts.send(Input::Interrupted).is_ok());
        let transcript = File::create(folder.join("transcript"))
            .map_err(|error| Stop::Failed(format!("cannot write a transcript: {error}")))?;
        Ok(Self {
            tools,
            folder,
            began: clock::now(),
            participants: BTreeMap::new(),
            sender,
            receiver: Some(receiver),
            transcript,
            udp_proxy: None,
            notes: Vec::new(),
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Time since the case began.
    pub(super) fn elapsed(&self) -> Duration {
        clock::now().saturating_duration_since(self.began)
    }

    /// Adds a measurement to the case's line.
    pub(super) fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    pub(super) fn notes(&self) -> String {
        self.notes.join(", ")
    }

    /// Where a member's stderr goes.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    /// The names of all members that were ever started.
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.participants.keys().copied().collect()
    }

    /// Gives a member a certificate for the address, made by its own kind's tool.
    pub(super) fn certify(&self, name: &str, ip: &str) -> Result<(), Stop> {
        let program = if is_go(name) { &self.tools.go_peer } else { &self.tools.certs };
        let mut command = Command::new(program);
        if is_go(name) {
            command.args(["certs", "--dir"]).arg(&self.folder);
            command.args(["--name", name, "--ip", ip]);
        } else {
            let ip = ip.parse().map_err(|_| Stop::Failed(format!("{ip} is no address")))?;
            command.args(certs::flags(&self.folder, name, &[ip]));
        }
        let made = command.stdin(Stdio::null()).output().map_err(|error| {
            Stop::Failed(format!("cannot start {}: {error}", program.display()))
        })?;
        if made.status.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&made.stderr).trim().to_owned();
        fail(format!("no certificate for {name}: {words}"))
    }

    /// Puts a network between the members that can be cut; see [`Stage::start_wired`].
    pub(super) fn udp_proxy(&mut self) -> Result<&mut UdpProxy, Stop> {
        if self.udp_proxy.is_none() {
            let made = UdpProxy::new()
                .map_err(|error| Stop::Failed(format!("cannot make a network: {error}")))?;
            self.udp_proxy = Some(made);
        }
        self.udp_proxy.as_mut().ok_or(Stop::Interrupted)
    }

    /// Starts a member behind the UDP proxy.
    pub(super) fn start_wired(
        &mut self,
        name: &'static str,
        flags: &[&str],
    ) -> Result<String, Stop> {
        let (bind, announced) = self
            .udp_proxy()?
            .plug(name)
            .map_err(|error| Stop::Failed(format!("cannot wire {name}: {error}")))?;
        let mut all = vec!["--bind", &bind, "--advertise", &announced];
        all.extend(flags);
        self.start(name, &all)
    }

    /// Starts a member, waits until it listens, and says where.
    pub(super) fn start(&mut self, name: &'static str, flags: &[&str]) -> Result<String, Stop> {
        if !self.folder.join(format!("{name}.pem")).exists() {
            self.certify(name, "127.0.0.1")?;
        }
        let program = if is_go(name) { &self.tools.go_peer } else { &self.tools.node };
        let mut command = Command::new(program);
        command.args(["--name", name, "--json", "--exit-on-eof", "--certs"]).arg(&self.folder);
        if !flags.contains(&"--bind") {
            command.args(["--bind", "127.0.0.1:0"]);
        }
        command.args(flags);
        let _ = writeln!(self.transcript, "{:?} {name} starts: {flags:?}", self.elapsed());
        let log = self.log(name);
        let (sender, began) = (self.sender.clone(), self.began);
        let life = self.participants.get(name).map_or(0, |actor| actor.life) + 1;
        let child = Child::start(&mut command, &log, move |said| {
            let at = clock::now().saturating_duration_since(began);
            let _ = sender.send(Input::Heard { name, life, said, at });
        })
        .map_err(|error| Stop::Failed(format!("cannot start {name}: {error}")))?;
        let actor = Actor { child: Some(child), life, ..Actor::default() };
        if let Some(mut former) = self.participants.insert(name, actor)
            && let Some(child) = former.child.take()
        {
            child.signal(Signal::KILL);
            child.join();
        }
        self.wait(&format!("{name} listens"), PATIENCE, |stage| {
            stage.record(name).ready.is_some()
        })?;
        Ok(self.address(name))
    }

    /// The address that the member announces.
    pub(super) fn address(&self, name: &str) -> String {
        self.record(name).ready.clone().map(|(address, _)| address).unwrap_or_default()
    }

    /// What the member has said.
    pub(super) fn record(&self, name: &str) -> &Record {
        static SILENT: std::sync::LazyLock<Record> = std::sync::LazyLock::new(Record::default);
        self.participants.get(name).map_or(&SILENT, |actor| &actor.record)
    }

    /// Writes a command and does not wait for the reply.
    pub(super) fn tell(&mut self, name: &str, command: &str) {
        let _ = writeln!(self.transcript, "{:?} {name} > {}", self.elapsed(), clip(command));
        if let Some(actor) = self.participants.get_mut(name) {
            actor.dismissed |= command == "quit";
            if let Some(child) = &mut actor.child {
                child.tell(command);
            }
        }
    }

    /// The member's next reply.
    pub(super) fn reply(&mut self, name: &str) -> Result<Value, Stop> {
        self.wait(&format!("{name} answers a command"), PATIENCE, |stage| {
            !stage.record(name).replies.is_empty()
        })?;
        let actor = self.participants.get_mut(name);
        Ok(actor.and_then(|actor| actor.record.replies.pop_front()).unwrap_or_default())
    }

    /// Carries out a command that must succeed, and returns its reply.
    pub(super) fn ask(&mut self, name: &str, command: &str) -> Result<Value, Stop> {
        let reply = self.attempt(name, command)?;
        if reply["ok"] == true {
            return Ok(reply);
        }
        let error = reply["error"].as_str().unwrap_or("no reason given");
        fail(format!("{name} refused the command {}: {error}", clip(command)))
    }

    /// Carries out a command that may fail, and returns its reply.
    pub(super) fn attempt(&mut self, name: &str, command: &str) -> Result<Value, Stop> {
        self.tell(name, command);
        let reply = self.reply(name)?;
        let word = command.split(' ').next().unwrap_or_default();
        if reply["cmd"] == word {
            return Ok(reply);
        }
        fail(format!("{name} answered {} with a reply to {}", clip(command), reply["cmd"]))
    }

    /// A counter out of a reply to `stats`, by its path.
    pub(super) fn count(&mut self, name: &str, pointer: &str) -> Result<u64, Stop> {
        let stats = self.ask(name, "stats")?;
        stats
            .pointer(pointer)
            .and_then(Value::as_u64)
            .ok_or_else(|| Stop::Failed(format!("{name} counts nothing under {pointer}")))
    }

    /// Sends a signal. After SIGKILL the member's end is waited for.
    pub(super) fn signal(&mut self, name: &str, signal: Signal) -> Result<(), Stop> {
        let _ = writeln!(self.transcript, "{:?} {name} gets {signal:?}", self.elapsed());
        if let Some(actor) = self.participants.get_mut(name) {
            actor.dismissed |= signal == Signal::KILL;
            if let Some(child) = &actor.child {
                child.signal(signal);
            }
        }
        if signal == Signal::KILL {
            self.ended(name)?;
        }
        Ok(())
    }

    /// Waits for the member's end and returns its exit code.
    pub(super) fn ended(&mut self, name: &str) -> Result<Option<i32>, Stop> {
        let exit = |stage: &Self| stage.participants.get(name).and_then(|actor| actor.exit);
        self.wait(&format!("{name} ends"), PATIENCE, |stage| exit(stage).is_some())?;
        Ok(exit(self).flatten())
    }

    /// Waits until `holds`, for at most `within`.
    pub(super) fn wait(
        &mut self,
        what: &str,
        within: Duration,
        holds: impl Fn(&Self) -> bool,
    ) -> Result<(), Stop> {
        let deadline = self.elapsed() + within;
        while !holds(self) {
            if !self.pump(deadline)? {
                let seconds = within.as_secs_f64();
                return fail(format!(
                    "gave up after {seconds} s waiting until {what}{}",
                    self.views()
                ));
            }
        }
        Ok(())
    }

    /// Lets time pass; fails as soon as `spoils` names a reason.
    pub(super) fn watch(
        &mut self,
        duration: Duration,
        spoils: impl Fn(&Self) -> Option<String>,
    ) -> Result<(), Stop> {
        let deadline = self.elapsed() + duration;
        loop {
            if let Some(reason) = spoils(self) {
                return fail(reason);
            }
            if !self.pump(deadline)? {
                return Ok(());
            }
        }
    }

    /// A short while, for looking again at what no event tells.
    pub(super) fn breathe(&mut self) -> Result<(), Stop> {
        self.watch(LOOK_AGAIN, |_| None)
    }

    /// Waits until each of the members sees all the others alive.
    pub(super) fn gathered(&mut self, names: &[&str], within: Duration) -> Result<(), Stop> {
        let what = format!("{} see each other", names.join(", "));
        self.wait(&what, within, |stage| {
            names.iter().all(|observer| {
                let mut others = names.iter().filter(|subject| *subject != observer);
                others.all(|subject| stage.record(observer).state(subject) == Some(State::Alive))
            })
        })
    }

    /// Waits until each observer sees the subject in this state.
    pub(super) fn all_see(
        &mut self,
        observers: &[&str],
        subject: &str,
        state: State,
        within: Duration,
    ) -> Result<(), Stop> {
        let what = format!("{} see {subject} {state}", observers.join(", "));
        self.wait(&what, within, |stage| {
            observers.iter().all(|name| stage.record(name).state(subject) == Some(state))
        })
    }

    /// Asks everybody until their lists of members are the same, with exactly these alive.
    pub(super) fn agree(&mut self, names: &[&str]) -> Result<BTreeMap<String, Row>, Stop> {
        self.agree_within(names, Duration::from_secs(10))
    }

    /// The same with a bound of its own.
    pub(super) fn agree_within(
        &mut self,
        names: &[&str],
        bound: Duration,
    ) -> Result<BTreeMap<String, Row>, Stop> {
        let deadline = self.elapsed() + bound;
        loop {
            let mut lists = Vec::new();
            for name in names {
                let reply = self.ask(name, "members")?;
                let mut list = rows(&reply)
                    .map_err(|reason| Stop::Failed(format!("{name} lists {reason}")))?;
                list.retain(|_, row| matches!(row.state, State::Alive | State::Suspect));
                lists.push(list);
            }
            let wanted = lists.iter().all(|list| {
                list.values().all(|row| row.state == State::Alive)
                    && list.len() == names.len()
                    && names.iter().all(|name| list.contains_key(*name))
            });
            if wanted && lists.iter().all(|list| Some(list) == lists.first()) {
                return Ok(lists.swap_remove(0));
            }
            if self.elapsed() > deadline {
                let lists: Vec<String> = names
                    .iter()
                    .zip(&lists)
                    .map(|(name, list)| format!("{name}: {list:?}"))
                    .collect();
                return fail(format!("the lists of members differ: {}", lists.join("; ")));
            }
            self.breathe()?;
        }
    }

    /// What everybody sees, for the report of a failure.
    fn views(&self) -> String {
        let mut text = String::new();
        for (name, actor) in &self.participants {
            let sights: Vec<String> = actor
                .record
                .sights
                .iter()
                .map(|(subject, sight)| format!("{subject} {}", sight.state))
                .collect();
            let sights = if sights.is_empty() { "nobody".to_owned() } else { sights.join(", ") };
            let _ = write!(text, "; {name} sees {sights}");
        }
        text
    }

    /// Takes in what comes next; `false` at the deadline.
    fn pump(&mut self, deadline: Duration) -> Result<bool, Stop> {
        let timeout = deadline.saturating_sub(self.elapsed());
        let next = self.receiver.as_ref().and_then(|inputs| inputs.recv_timeout(timeout).ok());
        match next {
            None => Ok(false),
            Some(Input::Interrupted) => Err(Stop::Interrupted),
            Some(Input::Heard { name, life, said, at }) => {
                self.take(name, life, said, at)?;
                Ok(true)
            }
        }
    }

    fn take(&mut self, name: &str, life: u32, said: Said, at: Duration) -> Result<(), Stop> {
        let Some(actor) = self.participants.get_mut(name).filter(|actor| actor.life == life) else {
            return Ok(());
        };
        match said {
            Said::Line(line) => {
                let _ = writeln!(self.transcript, "{at:?} {name} < {}", clip(&line));
                actor.record.hear(&line, at).map_err(|reason| {
                    Stop::Failed(format!("{name} wrote a line that is no event ({reason}): {line}"))
                })
            }
            Said::Ended(code) => {
                let _ = writeln!(self.transcript, "{at:?} {name} ended: {code:?}");
                actor.exit = Some(code);
                if let Some(child) = &mut actor.child {
                    child.ended();
                }
                if actor.dismissed {
                    return Ok(());
                }
                let how = code.map_or("a signal".to_owned(), |code| format!("exit code {code}"));
                fail(format!("{name} ended with {how}"))
            }
        }
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        self.receiver = None;
        for actor in self.participants.values_mut() {
            if let Some(child) = actor.child.take() {
                child.signal(Signal::KILL);
                child.join();
            }
        }
    }
}

/// Whether a member of this name is a Go peer.
pub(super) fn is_go(name: &str) -> bool {
    name.starts_with('g')
}

/// The beginning of a long line.
fn clip(line: &str) -> String {
    const SHOWN: usize = 300;
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}… ({} bytes)", &line[..end], line.len()),
        None => line.to_owned(),
    }
}
