//! The addresses of peers whose connections have ended lately: they may not know it yet.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// At most [`MOST`] addresses, each for [`REMEMBERED`].
#[derive(Debug, Default)]
pub(crate) struct PastPeers {
    addresses: BTreeMap<SocketAddr, Instant>,
}

impl PastPeers {
    /// The connection of a confirmed peer has ended.
    pub(crate) fn note(&mut self, address: SocketAddr, now: Instant) {
        if self.addresses.len() >= MOST
            && let Some((&oldest, _)) = self.addresses.iter().min_by_key(|(_, ended)| **ended)
        {
            self.addresses.remove(&oldest);
        }
        self.addresses.insert(address, now);
    }

    pub(crate) fn contains(&self, address: SocketAddr, now: Instant) -> bool {
        self.addresses
            .get(&address)
            .is_some_and(|ended| now.saturating_duration_since(*ended) < REMEMBERED)
    }

    /// Forgets those of long ago.
    pub(crate) fn sweep(&mut self, now: Instant) {
        self.addresses.retain(|_, ended| now.saturating_duration_since(*ended) < REMEMBERED);
    }
}

/// A peer that did not hear of the end of its connection notices within the idle timeout that QUIC
/// negotiates, some minutes.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Twice as many as there are connections by default.
const MOST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test needs some moment to count from")]
    fn addresses_are_kept_for_a_while_and_never_too_many() {
        let begin = Instant::now();
        let address = |port| SocketAddr::from(([10, 0, 0, 1], port));
        let mut peers = PastPeers::default();
        for port in 0..2_000u16 {
            peers.note(address(port), begin + Duration::from_millis(port.into()));
        }
        let end = begin + Duration::from_secs(2);
        assert_eq!(peers.addresses.len(), MOST);
        assert!(!peers.contains(address(975), end) && peers.contains(address(976), end));
        assert!(!peers.contains(address(1_999), end + REMEMBERED));
        peers.sweep(end + REMEMBERED);
        assert!(peers.addresses.is_empty());
    }
}
