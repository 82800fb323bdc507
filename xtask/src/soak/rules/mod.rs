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
mod verdict;

use std::time::Duration;

pub(super) use agreement::disagreement;
use verdict::Judge;
pub(super) use verdict::{Evidence, Rule, Verdict, Violation};

use super::model::Model;
use super::roles::Participants;
use super::timeline::{Timeline, What};

/// How a node begins to warn of a peer that answers streams but no packets.
const NO_PACKETS: &str = "packets blocked";
/// A Go peer reports every second that it is deaf.
const EVIDENCE_COMES: Duration = Duration::from_secs(3);
/// A soak in which nothing of these was judged proves nothing.
const COVERAGE: [&str; 6] = ["absences", "lists", "views", "messages", "replies", "samples"];

/// Judges a timeline. Before it is `finished`, what may still come is not missed.
pub(super) fn judge(participants: Participants, timeline: &Timeline, finished: bool) -> Verdict {
    let judge = &Judge::new(Model::new(participants, timeline));
    safety::check(judge);
    agreement::check(judge, finished);
    service::check(judge);
    statistics::check(judge);
    resources::check(judge, finished);
    check_logs(judge);
    if finished {
        for what in COVERAGE {
            if !judge.verdict.borrow().judged.contains_key(what) {
                let at = Duration::ZERO;
                judge.breaks(Rule::Agreement, at, None, format!("no {what} judged"));
            }
        }
    } else if participants.go > 0 {
        let known = judge.end.saturating_sub(EVIDENCE_COMES);
        judge.verdict.borrow_mut().violations.retain(|violation| violation.at <= known);
    }
    let exceptions = judge.verdict.borrow().exceptions.clone();
    for (evidence, count) in exceptions {
        let ceiling = evidence.ceiling(participants, judge.end);
        if count > ceiling {
            let what = format!("{count} exceptions because {evidence}; at most {ceiling}");
            judge.breaks(Rule::Safety, judge.end, None, what);
        }
    }
    let mut verdict = judge.verdict.take();
    verdict.violations.sort_by_key(|violation| violation.at);
    verdict
}

/// No fault of a plan explains a warning; that a Go member was deaf explains one kind.
fn check_logs(judge: &Judge<'_>) {
    for entry in &judge.timeline.entries {
        let (at, member) = (entry.at, entry.member);
        let broken = |what| judge.breaks(Rule::Logs, at, member, what);
        match &entry.what {
            What::LoggedError(line) => broken(format!("logged a bug: {line}")),
            What::Malformed(why) => broken(format!("wrote what is no event: {why}")),
            What::Warned { what, detail } => {
                let since = at.saturating_sub(judge.bounds.shortest_suspicion());
                let mut go = judge.participants.all().filter(|go| judge.participants.is_go(*go));
                let named = go.find(|go| detail.contains(&format!(" {} ", judge.name(*go))));
                if what == NO_PACKETS && named.is_some_and(|go| judge.was_deaf(go, since, at)) {
                    judge.except(Evidence::GoAnsweredNoPackets);
                } else {
                    broken(format!("warned of {what}: {detail}"));
                }
            }
            _ => {}
        }
    }
}
