//! The verdict of a soak.
//!
//! Takes in what was done to the members and what they said, each with its time, and says what
//! broke. Performs nothing and reads no clock. It believes only what was carried out and what was
//! written, and counts what it judged, so that a soak in which nothing happened does not pass.

mod lists;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::flat::{GAUGES, Trend};
use super::message_ledger::{Kind, Messages};
use super::model::{Life, Subject};
use super::participants::Participants;
use super::replies::Replies;
use super::soak_event::{Event, Row, Usage, Words};
use super::time_bounds::Bounds;
use super::timings::{ChangeKind, Timings};
use crate::fleet::event::SeenState as State;

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) at: Duration,
    /// The member whose log tells more.
    pub(super) node: Option<usize>,
    pub(super) what: String,
}

/// What one process has told, and what it still owes.
#[derive(Default)]
struct Mind {
    /// By its events.
    believes: BTreeMap<usize, State>,
    /// Its last list of members.
    rows: BTreeMap<usize, Row>,
    /// Members about whom its events and its lists differ, and in how many lists on end.
    differs: BTreeMap<usize, u32>,
    /// When an event last told it that a member lives, with its present metadata if any.
    welcomed: BTreeMap<usize, Duration>,
    /// Members of whom its lists have told the truth since that changed last.
    settled: BTreeSet<usize>,
    replies: Replies,
}

/// What was judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Coverage {
    pub(super) lists: usize,
    pub(super) rows: usize,
    pub(super) events: usize,
    /// Crashes, freezes and leaves that were carried out.
    pub(super) faults: usize,
    pub(super) replies: usize,
    /// Suspicions of members that were well; allowed, since they were cleared.
    pub(super) suspicions: usize,
    /// Live members that were declared dead because a Go member was deaf while somebody was
    /// silent; excused.
    pub(super) deaf: usize,
    /// Declarations of death about sleepers and the dead.
    pub(super) deaths: usize,
}

/// What one process held in the course of its life.
pub(super) struct Record {
    pub(super) node: usize,
    pub(super) samples: Vec<Usage>,
}

pub(super) struct Judge {
    pub(super) participants: Participants,
    bounds: Bounds,
    subjects: Vec<Subject>,
    minds: Vec<Mind>,
    messages: Messages,
    timings: Timings,
    records: Vec<Record>,
    coverage: Coverage,
    broken: Vec<Broken>,
}

impl Judge {
    pub(super) fn new(participants: Participants) -> Self {
        let bounds = Bounds::new(participants.members);
        Self {
            participants,
            bounds,
            subjects: participants.everybody().map(|_| Subject::new()).collect(),
            minds: participants.everybody().map(|_| Mind::default()).collect(),
            messages: Messages::new(participants),
            timings: Timings::new(bounds),
            records: Vec::new(),
            coverage: Coverage::default(),
            broken: Vec::new(),
        }
    }

    /// All agree on everything: from here on each is held to it.
    pub(super) fn gathered(&mut self, at: Duration) {
        for subject in &mut self.subjects {
            subject.settled(at);
        }
    }

    /// A process was started with this metadata.
    pub(super) fn started(&mut self, node: usize, meta: String, at: Duration) {
        self.subjects[node].started(meta, at);
        self.forget(node);
        self.records.push(Record { node, samples: Vec::new() });
    }

    /// A process was killed.
    pub(super) fn killed(&mut self, node: usize, at: Duration) {
        self.coverage.faults += 1;
        self.subjects[node].killed(at, self.bounds);
        self.forget(node);
        self.announce(ChangeKind::Death, node, at);
    }

    /// A process was stopped.
    pub(super) fn froze(&mut self, node: usize, at: Duration) {
        self.coverage.faults += 1;
        self.subjects[node].froze(at, self.bounds);
        self.timings.excuse(node);
        self.announce(ChangeKind::Death, node, at);
    }

    /// A stopped process was continued.
    pub(super) fn thawed(&mut self, node: usize, at: Duration) {
        let Some(since) = self.subjects[node].frozen else { return };
        let slept = at.saturating_sub(since);
        self.minds[node].replies.postpone(slept);
        self.subjects[node].thawed(at, self.bounds);
        self.unsettle(node);
        self.minds[node].settled.clear();
        self.timings.supersede(node, at);
        let mourners: Vec<usize> = self
            .witnesses(node, at)
            .filter(|observer| self.minds[*observer].believes.get(&node) == Some(&State::Failed))
            .collect();
        self.timings.begin(ChangeKind::Return, node, mourners.into_iter(), at);
        if slept + self.bounds.spread() < self.bounds.memory() {
            return;
        }
        for other in self.participants.everybody().filter(|other| *other != node) {
            if self.subjects[other].is_rumoured(since, at, self.bounds) {
                self.unsettle(other);
            }
        }
    }

    /// A process was told to leave and to quit.
    pub(super) fn left(&mut self, node: usize, at: Duration) {
        self.coverage.faults += 1;
        self.subjects[node].left(at, self.bounds);
        self.timings.excuse(node);
        self.announce(ChangeKind::Departure, node, at);
    }

    /// A member was given new metadata.
    pub(super) fn changed_meta(&mut self, node: usize, meta: String, at: Duration) {
        self.subjects[node].changed_meta(meta, at, self.bounds);
        self.announce(ChangeKind::Update, node, at);
    }

    /// A command was written to a process.
    pub(super) fn asked(&mut self, node: usize, command: &'static str, at: Duration) {
        self.ask(node, command, None, at);
    }

    fn ask(&mut self, node: usize, command: &'static str, message: Option<u32>, at: Duration) {
        // Go's best-effort send waits for its dial.
        let dials = command == "send" && self.participants.is_go(node);
        let patient = dials || matches!(command, "sendr" | "leave" | "quit" | "meta");
        let patience = if patient { self.bounds.patient_reply() } else { self.bounds.reply() };
        self.minds[node].replies.ask(command, message, at, patience);
    }

    /// A member is to send a message; returns the command.
    pub(super) fn sends(
        &mut self,
        kind: Kind,
        from: usize,
        to: Option<usize>,
        size: usize,
        at: Duration,
    ) -> String {
        let due = at + self.bounds.delivery();
        let (number, text) = self.messages.send(kind, from, to, size, (at, due));
        let command = match kind {
            Kind::BestEffort => "send",
            Kind::Reliable => "sendr",
            Kind::Broadcast => "bcast",
        };
        self.ask(from, command, Some(number), at);
        match to {
            Some(to) => format!("{command} {} {text}", self.participants.name(to)),
            None => format!("{command} {text}"),
        }
    }

    /// A process ended, with this exit code unless a signal ended it.
    pub(super) fn exited(&mut self, node: usize, code: Option<i32>, at: Duration) {
        let expected = match self.subjects[node].life {
            Life::Killed => code.is_none(),
            Life::Leaving => code == Some(0),
            Life::Coming | Life::Up => false,
        };
        if !expected {
            let how = code.map_or("a signal".to_owned(), |code| format!("exit code {code}"));
            self.breaks(at, Some(node), format!("ended with {how}, unasked"));
            self.subjects[node].killed(at, self.bounds);
            self.unsettle(node);
        }
        if self.minds[node].replies.awaits("leave") || self.minds[node].replies.awaits("quit") {
            self.breaks(at, Some(node), "ended without answering leave and quit".to_owned());
        }
        self.forget(node);
    }

    /// A member wrote a line that is no event.
    pub(super) fn garbled(&mut self, node: usize, line: &str, reason: &str, at: Duration) {
        let shown: String = line.chars().take(200).collect();
        self.breaks(at, Some(node), format!("wrote what is no event ({reason}): {shown}"));
    }

    /// A member wrote this event.
    pub(super) fn heard(&mut self, node: usize, event: &Event, at: Duration) {
        self.coverage.events += 1;
        match event {
            Event::Ready(_) => self.ready(node, at),
            Event::View { about, state, meta, by } => {
                let words = Words { meta: meta.as_deref(), by: by.as_deref() };
                self.believes(node, about, *state, words, at);
            }
            Event::Update { about, meta } => {
                if let Some(subject) = self.known(node, about, at) {
                    self.read_meta(node, subject, meta, at);
                }
            }
            Event::Message { from, reliable, text } => {
                if let Err(what) = self.messages.arrived(node, from.as_deref(), *reliable, text) {
                    self.breaks(at, Some(node), what);
                }
            }
            Event::Conflict { about } => {
                self.breaks(at, Some(node), format!("sees two members called {about}"));
            }
            Event::Reply(reply) => self.answered(node, reply, at),
            Event::Other => {}
        }
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, at: Duration) {
        for node in self.participants.everybody() {
            let subject = &self.subjects[node];
            if subject.life == Life::Coming && at > subject.since + self.bounds.ready() {
                self.breaks(at, Some(node), "does not get ready".to_owned());
                self.subjects[node].since = at;
            }
            if self.subjects[node].frozen.is_some() {
                continue;
            }
            while let Some(asked) = self.minds[node].replies.overdue(at) {
                let age = at.saturating_sub(asked.at).as_secs_f64();
                let what = format!("has not answered \"{}\" for {age:.1} s", asked.command);
                self.breaks(at, Some(node), what);
            }
        }
        let subjects = &self.subjects;
        let missing = self.messages.tick(at, |node, since| subjects[node].was_well_since(since));
        for (node, what) in missing {
            self.breaks(at, Some(node), what);
        }
        self.timings.tick(at);
    }

    /// The next thing that broke, until there is none.
    pub(super) fn poll_broken(&mut self) -> Option<Broken> {
        if self.broken.is_empty() { None } else { Some(self.broken.remove(0)) }
    }

    /// Whether the member can be asked.
    pub(super) fn is_well(&self, node: usize) -> bool {
        self.subjects[node].is_well()
    }

    /// Whether a reply to this command is under way.
    pub(super) fn awaits(&self, node: usize, command: &str) -> bool {
        self.minds[node].replies.awaits(command)
    }

    /// The verdicts that need the whole soak, to be asked for once at its end.
    pub(super) fn conclude(&mut self, at: Duration) {
        for complaint in self.timings.complaints().into_iter().chain(self.messages.complaints()) {
            self.breaks(at, None, complaint);
        }
        let mut judged = false;
        for record in std::mem::take(&mut self.records) {
            // What Go peers leak is not ours to judge.
            let gauges = if self.participants.is_go(record.node) { &[][..] } else { &GAUGES[..] };
            for gauge in gauges {
                match gauge.judge(&record.samples) {
                    Trend::Unknown => {}
                    Trend::Flat => judged = true,
                    Trend::Grows { from, to } => {
                        judged = true;
                        let (name, unit) = (gauge.name, gauge.unit);
                        let what = format!("{name} grows: {from} {unit} became {to} {unit}");
                        self.breaks(at, Some(record.node), what);
                    }
                }
            }
            self.records.push(record);
        }
        if !judged {
            self.breaks(at, None, "no process lived long enough to show a leak".to_owned());
        }
        let coverage = self.coverage;
        for (count, what) in [
            (coverage.faults, "fault"),
            (coverage.rows, "row of a list"),
            (coverage.events, "event"),
            (coverage.replies, "reply"),
        ] {
            if count == 0 {
                self.breaks(at, None, format!("not one {what} came to be judged"));
            }
        }
    }

    pub(super) fn coverage(&self) -> Coverage {
        self.coverage
    }

    pub(super) fn timings(&self) -> &Timings {
        &self.timings
    }

    pub(super) fn messages(&self) -> &Messages {
        &self.messages
    }

    /// One for each process, in the order of their starts; all of them after [`Self::conclude`].
    pub(super) fn records(&self) -> &[Record] {
        &self.records
    }

    fn breaks(&mut self, at: Duration, node: Option<usize>, what: String) {
        self.broken.push(Broken { at, node, what });
    }

    fn forget(&mut self, node: usize) {
        self.timings.excuse(node);
        self.minds[node].replies.clear();
        let replies = std::mem::take(&mut self.minds[node].replies);
        self.minds[node] = Mind { replies, ..Mind::default() };
    }

    /// Members of ours that are well, except the subject. Go members hear in their
    /// own time.
    fn witnesses(&self, subject: usize, at: Duration) -> impl Iterator<Item = usize> + '_ {
        self.participants.everybody().filter(move |node| {
            *node != subject
                && !self.participants.is_go(*node)
                && self.subjects[*node].was_well_since(at)
        })
    }

    /// The truth about this member has changed.
    fn unsettle(&mut self, subject: usize) {
        for mind in &mut self.minds {
            mind.settled.remove(&subject);
        }
    }

    fn announce(&mut self, kind: ChangeKind, subject: usize, at: Duration) {
        self.unsettle(subject);
        let observers: Vec<usize> = self.witnesses(subject, at).collect();
        self.timings.begin(kind, subject, observers.into_iter(), at);
    }

    fn ready(&mut self, node: usize, at: Duration) {
        self.subjects[node].ready(at, self.bounds);
        self.announce(ChangeKind::Return, node, at);
    }

    /// The members that are up and run.
    pub(super) fn running(&self) -> BTreeSet<usize> {
        self.participants.everybody().filter(|node| self.is_well(*node)).collect()
    }
}

#[cfg(test)]
mod tests;
