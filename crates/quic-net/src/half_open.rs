//! The handshakes that peers began and that are under way, and which of them makes way for another
//! one where there is no place left.
//!
//! Whoever begins a handshake has proved nothing yet; what can be told apart is where they come
//! from. Places go to those whose network, and then whose host, has fewest.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::connection_key::ConnectionKey;
use crate::source_shares::{Host, Prefix};

/// At most [`Limits::half_open`](crate::Limits::half_open) handshakes.
#[derive(Debug, Default)]
pub(crate) struct HalfOpen {
    /// Oldest first.
    by_prefix: BTreeMap<Prefix, Vec<HalfOpenHandshake>>,
    len: usize,
    /// Handshakes begun so far.
    begun: u64,
}

#[derive(Debug)]
struct HalfOpenHandshake {
    key: ConnectionKey,
    host: Host,
    /// Whether a Retry has shown that the address is not forged.
    is_validated: bool,
    /// In the order in which they began.
    number: u64,
}

/// Which handshake makes way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Displacement {
    pub(crate) key: ConnectionKey,
    /// Whether the places are shared more evenly then. If not, as among handshakes of one host, the
    /// same may follow again and again, as often as somebody begins one.
    pub(crate) is_fairer: bool,
}

impl HalfOpen {
    pub(crate) fn insert(&mut self, key: ConnectionKey, from: SocketAddr, is_validated: bool) {
        self.begun += 1;
        self.len += 1;
        let (host, number) = (Host::of(from), self.begun);
        let handshake = HalfOpenHandshake { key, host, is_validated, number };
        self.by_prefix.entry(Prefix::of(from)).or_default().push(handshake);
    }

    /// The handshake is over. Nothing happens if that is known already.
    pub(crate) fn remove(&mut self, key: ConnectionKey, from: SocketAddr) {
        let prefix = Prefix::of(from);
        let Some(handshakes) = self.by_prefix.get_mut(&prefix) else { return };
        let before = handshakes.len();
        handshakes.retain(|handshake| handshake.key != key);
        self.len -= before - handshakes.len();
        if handshakes.is_empty() {
            self.by_prefix.remove(&prefix);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many there are from one network.
    pub(crate) fn count_from(&self, from: SocketAddr) -> usize {
        self.of(from).len()
    }

    fn of(&self, from: SocketAddr) -> &[HalfOpenHandshake] {
        self.by_prefix.get(&Prefix::of(from)).map_or(&[], Vec::as_slice)
    }

    /// Which handshake makes way for another one of its own network.
    pub(crate) fn displaced_within_prefix(&self, from: SocketAddr) -> Option<Displacement> {
        let own = self.of(from);
        first_unvalidated(own).or_else(|| displaced_among(own, from))
    }

    /// Which handshake makes way for one from `from`: one whose address may be forged; else one of
    /// the network that has most, unless that is its own.
    pub(crate) fn displaced(&self, from: SocketAddr) -> Option<Displacement> {
        let fullest = self.by_prefix.values().max_by_key(|handshakes| handshakes.len())?;
        let own = self.of(from);
        first_unvalidated(self.by_prefix.values().flatten()).or_else(|| {
            if fullest.len() > own.len() + 1 {
                let displacement = displaced_among(fullest, from)?;
                Some(Displacement { is_fairer: true, ..displacement })
            } else {
                displaced_among(if own.is_empty() { fullest } else { own }, from)
            }
        })
    }
}

/// The oldest whose address may be forged. There are no more than
/// [`Limits::handshakes`](crate::Limits::handshakes), and none is added while places are few.
fn first_unvalidated<'a>(
    handshakes: impl IntoIterator<Item = &'a HalfOpenHandshake>,
) -> Option<Displacement> {
    let unvalidated = handshakes.into_iter().filter(|handshake| !handshake.is_validated);
    let oldest = unvalidated.min_by_key(|handshake| handshake.number)?;
    Some(Displacement { key: oldest.key, is_fairer: true })
}

/// Of the handshakes of one network, the oldest of the host that has most: an honest one takes a
/// few round trips, and so is gone before its turn comes.
fn displaced_among(handshakes: &[HalfOpenHandshake], from: SocketAddr) -> Option<Displacement> {
    let mut counts: BTreeMap<Host, usize> = BTreeMap::new();
    for handshake in handshakes {
        *counts.entry(handshake.host).or_default() += 1;
    }
    let own = counts.get(&Host::of(from)).copied().unwrap_or(0);
    let (host, most) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    let is_fairer = most > own + 1;
    let host = if is_fairer || own == 0 { host } else { Host::of(from) };
    let oldest = handshakes.iter().find(|handshake| handshake.host == host)?;
    Some(Displacement { key: oldest.key, is_fairer })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(prefix: u8, host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, prefix, host], port))
    }

    fn key(number: u32) -> ConnectionKey {
        ConnectionKey::new(number, 0)
    }

    fn way(number: u32, is_fairer: bool) -> Option<Displacement> {
        Some(Displacement { key: key(number), is_fairer })
    }

    #[test]
    fn forged_addresses_make_way_then_the_network_and_the_host_with_most() {
        let mut table = HalfOpen::default();
        assert_eq!(table.displaced(address(1, 1, 1)), None);
        for (number, (prefix, host)) in [(1, 1), (1, 2), (1, 2), (2, 1)].into_iter().enumerate() {
            let number = u32::try_from(number).unwrap();
            table.insert(key(number), address(prefix, host, 1), true);
        }
        assert_eq!(table.displaced(address(3, 1, 2)), way(1, true), "host 2 of network 1 has most");
        assert_eq!(table.displaced(address(1, 3, 2)), way(1, true));
        assert_eq!(table.displaced(address(1, 1, 2)), way(0, false), "2 and 1 are even enough");
        assert_eq!(table.displaced(address(1, 2, 2)), way(1, false));
        assert_eq!(table.displaced_within_prefix(address(2, 2, 2)), way(3, false));
        assert_eq!(table.displaced_within_prefix(address(3, 1, 2)), None);
        table.insert(key(4), address(4, 1, 1), false);
        assert_eq!(table.displaced(address(1, 2, 2)), way(4, true));
        assert_eq!(table.displaced_within_prefix(address(1, 2, 2)), way(1, false));
        assert_eq!((table.len(), table.count_from(address(1, 9, 9))), (5, 3));
        for number in 0..5 {
            table.remove(key(number), address([1, 1, 1, 2, 4][number as usize], 1, 1));
            table.remove(key(number), address(1, 1, 1));
        }
        assert!(table.len() == 0 && table.by_prefix.is_empty());
    }

    #[test]
    fn whoever_makes_places_fairer_comes_to_an_end() {
        let mut table = HalfOpen::default();
        for number in 0..64 {
            table.insert(key(number), address(1, u8::try_from(number).unwrap(), 1), true);
        }
        // Two networks that want all places share them, and then displace their own.
        let mut displaced = 0;
        let mut froms: BTreeMap<ConnectionKey, SocketAddr> = BTreeMap::new();
        for number in 0..64 {
            froms.insert(key(number), address(1, u8::try_from(number).unwrap(), 1));
        }
        for number in 64..1_000 {
            let from = address(1 + u8::from(number % 2 == 0), 200, 1);
            let Some(Displacement { key: gone, is_fairer: true }) = table.displaced(from) else {
                continue;
            };
            table.remove(gone, froms[&gone]);
            table.insert(key(number), from, true);
            froms.insert(key(number), from);
            displaced += 1;
        }
        assert!((30..=40).contains(&displaced), "{displaced}");
        assert_eq!(table.len(), 64);
    }
}
