//! The oracle: what must hold in every soak, and nothing else.
//!
//! A pure function of a timeline. An exception needs evidence in the timeline itself, is counted,
//! and has a ceiling; nothing is forgiven because a fault of the kind was seen before.

mod agreement;
mod resources;
mod safety;
mod service;
mod statistics;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::Participants;
use super::model::Model;
use super::timeline::{Said, Timeline, What};

pub(super) use agreement::disagreement;
pub(super) use statistics::Statistic;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    /// Nobody who lives is declared dead, nobody who is gone is listed alive, no state returns.
    Safety,
    /// All lists are the same and true.
    Agreement,
    /// Messages, pings, streams and commands.
    Service,
    /// Memory, descriptors, threads, connections, handshakes, processor time.
    Resources,
    /// Errors and unexplained warnings.
    Logs,
}

/// What broke a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) rule: Rule,
    pub(super) at: Duration,
    /// Whom it concerns first; its log tells more.
    pub(super) member: Option<usize>,
    pub(super) what: String,
}

/// What an exception was made for; each needs evidence in the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Evidence {
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
pub(super) struct Verdict {
    pub(super) violations: Vec<Violation>,
    pub(super) exceptions: BTreeMap<Evidence, usize>,
    pub(super) statistics: Vec<Statistic>,
    /// How much was judged, by what it was.
    pub(super) judged: BTreeMap<&'static str, usize>,
    /// The highest use of each resource, by what it was.
    pub(super) most: BTreeMap<&'static str, f64>,
}

/// Judges a timeline. Before it is `finished`, what may still come is not missed.
pub(super) fn judge(participants: Participants, timeline: &Timeline, finished: bool) -> Verdict {
    let model = Model::new(participants, timeline);
    let mut verdict = Verdict::default();
    safety::judge(&model, &mut verdict);
    agreement::judge(&model, finished, &mut verdict);
    service::judge(&model, &mut verdict);
    statistics::judge(&model, &mut verdict);
    resources::judge(&model, finished, &mut verdict);
    judge_logs(&model, &mut verdict);
    if finished {
        verdict.check_coverage();
    } else if participants.go > 0 {
        let known = model.end.saturating_sub(EVIDENCE_COMES);
        verdict.violations.retain(|violation| violation.at <= known);
    }
    verdict.check_ceilings(&model);
    verdict.violations.sort_by_key(|violation| violation.at);
    verdict
}

/// How a node begins to warn of a peer that answers streams but no packets.
const NO_PACKETS: &str = "packets blocked";
/// A Go peer reports every second that it is deaf.
const EVIDENCE_COMES: Duration = Duration::from_secs(3);

/// No fault of a plan explains a warning; that a Go member was deaf explains one kind.
fn judge_logs(model: &Model<'_>, verdict: &mut Verdict) {
    for entry in &model.timeline.entries {
        let (at, member) = (entry.at, entry.member);
        match &entry.what {
            What::Said(Said::LoggedError(line)) => {
                verdict.breaks(Rule::Logs, at, member, format!("logged a bug: {line}"));
            }
            What::Said(Said::Malformed(why)) => {
                verdict.breaks(Rule::Logs, at, member, format!("wrote what is no event: {why}"));
            }
            What::Said(Said::Warned { what, detail }) => {
                let names =
                    |go: &usize| detail.contains(&format!(" {} ", model.participants.name(*go)));
                let go = model
                    .participants
                    .all()
                    .filter(|one| model.participants.is_go(*one))
                    .find(names);
                let since = at.saturating_sub(model.bounds.shortest_suspicion());
                if what == NO_PACKETS && go.is_some_and(|go| model.was_deaf(go, since, at)) {
                    *verdict.exceptions.entry(Evidence::GoAnsweredNoPackets).or_default() += 1;
                } else {
                    verdict.breaks(Rule::Logs, at, member, format!("warned of {what}: {detail}"));
                }
            }
            _ => {}
        }
    }
}

impl Verdict {
    fn breaks(&mut self, rule: Rule, at: Duration, member: usize, what: String) {
        self.violations.push(Violation { rule, at, member: Some(member), what });
    }

    /// The same about no member in particular.
    fn breaks_at_all(&mut self, rule: Rule, at: Duration, what: String) {
        self.violations.push(Violation { rule, at, member: None, what });
    }

    fn count(&mut self, what: &'static str) {
        *self.judged.entry(what).or_default() += 1;
    }

    fn measure(&mut self, what: &'static str, value: f64) {
        let most = self.most.entry(what).or_insert(value);
        *most = most.max(value);
    }

    /// Makes an exception where there is evidence: some of these Go members were deaf, or the
    /// machine stood still.
    fn excuses(&mut self, model: &Model<'_>, who: &[usize], from: Duration, to: Duration) -> bool {
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

    fn check_ceilings(&mut self, model: &Model<'_>) {
        for (evidence, count) in self.exceptions.clone() {
            let ceiling = ceiling(evidence, model.participants, model.end);
            if count > ceiling {
                let what = format!("{count} exceptions because {evidence}; at most {ceiling}");
                self.breaks_at_all(Rule::Safety, model.end, what);
            }
        }
    }

    /// A soak in which nothing was judged proves nothing.
    fn check_coverage(&mut self) {
        for what in ["absences", "lists", "views", "messages", "replies", "samples"] {
            if !self.judged.contains_key(what) {
                self.breaks_at_all(Rule::Agreement, Duration::ZERO, format!("no {what} judged"));
            }
        }
    }
}

/// The most exceptions in a soak of this length.
pub(super) fn ceiling(evidence: Evidence, participants: Participants, length: Duration) -> usize {
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

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Safety => "safety",
            Self::Agreement => "agreement",
            Self::Service => "service",
            Self::Resources => "resources",
            Self::Logs => "logs",
        })
    }
}
