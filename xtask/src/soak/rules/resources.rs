//! Resources: what each process of ours uses stays flat and below its ceilings.
//!
//! What Go peers leak is not judged.

use std::time::Duration;

use super::rule::Rule;
use super::verdict::Verdict;
use crate::fleet::event::Resources;
use crate::soak::model::{Absence, Cause, Life, Model};
use crate::soak::timeline::{Said, What};

/// Fewer samples than this in the last two thirds of a life show no slope.
const ENOUGH: usize = 12;
/// A process needs some time for its first handshakes.
const WARM_UP: Duration = Duration::from_secs(20);
/// Percent of one core: an idle member takes about a tenth of that.
const MOST_PROCESSOR: f64 = 2.0;
/// For each peer that there is or that came back: its own dial, the peer's, and one more try. A Go
/// peer keeps both of two simultaneous dials, and dials again when the unused one has idled out.
const HANDSHAKES_EACH: [usize; 2] = [3, 6];

/// Well within the idle timeout of 30 s, with a keep-alive of a third of it.
const SOON: Duration = Duration::from_secs(10);
/// By then, every peer has sent something over the connection it had.
const SETTLED: Duration = Duration::from_secs(15);

/// What must not grow, and by how much it may: allocators keep what a burst once needed, and
/// files and threads come with single connections.
struct Gauge {
    name: &'static str,
    gained: &'static str,
    read: fn(&Resources) -> u64,
    /// What the line through the last two thirds of a life may rise by in them.
    tolerance: u64,
    /// The most at any time, with so many for each peer.
    ceiling: u64,
    each_peer: u64,
}

const GAUGES: [Gauge; 3] = [
    Gauge {
        name: "KiB of memory",
        gained: "KiB of memory gained",
        read: |used| used.rss_bytes / 1024,
        tolerance: 640,
        ceiling: 32 * 1024,
        each_peer: 256,
    },
    Gauge {
        name: "descriptors",
        gained: "descriptors gained",
        read: |used| used.descriptors,
        tolerance: 1,
        ceiling: 24,
        each_peer: 0,
    },
    Gauge {
        name: "threads",
        gained: "threads gained",
        read: |used| used.threads,
        tolerance: 1,
        ceiling: 16,
        each_peer: 0,
    },
];

type Sample = (Duration, Resources);

pub(super) fn judge(model: &Model<'_>, finished: bool, verdict: &mut Verdict) {
    for life in model.lives.iter().filter(|life| !model.participants.is_go(life.member)) {
        let samples = samples(model, life);
        for _ in &samples {
            verdict.count("samples");
        }
        for gauge in &GAUGES {
            ceiling(model, life, gauge, &samples, verdict);
            if finished || life.ended.is_some() {
                slope(life, gauge, &samples, verdict);
            }
        }
        processor(model, life, &samples, verdict);
        handshakes(model, life, &samples, verdict);
        connections(model, life, &samples, verdict);
        resets(model, life, &samples, verdict);
    }
}

fn samples(model: &Model<'_>, life: &Life) -> Vec<Sample> {
    let entries = model.timeline.entries.iter().filter(|entry| {
        entry.member == life.member
            && entry.at >= life.started
            && life.ended.is_none_or(|ended| entry.at < ended)
    });
    entries
        .filter_map(|entry| match &entry.what {
            What::Said(Said::Uses(used)) => Some((entry.at, *used)),
            _ => None,
        })
        .collect()
}

fn ceiling(
    model: &Model<'_>,
    life: &Life,
    gauge: &Gauge,
    samples: &[Sample],
    verdict: &mut Verdict,
) {
    let peers = u64::try_from(model.participants.members - 1).unwrap_or(u64::MAX);
    let most = gauge.ceiling + gauge.each_peer * peers;
    for (_, used) in samples {
        let value = u32::try_from((gauge.read)(used)).unwrap_or(u32::MAX);
        verdict.measure(gauge.name, f64::from(value));
    }
    if let Some((at, used)) = samples.iter().find(|(_, used)| (gauge.read)(used) > most) {
        let what = format!("has {} {}; at most {most}", (gauge.read)(used), gauge.name);
        verdict.breaks(Rule::Resources, *at, life.member, what);
    }
}

/// The median slope of all pairs of samples (Theil and Sen) in the last two thirds of the life;
/// single bursts do not move it. Three times the tolerance is a leak even when it came in steps.
fn slope(life: &Life, gauge: &Gauge, samples: &[Sample], verdict: &mut Verdict) {
    let considered = &samples[samples.len() / 3..];
    let (Some((first, _)), Some((last, _))) = (considered.first(), considered.last()) else {
        return;
    };
    if considered.len() < ENOUGH {
        return;
    }
    let value = |sample: &Sample| i64::try_from((gauge.read)(&sample.1)).unwrap_or(i64::MAX);
    let length = last.saturating_sub(*first).as_secs_f64();
    let mut slopes: Vec<f64> = Vec::new();
    for (index, early) in considered.iter().enumerate() {
        for late in &considered[index + 1..] {
            let took = late.0.saturating_sub(early.0).as_secs_f64();
            let rise = value(late) - value(early);
            slopes.push(f64::from(i32::try_from(rise).unwrap_or(i32::MAX)) / took.max(0.001));
        }
    }
    slopes.sort_by(f64::total_cmp);
    let growth = slopes[slopes.len() / 2] * length;
    let most =
        f64::from(u32::try_from(gauge.tolerance).unwrap_or(u32::MAX)) * (length / 120.0).max(1.0);
    verdict.measure(gauge.gained, growth);
    if growth > most {
        let what = format!("gained {growth:.0} {} in {length:.0} s; at most {most:.0}", gauge.name);
        verdict.breaks(Rule::Resources, *last, life.member, what);
    }
}

/// Processor time between samples at least the warm-up apart, in which no fault was felt by it.
fn processor(model: &Model<'_>, life: &Life, samples: &[Sample], verdict: &mut Verdict) {
    let mut begin: Option<&Sample> = None;
    for sample in samples {
        let Some((from, before)) = begin else {
            begin = (sample.0 >= life.started + WARM_UP).then_some(sample);
            continue;
        };
        let took = sample.0.saturating_sub(*from);
        if took < WARM_UP {
            continue;
        }
        begin = Some(sample);
        if model.gone(life.member, *from).is_some() {
            continue;
        }
        let used = sample.1.cpu_ms.saturating_sub(before.cpu_ms);
        let share = Duration::from_millis(used).as_secs_f64() / took.as_secs_f64() * 100.0;
        verdict.measure("percent of a core", share);
        if share > MOST_PROCESSOR {
            let seconds = took.as_secs_f64();
            let what = format!("took {share:.1} % of a core for {seconds:.0} s; at most 2");
            verdict.breaks(Rule::Resources, sample.0, life.member, what);
        }
    }
}

fn handshakes(model: &Model<'_>, life: &Life, samples: &[Sample], verdict: &mut Verdict) {
    let Some((at, used)) = samples.last() else { return };
    let each = |member| HANDSHAKES_EACH[usize::from(model.participants.is_go(member))];
    let peers = || model.participants.all().filter(|member| *member != life.member).map(each);
    let returns = model
        .all_absences()
        .filter(|(_, one)| one.from <= *at && one.back >= life.started)
        .map(|(member, _)| if member == life.member { peers().sum() } else { each(member) });
    let most = peers().sum::<usize>() + returns.sum::<usize>();
    let made = (used.dialed + used.accepted).saturating_sub(used.dials_failed);
    // Who is gone is dialed again and again, with a back-off, until it is known to be dead.
    let count = made.max(used.dials_failed / 2);
    let share = f64::from(u32::try_from(count).unwrap_or(u32::MAX))
        / f64::from(u32::try_from(most).unwrap_or(u32::MAX));
    verdict.measure("percent of the handshakes allowed", share * 100.0);
    if count > u64::try_from(most).unwrap_or(u64::MAX) {
        let what = format!("made, or failed to make, {count} handshakes; at most {most}");
        verdict.breaks(Rule::Resources, *at, life.member, what);
    }
}

/// More connections than peers that are, or shortly were, there: for longer than a second one to
/// the same peer may last.
fn connections(model: &Model<'_>, life: &Life, samples: &[Sample], verdict: &mut Verdict) {
    let bound = model.bounds.second_connection();
    let mut since: Option<Duration> = None;
    for (at, used) in samples {
        let recent = at.saturating_sub(bound);
        let peers = model.participants.all().filter(|member| *member != life.member);
        let possible: usize = peers
            .map(|peer| {
                let there = model.gone(peer, *at).is_none_or(|one| one.from >= recent);
                // Its connection from before may last beside the one since it is back.
                let doubled = model.absences(peer).iter().filter(|one| {
                    let was_short = one.back.saturating_sub(one.from) < bound;
                    let is_recent = one.from <= *at && one.back >= recent;
                    was_short && is_recent && !model.is_brief(one) && one.cause != Cause::Left
                });
                usize::from(there) + doubled.count()
            })
            .sum();
        if used.connections <= u64::try_from(possible).unwrap_or(u64::MAX) {
            since = None;
            continue;
        }
        let begun = *since.get_or_insert(*at);
        if at.saturating_sub(begun) > bound {
            let (held, seconds) = (used.connections, at.saturating_sub(begun).as_secs());
            let what =
                format!("holds {held} connections to {possible} peers, too many for {seconds} s");
            verdict.breaks(Rule::Resources, *at, life.member, what);
            since = None;
        }
    }
}

/// Who comes back before its peers' connections have idled out is sent packets of them, and ends
/// each with a stateless reset (RFC 9000 section 10.3): else its peers talk into the void.
fn resets(model: &Model<'_>, life: &Life, samples: &[Sample], verdict: &mut Verdict) {
    let is_before = |one: &&Absence| life.ready.is_some_and(|ready| one.back == ready);
    let before = model.absences(life.member).iter().find(is_before);
    let Some(Absence { cause: Cause::Killed, from, back }) = before else { return };
    let Some((at, used)) = samples.last() else { return };
    let is_soon = back.saturating_sub(*from) < SOON;
    if is_soon && *at >= *back + SETTLED && used.resets_sent == 0 {
        let what = "is back soon after it was killed, and has sent no reset".to_owned();
        verdict.breaks(Rule::Service, *at, life.member, what);
    }
}
