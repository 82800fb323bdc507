//! What came of a soak: violations, exceptions with their ceilings, figures.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::rule::Rule;
use super::statistic::Statistic;
use crate::soak::model::Model;
use crate::soak::settings::Participants;

/// What broke a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::soak) struct Violation {
    pub(in crate::soak) rule: Rule,
    pub(in crate::soak) at: Duration,
    /// Whom it concerns first; its log tells more.
    pub(in crate::soak) member: Option<usize>,
    pub(in crate::soak) what: String,
}

/// What an exception was made for; each needs evidence in the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::soak) enum Evidence {
    /// The Go peer itself reported that it was deaf, and something was missed for it.
    GoWasDeaf,
    /// It reported so, and a node warned that it answers streams but no packets.
    GoAnsweredNoPackets,
    /// The runner's own clock reads were late.
    MachineStoodStill,
}

impl Evidence {
    /// The most exceptions in an hour of a soak; a shorter one has its share, and two more.
    fn hourly_ceiling(self, participants: Participants) -> usize {
        match self {
            Self::GoWasDeaf => 60 * participants.go,
            // Each deaf time is noticed by all of ours.
            Self::GoAnsweredNoPackets => 60 * participants.go * participants.members,
            Self::MachineStoodStill => 20,
        }
    }
}

/// What came of a soak.
#[derive(Debug, Default)]
pub(in crate::soak) struct Verdict {
    pub(in crate::soak) violations: Vec<Violation>,
    pub(in crate::soak) exceptions: BTreeMap<Evidence, usize>,
    pub(in crate::soak) statistics: Vec<Statistic>,
    /// How much was judged, by what it was.
    pub(in crate::soak) judged: BTreeMap<&'static str, usize>,
    /// The highest use of each resource, by what it was.
    pub(in crate::soak) most: BTreeMap<&'static str, f64>,
}

impl Verdict {
    pub(super) fn breaks(&mut self, rule: Rule, at: Duration, member: usize, what: String) {
        self.violations.push(Violation { rule, at, member: Some(member), what });
    }

    /// The same about no member in particular.
    pub(super) fn breaks_at_all(&mut self, rule: Rule, at: Duration, what: String) {
        self.violations.push(Violation { rule, at, member: None, what });
    }

    pub(super) fn count(&mut self, what: &'static str) {
        *self.judged.entry(what).or_default() += 1;
    }

    pub(super) fn measure(&mut self, what: &'static str, value: f64) {
        let most = self.most.entry(what).or_insert(value);
        *most = most.max(value);
    }

    /// Makes an exception where there is evidence: some of these Go members were deaf, or the
    /// machine stood still.
    pub(super) fn excuses(
        &mut self,
        model: &Model<'_>,
        who: &[usize],
        from: Duration,
        to: Duration,
    ) -> bool {
        let evidence = if who.iter().any(|member| model.was_deaf(*member, from, to)) {
            Evidence::GoWasDeaf
        } else if model.stood_still(from, to) {
            Evidence::MachineStoodStill
        } else {
            return false;
        };
        *self.exceptions.entry(evidence).or_default() += 1;
        true
    }

    /// Adds a statistic, with what is wrong with it.
    pub(super) fn conclude(&mut self, statistic: Statistic, model: &Model<'_>) {
        if let Some(complaint) = statistic.complaint() {
            self.breaks_at_all(statistic.rule, model.end, complaint);
        }
        self.statistics.push(statistic);
    }

    pub(super) fn check_ceilings(&mut self, model: &Model<'_>) {
        for (evidence, count) in self.exceptions.clone() {
            let ceiling = ceiling(evidence, model.participants, model.end);
            if count > ceiling {
                let what = format!("{count} exceptions because {evidence}; at most {ceiling}");
                self.breaks_at_all(Rule::Safety, model.end, what);
            }
        }
    }

    /// A soak in which nothing was judged proves nothing.
    pub(super) fn check_coverage(&mut self) {
        for what in ["absences", "lists", "views", "messages", "replies", "samples"] {
            if !self.judged.contains_key(what) {
                self.breaks_at_all(Rule::Agreement, Duration::ZERO, format!("no {what} judged"));
            }
        }
    }
}

/// The most exceptions in a soak of this length.
pub(in crate::soak) fn ceiling(
    evidence: Evidence,
    participants: Participants,
    length: Duration,
) -> usize {
    let minutes = usize::try_from(length.as_secs().div_ceil(60)).unwrap_or(usize::MAX);
    (evidence.hourly_ceiling(participants).saturating_mul(minutes)).div_ceil(60) + 2
}

impl fmt::Display for Evidence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::GoWasDeaf => "a Go member was deaf",
            Self::GoAnsweredNoPackets => "a deaf Go member answered no packets",
            Self::MachineStoodStill => "the machine stood still",
        })
    }
}
