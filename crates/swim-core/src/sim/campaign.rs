//! One seed, one run of a cluster: formation, chaos under a fault plan, healing.
//!
//! Safety rules are checked after every step. Once the plan has ended, all members must agree and
//! have nothing left to send within a bound that follows from the configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::bootstrap::BACKOFF_MAX;
use crate::config::Config;
use crate::push_pull::SCALE_THRESHOLD;
use crate::secret_key::SecretKey;
use crate::sim::coverage::{Counted, Coverage};
use crate::sim::fault::{FaultId, HostId};
use crate::sim::fault_plan::{self, AppAction, PlanStep};
use crate::sim::setup::Setup;
use crate::sim::sim_rng::SimRng;
use crate::sim::simulation::Simulation;
use crate::sim::violation::{BrokenRule, Violation};
use crate::time::Time;
use crate::wire::MAX_COMMON_MESSAGE;

/// The random stream that setups and fault plans draw from.
const FAULT_PLAN: u64 = 2;
/// How long agreement must last before a cluster counts as healed.
const QUIET: Duration = Duration::from_secs(10);
/// In every so many seeds all packets are decoded, to check what receivers make of them.
const TAP_EVERY: u64 = 4;

/// What one seed did.
#[derive(Clone, Debug)]
pub struct SeedReport {
    /// The seed that replays this run.
    pub seed: u64,
    /// How many hosts there were.
    pub hosts: usize,
    /// How many kinds of fault were drawn.
    pub kinds: usize,
    /// Virtual time in all.
    pub virtual_time: Duration,
    /// From the end of the last fault to agreement with empty queues.
    pub heal_time: Duration,
    /// What that was allowed to take.
    pub heal_bound: Duration,
    /// Steps of the simulation.
    pub steps: u64,
    /// What was explored.
    pub coverage: Coverage,
    /// The hash over every byte and event.
    pub digest: u64,
    /// The rule that was broken, if one was.
    pub violation: Option<Violation>,
    /// The last lines of the trace, if it was kept.
    pub last_lines: Vec<String>,
}

/// How much a run says about itself.
pub enum Verbosity {
    /// Nothing; the quickest.
    Nothing,
    /// The last lines, in the report.
    LastLines,
    /// Everything, line by line.
    Everything(Box<dyn FnMut(&str)>),
}

/// Runs one seed from beginning to end, with [`Config::observers`].
#[must_use]
pub fn run_seed(seed: u64, observers: usize, verbosity: Verbosity) -> SeedReport {
    let mut rng = SimRng::new(seed, FAULT_PLAN);
    let mut setup = draw_setup(seed, &mut rng);
    setup.config.observers = observers;
    let config = setup.config.clone();
    let mut sim = Simulation::new(seed, setup);
    match verbosity {
        Verbosity::Nothing => {}
        Verbosity::LastLines => sim.keep_trace(),
        Verbosity::Everything(sink) => sim.trace_to(sink),
    }
    let hosts = draw_hosts(&mut sim, &mut rng);
    let bound = convergence_bound(&config, hosts.len());
    form_cluster(&mut sim, &hosts, bound, &mut rng);
    let length = Duration::from_secs(60) + rng.span(Duration::ZERO, Duration::from_secs(60));
    let plan = fault_plan::draw(&mut rng, &hosts, length);
    run_chaos(&mut sim, plan.steps, length);
    sim.end_all_faults();
    let heal_began = sim.now();
    heal(&mut sim, bound);
    SeedReport {
        seed,
        hosts: hosts.len(),
        kinds: plan.kinds.len(),
        virtual_time: sim.now() - Time::ZERO,
        heal_time: sim.now() - heal_began,
        heal_bound: bound,
        steps: sim.steps(),
        coverage: sim.coverage().clone(),
        digest: sim.digest(),
        violation: sim.violation().cloned(),
        last_lines: sim.last_lines(),
    }
}

/// How long healing may take until all agree and queue nothing. The terms, in this order:
///
/// - join addresses are tried again after at most 60 s, half of that again in reserve, and such
///   an exchange takes at most the stream timeout; this twice, should the first one fail;
/// - whatever is still wrong somewhere spreads with the periodic exchanges, twice;
/// - slowed-down probing recovers: a member whose local health is at its worst probes 8, 7, …
///   times slower; then 20 probe rounds to notice who is gone;
/// - the longest suspicion (twice as long where who suspects is doubted), and the time in which
///   the dead keep their names, which ends when the round of probes does (somebody may have moved
///   to another address);
/// - gossip: as many rounds as a message is sent, twice.
#[must_use]
pub fn convergence_bound(config: &Config, members: usize) -> Duration {
    let magnitude = members.max(10).ilog10() + 1;
    let joins = 2 * (BACKOFF_MAX * 3 / 2 + config.stream_timeout);
    let doublings = members.max(SCALE_THRESHOLD).ilog2() - SCALE_THRESHOLD.ilog2();
    let exchanges = 2 * (doublings + 2) * config.push_pull_interval;
    let health = u32::from(config.awareness_max_multiplier);
    let rounds = u32::try_from(members).unwrap_or(u32::MAX);
    let probing = config.probe_interval * (health * (health + 1) / 2 + 20 + 2 * rounds);
    let suspicion = config.probe_interval
        * config.suspicion_multiplier
        * config.suspicion_max_timeout_multiplier
        * 2
        * magnitude;
    let gossip = gossip_bound(config, members);
    joins + exchanges + probing + suspicion + config.gossip_to_the_dead + gossip
}

/// How long gossip may take to tell all: twice as many rounds as a message is sent.
pub(crate) fn gossip_bound(config: &Config, members: usize) -> Duration {
    let magnitude = members.max(10).ilog10() + 1;
    2 * config.gossip_interval * config.retransmit_multiplier * magnitude
}

fn draw_setup(seed: u64, rng: &mut SimRng) -> Setup {
    let mut config = match rng.below(10) {
        0 => Config::wan(),
        1 | 2 => Config::local(),
        _ => Config::lan(),
    };
    config.compression = rng.below(4) == 0;
    if rng.below(4) == 0 {
        config.label = b"a simulated cluster".to_vec();
    }
    if rng.below(8) == 0 {
        let length = rng.pick(&[16, 24, 32]);
        config.keys.extend(SecretKey::try_from([7; 32].get(..length).unwrap_or_default()));
    }
    if rng.below(6) == 0 {
        config.local_health_probe = rng.below(2) == 0;
        config.local_health_suspicion = rng.below(2) == 0;
        config.buddy = rng.below(2) == 0;
    }
    let verified_names = rng.below(4) > 0;
    Setup { verified_names, tap: seed.is_multiple_of(TAP_EVERY), ..Setup::new(config) }
}

/// Between 3 and 64 hosts, more often few; seeds are the first one, and sometimes one or two more.
fn draw_hosts(sim: &mut Simulation, rng: &mut SimRng) -> Vec<HostId> {
    let count = match rng.below(10) {
        0..=4 => rng.between(3, 12),
        5..=7 => rng.between(13, 32),
        _ => rng.between(33, 64),
    };
    let hosts: Vec<HostId> = (0..count).map(|n| sim.add(&format!("member-{n:02}"))).collect();
    let seeds = rng.between(1, 3);
    for host in &hosts {
        sim.set_seeds(*host, &hosts[..seeds]);
    }
    hosts
}

/// Starts the hosts, most of them together and some late, and waits until they agree.
fn form_cluster(sim: &mut Simulation, hosts: &[HostId], bound: Duration, rng: &mut SimRng) {
    let late = rng.below(hosts.len().min(5));
    let (early, late) = hosts.split_at(hosts.len() - late);
    let at_once = rng.below(2) == 0;
    for host in early {
        sim.start(*host);
        if !at_once {
            sim.run_for(rng.span(Duration::ZERO, Duration::from_millis(400)));
        }
    }
    if at_once && early.len() > 16 {
        sim.acquaint();
    }
    sim.run_until(bound, |sim| sim.agreement().is_ok());
    if let Err(disagreement) = sim.agreement() {
        sim.report(BrokenRule::Formation(disagreement));
    }
    for host in late {
        sim.count(Counted::Join);
        sim.start(*host);
    }
}

/// Executes a fault plan.
fn run_chaos(sim: &mut Simulation, steps: Vec<(Duration, PlanStep)>, length: Duration) {
    let began = sim.now();
    let mut faults: BTreeMap<usize, FaultId> = BTreeMap::new();
    for (at, what) in steps {
        sim.run_to(began + at);
        if sim.violation().is_some() {
            return;
        }
        match what {
            PlanStep::Begin(number, fault) => {
                faults.insert(number, sim.begin_fault(fault));
            }
            PlanStep::End(number) => {
                if let Some(fault) = faults.remove(&number) {
                    sim.end_fault(fault);
                }
            }
            PlanStep::FlipFlop => sim.count(Counted::FlipFlop),
            PlanStep::Stall(host, how, blocked, running) => sim.stall(host, how, blocked, running),
            PlanStep::EndStall(host) => sim.end_stall(host),
            PlanStep::Crash(host) => sim.crash(host),
            PlanStep::Start(host) => sim.start(host),
            PlanStep::Leave(host) => sim.leave(host),
            PlanStep::Relocate(host) => {
                sim.relocate(host);
                sim.start(host);
            }
            // Where nobody proves a name, the successor would get the mail of who was there.
            PlanStep::Replace(host) if sim.has_verified_names() => replace(sim, host),
            PlanStep::Replace(host) => sim.crash(host),
            PlanStep::ClockRate(host, rate) => sim.set_clock_rate(host, rate),
            PlanStep::PacketLimit(host, to, limit) => sim.set_packet_limit(host, to, limit),
            PlanStep::ReplaceConnections(host) => sim.replace_connections(host),
            PlanStep::Receive(host, status) => sim.set_delivery_status(host, status),
            PlanStep::Act(action) => act(sim, action),
        }
    }
    sim.run_to(began + length);
}

/// A new member, where another one was.
fn replace(sim: &mut Simulation, gone: HostId) {
    let name = format!("successor-{:03}", sim.hosts().count());
    let successor = sim.add(&name);
    sim.inherit_seeds(successor, gone);
    sim.take_over(successor, gone);
    sim.start(successor);
}

fn act(sim: &mut Simulation, action: AppAction) {
    match action {
        AppAction::Broadcast(host, len) => sim.broadcast(host, len),
        AppAction::Send(host, to, len) => sim.send(host, to, len),
        AppAction::SendReliable(host, to, len) => {
            let timeout = Duration::from_secs(if len > MAX_COMMON_MESSAGE { 20 } else { 5 });
            sim.send_reliable(host, to, len, timeout);
        }
        AppAction::Ping(host, to) => sim.ping(host, to),
        AppAction::Meta(host, len) => sim.set_meta(host, &vec![0x6d; len]),
    }
}

/// Waits until all agree, have empty queues and stay so for [`QUIET`]. A probe that was under way
/// when the last fault ended may still break a first agreement.
fn heal(sim: &mut Simulation, bound: Duration) {
    let end = sim.now() + bound;
    while sim.run_until(end - sim.now(), |sim| sim.healed().is_ok()) {
        if !sim.run_until(QUIET, |sim| sim.agreement().is_err()) {
            return;
        }
    }
    if let Err(unhealed) = sim.healed() {
        sim.report(BrokenRule::Healing(unhealed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_follows_the_configuration() {
        let bound = |config: Config, members| convergence_bound(&config, members).as_secs();
        // 200 + 180 + 184 + 96 + 30 + 3.2 s: the terms above, for 64 members of a local network.
        assert_eq!(bound(Config::lan(), 64), 693);
        assert!(bound(Config::lan(), 64) > bound(Config::lan(), 8));
        assert!(bound(Config::wan(), 8) > bound(Config::lan(), 8));
    }

    #[test]
    fn a_seed_replays_to_the_same_digest() {
        let run = |seed| run_seed(seed, 0, Verbosity::Nothing).digest;
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }
}
