//! Which updates go out at once and not in the next regular round: all but many about members of
//! which nothing was heard. What is above that waits for a regular round, as in memberlist, so that
//! whoever invents members does not make others send all the time.

use std::time::Duration;

use crate::time::Time;
use crate::update_queue::Urgency;

/// Updates about members of which nothing was heard, such as newcomers: so many together.
const AT_MOST: u32 = 16;
/// And then one in each such time.
const EACH: Duration = Duration::from_millis(250);

/// What was used of it.
#[derive(Debug, Default)]
pub(crate) struct ImmediateUpdates {
    /// When all that was used is regained.
    used_until: Time,
}

impl ImmediateUpdates {
    /// Whether an update may go out at once. It has used one of its kind's if so.
    pub(crate) fn take(&mut self, urgency: Urgency, now: Time) -> bool {
        if urgency != Urgency::Hearsay {
            return true;
        }
        let used = self.used_until - now;
        let is_left = used <= EACH * (AT_MOST - 1);
        if is_left {
            self.used_until = now + used + EACH;
        }
        is_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_nobody_vouches_for_sixteen_go_at_once_and_then_four_a_second() {
        let mut updates = ImmediateUpdates::default();
        let mut count = |urgency, seconds: u64| {
            let now = Time::from_micros(seconds * 1_000_000);
            (0..100).filter(|_| updates.take(urgency, now)).count()
        };
        assert_eq!([5, 6, 8, 100].map(|at| count(Urgency::Hearsay, at)), [16, 4, 8, 16]);
        assert_eq!(count(Urgency::Usual, 100), 100, "others do not wait for them");
        assert_eq!(count(Urgency::Ours, 100), 100);
    }
}
