//! What follows every change of a connection: tables, timers, duplicates, endings.
//!
//! Decides which of two connections to one peer stays, when connections are replaced or closed
//! for their age, and how long an unreachable peer is left alone.

use std::cmp::Reverse;
use std::time::Duration;

use super::Endpoint;
use crate::connection::{Changes, Ending, Phase};
use crate::connection_key::ConnectionKey;
use crate::event::EndpointEvent;
use crate::reason::{CloseReason, Refusal};

impl Endpoint {
    /// Lets a connection do what has become possible, and updates the tables.
    pub(super) fn settle(&mut self, key: ConnectionKey) {
        let Some(connection) = self.pool.get_mut(key) else { return };
        let changes = connection.advance(&mut self.shared, self.now);
        self.apply(key, changes);
        self.schedule(key);
    }

    /// As [`settle`](Self::settle), for a connection that has just sent all it could: it is
    /// queued again only if quiche took more from it since.
    pub(super) fn settle_after_sending(&mut self, key: ConnectionKey) {
        let Some(connection) = self.pool.get_mut(key) else { return };
        let before = connection.unwritten();
        if before > 0 {
            let changes = connection.advance(&mut self.shared, self.now);
            let progress = connection.unwritten() < before;
            self.apply(key, changes);
            if progress {
                self.schedule(key);
            }
        }
        self.rearm(key);
    }

    fn apply(&mut self, key: ConnectionKey, changes: Changes) {
        for id in changes.new_ids {
            self.pool.route(id, key);
        }
        for id in &changes.retired_ids {
            self.pool.unroute(id);
        }
        for token in changes.new_tokens {
            self.pool.watch_token(token, key);
        }
        if changes.established {
            self.note_established(key);
        }
        if changes.confirmed {
            self.note_confirmed(key);
        }
        if let Some(ending) = changes.ended {
            self.end(key, &ending);
        } else if changes.starved {
            self.replace_starved(key);
        }
    }

    fn note_established(&mut self, key: ConnectionKey) {
        let Some(connection) = self.pool.get(key) else { return };
        if !connection.dialed {
            self.pool.accepted_one();
        }
        self.limit_certificate(key);
    }

    fn note_confirmed(&mut self, key: ConnectionKey) {
        self.authenticated += 1;
        let order = self.authenticated;
        let Some(connection) = self.pool.get_mut(key) else { return };
        connection.authenticated = order;
        let address = connection.address;
        let names = connection.peer.as_ref().map(|peer| peer.names.clone()).unwrap_or_default();
        for name in names {
            self.pool.learn_name(&name, key);
        }
        let record = self.pool.record(address);
        record.failures = 0;
        record.not_before = None;
        self.resolve_duplicates(key);
    }

    /// Ends a connection and tells everybody concerned.
    pub(super) fn end(&mut self, key: ConnectionKey, ending: &Ending) {
        let Some(connection) = self.pool.get_mut(key) else { return };
        let (address, source) = (connection.address, connection.source);
        if let Ending::Closed(CloseReason::Refused(refusal)) = ending {
            let detail = connection.refusal_detail(*refusal);
            self.shared.refuse(address, *refusal, detail);
        }
        if *ending == Ending::Closed(CloseReason::LabelMismatch) {
            let detail = "the labels differ".to_owned();
            self.shared.refuse(address, Refusal::LabelMismatch, detail);
        }
        let reason = match ending {
            Ending::HandshakeTimedOut => CloseReason::TimedOut,
            Ending::Closed(reason) => reason.clone(),
        };
        connection.fail_all(&mut self.shared, ending);
        if reason != CloseReason::Reset {
            for packet in connection.close(&reason) {
                if self.outbox.len() < super::OUTBOX {
                    self.outbox.push_back((address, source, packet));
                }
            }
        }
        let Some(connection) = self.pool.remove(key) else { return };
        if connection.phase == Phase::Confirmed {
            if let Some(peer) = connection.peer {
                self.shared.emit(EndpointEvent::Closed { peer, reason });
            }
        } else if connection.dialed && is_failure(&reason) {
            self.shared.stats.dials_failed += 1;
            self.back_off(address);
        }
    }

    /// Closes what is idle, replaces what is old.
    pub(super) fn sweep(&mut self) {
        let now = self.now;
        self.pool.sweep(now);
        let limits = self.shared.config.limits.clone();
        let oldest = match limits.max_connection_age {
            Duration::ZERO => KEY_AGE,
            age => age.min(KEY_AGE),
        };
        for key in self.pool.keys() {
            let Some(connection) = self.pool.get_mut(key) else { continue };
            if connection.phase == Phase::Handshaking || connection.retired.is_some() {
                continue;
            }
            let age = now.saturating_duration_since(connection.born);
            if connection.is_quiet()
                && now.saturating_duration_since(connection.last_payload) >= limits.idle_timeout
            {
                self.shared.stats.idle_closed += 1;
                self.end(key, &Ending::Closed(CloseReason::Idle));
            } else if age >= oldest || connection.packet_count() >= KEY_PACKETS {
                self.shared.stats.recycled += 1;
                self.retire(key, CloseReason::Recycled, limits.duplicate_grace);
            }
        }
        self.cool_down();
    }

    /// During a shutdown: closes connections that have sent everything, or all at its deadline.
    pub(super) fn close_quiet_ones(&mut self) {
        let over = self.shutdown.is_some_and(|deadline| self.now >= deadline);
        for key in self.pool.keys() {
            let done = self.pool.get(key).is_some_and(|connection| {
                over || connection.phase == Phase::Handshaking
                    || (connection.is_quiet()
                        && !connection.in_send_queue
                        && self.now.saturating_duration_since(connection.last_payload)
                            >= connection.settling_time())
            });
            if done {
                self.end(key, &Ending::Closed(CloseReason::Shutdown));
            }
        }
    }

    /// Queues a connection for sending and sets its timer.
    pub(super) fn schedule(&mut self, key: ConnectionKey) {
        let Some(connection) = self.pool.get_mut(key) else { return };
        if !connection.in_send_queue {
            connection.in_send_queue = true;
            self.sending.push_back(key);
        }
        self.rearm(key);
    }

    /// Makes sure that a timer fires when the connection is due. Later deadlines are found out
    /// when the earlier timer fires.
    pub(super) fn rearm(&mut self, key: ConnectionKey) {
        let Some(connection) = self.pool.get_mut(key) else { return };
        let Some(due) = connection.due(self.now) else { return };
        if connection.armed.is_none_or(|armed| due < armed) {
            connection.armed = Some(due);
            self.timers.push(Reverse((due, key)));
        }
        // Superseded timers stay until their time; a busy connection leaves many of them.
        if self.timers.len() > 64 + 4 * self.pool.len() {
            let pool = &self.pool;
            self.timers.retain(|Reverse((due, key))| {
                pool.get(*key).is_some_and(|connection| connection.armed == Some(*due))
            });
        }
    }

    pub(super) fn count_sent(&mut self, packets: usize, bytes: usize) {
        self.shared.stats.udp_sent += u64::try_from(packets).unwrap_or(0);
        self.shared.stats.bytes_sent += u64::try_from(bytes).unwrap_or(0);
    }
}

/// Whether a dial that ended for this reason failed, rather than being called off by us.
fn is_failure(reason: &CloseReason) -> bool {
    match reason {
        CloseReason::Requested
        | CloseReason::Shutdown
        | CloseReason::Idle
        | CloseReason::Duplicate
        | CloseReason::Superseded
        | CloseReason::Recycled
        | CloseReason::Evicted => false,
        CloseReason::LabelMismatch
        | CloseReason::Revoked
        | CloseReason::Reset
        | CloseReason::TimedOut
        | CloseReason::ByPeer { .. }
        | CloseReason::Refused(_)
        | CloseReason::Violation(_) => true,
    }
}

/// Packets under one key: AES-GCM allows 2^23 (RFC 9001 section 6.6), quiche never changes keys.
const KEY_PACKETS: usize = 4_000_000;
/// Age of a key.
const KEY_AGE: Duration = Duration::from_secs(24 * 3600);
