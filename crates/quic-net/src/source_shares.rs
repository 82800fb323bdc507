//! What may be done for senders that nobody knows: shares for each address and each prefix of
//! addresses, so that one sender, or one network, does not use up what others need.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// The network of an address: its first 24 bits (IPv4) or 48 bits (IPv6), what one customer of a
/// provider mostly has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Prefix([u8; 6]);

impl Prefix {
    pub(crate) fn of(address: SocketAddr) -> Self {
        let mut prefix = [0; 6];
        match address.ip() {
            IpAddr::V4(ip) => {
                let octets = ip.octets();
                prefix[..3].copy_from_slice(&octets[..3]);
            }
            IpAddr::V6(ip) => prefix.copy_from_slice(&ip.octets()[..6]),
        }
        Self(prefix)
    }
}

/// Counts the stateless resets of a second: of all, of each prefix and of each address.
#[derive(Debug)]
pub(crate) struct ResetShares {
    since: Instant,
    sent: u32,
    /// To addresses to which we have, or had lately, a connection.
    sent_to_peers: u32,
    by_prefix: BTreeMap<Prefix, u32>,
    by_address: BTreeMap<SocketAddr, u32>,
}

/// Resets for one address in a second. A peer of our former process sends a few packets until the
/// first reset reaches it.
const FOR_AN_ADDRESS: u32 = 4;

impl ResetShares {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            since: now,
            sent: 0,
            sent_to_peers: 0,
            by_prefix: BTreeMap::new(),
            by_address: BTreeMap::new(),
        }
    }

    /// Whether one more may be sent, which then counts as sent: `per_second` to those that we know,
    /// and as many to all others, of which half to one prefix.
    pub(crate) fn admit(
        &mut self,
        to: SocketAddr,
        is_peer: bool,
        per_second: u32,
        now: Instant,
    ) -> bool {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            *self = Self::new(now);
        }
        if is_peer {
            let admitted = self.sent_to_peers < per_second;
            self.sent_to_peers += u32::from(admitted);
            return admitted;
        }
        if self.sent >= per_second {
            return false;
        }
        let of_address = self.by_address.get(&to).copied().unwrap_or(0);
        let prefix = Prefix::of(to);
        let of_prefix = self.by_prefix.get(&prefix).copied().unwrap_or(0);
        if of_address >= FOR_AN_ADDRESS || of_prefix >= per_second.div_ceil(2) {
            return false;
        }
        // As many entries as resets in a second at most.
        self.by_address.insert(to, of_address + 1);
        self.by_prefix.insert(prefix, of_prefix + 1);
        self.sent += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, host, 1], port))
    }

    #[expect(clippy::disallowed_methods, reason = "a test needs some moment to count from")]
    fn begin() -> Instant {
        Instant::now()
    }

    #[test]
    fn one_address_and_one_network_leave_resets_for_others() {
        let begin = begin();
        let mut shares = ResetShares::new(begin);
        let mut count = |host, ports: std::ops::Range<u16>| {
            ports.filter(|port| shares.admit(address(host, *port), false, 100, begin)).count()
        };
        assert_eq!((0..50).map(|_| count(1, 7..8)).sum::<usize>(), 4);
        assert_eq!(count(1, 100..1_000), 46, "half of all");
        assert_eq!(count(2, 0..1_000) + count(3, 0..1_000), 50, "all");
        // Who has a connection is told all the same.
        let known = (0..1_000).filter(|_| shares.admit(address(1, 7), true, 100, begin)).count();
        assert_eq!(known, 100);
        let later = begin + Duration::from_secs(1);
        assert!(shares.admit(address(1, 7), false, 100, later));
        assert!(!shares.admit(address(1, 7), false, 0, later));
    }
}
