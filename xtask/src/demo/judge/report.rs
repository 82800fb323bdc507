//! What the judge tells people: what is awaited, and what did not come.
//!
//! Reads the judge and changes nothing.

use super::Judge;
use crate::demo::node_event::State;
use crate::demo::script::{Phase, name};

impl Judge {
    /// What the demo is waiting for, for people.
    pub(in crate::demo) fn doing(&self) -> String {
        let (victim, leaver) = (name(self.victim), name(self.leaver));
        match self.phase {
            Phase::Open => format!("starting {}", name(0)),
            Phase::Gather => format!("waiting until all {} see each other", self.seats.len()),
            Phase::Crash => format!("waiting until all others see that {victim} failed"),
            Phase::Leave => format!("waiting until all others see that {leaver} left"),
            Phase::Quit => format!("waiting until {leaver} has quit"),
            Phase::Restart => format!("waiting until all see {victim} alive again"),
            Phase::Watch => format!("watching that {victim} stays alive"),
            Phase::Confirm => "asking everybody for the members".to_owned(),
            Phase::Close => "waiting until everybody has quit".to_owned(),
        }
    }

    /// Why the phase's deadline was missed: who does not see what.
    pub(super) fn what_is_missing(&self) -> String {
        let seconds = self.bounds.of(self.phase).as_secs_f64();
        let observers = self.observers();
        let late: Vec<String> = observers
            .iter()
            .filter(|observer| !self.reached.contains_key(observer))
            .map(|observer| self.account(*observer))
            .collect();
        let late = if late.is_empty() { String::new() } else { format!(": {}", late.join("; ")) };
        format!("gave up after {seconds} s, {}{late}", self.doing())
    }

    /// What this observer sees, for the report of a failure.
    fn account(&self, observer: usize) -> String {
        if !self.seats[observer].ready {
            return format!("{} is not ready", name(observer));
        }
        let sees = |subject: usize| {
            let state = self.view(observer, subject).map_or("unknown", State::word);
            format!("{} {state}", name(subject))
        };
        let unseen = |subject: &usize| !self.sees(observer, *subject, State::Alive);
        let subjects: Vec<String> = match self.phase {
            Phase::Crash => vec![sees(self.victim)],
            Phase::Leave => vec![sees(self.leaver)],
            Phase::Confirm => return format!("{} does not answer", name(observer)),
            Phase::Restart => {
                self.members().chain([self.victim]).filter(unseen).map(sees).collect()
            }
            Phase::Open | Phase::Gather | Phase::Quit | Phase::Watch | Phase::Close => {
                self.members().filter(unseen).map(sees).collect()
            }
        };
        format!("{} sees {}", name(observer), subjects.join(", "))
    }
}
