//! The rules of push-pulls: how often, and whether the versions of the two sides fit.

use std::time::Duration;

use crate::member::{Advertised, Member, MemberRecord, MemberState, ProtocolVersions};
use crate::member_name::MemberName;
use crate::member_table::MemberTable;
use crate::time::Time;
use crate::wire::{NodeState, PushPull};

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
struct Versioned<'a> {
    name: &'a [u8],
    alive: bool,
    versions: Option<ProtocolVersions>,
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

/// Whether the versions of both sides fit together.
///
/// # Errors
/// The first version that does not fit: it refuses the whole push-pull.
pub(crate) fn verify_versions(
    theirs: &PushPull<'_>,
    members: &MemberTable,
) -> Result<(), VersionMismatch> {
    let remote = theirs.nodes.clone().map(|node| Versioned {
        name: node.name,
        alive: state_of(node.state) == Some(MemberState::Alive),
        versions: versions_in(node.vsn).map(ProtocolVersions::from_bytes),
    });
    let local = members.iter().filter(|(_, member)| member.versions().is_some());
    let local = local.map(|(_, member)| Versioned {
        name: member.name().as_bytes(),
        alive: member.state() == MemberState::Alive,
        versions: member.versions(),
    });
    verify(remote.chain(local))
}

/// Go's rule: what every living member understands must cover what every member speaks, on both
/// sides and whatever its state. One mismatch refuses the whole exchange.
fn verify<'a>(entries: impl Iterator<Item = Versioned<'a>> + Clone) -> Result<(), VersionMismatch> {
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

/// A member as an entry; `None` if it announced no versions.
pub(crate) fn node_state(record: &MemberRecord) -> Option<NodeState<'_>> {
    Some(NodeState {
        name: record.name.as_bytes(),
        addr: Some(record.advertised.ip_bytes()),
        port: record.advertised.port,
        meta: record.meta.as_ref().map(|meta| meta.as_slice()),
        incarnation: record.incarnation,
        state: state_number(record.state),
        vsn: Some(record.versions.as_ref()?),
    })
}

fn state_number(state: MemberState) -> i64 {
    match state {
        MemberState::Alive => 0,
        MemberState::Suspect => 1,
        MemberState::Dead => 2,
        MemberState::Left => 3,
    }
}

/// The state of that number in a push-pull.
pub(crate) fn state_of(number: i64) -> Option<MemberState> {
    Some(match number {
        0 => MemberState::Alive,
        1 => MemberState::Suspect,
        2 => MemberState::Dead,
        3 => MemberState::Left,
        _ => return None,
    })
}

/// The members that a peer's state reports, in the states it reports; entries that cannot be
/// members are left out.
pub(crate) fn reported_members(theirs: &PushPull<'_>, now: Time) -> Vec<Member> {
    let reported = theirs.nodes.clone().filter_map(|node| {
        Some(Member::new(MemberRecord {
            name: MemberName::try_from(node.name).ok()?,
            meta: node.meta.map(|meta| meta.to_vec().into()),
            changed: now,
            incarnation: node.incarnation,
            advertised: Advertised::from_wire(node.addr?, node.port)?,
            versions: versions_in(node.vsn),
            state: state_of(node.state)?,
        }))
    });
    reported.collect()
}

fn versions_in(vsn: Option<&[u8]>) -> Option<[u8; 6]> {
    vsn.and_then(|vsn| vsn.first_chunk()).copied()
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
