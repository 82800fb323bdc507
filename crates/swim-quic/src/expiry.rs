//! When to say that a member's certificate ends.

use std::time::{Duration, SystemTime};

use certs::{EXPIRY_NOTICES, Identity};

/// Says that a certificate ends: 14 days, 7 days and 1 day before, but not before two thirds of its
/// time, and at the end.
#[derive(Debug)]
pub(crate) struct ExpiryWatch {
    not_after: SystemTime,
    /// How long before the end something is still to be said, the longest first.
    ahead: Vec<Duration>,
}

impl ExpiryWatch {
    pub(crate) fn new(identity: &Identity) -> Self {
        Self::between(identity.not_before(), identity.not_after())
    }

    fn between(not_before: SystemTime, not_after: SystemTime) -> Self {
        let last_third = not_after.duration_since(not_before).unwrap_or_default() / 3;
        let notices = EXPIRY_NOTICES.iter().map(|notice| last_third.min(*notice));
        let mut ahead: Vec<_> = notices.chain([Duration::ZERO]).collect();
        ahead.dedup();
        Self { not_after, ahead }
    }

    /// How long the certificate still lasts, if that is to be said now; of several things that are
    /// past only the last one is.
    pub(crate) fn look(&mut self, wall_clock: SystemTime) -> Option<Duration> {
        let left = self.not_after.duration_since(wall_clock).unwrap_or_default();
        let before = self.ahead.len();
        self.ahead.retain(|notice| left > *notice);
        (self.ahead.len() < before).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    /// After how many days something is said of a certificate of that age.
    fn said(age: Duration, left: Duration) -> Vec<u32> {
        let start = SystemTime::UNIX_EPOCH + 50_000 * DAY;
        let mut watch = ExpiryWatch::between(start - age, start + left);
        (0..200).filter(|day| watch.look(start + *day * DAY).is_some()).collect()
    }

    #[test]
    fn the_end_is_said_in_time_and_what_is_past_at_once() {
        assert_eq!(said(DAY, 90 * DAY), [76, 83, 89, 90]);
        assert_eq!(said(80 * DAY, 10 * DAY), [0, 3, 9, 10]);
        assert_eq!(said(80 * DAY, DAY / 2), [0, 1]);
        assert_eq!(said(80 * DAY, Duration::ZERO), [0]);
    }

    #[test]
    fn a_certificate_of_few_days_is_not_near_its_end_from_the_beginning() {
        assert_eq!(said(Duration::ZERO, 9 * DAY), [6, 8, 9]);
        assert_eq!(said(7 * DAY, 2 * DAY), [0, 1, 2]);
        assert_eq!(said(Duration::ZERO, DAY), [1]);
    }

    #[test]
    fn what_is_left_is_said_to_the_second() {
        let start = SystemTime::UNIX_EPOCH + 50_000 * DAY;
        let mut watch = ExpiryWatch::between(start, start + 90 * DAY);
        assert_eq!(watch.look(start + 83 * DAY), Some(7 * DAY));
        assert_eq!(watch.look(start + 83 * DAY), None);
        assert_eq!(watch.look(start + 99 * DAY), Some(Duration::ZERO));
        assert_eq!(watch.look(start + 100 * DAY), None);
    }
}
