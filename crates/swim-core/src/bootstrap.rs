//! Joining seeds again and again: a join as an intent that outlives failures, so that partitions
//! heal unattended.
//!
//! Seeds are tried while we are alone, while the address of a seed belongs to no live member, and
//! once after a member was lost. A leave ends it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use crate::effects::Effects;
use crate::member_table::MemberTable;
use crate::output::Output;
use crate::rng::Rng;
use crate::timers::Timer;

/// The most seeds of each kind: those that the application set, and those that a join added.
/// Further ones are dropped, of the joined ones the oldest.
const MAX_SEEDS: usize = 64;
/// The most seeds tried in one round, so that a long list does not dial all at once.
const TRIES_IN_A_ROUND: usize = 16;
const BACKOFF_MIN: Duration = Duration::from_secs(1);
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// How soon a seed is tried again that led to ourselves.
const RETRY_LOOP: Duration = Duration::from_secs(3);

/// The seeds, and how long to wait before they are tried again.
#[derive(Debug)]
pub(crate) struct Bootstrap {
    set: Vec<SocketAddr>,
    joined: Vec<SocketAddr>,
    trying: BTreeSet<SocketAddr>,
    backoff: Duration,
    /// An ordinary member was lost: one round whatever the seeds look like.
    owed: bool,
    /// Somebody set seeds, or a join added one; a leave resets it.
    active: bool,
    /// The addresses are fresh: the next round need not resolve them again.
    fresh: bool,
}

impl Bootstrap {
    pub(crate) fn new() -> Self {
        Self {
            set: Vec::new(),
            joined: Vec::new(),
            trying: BTreeSet::new(),
            backoff: BACKOFF_MIN,
            owed: false,
            active: false,
            fresh: false,
        }
    }

    /// Replaces the seeds that the application set. A round begins at once if one of them is new.
    pub(crate) fn set_seeds(&mut self, seeds: Vec<SocketAddr>, effects: &mut Effects) {
        if self.replace(seeds) {
            self.fresh = true;
            effects.set_timer(Timer::Bootstrap, effects.now());
        } else {
            self.schedule_round(effects);
        }
    }

    /// Replaces what the application set; true if there is an address that was not known before.
    fn replace(&mut self, mut addresses: Vec<SocketAddr>) -> bool {
        addresses.truncate(MAX_SEEDS);
        self.active = true;
        let fresh = addresses.iter().any(|address| !self.contains(*address));
        self.set = addresses;
        if fresh {
            self.backoff = BACKOFF_MIN;
        }
        fresh
    }

    /// A join to this address succeeded.
    pub(crate) fn add_joined(&mut self, address: SocketAddr) {
        self.active = true;
        if self.contains(address) {
            return;
        }
        if self.joined.len() >= MAX_SEEDS {
            self.joined.remove(0);
        }
        self.joined.push(address);
    }

    /// The member that was joined at this address is gone: whoever is there next need not belong to
    /// this cluster. Addresses that the application set stay.
    pub(crate) fn forget_joined(&mut self, address: SocketAddr) {
        self.joined.retain(|joined| *joined != address);
    }

    fn contains(&self, address: SocketAddr) -> bool {
        self.set.contains(&address) || self.joined.contains(&address)
    }

    fn all(&self) -> impl Iterator<Item = SocketAddr> {
        self.set.iter().chain(&self.joined).copied()
    }

    /// A round is due. The addresses to join now; `None` if there is no reason to, and then no
    /// further round follows.
    pub(crate) fn begin_round(
        &mut self,
        members: &MemberTable,
        effects: &mut Effects,
    ) -> Option<Vec<SocketAddr>> {
        let me = members.me().address();
        let seeds: BTreeSet<SocketAddr> = self.all().filter(|address| *address != me).collect();
        let (present, absent): (Vec<SocketAddr>, Vec<SocketAddr>) =
            seeds.into_iter().partition(|address| members.is_live_at(*address));
        let alone = members.live_others() == 0;
        if absent.is_empty() && !self.owed && !(alone && self.active) {
            self.backoff = BACKOFF_MIN;
            return None;
        }
        if !std::mem::take(&mut self.fresh) {
            effects.push(Output::ResolveSeeds);
        }
        Some(self.choose(absent, present, effects.rng()))
    }

    /// Chooses the addresses of one round among `absent`, the seeds where no live member is, or
    /// one of `present` if a round is owed and none is absent.
    fn choose(
        &mut self,
        mut absent: Vec<SocketAddr>,
        mut present: Vec<SocketAddr>,
        rng: &mut Rng,
    ) -> Vec<SocketAddr> {
        let owed = std::mem::take(&mut self.owed);
        absent.retain(|address| !self.trying.contains(address));
        present.retain(|address| !self.trying.contains(address));
        let mut chosen = if absent.is_empty() && owed {
            rng.shuffle(&mut present);
            present.truncate(1);
            present
        } else {
            absent
        };
        rng.shuffle(&mut chosen);
        chosen.truncate(TRIES_IN_A_ROUND);
        self.trying.extend(chosen.iter().copied());
        chosen
    }

    /// The attempt to join this address ended.
    pub(crate) fn tried(&mut self, address: SocketAddr) {
        self.trying.remove(&address);
    }

    /// A member died: it may be us who was cut off.
    pub(crate) fn lost_a_member(&mut self, effects: &mut Effects) {
        if self.active {
            self.owed = true;
            self.backoff = BACKOFF_MIN;
            self.schedule_round(effects);
        }
    }

    /// A seed leads to ourselves: whatever forwards to us may forward to somebody else any moment.
    pub(crate) fn retry_soon(&mut self, effects: &mut Effects) {
        self.backoff = self.backoff.min(RETRY_LOOP);
        let soon = effects.now() + RETRY_LOOP;
        if effects.deadline(Timer::Bootstrap).is_none_or(|at| at > soon) {
            effects.set_timer(Timer::Bootstrap, soon);
        }
    }

    /// We were away: others may have given us up, and we do not know.
    pub(crate) fn resumed(&mut self, effects: &mut Effects) {
        if self.active {
            self.owed = true;
            self.backoff = BACKOFF_MIN;
            effects.set_timer(Timer::Bootstrap, effects.now());
        }
    }

    /// Makes sure that a round comes, while there are seeds: also when a member left, whose
    /// address may be a seed's.
    pub(crate) fn schedule_round(&mut self, effects: &mut Effects) {
        if self.active && effects.deadline(Timer::Bootstrap).is_none() {
            let delay = self.next_delay(effects.rng());
            effects.set_timer(Timer::Bootstrap, effects.now() + delay);
        }
    }

    /// How long until the next round: doubling from 1 s to 60 s, each up to a quarter longer so
    /// that members that lost each other together do not retry together.
    fn next_delay(&mut self, rng: &mut Rng) -> Duration {
        let delay = (self.backoff + rng.span(self.backoff / 4)).min(BACKOFF_MAX);
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
        delay
    }

    /// Forgets all seeds: we leave.
    pub(crate) fn stop(&mut self, effects: &mut Effects) {
        effects.clear_timer(Timer::Bootstrap);
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::RngSeed;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    #[test]
    fn the_delay_grows_from_one_second_to_a_minute() {
        let mut bootstrap = Bootstrap::new();
        let mut rng = Rng::new(RngSeed([1; 32]));
        let delays: Vec<u64> = (0..8).map(|_| bootstrap.next_delay(&mut rng).as_secs()).collect();
        for (delay, at_least) in delays.iter().zip([1, 2, 4, 8, 16, 32, 60, 60]) {
            assert!((at_least..=at_least + at_least / 4).contains(delay), "{delays:?}");
        }
        assert!(bootstrap.replace(vec![address(1)]));
        assert_eq!(bootstrap.next_delay(&mut rng).as_secs(), 1);
        assert!(!bootstrap.replace(vec![address(1)]));
    }

    #[test]
    fn the_absent_are_tried_and_one_of_the_present_only_when_owed() {
        let mut bootstrap = Bootstrap::new();
        let mut rng = Rng::new(RngSeed([1; 32]));
        let (one, two) = (address(1), address(2));
        assert_eq!(bootstrap.choose(vec![one], vec![two], &mut rng), [one]);
        assert!(bootstrap.choose(vec![one], vec![two], &mut rng).is_empty());
        bootstrap.owed = true;
        assert_eq!(bootstrap.choose(vec![], vec![two], &mut rng), [two]);
        bootstrap.tried(one);
        assert_eq!(bootstrap.choose(vec![one], vec![], &mut rng), [one]);
    }

    #[test]
    fn both_lists_are_bounded() {
        let mut bootstrap = Bootstrap::new();
        bootstrap.replace((0..100).map(address).collect());
        for port in 1000..1100 {
            bootstrap.add_joined(address(port));
        }
        assert_eq!(bootstrap.all().count(), 2 * MAX_SEEDS);
        assert!(bootstrap.contains(address(1099)) && !bootstrap.contains(address(1000)));
    }
}
