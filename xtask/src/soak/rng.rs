//! Random numbers that a seed replays on every machine and in every later version.
//!
//! SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), written out here so that no dependency's
//! update changes what a seed means. Never used for secrets.

use std::time::Duration;

pub(super) struct PlanRng(u64);

impl PlanRng {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; zero if that is zero.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        // The remainder's bias is below 2^-50 for the bounds used here, all of them small.
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        let drawn = self.next().checked_rem(bound).unwrap_or(0);
        usize::try_from(drawn).unwrap_or(0)
    }

    /// Whole milliseconds from `from` up to and including `to`.
    pub(super) fn between(&mut self, from: Duration, to: Duration) -> Duration {
        let span = usize::try_from(to.saturating_sub(from).as_millis()).unwrap_or(0);
        let drawn = u64::try_from(self.below(span + 1)).unwrap_or(0);
        from + Duration::from_millis(drawn)
    }

    /// One of them, or `None` if there is none.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        from.get(self.below(from.len())).copied()
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_draws_of_a_seed_are_the_published_ones() {
        let mut rng = PlanRng::new(1_234_567);
        let drawn = [rng.next(), rng.next(), rng.next()];
        let published =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(drawn, published);
    }

    #[test]
    fn draws_stay_within_their_bounds_and_reach_both_ends() {
        let mut rng = PlanRng::new(7);
        let (from, to) = (Duration::from_millis(3), Duration::from_millis(5));
        let drawn: std::collections::BTreeSet<Duration> =
            (0..200).map(|_| rng.between(from, to)).collect();
        assert_eq!(drawn.len(), 3);
        assert_eq!((drawn.first(), drawn.last()), (Some(&from), Some(&to)));
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.pick::<u8>(&[]), None);
    }
}
