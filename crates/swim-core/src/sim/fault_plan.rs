//! The fault plan of one seed: what goes wrong, where, when and for how long.
//!
//! A plan is a list of steps in order of time, drawn before the run begins; the campaign executes
//! it. What applications do meanwhile (messages, pings, metadata, leaves) is part of the plan.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::LOWERED_PACKET_LIMIT;
use crate::sim::application::MIN_PAYLOAD;
use crate::sim::fault::{Fault, HostId, Stall};
use crate::sim::sim_rng::{MILLION, SimRng};
use crate::wire::{DeliveryStatus, MAX_COMMON_MESSAGE, MAX_META};

/// The kinds of fault a seed draws from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FaultKind {
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
    BusyReceiver,
    HostOneWay,
    PathMtu,
    SlowStreams,
    ReplaceConnections,
}

impl FaultKind {
    const ALL: [Self; 22] = [
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
        Self::BusyReceiver,
        Self::HostOneWay,
        Self::PathMtu,
        Self::SlowStreams,
        Self::ReplaceConnections,
    ];
}

/// One step of a plan.
#[derive(Clone, Debug)]
pub(crate) enum PlanStep {
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
    /// A host dials everybody anew that it is connected with.
    ReplaceConnections(HostId),
    /// The application of a host disposes of reliable messages like this from here on.
    Receive(HostId, DeliveryStatus),
    Act(AppAction),
}

/// Something that an application does; numbers are payload lengths in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AppAction {
    Broadcast(HostId, usize),
    Send(HostId, HostId, usize),
    SendReliable(HostId, HostId, usize),
    Ping(HostId, HostId),
    Meta(HostId, usize),
}

/// All steps of one seed, and the kinds of fault they were drawn from.
pub(crate) struct FaultPlan {
    pub(crate) kinds: BTreeSet<FaultKind>,
    /// In order of time.
    pub(crate) steps: Vec<(Duration, PlanStep)>,
}

/// A plan while it is being drawn.
pub(crate) struct PlanBuilder<'a> {
    rng: &'a mut SimRng,
    hosts: &'a [HostId],
    length: Duration,
    steps: Vec<(Duration, PlanStep)>,
    faults: usize,
}

const MILLI: Duration = Duration::from_millis(1);

/// Draws the plan for `hosts` over `length`. The first host never goes away for good: it is
/// everybody's first seed, through which the others find each other again.
pub(crate) fn draw(rng: &mut SimRng, hosts: &[HostId], length: Duration) -> FaultPlan {
    let count = rng.between(3, 8);
    let kinds: BTreeSet<FaultKind> = rng.sample(&FaultKind::ALL, count).into_iter().collect();
    let mut builder = PlanBuilder { rng, hosts, length, steps: Vec::new(), faults: 0 };
    for kind in &kinds {
        for _ in 0..builder.rng.between(1, 4) {
            builder.draw(*kind);
        }
    }
    builder.draw_leaves();
    builder.draw_actions();
    let mut steps = builder.steps;
    // Stable: steps of one moment keep the order in which they were drawn.
    steps.sort_by_key(|(at, _)| *at);
    FaultPlan { kinds, steps }
}

impl PlanBuilder<'_> {
    fn draw(&mut self, kind: FaultKind) {
        match kind {
            FaultKind::Loss => {
                let hosts = self.some_hosts();
                let (inbound, outbound) = (self.rate(), self.rate());
                self.spell(Fault::Loss { hosts, inbound, outbound });
            }
            FaultKind::Duplicate => {
                let rate = self.rate();
                self.spell(Fault::Duplicate { rate });
            }
            FaultKind::HoldBack => {
                let rate = self.rate();
                let at_most = self.rng.span(10 * MILLI, 1500 * MILLI);
                self.spell(Fault::HoldBack { rate, at_most });
            }
            FaultKind::Corrupt => {
                let rate = self.rng.rate(1_000, 200_000);
                self.spell(Fault::Corrupt { rate });
            }
            FaultKind::Slow => {
                let by = self.rng.span(10 * MILLI, 700 * MILLI);
                self.spell(Fault::Slow { by });
            }
            FaultKind::OneWay => {
                let (from, to) = (self.some_hosts(), self.some_hosts());
                self.spell(Fault::OneWay { from, to });
            }
            FaultKind::Partition => {
                let parts = self.rng.between(2, 3);
                let groups =
                    self.hosts.iter().map(|_| self.rng.pick(&[0, 1, 2][..parts])).collect();
                self.spell(Fault::Partition { groups });
            }
            FaultKind::FlipFlop => self.flip_flop(),
            FaultKind::Streams => {
                let (refused, reset) = (self.rate() / 2, self.rate() / 2);
                let pieces = self.rng.between(1, 9);
                self.spell(Fault::Streams { refused, reset, pieces });
            }
            FaultKind::StallDriver => self.stalls(Stall::Driver),
            FaultKind::StallNetwork => self.stalls(Stall::Network),
            FaultKind::Crash => self.at_another_host(PlanStep::Crash),
            FaultKind::Restart => self.restart(),
            FaultKind::Move => self.at_another_host(PlanStep::Relocate),
            FaultKind::Replace => self.at_another_host(PlanStep::Replace),
            FaultKind::BusyReceiver => self.busy_receiver(),
            FaultKind::HostOneWay => self.host_one_way(),
            FaultKind::PathMtu => self.path_mtu(),
            FaultKind::SlowStreams => {
                let piece = self.rng.pick(&[1_000, 4_000, 16_000, 64_000]);
                let by = self.rng.span(10 * MILLI, 500 * MILLI);
                self.spell(Fault::SlowStreams { piece, by });
            }
            FaultKind::ReplaceConnections => {
                let (at, host) = (self.moment(), self.host());
                self.steps.push((at, PlanStep::ReplaceConnections(host)));
            }
            FaultKind::Drift => {
                let host = self.host();
                let rate = u64::from(self.rng.rate(950_000, 1_050_000));
                let at = self.moment();
                self.steps.push((at, PlanStep::ClockRate(host, rate)));
            }
            FaultKind::PacketLimit => {
                let (host, to) = (self.host(), self.host());
                let limit = self.rng.pick(&[300, 600, 1100, 1200, 1420]);
                let at = self.moment();
                self.steps.push((at, PlanStep::PacketLimit(host, to, limit)));
            }
        }
    }

    /// Something that happens once to a host that may go away for good.
    fn at_another_host(&mut self, step: fn(HostId) -> PlanStep) {
        if let Some(host) = self.other_host() {
            let at = self.moment();
            self.steps.push((at, step(host)));
        }
    }

    /// One fault, for at most 45 s.
    fn spell(&mut self, fault: Fault) {
        let (from, to) = self.window(Duration::from_secs(45));
        self.fault_between(fault, from, to);
    }

    fn fault_between(&mut self, fault: Fault, from: Duration, to: Duration) {
        let number = self.faults;
        self.faults += 1;
        self.steps.push((from, PlanStep::Begin(number, fault)));
        self.steps.push((to, PlanStep::End(number)));
    }

    /// Some hosts hear nothing, then everything, by turns.
    fn flip_flop(&mut self) {
        let (mut from, to) = self.window(self.length);
        let hosts = self.some_hosts();
        let off = self.rng.span(300 * MILLI, 8_000 * MILLI);
        let on = self.rng.span(300 * MILLI, 8_000 * MILLI);
        self.steps.push((from, PlanStep::FlipFlop));
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
            let blocked = self.rng.span(100 * MILLI, 20_000 * MILLI);
            let running = self.rng.span(MILLI, 4_000 * MILLI);
            self.steps.push((from, PlanStep::Stall(host, how, blocked, running)));
            self.steps.push((to, PlanStep::EndStall(host)));
        }
    }

    /// Crashes and restarts, half of the time without a pause; one time in four of many hosts at
    /// once.
    fn restart(&mut self) {
        let hosts = if self.rng.below(4) == 0 { self.some_hosts() } else { vec![self.host()] };
        let (from, mut to) = self.window(self.length);
        if self.rng.below(2) == 0 {
            to = from;
        }
        for host in hosts {
            self.steps.push((from, PlanStep::Crash(host)));
            self.steps.push((to, PlanStep::Start(host)));
        }
    }

    /// Paths that carry less than before, perhaps not even what is sent once that is known.
    fn path_mtu(&mut self) {
        let hosts = self.some_hosts();
        let longest = self.rng.pick(&[1_100, LOWERED_PACKET_LIMIT, 1_300]);
        self.spell(Fault::PathMtu { hosts, longest });
    }

    /// A host that nobody hears, or that hears nobody.
    fn host_one_way(&mut self) {
        let (one, all) = (vec![self.host()], self.hosts.to_vec());
        let (from, to) = if self.rng.below(2) == 0 { (one, all) } else { (all, one) };
        self.spell(Fault::OneWay { from, to });
    }

    /// A host's application has no room for reliable messages for a while, or nobody reads them.
    fn busy_receiver(&mut self) {
        let host = self.host();
        let status = self.rng.pick(&[DeliveryStatus::Busy, DeliveryStatus::NoReceiver]);
        let (from, to) = self.window(Duration::from_secs(45));
        self.steps.push((from, PlanStep::Receive(host, status)));
        self.steps.push((to, PlanStep::Receive(host, DeliveryStatus::Taken)));
    }

    fn draw_leaves(&mut self) {
        for _ in 0..self.rng.below(3) {
            let Some(host) = self.other_host() else {
                return;
            };
            let (from, to) = self.window(self.length);
            self.steps.push((from, PlanStep::Leave(host)));
            if self.rng.below(2) == 0 {
                self.steps.push((to, PlanStep::Start(host)));
            }
        }
    }

    /// What applications do meanwhile: on average up to one action every other second.
    fn draw_actions(&mut self) {
        let seconds = usize::try_from(self.length.as_secs()).unwrap_or(0);
        for _ in 0..self.rng.below(seconds) {
            let (host, to) = (self.host(), self.host());
            let action = match self.rng.below(5) {
                0 => AppAction::Broadcast(host, self.rng.between(MIN_PAYLOAD, 300)),
                1 => AppAction::Send(host, to, self.rng.between(MIN_PAYLOAD, 2_000)),
                2 => {
                    let longest = if self.rng.below(4) == 0 { 1 << 20 } else { 20_000 };
                    AppAction::SendReliable(host, to, self.rng.between(MIN_PAYLOAD, longest))
                }
                3 => AppAction::Ping(host, to),
                _ => AppAction::Meta(host, self.rng.between(0, MAX_META)),
            };
            let at = self.moment();
            self.steps.push((at, PlanStep::Act(action)));
            if let AppAction::SendReliable(from, to, len) = action
                && len > MAX_COMMON_MESSAGE
            {
                // Short enough to overtake the one before.
                let behind = AppAction::SendReliable(from, to, MIN_PAYLOAD);
                self.steps.push((at, PlanStep::Act(behind)));
            }
        }
    }

    fn moment(&mut self) -> Duration {
        self.rng.span(Duration::ZERO, self.length)
    }

    /// From one moment to a later one, at most `longest` apart.
    fn window(&mut self, longest: Duration) -> (Duration, Duration) {
        let from = self.moment();
        let length = self.rng.span(200 * MILLI, longest);
        (from, (from + length).min(self.length))
    }

    /// A rate in millionths: often small, sometimes 0, sometimes certain.
    fn rate(&mut self) -> u32 {
        match self.rng.below(8) {
            0 => 0,
            1..=4 => self.rng.rate(10_000, 200_000),
            5 | 6 => self.rng.rate(200_000, 900_000),
            _ => MILLION,
        }
    }

    fn host(&mut self) -> HostId {
        self.rng.pick(self.hosts)
    }

    fn other_host(&mut self) -> Option<HostId> {
        let (_, others) = self.hosts.split_first()?;
        (!others.is_empty()).then(|| self.rng.pick(others))
    }

    fn some_hosts(&mut self) -> Vec<HostId> {
        let most = (self.hosts.len() / 2).max(1);
        let count = self.rng.between(1, most);
        self.rng.sample(self.hosts, count)
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
            let plan = draw(&mut SimRng::new(seed, 9), &hosts, length);
            assert!(plan.kinds.len() >= 3);
            assert!(plan.steps.iter().all(|(at, _)| *at <= length));
            assert!(plan.steps.is_sorted_by_key(|(at, _)| *at));
            seen.extend(plan.kinds);
        }
        assert_eq!(seen.len(), FaultKind::ALL.len());
    }
}
