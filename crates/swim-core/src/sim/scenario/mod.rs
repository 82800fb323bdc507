//! Named experiments: each measures one thing and says against what.
//!
//! A scenario is a list of independent jobs, for the caller to run on as many cores as there are,
//! and a way to make one table of their measures.

mod experiment;
mod hostile_figures;
mod large_clusters;
mod lifeguard_intervals;
mod observing_clusters;
mod refusals;
mod rolling_upgrades;
mod scenario_cluster;
mod short_outages;
mod single_links;

pub use experiment::{Job, Measure, Scenario, Size, Table};

/// The names of all scenarios.
pub const NAMES: &[&str] = &[
    "lifeguard",
    "rapid-crash",
    "rapid-flipflop",
    "rapid-loss",
    "one-way",
    "blackhole-pair",
    "mass-restart",
    "partition-heal",
    "join-storm",
    "swim-loss",
    "one-link",
    "freeze",
    "send-outage",
    "hostile",
    "rolling-upgrade",
    "refusals",
    "observers",
];

/// The scenario of that name.
#[must_use]
pub fn named(name: &str, size: Size) -> Option<Scenario> {
    Some(match name {
        "lifeguard" => lifeguard_intervals::scenario(size),
        "rapid-crash" => large_clusters::crash(size),
        "rapid-flipflop" => large_clusters::flip_flop(size),
        "rapid-loss" => large_clusters::loss(size),
        "join-storm" => large_clusters::join_storm(size),
        "mass-restart" => large_clusters::mass_restart(size),
        "partition-heal" => large_clusters::partition_heal(size),
        "one-way" => single_links::one_way(size),
        "blackhole-pair" => single_links::blackhole_pair(size),
        "swim-loss" => single_links::swim_loss(size),
        "one-link" => single_links::one_link(size),
        "freeze" => short_outages::freeze(&size),
        "send-outage" => short_outages::send_outage(&size),
        "hostile" => hostile_figures::scenario(size),
        "rolling-upgrade" => rolling_upgrades::scenario(size),
        "refusals" => refusals::scenario(size),
        "observers" => observing_clusters::scenario(size),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_for_a_scenario() {
        for name in NAMES {
            let scenario = named(name, Size { members: Some(10), ..Size::default() });
            assert!(scenario.is_some_and(|scenario| !scenario.jobs.is_empty()), "{name}");
        }
        assert!(named("nothing", Size::default()).is_none());
    }
}
