//! The hostile members of a simulation: what each of them does, and its turns.

use std::collections::BTreeMap;
use std::time::Duration;

use super::line::{Known, Line, Scene};
use super::strategy::{Strategy, StrategyKind};
use crate::config::Config;
use crate::sim::fault::HostId;
use crate::sim::packet_inspector::wire_settings;
use crate::sim::sim_rng::SimRng;
use crate::sim::simulation::Simulation;
use crate::wire::WireSettings;

/// The streams of hostile members themselves have numbers from here on; those of their machines
/// begin at 0.
const FIRST_STREAM: u64 = 1 << 40;

/// All hostile members, and how often each strategy has acted.
pub(crate) struct HostileMembers {
    members: Vec<HostileMember>,
    settings: WireSettings,
    stream_timeout: Duration,
    acts: BTreeMap<StrategyKind, u64>,
}

struct HostileMember {
    host: HostId,
    strategies: Vec<(StrategyKind, Option<Box<dyn Strategy>>)>,
    next_stream: u64,
}

impl HostileMembers {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            members: Vec::new(),
            settings: wire_settings(config),
            stream_timeout: config.stream_timeout,
            acts: BTreeMap::new(),
        }
    }

    /// A host will be hostile in these ways, once they [`begin`](Self::begin).
    pub(crate) fn add(&mut self, host: HostId, kinds: Vec<StrategyKind>) {
        let strategies = kinds.into_iter().map(|kind| (kind, super::new(kind))).collect();
        self.members.push(HostileMember { host, strategies, next_stream: FIRST_STREAM });
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Those that only leave something out do so from now on, and the rules learn who lies about
    /// restarts.
    pub(crate) fn begin(&self, sim: &mut Simulation) {
        for (host, kind) in self.kinds() {
            match kind {
                StrategyKind::SilentRelay => sim.refuse_relays(host, false),
                StrategyKind::NackingRelay => sim.refuse_relays(host, true),
                StrategyKind::Forger
                | StrategyKind::Inflater
                | StrategyKind::Squatter
                | StrategyKind::Flooder
                | StrategyKind::VersionLiar
                | StrategyKind::Drainer
                | StrategyKind::SlowReader
                | StrategyKind::Slanderer => {}
                StrategyKind::CapabilityForger => sim.forge_starts(host),
            }
        }
    }

    /// Each does something now, against these honest members.
    pub(crate) fn act(&mut self, sim: &mut Simulation, rng: &mut SimRng, honest: &[HostId]) {
        let Self { members, settings, stream_timeout, acts } = self;
        for HostileMember { host, strategies, next_stream } in members {
            let scene = scene(sim, *host, honest);
            for (kind, strategy) in strategies {
                let Some(strategy) = strategy else { continue };
                sim.act_as(*host, |transport, now| {
                    let around = (&*settings, *stream_timeout);
                    let mut line = Line::new(transport, around, next_stream, now);
                    *acts.entry(*kind).or_default() += strategy.act(&scene, rng, &mut line);
                });
            }
        }
    }

    /// What each strategy did: how many messages, streams or bytes, or relays left out.
    pub(crate) fn acts(&self, sim: &Simulation) -> BTreeMap<StrategyKind, u64> {
        let mut acts = self.acts.clone();
        for HostileMember { host, strategies, .. } in &self.members {
            // Of the two kinds of relay, the one that began last has replaced the other.
            let relay = strategies.iter().map(|(kind, _)| *kind).rfind(|kind| {
                matches!(kind, StrategyKind::SilentRelay | StrategyKind::NackingRelay)
            });
            if let Some(kind) = relay {
                *acts.entry(kind).or_default() += sim.dropped_relays(*host);
            }
        }
        acts
    }

    fn kinds(&self) -> impl Iterator<Item = (HostId, StrategyKind)> + '_ {
        let of_one = |member: &HostileMember| {
            let host = member.host;
            member.strategies.iter().map(move |(kind, _)| (host, *kind)).collect::<Vec<_>>()
        };
        self.members.iter().flat_map(of_one)
    }
}

/// What a hostile member sees.
fn scene(sim: &Simulation, me: HostId, honest: &[HostId]) -> Scene {
    let known = |host: &HostId| Known {
        name: sim.name(*host).clone(),
        address: sim.address(*host),
        incarnation: sim.member(me, *host).map_or(1, |member| member.incarnation()),
        is_up: sim.is_up(*host),
    };
    Scene {
        me: sim.name(me).clone(),
        my_address: sim.address(me),
        honest: honest.iter().map(known).collect(),
    }
}
