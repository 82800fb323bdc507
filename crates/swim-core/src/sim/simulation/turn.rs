//! One turn of one host: something is handed over, and what the member wants is done.
//!
//! Follows the rule of every driver: all outputs are taken before the next input.

use crate::evidence::Hint;
use crate::output::{AcknowledgementId, Destination, MembershipEvent, Output};
use crate::sim::application::AppRequest;
use crate::sim::arrival::{Arrival, Cause};
use crate::sim::coverage::Counted;
use crate::sim::fault::{HostId, Stall};
use crate::sim::hosts::{HostProcess, ProcessNumber};
use crate::sim::sim_event::{SimDelivery, SimEvent};
use crate::sim::simulation::Simulation;
use crate::sim::transport::{Admission, HostTransport};
use crate::time::Time;
use crate::transport::{Transport as _, TransportEvent};
use crate::wire::DeliveryStatus;

/// A reliable message, and what the application did with it.
type Disposed = (AcknowledgementId, DeliveryStatus);

/// Inputs.
impl Simulation {
    /// A planned wake of a host has come.
    pub(super) fn wake(&mut self, host: HostId) {
        let now = self.now();
        if !self.hosts.take_wake(host, now) {
            return;
        }
        let checked = self.checkers.note_wake(host, now);
        if self.note_check(checked).is_some() && !self.transport.is_stuck(host) {
            self.act_on_timers(host);
        }
    }

    /// Lets overdue timers act.
    fn act_on_timers(&mut self, host: HostId) {
        self.turn(
            host,
            Cause::Timer,
            |HostProcess { membership, adapter, .. }, transport, local| {
                if membership.poll_timeout().is_some_and(|due| due <= local) {
                    membership.handle_timeout(local);
                    adapter.perform(membership, transport, local);
                }
                adapter.handle_timeout(membership, transport, local);
            },
        );
    }

    /// Does what is due in the transport.
    pub(super) fn advance_transport(&mut self) {
        let now = self.now();
        if !self.transport.take_wake(now) {
            return;
        }
        while self.transport.advance(now, &self.hosts, &mut self.coverage) {
            self.deliver_reports();
        }
        self.plan_transport();
    }

    /// Hands over what the transport reports.
    pub(super) fn deliver_reports(&mut self) {
        while let Some(delivery) = self.poll_delivery() {
            self.arrive(delivery);
        }
    }

    fn poll_delivery(&mut self) -> Option<SimDelivery> {
        self.transport.poll_delivery(&self.hosts, &mut self.coverage)
    }

    pub(super) fn plan_transport(&mut self) {
        if let Some(at) = self.transport.plan_wake(self.queue.now()) {
            self.queue.plan(at, SimEvent::Transport);
        }
    }

    /// Something reaches a host: at once, or when it is no longer blocked.
    pub(super) fn arrive(&mut self, delivery: SimDelivery) {
        let SimDelivery { host, process, arrival } = delivery;
        if self.hosts.process(host) != Some(process) {
            return;
        }
        match self.transport.admit(host, arrival) {
            Admission::Now(arrival) => self.hand_over(host, arrival),
            Admission::Later => {}
            Admission::Overflow => self.coverage.add(Counted::ReceiveBufferFull),
        }
    }

    /// Gives a member what arrived for it.
    fn hand_over(&mut self, host: HostId, arrival: Arrival) {
        let now = self.now();
        let process = self.hosts.process(host).unwrap_or_default();
        if let Arrival::Transport(TransportEvent::Packet { bytes, .. }) = &arrival {
            self.checkers.before_packet(host, bytes, &self.hosts);
        }
        if let Arrival::Transport(TransportEvent::Hint { from, hint: Hint::Refused }) = &arrival {
            self.checkers.note_refusal(host, *from, &self.hosts, now);
        }
        self.trace.arrival(now, host, &arrival, &self.hosts);
        let cause = arrival.cause();
        if let Arrival::Transport(TransportEvent::Packet { from, bytes }) = &arrival
            && let Some(answers) = self.silent_relays.replace(host, bytes)
        {
            let to = Destination { address: from.address, name: None };
            return self.act_as(host, |transport, local| {
                for answer in &answers {
                    transport.send_packet(&to, answer, local);
                }
            });
        }
        match arrival {
            Arrival::Transport(event) => self.turn(host, cause, |process, transport, local| {
                let HostProcess { membership, adapter, .. } = process;
                adapter.handle_event(event, membership, transport, local);
            }),
            Arrival::Request(request) => {
                let now = self.now();
                if let Some((membership, local)) = self.hosts.running(host, now) {
                    if request == AppRequest::Leave {
                        self.coverage.add(Counted::Leave);
                        self.checkers.note_leave(host, membership.local().incarnation());
                    }
                    let process = (host, process);
                    self.application.request(process, request, membership, local);
                }
                self.turn(host, cause, |_, _, _| {});
            }
        }
    }
}

/// Outputs.
impl Simulation {
    /// Lets a host send something that its member knows nothing of.
    pub(crate) fn act_as(&mut self, host: HostId, act: impl FnOnce(&mut HostTransport<'_>, Time)) {
        self.turn(host, Cause::Timer, |_, transport, local| act(transport, local));
    }

    /// Lets a member act, does everything that it wants, checks it, and plans its next wake.
    pub(super) fn turn(
        &mut self,
        host: HostId,
        cause: Cause,
        act: impl FnOnce(&mut HostProcess, &mut HostTransport<'_>, Time),
    ) {
        let now = self.now();
        let Some((mut process, local)) = self.hosts.lend(host, now) else { return };
        let Self { transport, hosts, digest, coverage, .. } = self;
        let mut transport = transport.lend(host, hosts, digest, coverage, now);
        act(&mut process, &mut transport, local);
        process.adapter.perform(&mut process.membership, &mut transport, local);
        let departed = transport.into_departed();
        let outputs: Vec<Output> = std::iter::from_fn(|| process.adapter.poll_output()).collect();
        self.hosts.give_back(host, process);
        for address in departed {
            self.checkers.note_release(host, address, cause, (&self.hosts, now));
        }
        let mut disposed = Vec::new();
        for output in outputs {
            self.digest.output_at(now, host, &output);
            disposed.extend(self.handle_output(host, output, cause));
        }
        if !disposed.is_empty() {
            return self.acknowledge(host, disposed, cause);
        }
        self.finish_turn(host, cause);
    }

    /// The application has disposed of reliable messages: its member tells their senders.
    fn acknowledge(&mut self, host: HostId, disposed: Vec<Disposed>, cause: Cause) {
        self.turn(host, cause, |process, transport, local| {
            let HostProcess { membership, adapter, .. } = process;
            for (id, status) in disposed {
                membership.acknowledge(id, status, local);
                adapter.perform(membership, transport, local);
            }
        });
    }

    fn finish_turn(&mut self, host: HostId, cause: Cause) {
        // What a transport reports at once is heard in a turn of its own.
        while let Some(delivery) = self.poll_delivery() {
            self.queue.plan(self.queue.now(), SimEvent::Arrive(delivery));
        }
        self.plan_transport();
        self.plan_wake(host);
        let surroundings = (&self.hosts, self.queue.now());
        let checked = self.checkers.after_step(host, cause, surroundings, &mut self.coverage);
        self.note_check(checked);
    }

    pub(super) fn plan_wake(&mut self, host: HostId) {
        if let Some(at) = self.hosts.plan_wake(host, self.queue.now()) {
            self.queue.plan(at, SimEvent::Wake(host));
        }
    }

    fn handle_output(&mut self, host: HostId, output: Output, cause: Cause) -> Option<Disposed> {
        match output {
            Output::ResolveSeeds => self.give_bootstrap(host),
            Output::Finished { operation, outcome } => {
                self.note(host, format_args!("finished {operation:?}: {outcome:?}"));
                let finished = self.application.on_finished(host, operation, &outcome);
                self.count_check(finished);
            }
            Output::Event(event) => return self.handle_event(host, event, cause),
            Output::Packet { .. }
            | Output::OpenStream { .. }
            | Output::WriteStream { .. }
            | Output::CloseStream { .. }
            | Output::ResetStream { .. }
            | Output::ForgetPeer { .. } => {
                debug_assert!(false, "the adapter performs this itself: {output:?}");
            }
        }
        None
    }

    fn handle_event(
        &mut self,
        host: HostId,
        event: MembershipEvent,
        cause: Cause,
    ) -> Option<Disposed> {
        let checked = self.checkers.note_event(host, &event, cause, (&self.hosts, self.now()));
        self.note_check(checked);
        let mut disposed = None;
        if let MembershipEvent::Message { reliable, payload, acknowledgement, .. } = &event {
            let status = self.application.status(host);
            disposed = acknowledgement.map(|id| (id, status));
            if disposed.is_none() || status == DeliveryStatus::Taken {
                let process = (host, self.hosts.process(host).unwrap_or_default());
                let delivered = self.application.on_message(process, *reliable, payload);
                self.count_check(delivered);
            } else {
                self.coverage.add(Counted::MessageNotTaken);
            }
        }
        // Too many to keep.
        if matches!(event, MembershipEvent::ProbeAnswered { .. }) {
            return None;
        }
        self.note(host, format_args!("{event:?}"));
        self.application.keep_event(self.queue.now(), host, event);
        disposed
    }

    /// Gives a running host its standing join addresses, at once in virtual time.
    pub(super) fn give_bootstrap(&mut self, host: HostId) {
        let addresses = self.hosts.bootstrap(host).to_vec();
        self.plan_request(host, AppRequest::Bootstrap(addresses));
    }

    /// Plans a request for the present moment; it is lost if the host is down.
    pub(super) fn plan_request(&mut self, host: HostId, request: AppRequest) {
        if let Some(process) = self.hosts.process(host) {
            let arrival = Arrival::Request(request);
            let delivery = SimDelivery { host, process, arrival };
            self.queue.plan(self.queue.now(), SimEvent::Arrive(delivery));
        }
    }
}

/// Stalls.
impl Simulation {
    /// A stalling host blocks, if it is still in that cycle.
    pub(super) fn block(&mut self, host: HostId, number: u32) {
        let Some(cycle) = self.stalls.get(host, number) else {
            return;
        };
        let until = self.now() + cycle.blocked;
        let Some(process) = self.hosts.process(host) else {
            // It may be up again by then.
            return self.queue.plan(until, SimEvent::Block { host, cycle: number });
        };
        self.transport.block(host, cycle.stall);
        self.coverage.add(match cycle.stall {
            Stall::Driver => Counted::StalledDriver,
            Stall::Network => Counted::StalledNetwork,
        });
        self.note(host, format_args!("stalls"));
        self.queue.plan(until, SimEvent::Unblock { host, process, cycle: number });
    }

    /// A stalling host runs again for a while, if it is still in that cycle.
    pub(super) fn unblock(&mut self, host: HostId, process: ProcessNumber, number: u32) {
        let Some(cycle) = self.stalls.get(host, number) else {
            return;
        };
        if self.hosts.process(host) == Some(process) {
            self.release(host);
        }
        let until = self.now() + cycle.running;
        self.queue.plan(until, SimEvent::Block { host, cycle: number });
    }

    /// Hands over everything that waited at a host.
    pub(super) fn release(&mut self, host: HostId) {
        let Some(blocked) = self.transport.unblock(host) else {
            return;
        };
        self.note(host, format_args!("runs again"));
        self.turn(host, Cause::Timer, |_, transport, _| transport.replay(blocked.calls));
        // Timers of a Go program run on threads of their own and are first; our driver reads
        // what has arrived before it looks at its timers.
        if blocked.stall == Stall::Network {
            self.act_on_timers(host);
        }
        for arrival in blocked.arrivals {
            self.hand_over(host, arrival);
        }
        self.act_on_timers(host);
    }
}
