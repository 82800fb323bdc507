//! Standing seeds: addresses through which a lost member finds its cluster again.
//!
//! Decides which to try and when; the exchanges are the conductor's. At most [`MAX_SEEDS`] that
//! the application set and as many that a join added; further ones are dropped, the oldest joined
//! ones first.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use crate::seed::Dice;

/// The most standing seeds of each kind.
pub(crate) const MAX_SEEDS: usize = 64;
/// The most seeds tried in one round, so that a long list is no storm of dials.
const TRIES_IN_A_ROUND: usize = 16;
const BACKOFF_MIN: Duration = Duration::from_secs(1);
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// The seeds and how patiently they are tried.
#[derive(Debug)]
pub(crate) struct Seeds {
    set: Vec<SocketAddr>,
    joined: Vec<SocketAddr>,
    trying: BTreeSet<SocketAddr>,
    backoff: Duration,
    /// An ordinary member was lost: one round whatever the seeds look like.
    owed: bool,
    /// Somebody set seeds, or a join added one.
    standing: bool,
    /// The addresses are fresh: the next round need not resolve them again.
    fresh: bool,
}

impl Seeds {
    pub(crate) fn new() -> Self {
        Self {
            set: Vec::new(),
            joined: Vec::new(),
            trying: BTreeSet::new(),
            backoff: BACKOFF_MIN,
            owed: false,
            standing: false,
            fresh: false,
        }
    }

    /// Replaces what the application set; true if there is an address that was not known before.
    pub(crate) fn replace(&mut self, mut addresses: Vec<SocketAddr>) -> bool {
        addresses.truncate(MAX_SEEDS);
        self.standing = true;
        let fresh = addresses.iter().any(|address| !self.contains(*address));
        self.set = addresses;
        if fresh {
            self.backoff = BACKOFF_MIN;
        }
        fresh
    }

    pub(crate) fn add_joined(&mut self, address: SocketAddr) {
        self.standing = true;
        if self.contains(address) {
            return;
        }
        if self.joined.len() >= MAX_SEEDS {
            self.joined.remove(0);
        }
        self.joined.push(address);
    }

    fn contains(&self, address: SocketAddr) -> bool {
        self.set.contains(&address) || self.joined.contains(&address)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = SocketAddr> {
        self.set.iter().chain(&self.joined).copied()
    }

    pub(crate) fn is_standing(&self) -> bool {
        self.standing
    }

    /// The addresses were resolved just now.
    pub(crate) fn resolved(&mut self) {
        self.fresh = true;
    }

    /// Whether a round should begin with resolving; asked once a round.
    pub(crate) fn wants_resolving(&mut self) -> bool {
        !std::mem::take(&mut self.fresh)
    }

    pub(crate) fn owe_a_round(&mut self) {
        self.owed = true;
        self.backoff = BACKOFF_MIN;
    }

    pub(crate) fn is_owed(&self) -> bool {
        self.owed
    }

    /// Chooses the addresses of one round among `absent`, the seeds where no live member is, or
    /// among `present` if a round is owed and none is absent.
    pub(crate) fn begin_round(
        &mut self,
        mut absent: Vec<SocketAddr>,
        mut present: Vec<SocketAddr>,
        dice: &mut Dice,
    ) -> Vec<SocketAddr> {
        let owed = std::mem::take(&mut self.owed);
        absent.retain(|address| !self.trying.contains(address));
        present.retain(|address| !self.trying.contains(address));
        let mut chosen = if absent.is_empty() && owed {
            dice.shuffle(&mut present);
            present.truncate(1);
            present
        } else {
            absent
        };
        dice.shuffle(&mut chosen);
        chosen.truncate(TRIES_IN_A_ROUND);
        self.trying.extend(chosen.iter().copied());
        chosen
    }

    pub(crate) fn tried(&mut self, address: SocketAddr) {
        self.trying.remove(&address);
    }

    /// How long until the next round: doubling from 1 s to 60 s, each up to a quarter longer so
    /// that members that lost each other together do not retry together.
    pub(crate) fn next_delay(&mut self, dice: &mut Dice) -> Duration {
        let delay = (self.backoff + dice.span(self.backoff / 4)).min(BACKOFF_MAX);
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
        delay
    }

    pub(crate) fn is_content(&mut self) {
        self.backoff = BACKOFF_MIN;
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    #[test]
    fn patience_grows_from_one_second_to_a_minute() {
        let mut seeds = Seeds::new();
        let mut dice = Dice::new(Seed([1; 32]));
        let delays: Vec<u64> = (0..8).map(|_| seeds.next_delay(&mut dice).as_secs()).collect();
        for (delay, at_least) in delays.iter().zip([1, 2, 4, 8, 16, 32, 60, 60]) {
            assert!((at_least..=at_least + at_least / 4).contains(delay), "{delays:?}");
        }
        assert!(seeds.replace(vec![address(1)]));
        assert_eq!(seeds.next_delay(&mut dice).as_secs(), 1);
        assert!(!seeds.replace(vec![address(1)]));
    }

    #[test]
    fn the_absent_are_tried_and_one_of_the_present_only_when_owed() {
        let mut seeds = Seeds::new();
        let mut dice = Dice::new(Seed([1; 32]));
        let (one, two) = (address(1), address(2));
        assert_eq!(seeds.begin_round(vec![one], vec![two], &mut dice), [one]);
        assert!(seeds.begin_round(vec![one], vec![two], &mut dice).is_empty());
        seeds.owe_a_round();
        assert_eq!(seeds.begin_round(vec![], vec![two], &mut dice), [two]);
        seeds.tried(one);
        assert_eq!(seeds.begin_round(vec![one], vec![], &mut dice), [one]);
    }

    #[test]
    fn both_lists_are_bounded() {
        let mut seeds = Seeds::new();
        seeds.replace((0..100).map(address).collect());
        for port in 1000..1100 {
            seeds.add_joined(address(port));
        }
        assert_eq!(seeds.all().count(), 2 * MAX_SEEDS);
        assert!(seeds.contains(address(1099)) && !seeds.contains(address(1000)));
    }
}
