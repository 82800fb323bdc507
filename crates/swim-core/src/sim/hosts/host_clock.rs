//! The clock of one host, which may run fast or slow against virtual time, never backwards.

use crate::time::Time;

/// Microseconds in a second: the rate of a clock that keeps virtual time.
const SECOND: u64 = 1_000_000;

/// Translates between virtual time, which all hosts share, and what one host's clock shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostClock {
    global: Time,
    local: Time,
    /// Local microseconds in a second of virtual time.
    rate: u64,
}

impl HostClock {
    /// A clock that shows `local` at the virtual time `global` and keeps virtual time from there.
    pub(crate) fn new(global: Time, local: Time) -> Self {
        Self { global, local, rate: SECOND }
    }

    pub(crate) fn set_rate(&mut self, rate: u64, now: Time) {
        self.local = self.local(now);
        self.global = now;
        self.rate = rate;
    }

    pub(crate) fn local(&self, now: Time) -> Time {
        let passed = now.as_micros() - self.global.as_micros();
        if self.rate == SECOND {
            return Time::from_micros(self.local.as_micros() + passed);
        }
        let passed = u128::from(passed) * u128::from(self.rate) / u128::from(SECOND);
        Time::from_micros(self.local.as_micros() + u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// The first virtual time at which the clock shows `local` or later.
    pub(crate) fn global(&self, local: Time) -> Time {
        let left = local.as_micros().saturating_sub(self.local.as_micros());
        if self.rate == SECOND {
            return Time::from_micros(self.global.as_micros().saturating_add(left));
        }
        // Rounded up: a timer must not be woken before its deadline.
        let left = (u128::from(left) * u128::from(SECOND)).div_ceil(u128::from(self.rate));
        let left = u64::try_from(left).unwrap_or(u64::MAX);
        Time::from_micros(self.global.as_micros().saturating_add(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drifting_clock_reaches_every_deadline_and_not_before() {
        let mut clock = HostClock::new(Time::from_micros(500), Time::ZERO);
        clock.set_rate(SECOND + 30_011, Time::from_micros(1_000));
        for local in [501, 777, 123_456_789] {
            let local = Time::from_micros(local);
            let global = clock.global(local);
            assert!(clock.local(global) >= local);
            assert!(clock.local(Time::from_micros(global.as_micros() - 1)) < local);
        }
    }
}
