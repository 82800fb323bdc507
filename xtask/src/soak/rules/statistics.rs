//! How fast members hear what they must hear, and what may be lost now and then.

use std::time::Duration;

use super::rule::Rule;
use super::statistic::Statistic;
use super::verdict::Verdict;
use crate::fleet::event::SeenState;
use crate::soak::model::{Absence, Cause, Model, NEVER};
use crate::soak::timeline::{Said, What};

pub(super) fn judge(model: &Model<'_>, verdict: &mut Verdict) {
    detections(model, verdict);
    departures(model, verdict);
    returns(model, verdict);
    updates(model, verdict);
}

/// The first thing that the observer said after `since` for which `what` holds.
fn first(
    model: &Model<'_>,
    observer: usize,
    since: Duration,
    what: impl Fn(&Said) -> bool,
) -> Option<Duration> {
    let entries = &model.timeline.entries;
    let begin = entries.partition_point(|entry| entry.at < since);
    let mut later = entries[begin..].iter().filter(|entry| entry.member == observer);
    later.find_map(|entry| match &entry.what {
        What::Said(said) if what(said) => Some(entry.at - since),
        _ => None,
    })
}

/// Members of ours that were well in all this time, and had the time to hear. Go members hear in
/// their own time.
fn witnesses<'a>(
    model: &'a Model<'_>,
    subject: usize,
    from: Duration,
    bound: Duration,
) -> impl Iterator<Item = usize> + 'a {
    let until = from.saturating_add(bound);
    model.participants.all().filter(move |observer| {
        *observer != subject
            && !model.participants.is_go(*observer)
            && until <= model.end
            && model.is_steady(*observer, from, until)
    })
}

/// Absences that last until all must hold the member dead, and all that heard of others: the
/// latter would only show the quick ones.
fn detections(model: &Model<'_>, verdict: &mut Verdict) {
    let mut statistic =
        Statistic::new("detections of a death", model.bounds.usual_detection(), Rule::Safety);
    let bound = model.bounds.detection();
    for (subject, absence) in model.all_absences() {
        let Absence { cause, from, back } = *absence;
        if cause == Cause::Left || back.saturating_sub(from) < bound {
            continue;
        }
        for observer in witnesses(model, subject, from, bound) {
            let took = first(model, observer, from, |said| {
                matches!(said, Said::Sees(view)
                    if view.about == subject && view.state == SeenState::Failed)
            });
            statistic.add(took.filter(|took| *took <= bound), (model, from), (subject, observer));
        }
    }
    verdict.conclude(statistic, model);
}

/// A leave is heard as a leave, before its member would be found dead.
fn departures(model: &Model<'_>, verdict: &mut Verdict) {
    let mut statistic =
        Statistic::new("departures heard", model.bounds.usual_departure(), Rule::Safety);
    let bound = model.bounds.spread();
    for (subject, absence) in model.all_absences() {
        if absence.cause != Cause::Left || absence.back.saturating_sub(absence.from) < bound {
            continue;
        }
        for observer in witnesses(model, subject, absence.from, bound) {
            let is_end = |said: &Said, wanted: &[SeenState]| {
                matches!(said, Said::Sees(view)
                    if view.about == subject && wanted.contains(&view.state))
            };
            let any = [SeenState::Left, SeenState::Failed];
            let heard = first(model, observer, absence.from, |said| is_end(said, &any));
            let left = first(model, observer, absence.from, |said| is_end(said, &any[..1]));
            let took = left.filter(|took| *took <= bound && heard == Some(*took));
            statistic.add(took, (model, absence.from), (subject, observer));
        }
    }
    verdict.conclude(statistic, model);
}

/// The new process of a member that was away is known, with its metadata.
fn returns(model: &Model<'_>, verdict: &mut Verdict) {
    let mut statistic =
        Statistic::new("returns heard", model.bounds.usual_spread(), Rule::Agreement);
    let bound = model.bounds.spread();
    for (subject, absence) in model.all_absences() {
        let Absence { cause, back, .. } = *absence;
        if cause == Cause::Frozen || back == NEVER || model.participants.is_go(subject) {
            continue;
        }
        // It is told to some before it says itself that it is ready.
        let since = model.meta(subject, back).0;
        for observer in witnesses(model, subject, since, bound + (back - since)) {
            let took = first(model, observer, since, |said| match said {
                Said::Sees(view) => view.about == subject && view.joined,
                Said::Updated { about, .. } => *about == subject,
                _ => false,
            });
            let took = took.map(|took| took.saturating_sub(back - since));
            statistic.add(took.filter(|took| *took <= bound), (model, back), (subject, observer));
        }
    }
    verdict.conclude(statistic, model);
}

/// New metadata of a member that is well is heard by gossip, not only by exchanges of states.
fn updates(model: &Model<'_>, verdict: &mut Verdict) {
    let mut statistic =
        Statistic::new("updates of metadata heard", model.bounds.usual_spread(), Rule::Agreement);
    let bound = model.bounds.spread();
    for entry in &model.timeline.entries {
        let (What::Meta(given), subject, at) = (&entry.what, entry.member, entry.at) else {
            continue;
        };
        if model.participants.is_go(subject) || !model.is_steady(subject, at, at + bound) {
            continue;
        }
        // Newer metadata may overtake it.
        if model.meta(subject, at + bound).1 != given {
            continue;
        }
        for observer in witnesses(model, subject, at, bound) {
            let took = first(model, observer, at, |said| {
                matches!(said, Said::Updated { about, meta }
                    if *about == subject && meta == given)
            });
            statistic.add(took.filter(|took| *took <= bound), (model, at), (subject, observer));
        }
    }
    verdict.conclude(statistic, model);
}
