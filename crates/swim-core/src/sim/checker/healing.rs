//! After the last fault has ended, all agree and have nothing left to send.

use crate::member_name::MemberName;
use crate::sim::checker::agreement::Disagreement;
use crate::stats::MembershipStats;

/// Why a cluster has not healed yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unhealed {
    #[error(transparent)]
    Disagreement(#[from] Disagreement),
    #[error("{member} has {count} {what} left")]
    Busy { member: MemberName, what: Remainder, count: usize },
    #[error("the digest that {0} tells is not that of its view")]
    WrongDigest(MemberName),
    #[error("{0} operations have not ended")]
    OpenOperations(usize),
}

/// What a member that is well has none of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remainder {
    Updates,
    ApplicationBroadcasts,
    LocalHealth,
}

impl std::fmt::Display for Remainder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Updates => "queued updates",
            Self::ApplicationBroadcasts => "queued application broadcasts",
            Self::LocalHealth => "points of bad local health",
        })
    }
}

/// Checks that one member has nothing left to send and does not take itself for slow.
pub(crate) fn check(member: &MemberName, stats: &MembershipStats) -> Result<(), Unhealed> {
    // Alone it has nobody to tell, and nobody whose answers improve its local health.
    if stats.alive == 1 {
        return Ok(());
    }
    let remainders = [
        (Remainder::Updates, stats.queued_updates),
        (Remainder::ApplicationBroadcasts, stats.queued_broadcasts),
        (Remainder::LocalHealth, usize::from(stats.health)),
    ];
    match remainders.into_iter().find(|(_, count)| *count > 0) {
        Some((what, count)) => Err(Unhealed::Busy { member: member.clone(), what, count }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queued_updates_and_bad_health_are_noticed_unless_a_member_is_alone() {
        let ada = MemberName::try_from("ada").unwrap();
        let idle = MembershipStats { alive: 2, ..MembershipStats::default() };
        let busy = MembershipStats { queued_updates: 3, ..idle };
        let slow = MembershipStats { health: 1, ..idle };
        let alone = MembershipStats { alive: 1, ..busy };
        assert!(check(&ada, &idle).is_ok() && check(&ada, &alone).is_ok());
        let (member, what) = (ada.clone(), Remainder::Updates);
        assert_eq!(check(&ada, &busy), Err(Unhealed::Busy { member, what, count: 3 }));
        assert!(check(&ada, &slow).is_err());
    }
}
