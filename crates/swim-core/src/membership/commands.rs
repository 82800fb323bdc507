//! What the application asks for.
//!
//! What is refused at once returns a refusal. Commands never wait: what takes time is an
//! operation, which ends with [`Output::Finished`](crate::Output::Finished).

use std::net::SocketAddr;
use std::time::Duration;

use super::Membership;
use crate::error::{BroadcastRefusal, MetaRefusal, OperationError, SendRefusal};
use crate::exchanges::{Purpose, Role};
use crate::failure_detector::{PendingAck, ping_to};
use crate::member::{Member, MemberRecord, MemberState};
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::output::{Destination, MembershipEvent, OperationId, Outcome};
use crate::push_pull;
use crate::reliable::OutgoingMessage;
use crate::time::Time;
use crate::timers::Timer;
use crate::update_queue::retransmit_limit;
use crate::wire::MAX_META;
use crate::wire::{Dead, MAX_PACKET, MAX_USER_MESSAGE, Message, crc};
use crate::with_sources::with_sources;

/// The most operations under way: pings, reliable messages and joins together.
pub(crate) const MAX_OPERATIONS: usize = 1024;

impl Membership {
    /// Joins the cluster of whoever is at `address`, and of `name` there if given, by one
    /// push-pull. Ends in [`Outcome::Joined`] or [`Outcome::Failed`]; on success the address
    /// becomes a seed too, until its member leaves or is purged.
    pub fn join(
        &mut self,
        address: SocketAddr,
        name: Option<MemberName>,
        now: Time,
    ) -> OperationId {
        self.effects.begin(now);
        let operation = self.effects.begin_operation();
        let address = canonical(address);
        let refusal = if self.lifecycle.is_leaving() {
            OperationError::HasLeft
        } else if address == self.members.me().address() {
            OperationError::OwnAddress(address)
        } else if self.effects.operations() > MAX_OPERATIONS {
            OperationError::TooManyOperations { limit: MAX_OPERATIONS }
        } else {
            self.begin_push_pull(Destination { address, name }, Purpose::Join(operation));
            return operation;
        };
        self.effects.finish(operation, Outcome::Failed(refusal));
        operation
    }

    /// Sets the seeds, replacing those set before; they are joined at once and again, from every
    /// second to every minute, for as long as there is a reason. At most 64.
    ///
    /// An empty list keeps the intent: while we are alone,
    /// [`Output::ResolveSeeds`](crate::Output::ResolveSeeds) asks for addresses again and again.
    /// After a leave this does nothing.
    pub fn set_seeds(&mut self, seeds: Vec<SocketAddr>, now: Time) {
        self.effects.begin(now);
        if !self.lifecycle.is_leaving() {
            let seeds = seeds.into_iter().map(canonical).collect();
            self.bootstrap.set_seeds(seeds, &mut self.effects);
        }
    }

    /// Leaves the cluster. Ends in [`Outcome::Left`] when as many distinct members as an update is
    /// retransmitted to have acknowledged it, when nobody is there, or when those that are there
    /// have stayed silent eight times.
    ///
    /// From then on the machine only answers: pings, push-pulls, and claims about itself.
    pub fn leave(&mut self, now: Time) -> OperationId {
        self.effects.begin(now);
        let operation = self.effects.begin_operation();
        if self.lifecycle.request_leave(operation, &mut self.effects) {
            self.begin_leave(operation);
        }
        operation
    }

    fn begin_leave(&mut self, operation: OperationId) {
        self.stop_probing();
        self.effects.clear_timer(Timer::PushPull);
        self.reliable.outgoing.stop(&mut self.effects);
        self.bootstrap.stop(&mut self.effects);
        let wanted = retransmit_limit(self.config.retransmit_multiplier, self.members.len());
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        self.lifecycle.begin_leave(operation, wanted.min(self.members.live_others()));
        let mut partners = self.cancel_push_pulls();
        partners.extend(self.stop_relocating());
        let now = self.effects.now();
        self.members.set_left(now);
        let me = self.local();
        log::info!("leaving as {}", me.name());
        self.queue_update(MemberIndex::ME, &Message::Dead(departure_of(me.record())), None);
        self.effects.emit(MembershipEvent::Left(me));
        for partner in partners {
            self.tell_departure_to_unknown(partner);
        }
        self.advance_leave();
    }

    /// Ends every push-pull that we began; returns with whom.
    fn cancel_push_pulls(&mut self) -> Vec<Destination> {
        let mut partners = Vec::new();
        for id in self.exchanges.own_push_pulls() {
            let role = self.exchanges.abandon(id, &mut self.effects);
            if let Some(Role::PushPull { to, purpose }) = role {
                self.push_pull_failed(to.address, purpose, OperationError::HasLeft);
                partners.push(to);
            }
        }
        partners
    }

    /// Whoever we were just joining through may know us already though we do not know it yet: it
    /// is told once, without waiting for an acknowledgement.
    fn tell_departure_to_unknown(&mut self, to: Destination) {
        if !self.members.is_live_at(to.address) {
            let departure = Message::Dead(departure_of(self.members.me().record()));
            self.effects.send_messages(to, &[departure], false);
        }
    }

    pub(super) fn advance_leave(&mut self) {
        let told = self.lifecycle.advance_leave(&self.members, &self.config, &mut self.effects);
        for index in told {
            self.tell_departure(index);
        }
    }

    fn tell_departure(&mut self, index: MemberIndex) {
        let Self { detector, members, config, effects, .. } = self;
        let (me, member) = (members.me().record(), members.get(index));
        let pending = PendingAck::Leave { target: member.name().clone() };
        let sequence = detector.await_ack(pending, config, effects);
        let messages =
            [Message::Dead(departure_of(me)), Message::Ping(ping_to(member.name(), me, sequence))];
        let checksum = member.record().checks_checksums();
        effects.send_messages(Destination::of(member), &messages, checksum);
    }

    pub(super) fn push_pull_with_random_member(&mut self) {
        let counted = self.counted_members();
        let Self { members, config, effects, processes, .. } = self;
        let interval = push_pull::interval(config.push_pull_interval, counted);
        // Zero is never: this one exchange follows a suspension.
        if !interval.is_zero() {
            effects.set_timer(Timer::PushPull, effects.now() + interval);
        }
        let is_there = |index, member: &Member| {
            index != MemberIndex::ME && member.state() == MemberState::Alive
        };
        // Most exchanges are not wasted on members that somebody may have invented.
        let takes_any = effects.rng().below(UNHEARD_PARTNERS) == 0;
        let mut partner = members.draw(1, effects.rng(), |index, member| {
            is_there(index, member) && (takes_any || processes.was_heard(index))
        });
        if partner.is_empty() {
            partner = members.draw(1, effects.rng(), is_there);
        }
        // Without another member that is alive there is nobody to exchange with.
        if let Some(partner) = partner.first() {
            let partner = Destination::of(members.get(*partner));
            self.begin_push_pull(partner, Purpose::Periodic);
        }
    }

    pub(super) fn join_seeds(&mut self) {
        let seeds = self.bootstrap.begin_round(&self.members, &mut self.effects);
        // Without a reason to join there is no next round either.
        let Some(seeds) = seeds else { return };
        for address in seeds {
            self.begin_push_pull(Destination { address, name: None }, Purpose::Bootstrap);
        }
        self.bootstrap.schedule_round(&mut self.effects);
    }

    pub(super) fn begin_push_pull(&mut self, to: Destination, purpose: Purpose) {
        if self.lifecycle.is_leaving() {
            return self.push_pull_failed(to.address, purpose, OperationError::HasLeft);
        }
        self.refresh_user_state(purpose.is_join());
        let Self { exchanges, members, config, effects, .. } = self;
        if let Err(error) = exchanges.begin_push_pull(&to, purpose, members, config, effects) {
            self.push_pull_failed(to.address, purpose, error);
        }
    }

    pub(super) fn push_pull_failed(
        &mut self,
        address: SocketAddr,
        purpose: Purpose,
        error: OperationError,
    ) {
        self.effects.count().exchanges_failed += 1;
        log::debug!("push-pull with {address} failed: {}", with_sources(&error));
        match purpose {
            Purpose::Join(operation) => self.effects.finish(operation, Outcome::Failed(error)),
            Purpose::Bootstrap => {
                self.bootstrap.tried(address);
                if matches!(error, OperationError::LeadsToOurselves(_)) {
                    self.bootstrap.retry_soon(&mut self.effects);
                }
                self.effects.emit(MembershipEvent::SeedTried { address, error: Some(error) });
            }
            Purpose::Periodic => {}
        }
    }

    /// This process, or the whole host, stood still for `away`, which the driver's clock may not
    /// show: others may have declared us dead and forgotten us, and what we believe is as old.
    ///
    /// Emits [`MembershipEvent::Resumed`], exchanges states with a member at once, joins the seeds
    /// again, and declares nobody dead for one probe interval.
    pub fn handle_resumed(&mut self, away: Duration, now: Time) {
        self.effects.begin(now);
        self.resume(away);
    }

    pub(super) fn resume(&mut self, away: Duration) {
        if self.lifecycle.is_leaving() {
            return;
        }
        log::info!("resumed after {away:?}");
        self.effects.emit(MembershipEvent::Resumed { away });
        let (now, interval) = (self.effects.now(), self.config.min_report_interval());
        // Answers that came meanwhile were not heard: a round says nothing about its target.
        for end in self.detector.abandon_rounds(&mut self.effects) {
            self.end_round(end);
        }
        let (notice, end) = (now + interval / 2, now + interval);
        self.effects.postpone_suspicions(notice, end);
        self.push_pull_with_random_member();
        if self.effects.deadline(Timer::PushPull).is_some() {
            // The connection of the first exchange may be gone at its other end: once more.
            self.effects.set_timer(Timer::PushPull, end);
        }
        self.bootstrap.resumed(&mut self.effects);
    }

    /// Changes what others shall know of us, and gossips it.
    ///
    /// # Errors
    /// When there is too much of it, or we have left.
    pub fn set_meta(&mut self, meta: Vec<u8>, now: Time) -> Result<(), MetaRefusal> {
        self.effects.begin(now);
        if self.lifecycle.is_leaving() {
            return Err(MetaRefusal::HasLeft);
        }
        if meta.len() > MAX_META {
            return Err(MetaRefusal::TooLarge { len: meta.len(), limit: MAX_META });
        }
        let changed = self.members.me().meta() != meta;
        self.members.set_meta(meta);
        self.gossip_about_me();
        if changed {
            self.effects.emit(MembershipEvent::Updated(self.local()));
        }
        Ok(())
    }

    /// Sends `payload` once, best effort, to every other member that is alive.
    ///
    /// # Errors
    /// When it does not fit one packet, too many are under way, or we have left.
    pub fn broadcast(&mut self, payload: Vec<u8>, now: Time) -> Result<(), BroadcastRefusal> {
        self.effects.begin(now);
        if self.lifecycle.is_leaving() {
            return Err(BroadcastRefusal::HasLeft);
        }
        let limit = self.dissemination.broadcast_limit(&self.config, &self.effects);
        if payload.len() > limit {
            return Err(BroadcastRefusal::TooLarge { len: payload.len(), limit });
        }
        let limit = self.config.max_broadcasts;
        if self.dissemination.queued_broadcasts() >= limit {
            return Err(BroadcastRefusal::QueueFull { limit });
        }
        let Self { dissemination, members, config, effects, .. } = self;
        dissemination.queue_broadcast(&payload, members, config, effects);
        Ok(())
    }

    /// Sends `payload` to one member, best effort, in one packet.
    ///
    /// # Errors
    /// When the member is not there, or the payload does not fit 65,535 bytes with its layers.
    pub fn send(&mut self, to: &MemberName, payload: &[u8], now: Time) -> Result<(), SendRefusal> {
        self.effects.begin(now);
        let index = self.find_live(to)?;
        let overhead = self.effects.encoder().packet_overhead() + crc::HEADER_LENGTH + 1;
        check_length(payload, MAX_PACKET - overhead)?;
        let member = self.members.get(index);
        let checksum = member.record().checks_checksums();
        self.effects.send_messages(Destination::of(member), &[Message::User(payload)], checksum);
        Ok(())
    }

    /// Sends `payload` to one member on a stream, after those sent to it before. Ends in
    /// [`Outcome::Delivered`], whose report says how much that means, or in [`Outcome::Failed`],
    /// after `timeout` at the latest.
    ///
    /// What has not been written by then ends as [`OperationError::TimedOut`] and never will be;
    /// what has, as [`OperationError::Unknown`]. Until then it is sent again when a connection is
    /// lost, and delivered once all the same.
    ///
    /// # Errors
    /// When the member is not there, the payload exceeds 20 MiB less its layers, or too many
    /// operations are under way.
    pub fn send_reliable(
        &mut self,
        to: &MemberName,
        payload: &[u8],
        timeout: Duration,
        now: Time,
    ) -> Result<OperationId, SendRefusal> {
        self.effects.begin(now);
        let index = self.find_live(to)?;
        // An encrypted message must not exceed 20 MiB, and one so long is not compressed.
        let limit = MAX_USER_MESSAGE - 128;
        check_length(payload, limit)?;
        let operation = self.admit_operation()?;
        let destination = Destination::of(self.members.get(index));
        let payload = payload.to_vec();
        let message = OutgoingMessage { operation, payload, deadline: now + timeout };
        self.reliable.outgoing.send(destination, to, message, &mut self.effects);
        Ok(operation)
    }

    /// Pings one member. Ends in [`Outcome::Pong`] or [`Outcome::Failed`] and says nothing about
    /// its state.
    ///
    /// # Errors
    /// When the member is not known, or too many operations are under way.
    pub fn ping(&mut self, to: &MemberName, now: Time) -> Result<OperationId, SendRefusal> {
        self.effects.begin(now);
        let index = self.find(to)?;
        let operation = self.admit_operation()?;
        let to = Destination::of(self.members.get(index));
        let target = self.members.get(index).name().clone();
        let (address, sent) = (to.address, now);
        let pending = PendingAck::User { operation, target: target.clone(), address, sent };
        self.send_ping(to, &target, pending);
        Ok(operation)
    }

    fn find(&self, name: &MemberName) -> Result<MemberIndex, SendRefusal> {
        let index = self.members.find(name.as_bytes());
        index.ok_or_else(|| SendRefusal::UnknownMember(name.clone()))
    }

    pub(super) fn find_live(&self, name: &MemberName) -> Result<MemberIndex, SendRefusal> {
        if self.lifecycle.is_leaving() {
            return Err(SendRefusal::HasLeft);
        }
        let index = self.find(name)?;
        if self.members.get(index).state().is_live() {
            Ok(index)
        } else {
            Err(SendRefusal::NotAlive(name.clone()))
        }
    }

    pub(super) fn admit_operation(&mut self) -> Result<OperationId, SendRefusal> {
        if self.effects.operations() < MAX_OPERATIONS {
            Ok(self.effects.begin_operation())
        } else {
            Err(SendRefusal::TooManyOperations { limit: MAX_OPERATIONS })
        }
    }
}

pub(super) fn check_length(payload: &[u8], limit: usize) -> Result<(), SendRefusal> {
    if payload.len() > limit {
        return Err(SendRefusal::TooLarge { len: payload.len(), limit });
    }
    Ok(())
}

/// One exchange in so many may go to a member from which nothing was heard.
const UNHEARD_PARTNERS: usize = 4;

/// A leave is a dead message about its sender.
pub(super) fn departure_of(me: &MemberRecord) -> Dead<'_> {
    let name = me.name.as_bytes();
    Dead { incarnation: me.incarnation, node: name, from: name }
}

/// IPv4-mapped addresses are IPv4.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
