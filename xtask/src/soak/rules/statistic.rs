//! One figure about many cases: how fast something happened, and how often it was missed.
//!
//! It allows one miss, or one in twenty where there are more cases; never all. Its median may be
//! twice the usual one.

use std::time::Duration;

use super::rule::Rule;
use crate::soak::model::Model;

/// One miss in so many cases.
const CASES_A_MISS: usize = 20;

/// The cases of one kind.
#[derive(Debug, Clone)]
pub(in crate::soak) struct Statistic {
    pub(in crate::soak) name: &'static str,
    /// How long each took that was in time, ascending.
    pub(in crate::soak) times: Vec<Duration>,
    /// Those that came too late or never.
    pub(in crate::soak) misses: usize,
    /// Who missed what when.
    missed: Vec<String>,
    usual: Duration,
    pub(super) rule: Rule,
}

impl Statistic {
    pub(super) fn new(name: &'static str, usual: Duration, rule: Rule) -> Self {
        Self { name, times: Vec::new(), misses: 0, missed: Vec::new(), usual, rule }
    }

    /// One more case: how long it took, or `None` for a miss, of something at `at` about a
    /// member, by an observer.
    pub(super) fn add(
        &mut self,
        took: Option<Duration>,
        (model, at): (&Model<'_>, Duration),
        (about, observer): (usize, usize),
    ) {
        match took {
            Some(took) => {
                let place = self.times.partition_point(|other| *other < took);
                self.times.insert(place, took);
            }
            None => {
                self.misses += 1;
                let name = |member| model.participants.name(member);
                let (about, observer) = (name(about), name(observer));
                self.missed.push(format!("{observer} of {about} at {:.1} s", at.as_secs_f64()));
            }
        }
    }

    pub(in crate::soak) fn cases(&self) -> usize {
        self.times.len() + self.misses
    }

    pub(in crate::soak) fn median(&self) -> Duration {
        self.times.get(self.times.len().saturating_sub(1) / 2).copied().unwrap_or_default()
    }

    pub(in crate::soak) fn longest(&self) -> Duration {
        self.times.last().copied().unwrap_or_default()
    }

    /// What is wrong with it, if anything is.
    pub(super) fn complaint(&self) -> Option<String> {
        let (cases, misses, name) = (self.cases(), self.misses, self.name);
        let allowed = (cases / CASES_A_MISS).max(1).min(cases.saturating_sub(1));
        if misses > allowed {
            let missed = self.missed.join(", ");
            return Some(format!(
                "{misses} of {cases} {name}: late or missing; at most {allowed} ({missed})"
            ));
        }
        let (median, most) = (self.median(), self.usual * 2);
        (median > most).then(|| {
            format!("the median of {cases} {name} is {median:.1?}, of which {most:.1?} is the most")
        })
    }
}
