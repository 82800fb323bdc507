//! What members list, against the truth and against what they said before.
//!
//! The rows that count are those of members that have caught up, about what is due or was known
//! already.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Judge;
use crate::fleet::event::SeenState as State;
use crate::soak::soak_event::Row;

/// Lists that may differ from the events told so far: those under way when something changed.
const DIFFERENT_LISTS: u32 = 2;

impl Judge {
    /// Why not all agree that all are alive, by their last lists; `None` once they do.
    pub(in crate::soak) fn disagreement(&self) -> Option<String> {
        for observer in self.participants.everybody() {
            let name = self.participants.name(observer);
            for subject in self.participants.everybody() {
                let about = self.participants.name(subject);
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

    pub(super) fn listed(&mut self, node: usize, members: &[Row], asked: Duration, at: Duration) {
        let mut rows = BTreeMap::new();
        for row in members {
            let Some(subject) = self.known(node, &row.name, at) else { continue };
            if rows.insert(subject, row.clone()).is_some() {
                self.breaks(at, Some(node), format!("lists {} twice", row.name));
            }
        }
        for subject in self.participants.everybody() {
            self.check_incarnation(node, subject, rows.get(&subject), at);
            self.compare_with_events(node, subject, rows.get(&subject), at);
        }
        let accountable = self.subjects[node].is_accountable(asked);
        self.coverage.lists += usize::from(accountable);
        let mut right = true;
        for subject in self.participants.everybody() {
            let row = rows.get(&subject);
            right &= self.learn(node, subject, row, asked);
            if accountable {
                self.check_row(node, subject, row, asked, at);
            }
        }
        if right {
            self.subjects[node].caught_up(asked);
        }
        self.minds[node].rows = rows;
    }

    /// Whether the row says what it should by the time it is due, and remembers if it says the
    /// whole truth: from then on it must.
    fn learn(&mut self, node: usize, subject: usize, row: Option<&Row>, asked: Duration) -> bool {
        let (seen, observer) = (&self.subjects[subject], &self.subjects[node]);
        let right = seen.misbelief(row, (observer, true), asked).is_none();
        // A suspicion may still become anything.
        let certain = row.is_none_or(|row| row.state != State::Suspect);
        if right && certain && asked >= observer.well_by.max(seen.settles_by(self.bounds)) {
            self.minds[node].settled.insert(subject);
        }
        // Old metadata are not excused by a fault that came after them.
        let is_live = |row: &Row| matches!(row.state, State::Alive | State::Suspect);
        let stale = row.is_some_and(|row| is_live(row) && row.meta != seen.meta);
        right || (asked < seen.seen_by && !stale)
    }

    fn check_row(
        &mut self,
        node: usize,
        subject: usize,
        row: Option<&Row>,
        asked: Duration,
        at: Duration,
    ) {
        self.coverage.rows += 1;
        let settled = self.minds[node].settled.contains(&subject);
        // A Go member that dials the dead hears of nothing meanwhile: it knows all that much later.
        let deaf =
            if self.participants.is_go(node) { self.bounds.memory() } else { Duration::ZERO };
        let asked = asked.saturating_sub(deaf);
        let observer = (&self.subjects[node], settled);
        if let Some(why) = self.subjects[subject].misbelief(row, observer, asked) {
            let state = row.map_or("nobody", |row| row.state.word());
            let meta = row.map_or("", |row| row.meta.as_str());
            let name = self.participants.name(subject);
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
            let name = self.participants.name(subject);
            let listed = row.map_or("nobody", |row| row.state.word());
            let told = told.map_or("nothing", State::word);
            let what = format!("lists {name} as {listed} while its last event said {told}");
            self.breaks(at, Some(node), what);
        }
    }
}
