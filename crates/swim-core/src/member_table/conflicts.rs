//! Addresses that claim the names of members at other ones.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::member_index::MemberIndex;
use crate::time::Time;

/// How often conflicts about one name are reported: whoever claims it from ever other addresses
/// fills no log.
const BETWEEN_REPORTS: Duration = Duration::from_secs(10);

/// The other address that was last reported for a name, and when.
#[derive(Debug, Default)]
pub(super) struct Conflicts(BTreeMap<MemberIndex, (SocketAddr, Time)>);

impl Conflicts {
    /// Notes a claim. Whether it is to be reported: it is another one than last time, and that was
    /// some time ago.
    pub(super) fn note(&mut self, index: MemberIndex, other: SocketAddr, now: Time) -> bool {
        let before = self.0.get(&index);
        let is_new = before.is_none_or(|(last, at)| *last != other && now - *at >= BETWEEN_REPORTS);
        if is_new {
            self.0.insert(index, (other, now));
        }
        is_new
    }

    /// The name is settled, or nobody's.
    pub(super) fn forget(&mut self, index: MemberIndex) {
        self.0.remove(&index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ever_other_addresses_are_reported_now_and_then() {
        let mut conflicts = Conflicts::default();
        let mut note = |port: u16, seconds: u64| {
            let now = Time::from_micros(seconds * 1_000_000);
            conflicts.note(MemberIndex::ME, ([10, 0, 0, 1], port).into(), now)
        };
        assert!(note(1, 0) && !note(1, 20), "the same is reported once");
        assert!(note(2, 20));
        assert_eq!((3..1_000).filter(|port| note(*port, 25)).count(), 0);
        assert!(note(1_000, 30));
    }
}
