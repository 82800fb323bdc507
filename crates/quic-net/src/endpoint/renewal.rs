//! After a change of our certificate: which connections are made anew, and when.
//!
//! Another connection is dialed first, and the former one makes way once that is confirmed: so the
//! peer has stopped using it before it is closed, and nothing under way is lost.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::backoff::Urgency;
use crate::connection::{Connection, ConnectionPhase};
use crate::connection_key::ConnectionKey;
use crate::pool::Pool;

/// Looks after the connections that were begun with a former certificate.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    /// When to look next; `None` while there are none.
    next: Option<Instant>,
}

/// What a look has found.
#[derive(Debug, Default)]
pub(super) struct RenewalSteps {
    /// To be dialed, at most [`AT_ONCE`].
    pub(super) dial: Vec<SocketAddr>,
    /// To make way for another connection, which is there.
    pub(super) retire: Vec<ConnectionKey>,
}

impl Renewal {
    /// From now on all connections are made with another certificate.
    pub(super) fn begin(&mut self, pool: &mut Pool, now: Instant) {
        for key in pool.keys() {
            if let Some(connection) = pool.get_mut(key) {
                connection.note_outdated();
            }
        }
        self.next = Some(now);
    }

    /// When to look next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.next
    }

    /// What is to be done now. A connection younger than `dial_timeout` waits: the peer would take
    /// the new one for one of two crossed dials, and might keep the former one.
    pub(super) fn look(
        &mut self,
        pool: &Pool,
        dial_timeout: Duration,
        now: Instant,
    ) -> RenewalSteps {
        let mut steps = RenewalSteps::default();
        if self.next.is_none_or(|next| now < next) {
            return steps;
        }
        let mut remaining = 0_usize;
        for former in pool.iter().filter(|held| held.is_outdated() && !held.is_retired()) {
            remaining += 1;
            let address = former.address();
            let age = now.saturating_duration_since(former.born());
            if former.phase() != ConnectionPhase::Confirmed || age <= dial_timeout {
                continue;
            }
            match replacement(pool, address) {
                Some(ConnectionPhase::Confirmed) => steps.retire.push(former.key()),
                Some(ConnectionPhase::Handshaking | ConnectionPhase::Established) => {}
                None if steps.dial.len() < AT_ONCE
                    && !steps.dial.contains(&address)
                    && pool.may_dial(address, Urgency::Packet, now) =>
                {
                    steps.dial.push(address);
                }
                None => {}
            }
        }
        self.next = (remaining > 0).then_some(now + INTERVAL);
        steps
    }
}

/// How far the best connection has come that replaces outdated ones to an address.
fn replacement(pool: &Pool, address: SocketAddr) -> Option<ConnectionPhase> {
    let here = pool.at(address).iter().filter_map(|key| pool.get(*key));
    let fresh =
        here.filter(|held| !held.is_outdated() && !held.is_retired() && held.is_trustworthy());
    fresh.map(Connection::phase).max()
}

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(100);
/// Dials that one look begins: a full pool is renewed within some seconds, at a small part of a
/// core.
const AT_ONCE: usize = 16;
