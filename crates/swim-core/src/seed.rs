//! Randomness: one 32-byte seed, two independent streams.
//!
//! Decisions (whom to probe, whom to gossip to) come from a small portable generator, so that a
//! seed replays on every machine; encryption nonces come from a ChaCha20 stream of their own.
//! Nothing here asks the operating system.

use std::fmt;
use std::time::Duration;

use rand::rngs::{ChaCha20Rng, Xoshiro256PlusPlus};
use rand::{Rng, SeedableRng};

/// What all randomness of one machine is drawn from.
///
/// Draw it from the operating system in production: a repeated seed repeats nonces, which breaks
/// AES-GCM. Only simulations and fuzzers choose one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// The decisions' generator.
#[derive(Debug)]
pub(crate) struct Dice(Xoshiro256PlusPlus);

impl Dice {
    pub(crate) fn new(seed: Seed) -> Self {
        Self(Xoshiro256PlusPlus::from_seed(seed.0))
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `0..bound`; 0 when `bound` is 0. The multiplication's bias is below 2⁻³².
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.next_u64()) * (bound as u128);
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// A span in `[0, bound)`; zero when `bound` is zero.
    pub(crate) fn span(&mut self, bound: Duration) -> Duration {
        let micros = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
        let wide = u128::from(self.next_u64()) * u128::from(micros);
        Duration::from_micros(u64::try_from(wide >> 64).unwrap_or(0))
    }

    /// Fisher and Yates.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }
}

/// The nonces' generator.
pub(crate) struct Nonces(ChaCha20Rng);

impl Nonces {
    pub(crate) fn new(seed: Seed) -> Self {
        Self(ChaCha20Rng::from_seed(seed.0))
    }

    pub(crate) fn next(&mut self) -> [u8; 12] {
        let mut nonce = [0; 12];
        self.0.fill_bytes(&mut nonce);
        nonce
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_replays_and_another_differs() {
        let draw = |byte| {
            let mut dice = Dice::new(Seed([byte; 32]));
            (0..8).map(|_| dice.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn numbers_stay_below_their_bound_and_reach_all_of_it() {
        let mut dice = Dice::new(Seed([3; 32]));
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[dice.below(5)] = true;
            assert!(dice.span(Duration::from_millis(7)) < Duration::from_millis(7));
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!((dice.below(0), dice.span(Duration::ZERO)), (0, Duration::ZERO));
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<usize> = (0..50).collect();
        Dice::new(Seed([4; 32])).shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn nonces_do_not_repeat() {
        let mut nonces = Nonces::new(Seed([5; 32]));
        assert_ne!(nonces.next(), nonces.next());
    }
}
