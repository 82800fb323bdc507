//! What must leave the machine, and what orders it: outputs, timers, counters, randomness.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::encoder::Encoder;
use crate::output::{Destination, MembershipEvent, OperationId, Outcome, Output, WarningKind};
use crate::rng::Rng;
use crate::stats::Counters;
use crate::time::Time;
use crate::timers::{Timer, Timers};
use crate::wire::{Message, PacketBuilder};

/// The part that all others write to. Outputs leave in the order in which they were written.
pub(crate) struct Effects {
    now: Time,
    outputs: VecDeque<Output>,
    timers: Timers,
    counters: Counters,
    rng: Rng,
    encoder: Encoder,
    next_operation: u64,
    operations: usize,
}

/// Bytes of a packet that is expected to hold one or two short messages, such as a ping.
const SHORT_PACKET: usize = 128;
/// Go's default packet budget; the buffer of a longer packet grows while it is built.
const FULL_PACKET: usize = 1_400;

impl Effects {
    pub(crate) fn new(now: Time, rng: Rng, encoder: Encoder) -> Self {
        Self {
            now,
            outputs: VecDeque::new(),
            timers: Timers::default(),
            counters: Counters::default(),
            rng,
            encoder,
            next_operation: 0,
            operations: 0,
        }
    }

    /// Every call of the machine begins here.
    pub(crate) fn begin(&mut self, now: Time) {
        debug_assert!(self.outputs.is_empty(), "drain poll_output before the next call");
        debug_assert!(now >= self.now, "time went back from {} to {now}", self.now);
        self.now = self.now.max(now);
    }

    /// The time of the present call.
    pub(crate) fn now(&self) -> Time {
        self.now
    }

    pub(crate) fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    pub(crate) fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    pub(crate) fn encoder_mut(&mut self) -> &mut Encoder {
        &mut self.encoder
    }

    /// For adding to.
    pub(crate) fn count(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// A packet of so many bytes arrived.
    pub(crate) fn count_packet_in(&mut self, bytes: usize) {
        let counters = self.count();
        counters.packets_in += 1;
        counters.packet_bytes_in += bytes as u64;
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Replaces the timer's deadline.
    pub(crate) fn set_timer(&mut self, timer: Timer, at: Time) {
        self.timers.set(timer, at);
    }

    /// Sets a timer of this interval for the first time, at a random moment within the interval;
    /// zero is never.
    pub(crate) fn start_timer(&mut self, timer: Timer, interval: Duration) {
        if !interval.is_zero() {
            let at = self.now + self.rng.span(interval);
            self.set_timer(timer, at);
        }
    }

    /// Sets a timer of another interval than before, as for the first time.
    pub(crate) fn restart_timer(&mut self, timer: Timer, interval: Duration) {
        self.clear_timer(timer);
        self.start_timer(timer, interval);
    }

    /// No suspect is told before `notice` that it is about to be dead, and none is dead before
    /// `end`.
    pub(crate) fn postpone_suspicions(&mut self, notice: Time, end: Time) {
        self.timers.postpone(notice, |timer| matches!(timer, Timer::SuspicionNotice(_)));
        self.timers.postpone(end, |timer| matches!(timer, Timer::Suspicion(_)));
    }

    pub(crate) fn clear_timer(&mut self, timer: Timer) {
        self.timers.clear(timer);
    }

    /// When the timer is due, if it is set.
    pub(crate) fn deadline(&self, timer: Timer) -> Option<Time> {
        self.timers.at(timer)
    }

    /// Takes the first timer that is due, with the time it was set to.
    pub(crate) fn pop_due(&mut self) -> Option<(Time, Timer)> {
        self.timers.pop(self.now)
    }

    /// When the first of all timers is due.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.timers.next()
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn pop_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) fn emit(&mut self, event: MembershipEvent) {
        self.push(Output::Event(event));
    }

    pub(crate) fn warn(&mut self, kind: WarningKind, address: SocketAddr, detail: String) {
        log::debug!("refused something from {address}: {kind}: {detail}");
        self.emit(MembershipEvent::Warning { kind, address, detail });
    }

    /// An operation begins; it ends with [`finish`](Self::finish).
    pub(crate) fn begin_operation(&mut self) -> OperationId {
        self.operations += 1;
        self.next_operation += 1;
        OperationId(self.next_operation)
    }

    pub(crate) fn finish(&mut self, operation: OperationId, outcome: Outcome) {
        self.end_operation();
        self.push(Output::Finished { operation, outcome });
    }

    /// An operation that was begun is refused after all: its command returns the refusal.
    pub(crate) fn end_operation(&mut self) {
        debug_assert!(self.operations > 0, "an operation ended that had not begun");
        self.operations -= 1;
    }

    /// How many operations are under way.
    pub(crate) fn operations(&self) -> usize {
        self.operations
    }

    /// A packet to build and to [send](Self::send); `capacity` is how many bytes of messages are
    /// expected.
    pub(crate) fn packet(&self, checksum: bool, capacity: usize) -> PacketBuilder {
        PacketBuilder::new(self.encoder.settings(), checksum, capacity.min(FULL_PACKET))
    }

    pub(crate) fn send(&mut self, to: Destination, packet: PacketBuilder) {
        let bytes = self.encoder.finish_packet(packet);
        self.counters.packets_out += 1;
        self.counters.packet_bytes_out += bytes.len() as u64;
        self.push(Output::Packet { to, bytes });
    }

    /// Sends these messages in one packet, and nothing beside them.
    pub(crate) fn send_messages(
        &mut self,
        to: Destination,
        messages: &[Message<'_>],
        checksum: bool,
    ) {
        let mut packet = self.packet(checksum, SHORT_PACKET);
        for message in messages {
            let pushed = packet.push(message);
            debug_assert_eq!(pushed, Ok(()), "few short messages, or one of any length, fit");
        }
        self.send(to, packet);
    }
}
