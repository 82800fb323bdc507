//! Agreement: all lists are the same and true, and what a member's events say is what it lists.

use std::collections::BTreeMap;
use std::time::Duration;

use super::rule::Rule;
use super::verdict::Verdict;
use crate::fleet::event::{Row, SeenState};
use crate::soak::model::{Exchange, Model};
use crate::soak::timeline::{Command, Listed, Said, View, What};

/// Events and replies are written by two threads: a view this fresh may miss in a list.
const FRESH: Duration = Duration::from_secs(1);

pub(super) fn judge(model: &Model<'_>, finished: bool, verdict: &mut Verdict) {
    let _ = model.all_absences().inspect(|_| verdict.count("absences")).count();
    metadata(model, verdict);
    events(model, verdict);
    if finished {
        last_lists(model, verdict);
    }
}

fn lists<'a>(
    model: &'a Model<'_>,
) -> impl Iterator<Item = (&'a Exchange<'a>, Duration, &'a Listed)> {
    model.exchanges.iter().filter_map(|exchange| match (exchange.command, exchange.reply) {
        (Command::Members, Some((told, Said::Listed(rows)))) => Some((exchange, told, rows)),
        _ => None,
    })
}

/// New metadata is known to all that were well all the time, at the latest by the next exchanges
/// of states.
fn metadata(model: &Model<'_>, verdict: &mut Verdict) {
    for (exchange, told, rows) in lists(model) {
        for (subject, row) in rows.iter() {
            let (since, meta) = model.meta(*subject, exchange.asked);
            let is_due = exchange.asked > since.max(model.formed) + model.bounds.repair()
                && model.is_steady(*subject, since.max(model.formed), told)
                && model.is_steady(exchange.member, since.max(model.formed), told);
            if is_due && row.meta != meta && row.state == SeenState::Alive {
                let who = [*subject, exchange.member];
                if !verdict.excuses(model, &who, since, told) {
                    let name = model.participants.name(*subject);
                    let what = format!("lists {name} with {}, which has {meta}", row.meta);
                    verdict.breaks(Rule::Agreement, told, exchange.member, what);
                }
            }
        }
    }
}

/// What the latest event about a member said is what the list says.
fn events(model: &Model<'_>, verdict: &mut Verdict) {
    let mut views: BTreeMap<(usize, usize), Vec<(Duration, SeenState)>> = BTreeMap::new();
    let mut started: BTreeMap<usize, Vec<Duration>> = BTreeMap::new();
    for entry in &model.timeline.entries {
        match entry.what {
            What::Started(_) => started.entry(entry.member).or_default().push(entry.at),
            What::Said(Said::Sees(View { about, state, .. })) => {
                views.entry((entry.member, about)).or_default().push((entry.at, state));
            }
            _ => {}
        }
    }
    for (exchange, told, rows) in lists(model) {
        let (observer, asked) = (exchange.member, exchange.asked);
        // A Go peer's view of the suspected is not told by events.
        if asked < model.formed || model.participants.is_go(observer) {
            continue;
        }
        let begun = started[&observer].iter().rev().find(|at| **at <= asked).copied();
        for subject in model.participants.all().filter(|subject| *subject != observer) {
            let told_of = views.get(&(observer, subject)).map_or(&[][..], Vec::as_slice);
            let is_fresh = |at: Duration| at + FRESH >= asked && at <= told + FRESH;
            if told_of.iter().any(|(at, _)| is_fresh(*at)) {
                continue;
            }
            let latest = told_of.iter().rev().find(|(at, _)| *at <= asked && begun <= Some(*at));
            let listed = rows.get(&subject).map(|row: &Row| row.state);
            let said = latest.map(|(_, state)| *state);
            // The dead and the left are forgotten without an event.
            let agrees = listed == said
                || listed.is_none() && matches!(said, Some(SeenState::Failed | SeenState::Left))
                || said.is_none() && matches!(listed, Some(SeenState::Failed | SeenState::Left));
            if !agrees {
                let name = model.participants.name(subject);
                let word = |state: Option<SeenState>| state.map_or("nothing", SeenState::word);
                let (listed, said) = (word(listed), word(said));
                let what = format!("lists {name} {listed}, and its events say {said}");
                verdict.breaks(Rule::Agreement, told, observer, what);
            }
        }
    }
}

/// Why the members do not agree on who is there with which metadata, by their latest lists that
/// were asked for after `since`.
pub(crate) fn disagreement(model: &Model<'_>, since: Duration) -> Option<(usize, String)> {
    let now = model.end;
    let expected: BTreeMap<usize, &str> = model
        .participants
        .all()
        .filter(|member| model.gone(*member, now).is_none())
        .map(|member| (member, model.meta(member, now).1))
        .collect();
    let mut latest: BTreeMap<usize, &Listed> = BTreeMap::new();
    for (exchange, _, rows) in lists(model).filter(|(exchange, ..)| exchange.asked >= since) {
        latest.insert(exchange.member, rows);
    }
    for member in expected.keys() {
        let Some(rows) = latest.get(member) else {
            return Some((*member, "has not listed its members".to_owned()));
        };
        let alive: BTreeMap<usize, &str> = rows
            .iter()
            .filter(|(_, row)| row.state == SeenState::Alive)
            .map(|(subject, row)| (*subject, row.meta.as_str()))
            .collect();
        let suspects = rows.values().any(|row| row.state == SeenState::Suspect);
        if alive != expected || suspects {
            let name = |(subject, meta): (&usize, &&str)| {
                format!("{}={meta}", model.participants.name(*subject))
            };
            let listed: Vec<String> = alive.iter().map(name).collect();
            let wanted: Vec<String> = expected.iter().map(name).collect();
            let (listed, wanted) = (listed.join(" "), wanted.join(" "));
            return Some((*member, format!("lists {listed} alive; there are {wanted}")));
        }
    }
    None
}

/// Two bounds after the last fault all agree; the runner asks until they do, or until then.
fn last_lists(model: &Model<'_>, verdict: &mut Verdict) {
    if let Some((member, what)) = disagreement(model, model.last_fault()) {
        verdict.breaks(Rule::Agreement, model.end, member, format!("at the end it {what}"));
    }
}
