//! Carries out the plan, asks everybody all the time, and writes down what happens.
//!
//! Each action is written down when it has been done, not when it was planned.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use super::bounds::Bounds;
use super::model::Model;
use super::node_log::logged;
use super::payload;
use super::plan::{Action, Plan};
use super::report::Report;
use super::rules::{self, Rule, Verdict, Violation};
use super::settings::{Participants, Settings};
use super::timeline::{self, Command, Said, Timeline, What};
use crate::Stop;
use crate::fleet::event::EventKind;
use crate::fleet::{Fleet, MemberId, MemberSpec, Members, Observed, Program, logs};

/// Each member is asked for its members this often, and for what it uses half as often.
const POLL: Duration = Duration::from_secs(2);
/// The runner wakes at least this often; waking much later, it knows that the machine stood still.
const TICK: Duration = Duration::from_millis(100);
/// Half of the probe timeout: a pause that may make a member miss an answer.
const STALL: Duration = Duration::from_millis(250);
/// How often the timeline is judged, at first. A long one is judged less often.
const JUDGE: Duration = Duration::from_secs(10);
/// How long the cluster may take to form, and to close down.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Runner<'a> {
    participants: Participants,
    bounds: Bounds,
    settings: Settings,
    plan: &'a Plan,
    fleet: Fleet,
    report: Report,
    timeline: Timeline,
    /// One for each member, in the order of the participants.
    members: Vec<Member>,
    next_message: u32,
    next_poll: Duration,
    polled: usize,
    next_verdict: Duration,
    verdict: Verdict,
    closing: bool,
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

impl<'a> Runner<'a> {
    pub(super) fn new(settings: Settings, plan: &'a Plan, fleet: Fleet, report: Report) -> Self {
        let participants = settings.participants;
        Self {
            participants,
            bounds: Bounds::new(participants.members),
            settings,
            plan,
            fleet,
            report,
            timeline: Timeline::default(),
            members: participants.all().map(|_| Member::default()).collect(),
            next_message: 1,
            next_poll: Duration::ZERO,
            polled: 0,
            next_verdict: Duration::ZERO,
            verdict: Verdict::default(),
            closing: false,
        }
    }

    /// Runs the plan to its end, or until a rule is broken.
    ///
    /// # Errors
    /// [`Stop::Interrupted`] after Ctrl-C, or what kept a process from being started.
    pub(super) fn run(mut self, folder: &Path) -> Result<Verdict, Stop> {
        self.form()?;
        if self.verdict.violations.is_empty() {
            self.follow_plan()?;
        }
        if self.verdict.violations.is_empty() {
            self.read_logs();
            self.verdict = rules::judge(self.participants, &self.timeline, true);
        }
        let formed_and_judged = self.now();
        self.quit()?;
        self.report.write_timeline(&self.timeline, folder)?;
        let violations = &self.verdict.violations;
        if violations.is_empty() {
            self.report.passed(&self.verdict, formed_and_judged);
        } else {
            self.report.failed(&self.verdict, &self.timeline, folder, formed_and_judged);
        }
        Ok(self.verdict)
    }

    fn now(&self) -> Duration {
        self.fleet.elapsed()
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
        self.next_verdict = self.now() + JUDGE;
        Ok(())
    }

    fn follow_plan(&mut self) -> Result<(), Stop> {
        let formed = self.now();
        let mut actions: VecDeque<(Duration, Action)> = self.plan.actions.clone().into();
        let end = formed + self.settings.length;
        while self.now() < end && self.verdict.violations.is_empty() {
            let next = actions.front().map_or(end, |(at, _)| end.min(formed + *at));
            if self.now() < next {
                self.wait(next)?;
            } else if let Some((at, action)) = actions.pop_front()
                && !self.perform(action)?
            {
                // Its former process has not quite ended.
                let later = self.now() - formed + TICK;
                let place = actions.partition_point(|(other, _)| *other <= later);
                actions.insert(place, (later.max(at), action));
            }
        }
        if self.verdict.violations.is_empty() {
            let last_fault = Model::new(self.participants, &self.timeline).last_fault();
            self.wait_for_agreement(last_fault + self.bounds.repair() * 2)?;
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

    /// Does one action; `false` if it is too early for it.
    fn perform(&mut self, action: Action) -> Result<bool, Stop> {
        match action {
            Action::Start { member } if self.is_running(member) => return Ok(false),
            Action::Start { member } => self.start(member)?,
            Action::Kill { member } => {
                self.goes(member, What::Killed);
                self.fleet.kill(MemberId(member));
            }
            Action::Freeze { member } => {
                self.members[member].is_up = false;
                self.fleet.freeze(MemberId(member));
                self.note(member, What::Frozen);
            }
            Action::Thaw { member } => {
                self.note(member, What::Thawed);
                self.fleet.thaw(MemberId(member));
                self.members[member].is_up = true;
            }
            Action::Leave { member } => self.leave(member),
            Action::Meta { member } if self.members[member].is_up => {
                let meta = self.next_meta(member);
                self.ask(member, Command::Meta, &format!("meta {meta}"));
                self.note(member, What::Meta(meta));
            }
            Action::Meta { .. } => {}
            Action::Send { from, .. }
            | Action::Broadcast { from, .. }
            | Action::Ping { from, .. }
            | Action::Stream { from, .. } => {
                if self.members[from].is_up {
                    self.talk(action);
                }
            }
        }
        self.report.did(self.participants, action, self.now());
        Ok(true)
    }

    fn talk(&mut self, action: Action) {
        let name = |member| self.participants.name(member);
        match action {
            Action::Send { from, to, reliable, size, count } => {
                let (word, to_name) = (if reliable { "sendr" } else { "send" }, name(to));
                for _ in 0..count {
                    let (number, text) = self.compose(size);
                    let command = Command::Send { number, reliable, to: Some(to) };
                    self.ask(from, command, &format!("{word} {to_name} {text}"));
                }
            }
            Action::Broadcast { from, size } => {
                let (number, text) = self.compose(size);
                let command = Command::Send { number, reliable: false, to: None };
                self.ask(from, command, &format!("bcast {text}"));
            }
            Action::Ping { from, to } => {
                let line = format!("ping {}", name(to));
                self.ask(from, Command::Ping { to }, &line);
            }
            Action::Stream { from, to, size } => {
                let to_name = name(to);
                let (_, text) = self.compose(size);
                let line = format!("stream {to_name} echo {text}");
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
        let lists = command == Command::Members;
        self.members[member].unanswered.push_back(lists);
        self.note(member, What::Asked(command));
        self.fleet.send(MemberId(member), line);
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
        self.fleet.is_running(MemberId(member))
    }

    fn start(&mut self, member: usize) -> Result<(), Stop> {
        let meta = self.next_meta(member);
        let (name, is_go) = (self.participants.name(member), self.participants.is_go(member));
        let program = if is_go { Program::GoPeer } else { Program::Node };
        let mut spec = MemberSpec::new(&name, program).with(&["--profile", "lan", "--meta", &meta]);
        spec.join = self.fleet.others(&name);
        self.members[member].unanswered.clear();
        self.note(member, What::Started(meta));
        self.fleet.spawn(&spec)?;
        Ok(())
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
        if let Some(observation) = observed {
            self.observe(observation.member.0, observation.at, observation.what);
        }
        if now >= self.next_poll && !self.closing {
            self.poll(now);
        }
        if now >= self.next_verdict && self.next_verdict > Duration::ZERO && !self.closing {
            self.read_logs();
            self.verdict = rules::judge(self.participants, &self.timeline, false);
            self.next_verdict = self.now() + JUDGE.max(now / 40);
            self.report.progress(self.participants, &self.verdict, now);
        }
        Ok(())
    }

    fn observe(&mut self, member: usize, at: Duration, what: Observed) {
        let at = at.max(self.timeline.end());
        match what {
            Observed::Exited(code) => {
                self.members[member].is_up = false;
                self.timeline.push(at, member, What::Exited(code));
            }
            Observed::Malformed { line, error } => {
                let start: String = line.chars().take(200).collect();
                let said = Said::Malformed(format!("{error}: {start}"));
                self.timeline.push(at, member, What::Said(said));
            }
            Observed::Event(event, _) => {
                match event.kind {
                    EventKind::Ready { .. } => self.members[member].is_up = true,
                    EventKind::Reply(_) => {
                        self.members[member].unanswered.pop_front();
                    }
                    _ => {}
                }
                let participants = self.participants;
                if let Some(said) = timeline::said(*event, |name| participants.find(name)) {
                    self.timeline.push(at, member, What::Said(said));
                }
            }
        }
    }

    /// Asks the next member, unless it cannot answer or has not answered yet.
    fn poll(&mut self, now: Duration) {
        let members = u32::try_from(self.participants.members).unwrap_or(u32::MAX);
        self.next_poll = now + POLL / members;
        let member = self.polled % self.participants.members;
        let with_stats = (self.polled / self.participants.members).is_multiple_of(2);
        self.polled += 1;
        let Member { is_up, unanswered, .. } = &self.members[member];
        if !is_up || unanswered.contains(&true) {
            return;
        }
        self.ask(member, Command::Members, "members");
        if with_stats {
            self.ask(member, Command::Stats, "stats");
        }
    }

    /// New lines of all logs at WARN and above.
    fn read_logs(&mut self) {
        for member in self.participants.all() {
            let log = logs::read(&self.fleet.log(MemberId(member)));
            let new = log.get(self.members[member].log_read..).unwrap_or_default();
            // A line that is being written is left for the next time.
            let whole = &new[..new.rfind('\n').map_or(0, |end| end + 1)];
            self.members[member].log_read += whole.len();
            let lines: Vec<Said> = if self.participants.is_go(member) {
                logs::first_panic_of_go(whole)
                    .map(|line| Said::LoggedError(line.to_owned()))
                    .into_iter()
                    .collect()
            } else {
                whole.lines().filter_map(logged).collect()
            };
            for said in lines {
                self.note(member, What::Said(said));
            }
        }
    }

    /// Lets all leave; each must end by itself.
    fn quit(&mut self) -> Result<(), Stop> {
        self.closing = true;
        for member in self.participants.all() {
            if self.members[member].is_up {
                self.leave(member);
            } else {
                self.fleet.kill(MemberId(member));
            }
        }
        let deadline = self.now() + PATIENCE;
        while self.participants.all().any(|member| self.is_running(member)) {
            if self.now() >= deadline {
                let late = self.participants.all().filter(|member| self.is_running(*member));
                let names: Vec<String> = late.map(|m| self.participants.name(m)).collect();
                let what = format!("{} did not quit", names.join(", "));
                let violation = Violation { rule: Rule::Service, at: deadline, member: None, what };
                self.verdict.violations.push(violation);
                break;
            }
            self.wait(deadline)?;
        }
        Ok(())
    }
}
