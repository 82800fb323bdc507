//! What the kernel refused to send, by reason and destination.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::kernel_refusal::KernelRefusal;

/// Datagrams that the kernel refused to send.
#[derive(Debug, Default)]
pub(crate) struct SendErrors {
    counts: BTreeMap<(KernelRefusal, SocketAddr), u64>,
    /// Those of destinations that the table has no room for.
    others: u64,
    next_report: Option<Instant>,
}

impl SendErrors {
    /// Counts one. Whether it is to be reported.
    pub(crate) fn note(&mut self, what: KernelRefusal, to: SocketAddr, now: Instant) -> bool {
        if self.counts.len() < MAX_DESTINATIONS || self.counts.contains_key(&(what, to)) {
            *self.counts.entry((what, to)).or_default() += 1;
        } else {
            self.others += 1;
        }
        let is_due = self.next_report.is_none_or(|next| now >= next);
        if is_due {
            self.next_report = Some(now + REPORT_PERIOD);
        }
        is_due
    }

    pub(crate) fn counts(&self) -> &BTreeMap<(KernelRefusal, SocketAddr), u64> {
        &self.counts
    }

    pub(crate) fn others(&self) -> u64 {
        self.others
    }
}

/// Pairs of a reason and a destination that are counted apart.
const MAX_DESTINATIONS: usize = 64;
/// At most one report in this time.
const REPORT_PERIOD: Duration = Duration::from_secs(1);

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_by_destination_and_reported_once_a_second() {
        let (mut errors, now) = (SendErrors::default(), Instant::now());
        let to = |port| SocketAddr::from(([10, 0, 0, 1], port));
        assert!(errors.note(KernelRefusal::NotPermitted, to(1), now));
        assert!(!errors.note(KernelRefusal::NotPermitted, to(1), now));
        assert!(errors.note(KernelRefusal::HostUnreachable, to(1), now + REPORT_PERIOD));
        assert_eq!(errors.counts()[&(KernelRefusal::NotPermitted, to(1))], 2);
        for port in 2..100 {
            errors.note(KernelRefusal::NotPermitted, to(port), now);
        }
        assert_eq!((errors.counts().len(), errors.others()), (MAX_DESTINATIONS, 36));
    }
}
