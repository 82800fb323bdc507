//! How fast members hear what they must hear, and what may be lost now and then.

use std::time::Duration;

use super::verdict::{Judge, Rule, Statistic};
use crate::fleet::event::SeenState::{Failed, Left};
use crate::soak::model::{Cause, Exchange, NEVER};
use crate::soak::timeline::{Command, What};

pub(super) fn check(judge: &Judge<'_>) {
    detections(judge);
    departures(judge);
    returns(judge);
    updates(judge);
}

/// Adds a case for each member of ours that was well in all the time from `since`, and had the
/// time to hear; Go members hear in their own time. `hears` tells what settles a case, and whether
/// well. It counts from `from`, and must come within the bound.
fn cases(
    judge: &Judge<'_>,
    statistic: &mut Statistic,
    subject: usize,
    (since, from, bound): (Duration, Duration, Duration),
    hears: impl Fn(&What) -> Option<bool>,
) {
    let until = from.saturating_add(bound);
    let begin = judge.timeline.entries.partition_point(|entry| entry.at < since);
    let later = &judge.timeline.entries[begin..];
    for observer in judge.participants.others(subject) {
        if judge.participants.is_go(observer)
            || until > judge.end
            || !judge.is_steady(observer, since, until)
        {
            continue;
        }
        let mut own = later.iter().filter(|entry| entry.member == observer);
        let heard = own.find_map(|entry| Some((entry.at, hears(&entry.what)?)));
        let took = heard.filter(|(at, well)| *well && *at <= until);
        let took = took.map(|(at, _)| at.saturating_sub(from));
        statistic.add(took, (judge, from), (subject, observer));
    }
}

/// Absences that last until all must hold the member dead, and all that heard of others: the
/// latter would only show the quick ones.
fn detections(judge: &Judge<'_>) {
    let (bound, usual) = (judge.bounds.detection(), judge.bounds.usual_detection());
    let mut statistic = Statistic::new("detections of a death", usual, Rule::Safety);
    for (subject, absence) in judge.all_absences() {
        if absence.cause != Cause::Left && absence.lasts() >= bound {
            let times = (absence.from, absence.from, bound);
            cases(judge, &mut statistic, subject, times, |what| match what {
                What::Sees(view) => (view.about == subject && view.state == Failed).then_some(true),
                _ => None,
            });
        }
    }
    judge.conclude(statistic);
}

/// A leave is heard as a leave, before its member would be found dead.
fn departures(judge: &Judge<'_>) {
    let (bound, usual) = (judge.bounds.spread(), judge.bounds.usual_departure());
    let mut statistic = Statistic::new("departures heard", usual, Rule::Safety);
    for (subject, absence) in judge.all_absences() {
        if absence.cause == Cause::Left && absence.lasts() >= bound {
            let times = (absence.from, absence.from, bound);
            cases(judge, &mut statistic, subject, times, |what| match what {
                What::Sees(view) if view.about == subject => match view.state {
                    Left => Some(true),
                    Failed => Some(false),
                    _ => None,
                },
                _ => None,
            });
        }
    }
    judge.conclude(statistic);
}

/// The new process of a member that was away is known, with its metadata.
fn returns(judge: &Judge<'_>) {
    let (bound, usual) = (judge.bounds.spread(), judge.bounds.usual_spread());
    let mut statistic = Statistic::new("returns heard", usual, Rule::Agreement);
    for (subject, absence) in judge.all_absences() {
        let back = absence.back;
        if absence.cause == Cause::Frozen || back == NEVER || judge.participants.is_go(subject) {
            continue;
        }
        // It is told to some before it says itself that it is ready.
        let times = (judge.meta(subject, back).0, back, bound);
        cases(judge, &mut statistic, subject, times, |what| match what {
            What::Sees(view) => (view.about == subject && view.joined).then_some(true),
            What::Updated { about, .. } => (*about == subject).then_some(true),
            _ => None,
        });
    }
    judge.conclude(statistic);
}

/// New metadata of a member that is well is heard by gossip, not only by exchanges of states.
fn updates(judge: &Judge<'_>) {
    let (bound, usual) = (judge.bounds.spread(), judge.bounds.usual_spread());
    let mut statistic = Statistic::new("updates of metadata heard", usual, Rule::Agreement);
    for exchange in &judge.exchanges {
        let Exchange { member: subject, command, asked, reply, .. } = *exchange;
        // It counts from the answer: a command waits for those before it.
        let (Command::Meta(given), Some((at, _))) = (command, reply) else {
            continue;
        };
        // Newer metadata may overtake it.
        if judge.participants.is_go(subject)
            || !judge.is_steady(subject, asked, at + bound)
            || judge.meta(subject, at + bound).1 != given
        {
            continue;
        }
        cases(judge, &mut statistic, subject, (asked, at, bound), |what| match what {
            What::Updated { about, meta } => (*about == subject && meta == given).then_some(true),
            _ => None,
        });
    }
    judge.conclude(statistic);
}
