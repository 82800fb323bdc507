//! The clusters that experiments begin with, and what is read from them at the end.

use std::time::Duration;

use crate::config::Config;
use crate::output::MembershipEvent;
use crate::sim::fault::HostId;
use crate::sim::scenario::experiment::{length, number};
use crate::sim::setup::{Setup, Watch};
use crate::sim::simulation::Simulation;
use crate::time::Time;

/// A cluster whose members have long known each other, checked every 100 ms.
pub(crate) fn converged(seed: u64, members: usize, config: Config) -> (Simulation, Vec<HostId>) {
    let watch = Watch::Every(Duration::from_millis(100));
    let setup = Setup { watch, keep_events: true, ..Setup::new(config) };
    let mut sim = Simulation::new(seed, setup);
    let hosts: Vec<HostId> = (0..members).map(|n| sim.add(&format!("member-{n:05}"))).collect();
    for host in &hosts {
        sim.set_first_seed(*host, hosts[0]);
        sim.start(*host);
    }
    sim.acquaint();
    (sim, hosts)
}

/// A cluster whose members have started one after the other, 5 ms apart, with the first one as
/// their seed. Nothing is checked.
pub(crate) fn started(seed: u64, members: usize, config: Config) -> (Simulation, Vec<HostId>) {
    let setup = Setup { watch: Watch::Never, keep_events: true, ..Setup::new(config) };
    let mut sim = Simulation::new(seed, setup);
    let hosts: Vec<HostId> = (0..members).map(|n| sim.add(&format!("member-{n:04}"))).collect();
    for host in &hosts {
        sim.set_first_seed(*host, hosts[0]);
        sim.start(*host);
        sim.run_for(Duration::from_millis(5));
    }
    (sim, hosts)
}

/// Deaths declared since the simulation began: when, about whom, and at whom.
pub(crate) fn deaths(sim: &Simulation) -> impl Iterator<Item = (Time, HostId, HostId)> + '_ {
    sim.events().iter().filter_map(|(at, viewer, event)| {
        let MembershipEvent::Failed { member, .. } = event else {
            return None;
        };
        Some((*at, sim.host_named(member.name())?, *viewer))
    })
}

/// Why a run must not count, if it must not: a broken rule, or views that differ.
pub(crate) fn failure(sim: &Simulation, must_agree: bool) -> Option<String> {
    if let Some(violation) = sim.violation() {
        return Some(violation.to_string());
    }
    if must_agree { sim.agreement().err().map(|error| error.to_string()) } else { None }
}

/// Bytes of packets and streams that all running members have sent.
pub(crate) fn sent_bytes(sim: &Simulation, hosts: &[HostId]) -> u64 {
    let members = hosts.iter().filter_map(|host| sim.membership(*host));
    let bytes = members.map(|membership| {
        let counters = membership.stats().counters;
        counters.packet_bytes_out + counters.stream_bytes_out
    });
    bytes.sum()
}

/// The same in KB a second and member.
pub(crate) fn sent_kilobytes(sim: &Simulation, hosts: &[HostId], seconds: f64) -> f64 {
    number(sent_bytes(sim, hosts)) / 1000.0 / seconds / length(hosts)
}
