//! When to say that a member's certificate ends.

use std::time::{Duration, Instant, SystemTime};

use certs::{EXPIRY_NOTICES, Notice};

/// What to say, and when: 14 days, 7 days and 1 day before the end, and then; at once what is past.
pub(crate) fn expiry_notices(
    not_after: SystemTime,
    wall_clock: SystemTime,
    now: Instant,
) -> Vec<(Instant, String)> {
    let left = not_after.duration_since(wall_clock).unwrap_or_default();
    let text = |left| Notice::Expiring { not_after, left }.to_string();
    let is_near = EXPIRY_NOTICES.iter().any(|notice| left <= *notice);
    let at_once = is_near.then(|| (now, text(left)));
    let ahead = EXPIRY_NOTICES.iter().copied().chain([Duration::ZERO]);
    let later = ahead.filter(|notice| left > *notice).filter_map(|notice| {
        // A certificate may end later than any clock of this machine.
        Some((now.checked_add(left - notice)?, text(notice)))
    });
    at_once.into_iter().chain(later).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    /// After how many days what is said.
    #[expect(clippy::disallowed_methods, reason = "a time to begin with")]
    fn said(left: Duration) -> Vec<(u64, String)> {
        let now = Instant::now();
        let wall_clock = SystemTime::UNIX_EPOCH + 20_000 * DAY;
        let notices = expiry_notices(wall_clock + left, wall_clock, now).into_iter();
        notices.map(|(at, text)| ((at - now).as_secs() / 86_400, text)).collect()
    }

    #[test]
    fn the_end_is_said_in_time_and_what_is_past_at_once() {
        let days = |left| said(left).iter().map(|(day, _)| *day).collect::<Vec<_>>();
        assert_eq!(days(90 * DAY), [76, 83, 89, 90]);
        assert_eq!(days(10 * DAY), [0, 3, 9, 10]);
        assert_eq!(days(DAY / 2), [0, 0]);
        let (_, text) = &said(10 * DAY)[0];
        assert!(text.contains("in 240 h: issue a new one"), "{text}");
        assert!(said(10 * DAY)[3].1.contains("expired at"));
        assert_eq!(said(36_500 * DAY).len(), 4);
    }
}
