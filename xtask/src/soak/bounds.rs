//! How long a cluster may take to believe what is true, and what a member may use.
//!
//! Every time follows from the LAN profile and the number of members; what is added for a busy
//! machine is named [`SLACK`]. The one place where the soak's numbers come from.

use std::time::Duration;

/// Each member is asked for its members this often, and for what it uses half as often.
pub(super) const POLL: Duration = Duration::from_secs(2);
/// The runner wakes at least this often; waking much later, it knows that the machine stood still.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// Half of the probe timeout: a pause that may make a member miss an answer.
pub(super) const STALL: Duration = Duration::from_millis(250);
/// How often the timeline is judged, at first. A long one is judged less often.
pub(super) const JUDGE: Duration = Duration::from_secs(10);
/// How long the cluster may take to form, and to close down.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The LAN profile's numbers; a test holds them against swim-core's.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
const SUSPICION_MULTIPLIER: f64 = 4.0;
const SUSPICION_MAX_TIMEOUT_MULTIPLIER: u32 = 6;
const GOSSIP_INTERVAL: Duration = Duration::from_millis(200);
const GOSSIP_TO_THE_DEAD: Duration = Duration::from_secs(30);
const PUSH_PULL_INTERVAL: Duration = Duration::from_secs(30);

/// Added to every bound: process switches, queued lines and a machine that has other work.
const SLACK: Duration = Duration::from_secs(2);

/// The bounds for a cluster of so many members.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    members: u32,
}

impl Bounds {
    pub(super) fn new(members: usize) -> Self {
        Self { members: u32::try_from(members).unwrap_or(u32::MAX) }
    }

    /// What is gossiped has reached everybody: rounds enough for three targets each to reach all,
    /// twice over.
    pub(super) fn spread(self) -> Duration {
        self.gossip_rounds() + SLACK
    }

    fn gossip_rounds(self) -> Duration {
        GOSSIP_INTERVAL.mul_f64(2.0 * self.doublings() + 4.0)
    }

    fn doublings(self) -> f64 {
        f64::from(self.members).log2().ceil().max(1.0)
    }

    /// Gossip is sent a limited number of times and may miss somebody by chance; the next full
    /// exchange of states tells it.
    pub(super) fn repair(self) -> Duration {
        PUSH_PULL_INTERVAL + self.spread()
    }

    /// The shortest life of a suspicion: `4 x max(1, log10 n)` probe intervals.
    pub(super) fn shortest_suspicion(self) -> Duration {
        let magnitude = f64::from(self.members).log10().max(1.0);
        PROBE_INTERVAL.mul_f64(SUSPICION_MULTIPLIER * magnitude)
    }

    /// A silent member is declared dead everywhere: each is probed once in a round of all others,
    /// the probe takes an interval to fail, and a suspicion that nobody confirms lasts longest.
    pub(super) fn detection(self) -> Duration {
        PROBE_INTERVAL * self.members
            + self.shortest_suspicion() * SUSPICION_MAX_TIMEOUT_MULTIPLIER
            + self.spread()
    }

    /// The median of detections where others confirm the suspicion: the first probe begins within
    /// an interval and fails after one, and the suspicion lasts its shortest time.
    pub(super) fn usual_detection(self) -> Duration {
        PROBE_INTERVAL * 2 + self.shortest_suspicion()
    }

    /// The median time of what is gossiped: with three targets a round, the number of those that
    /// know grows four times with each, and the first round comes within an interval.
    pub(super) fn usual_spread(self) -> Duration {
        GOSSIP_INTERVAL.mul_f64(f64::midpoint(self.doublings(), 1.0))
    }

    /// The median time of a leave: who leaves tells most itself, and they pass it on with their
    /// next gossip.
    pub(super) fn usual_departure(self) -> Duration {
        GOSSIP_INTERVAL * 2
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

    /// A message between two members that are well arrives.
    pub(super) fn delivery(self) -> Duration {
        Duration::from_secs(3) + SLACK
    }

    /// How long a second connection to one peer may last: the idle timeout of 30 s, and as long
    /// as an exchange on a stream takes.
    pub(super) fn second_connection(self) -> Duration {
        Duration::from_secs(40)
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
        assert_eq!(bounds.harmless_freeze(), Duration::from_millis(2500));
        assert_eq!(Bounds::new(100).shortest_suspicion(), bounds.shortest_suspicion() * 2);
    }

    #[test]
    fn the_profiles_numbers_are_swim_cores() {
        let lan = swim_core::Config::lan();
        assert_eq!(PROBE_INTERVAL, lan.probe_interval);
        assert_eq!(SUSPICION_MULTIPLIER, f64::from(lan.suspicion_multiplier));
        assert_eq!(SUSPICION_MAX_TIMEOUT_MULTIPLIER, lan.suspicion_max_timeout_multiplier);
        assert_eq!(GOSSIP_INTERVAL, lan.gossip_interval);
        assert_eq!(GOSSIP_TO_THE_DEAD, lan.gossip_to_the_dead);
        assert_eq!(PUSH_PULL_INTERVAL, lan.push_pull_interval);
    }
}
