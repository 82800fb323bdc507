//! Members that do not exist.

use crate::sim::sim_rng::SimRng;

/// An IP that no host of a simulation has, in a network of its own, and a name.
pub(crate) struct Invention {
    pub(crate) name: String,
    pub(crate) ip: [u8; 4],
}

impl Invention {
    /// The `number`-th of a hostile member.
    pub(crate) fn numbered(of: impl std::fmt::Display, number: u32) -> Self {
        let [_, high, middle, low] = number.to_be_bytes();
        Self { name: format!("{of}-invents-{number:06}"), ip: [172, high, middle, low] }
    }
}

/// Incarnations that forgers claim: what is held, and steps above it up to the highest ones.
pub(crate) fn forged_incarnation(held: u32, rng: &mut SimRng) -> u32 {
    match rng.below(6) {
        0 => held,
        1 => held.saturating_add(1),
        2 => held.saturating_add(64),
        3 => held.saturating_add(1 << 16),
        4 => 1 << 31,
        _ => u32::MAX - 2,
    }
}
