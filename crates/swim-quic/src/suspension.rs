//! Whether the host was suspended: the clock that members live by stands still meanwhile.

use std::time::Duration;

/// A shorter suspension is no more than a slow moment.
const SHORTEST: Duration = Duration::from_secs(2);

/// Watches how far the clock that counts suspensions is ahead of the one that does not.
#[derive(Debug)]
pub(crate) struct SuspensionWatch {
    ahead: Duration,
}

impl SuspensionWatch {
    pub(crate) fn new() -> Self {
        Self { ahead: time_suspended() }
    }

    /// How long the host was suspended since the last call, if it was for two seconds or more.
    pub(crate) fn take(&mut self) -> Option<Duration> {
        self.note(time_suspended())
    }

    fn note(&mut self, ahead: Duration) -> Option<Duration> {
        let away = ahead.saturating_sub(std::mem::replace(&mut self.ahead, ahead));
        (away >= SHORTEST).then_some(away)
    }
}

/// How long the host was suspended since it booted.
#[cfg(target_os = "linux")]
fn time_suspended() -> Duration {
    use rustix::time::{ClockId, clock_gettime};

    let read = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    let monotonic = read(ClockId::Monotonic);
    read(ClockId::Boottime).saturating_sub(monotonic)
}

/// Other systems tell nobody; a late deadline still shows that a process stood still.
#[cfg(not(target_os = "linux"))]
fn time_suspended() -> Duration {
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspension_is_told_once_and_short_ones_never() {
        let mut watch = SuspensionWatch { ahead: Duration::from_secs(100) };
        assert_eq!(watch.note(Duration::from_millis(101_900)), None);
        assert_eq!(watch.note(Duration::from_secs(190)), Some(Duration::from_millis(88_100)));
        assert_eq!(watch.note(Duration::from_secs(190)), None);
        assert_eq!(watch.note(Duration::from_secs(10)), None);
    }

    #[test]
    fn no_suspension_is_seen_where_there_was_none() {
        let mut watch = SuspensionWatch::new();
        assert_eq!((watch.take(), watch.take()), (None, None));
    }
}
