//! The oracle: what must hold in every soak, and nothing else.
//!
//! A pure function of a timeline. An exception needs evidence in the timeline itself, is counted,
//! and has a ceiling; nothing is forgiven because a fault of the kind was seen before.

mod agreement;
mod resources;
mod rule;
mod safety;
mod service;
mod statistic;
mod statistics;
#[cfg(test)]
mod tests;
mod verdict;

use std::time::Duration;

use super::model::Model;
use super::settings::Participants;
use super::timeline::{Said, Timeline, What};

pub(super) use agreement::disagreement;
pub(super) use rule::Rule;
pub(super) use verdict::{Evidence, Verdict, Violation, ceiling};

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
