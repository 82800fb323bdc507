//! How long a suspect has to object: never less than Lifeguard grants it.
//!
//! Computes the deadline on its own from the configuration, the size of the cluster and the
//! number of distinct accusers, and holds every timed-out suspicion against it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::Config;
use crate::member::MemberName;
use crate::sim::checker::Breach;
use crate::sim::fault::HostId;

/// Suspicions under way, by viewer and suspect.
#[derive(Default)]
pub(crate) struct Suspicions {
    open: BTreeMap<(HostId, MemberName), Open>,
}

struct Open {
    members: usize,
    /// Whom the viewer has heard accuse; complete only where packets are decoded.
    accusers: BTreeSet<Vec<u8>>,
}

impl Suspicions {
    pub(crate) fn forget(&mut self, viewer: HostId) {
        self.open.retain(|(other, _), _| *other != viewer);
    }

    /// A viewer remembering `members` began to suspect.
    pub(crate) fn begin(
        &mut self,
        viewer: HostId,
        suspect: &MemberName,
        by: &MemberName,
        members: usize,
    ) {
        let accusers = BTreeSet::from([by.as_bytes().to_vec()]);
        self.open.insert((viewer, suspect.clone()), Open { members, accusers });
    }

    /// A viewer was given an accusation.
    pub(crate) fn accuse(&mut self, viewer: HostId, suspect: &MemberName, by: &[u8]) {
        if let Some(open) = self.open.get_mut(&(viewer, suspect.clone())) {
            open.accusers.insert(by.to_vec());
        }
    }

    pub(crate) fn end(&mut self, viewer: HostId, suspect: &MemberName) {
        self.open.remove(&(viewer, suspect.clone()));
    }

    /// A viewer's own clock ended a suspicion that had lasted for `after`.
    ///
    /// `counted`: the accusers are known, all but the viewer itself, who may have joined them.
    pub(crate) fn ran_out(
        &mut self,
        viewer: HostId,
        suspect: &MemberName,
        after: Duration,
        config: &Config,
        counted: bool,
    ) -> Result<(), Breach> {
        let Some(open) = self.open.remove(&(viewer, suspect.clone())) else {
            return Err(Breach::new(
                "nobody dies unsuspected",
                format!("host {} of {suspect}", viewer.index()),
            ));
        };
        let confirmations = if counted { open.accusers.len() } else { usize::MAX };
        let least = least_time(config, open.members, confirmations);
        if after + Duration::from_millis(1) < least {
            return Err(Breach::new(
                "a suspect has time to object",
                format!(
                    "host {} gave {suspect} {after:?}; with {} accusers among {} members it has \
                     {least:?}",
                    viewer.index(),
                    open.accusers.len(),
                    open.members
                ),
            ));
        }
        Ok(())
    }
}

/// The shortest suspicion with so many confirmations.
fn least_time(config: &Config, members: usize, confirmations: usize) -> Duration {
    let magnitude = libm::log10(count(members.max(1))).max(1.0);
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

    /// Ada suspects dan after hearing these accusers, among 10 members, for so long.
    fn ran_out(accusers: &[&str], seconds: u64, counted: bool) -> Result<(), Breach> {
        let mut suspicions = Suspicions::default();
        suspicions.begin(ADA, &name("dan"), &name(accusers[0]), 10);
        for accuser in accusers {
            suspicions.accuse(ADA, &name("dan"), accuser.as_bytes());
        }
        let after = Duration::from_secs(seconds);
        suspicions.ran_out(ADA, &name("dan"), after, &Config::lan(), counted)
    }

    #[test]
    fn one_accuser_however_often_shortens_nothing() {
        assert!(ran_out(&["bob", "bob", "bob", "bob"], 4, true).is_err());
        assert!(ran_out(&["bob", "cyd", "eve"], 4, true).is_ok());
    }

    #[test]
    fn without_counting_accusers_the_minimum_still_holds() {
        assert!(ran_out(&["bob"], 3, false).is_err());
        assert!(ran_out(&["bob"], 4, false).is_ok());
    }

    #[test]
    fn nobody_dies_unsuspected() {
        let mut suspicions = Suspicions::default();
        let dead = suspicions.ran_out(ADA, &name("dan"), Duration::MAX / 2, &Config::lan(), true);
        assert_eq!(dead.unwrap_err().rule, "nobody dies unsuspected");
    }
}
