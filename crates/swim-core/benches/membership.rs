//! What an update costs that tells a machine nothing new, by the number of members it knows.
//!
//! Gossip repeats itself, so this is most of what a machine is told. The packets are full, 1,400
//! bytes, and speak of each member in turn, so that no cache holds what comes next by luck.

mod common;

use std::hint::black_box;
use std::time::Duration;

use common::Crowd;
use criterion::{Criterion, criterion_group, criterion_main};
use rustix::time::{ClockId, clock_gettime};
use swim_core::Peer;

fn known_updates(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("known update, each");
    for members in [100, 1_000, 10_000] {
        let mut crowd = Crowd::strangers(members);
        crowd.learn(members);
        let from = Peer::unverified(([10, 255, 0, 2], 7_946).into());
        let mut next = 0;
        group.bench_function(format!("{members} members"), |bencher| {
            bencher.iter_custom(|updates| {
                // Whole packets only: the average of one round over all of them, times `updates`.
                let packets = u64::try_from(crowd.packets.len()).unwrap_or(u64::MAX);
                let members = u64::try_from(members).unwrap_or(u64::MAX);
                let rounds = (updates * packets).div_ceil(members).max(1);
                let begin = now();
                for _ in 0..rounds {
                    crowd.hand_in(black_box(next), &from);
                    next = (next + 1) % crowd.packets.len();
                }
                let handled = f64::from(u32::try_from(rounds * members / packets).unwrap_or(1));
                let wanted = f64::from(u32::try_from(updates).unwrap_or(u32::MAX));
                (now() - begin).mul_f64(wanted / handled.max(1.0))
            });
        });
        assert_eq!(crowd.machine.stats().queued_updates, 0, "an update was queued");
    }
    group.finish();
}

/// The time that this thread has had on a processor: a busy machine does not count.
fn now() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(spent).unwrap_or_default()
}

criterion_group!(benches, known_updates);
criterion_main!(benches);
