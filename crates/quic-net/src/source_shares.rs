//! What may be done for senders that have no connection: shares for each kind of sender, for each
//! address and for each prefix of addresses, so that one sender, or one network, does not use up
//! what others need.

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

/// The host of an address, as far as it can be told: an IPv4 address, or the first 64 bits of an
/// IPv6 address, of which one host may use many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Host([u8; 8]);

impl Host {
    pub(crate) fn of(address: SocketAddr) -> Self {
        let mut host = [0; 8];
        match address.ip() {
            IpAddr::V4(ip) => host[..4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => host.copy_from_slice(&ip.octets()[..8]),
        }
        Self(host)
    }
}

/// What is known of the sender of a packet that belongs to no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acquaintance {
    /// We have, or had lately, a connection to its address, or dialed it.
    Peer,
    /// The connection id in its packet was made for its address, by us or by the process before us
    /// that had the same reset secret: it receives what is sent there.
    Addressee,
    /// None of these: its address may be forged.
    Stranger,
}

/// Counts the stateless resets of a second, of which each kind of sender has a share:
///
/// | to | of all | to one prefix |
/// |---|---|---|
/// | strangers | two quarters | a quarter |
/// | strangers and addressees | three quarters | two quarters |
/// | everybody | all | all |
///
/// and [`FOR_AN_ADDRESS`] to one address.
#[derive(Debug)]
pub(crate) struct ResetShares {
    since: Instant,
    sent: Sent,
    by_prefix: BTreeMap<Prefix, Sent>,
    by_address: BTreeMap<SocketAddr, u32>,
}

/// How many resets were sent.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    all: u32,
    /// Not to peers.
    to_others: u32,
    to_strangers: u32,
}

impl ResetShares {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            since: now,
            sent: Sent::default(),
            by_prefix: BTreeMap::new(),
            by_address: BTreeMap::new(),
        }
    }

    /// Whether one more may be sent, which then counts as sent.
    pub(crate) fn admit(
        &mut self,
        to: SocketAddr,
        acquaintance: Acquaintance,
        per_second: u32,
        now: Instant,
    ) -> bool {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            *self = Self::new(now);
        }
        let prefix = Prefix::of(to);
        let of_prefix = self.by_prefix.get(&prefix).copied().unwrap_or_default();
        let of_address = self.by_address.get(&to).copied().unwrap_or(0);
        let quarter = per_second.div_ceil(4);
        let is_within_share = match acquaintance {
            Acquaintance::Peer => true,
            Acquaintance::Addressee => of_prefix.has_room_for_others(2 * quarter),
            Acquaintance::Stranger => {
                of_prefix.has_room_for_others(2 * quarter)
                    && of_prefix.to_strangers < quarter
                    && self.sent.to_strangers < 2 * quarter
            }
        };
        let has_room = self.sent.all < per_second
            && (acquaintance == Acquaintance::Peer || self.sent.has_room_for_others(3 * quarter));
        if !is_within_share || !has_room || of_address >= FOR_AN_ADDRESS {
            return false;
        }
        // As many entries as resets in a second at most.
        self.by_address.insert(to, of_address + 1);
        self.by_prefix.entry(prefix).or_default().note(acquaintance);
        self.sent.note(acquaintance);
        true
    }
}

impl Sent {
    fn has_room_for_others(self, limit: u32) -> bool {
        self.to_others < limit
    }

    fn note(&mut self, acquaintance: Acquaintance) {
        self.all += 1;
        self.to_others += u32::from(acquaintance != Acquaintance::Peer);
        self.to_strangers += u32::from(acquaintance == Acquaintance::Stranger);
    }
}

/// Resets for one address in a second. A peer of our former process sends a few packets until the
/// first reset reaches it.
const FOR_AN_ADDRESS: u32 = 4;

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
    fn one_address_one_network_and_all_strangers_leave_resets_for_others() {
        let begin = begin();
        let mut shares = ResetShares::new(begin);
        let mut count = |host, kind, ports: std::ops::Range<u16>| {
            ports.filter(|port| shares.admit(address(host, *port), kind, 100, begin)).count()
        };
        let (stranger, addressee, peer) =
            (Acquaintance::Stranger, Acquaintance::Addressee, Acquaintance::Peer);
        assert_eq!((0..50).map(|_| count(1, stranger, 7..8)).sum::<usize>(), 4);
        assert_eq!(count(1, stranger, 100..1_000), 21, "a quarter of all");
        let many = count(2, stranger, 0..1_000) + count(3, stranger, 0..1_000);
        assert_eq!(many, 25, "two quarters");
        // Who was given its connection id at its address is told all the same.
        assert_eq!(count(1, addressee, 1_000..2_000), 25, "two quarters for one network");
        assert_eq!(count(4, addressee, 0..1_000), 0, "three quarters");
        // And so is who has a connection.
        assert_eq!((0..50).map(|_| count(4, peer, 7..8)).sum::<usize>(), 4);
        assert_eq!(count(1, peer, 2_000..3_000), 21, "all");
    }

    #[test]
    fn each_second_begins_anew_and_few_are_enough_for_one() {
        let begin = begin();
        let mut shares = ResetShares::new(begin);
        let stranger = Acquaintance::Stranger;
        assert!(shares.admit(address(1, 7), stranger, 1, begin));
        assert!(!shares.admit(address(2, 7), Acquaintance::Peer, 1, begin));
        let later = begin + Duration::from_secs(1);
        assert!(shares.admit(address(1, 7), stranger, 1, later));
        assert!(!shares.admit(address(1, 7), Acquaintance::Peer, 0, later));
    }
}
