//! Hosts that hang: blocked for a while, running for a while.
//!
//! What arrives meanwhile waits and is handed over in one go, as by a kernel's buffers.

use crate::output::Output;
use crate::sim::coverage::Counted;
use crate::sim::fault::{HostId, Stall};
use crate::sim::host::{Cycle, Held};
use crate::sim::simulation::{Cause, SimEvent, Simulation};

use std::time::Duration;

impl Simulation {
    /// Makes a host hang for `blocked`, run for `running`, and so on until
    /// [`end_stall`](Self::end_stall).
    pub fn stall(&mut self, host: HostId, how: Stall, blocked: Duration, running: Duration) {
        self.end_stall(host);
        self.cycles += 1;
        let cycle = Cycle { number: self.cycles, how, blocked, running };
        self.hosts[host.index()].cycle = Some(cycle);
        self.block(host, cycle.number);
    }

    /// Lets a host run again for good.
    pub fn end_stall(&mut self, host: HostId) {
        self.hosts[host.index()].cycle = None;
        self.release(host);
    }

    /// Whether a host is anomalous at present: blocked, or running between blocks.
    #[must_use]
    pub fn is_stalling(&self, host: HostId) -> bool {
        self.hosts[host.index()].cycle.is_some()
    }

    pub(super) fn block(&mut self, host: HostId, number: u32) {
        let state = &mut self.hosts[host.index()];
        let Some(cycle) = state.cycle.filter(|cycle| cycle.number == number) else {
            return;
        };
        let Some(life) = &mut state.life else {
            // It may be up again by then.
            self.agenda.plan(self.now + cycle.blocked, SimEvent::Block { host, cycle: number });
            return;
        };
        life.held = Some(Held::new(cycle.how));
        let life = life.number;
        self.coverage.add(match cycle.how {
            Stall::Driver => Counted::StalledDriver,
            Stall::Network => Counted::StalledNetwork,
        });
        self.note(host, "stalls");
        let until = self.now + cycle.blocked;
        self.agenda.plan(until, SimEvent::Unblock { host, life, cycle: number });
    }

    pub(super) fn unblock(&mut self, host: HostId, life: u32, number: u32) {
        let state = &self.hosts[host.index()];
        let Some(cycle) = state.cycle.filter(|cycle| cycle.number == number) else {
            return;
        };
        if state.life.as_ref().is_some_and(|current| current.number == life) {
            self.release(host);
        }
        self.agenda.plan(self.now + cycle.running, SimEvent::Block { host, cycle: number });
    }

    /// Keeps what a stalled machine wants to send; from then on it is stuck in that send.
    pub(super) fn hold(&mut self, host: HostId, output: Output) {
        if let Some(life) = &mut self.hosts[host.index()].life
            && let Some(held) = &mut life.held
        {
            held.stuck = true;
            held.outputs.push(output);
        }
    }

    fn release(&mut self, host: HostId) {
        let Some(held) = self.hosts[host.index()].life.as_mut().and_then(|life| life.held.take())
        else {
            return;
        };
        self.note(host, "runs again");
        for output in held.outputs {
            self.carry_out(host, output, Cause::Timer);
        }
        if held.how == Stall::Network {
            self.act_on_timers(host);
            self.settle(host, Cause::Timer);
        }
        for arrival in held.arrivals {
            self.hand_over(host, arrival);
        }
        self.act_on_timers(host);
        self.settle(host, Cause::Timer);
    }
}
