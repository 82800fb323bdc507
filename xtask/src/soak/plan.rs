//! The plan of a soak: who suffers which fault and when, who says what to whom.
//!
//! Drawn wholly from the seed, before anything runs, so that a seed replays. Several members
//! suffer at once but never a majority; each has time to recover before its next fault, and all
//! have before the end.

use std::time::Duration;

use super::bounds::Bounds;
use super::rng::PlanRng;
use super::settings::Participants;

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

/// Slow ones first: a short soak has them only if they begin early.
const SLOW: [Fault; 2] = [Fault::LongFreeze, Fault::Crash];
const QUICK: [Fault; 5] =
    [Fault::QuickRestart, Fault::Restart, Fault::BriefFreeze, Fault::Freeze, Fault::Leave];

impl Fault {
    /// Whether the process lives through it.
    fn is_freeze(self) -> bool {
        matches!(self, Self::BriefFreeze | Self::Freeze | Self::LongFreeze)
    }

    /// How long the member is away.
    fn absence(self, bounds: Bounds, rng: &mut PlanRng) -> Duration {
        let harmless = bounds.harmless_freeze();
        let (from, to) = match self {
            Self::QuickRestart => (Duration::from_millis(300), Duration::from_secs(3)),
            Self::Restart | Self::Leave => (Duration::from_secs(8), Duration::from_secs(25)),
            Self::Crash | Self::LongFreeze => {
                let detected = bounds.detection() + Duration::from_secs(3);
                (detected, detected + Duration::from_secs(5))
            }
            // A signal that is sent late must not make it longer than is harmless.
            Self::BriefFreeze => (Duration::from_millis(300), harmless.mul_f64(0.9)),
            Self::Freeze => (harmless * 2, Duration::from_secs(20)),
        };
        rng.between(from, to)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Kill {
        member: usize,
    },
    /// A new process under the same name, with new metadata.
    Start {
        member: usize,
    },
    Freeze {
        member: usize,
    },
    Thaw {
        member: usize,
    },
    /// First to leave and then to quit.
    Leave {
        member: usize,
    },
    Meta {
        member: usize,
    },
    /// So many messages of this size, one right after the other.
    Send {
        from: usize,
        to: usize,
        reliable: bool,
        size: usize,
        count: usize,
    },
    Broadcast {
        from: usize,
        size: usize,
    },
    Ping {
        from: usize,
        to: usize,
    },
    Stream {
        from: usize,
        to: usize,
        size: usize,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// In order of their times since the cluster had formed.
    pub(super) actions: Vec<(Duration, Action)>,
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
    rng: PlanRng,
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
            rng: PlanRng::new(seed),
            outages: Vec::new(),
            plan: Self { actions: Vec::new(), faults: Vec::new() },
        };
        draft.draw_faults();
        draft.draw_metadata();
        draft.draw_messages();
        draft.plan.actions.sort_by_key(|(at, _)| *at);
        draft.plan
    }
}

impl Draft {
    /// Deals faults from a shuffled deck, so that each kind happens about as often.
    fn draw_faults(&mut self) {
        let mut deck = Vec::new();
        let mut at = Duration::from_secs(2);
        while at < self.length {
            if deck.is_empty() {
                let mut quick = QUICK;
                self.rng.shuffle(&mut quick);
                deck = quick.into_iter().chain(SLOW.into_iter().rev()).collect();
            }
            let dealt = (0..deck.len()).rev().find(|card| self.place(deck[*card], at));
            if let Some(card) = dealt {
                deck.remove(card);
                at += self.rng.between(Duration::from_millis(500), Duration::from_secs(4));
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
        let is_free =
            |member: &usize| !self.outages.iter().any(|o| o.member == *member && o.settled > at);
        let free: Vec<usize> = (0..self.participants.members)
            .filter(|member| fault.is_freeze() || !self.participants.stays(*member))
            .filter(is_free)
            .collect();
        let Some(member) = self.rng.pick(&free) else {
            return false;
        };
        let back = at + fault.absence(self.bounds, &mut self.rng);
        let (well, settled) = (back + self.bounds.spread(), back + self.bounds.repair());
        let outage = Outage { fault, member, from: at, back, well, settled };
        if settled > self.length
            || self.outages.iter().any(|other| {
                self.revives_the_forgotten(other, &outage)
                    || self.revives_the_forgotten(&outage, other)
            })
        {
            return false;
        }
        let (begin, end) = match fault {
            Fault::QuickRestart | Fault::Restart | Fault::Crash => {
                (Action::Kill { member }, Action::Start { member })
            }
            Fault::Leave => (Action::Leave { member }, Action::Start { member }),
            Fault::BriefFreeze | Fault::Freeze | Fault::LongFreeze => {
                (Action::Freeze { member }, Action::Thaw { member })
            }
        };
        self.plan.actions.extend([(at, begin), (back, end)]);
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
            at += self.rng.between(Duration::from_secs(2), Duration::from_secs(8));
            if at + self.bounds.repair() > self.length {
                return;
            }
            let well = self.well(at);
            if let Some(member) = self.rng.pick(&well) {
                self.plan.actions.push((at, Action::Meta { member }));
            }
        }
    }

    fn draw_messages(&mut self) {
        let mut at = Duration::from_secs(1);
        loop {
            at += self.rng.between(Duration::from_millis(200), Duration::from_millis(1200));
            if at + self.bounds.patient_reply() > self.length {
                return;
            }
            let well = self.well(at);
            let Some(from) = self.rng.pick(&well) else { continue };
            // Now and then to somebody who cannot take it.
            let to_anybody = self.rng.below(8) == 0;
            let mut receivers: Vec<usize> =
                if to_anybody { (0..self.participants.members).collect() } else { well };
            receivers.retain(|member| *member != from);
            let Some(to) = self.rng.pick(&receivers) else { continue };
            let action = self.message(from, to);
            self.plan.actions.push((at, action));
        }
    }

    fn message(&mut self, from: usize, to: usize) -> Action {
        let either_is_go = self.participants.is_go(from) || self.participants.is_go(to);
        match self.rng.below(10) {
            0 | 1 => Action::Broadcast { from, size: self.rng.below(400) },
            2 | 3 => {
                let size = self.rng.below(20_000);
                Action::Send { from, to, reliable: true, size, count: 1 }
            }
            4 => {
                let size = self.rng.below(2_000);
                Action::Send { from, to, reliable: true, size, count: 4 }
            }
            5 => Action::Ping { from, to },
            6 if !either_is_go => Action::Stream { from, to, size: self.rng.below(20_000) },
            _ => {
                let (size, count) = (self.rng.below(1_000), 1 + self.rng.below(3));
                Action::Send { from, to, reliable: false, size, count }
            }
        }
    }

    /// Those who suffer no fault from this time until the answer to a command.
    fn well(&self, at: Duration) -> Vec<usize> {
        let answered = at + self.bounds.reply();
        let is_ill = |member: usize| {
            let mut own = self.outages.iter().filter(|outage| outage.member == member);
            own.any(|outage| outage.from < answered && outage.well > at)
        };
        (0..self.participants.members).filter(|member| !is_ill(*member)).collect()
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
                let plan = Plan::draw(seed, participants, minutes(length));
                for fault in SLOW.into_iter().chain(QUICK) {
                    assert!(plan.faults.contains(&fault), "seed {seed}, {members}: {fault:?}");
                }
                let has = |wanted: fn(&Action) -> bool| plan.actions.iter().any(|(_, a)| wanted(a));
                assert!(has(|action| matches!(action, Action::Meta { .. })));
                assert!(has(|action| matches!(action, Action::Broadcast { .. })));
            }
        }
    }

    #[test]
    fn never_a_majority_is_away_and_nobody_twice_at_a_time() {
        for seed in 0..50 {
            for members in [4, 10, 21] {
                let plan = Plan::draw(seed, Participants { members, go: 0 }, minutes(10));
                let mut away = vec![false; members];
                for (_, action) in &plan.actions {
                    match action {
                        Action::Kill { member }
                        | Action::Freeze { member }
                        | Action::Leave { member } => {
                            assert!(!std::mem::replace(&mut away[*member], true));
                            let count = away.iter().filter(|away| **away).count();
                            assert!(count * 2 < members, "{count} of {members}");
                        }
                        Action::Start { member } | Action::Thaw { member } => {
                            assert!(std::mem::replace(&mut away[*member], false));
                        }
                        Action::Meta { member: from } | Action::Broadcast { from, .. } => {
                            assert!(!away[*from]);
                        }
                        Action::Send { from, to, .. }
                        | Action::Ping { from, to }
                        | Action::Stream { from, to, .. } => assert!(!away[*from] && from != to),
                    }
                }
                assert!(!away.contains(&true));
            }
        }
    }

    #[test]
    fn those_who_stay_are_never_killed_and_all_have_recovered_before_the_end() {
        let plan = Plan::draw(3, TEN, minutes(30));
        for (at, action) in plan.actions {
            match action {
                Action::Kill { member } | Action::Leave { member } => assert!(!TEN.stays(member)),
                Action::Start { .. } | Action::Thaw { .. } | Action::Meta { .. } => {
                    assert!(at + Bounds::new(10).repair() <= minutes(30));
                }
                _ => {}
            }
        }
    }
}
