//! Random numbers: one 32-byte seed, two independent generators.
//!
//! Random choices (whom to probe, whom to gossip to) come from Xoshiro256++, which is specified
//! bit by bit, so that a seed replays on every machine; encryption nonces come from a ChaCha20
//! generator. Nothing here asks the operating system.

use std::fmt;
use std::time::Duration;

use rand::rngs::{ChaCha20Rng, Xoshiro256PlusPlus};
use rand::{Rng as _, SeedableRng};

/// The seed of both generators of one machine.
///
/// Draw it from the operating system in production: a repeated seed repeats nonces, which breaks
/// AES-GCM. Only simulations and fuzzers choose one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RngSeed(pub [u8; 32]);

impl fmt::Debug for RngSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RngSeed(..)")
    }
}

/// The generator of random choices.
#[derive(Debug)]
pub(crate) struct Rng(Xoshiro256PlusPlus);

impl Rng {
    pub(crate) fn new(seed: RngSeed) -> Self {
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

    /// Puts the items in a random order (Fisher and Yates), with one draw for each but one.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }
}

/// The generator of encryption nonces and of the epoch, which nobody must be able to predict.
pub(crate) struct Nonces(ChaCha20Rng);

impl Nonces {
    pub(crate) fn new(seed: RngSeed) -> Self {
        Self(ChaCha20Rng::from_seed(seed.0))
    }

    /// A number that names this process to others; never 0.
    pub(crate) fn epoch(&mut self) -> u64 {
        self.0.next_u64().max(1)
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
            let mut rng = Rng::new(RngSeed([byte; 32]));
            (0..8).map(|_| rng.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn numbers_stay_below_their_bound_and_reach_all_of_it() {
        let mut rng = Rng::new(RngSeed([3; 32]));
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[rng.below(5)] = true;
            assert!(rng.span(Duration::from_millis(7)) < Duration::from_millis(7));
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!((rng.below(0), rng.span(Duration::ZERO)), (0, Duration::ZERO));
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<usize> = (0..50).collect();
        Rng::new(RngSeed([4; 32])).shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn nonces_do_not_repeat() {
        let mut nonces = Nonces::new(RngSeed([5; 32]));
        assert_ne!(nonces.next(), nonces.next());
    }
}
