//! One seed with hostile members: a cluster forms, then up to a third of it turns hostile.
//!
//! Views are judged by [`HonestMembers`] instead of the rules of ordinary seeds, many of which
//! take for granted that everybody says the truth. Messages, operations, suspicion times and
//! overdue timers are checked as always.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::config::Config;
use crate::sim::campaign::{Verbosity, convergence_bound, gossip_bound};
use crate::sim::checker::honest_members::{AwaitedBelief, HonestBounds, HonestMembers, HonestView};
use crate::sim::checker::table_bounds;
use crate::sim::fault::{FaultId, HostId};
use crate::sim::hostile::{HostileMembers, StrategyKind};
use crate::sim::hostile_plan::{self, HonestStep};
use crate::sim::setup::{Setup, Watch};
use crate::sim::sim_rng::SimRng;
use crate::sim::simulation::Simulation;
use crate::sim::violation::{BrokenRule, Violation};
use crate::time::Time;

/// The random stream that clusters, plans and hostile members draw from.
const HOSTILE_PLAN: u64 = 3;
/// How often hostile members act, and how often the rules are checked.
const TICK: Duration = Duration::from_millis(100);

/// What one hostile seed did.
#[derive(Clone, Debug)]
pub struct HostileReport {
    /// The seed that replays this run.
    pub seed: u64,
    /// How many hosts there were, hostile ones included.
    pub hosts: usize,
    /// How many of them were hostile.
    pub hostile: usize,
    /// What each strategy did: how many messages, streams or bytes.
    pub acts: BTreeMap<StrategyKind, u64>,
    /// Virtual time in all.
    pub virtual_time: Duration,
    /// The hash over every byte and event.
    pub digest: u64,
    /// The rule that was broken, if one was.
    pub violation: Option<Violation>,
    /// The last lines of the trace, if it was kept.
    pub last_lines: Vec<String>,
}

/// A run under way.
struct HostileRun {
    sim: Simulation,
    rng: SimRng,
    config: Config,
    honest: Vec<HostId>,
    hostile: HostileMembers,
    rules: HonestMembers,
    faults: BTreeMap<usize, FaultId>,
}

/// Runs one hostile seed from beginning to end.
#[must_use]
pub fn run_hostile_seed(seed: u64, observers: usize, verbosity: Verbosity) -> HostileReport {
    let mut run = HostileRun::draw(seed, observers, verbosity);
    let length = Duration::from_secs(30) + run.rng.span(Duration::ZERO, Duration::from_secs(30));
    let plan = hostile_plan::draw(&mut run.rng, &run.honest, length);
    run.form();
    run.attack(plan.into());
    HostileReport {
        seed,
        hosts: run.honest.len() + run.hostile.len(),
        hostile: run.hostile.len(),
        acts: run.hostile.acts(&run.sim),
        virtual_time: run.sim.now() - Time::ZERO,
        digest: run.sim.digest(),
        violation: run.sim.violation().cloned(),
        last_lines: run.sim.last_lines(),
    }
}

impl HostileRun {
    fn draw(seed: u64, observers: usize, verbosity: Verbosity) -> Self {
        let mut rng = SimRng::new(seed, HOSTILE_PLAN);
        // In the local configuration, gossip alone misses somebody now and then anyway.
        let mut config = Config::lan();
        config.compression = rng.below(4) == 0;
        config.observers = observers;
        let setup = Setup { watch: Watch::Never, ..Setup::new(config.clone()) };
        let mut sim = Simulation::new(seed, setup);
        match verbosity {
            Verbosity::Nothing => {}
            Verbosity::LastLines => sim.keep_trace(),
            Verbosity::Everything(sink) => sim.trace_to(sink),
        }
        // What hostile members cost grows with the square, so most clusters are small.
        let count = if rng.below(16) == 0 { rng.between(10, 24) } else { rng.between(4, 9) };
        let hosts: Vec<HostId> = (0..count).map(|n| sim.add(&format!("member-{n:02}"))).collect();
        let number = rng.between(1, count / 3);
        let (first, others) = hosts.split_at(1);
        let chosen = rng.sample(others, number);
        let mut hostile = HostileMembers::new(&config);
        for host in &chosen {
            hostile.add(*host, draw_strategies(&mut rng));
        }
        let honest: Vec<HostId> =
            hosts.iter().copied().filter(|host| !chosen.contains(host)).collect();
        for host in &hosts {
            sim.set_seeds(*host, first);
        }
        let bounds = HonestBounds::of(&config, gossip_bound(&config, count), count);
        Self {
            rules: HonestMembers::new(bounds),
            faults: BTreeMap::new(),
            sim,
            rng,
            config,
            honest,
            hostile,
        }
    }

    /// All start and agree before anybody is hostile.
    fn form(&mut self) {
        let hosts: Vec<HostId> = self.sim.hosts().collect();
        for host in &hosts {
            self.sim.start(*host);
        }
        let bound = convergence_bound(&self.config, hosts.len());
        self.sim.run_until(bound, |sim| sim.agreement().is_ok());
        if let Err(disagreement) = self.sim.agreement() {
            self.sim.report(BrokenRule::Formation(disagreement));
        }
        self.hostile.begin(&mut self.sim);
    }

    /// Hostile members act until the plan has ended and everything that is true is known.
    fn attack(&mut self, mut plan: VecDeque<(Duration, HonestStep)>) {
        let began = self.sim.now();
        while self.sim.violation().is_none() && (!plan.is_empty() || self.rules.has_expectations())
        {
            let now = self.sim.now();
            while plan.front().is_some_and(|(at, _)| began + *at <= now)
                && let Some((_, step)) = plan.pop_front()
            {
                self.take(step);
            }
            self.hostile.act(&mut self.sim, &mut self.rng, &self.honest);
            self.sim.run_to(now + TICK);
            self.check();
        }
    }

    fn take(&mut self, step: HonestStep) {
        let now = self.sim.now();
        match step {
            HonestStep::Join => {
                let host = self.sim.add(&format!("newcomer-{:02}", self.honest.len()));
                self.sim.inherit_seeds(host, self.honest[1]);
                self.sim.start(host);
                self.honest.push(host);
                self.rules.expect(host, AwaitedBelief::Joined, now);
            }
            HonestStep::Crash(host) => {
                self.sim.crash(host);
                self.rules.expect(host, AwaitedBelief::Dead, now);
            }
            HonestStep::Metadata(host, len) if self.is_up(host) => {
                // Never the same twice.
                let number = now.as_micros().to_be_bytes();
                let meta: Vec<u8> = number.into_iter().cycle().take(len.max(8)).collect();
                self.sim.set_meta(host, &meta);
                self.rules.expect(host, AwaitedBelief::Metadata(meta), now);
            }
            HonestStep::Metadata(..) => {}
            HonestStep::Broadcast(host, len) => self.sim.broadcast(host, len),
            HonestStep::SendReliable(host, to, len) => {
                self.sim.send_reliable(host, to, len, Duration::from_secs(5));
            }
            HonestStep::Begin(number, fault) => {
                self.faults.insert(number, self.sim.begin_fault(fault));
            }
            HonestStep::End(number) => {
                if let Some(fault) = self.faults.remove(&number) {
                    self.sim.end_fault(fault);
                }
            }
        }
    }

    fn is_up(&self, host: HostId) -> bool {
        self.sim.membership(host).is_some()
    }

    fn check(&mut self) {
        let up: Vec<HostId> =
            self.honest.iter().copied().filter(|host| self.is_up(*host)).collect();
        for host in &up {
            let Some(membership) = self.sim.membership(*host) else { continue };
            if let Err(broken) = table_bounds::check(*host, &membership.stats(), &self.config) {
                return self.sim.report(broken.into());
            }
        }
        let belief = |viewer: HostId, subject: HostId| {
            let member = self.sim.member(viewer, subject)?;
            Some((subject, (member.state(), member.meta().to_vec())))
        };
        let views: Vec<HonestView> = up
            .iter()
            .map(|viewer| {
                let others = self.honest.iter().filter(|subject| *subject != viewer);
                let others = others.filter_map(|subject| belief(*viewer, *subject)).collect();
                HonestView { viewer: *viewer, others }
            })
            .collect();
        if let Err(broken) = self.rules.check(&views, self.sim.now()) {
            self.sim.report(broken.into());
        }
    }
}

/// One to three strategies.
fn draw_strategies(rng: &mut SimRng) -> Vec<StrategyKind> {
    let count = rng.between(1, 3);
    rng.sample(StrategyKind::ALL, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_seed_replays_to_the_same_digest() {
        let run = |seed| run_hostile_seed(seed, 0, Verbosity::Nothing).digest;
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(0));
    }
}
