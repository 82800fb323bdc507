//! Agreement: all lists are the same and true, and what a member's events say is what it lists.

use std::collections::BTreeMap;
use std::time::Duration;

use super::verdict::{Judge, Rule};
use crate::fleet::event::SeenState::{Alive, Failed, Left, Suspect};
use crate::fleet::event::{Row, SeenState};
use crate::soak::model::Model;
use crate::soak::timeline::{Listed, View, What};

/// Events and replies are written by two threads: a view this fresh may miss in a list.
const FRESH: Duration = Duration::from_secs(1);

pub(super) fn check(judge: &Judge<'_>, finished: bool) {
    judge.count("absences", judge.all_absences().count());
    metadata(judge);
    events(judge);
    // Two bounds after the last fault all agree; the runner asks until they do, or until then.
    if finished && let Some((member, what)) = disagreement(judge, judge.last_fault()) {
        judge.breaks(Rule::Agreement, judge.end, member, format!("at the end it {what}"));
    }
}

/// New metadata is known to all that were well all the time, at the latest by the next exchanges
/// of states.
fn metadata(judge: &Judge<'_>) {
    for (exchange, told, rows) in judge.lists() {
        for (subject, row) in rows.iter() {
            let (since, meta) = judge.meta(*subject, exchange.asked);
            let from = since.max(judge.formed);
            let is_due = exchange.asked > from.saturating_add(judge.bounds.repair())
                && judge.is_steady(*subject, from, told)
                && judge.is_steady(exchange.member, from, told);
            if is_due
                && row.meta != meta
                && row.state == Alive
                && !judge.excuses(&[*subject, exchange.member], since, told)
            {
                let name = judge.name(*subject);
                let what = format!("lists {name} with {}, which has {meta}", row.meta);
                judge.breaks(Rule::Agreement, told, exchange.member, what);
            }
        }
    }
}

/// What the latest event about a member said is what the list says.
fn events(judge: &Judge<'_>) {
    let mut views: BTreeMap<(usize, usize), Vec<(Duration, SeenState)>> = BTreeMap::new();
    for entry in &judge.timeline.entries {
        if let What::Sees(View { about, state, .. }) = entry.what {
            views.entry((entry.member, about)).or_default().push((entry.at, state));
        }
    }
    let is_over = |state| matches!(state, Some(Failed | Left));
    for (exchange, told, rows) in judge.lists() {
        let (observer, asked) = (exchange.member, exchange.asked);
        // A Go peer's view of the suspected is not told by events.
        if asked < judge.formed || judge.participants.is_go(observer) {
            continue;
        }
        let mut lives = judge.lives.iter().rev().filter(|life| life.member == observer);
        let begun = lives.find(|life| life.started <= asked).map(|life| life.started);
        for subject in judge.participants.others(observer) {
            let told_of = views.get(&(observer, subject)).map_or(&[][..], Vec::as_slice);
            if told_of.iter().any(|(at, _)| *at + FRESH >= asked && *at <= told + FRESH) {
                continue;
            }
            let latest = told_of.iter().rev().find(|(at, _)| *at <= asked && begun <= Some(*at));
            let (listed, said) =
                (rows.get(&subject).map(|row: &Row| row.state), latest.map(|(_, state)| *state));
            // The dead and the left are forgotten without an event.
            let is_forgotten =
                listed.is_none() && is_over(said) || said.is_none() && is_over(listed);
            if listed != said && !is_forgotten {
                let word =
                    |state: Option<SeenState>| state.map_or("nothing".into(), |s| s.to_string());
                let (name, listed, said) = (judge.name(subject), word(listed), word(said));
                let what = format!("lists {name} {listed}, and its events say {said}");
                judge.breaks(Rule::Agreement, told, observer, what);
            }
        }
    }
}

/// Why the members do not agree on who is there with which metadata, by their latest lists that
/// were asked for after `since`.
pub(crate) fn disagreement(model: &Model<'_>, since: Duration) -> Option<(usize, String)> {
    let there = model.participants.all().filter(|member| model.gone(*member, model.end).is_none());
    let expected: BTreeMap<usize, &str> =
        there.map(|member| (member, model.meta(member, model.end).1)).collect();
    let latest: BTreeMap<usize, &Listed> = model
        .lists()
        .filter(|(exchange, ..)| exchange.asked >= since)
        .map(|(exchange, _, rows)| (exchange.member, rows))
        .collect();
    for member in expected.keys() {
        let Some(rows) = latest.get(member) else {
            return Some((*member, "has not listed its members".to_owned()));
        };
        let alive: BTreeMap<usize, &str> = rows
            .iter()
            .filter(|(_, row)| row.state == Alive)
            .map(|(subject, row)| (*subject, row.meta.as_str()))
            .collect();
        if alive != expected || rows.values().any(|row| row.state == Suspect) {
            let names = |of: &BTreeMap<usize, &str>| {
                let pairs = of.iter().map(|(who, meta)| format!("{}={meta}", model.name(*who)));
                pairs.collect::<Vec<_>>().join(" ")
            };
            let (listed, wanted) = (names(&alive), names(&expected));
            return Some((*member, format!("lists {listed} alive; there are {wanted}")));
        }
    }
    None
}
