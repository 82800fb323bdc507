//! Whether the path still carries the packets that path MTU discovery once found to pass.
//!
//! quiche never lowers a path MTU by itself, and does not tell which sizes were lost. What tells
//! is that packets are lost whose mean size is large, and more bytes of them than are acknowledged;
//! then quiche is asked to probe again, which sends no packet above 1200 bytes until a probe has
//! passed (RFC 9000 section 14.3, RFC 8899 section 4.3). While everything is unanswered, loss
//! cannot be told from delay: then packets are kept short, so that an answer can come.

use std::time::{Duration, Instant};

/// Watches one connection.
#[derive(Debug)]
pub(crate) struct PathMtu {
    /// When the counters in `before` were read: at the last look before a packet was lost.
    watched_since: Instant,
    before: Counters,
    /// Bytes acknowledged at the last look.
    acknowledged: u64,
    /// Probe timeouts (RFC 9002 section 6.2) when something was last acknowledged.
    timeouts: usize,
    suspected: bool,
    /// A busy connection is not looked at with every packet.
    next_look: Instant,
    lowered_at: Option<Instant>,
    /// The largest UDP payload that the path was ever found to carry.
    widest: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    lost: usize,
    lost_bytes: u64,
    acknowledged: u64,
}

impl PathMtu {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            watched_since: now,
            before: Counters::default(),
            acknowledged: 0,
            timeouts: 0,
            suspected: false,
            next_look: now,
            lowered_at: None,
            widest: 0,
        }
    }

    /// Whether large packets may be lost: none is to be sent until something is acknowledged.
    pub(crate) fn is_suspected(&self) -> bool {
        self.suspected
    }

    /// When the path was last found to carry less than before.
    pub(crate) fn lowered_at(&self) -> Option<Instant> {
        self.lowered_at
    }

    /// The largest UDP payload that the path was ever found to carry, in bytes.
    pub(crate) fn widest(&self) -> usize {
        self.widest
    }

    /// Looks at what was lost. True if large packets pass no more: quiche probes again then, and
    /// sends at most 1200 bytes meanwhile.
    pub(crate) fn look(&mut self, quic: &mut quiche::Connection, now: Instant) -> bool {
        if now < self.next_look && !self.suspected {
            return false;
        }
        self.next_look = now + BETWEEN_LOOKS;
        let stats = quic.stats();
        let timeouts = quic.path_stats().find(|path| path.active);
        let timeouts = timeouts.map_or(0, |path| path.total_pto_count);
        let counters = Counters {
            lost: stats.lost,
            lost_bytes: stats.lost_bytes,
            acknowledged: stats.acked_bytes,
        };
        self.widest = self.widest.max(quic.pmtu().unwrap_or_default());
        let is_large = quic.pmtu().is_some_and(|size| size > LEAST_UDP_PAYLOAD);
        if stats.acked_bytes > self.acknowledged || !is_large {
            self.acknowledged = stats.acked_bytes;
            self.timeouts = timeouts;
        }
        self.suspected = timeouts > self.timeouts;
        let span = now.saturating_duration_since(self.watched_since);
        if !is_large || counters.lost == self.before.lost || span >= WATCHED {
            self.before = counters;
            self.watched_since = now;
            return false;
        }
        let is_recent =
            self.lowered_at.is_some_and(|at| now.saturating_duration_since(at) < BETWEEN_PROBES);
        if is_recent || !counters.shows_loss_of_large_packets(self.before) {
            return false;
        }
        self.before = counters;
        self.lowered_at = Some(now);
        self.suspected = false;
        quic.revalidate_pmtu();
        true
    }
}

impl Counters {
    fn shows_loss_of_large_packets(self, before: Self) -> bool {
        let lost = self.lost.saturating_sub(before.lost);
        let lost_bytes = self.lost_bytes.saturating_sub(before.lost_bytes);
        let acknowledged = self.acknowledged.saturating_sub(before.acknowledged);
        let mean = lost_bytes / u64::try_from(lost).unwrap_or(u64::MAX).max(1);
        lost >= LEAST_LOST && mean > LARGE && lost_bytes > acknowledged
    }
}

/// What every path carries (RFC 9000 section 14), in bytes.
pub(crate) const LEAST_UDP_PAYLOAD: usize = 1200;
/// The least time between two looks: what a look costs would show with every packet.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);
/// For how long losses are added up.
const WATCHED: Duration = Duration::from_secs(10);
/// The least time between two times that quiche probes again.
const BETWEEN_PROBES: Duration = Duration::from_secs(10);
/// Packets that must be lost: one or two may be congestion.
const LEAST_LOST: usize = 3;
/// Mean size of lost packets, in bytes, above which their size may be the reason.
const LARGE: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_large_packets_lost_more_than_acknowledged_show_a_narrower_path() {
        let before = Counters { lost: 5, lost_bytes: 7_000, acknowledged: 1_000_000 };
        let shows = |lost: usize, lost_bytes: u64, acknowledged: u64| {
            let counters = Counters {
                lost: before.lost + lost,
                lost_bytes: before.lost_bytes + lost_bytes,
                acknowledged: before.acknowledged + acknowledged,
            };
            counters.shows_loss_of_large_packets(before)
        };
        assert!(shows(3, 4_000, 500));
        assert!(!shows(2, 2_800, 500), "too few");
        assert!(!shows(10, 9_000, 500), "small ones too");
        assert!(!shows(3, 4_000, 4_000), "as much passes");
    }
}
