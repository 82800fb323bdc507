//! The schedule of a soak: who suffers what and when, who says what to whom.
//!
//! Drawn wholly from the seed, before anything runs, so that a seed replays. Several members are
//! in trouble at once but never a majority; each has time to recover before its next trouble, and
//! all have before the end.

use std::time::Duration;

use super::participants::Participants;
use super::rng::Rng;
use super::time_bounds::Bounds;

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
const SLOW: [Fault; 2] = [Fault::Crash, Fault::LongFreeze];
const QUICK: [Fault; 5] =
    [Fault::QuickRestart, Fault::Restart, Fault::BriefFreeze, Fault::Freeze, Fault::Leave];

impl Fault {
    /// What to call it in reports.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::QuickRestart => "quick restart",
            Self::Restart => "restart",
            Self::Crash => "crash",
            Self::BriefFreeze => "brief freeze",
            Self::Freeze => "freeze",
            Self::LongFreeze => "long freeze",
            Self::Leave => "leave",
        }
    }

    pub(super) fn all() -> impl Iterator<Item = Self> {
        SLOW.into_iter().chain(QUICK)
    }

    /// Whether the process lives through it.
    fn spares_the_process(self) -> bool {
        match self {
            Self::BriefFreeze | Self::Freeze | Self::LongFreeze => true,
            Self::QuickRestart | Self::Restart | Self::Crash | Self::Leave => false,
        }
    }

    /// How long the member is away.
    fn absence(self, bounds: Bounds, rng: &mut Rng) -> Duration {
        let harmless = bounds.harmless_freeze();
        let (from, to) = match self {
            Self::QuickRestart => (Duration::from_millis(300), Duration::from_secs(3)),
            Self::Restart | Self::Leave => (Duration::from_secs(8), Duration::from_secs(25)),
            Self::Crash | Self::LongFreeze => {
                let detected = bounds.detection() + Duration::from_secs(3);
                (detected, detected + Duration::from_secs(5))
            }
            // A signal that we send late must not make it longer than is harmless.
            Self::BriefFreeze => (Duration::from_millis(300), harmless.mul_f64(0.9)),
            Self::Freeze => (harmless * 2, Duration::from_secs(20)),
        };
        rng.between(from, to)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    Kill {
        node: usize,
    },
    /// A new process under the same name, with new metadata.
    Start {
        node: usize,
        version: u32,
    },
    Freeze {
        node: usize,
    },
    Thaw {
        node: usize,
    },
    /// First to leave and then to quit.
    Leave {
        node: usize,
    },
    Meta {
        node: usize,
        version: u32,
    },
    Send {
        from: usize,
        to: usize,
        reliable: bool,
        size: usize,
    },
    Broadcast {
        from: usize,
        size: usize,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// In order of their times since the cluster had gathered.
    pub(super) deeds: Vec<(Duration, Deed)>,
    /// Each fault, in order, with its victim.
    pub(super) faults: Vec<(Fault, usize)>,
}

/// A member's time of trouble.
struct Trouble {
    node: usize,
    from: Duration,
    /// When it should be well again.
    until: Duration,
    /// When it must be.
    at_the_latest: Duration,
}

struct Draft {
    participants: Participants,
    bounds: Bounds,
    lasting: Duration,
    rng: Rng,
    troubles: Vec<Trouble>,
    plan: Plan,
}

impl Plan {
    /// Draws a schedule of this length.
    pub(super) fn draw(seed: u64, participants: Participants, lasting: Duration) -> Self {
        let mut draft = Draft {
            participants,
            bounds: Bounds::new(participants.members),
            lasting,
            rng: Rng::new(seed),
            troubles: Vec::new(),
            plan: Self { deeds: Vec::new(), faults: Vec::new() },
        };
        draft.draw_faults();
        draft.draw_changes();
        draft.draw_messages();
        draft.plan.deeds.sort_by_key(|(at, _)| *at);
        draft.number_versions();
        draft.plan
    }

    /// How often each fault happens.
    pub(super) fn count(&self, fault: Fault) -> usize {
        self.faults.iter().filter(|(planned, _)| *planned == fault).count()
    }
}

impl Draft {
    /// Deals faults like cards, so that each kind happens about as often.
    fn draw_faults(&mut self) {
        let mut deck = Vec::new();
        let mut at = Duration::from_secs(2);
        while at < self.lasting {
            if deck.is_empty() {
                deck = self.shuffled();
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

    /// A deck to be dealt from its end.
    fn shuffled(&mut self) -> Vec<Fault> {
        let (mut slow, mut quick) = (SLOW, QUICK);
        self.rng.shuffle(&mut slow);
        self.rng.shuffle(&mut quick);
        quick.into_iter().chain(slow).collect()
    }

    /// Puts a fault at this time, if somebody can suffer it and recover before the end.
    fn place(&mut self, fault: Fault, at: Duration) -> bool {
        let current = self.troubles.iter().filter(|trouble| trouble.until > at).count();
        if current >= self.participants.most_in_trouble() {
            return false;
        }
        let free: Vec<usize> = self
            .participants
            .everybody()
            .filter(|node| fault.spares_the_process() || !self.participants.stays(*node))
            .filter(|node| {
                !self.troubles.iter().any(|past| past.node == *node && past.at_the_latest > at)
            })
            .collect();
        let Some(node) = self.rng.pick(&free) else {
            return false;
        };
        let back = at + fault.absence(self.bounds, &mut self.rng);
        let trouble = Trouble {
            node,
            from: at,
            until: back + self.bounds.spread(),
            at_the_latest: back + self.bounds.repair(),
        };
        if trouble.at_the_latest > self.lasting {
            return false;
        }
        let (begin, end) = match fault {
            Fault::QuickRestart | Fault::Restart | Fault::Crash => {
                (Deed::Kill { node }, Deed::Start { node, version: 0 })
            }
            Fault::Leave => (Deed::Leave { node }, Deed::Start { node, version: 0 }),
            Fault::BriefFreeze | Fault::Freeze | Fault::LongFreeze => {
                (Deed::Freeze { node }, Deed::Thaw { node })
            }
        };
        self.plan.deeds.extend([(at, begin), (back, end)]);
        self.plan.faults.push((fault, node));
        self.troubles.push(trouble);
        true
    }

    fn draw_changes(&mut self) {
        let mut at = Duration::from_secs(1);
        loop {
            at += self.rng.between(Duration::from_secs(2), Duration::from_secs(8));
            if at + self.bounds.repair() > self.lasting {
                return;
            }
            let well = self.well(at);
            if let Some(node) = self.rng.pick(&well) {
                self.plan.deeds.push((at, Deed::Meta { node, version: 0 }));
            }
        }
    }

    fn draw_messages(&mut self) {
        let mut at = Duration::from_secs(1);
        loop {
            at += self.rng.between(Duration::from_millis(200), Duration::from_millis(1200));
            if at + self.bounds.patient_reply() > self.lasting {
                return;
            }
            let well = self.well(at);
            let Some(from) = self.rng.pick(&well) else { continue };
            // Now and then to somebody who cannot take it.
            let to_anybody = self.rng.below(8) == 0;
            let mut receivers: Vec<usize> =
                if to_anybody { self.participants.everybody().collect() } else { well };
            receivers.retain(|node| *node != from);
            let Some(to) = self.rng.pick(&receivers) else { continue };
            let deed = match self.rng.below(5) {
                0 => Deed::Broadcast { from, size: self.rng.below(400) },
                1 | 2 => Deed::Send { from, to, reliable: true, size: self.rng.below(20_000) },
                _ => Deed::Send { from, to, reliable: false, size: self.rng.below(1_000) },
            };
            self.plan.deeds.push((at, deed));
        }
    }

    /// Those who are in no trouble from this time until the answer to a command.
    fn well(&self, at: Duration) -> Vec<usize> {
        let answered = at + self.bounds.reply();
        let ill = |node: usize| {
            self.troubles.iter().any(|trouble| {
                trouble.node == node && trouble.from < answered && trouble.until > at
            })
        };
        self.participants.everybody().filter(|node| !ill(*node)).collect()
    }

    /// Each new metadata has a version of its own; the first process has version 1.
    fn number_versions(&mut self) {
        let mut versions = vec![1; self.participants.members];
        for (_, deed) in &mut self.plan.deeds {
            match deed {
                Deed::Start { node, version } | Deed::Meta { node, version } => {
                    versions[*node] += 1;
                    *version = versions[*node];
                }
                Deed::Kill { .. }
                | Deed::Freeze { .. }
                | Deed::Thaw { .. }
                | Deed::Leave { .. }
                | Deed::Send { .. }
                | Deed::Broadcast { .. } => {}
            }
        }
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
    fn two_minutes_of_ten_have_every_fault_whatever_the_seed() {
        for seed in 0..200 {
            for (members, lasting) in [(5, 5), (10, 2), (20, 2)] {
                let plan =
                    Plan::draw(seed, Participants { members, go: members / 4 }, minutes(lasting));
                for fault in Fault::all() {
                    assert!(plan.count(fault) > 0, "seed {seed}, {members} members, {fault:?}");
                }
                assert!(plan.deeds.iter().any(|(_, deed)| matches!(deed, Deed::Meta { .. })));
                assert!(plan.deeds.iter().any(|(_, deed)| matches!(deed, Deed::Broadcast { .. })));
            }
        }
    }

    #[test]
    fn never_a_majority_is_away_and_nobody_twice_at_a_time() {
        for seed in 0..50 {
            for members in [3, 4, 10, 21] {
                let participants = Participants { members, go: 0 };
                let plan = Plan::draw(seed, participants, minutes(10));
                let mut away = vec![false; members];
                let mut worst = 0;
                for (_, deed) in &plan.deeds {
                    match deed {
                        Deed::Kill { node } | Deed::Freeze { node } | Deed::Leave { node } => {
                            assert!(!std::mem::replace(&mut away[*node], true));
                        }
                        Deed::Start { node, .. } | Deed::Thaw { node } => {
                            assert!(std::mem::replace(&mut away[*node], false));
                        }
                        Deed::Meta { node, .. } => assert!(!away[*node]),
                        Deed::Send { from, to, .. } => assert!(!away[*from] && from != to),
                        Deed::Broadcast { from, .. } => assert!(!away[*from]),
                    }
                    worst = worst.max(away.iter().filter(|away| **away).count());
                }
                assert!(worst * 2 < members, "{worst} of {members}");
                assert!(!away.contains(&true));
                assert!(members == 3 || worst > 1 || members == 4, "{worst} of {members}");
            }
        }
    }

    #[test]
    fn those_who_stay_are_never_killed() {
        let plan = Plan::draw(3, TEN, minutes(30));
        for (_, deed) in plan.deeds {
            if let Deed::Kill { node } | Deed::Leave { node } = deed {
                assert!(!TEN.stays(node));
            }
        }
    }

    #[test]
    fn all_have_recovered_before_the_end() {
        let plan = Plan::draw(4, TEN, minutes(2));
        let rest = Bounds::new(10).repair();
        let last = plan.deeds.iter().rev().find(|(_, deed)| {
            matches!(deed, Deed::Start { .. } | Deed::Thaw { .. } | Deed::Meta { .. })
        });
        assert!(last.is_some_and(|(at, _)| *at + rest <= minutes(2)), "{last:?}");
    }
}
