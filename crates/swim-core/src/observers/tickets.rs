//! When each observer's turn to probe is: the observed member deals the turns.
//!
//! Ten observers that probed each at random, in the mean once in ten periods, would leave gaps of
//! several periods. The observed member hears them all, so it spreads them: with each ack
//! an observer is told when to come again, one period after the observer before it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::member_index::MemberIndex;
use crate::time::Time;

/// Turns that are remembered before those that are over are forgotten. Only members that are known
/// are dealt any, so that the members are the bound.
const MANY: usize = 128;

/// The turns that one member deals to its observers.
///
/// An observer that falls silent leaves its turn empty. One that comes again before its turn is
/// told the same turn once more, so that it takes none from the others.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    last: Option<Time>,
    dealt: BTreeMap<MemberIndex, Time>,
}

impl Tickets {
    /// One of so many observers has just probed: how long it is to wait before it probes again.
    ///
    /// That is one `period` after the last turn that was dealt, but at least half as long as
    /// [`untold_wait`] and at most [`longest_wait`] from now.
    pub(crate) fn deal(
        &mut self,
        to: MemberIndex,
        (observers, period): (usize, Duration),
        now: Time,
    ) -> Duration {
        // An observer comes a little after its turn and never much before.
        let is_early = |turn: &&Time| **turn > now + shortest_wait(period);
        if let Some(turn) = self.dealt.get(&to).filter(is_early) {
            return (*turn - now).min(longest_wait(observers, period));
        }
        let earliest = now + untold_wait(observers, period) / 2;
        let after_last = self.last.map_or(earliest, |last| last + period);
        let turn = after_last.max(earliest).min(now + longest_wait(observers, period));
        self.last = Some(turn);
        if self.dealt.len() >= MANY {
            self.dealt.retain(|_, turn| *turn > now);
        }
        self.dealt.insert(to, turn);
        turn - now
    }

    /// The member was purged.
    pub(crate) fn forget(&mut self, index: MemberIndex) {
        self.dealt.remove(&index);
    }
}

/// How long each of so many observers waits between its probes of a member that deals no turns, as
/// Go members do not: all together then probe about once a `period`.
pub(crate) fn untold_wait(observers: usize, period: Duration) -> Duration {
    period.saturating_mul(u32::try_from(observers).unwrap_or(u32::MAX))
}

/// The shortest wait that is dealt, and that an observer believes. Whoever was told to come at
/// once, again and again, would do nothing else.
pub(crate) fn shortest_wait(period: Duration) -> Duration {
    period / 2
}

/// The longest wait that is dealt, and that an observer believes. Whoever was told to wait for
/// longer would watch nobody.
pub(crate) fn longest_wait(observers: usize, period: Duration) -> Duration {
    untold_wait(observers, period).saturating_mul(2)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::observers::OBSERVERS;
    use crate::rng::{Rng, RngSeed};

    const PERIOD: Duration = Duration::from_secs(1);

    const TEN: (usize, Duration) = (OBSERVERS, PERIOD);

    fn second(second: u64) -> Time {
        Time::from_micros(second * 1_000_000)
    }

    fn observer(place: usize) -> MemberIndex {
        MemberIndex::at(place).unwrap()
    }

    #[test]
    fn turns_are_a_period_apart_and_never_too_near_or_far() {
        let mut tickets = Tickets::default();
        let mut deal = |to, at| tickets.deal(observer(to), TEN, second(at)).as_secs();
        assert_eq!(deal(1, 0), 5);
        for turn in 6..=20 {
            assert_eq!(deal(turn, 0), turn as u64);
        }
        assert_eq!(deal(21, 0), 20);
        assert_eq!(deal(22, 0), 20, "nobody is told to wait for longer");
        // The last turn, at 20 s, is long past.
        assert_eq!(deal(1, 90), 5);
    }

    #[test]
    fn who_comes_before_its_turn_is_told_the_same_turn() {
        let mut tickets = Tickets::default();
        assert_eq!(tickets.deal(observer(1), TEN, second(0)), PERIOD * 5);
        for at in 0..4 {
            let wait = tickets.deal(observer(1), TEN, second(at));
            assert_eq!(wait, Duration::from_secs(5 - at));
        }
        assert_eq!(tickets.deal(observer(2), TEN, second(0)), PERIOD * 6);
    }

    /// For how long after a crash nobody would have probed, for crashes at even distances, in
    /// microseconds and sorted. Acks are lost at `loss` in 100; an observer without one comes again
    /// when it would if it were untold.
    fn first_probes_after(seed: u8, loss: usize, told: bool) -> Vec<u64> {
        let mut rng = Rng::new(RngSeed([seed; 32]));
        let mut tickets = Tickets::default();
        let mut next: BTreeMap<usize, Time> = (0..OBSERVERS)
            .map(|observer| (observer, Time::ZERO + rng.span(untold_wait(OBSERVERS, PERIOD))))
            .collect();
        let mut probes = Vec::new();
        while probes.len() < 6_000 {
            let (&observer, &now) = next.iter().min_by_key(|(_, at)| **at).unwrap();
            probes.push(now);
            let dealt = tickets.deal(MemberIndex::at(observer).unwrap(), TEN, now);
            let is_lost = rng.below(100) < loss;
            // A round trip and a late timer: up to 20 ms.
            let late = rng.span(Duration::from_millis(20));
            let wait = if told && !is_lost { dealt } else { untold_wait(OBSERVERS, PERIOD) };
            next.insert(observer, now + wait + late);
        }
        let settled = Time::ZERO + longest_wait(OBSERVERS, PERIOD) * 3;
        let last = probes[probes.len() - 1];
        let mut waits = Vec::new();
        let mut crash = settled;
        while crash < last {
            let first = probes[probes.partition_point(|at| *at < crash)];
            waits.push(u64::try_from((first - crash).as_micros()).unwrap());
            crash += Duration::from_millis(37);
        }
        waits.sort_unstable();
        waits
    }

    fn mean_and_p99(waits: &[u64]) -> (f64, f64) {
        let mean = waits.iter().sum::<u64>() as f64 / waits.len() as f64;
        (mean / 1e6, waits[waits.len() * 99 / 100] as f64 / 1e6)
    }

    #[test]
    fn with_turns_the_first_probe_after_a_crash_comes_within_about_a_period() {
        for loss in [0, 2] {
            for seed in 0..20 {
                let (mean, p99) = mean_and_p99(&first_probes_after(seed, loss, true));
                println!("seed {seed}, {loss} % lost: mean {mean:.2}, p99 {p99:.2} periods");
                assert!(mean <= 0.55 && p99 <= 1.1, "seed {seed}, {loss} %: {mean} {p99}");
            }
        }
    }

    /// What turns are for.
    #[test]
    fn without_turns_there_are_gaps_of_several_periods() {
        let gaps: Vec<f64> =
            (0..20).map(|seed| mean_and_p99(&first_probes_after(seed, 0, false)).1).collect();
        let mean = gaps.iter().sum::<f64>() / 20.0;
        assert!(mean > 2.0, "p99 {mean} in the mean");
    }
}
