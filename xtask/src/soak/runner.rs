//! Carries out the plan, asks everybody all the time, and writes down what happens.
//!
//! Each action is written down when it has been done, not when it was planned.

use std::collections::VecDeque;
use std::time::Duration;

use rustix::process::Signal;

use super::bounds::{Bounds, JUDGE, PATIENCE, POLL, STALL, TICK};
use super::model::Model;
use super::payload;
use super::plan::{Action, Plan};
use super::report::Report;
use super::roles::{Participants, Settings};
use super::rules::{self, Rule, Verdict, Violation};
use super::timeline::{self, Command, Timeline, What};
use crate::Stop;
use crate::fleet::event::EventKind;
use crate::fleet::folder::Folder;
use crate::fleet::programs::Programs;
use crate::fleet::{Fleet, Members, Observed, logs};

/// Runs one soak and shows what came of it.
pub(super) fn soak(settings: Settings, programs: Programs) -> Result<Verdict, Stop> {
    let Settings { participants, length, seed, json, keep } = settings;
    let mut folder = Folder::create("soak")?;
    let fleet = Fleet::new(programs.copied_to(folder.path())?, folder.path()).on_own_address();
    for member in participants.all() {
        fleet.certify(&participants.name(member), None)?;
    }
    let runner = Runner {
        participants,
        fleet,
        report: Report::new(participants, seed, json),
        timeline: Timeline::default(),
        members: participants.all().map(|_| Member::default()).collect(),
        next_message: 1,
        next_poll: Duration::ZERO,
        polled: 0,
        next_verdict: None,
        verdict: Verdict::default(),
    };
    let verdict = runner.run(&Plan::draw(seed, participants, length), length);
    if keep || verdict.as_ref().is_ok_and(|verdict| !verdict.violations.is_empty()) {
        folder.keep();
    }
    if keep {
        eprintln!("xtask: its files are in {}", folder.path().display());
    }
    verdict
}

struct Runner {
    participants: Participants,
    fleet: Fleet,
    report: Report,
    timeline: Timeline,
    /// One for each member, in the order of the participants.
    members: Vec<Member>,
    next_message: u32,
    next_poll: Duration,
    polled: usize,
    /// Since the cluster has formed until it closes down.
    next_verdict: Option<Duration>,
    verdict: Verdict,
}

#[derive(Default)]
struct Member {
    version: u32,
    /// Its process listens and was not told to go or stopped.
    is_up: bool,
    /// Commands that it has not answered: whether they ask for its members.
    unanswered: VecDeque<bool>,
    /// How much of its log has been read.
    log_read: usize,
}

impl Runner {
    /// Runs the plan to its end, or until a rule is broken.
    ///
    /// # Errors
    /// [`Stop::Interrupted`] after Ctrl-C, or what kept a process from being started.
    fn run(mut self, plan: &Plan, length: Duration) -> Result<Verdict, Stop> {
        self.form()?;
        self.follow(plan, length)?;
        if self.is_well() {
            self.read_logs();
            self.verdict = rules::judge(self.participants, &self.timeline, true);
        }
        let formed_and_judged = self.now();
        self.quit()?;
        let Self { report, verdict, timeline, fleet, .. } = self;
        report.close(&verdict, &timeline, fleet.folder(), formed_and_judged)?;
        Ok(verdict)
    }

    fn now(&self) -> Duration {
        self.fleet.elapsed()
    }

    fn is_well(&self) -> bool {
        self.verdict.violations.is_empty()
    }

    fn note(&mut self, member: usize, what: What) {
        let at = self.now();
        self.timeline.push(at, member, what);
    }

    /// Starts everybody and waits until all see all.
    fn form(&mut self) -> Result<(), Stop> {
        for member in self.participants.all() {
            self.start(member)?;
            let deadline = self.now() + PATIENCE;
            // The others join through the first.
            while member == 0 && !self.members[0].is_up && self.now() < deadline {
                self.wait(deadline)?;
            }
        }
        self.wait_for_agreement(self.now() + PATIENCE)?;
        self.note(0, What::Formed);
        self.next_verdict = Some(self.now() + JUDGE);
        Ok(())
    }

    fn follow(&mut self, plan: &Plan, length: Duration) -> Result<(), Stop> {
        let formed = self.now();
        let mut actions: VecDeque<(Duration, usize, Action)> = plan.actions.clone().into();
        let end = formed + length;
        while self.now() < end && self.is_well() {
            let next = actions.front().map_or(end, |(at, ..)| end.min(formed + *at));
            if self.now() < next {
                self.wait(next)?;
            } else if let Some((at, member, action)) = actions.pop_front() {
                if action == Action::Start && self.is_running(member) {
                    // Its former process has not quite ended.
                    let later = self.now() - formed + TICK;
                    let place = actions.partition_point(|(other, ..)| *other <= later);
                    actions.insert(place, (later.max(at), member, action));
                } else {
                    self.perform(member, action)?;
                }
            }
        }
        if self.is_well() {
            let last_fault = Model::new(self.participants, &self.timeline).last_fault();
            let repair = Bounds::new(self.participants.members).repair();
            self.wait_for_agreement(last_fault + repair * 2)?;
        }
        Ok(())
    }

    /// Waits until all lists are the same and true; whether they are in time is the oracle's.
    fn wait_for_agreement(&mut self, deadline: Duration) -> Result<(), Stop> {
        let since = self.now();
        while self.now() < deadline {
            let model = Model::new(self.participants, &self.timeline);
            if rules::disagreement(&model, since).is_none() {
                break;
            }
            self.wait((self.now() + POLL / 4).min(deadline))?;
        }
        Ok(())
    }

    fn perform(&mut self, member: usize, action: Action) -> Result<(), Stop> {
        let word = match action {
            Action::Start => {
                self.start(member)?;
                "start"
            }
            Action::Kill => {
                self.goes(member, What::Killed);
                self.signal(member, Signal::KILL);
                "kill"
            }
            Action::Freeze => {
                self.members[member].is_up = false;
                self.signal(member, Signal::STOP);
                self.note(member, What::Frozen);
                "freeze"
            }
            Action::Thaw => {
                self.note(member, What::Thawed);
                self.signal(member, Signal::CONT);
                self.members[member].is_up = true;
                "thaw"
            }
            Action::Leave => {
                self.leave(member);
                "leave"
            }
            _ => {
                if self.members[member].is_up {
                    self.talk(member, action);
                }
                return Ok(());
            }
        };
        self.report.did(word, member, self.now());
        Ok(())
    }

    fn talk(&mut self, from: usize, action: Action) {
        let name = |member| self.participants.name(member);
        match action {
            Action::Meta => {
                let meta = self.next_meta(from);
                let line = format!("meta {meta}");
                self.ask(from, Command::Meta(meta), &line);
            }
            Action::Send { to, reliable, size, count } => {
                let line = format!("{} {}", if reliable { "sendr" } else { "send" }, name(to));
                for _ in 0..count {
                    let (number, text) = self.compose(size);
                    let command = Command::Send { number, reliable, to: Some(to) };
                    self.ask(from, command, &format!("{line} {text}"));
                }
            }
            Action::Broadcast { size } => {
                let (number, text) = self.compose(size);
                let command = Command::Send { number, reliable: false, to: None };
                self.ask(from, command, &format!("bcast {text}"));
            }
            Action::Ping { to } => {
                let line = format!("ping {}", name(to));
                self.ask(from, Command::Ping { to }, &line);
            }
            Action::Stream { to, size } => {
                let line = format!("stream {} echo", name(to));
                let (_, text) = self.compose(size);
                let line = format!("{line} {text}");
                self.ask(from, Command::Stream { to, text }, &line);
            }
            _ => {}
        }
    }

    fn compose(&mut self, size: usize) -> (u32, String) {
        let number = self.next_message;
        self.next_message += 1;
        (number, payload::compose(number, size))
    }

    fn ask(&mut self, member: usize, command: Command, line: &str) {
        self.members[member].unanswered.push_back(command == Command::Members);
        self.note(member, What::Asked(command));
        self.fleet.send(&self.participants.name(member), line);
    }

    fn signal(&mut self, member: usize, signal: Signal) {
        self.fleet.signal(&self.participants.name(member), signal);
    }

    fn goes(&mut self, member: usize, how: What) {
        self.members[member].is_up = false;
        self.note(member, how);
    }

    fn leave(&mut self, member: usize) {
        self.goes(member, What::ToldToLeave);
        self.ask(member, Command::Leave, "leave");
        self.ask(member, Command::Quit, "quit");
    }

    fn is_running(&self, member: usize) -> bool {
        self.fleet.is_running(&self.participants.name(member))
    }

    fn start(&mut self, member: usize) -> Result<(), Stop> {
        let (name, meta) = (self.participants.name(member), self.next_meta(member));
        let others = self.fleet.others(&name);
        let flags = ["--profile", "lan", "--meta", &meta, "--join", &others];
        self.members[member].unanswered.clear();
        self.note(member, What::Started(meta.clone()));
        self.fleet.spawn(&name, if others.is_empty() { &flags[..4] } else { &flags })
    }

    fn next_meta(&mut self, member: usize) -> String {
        self.members[member].version += 1;
        format!("{}-v{}", self.participants.name(member), self.members[member].version)
    }

    /// Takes in what happens next, at the latest until the deadline or the next tick.
    fn wait(&mut self, deadline: Duration) -> Result<(), Stop> {
        let began = self.now();
        let deadline = deadline.min(self.next_poll).max(began).min(began + TICK);
        let observed = self.fleet.next(deadline)?;
        let now = self.now();
        if now > deadline + STALL {
            self.timeline.push(now, 0, What::Stalled(deadline));
        }
        if let Some(observation) = observed
            && let Some(member) = self.participants.find(&observation.name)
        {
            self.observe(member, observation.at.max(self.timeline.end()), observation.what);
        }
        if now >= self.next_poll {
            self.poll(now);
        }
        if self.next_verdict.is_some_and(|next| now >= next) {
            self.read_logs();
            self.verdict = rules::judge(self.participants, &self.timeline, false);
            self.next_verdict = Some(self.now() + JUDGE.max(now / 40));
            self.report.progress(&self.verdict, now);
        }
        Ok(())
    }

    fn observe(&mut self, member: usize, at: Duration, what: Observed) {
        let noted = match what {
            Observed::Exited(code) => {
                self.members[member].is_up = false;
                Some(What::Exited(code))
            }
            Observed::Malformed { line, error } => {
                Some(What::Malformed(format!("{error}: {}", timeline::start(&line, 200))))
            }
            Observed::Event(event, _) => {
                match event.kind {
                    EventKind::Ready { .. } => self.members[member].is_up = true,
                    EventKind::Reply(_) => drop(self.members[member].unanswered.pop_front()),
                    _ => {}
                }
                timeline::said(*event, self.participants)
            }
        };
        if let Some(what) = noted {
            self.timeline.push(at, member, what);
        }
    }

    /// Asks the next member, unless it cannot answer or has not answered yet.
    fn poll(&mut self, now: Duration) {
        let count = self.participants.members;
        self.next_poll = now + POLL / u32::try_from(count).unwrap_or(u32::MAX);
        let (member, round) = (self.polled % count, self.polled / count);
        self.polled += 1;
        let Member { is_up, unanswered, .. } = &self.members[member];
        if !is_up || unanswered.contains(&true) {
            return;
        }
        self.ask(member, Command::Members, "members");
        if round.is_multiple_of(2) {
            self.ask(member, Command::Stats, "stats");
        }
    }

    /// New lines of all logs at WARN and above; of Go peers, only that they panicked.
    fn read_logs(&mut self) {
        for member in self.participants.all() {
            let log = logs::read(&self.fleet.log(&self.participants.name(member)));
            let new = log.get(self.members[member].log_read..).unwrap_or_default();
            // A line that is being written is left for the next time.
            let whole = &new[..new.rfind('\n').map_or(0, |end| end + 1)];
            self.members[member].log_read += whole.len();
            if self.participants.is_go(member) {
                if let Some(line) = logs::first_panic_of_go(whole) {
                    self.note(member, What::LoggedError(line.to_owned()));
                }
            } else {
                whole.lines().filter_map(timeline::logged).for_each(|what| self.note(member, what));
            }
        }
    }

    /// Lets all leave; each must end by itself.
    fn quit(&mut self) -> Result<(), Stop> {
        (self.next_verdict, self.next_poll) = (None, Duration::MAX);
        for member in self.participants.all() {
            if self.members[member].is_up {
                self.leave(member);
            } else {
                self.signal(member, Signal::KILL);
            }
        }
        let deadline = self.now() + PATIENCE;
        loop {
            let running = self.participants.all().filter(|member| self.is_running(*member));
            let late: Vec<String> = running.map(|member| self.participants.name(member)).collect();
            if late.is_empty() {
                return Ok(());
            }
            if self.now() >= deadline {
                let what = format!("{} did not quit", late.join(", "));
                let violation = Violation { rule: Rule::Service, at: deadline, member: None, what };
                self.verdict.violations.push(violation);
                return Ok(());
            }
            self.wait(deadline)?;
        }
    }
}
