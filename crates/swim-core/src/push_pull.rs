//! The rules of push-pulls: how often, and what an entry says.

use std::time::Duration;

use crate::member::{Advertised, Member, MemberRecord, MemberState};
use crate::member_name::MemberName;
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

pub(crate) fn versions_in(vsn: Option<&[u8]>) -> Option<[u8; 6]> {
    vsn.and_then(|vsn| vsn.first_chunk()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_grows_with_each_doubling() {
        let seconds =
            [1, 32, 33, 64, 65, 128].map(|n| interval(Duration::from_secs(30), n).as_secs());
        assert_eq!(seconds, [30, 30, 60, 60, 90, 90]);
    }
}
