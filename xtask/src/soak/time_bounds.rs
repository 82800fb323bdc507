//! How long a cluster may take to believe what is true.
//!
//! Every bound follows from the LAN profile (Go's `DefaultLANConfig`) and the number of members;
//! what is added for a busy machine is named [`SLACK`]. Reads no clock.

use std::time::Duration;

const PROBE_INTERVAL: Duration = Duration::from_secs(1);
const SUSPICION_MULTIPLIER: f64 = 4.0;
const SUSPICION_MAX_TIMEOUT_MULTIPLIER: u32 = 6;
const GOSSIP_INTERVAL: Duration = Duration::from_millis(200);
const GOSSIP_TO_THE_DEAD: Duration = Duration::from_secs(30);
const PUSH_PULL_INTERVAL: Duration = Duration::from_secs(30);

/// Added to every bound: process switches, queued lines and a machine that has other work.
const SLACK: Duration = Duration::from_secs(2);

/// The bounds for one cluster.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    members: u32,
}

impl Bounds {
    pub(super) fn new(members: usize) -> Self {
        Self { members: u32::try_from(members).unwrap_or(u32::MAX) }
    }

    /// An update that is gossiped has reached everybody: enough rounds for
    /// three targets each to reach all, twice over.
    pub(super) fn spread(self) -> Duration {
        let doublings = f64::from(self.members).log2().ceil().max(1.0);
        GOSSIP_INTERVAL.mul_f64(2.0 * doublings + 4.0) + SLACK
    }

    /// Gossip is sent a limited number of times and may miss somebody by chance; the next full
    /// exchange of states tells him.
    pub(super) fn repair(self) -> Duration {
        PUSH_PULL_INTERVAL + self.spread()
    }

    /// The shortest life of a suspicion: `4 x max(1, log10 n)` probe intervals.
    fn shortest_suspicion(self) -> Duration {
        let magnitude = f64::from(self.members).log10().max(1.0);
        PROBE_INTERVAL.mul_f64(SUSPICION_MULTIPLIER * magnitude)
    }

    /// A silent member is declared dead everywhere: each is probed once in a round of all others,
    /// the probe takes an interval to fail, and a suspicion that nobody confirms lasts longest.
    pub(super) fn detection(self) -> Duration {
        self.first_failed_probe()
            + self.shortest_suspicion() * SUSPICION_MAX_TIMEOUT_MULTIPLIER
            + self.spread()
    }

    /// The same where others confirm the suspicion, as they should more often than not.
    pub(super) fn confirmed_detection(self) -> Duration {
        self.first_failed_probe() + self.shortest_suspicion() + self.spread()
    }

    fn first_failed_probe(self) -> Duration {
        PROBE_INTERVAL * self.members
    }

    /// A freeze no longer than this kills nobody: half of the earliest possible death, so that
    /// the other half is left for the refutation to spread.
    pub(super) fn harmless_freeze(self) -> Duration {
        (PROBE_INTERVAL + self.shortest_suspicion()) / 2
    }

    /// A silent member may be forgotten altogether after this.
    pub(super) fn memory(self) -> Duration {
        GOSSIP_TO_THE_DEAD
    }

    /// A started process listens: it reads a few files and binds a socket.
    pub(super) fn ready(self) -> Duration {
        Duration::from_secs(10)
    }

    /// A command that waits for nobody is answered.
    pub(super) fn reply(self) -> Duration {
        Duration::from_secs(8)
    }

    /// A command that waits for a peer, at most 10 s, is answered.
    pub(super) fn patient_reply(self) -> Duration {
        Duration::from_secs(10) + self.reply()
    }

    /// A message between two healthy members arrives.
    pub(super) fn delivery(self) -> Duration {
        Duration::from_secs(3) + SLACK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_members_have_the_bounds_of_the_formulas() {
        let bounds = Bounds::new(10);
        assert_eq!(bounds.spread(), Duration::from_millis(2400) + SLACK);
        assert_eq!(bounds.repair(), Duration::from_millis(32_400) + SLACK);
        assert_eq!(bounds.detection(), Duration::from_millis(36_400) + SLACK);
        assert_eq!(bounds.confirmed_detection(), Duration::from_millis(16_400) + SLACK);
        assert_eq!(bounds.harmless_freeze(), Duration::from_millis(2500));
    }

    #[test]
    fn a_hundred_members_suspect_twice_as_long_as_ten() {
        let (ten, hundred) = (Bounds::new(10), Bounds::new(100));
        assert_eq!(hundred.shortest_suspicion(), ten.shortest_suspicion() * 2);
        assert!(hundred.harmless_freeze() < hundred.shortest_suspicion());
    }
}
