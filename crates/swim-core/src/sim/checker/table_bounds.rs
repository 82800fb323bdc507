//! Queues and tables stay within the bounds that the configuration and the product state.

use std::fmt;

use crate::config::Config;
use crate::exchanges::MAX_INCOMING;
use crate::membership::commands::MAX_OPERATIONS;
use crate::sim::fault::HostId;
use crate::stats::MembershipStats;

/// Room for a member's periodic exchanges, tried join addresses and stream pings, whose number
/// follows from intervals and deadlines instead of a bound.
const OWN_EXCHANGES: usize = 256;
/// The most streams a member has an interest in at once: those that others opened, at most one
/// for each operation, and its own exchanges.
const MAX_STREAMS: usize = MAX_INCOMING + MAX_OPERATIONS + OWN_EXCHANGES;

/// Something that has a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bounded {
    Members,
    Updates,
    ApplicationBroadcasts,
    Streams,
    LocalHealth,
}

impl fmt::Display for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Members => "members",
            Self::Updates => "queued updates",
            Self::ApplicationBroadcasts => "queued application broadcasts",
            Self::Streams => "streams",
            Self::LocalHealth => "points of bad local health",
        })
    }
}

/// A bound that was exceeded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("everything is bounded: host {host} has {length} {what}, the bound is {bound}")]
pub(crate) struct BoundExceeded {
    host: usize,
    what: Bounded,
    length: usize,
    bound: usize,
}

/// Checks what one member counts of itself.
pub(crate) fn check(
    host: HostId,
    stats: &MembershipStats,
    config: &Config,
) -> Result<(), BoundExceeded> {
    let members = stats.alive + stats.suspect + stats.dead + stats.left;
    let worst_health = usize::from(config.awareness_max_multiplier) - 1;
    let bounds = [
        (Bounded::Members, members, config.max_members),
        (Bounded::Updates, stats.queued_updates, members),
        (Bounded::ApplicationBroadcasts, stats.queued_broadcasts, config.max_broadcasts),
        (Bounded::Streams, stats.streams, MAX_STREAMS),
        (Bounded::LocalHealth, usize::from(stats.health), worst_health),
    ];
    match bounds.into_iter().find(|(_, length, bound)| length > bound) {
        Some((what, length, bound)) => {
            Err(BoundExceeded { host: host.index(), what, length, bound })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(alive: usize, queued_updates: usize) -> MembershipStats {
        MembershipStats { alive, queued_updates, ..MembershipStats::default() }
    }

    #[test]
    fn updates_about_more_than_everybody_are_noticed() {
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
