//! One turn of one host: something is handed over, and what the member wants is done.
//!
//! Follows the rule of every driver: all outputs are taken before the next input.

use crate::output::{MembershipEvent, Output};
use crate::sim::application::AppRequest;
use crate::sim::arrival::{Arrival, Cause};
use crate::sim::coverage::Counted;
use crate::sim::fault::{HostId, Stall};
use crate::sim::hosts::ProcessNumber;
use crate::sim::sim_event::{SimDelivery, SimEvent};
use crate::sim::simulation::Simulation;
use crate::sim::transport::{Admission, SimTransport, StreamWrite, TransportContext};

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
        let now = self.now();
        let Some((membership, local)) = self.hosts.running(host, now) else {
            return;
        };
        if membership.poll_timeout().is_some_and(|due| due <= local) {
            membership.handle_timeout(local);
        }
        self.finish_turn(host, Cause::Timer);
    }

    /// Something reaches a host: at once, or when it is no longer blocked.
    pub(super) fn arrive(&mut self, delivery: SimDelivery) {
        let SimDelivery { host, process, arrival } = delivery;
        if self.hosts.process(host) != Some(process) {
            if let Arrival::Packet { .. } = arrival {
                self.coverage.add(Counted::PacketToNobody);
            }
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
        if let Arrival::Packet { bytes, .. } = &arrival {
            self.checkers.before_packet(host, bytes, &self.hosts);
        }
        self.trace.arrival(now, host, &arrival, &self.hosts);
        let cause = arrival.cause();
        let peer = self.hosts.peer(arrival.sender().unwrap_or(host)).clone();
        let Some((membership, local)) = self.hosts.running(host, now) else {
            return;
        };
        match arrival {
            Arrival::Packet { bytes, .. } => membership.handle_packet(&peer, &bytes, local),
            Arrival::StreamOpened { id, .. } => membership.handle_stream_opened(id, &peer, local),
            Arrival::StreamData { id, bytes, fin } => {
                membership.handle_stream_data(id, &bytes, fin, local);
            }
            Arrival::StreamFailed { id, reason } => {
                membership.handle_stream_failed(id, reason, local);
            }
            Arrival::SendFailed { to } => membership.handle_send_failed(to, local),
            Arrival::PacketLimit { to, limit } => membership.handle_packet_limit(to, limit, local),
            Arrival::Request(request) => {
                if request == AppRequest::Leave {
                    self.coverage.add(Counted::Leave);
                    self.checkers.note_leave(host, membership.local().incarnation());
                }
                self.application.request(host, request, membership, local);
            }
        }
        self.finish_turn(host, cause);
    }
}

/// Outputs.
impl Simulation {
    /// Does everything that a member wants, checks it, and plans its next wake.
    pub(super) fn finish_turn(&mut self, host: HostId, cause: Cause) {
        let now = self.now();
        while let Some((membership, _)) = self.hosts.running(host, now) {
            let Some(output) = membership.poll_output() else {
                break;
            };
            self.digest.output_at(now, host, &output);
            if let Some(output) = self.transport.detain(host, output) {
                self.handle_output(host, output, cause);
            }
        }
        self.plan_wake(host);
        let surroundings = (&self.hosts, now);
        let checked = self.checkers.after_step(host, cause, surroundings, &mut self.coverage);
        self.note_check(checked);
    }

    pub(super) fn plan_wake(&mut self, host: HostId) {
        if let Some(at) = self.hosts.plan_wake(host, self.queue.now()) {
            self.queue.plan(at, SimEvent::Wake(host));
        }
    }

    fn handle_output(&mut self, host: HostId, output: Output, cause: Cause) {
        let (transport, mut context) = self.transport();
        match output {
            Output::Packet { to, bytes } => transport.send_packet(host, &to, bytes, &mut context),
            Output::OpenStream { id, to, bytes, deadline } => {
                transport.open_stream((host, id), &to, bytes, deadline, &mut context);
            }
            Output::WriteStream { id, bytes, finish } => {
                let write = StreamWrite { bytes, fin: finish };
                transport.write_stream((host, id), write, &mut context);
            }
            Output::CloseStream { id } => transport.close_stream((host, id), &mut context),
            Output::ForgetPeer { address } => {
                let surroundings = (&self.hosts, self.queue.now());
                self.checkers.note_release(host, address, cause, surroundings);
            }
            Output::ResolveSeeds => self.give_bootstrap(host),
            Output::Finished { operation, outcome } => {
                self.note(host, format_args!("finished {operation:?}: {outcome:?}"));
                let finished = self.application.on_finished(host, operation, &outcome);
                self.count_check(finished);
            }
            Output::Event(event) => self.handle_event(host, event, cause),
        }
    }

    fn handle_event(&mut self, host: HostId, event: MembershipEvent, cause: Cause) {
        let checked = self.checkers.note_event(host, &event, cause, &self.hosts);
        self.note_check(checked);
        if let MembershipEvent::Message { reliable, payload, .. } = &event {
            let delivered = self.application.on_message(host, *reliable, payload);
            self.count_check(delivered);
        }
        // Too many to keep.
        if matches!(event, MembershipEvent::ProbeAnswered { .. }) {
            return;
        }
        self.note(host, format_args!("{event:?}"));
        self.application.keep_event(self.queue.now(), host, event);
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

    /// The transport, and what it may read and write beside itself.
    pub(super) fn transport(&mut self) -> (&mut SimTransport, TransportContext<'_>) {
        let Self { transport, hosts, queue, coverage, .. } = self;
        (transport, TransportContext { hosts, queue, coverage })
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
        for output in blocked.outputs {
            self.handle_output(host, output, Cause::Timer);
        }
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
