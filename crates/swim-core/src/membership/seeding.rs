//! Standing seeds: join as an intent that outlives failures, so that partitions heal unattended.
//!
//! Seeds are tried while we stand alone, while a seed's address belongs to no live member, and
//! once after losing a member. A leave ends it.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::Membership;
use super::exchange::Purpose;
use crate::output::{Destination, Output};
use crate::time::Time;
use crate::timers::Timer;

impl Membership {
    /// Sets the standing seeds, replacing those set before; they are tried at once and again,
    /// from every second to every minute, for as long as there is a reason. At most 64.
    ///
    /// An empty list keeps the intent: while we stand alone, [`Output::ResolveSeeds`] asks for
    /// addresses again and again. After a leave this does nothing.
    pub fn set_seeds(&mut self, seeds: Vec<SocketAddr>, now: Time) {
        self.begin(now);
        if self.is_leaving() {
            return;
        }
        let seeds = seeds.into_iter().map(plain).collect();
        if self.seeds.replace(seeds) {
            self.seeds.resolved();
            self.timers.set(Timer::Seeds, now);
        } else {
            self.await_seed_round();
        }
    }

    pub(super) fn seed_round(&mut self) {
        if self.is_leaving() {
            return;
        }
        let (absent, present) = self.seeds_by_presence();
        let alone = self.roster.live_others() == 0;
        if absent.is_empty() && !self.seeds.is_owed() && !(alone && self.seeds.is_standing()) {
            self.seeds.is_content();
            return;
        }
        if self.seeds.wants_resolving() {
            self.outputs.push_back(Output::ResolveSeeds);
        }
        for address in self.seeds.begin_round(absent, present, &mut self.dice) {
            self.begin_exchange(Destination { address, name: None }, Purpose::Seed);
        }
        self.await_seed_round();
    }

    /// A member died: it may be us who was cut off.
    pub(super) fn lost_a_member(&mut self) {
        if self.is_leaving() || !self.seeds.is_standing() {
            return;
        }
        self.seeds.owe_a_round();
        self.await_seed_round();
    }

    /// A member left: its address may have been a seed's.
    pub(super) fn await_seed_round(&mut self) {
        if !self.is_leaving() && self.seeds.is_standing() && self.timers.at(Timer::Seeds).is_none()
        {
            let delay = self.seeds.next_delay(&mut self.dice);
            self.timers.set(Timer::Seeds, self.now + delay);
        }
    }

    /// The seeds' addresses, ours left out: those where no live member is, and the others.
    fn seeds_by_presence(&self) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        let mine = self.me().address();
        let wanted: BTreeSet<SocketAddr> =
            self.seeds.all().filter(|address| *address != mine).collect();
        let present: BTreeSet<SocketAddr> = self
            .roster
            .iter()
            .filter(|(_, member)| member.state().is_live())
            .map(|(_, member)| member.address())
            .filter(|address| wanted.contains(address))
            .collect();
        let absent = wanted.difference(&present).copied().collect();
        (absent, present.into_iter().collect())
    }
}

/// IPv4-mapped addresses are IPv4.
pub(super) fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
