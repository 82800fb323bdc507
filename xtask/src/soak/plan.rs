//! The plan of a soak: who suffers which fault and when, who says what to whom.
//!
//! Drawn wholly from the seed, before anything runs, so that a seed replays. Several members
//! suffer at once but never a majority; each has time to recover before its next fault, and all
//! have before the end.

use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};

use super::bounds::Bounds;
use super::roles::Participants;

/// What can happen to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// Killed, and back before anybody has noticed.
    QuickRestart,
    /// Killed, and back while the others may still remember it.
    Restart,
    /// Killed, and back after all must know that it is dead.
    Crash,
    /// Stopped for so short a time that nobody may declare it dead.
    BriefFreeze,
    /// Stopped for some time; may be declared dead.
    Freeze,
    /// Stopped until all must hold it dead.
    LongFreeze,
    /// Leaves, and comes back under its name.
    Leave,
}

/// Slow ones last, where they are dealt first: a short soak has them only if they begin early.
const DECK: [Fault; 7] = [
    Fault::QuickRestart,
    Fault::Restart,
    Fault::BriefFreeze,
    Fault::Freeze,
    Fault::Leave,
    Fault::Crash,
    Fault::LongFreeze,
];
const QUICK: usize = 5;

impl Fault {
    /// Whether the process lives through it.
    fn is_freeze(self) -> bool {
        matches!(self, Self::BriefFreeze | Self::Freeze | Self::LongFreeze)
    }

    /// How long the member is away, at least and at most, in milliseconds.
    fn absence(self, bounds: Bounds) -> (u64, u64) {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let harmless = milliseconds(bounds.harmless_freeze());
        match self {
            Self::QuickRestart => (300, 3_000),
            Self::Restart | Self::Leave => (8_000, 25_000),
            Self::Crash | Self::LongFreeze => {
                let detected = milliseconds(bounds.detection()) + 3_000;
                (detected, detected + 5_000)
            }
            // A signal that is sent late must not make it longer than is harmless.
            Self::BriefFreeze => (300, harmless * 9 / 10),
            Self::Freeze => (harmless * 2, 20_000),
        }
    }
}

/// What a member does or suffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Kill,
    /// A new process under the same name, with new metadata.
    Start,
    Freeze,
    Thaw,
    /// First to leave and then to quit.
    Leave,
    Meta,
    /// So many messages of this size, one right after the other.
    Send {
        to: usize,
        reliable: bool,
        size: usize,
        count: usize,
    },
    Broadcast {
        size: usize,
    },
    Ping {
        to: usize,
    },
    Stream {
        to: usize,
        size: usize,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Plan {
    /// In order of their times since the cluster had formed; the member, and what it does.
    pub(super) actions: Vec<(Duration, usize, Action)>,
    /// Each fault in order.
    pub(super) faults: Vec<Fault>,
}

/// A member's time of absence and recovery.
struct Outage {
    fault: Fault,
    member: usize,
    from: Duration,
    back: Duration,
    /// When it should be well again, and when it must be.
    well: Duration,
    settled: Duration,
}

struct Draft {
    participants: Participants,
    bounds: Bounds,
    length: Duration,
    random: ChaCha8Rng,
    outages: Vec<Outage>,
    plan: Plan,
}

impl Plan {
    /// Draws a plan of this length.
    pub(super) fn draw(seed: u64, participants: Participants, length: Duration) -> Self {
        let mut draft = Draft {
            participants,
            bounds: Bounds::new(participants.members),
            length,
            random: ChaCha8Rng::seed_from_u64(seed),
            outages: Vec::new(),
            plan: Self::default(),
        };
        draft.draw_faults();
        draft.draw_metadata();
        draft.draw_messages();
        draft.plan.actions.sort_by_key(|(at, ..)| *at);
        draft.plan
    }
}

impl Draft {
    /// So many milliseconds.
    fn pause(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.random.random_range(least..=most))
    }

    /// Deals faults from a shuffled deck, so that each kind happens about as often.
    fn draw_faults(&mut self) {
        let mut deck = Vec::new();
        let mut at = Duration::from_secs(2);
        while at < self.length {
            if deck.is_empty() {
                deck = DECK.to_vec();
                deck[..QUICK].shuffle(&mut self.random);
            }
            let dealt = (0..deck.len()).rev().find(|card| self.place(deck[*card], at));
            if let Some(card) = dealt {
                deck.remove(card);
                at += self.pause(500, 4_000);
            } else {
                at += Duration::from_millis(500);
            }
        }
    }

    /// Puts a fault at this time, if somebody can suffer it and recover before the end.
    fn place(&mut self, fault: Fault, at: Duration) -> bool {
        let current = self.outages.iter().filter(|outage| outage.well > at).count();
        if current >= self.participants.most_absent() {
            return false;
        }
        let is_busy = |member: usize| {
            self.outages.iter().any(|outage| outage.member == member && outage.settled > at)
        };
        let can_suffer = |member: usize| fault.is_freeze() || !self.participants.stays(member);
        let mut free: Vec<usize> = self.participants.all().collect();
        free.retain(|member| can_suffer(*member) && !is_busy(*member));
        let Some(member) = free.choose(&mut self.random).copied() else { return false };
        let (least, most) = fault.absence(self.bounds);
        let back = at + self.pause(least, most);
        let (well, settled) = (back + self.bounds.spread(), back + self.bounds.repair());
        let outage = Outage { fault, member, from: at, back, well, settled };
        let revives = self.outages.iter().any(|other| {
            self.revives_the_forgotten(other, &outage) || self.revives_the_forgotten(&outage, other)
        });
        if settled > self.length || revives {
            return false;
        }
        let (begin, end) = match fault {
            Fault::Leave => (Action::Leave, Action::Start),
            fault if fault.is_freeze() => (Action::Freeze, Action::Thaw),
            _ => (Action::Kill, Action::Start),
        };
        self.plan.actions.extend([(at, member, begin), (back, member, end)]);
        self.plan.faults.push(fault);
        self.outages.push(outage);
        true
    }

    /// Whether the sleeper may wake with an alive message about `other` when the rest have
    /// forgotten its death, or with that death when `other` is back at a low incarnation and
    /// nobody remembers the higher one. Neither memberlist nor SWIM can tell that from the truth,
    /// so no plan has it.
    fn revives_the_forgotten(&self, sleeper: &Outage, other: &Outage) -> bool {
        let matters =
            |outage: &Outage| !matches!(outage.fault, Fault::BriefFreeze | Fault::QuickRestart);
        let knew_the_death = sleeper.from >= other.from + self.bounds.detection();
        let is_remembered = sleeper.back <= other.from + self.bounds.memory();
        sleeper.fault.is_freeze()
            && matters(sleeper)
            && matters(other)
            && sleeper.from < other.well
            && !knew_the_death
            && !is_remembered
    }

    fn draw_metadata(&mut self) {
        let mut at = Duration::from_secs(1);
        loop {
            at += self.pause(2_000, 8_000);
            if at + self.bounds.repair() > self.length {
                return;
            }
            if let Some(member) = self.well(at).choose(&mut self.random) {
                self.plan.actions.push((at, *member, Action::Meta));
            }
        }
    }

    fn draw_messages(&mut self) {
        let mut at = Duration::from_secs(1);
        loop {
            at += self.pause(200, 1_200);
            if at + self.bounds.patient_reply() > self.length {
                return;
            }
            let well = self.well(at);
            let Some(from) = well.choose(&mut self.random).copied() else { continue };
            // Now and then to somebody who cannot take it.
            let to_anybody = self.random.random_ratio(1, 8);
            let mut receivers = if to_anybody { self.participants.all().collect() } else { well };
            receivers.retain(|member| *member != from);
            let Some(to) = receivers.choose(&mut self.random).copied() else { continue };
            let action = self.message(from, to);
            self.plan.actions.push((at, from, action));
        }
    }

    fn message(&mut self, from: usize, to: usize) -> Action {
        let either_is_go = self.participants.is_go(from) || self.participants.is_go(to);
        let kind = self.random.random_range(0..10);
        let mut below = |most| self.random.random_range(0..most);
        match kind {
            0 | 1 => Action::Broadcast { size: below(400) },
            2 | 3 => Action::Send { to, reliable: true, size: below(20_000), count: 1 },
            4 => Action::Send { to, reliable: true, size: below(2_000), count: 4 },
            5 => Action::Ping { to },
            6 if !either_is_go => Action::Stream { to, size: below(20_000) },
            _ => Action::Send { to, reliable: false, size: below(1_000), count: 1 + below(3) },
        }
    }

    /// Those who suffer no fault from this time until the answer to a command.
    fn well(&self, at: Duration) -> Vec<usize> {
        let answered = at + self.bounds.reply();
        let is_ill = |member: usize| {
            let mut own = self.outages.iter().filter(|outage| outage.member == member);
            own.any(|outage| outage.from < answered && outage.well > at)
        };
        self.participants.all().filter(|member| !is_ill(*member)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Participants = Participants { members: 10, go: 0 };

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(60 * minutes)
    }

    #[test]
    fn a_seed_replays_and_another_differs() {
        let plan = Plan::draw(1, TEN, minutes(5));
        assert_eq!(plan, Plan::draw(1, TEN, minutes(5)));
        assert_ne!(plan, Plan::draw(2, TEN, minutes(5)));
    }

    #[test]
    fn a_few_minutes_have_every_fault_whatever_the_seed() {
        for seed in 0..200 {
            for (members, length) in [(5, 5), (8, 3), (10, 2), (20, 3)] {
                let participants = Participants { members, go: members / 4 };
                let Plan { faults, actions } = Plan::draw(seed, participants, minutes(length));
                for fault in DECK {
                    assert!(faults.contains(&fault), "seed {seed}, {members}: {fault:?}");
                }
                let has = |wanted: fn(&Action) -> bool| actions.iter().any(|(.., a)| wanted(a));
                assert!(has(|action| *action == Action::Meta));
                assert!(has(|action| matches!(action, Action::Broadcast { .. })));
            }
        }
    }

    #[test]
    fn never_a_majority_is_away_nobody_twice_and_all_have_recovered_before_the_end() {
        for seed in 0..50 {
            for members in [4, 10, 21] {
                let participants = Participants { members, go: 0 };
                let recovered = minutes(10) - Bounds::new(members).repair();
                let mut away = vec![false; members];
                for (at, member, action) in Plan::draw(seed, participants, minutes(10)).actions {
                    match action {
                        Action::Kill | Action::Freeze | Action::Leave => {
                            assert!(action == Action::Freeze || !participants.stays(member));
                            assert!(!std::mem::replace(&mut away[member], true));
                            let count = away.iter().filter(|away| **away).count();
                            assert!(count * 2 < members, "{count} of {members}");
                        }
                        Action::Start | Action::Thaw => {
                            assert!(std::mem::replace(&mut away[member], false));
                            assert!(at <= recovered);
                        }
                        Action::Meta => assert!(!away[member] && at <= recovered),
                        Action::Broadcast { .. } => assert!(!away[member]),
                        Action::Send { to, .. }
                        | Action::Ping { to }
                        | Action::Stream { to, .. } => assert!(!away[member] && member != to),
                    }
                }
                assert!(!away.contains(&true));
            }
        }
    }
}
