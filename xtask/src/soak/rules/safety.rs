//! Safety: who lives is not declared dead, who is gone is not listed alive, and a state that was
//! left does not return.

use std::collections::BTreeMap;
use std::time::Duration;

use super::rule::Rule;
use super::verdict::Verdict;
use crate::fleet::event::{Row, SeenState};
use crate::soak::model::{Cause, Model};
use crate::soak::timeline::{Command, Said, View, What};

/// A member that is well may be suspected once in so long.
const SUSPICION_PERIOD: Duration = Duration::from_secs(600);

pub(super) fn judge(model: &Model<'_>, verdict: &mut Verdict) {
    views(model, verdict);
    suspicions_of_the_well(model, verdict);
    lists(model, verdict);
    incarnations(model, verdict);
    exits(model, verdict);
}

fn is_over(state: SeenState) -> bool {
    matches!(state, SeenState::Failed | SeenState::Left)
}

fn views(model: &Model<'_>, verdict: &mut Verdict) {
    let mut held: BTreeMap<(usize, usize), SeenState> = BTreeMap::new();
    for entry in &model.timeline.entries {
        let (at, observer) = (entry.at, entry.member);
        match &entry.what {
            What::Started(_) => held.retain(|(of, _), _| *of != observer),
            What::Said(Said::Conflict { about }) if at >= model.formed => {
                let what = format!("sees two members called {about}");
                verdict.breaks(Rule::Safety, at, observer, what);
            }
            What::Said(Said::Sees(view)) => {
                verdict.count("views");
                let before = held.get(&(observer, view.about)).copied();
                succession(model, (observer, at), *view, before, verdict);
                if at >= model.formed && is_over(view.state) {
                    declaration(model, (observer, at), *view, verdict);
                }
                held.insert((observer, view.about), view.state);
            }
            _ => {}
        }
    }
}

/// What may follow what: no second death, no life and no suspicion after a death without a return,
/// and no death by an observer's own suspicion that there was not.
fn succession(
    model: &Model<'_>,
    (observer, at): (usize, Duration),
    view: View,
    before: Option<SeenState>,
    verdict: &mut Verdict,
) {
    let name = model.participants.name(view.about);
    let View { state, joined, by, .. } = view;
    if let Some(was) = before.filter(|before| is_over(*before)) {
        if state == was {
            verdict.breaks(Rule::Safety, at, observer, format!("declares {name} {was} twice"));
        } else if !is_over(state) && !joined {
            let what = format!("holds {name} {state} without a return, after {was}");
            verdict.breaks(Rule::Safety, at, observer, what);
        }
    }
    if state == SeenState::Failed && by == Some(observer) {
        // By its own suspicion, or by another's that began earlier.
        if before.is_none_or(|before| before != SeenState::Suspect) {
            let what = format!("declares {name} failed without having suspected it");
            verdict.breaks(Rule::Safety, at, observer, what);
        }
    }
}

/// A member is declared failed or left.
fn declaration(
    model: &Model<'_>,
    (observer, at): (usize, Duration),
    view: View,
    verdict: &mut Verdict,
) {
    let subject = view.about;
    if !model.is_steady(observer, at, at) {
        return;
    }
    let (name, state) = (model.participants.name(subject), view.state);
    if model.must_live(subject, at) {
        let who: Vec<usize> =
            [Some(subject), Some(observer), view.by].into_iter().flatten().collect();
        let since = at.saturating_sub(model.bounds.shortest_suspicion());
        if !verdict.excuses(model, &who, since, at) {
            let by = view.by.map_or(String::new(), |by| {
                format!(" (suspected by {})", model.participants.name(by))
            });
            let what = format!("declares {name} {state}{by}, which is well");
            verdict.breaks(Rule::Safety, at, observer, what);
        }
    } else if state == SeenState::Left
        && model.gone(subject, at).is_some_and(|absence| absence.cause != Cause::Left)
    {
        let what = format!("says that {name} left, which did not leave");
        verdict.breaks(Rule::Safety, at, observer, what);
    }
}

/// Suspicions by a member that is well of a member that is well, each once however many tell it.
fn suspicions_of_the_well(model: &Model<'_>, verdict: &mut Verdict) {
    let echo = model.bounds.detection();
    let mut begun: BTreeMap<(usize, usize), Duration> = BTreeMap::new();
    let mut of: BTreeMap<usize, Vec<(Duration, usize)>> = BTreeMap::new();
    for entry in &model.timeline.entries {
        let What::Said(Said::Sees(View { about, state: SeenState::Suspect, by: Some(by), .. })) =
            entry.what
        else {
            continue;
        };
        let at = entry.at;
        let last = begun.insert((by, about), at);
        let is_echo = last.is_some_and(|last| at.saturating_sub(last) < echo);
        if is_echo || !model.is_steady(by, at, at) || !model.is_steady(about, at, at) {
            continue;
        }
        // The probe and those of the others began within the last two intervals.
        let probing = at.saturating_sub(Duration::from_secs(3));
        if !verdict.excuses(model, &[about, by], probing, at) {
            verdict.count("suspicions of the well");
            of.entry(about).or_default().push((at, by));
        }
    }
    for (about, suspicions) in of {
        for pair in suspicions.windows(2) {
            let ((first, _), (second, by)) = (pair[0], pair[1]);
            if second.saturating_sub(first) < SUSPICION_PERIOD {
                let name = model.participants.name(about);
                let what = format!(
                    "suspects {name}, which is well and was suspected at {:.1} s already",
                    first.as_secs_f64()
                );
                verdict.breaks(Rule::Safety, second, by, what);
            }
        }
    }
}

/// Every row of every list of a steady observer.
fn lists(model: &Model<'_>, verdict: &mut Verdict) {
    for exchange in &model.exchanges {
        let (Command::Members, Some((told, Said::Listed(rows)))) =
            (exchange.command, exchange.reply)
        else {
            continue;
        };
        verdict.count("lists");
        let (observer, asked) = (exchange.member, exchange.asked);
        if !model.is_steady(observer, asked, told) {
            continue;
        }
        for subject in model.participants.all().filter(|subject| *subject != observer) {
            let state = rows.get(&subject).map(|row: &Row| row.state);
            row(model, (observer, subject), (asked, told), state, verdict);
        }
    }
}

fn row(
    model: &Model<'_>,
    (observer, subject): (usize, usize),
    (asked, told): (Duration, Duration),
    state: Option<SeenState>,
    verdict: &mut Verdict,
) {
    let name = model.participants.name(subject);
    let is_listed = matches!(state, Some(SeenState::Alive | SeenState::Suspect));
    if model.must_live(subject, asked) && model.must_live(subject, told) && !is_listed {
        let since = asked.saturating_sub(model.bounds.repair());
        if !verdict.excuses(model, &[subject, observer], since, told) {
            let as_what = state.map_or("not", SeenState::word);
            let what = format!("lists {name} {as_what}, which is well");
            verdict.breaks(Rule::Safety, told, observer, what);
        }
    }
    let Some(absence) = model.gone(subject, asked) else { return };
    let bound = match absence.cause {
        Cause::Killed | Cause::Frozen => model.bounds.detection(),
        Cause::Left => model.bounds.repair(),
    };
    if is_listed && told < absence.back && asked > absence.from + bound {
        // Somebody deaf may have told an observer that had forgotten the death.
        let go: Vec<usize> =
            model.participants.all().filter(|m| model.participants.is_go(*m)).collect();
        if !verdict.excuses(model, &go, absence.from, told) {
            let gone = told.saturating_sub(absence.from).as_secs_f64();
            let what = format!("lists {name} alive, which has been gone for {gone:.1} s");
            verdict.breaks(Rule::Safety, told, observer, what);
        }
    }
}

/// In the lists of one process, an incarnation never falls, and life comes back only with a higher
/// one. A member that was gone for as long as others remember the dead may be new to it.
fn incarnations(model: &Model<'_>, verdict: &mut Verdict) {
    let mut last: BTreeMap<(usize, usize), (Duration, &Row)> = BTreeMap::new();
    let mut started = vec![Duration::ZERO; model.participants.members];
    for life in &model.lives {
        started[life.member] = life.started;
        last.retain(|(observer, _), _| *observer != life.member);
        let lists = model.exchanges.iter().filter(|exchange| {
            exchange.member == life.member
                && exchange.asked >= life.started
                && life.ended.is_none_or(|ended| exchange.asked < ended)
        });
        for exchange in lists {
            let Some((told, Said::Listed(rows))) = exchange.reply else { continue };
            for (subject, row) in rows.iter().filter(|(subject, _)| **subject != life.member) {
                let key = (life.member, *subject);
                let Some((before_at, before)) = last.insert(key, (told, row)) else { continue };
                let may_be_new = model.absences(*subject).iter().any(|absence| {
                    absence.from <= told
                        && before_at <= absence.back
                        && absence.back.min(told) - absence.from >= model.bounds.memory()
                }) && told.saturating_sub(before_at) > Duration::ZERO;
                let returned = before.state != SeenState::Alive && row.state == SeenState::Alive;
                let fell = row.incarnation < before.incarnation;
                if !may_be_new && (fell || returned && row.incarnation == before.incarnation) {
                    let what = format!(
                        "lists {} {} at incarnation {}, after {} at {}",
                        model.participants.name(*subject),
                        row.state,
                        row.incarnation,
                        before.state,
                        before.incarnation,
                    );
                    verdict.breaks(Rule::Safety, told, life.member, what);
                }
            }
        }
    }
}

/// No process ends by itself or with the wrong code, and each that is started gets ready.
fn exits(model: &Model<'_>, verdict: &mut Verdict) {
    let describe =
        |code: Option<i32>| code.map_or("a signal".to_owned(), |code| format!("code {code}"));
    for (at, member, code) in &model.unasked_exits {
        let what = format!("ended with {}, unasked", describe(*code));
        verdict.breaks(Rule::Safety, *at, *member, what);
    }
    for entry in &model.timeline.entries {
        let What::Exited(code) = entry.what else { continue };
        let left = model.gone(entry.member, entry.at).is_some_and(|one| one.cause == Cause::Left);
        if left && code != Some(0) {
            let what = format!("ended with {} after it left", describe(code));
            verdict.breaks(Rule::Safety, entry.at, entry.member, what);
        }
    }
    for life in &model.lives {
        let by = life.started + model.bounds.ready();
        if life.ready.is_none() && life.ended.is_none() && model.end > by {
            verdict.breaks(Rule::Service, by, life.member, "does not get ready".to_owned());
        }
    }
}
