//! Whom we have just answered directly, so that nobody can make us answer all the time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::time::Time;

/// The most peers remembered; as many connections as an endpoint has at most.
const MAX_PEERS: usize = 512;

/// What is remembered of notices that go straight to one peer.
#[derive(Debug, Default)]
pub(crate) struct DirectNotices {
    /// Who was told what is held of it.
    pub(crate) answered: AnsweredPeers,
    /// Who brought a stale suspicion of ourselves, and was told better.
    pub(crate) corrected: AnsweredPeers,
    /// Where the last packet came from.
    pub(crate) heard_last: Option<SocketAddr>,
}

/// The peers that were answered within the last interval, by the address of their connection.
#[derive(Debug, Default)]
pub(crate) struct AnsweredPeers(BTreeMap<SocketAddr, Time>);

impl AnsweredPeers {
    /// Whether this peer may be answered now: not less than `interval` after the last answer, and
    /// not while so many others were that no more can be remembered.
    pub(crate) fn admit(&mut self, peer: SocketAddr, now: Time, interval: Duration) -> bool {
        if self.0.get(&peer).is_some_and(|at| now - *at < interval) {
            return false;
        }
        if self.0.len() >= MAX_PEERS {
            self.0.retain(|_, at| now - *at < interval);
        }
        if self.0.len() >= MAX_PEERS && !self.0.contains_key(&peer) {
            return false;
        }
        self.0.insert(peer, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_answered_once_in_an_interval_and_the_table_is_bounded() {
        let mut answered = AnsweredPeers::default();
        let second = Duration::from_secs(1);
        let peer = |port: usize| SocketAddr::from(([10, 0, 0, 1], u16::try_from(port).unwrap()));
        assert!(answered.admit(peer(1), Time::ZERO, second));
        assert!(!answered.admit(peer(1), Time::from_micros(999_999), second));
        let later = Time::from_micros(1_000_000);
        assert!(answered.admit(peer(1), later, second));
        for port in 2..=MAX_PEERS {
            assert!(answered.admit(peer(port), later, second));
        }
        assert!(!answered.admit(peer(9_999), later, second));
        assert!(answered.admit(peer(9_999), later + second, second));
        assert_eq!(answered.0.len(), 1);
    }
}
