//! Carries out the schedule and asks everybody all the time.
//!
//! Performs and reports; decides no verdict. Each deed is told to the judge when it has been
//! done, not when it was planned.

use std::collections::VecDeque;
use std::time::Duration;

use rustix::process::Signal;

use super::fleet::{Fleet, Input};
use super::judge::{Broken, Judge};
use super::message_ledger::Kind;
use super::participants::Participants;
use super::plan::{Deed, Plan};
use super::screen::Screen;
use super::soak_event::{self, Event};
use super::time_bounds::Bounds;
use crate::Stop;

/// Each member is asked for its members this often, and for what it holds half as often.
const POLL: Duration = Duration::from_secs(2);
/// How often the judge is told that time has passed.
const TICK: Duration = Duration::from_millis(200);
/// More broken things than this tell nothing new.
const ENOUGH: usize = 25;
/// How long the cluster may take to gather, and to close down.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Play {
    participants: Participants,
    bounds: Bounds,
    lasting: Duration,
    fleet: Fleet,
    judge: Judge,
    screen: Screen,
    plan: Plan,
    broken: Vec<Broken>,
    next_tick: Duration,
    /// Everybody is asked in turn, evenly over the interval.
    next_poll: Duration,
    polled: usize,
    /// The cluster is closing down, and what members then believe does not matter.
    closing: bool,
}

impl Play {
    pub(super) fn new(
        participants: Participants,
        fleet: Fleet,
        screen: Screen,
        plan: Plan,
        lasting: Duration,
    ) -> Self {
        Self {
            participants,
            bounds: Bounds::new(participants.members),
            lasting,
            fleet,
            judge: Judge::new(participants),
            screen,
            plan,
            broken: Vec::new(),
            next_tick: Duration::ZERO,
            next_poll: Duration::ZERO,
            polled: 0,
            closing: false,
        }
    }

    /// Plays it to its end, or until there is enough to report.
    ///
    /// # Errors
    /// [`Stop::Interrupted`] after Ctrl-C, [`Stop::Failed`] when a process cannot be started.
    pub(super) fn run(&mut self) -> Result<(), Stop> {
        self.gather()?;
        let gathered = self.fleet.elapsed();
        self.judge.gathered(gathered);
        let mut deeds: VecDeque<(Duration, Deed)> = self.plan.deeds.clone().into();
        let end = gathered + self.lasting;
        while self.fleet.elapsed() < end && self.broken.len() < ENOUGH {
            match deeds.front() {
                Some((at, _)) if self.fleet.elapsed() >= gathered + *at => {
                    if let Some((at, deed)) = deeds.pop_front()
                        && !self.perform(&deed)?
                    {
                        // Its former process has not quite ended.
                        let place = deeds.partition_point(|(other, _)| *other <= at + TICK);
                        deeds.insert(place, (at + TICK, deed));
                    }
                }
                Some((at, _)) => self.wait(end.min(gathered + *at))?,
                None => self.wait(end)?,
            }
        }
        if self.broken.is_empty() {
            let patience = self.bounds.repair();
            self.wait_for_agreement("at the end", patience)?;
        }
        self.quit()?;
        self.judge.conclude(self.fleet.elapsed());
        self.collect();
        Ok(())
    }

    /// Ends all processes and hands over what there is to report.
    pub(super) fn close(self) -> (Judge, Screen, Plan, Vec<Broken>, Duration) {
        let at = self.fleet.elapsed();
        drop(self.fleet);
        (self.judge, self.screen, self.plan, self.broken, at)
    }

    /// Starts everybody and waits until all see all.
    fn gather(&mut self) -> Result<(), Stop> {
        let first = std::iter::once(0);
        for node in first.chain(1..self.participants.members) {
            self.start(node, 1)?;
            let deadline = self.fleet.elapsed() + PATIENCE;
            // The others join through the first.
            while node == 0 && !self.judge.is_well(0) && self.fleet.elapsed() < deadline {
                self.wait(deadline)?;
            }
        }
        self.wait_for_agreement("at the beginning", PATIENCE)
    }

    fn wait_for_agreement(&mut self, when: &str, patience: Duration) -> Result<(), Stop> {
        let deadline = self.fleet.elapsed() + patience;
        while let Some(difference) = self.judge.disagreement() {
            if self.fleet.elapsed() >= deadline {
                let what = format!("no agreement {when}: {difference}");
                self.breaks(Broken { at: self.fleet.elapsed(), node: None, what });
                break;
            }
            self.wait(deadline)?;
        }
        Ok(())
    }

    fn quit(&mut self) -> Result<(), Stop> {
        self.closing = true;
        for node in self.judge.running() {
            let at = self.fleet.elapsed();
            self.judge.asked(node, "quit", at);
            self.fleet.tell(node, "quit");
            self.judge.left(node, at);
        }
        let deadline = self.fleet.elapsed() + PATIENCE;
        while self.participants.everybody().any(|node| self.fleet.is_running(node)) {
            let at = self.fleet.elapsed();
            if at >= deadline {
                let late: Vec<String> = self
                    .participants
                    .everybody()
                    .filter(|node| self.fleet.is_running(*node))
                    .map(|node| self.participants.name(node))
                    .collect();
                let what = format!("{} did not quit", late.join(", "));
                self.breaks(Broken { at, node: None, what });
                break;
            }
            self.wait(deadline)?;
        }
        Ok(())
    }

    /// Does one deed; `false` if it is too early for it.
    fn perform(&mut self, deed: &Deed) -> Result<bool, Stop> {
        let at = self.fleet.elapsed();
        match deed {
            Deed::Kill { node } => {
                self.fleet.signal(*node, Signal::KILL);
                self.judge.killed(*node, at);
            }
            Deed::Start { node, .. } if self.fleet.is_running(*node) => return Ok(false),
            Deed::Start { node, version } => self.start(*node, *version)?,
            Deed::Freeze { node } => {
                self.fleet.signal(*node, Signal::STOP);
                self.judge.froze(*node, at);
            }
            Deed::Thaw { node } => {
                self.fleet.signal(*node, Signal::CONT);
                self.judge.thawed(*node, at);
            }
            Deed::Leave { node } => {
                for command in ["leave", "quit"] {
                    self.judge.asked(*node, command, at);
                    self.fleet.tell(*node, command);
                }
                self.judge.left(*node, at);
            }
            Deed::Meta { node, version } => self.change_meta(*node, *version, at),
            Deed::Send { from, to, reliable, size } => {
                let kind = if *reliable { Kind::Reliable } else { Kind::BestEffort };
                self.send(kind, *from, Some(*to), *size);
            }
            Deed::Broadcast { from, size } => self.send(Kind::Broadcast, *from, None, *size),
        }
        self.screen.did(self.participants, deed, at);
        Ok(true)
    }

    fn start(&mut self, node: usize, version: u32) -> Result<(), Stop> {
        let meta = self.meta(node, version);
        self.judge.started(node, meta.clone(), self.fleet.elapsed());
        self.fleet
            .start(node, &meta)
            .map_err(|error| Stop::Failed(format!("cannot start a process: {error}")))
    }

    fn meta(&self, node: usize, version: u32) -> String {
        format!("{}-v{version}", self.participants.name(node))
    }

    fn change_meta(&mut self, node: usize, version: u32, at: Duration) {
        if self.judge.is_well(node) {
            let meta = self.meta(node, version);
            self.judge.asked(node, "meta", at);
            self.fleet.tell(node, &format!("meta {meta}"));
            self.judge.changed_meta(node, meta, at);
        }
    }

    fn send(&mut self, kind: Kind, from: usize, to: Option<usize>, size: usize) {
        if self.judge.is_well(from) {
            let command = self.judge.sends(kind, from, to, size, self.fleet.elapsed());
            self.fleet.tell(from, &command);
        }
    }

    /// Takes in what happens next, at the latest until the deadline or the next tick.
    fn wait(&mut self, deadline: Duration) -> Result<(), Stop> {
        let deadline = deadline.min(self.next_tick).min(self.next_poll);
        match self.fleet.wait(deadline) {
            Some(Input::Line { node, line, at }) => self.read(node, &line, at),
            Some(Input::Exited { node, code, at }) => {
                self.fleet.exited(node);
                self.screen.ended(&self.participants.name(node), code, at);
                self.judge.exited(node, code, at);
            }
            Some(Input::Interrupted) => return Err(Stop::Interrupted),
            None => {}
        }
        let at = self.fleet.elapsed();
        if at >= self.next_poll {
            self.poll(at);
        }
        if at >= self.next_tick {
            self.next_tick = at + TICK;
            self.judge.tick(at);
            self.screen.draw(&self.judge, &self.plan, self.broken.len(), at);
        }
        self.collect();
        Ok(())
    }

    fn read(&mut self, node: usize, line: &str, at: Duration) {
        match soak_event::parse(line) {
            Ok(event) => {
                self.screen.heard(&self.participants.name(node), &event, line, at);
                if let Event::Ready(address) = event {
                    self.fleet.listens(node, address);
                }
                if !self.closing || matches!(event, Event::Reply(_)) {
                    self.judge.heard(node, &event, at);
                }
            }
            Err(reason) => self.judge.garbled(node, line, &reason, at),
        }
    }

    /// Asks the next member, unless it cannot answer or has not answered yet.
    fn poll(&mut self, at: Duration) {
        let members = u32::try_from(self.participants.members).unwrap_or(u32::MAX);
        self.next_poll = at + POLL / members;
        let node = self.polled % self.participants.members;
        let with_stats = (self.polled / self.participants.members).is_multiple_of(2);
        self.polled += 1;
        if !self.judge.is_well(node) || self.closing {
            return;
        }
        for (command, wanted) in [("members", true), ("stats", with_stats)] {
            if wanted && !self.judge.awaits(node, command) {
                self.judge.asked(node, command, at);
                self.fleet.tell(node, command);
            }
        }
    }

    fn collect(&mut self) {
        while let Some(broken) = self.judge.poll_broken() {
            self.breaks(broken);
        }
    }

    fn breaks(&mut self, broken: Broken) {
        let log = broken.node.map(|node| self.fleet.log(node));
        let name = broken.node.map(|node| self.participants.name(node));
        self.screen.broke(&broken, name.as_deref(), log.as_deref());
        self.broken.push(broken);
    }
}
