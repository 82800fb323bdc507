//! Members that come back at another address: their claims are examined, then accepted or refused.
//!
//! A claim is accepted when a certificate proves the name on a connection to the claimant, nobody
//! answers at the old address, and the incarnation is above the one held: whoever comes with a
//! lower one is told what is held. Each member examines for itself, so nobody has to be believed.

use std::net::SocketAddr;

use super::Membership;
use crate::address_claims::{AddressClaim, ExaminedClaim, HolderState, SILENCE_HOLDS};
use crate::failure_detector::{PendingAck, ping_to};
use crate::member::{Advertised, Member, MemberRecord, Peer};
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::output::{Destination, MembershipEvent, Output, StreamId, WarningKind};
use crate::timers::Timer;
use crate::verdict::Proof;
use crate::wire::{Alive, Dead, ErrorMessage, Message, PushPull};

/// Who brought a message, as far as claims of other addresses are concerned.
#[derive(Clone, Copy)]
pub(super) enum Bearer<'a> {
    /// Whoever is at the other end of the connection.
    Peer(&'a Peer),
    /// Whoever answered our exchange at this address; the transport does not say who proved what.
    Answer(SocketAddr),
}

impl Bearer<'_> {
    pub(super) fn address(self) -> SocketAddr {
        match self {
            Self::Peer(peer) => peer.address,
            Self::Answer(address) => address,
        }
    }
}

impl Membership {
    pub(super) fn proof_of(&self, bearer: Bearer<'_>, node: &[u8]) -> Proof {
        match bearer {
            Bearer::Peer(peer) if peer.names.is_empty() => Proof::Unverified,
            Bearer::Peer(peer) if peer.speaks_for_bytes(node) => Proof::Proven,
            Bearer::Peer(_) => Proof::Hearsay,
            Bearer::Answer(_) if self.names_are_proven => Proof::Hearsay,
            Bearer::Answer(_) => Proof::Unverified,
        }
    }

    /// A claim of a member's name at another address than the one held.
    pub(super) fn examine_move(
        &mut self,
        index: MemberIndex,
        alive: &Alive<'_>,
        advertised: Advertised,
        (source, proof): (SocketAddr, Proof),
    ) {
        let (record, now) = (self.members.get(index).record(), self.effects.now());
        let (held, is_held_live) = (record.incarnation, record.state.is_live());
        let recent = now.before(self.config.gossip_to_the_dead);
        if is_held_live && self.address_claims.has_moved_since(index, recent) {
            self.report_conflict(index, advertised, source);
            return;
        }
        let is_proven = proof == Proof::Proven;
        if is_proven && alive.incarnation <= held {
            self.tell_claimant(index, advertised);
        }
        let claim = AddressClaim::new(alive, advertised, source);
        let Some(examined) = self.address_claims.get_mut(index) else {
            self.begin_examination(index, claim, is_proven);
            return;
        };
        if examined.claim.advertised != advertised {
            // One at a time: the next copy of this claim comes soon.
            self.effects.count().refused_conflict += 1;
            return;
        }
        examined.is_proven |= is_proven;
        if examined.claim.incarnation < claim.incarnation {
            examined.claim = claim;
        }
        self.decide(index);
    }

    fn begin_examination(&mut self, index: MemberIndex, claim: AddressClaim, is_proven: bool) {
        let member = self.members.get(index).clone();
        let holder = if member.state().is_live() { HolderState::Asked } else { HolderState::Gone };
        let claimant = claim.advertised;
        let notice = is_proven.then(|| claim.clone());
        if !self.address_claims.begin(index, ExaminedClaim::new(claim, is_proven, holder)) {
            self.effects.count().refused_conflict += 1;
            return;
        }
        let deadline = self.effects.now() + self.config.ack_timeout();
        self.effects.set_timer(Timer::AddressClaim(index), deadline);
        if holder == HolderState::Asked {
            // The holder, if it is there, hears who claims its name.
            let name = member.name();
            let notice = notice.as_ref().map(|claim| claim.as_alive(name.as_bytes()));
            self.ask_place(name, member.address(), notice.as_ref());
        }
        if !is_proven {
            self.ask_place(member.name(), claimant.to_socket(), None);
        }
        self.decide(index);
    }

    /// Pings a member at an address where it may be. Without an expected name, so that the ping
    /// does not travel by a connection to the same name elsewhere; the ack must prove the name.
    pub(super) fn ask_place(
        &mut self,
        name: &MemberName,
        address: SocketAddr,
        notice: Option<&Alive<'_>>,
    ) {
        let pending = PendingAck::Place { target: name.clone(), address };
        let Self { detector, members, config, effects, .. } = self;
        let sequence = detector.await_ack(pending, config, effects);
        let ping = Message::Ping(ping_to(name, members.me().record(), sequence));
        let to = Destination { address, name: None };
        match notice {
            Some(alive) => effects.send_messages(to, &[ping, Message::Alive(*alive)], false),
            None => effects.send_messages(to, &[ping], false),
        }
    }

    /// A member answered at an address where it was asked for.
    pub(super) fn place_answered(&mut self, name: &MemberName, address: SocketAddr) {
        let Some(index) = self.members.find(name.as_bytes()) else { return };
        if index == MemberIndex::ME {
            self.other_place_answered(address);
            return;
        }
        let held = self.members.get(index).address();
        let Some(examined) = self.address_claims.get_mut(index) else { return };
        if examined.claim.advertised.to_socket() == address {
            examined.is_proven = true;
            self.decide(index);
        } else if held == address {
            self.refuse_move(index);
        }
    }

    /// The places of a claimed name have had time to answer.
    pub(super) fn examination_timed_out(&mut self, index: MemberIndex) {
        let Some(examined) = self.address_claims.get_mut(index) else { return };
        let was_asked = examined.holder == HolderState::Asked;
        examined.holder = HolderState::Gone;
        if !examined.is_proven || !was_asked {
            // Nobody answered anywhere, or the claimant did not come back.
            self.drop_claim(index);
            return;
        }
        let until = self.effects.now() + SILENCE_HOLDS;
        self.effects.set_timer(Timer::AddressClaim(index), until);
        self.decide(index);
    }

    /// Accepts a claim about which everything is known.
    fn decide(&mut self, index: MemberIndex) {
        let held = self.members.get(index).incarnation();
        let decided = self.address_claims.get(index).is_some_and(|examined| {
            examined.is_proven
                && examined.holder == HolderState::Gone
                && examined.claim.incarnation > held
        });
        if decided {
            self.accept_move(index);
        }
    }

    fn accept_move(&mut self, index: MemberIndex) {
        let Some(mut examined) = self.address_claims.end(index) else { return };
        self.effects.clear_timer(Timer::AddressClaim(index));
        let before = self.members.get(index).clone();
        let claim = &examined.claim;
        let alive = claim.as_alive(before.name().as_bytes());
        self.apply_alive(Some(index), &alive, claim.advertised, claim.source);
        if self.members.get(index).address() != before.address() {
            self.address_claims.note_move(index, self.effects.now());
            self.effects.push(Output::ForgetPeer { address: before.address() });
        }
        for stream in examined.take_waiting() {
            let state = self.exchanges.encode_state(true, &self.members);
            self.exchanges.answer_held(stream, &state, &mut self.effects);
        }
    }

    /// The holder of the name answered.
    fn refuse_move(&mut self, index: MemberIndex) {
        let Some(mut examined) = self.address_claims.end(index) else { return };
        self.effects.clear_timer(Timer::AddressClaim(index));
        let (advertised, source) = (examined.claim.advertised, examined.claim.source);
        self.report_conflict(index, advertised, source);
        let refusal = self.refusal_of(index, advertised);
        for stream in examined.take_waiting() {
            self.exchanges.answer_held(stream, &refusal, &mut self.effects);
        }
    }

    /// A claim of which nothing became.
    fn drop_claim(&mut self, index: MemberIndex) {
        let Some(mut examined) = self.address_claims.end(index) else { return };
        self.effects.clear_timer(Timer::AddressClaim(index));
        self.effects.count().refused_conflict += 1;
        let refusal = self.refusal_of(index, examined.claim.advertised);
        for stream in examined.take_waiting() {
            self.exchanges.answer_held(stream, &refusal, &mut self.effects);
        }
    }

    /// What a claimant is answered that does not get the name.
    pub(super) fn refusal_of(&self, index: MemberIndex, claimed: Advertised) -> Vec<u8> {
        let member = self.members.get(index);
        let text = format!(
            "{} is {} at {}, so it cannot be at {} as well: stop the other one, or give each \
             member its own name",
            member.name(),
            member.state(),
            member.address(),
            claimed.to_socket()
        );
        let mut message = Vec::new();
        ErrorMessage { error: text.as_bytes() }.encode(&mut message);
        message
    }

    /// The sender of a state, if it claims another address than the one held, with an incarnation
    /// that counts: its answer waits for the outcome.
    pub(super) fn claimant_of(
        &self,
        from: &Peer,
        theirs: &PushPull<'_>,
    ) -> Option<(MemberIndex, Advertised)> {
        if from.names.is_empty() {
            return None;
        }
        let mut own = theirs.nodes.clone().filter(|node| from.speaks_for_bytes(node.name));
        own.find_map(|node| {
            let index = self.members.find(node.name)?;
            let held = self.members.get(index).record();
            let claimed = Advertised::from_wire(node.addr?, node.port)?;
            let moves = held.advertised != claimed && node.incarnation > held.incarnation;
            (moves && index != MemberIndex::ME).then_some((index, claimed))
        })
    }

    /// Whether the join of a claimant can wait for the outcome of the examination.
    pub(super) fn hold_join(&mut self, index: MemberIndex, stream: StreamId) -> bool {
        self.address_claims.get_mut(index).is_some_and(|examined| examined.hold(stream))
    }

    /// A claimant is who it says it is, but its incarnation is too low: it is told what is held.
    /// Once per member and [`Config::min_report_interval`](crate::Config::min_report_interval).
    pub(super) fn tell_claimant(&mut self, index: MemberIndex, claimed: Advertised) {
        let (now, interval) = (self.effects.now(), self.config.min_report_interval());
        let member = self.members.get(index).clone();
        let record = member.record();
        let to = Destination { address: claimed.to_socket(), name: Some(record.name.clone()) };
        if record.state.is_live() {
            // It finds out by itself whether anybody is there.
            if self.address_claims.get(index).is_none() {
                self.effects.send_messages(to, &[Message::Alive(held_alive(record))], false);
            }
            return;
        }
        let Some(by) = self.members.notify(index, now, Some(interval)) else { return };
        let (incarnation, node) = (record.incarnation, record.name.as_bytes());
        let message = Message::Dead(Dead { incarnation, node, from: by.as_bytes() });
        self.effects.count().stale_alive_notified += 1;
        self.effects.send_messages(to, &[message], false);
    }

    /// The member was purged.
    pub(super) fn forget_claim(&mut self, index: MemberIndex) {
        self.effects.clear_timer(Timer::AddressClaim(index));
        if let Some(mut examined) = self.address_claims.forget(index) {
            for stream in examined.take_waiting() {
                let state = self.exchanges.encode_state(true, &self.members);
                self.exchanges.answer_held(stream, &state, &mut self.effects);
            }
        }
    }

    /// Warns if a member that appeared, or moved, announces the address of another live one: what
    /// is sent to one of the two goes to the other.
    pub(super) fn check_address(
        &mut self,
        before: Option<&Member>,
        member: &Member,
        source: SocketAddr,
    ) {
        let address = member.address();
        let is_known = |before: &Member| before.state().is_live() && before.address() == address;
        if before.is_some_and(is_known) {
            return;
        }
        let Some(other) = self.members.other_live_at(address, member.name()) else { return };
        let detail = format!(
            "{} announces {address}, which is {}'s address: one of the two is configured wrongly, \
             or has just taken the place of the other",
            member.name(),
            other.name()
        );
        self.effects.warn(WarningKind::SharedAddress, source, detail);
    }

    pub(super) fn report_move(&mut self, before: &Member, member: Member) {
        log::info!("{} moved from {} to {}", member.name(), before.address(), member.address());
        self.effects.count().moves += 1;
        let from = before.address();
        self.effects.emit(MembershipEvent::Moved { member, from });
    }
}

/// A member as an alive message, as it is held. The versions are zeros where it announced none,
/// as in Go.
pub(super) fn held_alive(record: &MemberRecord) -> Alive<'_> {
    Alive {
        incarnation: record.incarnation,
        node: record.name.as_bytes(),
        addr: Some(record.advertised.ip_bytes()),
        port: record.advertised.port,
        meta: record.meta.as_ref().map(|meta| meta.as_slice()),
        vsn: Some(record.versions.as_ref().unwrap_or(&[0; 6])),
    }
}
