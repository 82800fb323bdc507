//! One seed draws the whole weather: what goes wrong, where, when, for how long.
//!
//! Draws a plan of moves in order of time; the campaign carries it out. Knows no machine.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::sim::chance::{Chance, MILLION};
use crate::sim::fault::{Fault, HostId, Stall};

/// The kinds of fault a seed draws from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Loss,
    Duplicate,
    HoldBack,
    Corrupt,
    Slow,
    OneWay,
    Partition,
    FlipFlop,
    Streams,
    StallDriver,
    StallNetwork,
    Crash,
    Restart,
    Drift,
    PacketLimit,
    Move,
    Replace,
}

impl Kind {
    const ALL: [Self; 17] = [
        Self::Loss,
        Self::Duplicate,
        Self::HoldBack,
        Self::Corrupt,
        Self::Slow,
        Self::OneWay,
        Self::Partition,
        Self::FlipFlop,
        Self::Streams,
        Self::StallDriver,
        Self::StallNetwork,
        Self::Crash,
        Self::Restart,
        Self::Drift,
        Self::PacketLimit,
        Self::Move,
        Self::Replace,
    ];
}

/// One step of a plan.
#[derive(Clone, Debug)]
pub(crate) enum Move {
    /// Begins a fault of the network, which the plan calls by a number.
    Begin(usize, Fault),
    End(usize),
    FlipFlop,
    Stall(HostId, Stall, Duration, Duration),
    EndStall(HostId),
    Crash(HostId),
    /// Starts a host that is down, or restarts one that is up.
    Start(HostId),
    Leave(HostId),
    /// Restarts a host at another address.
    Relocate(HostId),
    /// Starts a new member at the address of a host, which is gone for good.
    Replace(HostId),
    ClockRate(HostId, u64),
    PacketLimit(HostId, HostId, usize),
    Talk(Talk),
}

/// Something that an application does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Talk {
    Broadcast(HostId, usize),
    Send(HostId, HostId, usize),
    SendReliable(HostId, HostId, usize),
    Ping(HostId, HostId),
    Meta(HostId, usize),
}

/// The weather of one seed.
pub(crate) struct Plan {
    pub(crate) kinds: BTreeSet<Kind>,
    /// In order of time.
    pub(crate) moves: Vec<(Duration, Move)>,
}

/// Draws plans.
pub(crate) struct Weather<'a> {
    chance: &'a mut Chance,
    hosts: &'a [HostId],
    length: Duration,
    moves: Vec<(Duration, Move)>,
    faults: usize,
}

const MILLI: Duration = Duration::from_millis(1);

/// Draws the weather over `hosts` for `length`. The first host is spared from going for good, so
/// that the others can find each other through it.
pub(crate) fn draw(chance: &mut Chance, hosts: &[HostId], length: Duration) -> Plan {
    let count = chance.between(3, 8);
    let kinds: BTreeSet<Kind> = chance.sample(&Kind::ALL, count).into_iter().collect();
    let mut weather = Weather { chance, hosts, length, moves: Vec::new(), faults: 0 };
    for kind in &kinds {
        for _ in 0..weather.chance.between(1, 4) {
            weather.draw(*kind);
        }
    }
    weather.draw_leaves();
    weather.draw_talk();
    let mut moves = weather.moves;
    // Stable: moves of one moment keep the order in which they were drawn.
    moves.sort_by_key(|(at, _)| *at);
    Plan { kinds, moves }
}

impl Weather<'_> {
    fn draw(&mut self, kind: Kind) {
        match kind {
            Kind::Loss => {
                let hosts = self.some_hosts();
                let (inbound, outbound) = (self.rate(), self.rate());
                self.spell(Fault::Loss { hosts, inbound, outbound });
            }
            Kind::Duplicate => {
                let rate = self.rate();
                self.spell(Fault::Duplicate { rate });
            }
            Kind::HoldBack => {
                let rate = self.rate();
                let at_most = self.chance.span(10 * MILLI, 1500 * MILLI);
                self.spell(Fault::HoldBack { rate, at_most });
            }
            Kind::Corrupt => {
                let rate = self.chance.rate(1_000, 200_000);
                self.spell(Fault::Corrupt { rate });
            }
            Kind::Slow => {
                let by = self.chance.span(10 * MILLI, 700 * MILLI);
                self.spell(Fault::Slow { by });
            }
            Kind::OneWay => {
                let (from, to) = (self.some_hosts(), self.some_hosts());
                self.spell(Fault::OneWay { from, to });
            }
            Kind::Partition => {
                let parts = self.chance.between(2, 3);
                let groups =
                    self.hosts.iter().map(|_| self.chance.pick(&[0, 1, 2][..parts])).collect();
                self.spell(Fault::Partition { groups });
            }
            Kind::FlipFlop => self.flip_flop(),
            Kind::Streams => {
                let (refused, reset) = (self.rate() / 2, self.rate() / 2);
                let pieces = self.chance.between(1, 9);
                self.spell(Fault::Streams { refused, reset, pieces });
            }
            Kind::StallDriver => self.stalls(Stall::Driver),
            Kind::StallNetwork => self.stalls(Stall::Network),
            Kind::Crash => {
                // Somebody who may stay away.
                if let Some(host) = self.other_host() {
                    let at = self.moment();
                    self.moves.push((at, Move::Crash(host)));
                }
            }
            Kind::Restart => self.restart(),
            Kind::Move | Kind::Replace => {
                if let Some(host) = self.other_host() {
                    let at = self.moment();
                    let moved = kind == Kind::Move;
                    self.moves
                        .push((at, if moved { Move::Relocate(host) } else { Move::Replace(host) }));
                }
            }
            Kind::Drift => {
                let host = self.host();
                let rate = u64::from(self.chance.rate(950_000, 1_050_000));
                let at = self.moment();
                self.moves.push((at, Move::ClockRate(host, rate)));
            }
            Kind::PacketLimit => {
                let (host, to) = (self.host(), self.host());
                let limit = self.chance.pick(&[300, 600, 1100, 1200, 1420]);
                let at = self.moment();
                self.moves.push((at, Move::PacketLimit(host, to, limit)));
            }
        }
    }

    /// A fault for a while.
    fn spell(&mut self, fault: Fault) {
        let (from, to) = self.window(Duration::from_secs(45));
        self.fault_between(fault, from, to);
    }

    fn fault_between(&mut self, fault: Fault, from: Duration, to: Duration) {
        let number = self.faults;
        self.faults += 1;
        self.moves.push((from, Move::Begin(number, fault)));
        self.moves.push((to, Move::End(number)));
    }

    /// Some hosts hear nothing, then everything, by turns.
    fn flip_flop(&mut self) {
        let (mut from, to) = self.window(self.length);
        let hosts = self.some_hosts();
        let off = self.chance.span(300 * MILLI, 8_000 * MILLI);
        let on = self.chance.span(300 * MILLI, 8_000 * MILLI);
        self.moves.push((from, Move::FlipFlop));
        while from < to {
            let until = (from + off).min(to);
            let hosts = hosts.clone();
            self.fault_between(Fault::Loss { hosts, inbound: MILLION, outbound: 0 }, from, until);
            from = until + on;
        }
    }

    fn stalls(&mut self, how: Stall) {
        let (from, to) = self.window(Duration::from_secs(60));
        for host in self.some_hosts() {
            let blocked = self.chance.span(100 * MILLI, 20_000 * MILLI);
            let running = self.chance.span(MILLI, 4_000 * MILLI);
            self.moves.push((from, Move::Stall(host, how, blocked, running)));
            self.moves.push((to, Move::EndStall(host)));
        }
    }

    /// Away for a while, then back without memory; half of the time at once, or many at a time.
    fn restart(&mut self) {
        let hosts = if self.chance.below(4) == 0 { self.some_hosts() } else { vec![self.host()] };
        let (from, mut to) = self.window(self.length);
        if self.chance.below(2) == 0 {
            to = from;
        }
        for host in hosts {
            self.moves.push((from, Move::Crash(host)));
            self.moves.push((to, Move::Start(host)));
        }
    }

    fn draw_leaves(&mut self) {
        for _ in 0..self.chance.below(3) {
            let Some(host) = self.other_host() else {
                return;
            };
            let (from, to) = self.window(self.length);
            self.moves.push((from, Move::Leave(host)));
            if self.chance.below(2) == 0 {
                self.moves.push((to, Move::Start(host)));
            }
        }
    }

    /// What applications do meanwhile: something every second or so.
    fn draw_talk(&mut self) {
        let seconds = usize::try_from(self.length.as_secs()).unwrap_or(0);
        for _ in 0..self.chance.below(seconds) {
            let (host, to) = (self.host(), self.host());
            let talk = match self.chance.below(5) {
                0 => Talk::Broadcast(host, self.chance.between(12, 300)),
                1 => Talk::Send(host, to, self.chance.between(12, 2_000)),
                2 => Talk::SendReliable(host, to, self.chance.between(12, 20_000)),
                3 => Talk::Ping(host, to),
                _ => Talk::Meta(host, self.chance.between(0, 512)),
            };
            let at = self.moment();
            self.moves.push((at, Move::Talk(talk)));
        }
    }

    fn moment(&mut self) -> Duration {
        self.chance.span(Duration::ZERO, self.length)
    }

    /// From one moment to a later one, at most `longest` apart.
    fn window(&mut self, longest: Duration) -> (Duration, Duration) {
        let from = self.moment();
        let length = self.chance.span(200 * MILLI, longest);
        (from, (from + length).min(self.length))
    }

    /// A chance that is often small and sometimes certain.
    fn rate(&mut self) -> u32 {
        match self.chance.below(8) {
            0 => 0,
            1..=4 => self.chance.rate(10_000, 200_000),
            5 | 6 => self.chance.rate(200_000, 900_000),
            _ => MILLION,
        }
    }

    fn host(&mut self) -> HostId {
        self.chance.pick(self.hosts)
    }

    fn other_host(&mut self) -> Option<HostId> {
        let (_, others) = self.hosts.split_first()?;
        (!others.is_empty()).then(|| self.chance.pick(others))
    }

    fn some_hosts(&mut self) -> Vec<HostId> {
        let most = (self.hosts.len() / 2).max(1);
        let count = self.chance.between(1, most);
        self.chance.sample(self.hosts, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_draws_three_kinds_or_more_and_all_kinds_come_up() {
        let hosts: Vec<HostId> = (0..10).map(HostId).collect();
        let mut seen = BTreeSet::new();
        for seed in 0..100 {
            let length = Duration::from_secs(60);
            let plan = draw(&mut Chance::new(seed, 9), &hosts, length);
            assert!(plan.kinds.len() >= 3);
            assert!(plan.moves.iter().all(|(at, _)| *at <= length));
            assert!(plan.moves.is_sorted_by_key(|(at, _)| *at));
            seen.extend(plan.kinds);
        }
        assert_eq!(seen.len(), Kind::ALL.len());
    }
}
