//! A suspect has as much time to refute as Lifeguard grants it.
//!
//! The deadline is computed apart from the product's code: from the configuration, the size of the
//! cluster and the number of distinct members that suspect it. Where a member that the viewer never
//! heard did not answer it within a minute, a hundredth of the cube of those that it heard counts
//! for the size; up to ten, a deadline is as short as it can be.
//!
//! Whoever declares a member dead has suspected it before. Where hearsay has raised the incarnation
//! since, such a death does not end the viewer's suspicion, and counts as a suspicion.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::Config;
use crate::member_name::MemberName;
use crate::sim::fault::HostId;

/// Suspicions under way, by viewer and suspect.
#[derive(Default)]
pub(crate) struct Suspicions {
    open: BTreeMap<(HostId, MemberName), Open>,
}

struct Open {
    /// At which it began.
    incarnation: u32,
    members: usize,
    /// Of how many the viewer heard, where it doubts that the others exist.
    heard: Option<usize>,
    /// By whom the viewer has heard it suspected; complete only where packets are decoded.
    suspected_by: BTreeSet<Vec<u8>>,
}

/// A member was declared dead too early; hosts are given by their numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SuspicionViolation {
    #[error("nobody dies unsuspected: {suspect} did at host {viewer}")]
    Unsuspected { viewer: usize, suspect: MemberName },
    #[error(
        "a suspect has time to refute: host {viewer} gave {suspect} {after:?}; suspected by \
         {suspected_by} among {members} members it has {least:?}"
    )]
    TooShort {
        viewer: usize,
        suspect: MemberName,
        after: Duration,
        suspected_by: usize,
        members: usize,
        least: Duration,
    },
}

impl Suspicions {
    pub(crate) fn forget(&mut self, viewer: HostId) {
        self.open.retain(|(other, _), _| *other != viewer);
    }

    /// A viewer remembering `members` began to suspect.
    pub(crate) fn begin(
        &mut self,
        viewer: HostId,
        (suspect, incarnation): (&MemberName, u32),
        by: &MemberName,
        (members, heard): (usize, Option<usize>),
    ) {
        let key = (viewer, suspect.clone());
        let suspected_by = BTreeSet::from([by.as_bytes().to_vec()]);
        self.open.insert(key, Open { incarnation, members, heard, suspected_by });
    }

    /// A viewer heard that `by` suspects a member that it suspects itself.
    pub(crate) fn confirm(&mut self, viewer: HostId, suspect: &MemberName, by: &[u8]) {
        if let Some(open) = self.open.get_mut(&(viewer, suspect.clone())) {
            open.suspected_by.insert(by.to_vec());
        }
    }

    /// A viewer heard that `by` has declared a member dead that it suspects itself; that confirms
    /// its suspicion unless the death is about an earlier time.
    pub(crate) fn confirm_by_death(
        &mut self,
        viewer: HostId,
        suspect: &MemberName,
        by: &[u8],
        incarnation: u32,
    ) {
        let open = self.open.get(&(viewer, suspect.clone()));
        let is_since = open.is_some_and(|open| open.incarnation <= incarnation);
        if is_since && by != suspect.as_bytes() {
            self.confirm(viewer, suspect, by);
        }
    }

    pub(crate) fn end(&mut self, viewer: HostId, suspect: &MemberName) {
        self.open.remove(&(viewer, suspect.clone()));
    }

    /// A viewer's own clock ended a suspicion that had lasted for `after`.
    ///
    /// `counted`: it is known who suspected, all but the viewer itself, who may have joined them.
    pub(crate) fn ran_out(
        &mut self,
        viewer: HostId,
        suspect: &MemberName,
        after: Duration,
        config: &Config,
        counted: bool,
    ) -> Result<(), SuspicionViolation> {
        let viewer_number = viewer.index();
        let Some(Open { members, heard, suspected_by, .. }) =
            self.open.remove(&(viewer, suspect.clone()))
        else {
            let suspect = suspect.clone();
            return Err(SuspicionViolation::Unsuspected { viewer: viewer_number, suspect });
        };
        let confirmations = if counted { suspected_by.len() } else { usize::MAX };
        let least = least_time(config, (members, heard), confirmations);
        if after + Duration::from_millis(1) < least {
            return Err(SuspicionViolation::TooShort {
                viewer: viewer_number,
                suspect: suspect.clone(),
                after,
                suspected_by: suspected_by.len(),
                members,
                least,
            });
        }
        Ok(())
    }
}

/// The shortest suspicion with so many confirmations.
fn least_time(
    config: &Config,
    (members, heard): (usize, Option<usize>),
    confirmations: usize,
) -> Duration {
    let counted = heard.map_or(members, |heard| members.min(heard.pow(3) / 100));
    let magnitude = libm::log10(count(counted.max(1))).max(1.0);
    let unit = config.probe_interval.as_secs_f64() * f64::from(config.suspicion_multiplier);
    // Deadlines may be truncated to thousandths of the magnitude.
    let least = unit * (magnitude - 0.001).max(1.0);
    let wanted = config.suspicion_multiplier.saturating_sub(2) as usize;
    let shrinks = config.local_health_suspicion && wanted > 0 && members >= wanted + 2;
    if !shrinks || confirmations >= wanted {
        return Duration::from_secs_f64(least);
    }
    let most = least * f64::from(config.suspicion_max_timeout_multiplier);
    let share = libm::log(count(confirmations + 1)) / libm::log(count(wanted + 1));
    Duration::from_secs_f64(most - (most - least) * share)
}

#[expect(clippy::cast_precision_loss, reason = "counts of members are far below 2^52")]
fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: HostId = HostId(0);

    fn name(text: &str) -> MemberName {
        MemberName::try_from(text).unwrap()
    }

    /// Ada suspects dan after hearing these members suspect it, among 10 members, for so long.
    fn ran_out(
        suspected_by: &[&str],
        seconds: u64,
        counted: bool,
    ) -> Result<(), SuspicionViolation> {
        let mut suspicions = Suspicions::default();
        suspicions.begin(ADA, (&name("dan"), 6), &name(suspected_by[0]), (10, None));
        for by in suspected_by {
            suspicions.confirm(ADA, &name("dan"), by.as_bytes());
        }
        let after = Duration::from_secs(seconds);
        suspicions.ran_out(ADA, &name("dan"), after, &Config::lan(), counted)
    }

    #[test]
    fn one_suspecting_member_however_often_shortens_nothing() {
        assert!(ran_out(&["bob", "bob", "bob", "bob"], 4, true).is_err());
        assert!(ran_out(&["bob", "cyd", "eve"], 4, true).is_ok());
    }

    #[test]
    fn a_death_that_hearsay_has_outdated_confirms_and_an_earlier_one_or_a_leave_does_not() {
        let ran_out = |deaths: &[(&str, u32)]| {
            let mut suspicions = Suspicions::default();
            suspicions.begin(ADA, (&name("dan"), 6), &name("bob"), (10, None));
            for (by, incarnation) in deaths {
                suspicions.confirm_by_death(ADA, &name("dan"), by.as_bytes(), *incarnation);
            }
            suspicions.ran_out(ADA, &name("dan"), Duration::from_secs(4), &Config::lan(), true)
        };
        assert!(ran_out(&[("cyd", 6)]).is_ok() && ran_out(&[("cyd", 7)]).is_ok());
        assert!(ran_out(&[("bob", 6), ("bob", 7)]).is_err(), "each member counts once");
        assert!(ran_out(&[("cyd", 5)]).is_err(), "before it was suspected");
        assert!(ran_out(&[("dan", 6)]).is_err(), "it left");
    }

    #[test]
    fn without_counting_who_suspects_the_minimum_still_holds() {
        assert!(ran_out(&["bob"], 3, false).is_err());
        assert!(ran_out(&["bob"], 4, false).is_ok());
    }

    #[test]
    fn members_that_were_never_heard_count_unless_one_of_them_did_not_answer() {
        let least = |heard| least_time(&Config::lan(), (1_000, heard), usize::MAX).as_secs_f64();
        assert!((least(None) - 12.0).abs() < 0.01);
        assert!((least(Some(4)) - 4.0).abs() < 0.01, "never below the shortest one");
        assert!((least(Some(20)) - 4.0 * 1.903).abs() < 0.01);
        assert!((least(Some(47)) - 12.0).abs() < 0.01);
    }

    #[test]
    fn nobody_dies_unsuspected() {
        let mut suspicions = Suspicions::default();
        let dead = suspicions.ran_out(ADA, &name("dan"), Duration::MAX / 2, &Config::lan(), true);
        let suspect = name("dan");
        assert_eq!(dead, Err(SuspicionViolation::Unsuspected { viewer: 0, suspect }));
    }
}
