//! Resources: what each process of ours uses stays flat and below its ceilings.
//!
//! What Go peers leak is not judged.

use std::time::Duration;

use super::verdict::{Judge, Rule};
use crate::fleet::event::Resources;
use crate::soak::model::{Absence, Cause, Life};
use crate::soak::timeline::What;

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
/// By then, every peer has sent something over the connection it had, and the dials that waited for
/// a member while it was frozen or cut off have ended.
const SETTLED: Duration = Duration::from_secs(15);

/// What must not grow, and by how much it may: allocators keep what a burst once needed, and
/// files and threads come with single connections.
struct Gauge {
    name: &'static str,
    gained: &'static str,
    explained: &'static str,
    read: fn(&Resources) -> u64,
    /// What the line through the last two thirds of a life may rise by in them.
    tolerance: u32,
    /// What each handshake begun around an absence of the member itself may leave behind: its peers
    /// dial again and again meanwhile, all these dials arrive when it is back, and the allocator
    /// keeps what so many connections at once have needed.
    each_handshake: u32,
    /// What all absences of one life together may leave behind.
    left_behind: u32,
    /// The most at any time, with so many for each peer.
    ceiling: u64,
    each_peer: u64,
}

const GAUGES: [Gauge; 3] = [
    Gauge {
        name: "KiB of memory",
        gained: "KiB of memory gained",
        explained: "KiB of memory explained by absences",
        read: |used| used.rss_bytes / 1024,
        tolerance: 640,
        // A connection takes 28 KiB, and some while it shakes hands.
        each_handshake: 32,
        left_behind: 4096,
        ceiling: 32 * 1024,
        each_peer: 256,
    },
    Gauge {
        name: "descriptors",
        gained: "descriptors gained",
        explained: "descriptors explained by absences",
        read: |used| used.descriptors,
        tolerance: 1,
        each_handshake: 0,
        left_behind: 0,
        ceiling: 24,
        each_peer: 0,
    },
    Gauge {
        name: "threads",
        gained: "threads gained",
        explained: "threads explained by absences",
        read: |used| used.threads,
        tolerance: 1,
        each_handshake: 0,
        left_behind: 0,
        ceiling: 16,
        each_peer: 0,
    },
];

type Sample = (Duration, Resources);

pub(super) fn check(judge: &Judge<'_>, finished: bool) {
    for life in judge.lives.iter().filter(|life| !judge.participants.is_go(life.member)) {
        let entries = &judge.timeline.entries;
        let own = entries.iter().filter(|entry| life.contains(entry.member, entry.at));
        let samples: Vec<Sample> = own
            .filter_map(|entry| match &entry.what {
                What::Uses(used) => Some((entry.at, *used)),
                _ => None,
            })
            .collect();
        judge.count("samples", samples.len());
        for gauge in &GAUGES {
            ceiling(judge, life, gauge, &samples);
            if finished || life.ended.is_some() {
                slope(judge, life, gauge, &samples);
            }
        }
        processor(judge, life, &samples);
        connections(judge, life, &samples);
        if let Some((at, used)) = samples.last() {
            handshakes(judge, life, *at, used);
            resets(judge, life, *at, used);
        }
    }
}

/// Counts here are small; a larger one is as bad as the largest.
fn float(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn ceiling(judge: &Judge<'_>, life: &Life, gauge: &Gauge, samples: &[Sample]) {
    let peers = u64::try_from(judge.participants.members - 1).unwrap_or(u64::MAX);
    let most = gauge.ceiling + gauge.each_peer * peers;
    for (_, used) in samples {
        judge.measure(gauge.name, float((gauge.read)(used)));
    }
    if let Some((at, used)) = samples.iter().find(|(_, used)| (gauge.read)(used) > most) {
        let what = format!("has {} {}; at most {most}", (gauge.read)(used), gauge.name);
        judge.breaks(Rule::Resources, *at, life.member, what);
    }
}

/// The value of each sample, less what the member's absences explain of its rise.
fn unexplained(
    judge: &Judge<'_>,
    life: &Life,
    gauge: &Gauge,
    samples: &[Sample],
) -> Vec<(f64, f64)> {
    let mut explained = 0.0;
    let mut before = samples.first();
    let mut values = Vec::new();
    for sample in samples {
        let (at, used) = sample;
        let (last, past) = before.replace(sample).unwrap_or(sample);
        let is_around =
            |one: &&Absence| one.from <= *at && *last <= one.back.saturating_add(SETTLED);
        if judge.absences[life.member].iter().any(|one| is_around(&one)) {
            let begun = (used.dialed + used.accepted).saturating_sub(past.dialed + past.accepted);
            let rise = float((gauge.read)(used)) - float((gauge.read)(past));
            let most = float(begun) * f64::from(gauge.each_handshake);
            explained += rise.clamp(0.0, most);
        }
        let explained = f64::min(explained, f64::from(gauge.left_behind));
        values.push((at.as_secs_f64(), float((gauge.read)(used)) - explained));
    }
    judge.measure(gauge.explained, f64::min(explained, f64::from(gauge.left_behind)));
    values
}

/// The median slope of all pairs of samples (Theil and Sen) in the last two thirds of the life;
/// single bursts do not move it.
fn slope(judge: &Judge<'_>, life: &Life, gauge: &Gauge, samples: &[Sample]) {
    let values = unexplained(judge, life, gauge, samples);
    let considered = &values[values.len() / 3..];
    let ([(first, _), .., (last, _)], Some((end, _))) = (considered, samples.last()) else {
        return;
    };
    if considered.len() < ENOUGH {
        return;
    }
    let length = last - first;
    let mut slopes: Vec<f64> = Vec::new();
    for (index, (early, before)) in considered.iter().enumerate() {
        for (late, after) in &considered[index + 1..] {
            slopes.push((after - before) / (late - early).max(0.001));
        }
    }
    slopes.sort_by(f64::total_cmp);
    let growth = slopes[slopes.len() / 2] * length;
    let most = f64::from(gauge.tolerance) * (length / 120.0).max(1.0);
    judge.measure(gauge.gained, growth);
    if growth > most {
        let what = format!("gained {growth:.0} {} in {length:.0} s; at most {most:.0}", gauge.name);
        judge.breaks(Rule::Resources, *end, life.member, what);
    }
}

/// Processor time between samples at least the warm-up apart, in which no fault was felt by it.
fn processor(judge: &Judge<'_>, life: &Life, samples: &[Sample]) {
    let warm = samples.iter().position(|(at, _)| *at >= life.started + WARM_UP);
    let Some((first, later)) = warm.and_then(|warm| samples[warm..].split_first()) else { return };
    let &(mut from, mut before) = first;
    for (at, used) in later {
        let took = at.saturating_sub(from);
        if took < WARM_UP {
            continue;
        }
        let spent = Duration::from_millis(used.cpu_ms.saturating_sub(before.cpu_ms));
        let was_there = judge.gone(life.member, from).is_none();
        (from, before) = (*at, *used);
        if !was_there {
            continue;
        }
        let (seconds, share) =
            (took.as_secs_f64(), spent.as_secs_f64() / took.as_secs_f64() * 100.0);
        judge.measure("percent of a core", share);
        if share > MOST_PROCESSOR {
            let what = format!("took {share:.1} % of a core for {seconds:.0} s; at most 2");
            judge.breaks(Rule::Resources, *at, life.member, what);
        }
    }
}

fn handshakes(judge: &Judge<'_>, life: &Life, at: Duration, used: &Resources) {
    let each = |member| HANDSHAKES_EACH[usize::from(judge.participants.is_go(member))];
    let peers: usize = judge.participants.others(life.member).map(each).sum();
    let returns = judge
        .all_absences()
        .filter(|(_, one)| one.from <= at && one.back >= life.started)
        .map(|(member, _)| if member == life.member { peers } else { each(member) });
    let most = u64::try_from(peers + returns.sum::<usize>()).unwrap_or(u64::MAX);
    // Who is gone is dialed again and again, with a back-off, until it is known to be dead. Who was
    // frozen accepts all that waited for it; nobody answers on most of these any more.
    let count = used.confirmed.max(used.dials_failed / 2);
    judge.measure("percent of the handshakes allowed", float(count) / float(most) * 100.0);
    if count > most {
        let what = format!("made, or failed to make, {count} handshakes; at most {most}");
        judge.breaks(Rule::Resources, at, life.member, what);
    }
}

/// More connections than peers that are, or shortly were, there: for longer than a second one to
/// the same peer may last.
fn connections(judge: &Judge<'_>, life: &Life, samples: &[Sample]) {
    let bound = judge.bounds.second_connection();
    let mut since: Option<Duration> = None;
    let mut last = Duration::ZERO;
    for (at, used) in samples {
        // While it was away itself it gave no samples, and closed nothing.
        if judge.absences[life.member].iter().any(|one| last <= one.back && one.from <= *at) {
            since = None;
        }
        last = *at;
        let recent = at.saturating_sub(bound);
        let of_peer = |peer: usize| {
            let there = judge.gone(peer, *at).is_none_or(|one| one.from >= recent);
            // Its connection from before may last beside the one since it is back.
            let doubled = judge.absences[peer].iter().filter(|one| {
                let is_recent = one.from <= *at && one.back >= recent && one.lasts() < bound;
                is_recent && !judge.is_brief(one) && one.cause != Cause::Left
            });
            // A Go peer keeps both of two simultaneous dials.
            let each = 1 + usize::from(judge.participants.is_go(peer));
            each * (usize::from(there) + doubled.count())
        };
        let possible: usize = judge.participants.others(life.member).map(of_peer).sum();
        let held = used.connections;
        if held <= u64::try_from(possible).unwrap_or(u64::MAX) {
            since = None;
            continue;
        }
        let lasted = at.saturating_sub(*since.get_or_insert(*at));
        if lasted > bound {
            let seconds = lasted.as_secs();
            let what =
                format!("holds {held} connections to {possible} peers, too many for {seconds} s");
            judge.breaks(Rule::Resources, *at, life.member, what);
            since = None;
        }
    }
}

/// Who comes back before its peers' connections have idled out is sent packets of them, and ends
/// each with a stateless reset (RFC 9000 section 10.3): else its peers talk into the void.
fn resets(judge: &Judge<'_>, life: &Life, at: Duration, used: &Resources) {
    let is_before = |one: &&Absence| life.ready.is_some_and(|ready| one.back == ready);
    let Some(before) = judge.absences[life.member].iter().find(is_before) else { return };
    let is_soon = before.cause == Cause::Killed && before.lasts() < SOON;
    if is_soon && at >= before.back + SETTLED && used.resets_sent == 0 {
        let what = "is back soon after it was killed, and has sent no reset".to_owned();
        judge.breaks(Rule::Service, at, life.member, what);
    }
}
