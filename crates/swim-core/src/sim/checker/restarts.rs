//! Who is reported as restarted has restarted, or says so more often than it is believed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::member_name::MemberName;
use crate::sim::fault::HostId;
use crate::time::Time;

/// How often one member may be reported to one other at once, and how long each further report
/// takes: the share that a peer has of exchanges because it says that it restarted.
const AT_ONCE: u32 = 4;
const ONE_MORE: Duration = Duration::from_secs(5);

/// What was reported about members that only say that they restart.
#[derive(Default)]
pub(crate) struct RestartChecker {
    liars: BTreeSet<HostId>,
    /// By viewer and subject: when the first report came, and how many did.
    reported: BTreeMap<(HostId, HostId), (Time, u32)>,
}

/// A report of a restart that nothing in the run explains.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RestartViolation {
    #[error("only who restarted is reported so: {0} did not")]
    Never(MemberName),
    #[error("who says that it restarts has a share of reports: {0} had {1}")]
    BeyondShare(MemberName, u32),
}

impl RestartChecker {
    /// From now on this host gives start numbers that it has made up.
    pub(crate) fn note_liar(&mut self, host: HostId) {
        self.liars.insert(host);
    }

    /// A member tells its application that another one restarted.
    pub(crate) fn check(
        &mut self,
        viewer: HostId,
        (subject, name): (HostId, &MemberName),
        has_restarted: bool,
        now: Time,
    ) -> Result<(), RestartViolation> {
        if !self.liars.contains(&subject) {
            return match has_restarted {
                true => Ok(()),
                false => Err(RestartViolation::Never(name.clone())),
            };
        }
        let (since, count) = self.reported.entry((viewer, subject)).or_insert((now, 0));
        *count += 1;
        let earned = (now - *since).as_millis() / ONE_MORE.as_millis();
        // What is left of a share may be used for one more.
        match u128::from(*count) <= u128::from(AT_ONCE) + earned + 1 {
            true => Ok(()),
            false => Err(RestartViolation::BeyondShare(name.clone(), *count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEWER: HostId = HostId(0);
    const SUBJECT: HostId = HostId(1);

    fn at(seconds: u64) -> Time {
        Time::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn only_restarts_are_reported_as_such() {
        let (mut checker, name) = (RestartChecker::default(), MemberName::try_from("bob").unwrap());
        assert_eq!(checker.check(VIEWER, (SUBJECT, &name), true, at(0)), Ok(()));
        let broken = RestartViolation::Never(name.clone());
        assert_eq!(checker.check(VIEWER, (SUBJECT, &name), false, at(0)), Err(broken));
    }

    #[test]
    fn who_says_that_it_restarts_is_believed_as_often_as_its_share_allows() {
        let (mut checker, name) = (RestartChecker::default(), MemberName::try_from("mal").unwrap());
        checker.note_liar(SUBJECT);
        let mut reports = |second| {
            let mut once = || checker.check(VIEWER, (SUBJECT, &name), false, at(second)).is_ok();
            (0..100).take_while(|_| once()).count()
        };
        assert_eq!(reports(0), 5);
        // The report that broke the rule counts as well.
        assert_eq!(reports(10), 1);
    }
}
