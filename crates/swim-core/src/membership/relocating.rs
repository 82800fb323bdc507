//! Our own name at another address: what the dispute about it leads to.

use std::net::SocketAddr;

use super::Membership;
use crate::error::{AdvertiseRefusal, OperationError};
use crate::exchanges::Purpose;
use crate::member::{Advertised, Member, MemberRecord};
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::output::Destination;
use crate::relocation::{
    HeldElsewhere, MoveStep, OpenExchange, RelocationTurn, Response, members_to_tell,
    move_messages, name_taken,
};
use crate::time::Time;
use crate::timers::Timer;

impl Membership {
    /// Announces another address from here on, at which others reach us now: this machine got it,
    /// or what stands before it. Others take it as a move once nobody answers at the old one.
    ///
    /// Emits [`MembershipEvent::Moved`](crate::MembershipEvent::Moved) about ourselves if the
    /// address is new.
    ///
    /// # Errors
    /// When nobody can dial it, or we have left.
    pub fn set_advertise(&mut self, to: SocketAddr, now: Time) -> Result<(), AdvertiseRefusal> {
        self.effects.begin(now);
        AdvertiseRefusal::check(to, self.lifecycle.is_leaving())?;
        let before = self.members.me().clone();
        if before.address() != Advertised::from_socket(to).to_socket() {
            self.announce_place(&before, to);
        }
        Ok(())
    }

    fn announce_place(&mut self, before: &Member, to: SocketAddr) {
        let advertised = Advertised::from_socket(to);
        let me = Member::new(MemberRecord { advertised, ..before.record().clone() });
        self.members.set_alive(MemberIndex::ME, me);
        self.outrank(before.incarnation());
        self.report_move(before, self.local());
        // Where others hold us shows in the answer, and with it whom to tell.
        self.push_pull_with_random_member();
    }

    /// The answer to an exchange of ours places us at another address.
    pub(super) fn wait_for_name(&mut self, exchange: OpenExchange, held: HeldElsewhere) {
        if self.relocation.has_room() {
            self.hear_of_own_name(held, Some(exchange));
        } else {
            self.name_is_taken(&exchange, held);
        }
    }

    /// Whether an answer that places us at another address is merged all the same: it is not the
    /// answer to a join, or comes from a member that has not taken our claim yet.
    pub(super) fn may_merge(&self, purpose: Purpose, held: HeldElsewhere) -> bool {
        let is_outdated = held.incarnation < self.members.me().incarnation();
        !purpose.is_join() || (self.relocation.other().is_some() && is_outdated)
    }

    /// It was merged.
    pub(super) fn merged_elsewhere(&mut self, exchange: OpenExchange, held: HeldElsewhere) {
        if !exchange.purpose.is_join() {
            self.relocation.begin_anew(held, self.effects.now());
            // It begins to tell those who are known.
            self.push_pull_succeeded(exchange.to.address, exchange.purpose);
            return;
        }
        self.begin_telling();
        self.repeat_later(exchange, held);
    }

    fn repeat_later(&mut self, exchange: OpenExchange, held: HeldElsewhere) {
        if let Err(exchange) = self.relocation.repeat_later(exchange) {
            self.name_is_taken(&exchange, held);
        }
    }

    fn name_is_taken(&mut self, exchange: &OpenExchange, held: HeldElsewhere) {
        let error = name_taken(self.members.me(), held.address);
        self.push_pull_failed(exchange.to.address, exchange.purpose, error);
    }

    /// Our name is held at another address, as somebody says.
    pub(super) fn hear_of_own_name(&mut self, held: HeldElsewhere, again: Option<OpenExchange>) {
        match self.relocation.hear(held, again, self.effects.now()) {
            Response::Probe => self.ask_other_place(held),
            Response::Claim => self.claim_own_name(),
            Response::Outrank => self.outrank(held.incarnation),
            Response::Wait => {}
        }
    }

    fn ask_other_place(&mut self, held: HeldElsewhere) {
        let me = self.members.me().clone();
        let (other, alive) = (held.address.to_socket(), me.record().to_alive());
        self.examiner().ask_place(me.name(), other, Some(&alive));
        let deadline = self.effects.now() + self.config.ack_timeout();
        self.effects.set_timer(Timer::Relocation, deadline);
    }

    /// Somebody answered to our name at the other place.
    pub(super) fn other_place_answered(&mut self, address: SocketAddr) {
        let Some(held) = self.relocation.probed_at(address) else { return };
        self.effects.clear_timer(Timer::Relocation);
        self.report_conflict(MemberIndex::ME, held.address, address);
        for exchange in self.relocation.end() {
            self.name_is_taken(&exchange, held);
        }
    }

    /// Nobody is at the other place: the name is ours.
    fn claim_own_name(&mut self) {
        let Some(held) = self.relocation.other() else { return };
        self.outrank(held.incarnation);
        let waiting = self.relocation.claim(self.effects.now());
        // Should none of these exchanges end well, whoever is known is told all the same.
        let patience = self.config.stream_timeout * if waiting.is_empty() { 0 } else { 2 };
        self.effects.set_timer(Timer::Relocation, self.effects.now() + patience);
        self.repeat_exchanges(waiting);
    }

    /// One incarnation above what is held is for the steps towards Go.
    fn outrank(&mut self, incarnation: u32) {
        self.members.outrank(incarnation.saturating_add(1));
        self.effects.count().refutes += 1;
        self.gossip_about_me();
    }

    fn repeat_exchanges(&mut self, waiting: Vec<OpenExchange>) {
        for OpenExchange { to, purpose } in waiting {
            self.begin_push_pull(to, purpose);
        }
    }

    /// An exchange has shown us whom to tell.
    pub(super) fn begin_telling(&mut self) {
        if self.relocation.may_begin() {
            self.begin_step(MoveStep::Announce);
        }
    }

    pub(super) fn advance_relocation(&mut self) {
        match self.relocation.advance(&self.config, self.effects.now()) {
            RelocationTurn::Claim => self.claim_own_name(),
            RelocationTurn::Begin(step) => self.begin_step(step),
            RelocationTurn::Tell { step, members, next } => self.tell_some(step, &members, next),
            RelocationTurn::Done => self.end_relocation(),
        }
    }

    fn end_relocation(&mut self) {
        let waiting = self.relocation.end();
        self.repeat_exchanges(waiting);
    }

    fn begin_step(&mut self, step: MoveStep) {
        let members = members_to_tell(&self.members, step, |member| self.needs_leave(member));
        let waiting = self.relocation.begin_step(step, members, self.effects.now());
        if step == MoveStep::Return {
            self.gossip_about_me();
        }
        self.effects.set_timer(Timer::Relocation, self.effects.now());
        self.repeat_exchanges(waiting);
    }

    /// Whether a member may run Go. One that listed features does not, and where certificates prove
    /// names it examines moves by itself.
    fn needs_leave(&self, member: &Member) -> bool {
        !self.processes.names_are_proven()
            || self.dissemination.features(member.address()).is_none()
    }

    fn tell_some(&mut self, step: MoveStep, members: &[MemberName], next: Time) {
        self.effects.set_timer(Timer::Relocation, next);
        for name in members {
            self.tell_move(step, name);
        }
    }

    /// Tells one member of our move, in a packet of its own.
    fn tell_move(&mut self, step: MoveStep, name: &MemberName) {
        let Some(index) = self.members.find(name.as_bytes()) else { return };
        let Some(held) = self.relocation.other() else { return };
        let messages = move_messages(step, self.members.me().record(), &held.address);
        let to = Destination::of(self.members.get(index));
        self.effects.send_messages(to, &messages, false);
    }

    /// We leave: nobody needs to hear of a move any more. Returns with whom we would have joined.
    pub(super) fn stop_relocating(&mut self) -> Vec<Destination> {
        self.effects.clear_timer(Timer::Relocation);
        let waiting = self.relocation.end();
        for OpenExchange { to, purpose } in &waiting {
            self.push_pull_failed(to.address, *purpose, OperationError::HasLeft);
        }
        waiting.into_iter().map(|exchange| exchange.to).collect()
    }
}
