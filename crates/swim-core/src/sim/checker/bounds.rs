//! Queues and tables stay within their bounds.
//!
//! Compares what machines count of themselves with what their configuration allows.

use crate::config::Config;
use crate::sim::checker::Breach;
use crate::sim::fault::HostId;
use crate::stats::MembershipStats;

/// More streams than this a machine never has an interest in: 512 that others opened, 1,024
/// operations, and its own exchanges and stream pings.
const MAX_STREAMS: usize = 512 + 1024 + 256;

/// Checks one machine's lengths.
pub(crate) fn check(host: HostId, stats: &MembershipStats, config: &Config) -> Result<(), Breach> {
    let members = stats.alive + stats.suspect + stats.dead + stats.left;
    let bounds = [
        ("members", members, config.max_members),
        ("news", stats.queued_broadcasts, members),
        ("application broadcasts", stats.queued_user_broadcasts, config.max_user_broadcasts),
        ("streams", stats.streams, MAX_STREAMS),
        ("health", usize::from(stats.health), usize::from(config.awareness_max_multiplier) - 1),
    ];
    for (what, length, bound) in bounds {
        if length > bound {
            return Err(Breach::new(
                "everything is bounded",
                format!("host {} has {length} {what}, the bound is {bound}", host.index()),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(alive: usize, queued_broadcasts: usize) -> MembershipStats {
        MembershipStats { alive, queued_broadcasts, ..MembershipStats::default() }
    }

    #[test]
    fn news_about_more_than_everybody_are_noticed() {
        let config = Config::lan();
        assert!(check(HostId(0), &stats(5, 6), &config).is_err());
        assert!(check(HostId(0), &stats(5, 5), &config).is_ok());
    }

    #[test]
    fn a_table_above_its_bound_is_noticed() {
        let mut config = Config::lan();
        config.max_members = 4;
        assert!(check(HostId(0), &stats(5, 0), &config).is_err());
        let streams = MembershipStats { streams: MAX_STREAMS + 1, ..stats(1, 0) };
        assert!(check(HostId(0), &streams, &Config::lan()).is_err());
    }
}
