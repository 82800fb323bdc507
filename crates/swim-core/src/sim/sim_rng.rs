//! The simulator's random numbers: every draw of one simulation follows from its one seed.
//!
//! The network, the fault plan and every process of every host draw from streams of their own, so
//! that one more draw in one place does not change all the others.

use std::time::Duration;

use crate::rng::{Rng, RngSeed};
use crate::sim::fault::HostId;

/// The denominator of rates: a rate of `MILLION` happens every time.
pub(crate) const MILLION: u32 = 1_000_000;

/// One stream of draws.
pub(crate) struct SimRng(Rng);

impl SimRng {
    /// The stream `stream` of the simulation `seed`.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self(Rng::new(expand(seed, stream)))
    }

    /// A number in `0..bound`; 0 when `bound` is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound)
    }

    /// A number in `least..=most`.
    pub(crate) fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most - least + 1)
    }

    /// Draws a `u32` in `least..=most`.
    pub(crate) fn rate(&mut self, least: u32, most: u32) -> u32 {
        let wide = (u64::from(most - least) + 1) * (self.0.next_u64() >> 32);
        least + u32::try_from(wide >> 32).unwrap_or(0)
    }

    /// True this often in a million draws.
    pub(crate) fn happens(&mut self, per_million: u32) -> bool {
        per_million > 0 && self.rate(0, MILLION - 1) < per_million
    }

    /// A span in `[least, most)`.
    pub(crate) fn span(&mut self, least: Duration, most: Duration) -> Duration {
        least + self.0.span(most.saturating_sub(least))
    }

    /// One of them; there must be some.
    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// `count` distinct ones of them, or all when there are fewer.
    pub(crate) fn sample<T: Copy>(&mut self, items: &[T], count: usize) -> Vec<T> {
        let mut all = items.to_vec();
        self.0.shuffle(&mut all);
        all.truncate(count);
        all
    }
}

/// The random streams of processes begin here.
const FIRST_PROCESS: u64 = 1 << 32;

/// The seed of a host's `process`-th process.
pub(crate) fn process_seed(seed: u64, host: HostId, process: u32) -> RngSeed {
    expand(seed, FIRST_PROCESS * u64::from(process) + u64::from(host.0))
}

/// The 32 bytes that stand for a stream of a simulation.
fn expand(seed: u64, stream: u64) -> RngSeed {
    let mut state = seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95);
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_exact_mut(8) {
        chunk.copy_from_slice(&split_mix(&mut state).to_le_bytes());
    }
    RngSeed(bytes)
}

/// `SplitMix64` (Steele, Lea and Flood 2014), the usual way to fill the state of a xoshiro.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_and_streams_draw_apart_and_replay() {
        let draw = |seed, stream| {
            let mut rng = SimRng::new(seed, stream);
            (0..6).map(|_| rng.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(2, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
    }

    #[test]
    fn rates_come_about_as_often_as_they_say() {
        let mut rng = SimRng::new(7, 7);
        let hits = (0..10_000).filter(|_| rng.happens(MILLION / 10)).count();
        assert!((900..1100).contains(&hits), "{hits}");
        assert!((0..100).all(|_| !rng.happens(0) && rng.happens(MILLION)));
        assert!((0..100).all(|_| (3..=5).contains(&rng.rate(3, 5))));
    }

    #[test]
    fn a_sample_has_distinct_items() {
        let mut sample = SimRng::new(1, 1).sample(&[1, 2, 3, 4, 5], 3);
        sample.sort_unstable();
        sample.dedup();
        assert_eq!(sample.len(), 3);
    }
}
