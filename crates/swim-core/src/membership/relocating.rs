//! Our own name at another address: we find out who is there, claim the name, and tell others.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::Membership;
use super::moves::held_alive;
use crate::error::OperationError;
use crate::exchanges::Purpose;
use crate::member::{Advertised, Member, MemberState, Peer};
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::output::Destination;
use crate::push_pull::state_of;
use crate::relocation::{HeldElsewhere, MoveStep, RelocationTurn, Response, name_taken};
use crate::timers::Timer;
use crate::wire::{Alive, Dead, Message, PushPull};

impl Membership {
    /// Our own entry in a state, if it places us at another address.
    pub(super) fn own_entry_elsewhere(&self, theirs: &PushPull<'_>) -> Option<HeldElsewhere> {
        let me = self.members.me().record();
        let own = theirs.nodes.clone().find(|node| node.name == me.name.as_bytes())?;
        let address = Advertised::from_wire(own.addr?, own.port)?;
        let is_live = state_of(own.state).is_some_and(MemberState::is_live);
        let elsewhere = HeldElsewhere { address, incarnation: own.incarnation, is_live };
        (address != me.advertised && own.incarnation < u32::MAX).then_some(elsewhere)
    }

    /// Whether we began an exchange that reached us: the sender has our name, and its own state
    /// places it at our address. Only a certificate of one name says whose state it is.
    pub(super) fn is_ourselves(&self, from: &Peer, theirs: &PushPull<'_>) -> bool {
        let me = self.members.me().record();
        let is_here = |address| Some(me.advertised) == address;
        matches!(&*from.names, [name] if *name == me.name)
            && theirs.nodes.clone().any(|node| {
                node.name == me.name.as_bytes()
                    && is_here(node.addr.and_then(|ip| Advertised::from_wire(ip, node.port)))
            })
    }

    /// The answer to an exchange of ours places us at another address.
    pub(super) fn receive_state_elsewhere(
        &mut self,
        to: &Destination,
        purpose: Purpose,
        theirs: &PushPull<'_>,
        held: HeldElsewhere,
    ) {
        let again = (to.clone(), purpose);
        let is_known =
            self.relocation.other().is_some() && held.incarnation < self.members.me().incarnation();
        if !purpose.is_join() || is_known {
            if let Err(error) = self.merge_answer(to, theirs) {
                self.push_pull_failed(to.address, purpose, error);
            } else if purpose.is_join() {
                self.begin_telling();
                self.repeat_later(again, held);
            } else {
                if self.relocation.begin_anew(held, self.effects.now()) {
                    self.begin_telling();
                }
                self.push_pull_succeeded(to.address, purpose);
            }
        } else if self.relocation.has_room() {
            self.hear_of_own_name(held, Some(again));
        } else {
            let limit = crate::membership::commands::MAX_OPERATIONS;
            let error = OperationError::TooManyOperations { limit };
            self.push_pull_failed(to.address, purpose, error);
        }
    }

    fn repeat_later(&mut self, again: (Destination, Purpose), held: HeldElsewhere) {
        if let Err((to, purpose)) = self.relocation.repeat_later(again) {
            let me = self.members.me().record();
            let error = name_taken(&me.name, held.address, me.advertised);
            self.push_pull_failed(to.address, purpose, error);
        }
    }

    /// Our name is held at another address, as somebody says.
    pub(super) fn hear_of_own_name(
        &mut self,
        held: HeldElsewhere,
        again: Option<(Destination, Purpose)>,
    ) {
        match self.relocation.hear(held, again, self.effects.now()) {
            Response::Probe => {
                let me = self.members.me().clone();
                let (name, alive) = (me.name(), held_alive(me.record()));
                self.ask_place(name, held.address.to_socket(), Some(&alive));
                let deadline = self.effects.now() + self.config.ack_timeout();
                self.effects.set_timer(Timer::Relocation, deadline);
            }
            Response::Claim => self.claim_own_name(),
            Response::Outrank => self.outrank(held.incarnation),
            Response::Wait => {}
        }
    }

    /// Somebody answered to our name at the other place.
    pub(super) fn other_place_answered(&mut self, address: SocketAddr) {
        let Some((other, _)) = self.relocation.other().filter(|_| self.relocation.is_probing())
        else {
            return;
        };
        if other.to_socket() != address {
            return;
        }
        self.effects.clear_timer(Timer::Relocation);
        self.report_conflict(MemberIndex::ME, other, address);
        let me = self.members.me().clone();
        for (to, purpose) in self.relocation.end() {
            let error = name_taken(me.name(), other, me.record().advertised);
            self.push_pull_failed(to.address, purpose, error);
        }
    }

    /// Nobody is at the other place: the name is ours.
    fn claim_own_name(&mut self) {
        let Some((_, incarnation)) = self.relocation.other() else { return };
        self.outrank(incarnation);
        let waiting = self.relocation.claim(self.effects.now());
        if waiting.is_empty() {
            self.begin_telling();
            return;
        }
        // Should none of these exchanges end well, whoever is known is told all the same.
        let patience = self.effects.now() + self.config.stream_timeout * 2;
        self.effects.set_timer(Timer::Relocation, patience);
        self.repeat_exchanges(waiting);
    }

    /// One incarnation above what is held is for the steps towards Go.
    fn outrank(&mut self, incarnation: u32) {
        self.members.outrank(incarnation.saturating_add(1));
        self.effects.count().refutes += 1;
        self.gossip_about_me();
        self.dissemination.expedite_gossip(&self.config, &mut self.effects);
    }

    fn repeat_exchanges(&mut self, waiting: Vec<(Destination, Purpose)>) {
        for (to, purpose) in waiting {
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
            RelocationTurn::Begin(step) => {
                let waiting = self.relocation.take_waiting();
                self.begin_step(step);
                self.repeat_exchanges(waiting);
            }
            RelocationTurn::Tell { step, members, next } => {
                for name in members {
                    self.tell_move(step, &name);
                }
                self.effects.set_timer(Timer::Relocation, next);
            }
            RelocationTurn::Done => {
                let waiting = self.relocation.end();
                self.repeat_exchanges(waiting);
            }
        }
    }

    fn begin_step(&mut self, step: MoveStep) {
        let told = |(index, member): (MemberIndex, &Member)| {
            let is_told = index != MemberIndex::ME
                && member.state().is_live()
                && (step == MoveStep::Announce || !self.examines_moves(member));
            is_told.then(|| member.name().clone())
        };
        let members: VecDeque<MemberName> = self.members.iter().filter_map(told).collect();
        if step == MoveStep::Return && !members.is_empty() {
            self.gossip_about_me();
        }
        self.relocation.tell(step, members, self.effects.now());
        self.advance_relocation();
    }

    /// Whether a member examines moves by itself, so that it needs no leave in between.
    fn examines_moves(&self, member: &Member) -> bool {
        let _ = member;
        false
    }

    /// Tells one member of our move, in a packet of its own: first that we are alive here, so that
    /// a member that examines moves takes what follows for a step of it.
    fn tell_move(&mut self, step: MoveStep, name: &MemberName) {
        let Some(index) = self.members.find(name.as_bytes()) else { return };
        let Some((other, _)) = self.relocation.other() else { return };
        let to = Destination::of(self.members.get(index));
        let me = self.members.me().clone();
        let alive = held_alive(me.record());
        let before = me.incarnation().saturating_sub(1);
        let node = me.name().as_bytes();
        let announcement = Message::Alive(alive);
        match step {
            MoveStep::Announce | MoveStep::Return => {
                self.effects.send_messages(to, &[announcement], false);
            }
            MoveStep::Revive => {
                let old = Alive {
                    incarnation: before,
                    addr: Some(other.ip_bytes()),
                    port: other.port,
                    ..alive
                };
                self.effects.send_messages(to, &[announcement, Message::Alive(old)], false);
            }
            MoveStep::Leave => {
                let leave = Message::Dead(Dead { incarnation: before, node, from: node });
                self.effects.send_messages(to, &[announcement, leave], false);
            }
        }
    }

    /// We leave: nobody needs to hear of a move any more. Returns with whom we would have joined.
    pub(super) fn stop_relocating(&mut self) -> Vec<Destination> {
        self.effects.clear_timer(Timer::Relocation);
        let waiting = self.relocation.end();
        let fail = |(to, purpose): (Destination, Purpose)| {
            self.push_pull_failed(to.address, purpose, OperationError::HasLeft);
            to
        };
        waiting.into_iter().map(fail).collect()
    }
}
