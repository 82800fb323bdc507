//! Calls of handles that wait for something to end: who waits for what.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use swim_core::{OperationId, Outcome};

use super::pending_dials::PendingDials;
use crate::answer::Reply;
use crate::held_bytes::Held;

/// The operations of the machine, the dials and the times that are waited for. Bounded by the
/// callers: whoever gives up is forgotten in the next turn.
#[derive(Default)]
pub(super) struct PendingOperations {
    waiting: BTreeMap<OperationId, Reply<Outcome>>,
    /// The bytes of reliable messages, which are under way whether or not anybody waits.
    held: BTreeMap<OperationId, Held>,
    /// Where each join under way leads, whether or not anybody waits.
    joins: BTreeMap<OperationId, SocketAddr>,
    /// Our leave, while it is under way; the latest of several.
    pub(super) leaving: Option<OperationId>,
    pub(super) dials: PendingDials,
    timers: BTreeMap<(Instant, u64), Reply<()>>,
    timers_set: u64,
}

impl PendingOperations {
    /// Answers when the operation ends.
    pub(super) fn await_outcome(&mut self, operation: OperationId, reply: Reply<Outcome>) {
        if !reply.is_given_up() {
            self.waiting.insert(operation, reply);
        }
    }

    /// Holds the bytes until the operation ends.
    pub(super) fn hold(&mut self, operation: OperationId, held: Held) {
        self.held.insert(operation, held);
    }

    /// The operation is a join of this address.
    pub(super) fn leads_to(&mut self, operation: OperationId, address: SocketAddr) {
        self.joins.insert(operation, address);
    }

    /// Answers whoever waits. The address, if it was a join.
    pub(super) fn finish(
        &mut self,
        operation: OperationId,
        outcome: Outcome,
    ) -> Option<SocketAddr> {
        self.held.remove(&operation);
        if let Some(reply) = self.waiting.remove(&operation) {
            reply.send(outcome);
        }
        self.joins.remove(&operation)
    }

    /// Answers at a time: for callers without a clock of their own.
    pub(super) fn await_time(&mut self, time: Instant, reply: Reply<()>) {
        if !reply.is_given_up() {
            self.timers_set += 1;
            self.timers.insert((time, self.timers_set), reply);
        }
    }

    /// When the first of the times is.
    pub(super) fn due(&self) -> Option<Instant> {
        self.timers.first_key_value().map(|((time, _), _)| *time)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some(first) = self.timers.first_entry()
            && first.key().0 <= now
        {
            first.remove().send(());
        }
    }

    /// Drops the replies that nobody waits for any more.
    pub(super) fn forget_given_up(&mut self) {
        self.waiting.retain(|_, reply| !reply.is_given_up());
        self.timers.retain(|_, reply| !reply.is_given_up());
        self.dials.forget_given_up();
    }

    /// How many replies are held.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.timers.len() + self.dials.len()
    }
}
