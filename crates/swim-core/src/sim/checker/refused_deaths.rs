//! Who is dead because its host refused packets was refused twice, with time between to come back.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::sim::fault::HostId;
use crate::time::Time;

/// How far apart the first and the last refusal must be; the member's clock may run 5 % fast.
const APART: Duration = Duration::from_millis(235);
/// Refusals before the last pause of this length were of another death.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// When hosts were told that packets to others are refused: the first time and the last.
#[derive(Default)]
pub(crate) struct RefusalChecker {
    refused: BTreeMap<(HostId, HostId), (Time, Time)>,
}

impl RefusalChecker {
    /// A host is told that its packet to another one was refused.
    pub(crate) fn note(&mut self, viewer: HostId, subject: HostId, now: Time) {
        let (first, last) = self.refused.entry((viewer, subject)).or_insert((now, now));
        if now - *last > FORGOTTEN_AFTER {
            *first = now;
        }
        *last = now;
    }

    /// Whether a member may be declared dead because its host refused packets. What there was
    /// explains one death.
    pub(crate) fn explain(&mut self, viewer: HostId, subject: HostId) -> bool {
        let refused = self.refused.remove(&(viewer, subject));
        refused.is_some_and(|(first, last)| last - first >= APART)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEWER: HostId = HostId(0);
    const SUBJECT: HostId = HostId(1);

    fn refused_at(millis: &[u64]) -> bool {
        let mut checker = RefusalChecker::default();
        for at in millis {
            checker.note(VIEWER, SUBJECT, Time::from_micros(at * 1_000));
        }
        checker.explain(VIEWER, SUBJECT)
    }

    #[test]
    fn two_refusals_with_time_between_are_enough_and_less_is_not() {
        assert!(refused_at(&[0, 250]) && refused_at(&[0, 100, 300]));
        assert!(!refused_at(&[]) && !refused_at(&[0]) && !refused_at(&[0, 200]));
        assert!(!refused_at(&[0, 61_000]) && refused_at(&[0, 61_000, 61_250]));
    }
}
