//! The verdict of a soak.
//!
//! Takes in what was done to the members and what they said, each with its time, and says what
//! broke. Performs nothing and reads no clock. It believes only what was carried out and what was
//! written, and counts what it judged, so that a soak in which nothing happened does not pass.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::bounds::Bounds;
use super::cast::Cast;
use super::event::{Event, Reply, Row, Usage};
use super::flat::{GAUGES, Trend};
use super::messages::{Kind, Messages};
use super::replies::Replies;
use super::timings::{News, Timings};
use super::truth::{Life, Subject};
use crate::demo::event::State;

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
    replies: Replies,
}

/// What was judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) lists: usize,
    pub(super) rows: usize,
    pub(super) events: usize,
    /// Crashes, freezes and leaves that were carried out.
    pub(super) faults: usize,
    pub(super) replies: usize,
    /// Suspicions of members that were well; allowed, since they were cleared.
    pub(super) suspicions: usize,
    /// Declarations of death about sleepers and the dead.
    pub(super) deaths: usize,
}

/// What one process held in the course of its life.
pub(super) struct Record {
    pub(super) node: usize,
    pub(super) samples: Vec<Usage>,
}

/// Lists that may differ from the events told so far: those under way when something changed.
const DIFFERENT_LISTS: u32 = 2;

pub(super) struct Judge {
    pub(super) cast: Cast,
    bounds: Bounds,
    subjects: Vec<Subject>,
    minds: Vec<Mind>,
    messages: Messages,
    timings: Timings,
    records: Vec<Record>,
    tally: Tally,
    broken: Vec<Broken>,
}

impl Judge {
    pub(super) fn new(cast: Cast) -> Self {
        let bounds = Bounds::new(cast.members);
        Self {
            cast,
            bounds,
            subjects: cast.everybody().map(|_| Subject::new()).collect(),
            minds: cast.everybody().map(|_| Mind::default()).collect(),
            messages: Messages::new(cast),
            timings: Timings::new(bounds),
            records: Vec::new(),
            tally: Tally::default(),
            broken: Vec::new(),
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
        self.tally.faults += 1;
        self.subjects[node].killed(at, self.bounds);
        self.forget(node);
        self.announce(News::Death, node, at);
    }

    /// A process was stopped.
    pub(super) fn froze(&mut self, node: usize, at: Duration) {
        self.tally.faults += 1;
        self.subjects[node].froze(at, self.bounds);
        self.timings.excuse(node);
        self.announce(News::Death, node, at);
    }

    /// A stopped process was continued.
    pub(super) fn thawed(&mut self, node: usize, at: Duration) {
        let Some(since) = self.subjects[node].frozen else { return };
        let slept = at.saturating_sub(since);
        self.minds[node].replies.postpone(slept);
        self.subjects[node].thawed(at, self.bounds);
        self.timings.supersede(node, at);
        let mourners: Vec<usize> = self
            .witnesses(node, at)
            .filter(|observer| self.minds[*observer].believes.get(&node) == Some(&State::Failed))
            .collect();
        self.timings.begin(News::Return, node, mourners.into_iter(), at);
        if slept + self.bounds.spread() < self.bounds.memory() {
            return;
        }
        // The others have forgotten who died meanwhile, and may learn from it that he lives.
        let again = at + self.bounds.detection();
        for (subject, other) in self.subjects.iter_mut().enumerate() {
            let died = matches!(other.life, Life::Killed | Life::Leaving)
                || other.frozen.is_some() && subject != node;
            if died && other.since + self.bounds.detection() > since {
                other.may_be_resurrected(again);
            }
        }
    }

    /// A process was told to leave and to quit.
    pub(super) fn left(&mut self, node: usize, at: Duration) {
        self.tally.faults += 1;
        self.subjects[node].left(at, self.bounds);
        self.timings.excuse(node);
        self.announce(News::Departure, node, at);
    }

    /// A member was given new metadata.
    pub(super) fn changed_meta(&mut self, node: usize, meta: String, at: Duration) {
        self.subjects[node].changed_meta(meta, at, self.bounds);
        self.announce(News::Update, node, at);
    }

    /// A command was written to a process.
    pub(super) fn asked(&mut self, node: usize, command: &'static str, at: Duration) {
        self.ask(node, command, None, at);
    }

    fn ask(&mut self, node: usize, command: &'static str, message: Option<u32>, at: Duration) {
        let patient = matches!(command, "sendr" | "leave" | "quit" | "meta");
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
            Some(to) => format!("{command} {} {text}", self.cast.name(to)),
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
        self.tally.events += 1;
        match event {
            Event::Ready(_) => self.ready(node, at),
            Event::View { about, state, meta } => {
                self.believes(node, about, *state, meta.as_deref(), at);
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
        for node in self.cast.everybody() {
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

    /// Why not all agree that all are alive, by their last lists; `None` once they do.
    pub(super) fn disagreement(&self) -> Option<String> {
        for observer in self.cast.everybody() {
            let name = self.cast.name(observer);
            for subject in self.cast.everybody() {
                let about = self.cast.name(subject);
                let Some(row) = self.minds[observer].rows.get(&subject) else {
                    return Some(format!("{name} does not list {about}"));
                };
                if row.state != State::Alive || row.meta != self.subjects[subject].meta {
                    return Some(format!("{name} lists {about} as {} \"{}\"", row.state, row.meta));
                }
                let own = self.minds[subject].rows.get(&subject);
                if own.is_none_or(|own| own.incarnation != row.incarnation) {
                    let incarnation = row.incarnation;
                    return Some(format!("{name} lists {about} at incarnation {incarnation}"));
                }
            }
        }
        None
    }

    /// The verdicts that need the whole soak, to be asked for once at its end.
    pub(super) fn conclude(&mut self, at: Duration) {
        for complaint in self.timings.complaints().into_iter().chain(self.messages.complaints()) {
            self.breaks(at, None, complaint);
        }
        let mut judged = false;
        for record in std::mem::take(&mut self.records) {
            // What Go peers leak is not ours to judge.
            let gauges = if self.cast.is_go(record.node) { &[][..] } else { &GAUGES[..] };
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
        let tally = self.tally;
        for (count, what) in [
            (tally.faults, "fault"),
            (tally.rows, "row of a list"),
            (tally.events, "event"),
            (tally.replies, "reply"),
        ] {
            if count == 0 {
                self.breaks(at, None, format!("not one {what} came to be judged"));
            }
        }
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally
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

    /// Members of ours that are well and settled, except the subject. Go members hear in their
    /// own time.
    fn witnesses(&self, subject: usize, at: Duration) -> impl Iterator<Item = usize> + '_ {
        self.cast.everybody().filter(move |node| {
            *node != subject && !self.cast.is_go(*node) && self.subjects[*node].is_accountable(at)
        })
    }

    fn announce(&mut self, news: News, subject: usize, at: Duration) {
        let observers: Vec<usize> = self.witnesses(subject, at).collect();
        self.timings.begin(news, subject, observers.into_iter(), at);
    }

    fn ready(&mut self, node: usize, at: Duration) {
        self.subjects[node].ready(at, self.bounds);
        self.announce(News::Return, node, at);
    }

    fn known(&mut self, node: usize, about: &str, at: Duration) -> Option<usize> {
        let found = self.cast.find(about);
        if found.is_none() {
            self.breaks(at, Some(node), format!("speaks of {about}, who is not of this cluster"));
        }
        found
    }

    fn believes(
        &mut self,
        node: usize,
        about: &str,
        state: State,
        meta: Option<&str>,
        at: Duration,
    ) {
        let Some(subject) = self.known(node, about, at) else { return };
        self.minds[node].believes.insert(subject, state);
        let (seen, observer) = (&self.subjects[subject], &self.subjects[node]);
        if let Some(why) = seen.scandal(state, observer, at, self.bounds) {
            self.breaks(at, Some(node), format!("says that {about} is {state}, who {why}"));
        }
        match state {
            State::Alive => {
                if let Some(meta) = meta {
                    self.read_meta(node, subject, meta, at);
                }
            }
            State::Suspect => {
                let well = self.subjects[subject].was_well_since(at);
                self.tally.suspicions += usize::from(well);
            }
            State::Failed => {
                self.tally.deaths += 1;
                self.timings.heard(News::Death, subject, node, at);
            }
            State::Left => self.timings.heard(News::Departure, subject, node, at),
        }
    }

    fn read_meta(&mut self, node: usize, subject: usize, meta: &str, at: Duration) {
        if meta == self.subjects[subject].meta {
            self.timings.heard(News::Return, subject, node, at);
            self.timings.heard(News::Update, subject, node, at);
        }
    }

    fn answered(&mut self, node: usize, reply: &Reply, at: Duration) {
        let asked = match self.minds[node].replies.answer(&reply.command) {
            Ok(asked) => asked,
            Err(what) => return self.breaks(at, Some(node), what),
        };
        self.tally.replies += 1;
        if let Some(error) = &reply.error {
            let excused = asked.message.is_some_and(|number| self.may_fail(number));
            if let Some(number) = asked.message {
                self.messages.refused(number);
            }
            if !excused {
                let what = format!("refused \"{}\": {error}", asked.command);
                self.breaks(at, Some(node), what);
            }
        }
        if let (Some(usage), Some(record)) =
            (reply.usage, self.records.iter_mut().rfind(|record| record.node == node))
        {
            record.samples.push(usage);
        }
        if asked.command == "members" && reply.error.is_none() {
            self.listed(node, &reply.members, asked.at, at);
        }
    }

    /// Whether one of the parties was in trouble since the message was sent.
    fn may_fail(&self, message: u32) -> bool {
        let Some((from, to, sent)) = self.messages.parties(message) else { return true };
        [Some(from), to]
            .into_iter()
            .flatten()
            .any(|party| !self.subjects[party].was_well_since(sent))
    }

    fn listed(&mut self, node: usize, members: &[Row], asked: Duration, at: Duration) {
        let mut rows = BTreeMap::new();
        for row in members {
            let Some(subject) = self.known(node, &row.name, at) else { continue };
            if rows.insert(subject, row.clone()).is_some() {
                self.breaks(at, Some(node), format!("lists {} twice", row.name));
            }
        }
        for subject in self.cast.everybody() {
            self.check_incarnation(node, subject, rows.get(&subject), at);
            self.compare_with_events(node, subject, rows.get(&subject), at);
        }
        if self.subjects[node].is_accountable(asked) {
            self.tally.lists += 1;
            for subject in self.cast.everybody() {
                self.check_row(node, subject, rows.get(&subject), asked, at);
            }
        }
        self.minds[node].rows = rows;
    }

    fn check_row(
        &mut self,
        node: usize,
        subject: usize,
        row: Option<&Row>,
        asked: Duration,
        at: Duration,
    ) {
        self.tally.rows += 1;
        let observer = &self.subjects[node];
        if let Some(why) = self.subjects[subject].misbelief(row, observer, asked) {
            let state = row.map_or("nobody", |row| row.state.word());
            let meta = row.map_or("", |row| row.meta.as_str());
            let name = self.cast.name(subject);
            let what = format!("lists {name} as {state} with \"{meta}\", who {why}");
            self.breaks(at, Some(node), what);
        }
    }

    /// An incarnation never falls while its member is not given up.
    fn check_incarnation(&mut self, node: usize, subject: usize, row: Option<&Row>, at: Duration) {
        let before = self.minds[node].rows.get(&subject);
        if let (Some(before), Some(row)) = (before, row)
            && matches!(before.state, State::Alive | State::Suspect)
            && row.incarnation < before.incarnation
        {
            let (name, from, to) = (&row.name, before.incarnation, row.incarnation);
            let what = format!("saw the incarnation of {name} fall from {from} to {to}");
            self.breaks(at, Some(node), what);
        }
    }

    /// Who reads events and who reads lists must see the same members, but for a moment.
    fn compare_with_events(
        &mut self,
        node: usize,
        subject: usize,
        row: Option<&Row>,
        at: Duration,
    ) {
        if node == subject {
            return;
        }
        let presence = |state| matches!(state, Some(State::Alive | State::Suspect));
        let told = self.minds[node].believes.get(&subject).copied();
        let differs = presence(told) != presence(row.map(|row| row.state));
        let times = self.minds[node].differs.entry(subject).or_default();
        *times = if differs { *times + 1 } else { 0 };
        if *times > DIFFERENT_LISTS {
            *times = 0;
            let name = self.cast.name(subject);
            let listed = row.map_or("nobody", |row| row.state.word());
            let told = told.map_or("nothing", State::word);
            let what = format!("lists {name} as {listed} while its last event said {told}");
            self.breaks(at, Some(node), what);
        }
    }

    /// The members that are up and run.
    pub(super) fn running(&self) -> BTreeSet<usize> {
        self.cast.everybody().filter(|node| self.is_well(*node)).collect()
    }
}

#[cfg(test)]
mod tests;
