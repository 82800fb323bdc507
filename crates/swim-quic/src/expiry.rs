//! When to say that a member's certificate ends.

use std::time::{Duration, Instant, SystemTime};

use certs::{EXPIRY_NOTICES, Notice};

/// What to say, and when: 14 days, 7 days and 1 day before the end, but not before two thirds of
/// the certificate's time, and at the end; at once what is past.
pub(crate) fn expiry_notices(
    (not_before, not_after): (SystemTime, SystemTime),
    wall_clock: SystemTime,
    now: Instant,
) -> Vec<(Instant, String)> {
    let left = not_after.duration_since(wall_clock).unwrap_or_default();
    let last_third = not_after.duration_since(not_before).unwrap_or_default() / 3;
    let text = |left| Notice::Expiring { not_after, left }.to_string();
    let mut ahead: Vec<_> = EXPIRY_NOTICES.iter().map(|notice| last_third.min(*notice)).collect();
    ahead.dedup();
    let at_once = ahead.iter().any(|notice| left <= *notice).then(|| (now, text(left)));
    let later =
        ahead.into_iter().chain([Duration::ZERO]).filter(|notice| left > *notice).filter_map(
            |notice| {
                // A certificate may end later than any clock of this machine.
                Some((now.checked_add(left - notice)?, text(notice)))
            },
        );
    at_once.into_iter().chain(later).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    /// After how many days what is said of a certificate of that age.
    #[expect(clippy::disallowed_methods, reason = "a time to begin with")]
    fn said(age: Duration, left: Duration) -> Vec<(u64, String)> {
        let now = Instant::now();
        let wall_clock = SystemTime::UNIX_EPOCH + 50_000 * DAY;
        let validity = (wall_clock - age, wall_clock + left);
        let notices = expiry_notices(validity, wall_clock, now).into_iter();
        notices.map(|(at, text)| ((at - now).as_secs() / 86_400, text)).collect()
    }

    #[test]
    fn the_end_is_said_in_time_and_what_is_past_at_once() {
        let days = |age, left| said(age, left).iter().map(|(day, _)| *day).collect::<Vec<_>>();
        assert_eq!(days(DAY, 90 * DAY), [76, 83, 89, 90]);
        assert_eq!(days(80 * DAY, 10 * DAY), [0, 3, 9, 10]);
        assert_eq!(days(80 * DAY, DAY / 2), [0, 0]);
        let all = said(80 * DAY, 10 * DAY);
        assert!(all[0].1.contains("in 240 h: issue a new one"), "{}", all[0].1);
        assert!(all[3].1.contains("expired at"));
        assert_eq!(said(DAY, 36_500 * DAY).len(), 4);
    }

    #[test]
    fn a_certificate_of_few_days_is_not_near_its_end_from_the_beginning() {
        let days = |age, left| said(age, left).iter().map(|(day, _)| *day).collect::<Vec<_>>();
        assert_eq!(days(Duration::ZERO, 9 * DAY), [6, 8, 9]);
        assert_eq!(days(7 * DAY, 2 * DAY), [0, 1, 2]);
        assert_eq!(days(Duration::ZERO, DAY), [0, 1]);
        assert_eq!(said(Duration::ZERO, DAY).len(), 2, "after 16 hours and at the end");
    }
}
