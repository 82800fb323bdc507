//! Safety: who lives is not declared dead, who is gone is not listed alive, and a state that was
//! left does not return.

use std::collections::BTreeMap;
use std::time::Duration;

use super::verdict::{Judge, Rule};
use crate::fleet::event::Row;
use crate::fleet::event::SeenState::{self, Alive, Failed, Left, Suspect};
use crate::soak::model::Cause;
use crate::soak::timeline::{View, What};

/// A member that is well may be suspected once in so long.
const SUSPICION_PERIOD: Duration = Duration::from_secs(600);

pub(super) fn check(judge: &Judge<'_>) {
    views(judge);
    suspicions_of_the_well(judge);
    lists(judge);
    incarnations(judge);
    exits(judge);
}

fn is_over(state: SeenState) -> bool {
    matches!(state, Failed | Left)
}

fn views(judge: &Judge<'_>) {
    let mut held: BTreeMap<(usize, usize), View> = BTreeMap::new();
    for entry in &judge.timeline.entries {
        let (at, observer) = (entry.at, entry.member);
        match &entry.what {
            What::Started(_) => held.retain(|(of, _), _| *of != observer),
            What::Conflict(about) if at >= judge.formed => {
                let what = format!("sees two members called {about}");
                judge.breaks(Rule::Safety, at, observer, what);
            }
            What::Sees(view) => {
                judge.count("views", 1);
                let before = held.insert((observer, view.about), *view);
                succession(judge, (observer, at), *view, before);
                if at >= judge.formed && is_over(view.state) {
                    declaration(judge, (observer, at), *view);
                }
            }
            _ => {}
        }
    }
}

/// What may follow what: no second death, no life and no suspicion after a death without a return,
/// and no death by an observer's own suspicion that there was not.
fn succession(
    judge: &Judge<'_>,
    (observer, at): (usize, Duration),
    View { about, state, joined, by, incarnation }: View,
    before: Option<View>,
) {
    let name = judge.name(about);
    let broken = |what| judge.breaks(Rule::Safety, at, observer, what);
    if let Some(View { state: was, incarnation: Some(held), .. }) = before
        && let Some(now) = incarnation
        && (was, state) != (Alive, Alive)
        && (now < held || state == Alive && now == held)
        && !may_be_forgotten(judge, about, at)
    {
        broken(format!("sees {name} {state} at incarnation {now}, after {was} at {held}"));
    }
    let before = before.map(|view| view.state);
    if let Some(was) = before.filter(|before| is_over(*before)) {
        if state == was {
            broken(format!("declares {name} {was} twice"));
        } else if !is_over(state) && !joined {
            broken(format!("holds {name} {state} without a return, after {was}"));
        }
    }
    // By its own suspicion, or by another's that began earlier.
    if state == Failed && by == Some(observer) && before != Some(Suspect) {
        broken(format!("declares {name} failed without having suspected it"));
    }
}

/// A member is declared failed or left.
fn declaration(judge: &Judge<'_>, (observer, at): (usize, Duration), view: View) {
    let View { about, state, by, .. } = view;
    if !judge.is_steady(observer, at, at) {
        return;
    }
    let name = judge.name(about);
    if judge.must_live(about, at) {
        let who: Vec<usize> = [about, observer].into_iter().chain(by).collect();
        let since = at.saturating_sub(judge.bounds.shortest_suspicion());
        if !judge.excuses(&who, since, at) {
            let by = by.map_or(String::new(), |by| format!(" (suspected by {})", judge.name(by)));
            let what = format!("declares {name} {state}{by}, which is well");
            judge.breaks(Rule::Safety, at, observer, what);
        }
    } else if state == Left && judge.gone(about, at).is_some_and(|one| one.cause != Cause::Left) {
        let what = format!("says that {name} left, which did not leave");
        judge.breaks(Rule::Safety, at, observer, what);
    }
}

/// Suspicions by a member that is well of a member that is well, each once however many tell it.
fn suspicions_of_the_well(judge: &Judge<'_>) {
    let echo = judge.bounds.detection();
    let mut begun: BTreeMap<(usize, usize), Duration> = BTreeMap::new();
    let mut of: BTreeMap<usize, Duration> = BTreeMap::new();
    for entry in &judge.timeline.entries {
        let What::Sees(View { about, state: Suspect, by: Some(by), .. }) = entry.what else {
            continue;
        };
        let at = entry.at;
        let last = begun.insert((by, about), at);
        let is_echo = last.is_some_and(|last| at.saturating_sub(last) < echo);
        // The probe and those of the others began within the last two intervals.
        let probing = at.saturating_sub(Duration::from_secs(3));
        if is_echo
            || !judge.is_steady(by, at, at)
            || !judge.is_steady(about, at, at)
            || judge.excuses(&[about, by], probing, at)
        {
            continue;
        }
        judge.count("suspicions of the well", 1);
        let first = of.insert(about, at);
        if let Some(first) = first.filter(|first| at.saturating_sub(*first) < SUSPICION_PERIOD) {
            let (name, first) = (judge.name(about), first.as_secs_f64());
            let what =
                format!("suspects {name}, which is well and was suspected at {first:.1} s already");
            judge.breaks(Rule::Safety, at, by, what);
        }
    }
}

/// Every row of every list of a steady observer.
fn lists(judge: &Judge<'_>) {
    for (exchange, told, rows) in judge.lists() {
        judge.count("lists", 1);
        let (observer, asked) = (exchange.member, exchange.asked);
        if !judge.is_steady(observer, asked, told) {
            continue;
        }
        for subject in judge.participants.others(observer) {
            let state = rows.get(&subject).map(|row: &Row| row.state);
            row(judge, (observer, subject), (asked, told), state);
        }
    }
}

fn row(
    judge: &Judge<'_>,
    (observer, subject): (usize, usize),
    (asked, told): (Duration, Duration),
    state: Option<SeenState>,
) {
    let name = judge.name(subject);
    let is_listed = matches!(state, Some(Alive | Suspect));
    if judge.must_live(subject, asked) && judge.must_live(subject, told) && !is_listed {
        let since = asked.saturating_sub(judge.bounds.repair());
        if !judge.excuses(&[subject, observer], since, told) {
            let as_what = state.map_or("not".to_owned(), |state| state.to_string());
            let what = format!("lists {name} {as_what}, which is well");
            judge.breaks(Rule::Safety, told, observer, what);
        }
    }
    let Some(absence) = judge.gone(subject, asked) else { return };
    let bound = match absence.cause {
        Cause::Killed | Cause::Frozen => judge.bounds.detection(),
        Cause::Left => judge.bounds.repair(),
    };
    if is_listed && told < absence.back && asked > absence.from + bound {
        // Somebody deaf may have told an observer that had forgotten the death.
        let all = judge.participants.all();
        let go: Vec<usize> = all.filter(|member| judge.participants.is_go(*member)).collect();
        if !judge.excuses(&go, absence.from, told) {
            let gone = told.saturating_sub(absence.from).as_secs_f64();
            let what = format!("lists {name} alive, which has been gone for {gone:.1} s");
            judge.breaks(Rule::Safety, told, observer, what);
        }
    }
}

/// Whether the member was gone for as long as others remember the dead, and may be new to them.
fn may_be_forgotten(judge: &Judge<'_>, member: usize, at: Duration) -> bool {
    judge.absences[member].iter().any(|absence| {
        absence.from <= at && absence.back.min(at) - absence.from >= judge.bounds.memory()
    })
}

/// In the lists of one process, an incarnation never falls, and life comes back only with a higher
/// one. A member that was gone for as long as others remember the dead may be new to it.
fn incarnations(judge: &Judge<'_>) {
    for life in &judge.lives {
        let mut last: BTreeMap<usize, (Duration, &Row)> = BTreeMap::new();
        let own = |asked| life.contains(life.member, asked);
        let lists = judge.lists().filter(|(exchange, ..)| exchange.member == life.member);
        for (_, told, rows) in lists.filter(|(exchange, ..)| own(exchange.asked)) {
            for (subject, row) in rows.iter().filter(|(subject, _)| **subject != life.member) {
                let Some((before_at, before)) = last.insert(*subject, (told, row)) else {
                    continue;
                };
                let may_be_new = told > before_at
                    && judge.absences[*subject].iter().any(|absence| {
                        absence.from <= told
                            && before_at <= absence.back
                            && absence.back.min(told) - absence.from >= judge.bounds.memory()
                    });
                let returned = before.state != Alive && row.state == Alive;
                let fell = row.incarnation < before.incarnation;
                if !may_be_new && (fell || returned && row.incarnation == before.incarnation) {
                    let what = format!(
                        "lists {} {} at incarnation {}, after {} at {}",
                        judge.name(*subject),
                        row.state,
                        row.incarnation,
                        before.state,
                        before.incarnation,
                    );
                    judge.breaks(Rule::Safety, told, life.member, what);
                }
            }
        }
    }
}

/// No process ends by itself or with the wrong code, and each that is started gets ready.
fn exits(judge: &Judge<'_>) {
    let describe =
        |code: Option<i32>| code.map_or("a signal".to_owned(), |code| format!("code {code}"));
    for (at, member, code) in &judge.unasked_exits {
        let what = format!("ended with {}, unasked", describe(*code));
        judge.breaks(Rule::Safety, *at, *member, what);
    }
    for entry in &judge.timeline.entries {
        let What::Exited(code) = entry.what else { continue };
        let left = judge.gone(entry.member, entry.at).is_some_and(|one| one.cause == Cause::Left);
        if left && code != Some(0) {
            let what = format!("ended with {} after it left", describe(code));
            judge.breaks(Rule::Safety, entry.at, entry.member, what);
        }
    }
    for life in &judge.lives {
        let by = life.started + judge.bounds.ready();
        if life.ready.is_none() && life.ended.is_none() && judge.end > by {
            judge.breaks(Rule::Service, by, life.member, "does not get ready".to_owned());
        }
    }
}
