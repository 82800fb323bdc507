//! Members in a story: what each was told and has said, and waiting for what they say.
//!
//! Every wait ends with an event or at its deadline; nothing sleeps. A line that is no event and
//! a process that ends unasked fail the story.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rustix::process::Signal;

use super::event::{Reply, Row, SeenState};
use super::logs;
use super::member::Member;
use super::observer::{Observer, Scene};
use super::{Fleet, Members, Observation, Observed};
use crate::Stop;

/// How long a process may take to listen or to end, and a command to be answered.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks at what no event tells.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A failure with its reason.
pub(crate) fn fail<T>(reason: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Failed(reason.into()))
}

/// See the [module](self).
pub(crate) struct Stage<F = Fleet> {
    pub(crate) fleet: F,
    observer: Box<dyn Observer>,
    members: BTreeMap<String, Member>,
    /// Whether it fails the story that a member refuses a command, speaks of strangers, or says
    /// of another what is not so.
    pub(crate) strict: bool,
    /// What the story measured, for its line in the report.
    pub(crate) notes: Vec<String>,
    /// Words of what Go peers warn of because the story wants it.
    pub(crate) explained: Vec<String>,
}

impl Stage {
    /// Starts a member, waits until it listens, and says where; it gets a certificate if it has
    /// none.
    pub(crate) fn start(&mut self, name: &str, flags: &[&str]) -> Result<String, Stop> {
        if !self.fleet.folder().join(format!("{name}.pem")).exists() {
            self.fleet.certify(name, None)?;
        }
        self.launch(name, flags)
    }

    /// What the member has logged.
    pub(crate) fn log(&self, name: &str) -> String {
        logs::read(&self.fleet.log(name))
    }
}

impl<F: Members> Stage<F> {
    /// An empty stage.
    pub(crate) fn new(fleet: F, observer: impl Observer + 'static) -> Self {
        let (members, observer) = (BTreeMap::new(), Box::new(observer));
        Self { fleet, observer, members, strict: false, notes: Vec::new(), explained: Vec::new() }
    }

    /// Time since the story began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.fleet.elapsed()
    }

    /// The names of all members that were ever started.
    pub(crate) fn names(&self) -> Vec<String> {
        self.members.keys().cloned().collect()
    }

    /// Starts a member's process.
    pub(crate) fn spawn(&mut self, name: &str, flags: &[&str]) -> Result<(), Stop> {
        self.observer.note(name, Scene::Starts(flags), self.fleet.elapsed());
        self.fleet.spawn(name, flags)?;
        let member = self.members.get(name).map(Member::next).unwrap_or_default();
        self.members.insert(name.to_owned(), member);
        Ok(())
    }

    /// Starts a member's process, waits until it listens, and says where.
    pub(crate) fn launch(&mut self, name: &str, flags: &[&str]) -> Result<String, Stop> {
        self.spawn(name, flags)?;
        let what = format!("{name} listens");
        self.wait(&what, PATIENCE, |stage| stage.member(name).ready.is_some())?;
        Ok(self.address(name))
    }

    /// What the member was told and has said.
    pub(crate) fn member(&self, name: &str) -> &Member {
        static SILENT: std::sync::LazyLock<Member> = std::sync::LazyLock::new(Member::default);
        self.members.get(name).unwrap_or(&SILENT)
    }

    /// The address that the member announces.
    pub(crate) fn address(&self, name: &str) -> String {
        let ready = self.member(name).ready.as_ref();
        ready.map(|(address, _)| address.to_string()).unwrap_or_default()
    }

    /// Writes a command and does not wait for the reply.
    pub(crate) fn tell(&mut self, name: &str, command: &str) {
        let Some(member) = self.members.get_mut(name) else { return };
        member.is_told(command);
        self.observer.note(name, Scene::Told(command), self.fleet.elapsed());
        self.fleet.send(name, command);
    }

    /// The member's next reply.
    pub(crate) fn reply(&mut self, name: &str) -> Result<Reply, Stop> {
        self.wait(&format!("{name} answers a command"), PATIENCE, |stage| {
            !stage.member(name).replies.is_empty()
        })?;
        let member = self.members.get_mut(name);
        member.and_then(|member| member.replies.pop_front()).ok_or(Stop::Interrupted)
    }

    /// Carries out a command that must succeed, and returns its reply.
    pub(crate) fn ask(&mut self, name: &str, command: &str) -> Result<Reply, Stop> {
        let reply = self.attempt(name, command)?;
        match reply.refusal() {
            None => Ok(reply),
            Some(reason) => fail(format!("{name} refused the command {}: {reason}", reply.cmd)),
        }
    }

    /// Carries out a command that may fail, and returns its reply.
    pub(crate) fn attempt(&mut self, name: &str, command: &str) -> Result<Reply, Stop> {
        self.tell(name, command);
        let reply = self.reply(name)?;
        let word = command.split(' ').next().unwrap_or_default();
        if reply.cmd == word {
            return Ok(reply);
        }
        fail(format!("{name} answered {word} with a reply to {}", reply.cmd))
    }

    /// A counter out of a reply to `stats`, by its path.
    pub(crate) fn count(&mut self, name: &str, path: &str) -> Result<u64, Stop> {
        let count = self.ask(name, "stats")?.count(path);
        count.ok_or_else(|| Stop::Failed(format!("{name} counts nothing under {path}")))
    }

    /// Sends a signal.
    pub(crate) fn signal(&mut self, name: &str, signal: Signal) {
        let Some(member) = self.members.get_mut(name) else { return };
        member.is_signalled(signal);
        self.observer.note(name, Scene::Signalled(signal), self.fleet.elapsed());
        self.fleet.signal(name, signal);
    }

    /// Kills a member's process and waits for its end.
    pub(crate) fn kill(&mut self, name: &str) -> Result<(), Stop> {
        self.signal(name, Signal::KILL);
        self.ended(name)
    }

    /// Waits for the end of a member's process.
    pub(crate) fn ended(&mut self, name: &str) -> Result<(), Stop> {
        self.wait(&format!("{name} has ended"), PATIENCE, |stage| stage.member(name).has_ended())
    }

    /// Says that the story waits for this.
    pub(crate) fn waits(&mut self, what: &str) {
        self.observer.note("", Scene::Waits(what), self.fleet.elapsed());
    }

    /// Waits until `holds`, for at most `within`.
    pub(crate) fn wait(
        &mut self,
        what: &str,
        within: Duration,
        holds: impl Fn(&Self) -> bool,
    ) -> Result<(), Stop> {
        let all = self.names();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        self.wait_for_each(what, &all, within, |stage, _| holds(stage)).map(drop)
    }

    /// Waits until `holds` for each of these at the same time; returns since when it does for
    /// each, ascending.
    pub(crate) fn wait_for_each(
        &mut self,
        what: &str,
        names: &[&str],
        within: Duration,
        holds: impl Fn(&Self, &str) -> bool,
    ) -> Result<Vec<Duration>, Stop> {
        self.waits(what);
        let deadline = self.elapsed() + within;
        let mut since = BTreeMap::new();
        loop {
            let now = self.elapsed();
            for name in names {
                if holds(self, name) {
                    since.entry(*name).or_insert(now);
                } else {
                    since.remove(name);
                }
            }
            if since.len() == names.len() {
                let mut times: Vec<Duration> = since.into_values().collect();
                times.sort_unstable();
                return Ok(times);
            }
            if !self.pump(deadline).map_err(|stop| meanwhile(stop, what))? {
                let late = names.iter().filter(|name| !since.contains_key(*name));
                let views: String = late.map(|name| self.views_of(name)).collect();
                let seconds = within.as_secs_f64();
                return fail(format!("gave up after {seconds} s waiting until {what}{views}"));
            }
        }
    }

    /// Lets time pass; fails as soon as `spoils` names a reason.
    pub(crate) fn watch(
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

    /// Whether the observer sees all of these alive, itself aside.
    pub(crate) fn sees_alive(&self, observer: &str, names: &[&str]) -> bool {
        let mut others = names.iter().filter(|name| **name != observer);
        others.all(|name| self.member(observer).state(name) == Some(SeenState::Alive))
    }

    /// Waits until each of the members sees all the others alive.
    pub(crate) fn gathered(&mut self, names: &[&str], within: Duration) -> Result<(), Stop> {
        let what = format!("{} see each other", names.join(", "));
        self.wait_for_each(&what, names, within, |stage, name| stage.sees_alive(name, names))
            .map(drop)
    }

    /// Waits until each observer sees the subject in this state.
    pub(crate) fn all_see(
        &mut self,
        observers: &[&str],
        subject: &str,
        state: SeenState,
        within: Duration,
    ) -> Result<(), Stop> {
        let what = format!("{} see {subject} {state}", observers.join(", "));
        self.wait_for_each(&what, observers, within, |stage, name| {
            stage.member(name).state(subject) == Some(state)
        })
        .map(drop)
    }

    /// Asks everybody until their lists of members are the same, with exactly these alive.
    pub(crate) fn agree(&mut self, names: &[&str]) -> Result<BTreeMap<String, Row>, Stop> {
        self.agree_within(names, Duration::from_secs(10))
    }

    pub(crate) fn agree_within(
        &mut self,
        names: &[&str],
        bound: Duration,
    ) -> Result<BTreeMap<String, Row>, Stop> {
        let wanted: BTreeSet<&str> = names.iter().copied().collect();
        let deadline = self.elapsed() + bound;
        loop {
            let mut lists = BTreeMap::new();
            for name in names {
                let mut list = self.list(name)?;
                list.retain(|_, row| matches!(row.state, SeenState::Alive | SeenState::Suspect));
                lists.insert(*name, list);
            }
            let first = lists.values().next().cloned().unwrap_or_default();
            let complete = first.values().all(|row| row.state == SeenState::Alive)
                && first.keys().map(String::as_str).collect::<BTreeSet<_>>() == wanted;
            if complete && lists.values().all(|list| *list == first) {
                return Ok(first);
            }
            if self.elapsed() > deadline {
                return fail(format!("the lists of members differ: {lists:?}"));
            }
            self.watch(LOOK_AGAIN, |_| None)?;
        }
    }

    /// A member's list of members.
    pub(crate) fn list(&mut self, name: &str) -> Result<BTreeMap<String, Row>, Stop> {
        let reply = self.ask(name, "members")?;
        reply.members().map_err(|error| Stop::Failed(format!("{name} lists no members: {error}")))
    }

    /// Hands every living member's counters to the observer, for a failure that must be told from
    /// the transcript alone. The only error is an interrupt: whatever else goes wrong from here
    /// on is not what the story failed by.
    pub(crate) fn collect_counters(&mut self, within: Duration) -> Result<(), Stop> {
        let counted = |stage: &Self, name: &str| {
            let member = stage.member(name);
            member.has_ended() || member.replies.iter().any(|reply| reply.cmd == "stats")
        };
        let names = self.names();
        for name in &names {
            self.tell(name, "stats");
        }
        let deadline = self.elapsed() + within;
        while !names.iter().all(|name| counted(self, name)) {
            match self.pump(deadline) {
                Ok(false) => break,
                Err(Stop::Interrupted) => return Err(Stop::Interrupted),
                Ok(true) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// What somebody sees, for the report of a failure.
    fn views_of(&self, name: &str) -> String {
        let member = self.member(name);
        if member.ready.is_none() {
            return format!("; {name} is not ready");
        }
        let subjects: BTreeSet<&String> =
            self.members.keys().chain(member.beliefs.keys()).collect();
        let state = |of: &String| member.state(of).map_or("unknown".into(), |s| s.to_string());
        let others = subjects.into_iter().filter(|other| *other != name);
        let views: Vec<String> = others.map(|of| format!("{of} {}", state(of))).collect();
        format!("; {name} sees {}", views.join(", "))
    }

    /// Takes what comes next; `false` at the deadline.
    fn pump(&mut self, deadline: Duration) -> Result<bool, Stop> {
        let Some(observation) = self.fleet.next(deadline)? else { return Ok(false) };
        let at = observation.at;
        self.take(observation)?;
        Ok(at <= deadline)
    }

    fn take(&mut self, observation: Observation) -> Result<(), Stop> {
        let Observation { name, at, what } = observation;
        let Some(member) = self.members.get_mut(&name) else { return Ok(()) };
        self.observer.note(&name, Scene::Does(&what), at);
        member.does(&what, at).or_else(|wrong| fail(format!("{name} {wrong}")))?;
        let Observed::Event(event, _) = what else { return Ok(()) };
        if !self.strict {
            return Ok(());
        }
        if let Some(wrong) = member.mistake(&event.kind) {
            return fail(format!("{name} {wrong}"));
        }
        let Some((subject, state)) = event.belief() else { return Ok(()) };
        let about = &subject.node;
        match self.members.get(about) {
            None => fail(format!("{name} speaks of {about}, who is not of this cluster")),
            Some(subject) if subject.may_be_seen(state) => Ok(()),
            Some(_) => fail(format!("{name} says that {about} {state}, which is not so")),
        }
    }
}

/// A failure with what was waited for when it happened.
fn meanwhile(stop: Stop, what: &str) -> Stop {
    match stop {
        Stop::Failed(reason) => Stop::Failed(format!("{reason}, while waiting until {what}")),
        other => other,
    }
}
