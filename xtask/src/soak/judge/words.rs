//! What members say of each other, and what they answer, against the truth.
//!
//! Which of a member's events contradict what is true, and which of its refusals are excused.

use std::time::Duration;

use super::Judge;
use crate::fleet::event::SeenState as State;
use crate::soak::soak_event::{Reply, Words};
use crate::soak::timings::ChangeKind;

impl Judge {
    pub(super) fn known(&mut self, node: usize, about: &str, at: Duration) -> Option<usize> {
        let found = self.participants.find(about);
        if found.is_none() {
            self.breaks(at, Some(node), format!("speaks of {about}, who is not of this cluster"));
        }
        found
    }

    pub(super) fn believes(
        &mut self,
        node: usize,
        about: &str,
        state: State,
        Words { meta, by }: Words<'_>,
        at: Duration,
    ) {
        let Some(subject) = self.known(node, about, at) else { return };
        // Go peers do not tell who suspected first: it may have been their own.
        let suspected_by = by.and_then(|by| self.participants.find(by)).unwrap_or(node);
        let before = self.minds[node].believes.insert(subject, state);
        let (seen, observer) = (&self.subjects[subject], &self.subjects[node]);
        let last = self.minds[node].welcomed.get(&subject);
        let welcomed = last.is_some_and(|last| *last >= seen.back);
        let scandal = seen.scandal(state, (observer, welcomed), at, self.bounds);
        let is_from_a_deaf_member =
            state == State::Failed && self.may_be_deaf(suspected_by, subject, at);
        let knew_better = scandal.is_some() || self.minds[node].settled.contains(&subject);
        let is_revived = state == State::Alive
            && knew_better
            && self.participants.go > 0
            && self.subjects[subject].is_revived(at, self.bounds);
        if is_revived {
            self.coverage.deaf += 1;
            self.unsettle(subject);
        } else if scandal.is_some()
            && (self.may_be_deaf(subject, subject, at) || is_from_a_deaf_member)
        {
            self.coverage.deaf += 1;
            self.subjects[subject].was_deaf(at, self.bounds);
            self.unsettle(subject);
        } else if let Some(why) = scandal {
            self.breaks(at, Some(node), format!("says that {about} is {state}, who {why}"));
        } else if matches!(state, State::Failed | State::Left) && self.subjects[subject].is_well() {
            // What may be said may be listed.
            self.minds[node].settled.remove(&subject);
        }
        match state {
            State::Alive => match meta {
                Some(meta) => self.read_meta(node, subject, meta, at),
                None => {
                    self.minds[node].welcomed.insert(subject, at);
                }
            },
            State::Suspect => {
                let well = self.subjects[subject].was_well_since(at);
                self.coverage.suspicions += usize::from(well);
            }
            State::Failed => {
                self.coverage.deaths += 1;
                self.minds[node].rows.remove(&subject);
                self.timings.heard(ChangeKind::Death, subject, node, at);
            }
            State::Left => {
                self.minds[node].rows.remove(&subject);
                self.timings.heard(ChangeKind::Departure, subject, node, at);
            }
        }
        if before.is_none() {
            // Whoever meets it for the first time may still hear how its former self ended.
            self.minds[node].welcomed.remove(&subject);
        }
    }

    /// A Go member hears nobody for seconds while it dials one who does not answer: it looks dead,
    /// and takes those for dead whose acks and objections it does not read. Somebody else than
    /// `subject` who does not answer must be there.
    fn may_be_deaf(&self, node: usize, subject: usize, at: Duration) -> bool {
        let silent = |other: usize| !self.subjects[other].was_well_since(at);
        let mut others =
            self.participants.everybody().filter(|other| ![node, subject].contains(other));
        let alive = node != subject || self.subjects[node].is_well();
        self.participants.is_go(node) && alive && others.any(silent)
    }

    pub(super) fn read_meta(&mut self, node: usize, subject: usize, meta: &str, at: Duration) {
        if meta == self.subjects[subject].meta {
            self.minds[node].welcomed.insert(subject, at);
            self.timings.heard(ChangeKind::Return, subject, node, at);
            self.timings.heard(ChangeKind::Update, subject, node, at);
        }
    }

    pub(super) fn answered(&mut self, node: usize, reply: &Reply, at: Duration) {
        let asked = match self.minds[node].replies.answer(&reply.command) {
            Ok(asked) => asked,
            Err(what) => return self.breaks(at, Some(node), what),
        };
        self.coverage.replies += 1;
        if let Some(number) = asked.message {
            self.messages.carried_out(number, at + self.bounds.delivery());
        }
        if let Some(error) = &reply.error {
            // Go waits until its updates are sent, which a dial to the dead holds up.
            let waits = asked.command == "meta" && self.may_be_deaf(node, node, at);
            let excused = waits || asked.message.is_some_and(|number| self.may_fail(number));
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

    /// Whether one of the parties was in trouble since the message was sent, the sender holds the
    /// receiver for gone, or both are Go members, who lose each other when one restarts.
    fn may_fail(&self, message: u32) -> bool {
        let Some((from, to, sent)) = self.messages.parties(message) else { return true };
        let both_go =
            self.participants.is_go(from) && to.is_some_and(|to| self.participants.is_go(to));
        // Whether it should know him is for its lists to show.
        let unknown = to.is_some_and(|to| {
            let belief = self.minds[from].believes.get(&to);
            !matches!(belief, Some(State::Alive | State::Suspect))
        });
        if both_go || unknown {
            return true;
        }
        [Some(from), to]
            .into_iter()
            .flatten()
            .any(|party| !self.subjects[party].was_well_since(sent))
    }
}
