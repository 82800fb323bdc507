//! Hosts that hang: blocked for a while, running for a while, by turns.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::sim::fault::{HostId, Stall};

/// The hosts that are stalling at present.
#[derive(Default)]
pub(crate) struct Stalls {
    cycles: BTreeMap<HostId, Cycle>,
    begun: u32,
}

/// Being blocked and running by turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cycle {
    number: u32,
    pub(crate) stall: Stall,
    pub(crate) blocked: Duration,
    pub(crate) running: Duration,
}

impl Stalls {
    /// Begins a cycle, in place of the one a host may be in; returns its number.
    pub(crate) fn begin(
        &mut self,
        host: HostId,
        stall: Stall,
        blocked: Duration,
        running: Duration,
    ) -> u32 {
        self.begun += 1;
        self.cycles.insert(host, Cycle { number: self.begun, stall, blocked, running });
        self.begun
    }

    pub(crate) fn end(&mut self, host: HostId) {
        self.cycles.remove(&host);
    }

    /// The cycle of that number, if the host is still in it.
    pub(crate) fn get(&self, host: HostId, number: u32) -> Option<Cycle> {
        self.cycles.get(&host).copied().filter(|cycle| cycle.number == number)
    }

    /// Whether a host is blocked, or runs between two blocks.
    pub(crate) fn is_stalling(&self, host: HostId) -> bool {
        self.cycles.contains_key(&host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_cycle_replaces_the_old_one_whose_events_no_longer_count() {
        let mut stalls = Stalls::default();
        let second = Duration::from_secs(1);
        let old = stalls.begin(HostId(0), Stall::Driver, second, second);
        let new = stalls.begin(HostId(0), Stall::Network, second, second);
        assert_eq!(stalls.get(HostId(0), old), None);
        assert!(stalls.get(HostId(0), new).is_some_and(|cycle| cycle.stall == Stall::Network));
        stalls.end(HostId(0));
        assert!(stalls.get(HostId(0), new).is_none() && !stalls.is_stalling(HostId(0)));
    }
}
