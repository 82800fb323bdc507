//! One turn of one host: something is handed over, and what the machine wants is carried out.
//!
//! Keeps the one rule of a driver: drain what the machine wants before the next call.

use crate::output::Output;
use crate::sim::coverage::Counted;
use crate::sim::fault::HostId;
use crate::sim::host::{Arrival, Host, Order};
use crate::sim::simulation::{Cause, SimEvent, Simulation};

impl Simulation {
    /// Lets overdue timers act.
    pub(super) fn act_on_timers(&mut self, host: HostId) {
        let now = self.now;
        let Host { clock, life: Some(life), .. } = &mut self.hosts[host.index()] else {
            return;
        };
        let local = clock.local(now);
        if life.machine.poll_timeout().is_some_and(|due| due <= local) {
            life.machine.handle_timeout(local);
        }
    }

    /// Something reaches a host: at once, or when it is no longer stalled.
    pub(super) fn arrive(&mut self, host: HostId, number: u32, arrival: Arrival) {
        let Some(life) = &mut self.hosts[host.index()].life else {
            self.count_lost(&arrival);
            return;
        };
        if life.number != number {
            self.count_lost(&arrival);
            return;
        }
        if let Some(held) = &mut life.held {
            if !held.keep(arrival) {
                self.coverage.add(Counted::ReceiveBufferFull);
            }
            return;
        }
        self.hand_over(host, arrival);
    }

    /// Gives a machine what arrived for it.
    pub(super) fn hand_over(&mut self, host: HostId, arrival: Arrival) {
        let now = self.now;
        if let Arrival::Packet { from, bytes } = &arrival {
            self.tap_before(host, *from, bytes);
        }
        if self.trace.is_on() {
            self.trace_arrival(host, &arrival);
        }
        let peer = match &arrival {
            Arrival::Packet { from, .. } | Arrival::StreamOpened { from, .. } => {
                Some(self.hosts[from.index()].peer.clone())
            }
            Arrival::StreamData { .. }
            | Arrival::StreamFailed { .. }
            | Arrival::SendFailed { .. }
            | Arrival::PacketLimit { .. }
            | Arrival::Order(_) => None,
        };
        let Host { clock, life: Some(life), .. } = &mut self.hosts[host.index()] else {
            return;
        };
        let local = clock.local(now);
        let machine = &mut life.machine;
        let cause = match (arrival, peer) {
            (Arrival::Packet { bytes, .. }, Some(peer)) => {
                machine.handle_packet(&peer, &bytes, local);
                Cause::Packet
            }
            (Arrival::StreamOpened { id, .. }, Some(peer)) => {
                machine.handle_stream_opened(id, &peer, local);
                Cause::Stream
            }
            (Arrival::StreamData { id, bytes, fin }, _) => {
                machine.handle_stream_data(id, &bytes, fin, local);
                Cause::Stream
            }
            (Arrival::StreamFailed { id, reason }, _) => {
                machine.handle_stream_failed(id, reason, local);
                Cause::Stream
            }
            (Arrival::SendFailed { to }, _) => {
                machine.handle_send_failed(to, local);
                Cause::Timer
            }
            (Arrival::PacketLimit { to, limit }, _) => {
                machine.handle_packet_limit(to, limit, local);
                Cause::Order
            }
            (Arrival::Order(order), _) => {
                self.obey(host, order);
                return;
            }
            (Arrival::Packet { .. } | Arrival::StreamOpened { .. }, None) => return,
        };
        self.settle(host, cause);
    }

    /// Carries out everything that a machine wants, and plans its next wake.
    pub(super) fn settle(&mut self, host: HostId, cause: Cause) {
        while let Some(life) = &mut self.hosts[host.index()].life {
            let Some(output) = life.machine.poll_output() else {
                break;
            };
            self.digest_output(host, &output);
            if life_is_held(&mut self.hosts[host.index()], &output) {
                self.hold(host, output);
            } else {
                self.carry_out(host, output, cause);
            }
        }
        self.plan_wake(host);
        self.look_after_step(host, cause);
    }

    pub(super) fn plan_wake(&mut self, host: HostId) {
        let now = self.now;
        let Host { clock, life: Some(life), .. } = &mut self.hosts[host.index()] else {
            return;
        };
        let Some(due) = life.machine.poll_timeout() else {
            return;
        };
        let at = clock.global(due).max(now);
        if life.wake.is_none_or(|planned| at < planned) {
            life.wake = Some(at);
            self.agenda.plan(at, SimEvent::Wake(host));
        }
    }

    pub(super) fn carry_out(&mut self, host: HostId, output: Output, cause: Cause) {
        match output {
            Output::Packet { to, bytes } => self.send_packet(host, &to, bytes),
            Output::OpenStream { id, to, bytes, deadline } => {
                self.open_stream(host, id, &to, bytes, deadline);
            }
            Output::WriteStream { id, bytes, finish } => {
                self.write_stream(host, id, bytes, finish);
            }
            Output::CloseStream { id } => self.close_stream(host, id),
            Output::ForgetPeer { address } => self.note_release(host, address, cause),
            Output::ResolveSeeds => {
                let seeds = self.hosts[host.index()].seeds.clone();
                self.plan_order(host, Order::Seeds(seeds));
            }
            Output::Finished { operation, outcome } => {
                self.note_finished(host, operation, &outcome);
            }
            Output::Event(event) => self.note_event(host, event, cause),
        }
    }

    fn digest_output(&mut self, host: HostId, output: &Output) {
        let digest = &mut self.digest;
        digest.word(self.now.as_micros());
        digest.word(u64::from(host.0));
        digest.output(output);
    }
}

/// Whether an output has to wait until the host runs again.
fn life_is_held(host: &mut Host, output: &Output) -> bool {
    let to_network = match output {
        Output::Packet { .. }
        | Output::OpenStream { .. }
        | Output::WriteStream { .. }
        | Output::CloseStream { .. } => true,
        Output::ForgetPeer { .. }
        | Output::ResolveSeeds
        | Output::Finished { .. }
        | Output::Event(_) => false,
    };
    to_network && host.life.as_ref().is_some_and(|life| life.held.is_some())
}
