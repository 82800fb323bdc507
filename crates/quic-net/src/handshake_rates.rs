//! How much networks may send of handshakes in a second, where one of theirs was too long lately.
//!
//! A packet that tells a handshake in single bytes with gaps between costs far more than an honest
//! one, and each handshake that ends for that makes room for the next one. With 5,000 such packets
//! a second, 99 of 100 pings took 233 ms where they took 3 ms.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::source_shares::Prefix;

/// The networks from which a handshake was too long.
#[derive(Debug, Default)]
pub(crate) struct HandshakeRates {
    by_prefix: BTreeMap<Prefix, HandshakeRate>,
}

#[derive(Debug)]
struct HandshakeRate {
    /// Until then the network has this rate.
    until: Instant,
    /// Since when bytes are counted.
    since: Instant,
    bytes: usize,
}

impl HandshakeRates {
    /// A handshake that began at this address was too long.
    pub(crate) fn note_too_long(&mut self, from: SocketAddr, now: Instant) {
        let prefix = Prefix::of(from);
        if self.by_prefix.len() >= MOST && !self.by_prefix.contains_key(&prefix) {
            let first = self.by_prefix.iter().min_by_key(|(_, rate)| rate.until);
            let first = first.map(|(prefix, _)| *prefix);
            first.and_then(|first| self.by_prefix.remove(&first));
        }
        let rate = HandshakeRate { until: now, since: now, bytes: 0 };
        self.by_prefix.entry(prefix).or_insert(rate).until = now + REMEMBERED;
    }

    /// Whether a packet of a handshake may be taken, which then counts.
    pub(crate) fn admit(&mut self, from: SocketAddr, bytes: usize, now: Instant) -> bool {
        let prefix = Prefix::of(from);
        let Some(rate) = self.by_prefix.get_mut(&prefix) else { return true };
        if now >= rate.until {
            self.by_prefix.remove(&prefix);
            return true;
        }
        if now.saturating_duration_since(rate.since) >= Duration::from_secs(1) {
            (rate.since, rate.bytes) = (now, 0);
        }
        rate.bytes = rate.bytes.saturating_add(bytes);
        rate.bytes <= BYTES_PER_SECOND
    }
}

/// A hundred honest handshakes of 4 to 5 KiB. Of the packets described above these are some 400.
const BYTES_PER_SECOND: usize = 512 << 10;
/// How long a network has that rate after its last handshake that was too long.
const REMEMBERED: Duration = Duration::from_secs(10);
/// The most networks that have it.
const MOST: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test needs some moment to count from")]
    fn a_network_with_a_handshake_that_was_too_long_is_slowed_for_a_while() {
        let begin = Instant::now();
        let from = |network: u16| {
            SocketAddr::from(([10, network.to_be_bytes()[0], network.to_be_bytes()[1], 1], 7))
        };
        let mut rates = HandshakeRates::default();
        let fits = |rates: &mut HandshakeRates, network, now| {
            (0..1_000).filter(|_| rates.admit(from(network), 1_200, now)).count()
        };
        assert_eq!(fits(&mut rates, 1, begin), 1_000);
        rates.note_too_long(from(1), begin);
        assert_eq!(fits(&mut rates, 1, begin), 436);
        assert_eq!(fits(&mut rates, 2, begin), 1_000);
        assert_eq!(fits(&mut rates, 1, begin + Duration::from_secs(1)), 436);
        assert_eq!(fits(&mut rates, 1, begin + REMEMBERED), 1_000);
        for network in 0..2_000 {
            rates.note_too_long(from(network), begin + Duration::from_millis(network.into()));
        }
        assert_eq!(rates.by_prefix.len(), MOST);
        assert!(rates.by_prefix.contains_key(&Prefix::of(from(1_999))));
    }
}
