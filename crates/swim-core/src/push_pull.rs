//! The rules of push-pulls: how often, and whether the versions of the two sides fit.

use std::time::Duration;

use crate::member::ProtocolVersions;
use crate::member_name::MemberName;

/// Up to this many members the interval is the configured one.
pub(crate) const SCALE_THRESHOLD: usize = 32;

/// The interval in a cluster of `members`: longer by one for each doubling above 32.
pub(crate) fn interval(configured: Duration, members: usize) -> Duration {
    let mut factor = 1;
    let mut reach = SCALE_THRESHOLD;
    while reach < members {
        reach = reach.saturating_mul(2);
        factor += 1;
    }
    configured.saturating_mul(factor)
}

/// What one entry says about versions; missing ones count as zeros.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Versioned<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) alive: bool,
    pub(crate) versions: Option<ProtocolVersions>,
}

/// A member that speaks a version which not all living members understand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} speaks {what} version {speaks}, but all living members understand only {} to {}: upgrade \
     or reconfigure it",
    name.as_ref().map_or_else(|| "a member without a name".into(), MemberName::to_string),
    understood.0,
    understood.1
)]
pub struct VersionMismatch {
    /// Whose version it is; `None` where the entry has no valid name.
    pub name: Option<MemberName>,
    /// Which version: `protocol` or `delegate`, the application's.
    pub what: &'static str,
    /// The version that the member speaks.
    pub speaks: u8,
    /// The oldest and newest version that every living member understands.
    pub understood: (u8, u8),
}

/// Go's rule: what every living member understands must cover what every member speaks, on both
/// sides and whatever its state. One mismatch refuses the whole exchange.
pub(crate) fn verify<'a>(
    entries: impl Iterator<Item = Versioned<'a>> + Clone,
) -> Result<(), VersionMismatch> {
    let mut protocol = (0, u8::MAX);
    let mut delegate = (0, u8::MAX);
    let living = entries.clone().filter(|entry| entry.alive).filter_map(|entry| entry.versions);
    for versions in living {
        protocol.0 = protocol.0.max(versions.protocol_min);
        protocol.1 = protocol.1.min(versions.protocol_max);
        delegate.0 = delegate.0.max(versions.delegate_min);
        delegate.1 = delegate.1.min(versions.delegate_max);
    }
    for entry in entries {
        let versions = entry.versions.unwrap_or(ProtocolVersions::from_bytes([0; 6]));
        let checks = [
            ("protocol", versions.protocol_current, protocol),
            ("delegate", versions.delegate_current, delegate),
        ];
        for (what, speaks, understood) in checks {
            if speaks < understood.0 || speaks > understood.1 {
                let name = MemberName::try_from(entry.name).ok();
                return Err(VersionMismatch { name, what, speaks, understood });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &'static str, alive: bool, bytes: [u8; 6]) -> Versioned<'static> {
        let versions = Some(ProtocolVersions::from_bytes(bytes));
        Versioned { name: name.as_bytes(), alive, versions }
    }

    #[test]
    fn the_interval_grows_with_each_doubling() {
        let seconds =
            [1, 32, 33, 64, 65, 128].map(|n| interval(Duration::from_secs(30), n).as_secs());
        assert_eq!(seconds, [30, 30, 60, 60, 90, 90]);
    }

    #[test]
    fn versions_that_overlap_fit() {
        let entries =
            [entry("ada", true, [1, 5, 2, 0, 0, 0]), entry("bob", true, [2, 4, 3, 0, 2, 0])];
        assert_eq!(verify(entries.into_iter()), Ok(()));
    }

    #[test]
    fn one_misfit_refuses_everything_even_a_dead_one() {
        let ada = entry("ada", true, [1, 5, 2, 0, 0, 0]);
        let nil = Versioned { name: b"nil", alive: false, versions: None };
        assert!(verify([ada, nil].into_iter()).is_err());
        let late = entry("late", false, [1, 7, 6, 0, 0, 0]);
        assert_eq!(
            verify([ada, late].into_iter()).unwrap_err().to_string(),
            "late speaks protocol version 6, but all living members understand only 1 to 5: \
             upgrade or reconfigure it"
        );
        let delegate = entry("dan", true, [1, 5, 2, 2, 3, 2]);
        assert!(verify([ada, delegate].into_iter()).is_err());
    }
}
