//! The SWIM machine of one member: its contract, and the parts it is made of.
//!
//! Each part owns its state. A part reads the members and the configuration, writes to the
//! effects, and returns what other parts must do about it; only here they meet: `receive` has
//! what arrives, `claims` what follows from messages about members, `notices` what members are
//! told directly, `commands` what the application asks for, and `accessors` what changes nothing
//! that leaves the machine.

mod accessors;
mod claims;
pub(crate) mod commands;
mod hints;
mod moves;
mod notices;
mod observing;
mod pings;
mod receive;
mod reconfigure;
mod reliable_messages;
mod relocating;
mod removal;
mod user_state;
mod view;

use std::net::SocketAddr;
use std::time::Duration;

use crate::address_claims::AddressClaims;
use crate::answered_peers::DirectNotices;
use crate::bootstrap::Bootstrap;
use crate::config::Config;
use crate::config_error::ConfigError;
use crate::dissemination::Dissemination;
use crate::effects::Effects;
use crate::encoder::Encoder;
use crate::error::{OperationError, StreamFailure};
use crate::exchanges::{Exchanges, Role};
use crate::failure_detector::{FailureDetector, IndirectProbe, ProbeStep, ping_to};
use crate::hearsay::Hearsay;
use crate::hooks::Hooks;
use crate::lifecycle::Lifecycle;
use crate::member::{LocalMember, MemberState, Peer};
use crate::member_index::MemberIndex;
use crate::member_table::MemberTable;
use crate::output::{Destination, MembershipEvent, Outcome, Output, StreamId};
use crate::peer_processes::PeerProcesses;
use crate::reliable::ReliableMessages;
use crate::relocation::Relocation;
use crate::rng::{Rng, RngSeed};
use crate::shared_decoder::SharedDecoder;
use crate::time::Time;
use crate::timers::Timer;
use crate::view_digest::as_field;
use crate::wire::{Message, Ping, Suspect};

/// One member's view of its cluster.
///
/// Methods come in four kinds:
///
/// - `handle_*`: something arrived from the network, or a deadline passed;
/// - commands (`join`, `leave`, `broadcast`, ...): the application wants something;
/// - `poll_*`: what must now leave the machine;
/// - getters, taking `&self`.
///
/// After each `handle_*` or command, call [`poll_output`](Self::poll_output) until it returns
/// `None`; then sleep until [`poll_timeout`](Self::poll_timeout). `now` must never decrease.
/// Debug builds assert both.
///
/// Bounds: members by [`Config::max_members`], application broadcasts by
/// [`Config::max_broadcasts`], inbound streams 512, pings under way for others 1,024, operations
/// 1,024, seeds 64 of each kind. What is beyond is refused and counted.
///
/// ```
/// use std::net::SocketAddr;
/// use std::time::Duration;
/// use swim_core::{Config, LocalMember, MemberName, Membership, Output, RngSeed, Time};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let me = LocalMember {
///     name: MemberName::try_from("ada")?,
///     address: SocketAddr::from(([10, 0, 0, 1], 7946)),
///     meta: b"role=db".to_vec(),
/// };
/// // Take the seed from the operating system: see `RngSeed`.
/// let mut membership = Membership::new(Config::lan(), me, RngSeed([7; 32]), Time::ZERO)?;
/// let mut now = Time::ZERO;
/// for _turn in 0..3 {
///     while let Some(output) = membership.poll_output() {
///         match output {
///             Output::Packet { to, bytes } => println!("{} bytes to {}", bytes.len(), to.address),
///             Output::Event(event) => println!("{event:?}"),
///             other => println!("for the transport: {other:?}"),
///         }
///     }
///     // A real driver waits for a packet or the deadline, then reads its clock.
///     now = membership.poll_timeout().unwrap_or(now + Duration::from_secs(1));
///     membership.handle_timeout(now);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Membership {
    config: Config,
    hooks: Option<Box<dyn Hooks + Send>>,
    decoder: SharedDecoder,
    members: MemberTable,
    detector: FailureDetector,
    dissemination: Dissemination,
    exchanges: Exchanges,
    reliable: ReliableMessages,
    bootstrap: Bootstrap,
    lifecycle: Lifecycle,
    address_claims: AddressClaims,
    relocation: Relocation,
    processes: PeerProcesses,
    notices: DirectNotices,
    hearsay: Hearsay,
    effects: Effects,
}

impl Membership {
    /// A machine that knows only itself.
    ///
    /// # Errors
    /// When a setting would not work, our name is not UTF-8, or our metadata is too long.
    pub fn new(
        config: Config,
        me: LocalMember,
        seed: RngSeed,
        now: Time,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        me.validate()?;
        let encoder = Encoder::new(&config, seed)?;
        let mut rng = Rng::new(seed);
        let me = me.into_member(config.versions, now);
        let detector = FailureDetector::new(me.name(), &config, now);
        let members = MemberTable::new(me, rng.next_u64(), &config.label);
        let dissemination = Dissemination::new(now + rng.span(config.gossip_interval));
        let epoch = encoder.epoch();
        let mut membership = Self {
            hooks: None,
            decoder: SharedDecoder::default(),
            members,
            detector,
            dissemination,
            exchanges: Exchanges::new(),
            reliable: ReliableMessages::new(epoch, now),
            bootstrap: Bootstrap::new(),
            lifecycle: Lifecycle::new(),
            address_claims: AddressClaims::default(),
            relocation: Relocation::default(),
            processes: PeerProcesses::default(),
            notices: DirectNotices::default(),
            hearsay: Hearsay::default(),
            effects: Effects::new(now, rng, encoder),
            config,
        };
        membership.start();
        Ok(membership)
    }

    fn start(&mut self) {
        let Self { config, effects, .. } = self;
        effects.start_timer(Timer::Probe, config.probe_interval);
        effects.start_timer(Timer::PushPull, config.push_pull_interval);
        self.gossip_about_me();
        self.effects.emit(MembershipEvent::Joined(self.local()));
    }

    /// One packet arrived from `from`: a datagram, or what the transport carried instead.
    pub fn handle_packet(&mut self, from: &Peer, bytes: &[u8], now: Time) {
        self.effects.begin(now);
        self.hear_process(from);
        self.receive_packet(from, bytes);
    }

    /// The remote opened the stream `id`, an [incoming](StreamId::incoming) one.
    pub fn handle_stream_opened(&mut self, id: StreamId, from: &Peer, now: Time) {
        self.effects.begin(now);
        self.hear_process(from);
        self.exchanges.accept(id, from, &self.config, &mut self.effects);
    }

    /// Bytes arrived on a stream; `fin` when they are the last ones.
    pub fn handle_stream_data(&mut self, id: StreamId, bytes: &[u8], fin: bool, now: Time) {
        self.effects.begin(now);
        if !self.receive_reliable(id, bytes, fin) {
            self.receive_stream(id, bytes, fin);
        }
    }

    /// The transport gave a stream up.
    pub fn handle_stream_failed(&mut self, id: StreamId, reason: StreamFailure, now: Time) {
        self.effects.begin(now);
        if self.reliable.outgoing.has_stream(id) {
            self.reliable.outgoing.fail(id, reason, &mut self.effects);
        } else if self.reliable.incoming.has_stream(id) {
            self.reliable.incoming.fail(id, &mut self.effects);
        } else if let Some(role) = self.exchanges.fail(id, &mut self.effects) {
            self.exchange_failed(&role, reason.into());
        }
    }

    /// A packet to `to` could not be sent: as good as an answer that never comes.
    /// `reason` is what the application's pings end with.
    pub fn handle_send_failed(&mut self, to: SocketAddr, reason: StreamFailure, now: Time) {
        self.effects.begin(now);
        self.effects.count().sends_failed += 1;
        for target in self.detector.send_failed(to, reason, &mut self.effects) {
            self.advance_probe(target);
        }
    }

    /// A deadline passed.
    ///
    /// If the first one passed more than three probe intervals ago, we were not there meanwhile:
    /// see [`handle_resumed`](Self::handle_resumed).
    pub fn handle_timeout(&mut self, now: Time) {
        self.effects.begin(now);
        let due = self.effects.next_deadline().unwrap_or(now);
        let late = if due < now { now - due } else { Duration::ZERO };
        if late > 3 * self.config.min_report_interval() {
            self.resume(late);
        }
        while let Some((due, timer)) = self.effects.pop_due() {
            match timer {
                Timer::PendingAck(sequence) => self.ack_timed_out(sequence),
                Timer::ProbePhase(target) => self.advance_probe(target),
                Timer::SuspicionNotice(index) => self.notify_last(index),
                Timer::Suspicion(index) => self.suspicion_timed_out(index),
                Timer::Refusal(index) => self.probe_refused_again(index),
                Timer::AddressClaim(index) => self.examination_timed_out(index),
                Timer::Relocation => self.advance_relocation(),
                Timer::Stream(id) => self.stream_timed_out(id),
                Timer::Reliable(peer) => self.reliable.outgoing.timed_out(peer, &mut self.effects),
                Timer::Leave => self.advance_leave(),
                Timer::Watch(index) => self.probe_watched(index),
                Timer::Ranks => self.ranks_are_due(),
                Timer::Probe => self.tick(due),
                Timer::Gossip => self.gossip(),
                Timer::PushPull => self.push_pull_with_random_member(),
                Timer::Bootstrap => self.join_seeds(),
                Timer::StableView => self.view_stood_still(),
            }
        }
    }

    /// The next thing that must leave the machine.
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.effects.pop_output();
        if output.is_none() {
            self.settle_view();
        }
        output
    }

    fn probe_next_member(&mut self) {
        if !self.probe_out_of_turn() {
            self.probe_in_order();
        }
    }

    /// Probes a member that is to have its turn soon, if there is one; a round about it that is
    /// under way is its turn. Whether it did.
    fn probe_out_of_turn(&mut self) -> bool {
        let next = self.next_recheck().filter(|index| self.detector.may_begin(*index));
        next.inspect(|index| self.probe(*index)).is_some()
    }

    /// Probes the next live member of the round, and tells one dead member on the way that it is
    /// held dead; a new round begins at the end of one.
    fn probe_in_order(&mut self) {
        let (mut ended, mut told) = (0, false);
        for _ in 0..2 * (self.members.len() + 1) {
            let Some(index) = self.members.next_in_round() else {
                ended += 1;
                self.purge();
                self.members.begin_round(self.effects.rng());
                continue;
            };
            if index != MemberIndex::ME && self.members.get(index).state().is_live() {
                let was_heard = self.processes.was_heard(index);
                // With nobody else there it is probed all the same.
                if ended < 2 && self.detector.passes_over(was_heard, self.effects.now()) {
                    continue;
                }
                // Whoever we watch has its own turns.
                if self.watches(index) || !self.detector.may_begin(index) {
                    continue;
                }
                self.probe(index);
                return;
            }
            // Whoever died lately may be back without having heard of it.
            if !std::mem::replace(&mut told, true) {
                told = self.notify_dead(index);
            }
        }
    }

    fn purge(&mut self) {
        let oldest = self.effects.now().before(self.config.gossip_to_the_dead);
        for (index, member) in self.members.purge(oldest) {
            log::debug!("purging {}, {}", member.name(), member.state());
            // Alone we have no other way back.
            if self.members.live_others() > 0 {
                self.bootstrap.forget_joined(member.address());
            }
            self.forget(index, &member);
        }
    }

    fn probe(&mut self, target: MemberIndex) {
        let was_heard = self.processes.was_heard(target);
        let to = Destination::of(self.members.get(target));
        let (digest, observer) = (self.digest_for(to.address), self.tells_that_it_watches(target));
        let Self { detector, members, config, effects, .. } = self;
        let sequence = detector.begin_round((target, was_heard), members, config, effects);
        let (me, member) = (members.me().record(), members.get(target).record());
        let ping = ping_to(&member.name, me, sequence);
        let ping = Message::Ping(Ping { digest: as_field(&digest), observer, ..ping });
        if member.state == MemberState::Suspect && config.buddy {
            // Lifeguard's buddy system: told with the ping, the suspect can refute at once.
            let suspect = Message::Suspect(Suspect {
                incarnation: member.incarnation,
                node: member.name.as_bytes(),
                from: me.name.as_bytes(),
            });
            effects.send_messages(to, &[ping, suspect], member.checks_checksums());
        } else {
            let updates = &mut self.dissemination;
            updates.send_with_updates(&ping, to, Some(target), members, config, effects);
        }
    }

    fn advance_probe(&mut self, target: MemberIndex) {
        let known = (&self.members, &self.processes);
        match self.detector.advance(target, known, &self.config, &mut self.effects) {
            Some(ProbeStep::AskOthers(plan)) => self.probe_indirectly(&plan),
            Some(ProbeStep::Suspect { target, end }) => {
                self.suspect(target);
                self.end_round(end);
            }
            Some(ProbeStep::End(end)) => self.end_round(end),
            // An ack ended the round in the moment in which its timer ran out.
            None => {}
        }
    }

    fn probe_indirectly(&mut self, plan: &IndirectProbe) {
        for relay in &plan.relays {
            self.send_indirect_ping(*relay, plan);
        }
        let Some(deadline) = plan.stream_until else { return };
        let target = self.members.get(plan.target);
        let me = self.members.me().record();
        let ping = Message::Ping(ping_to(target.name(), me, plan.sequence)).to_vec();
        let to = Destination::of(target);
        let role = Role::StreamPing { sequence: plan.sequence };
        // A ping is never too long for a stream.
        if let Ok(stream) = self.exchanges.open(to, &ping, deadline, role, &mut self.effects) {
            self.detector.set_stream(plan.target, stream);
        }
    }

    fn stream_timed_out(&mut self, id: StreamId) {
        if self.reliable.incoming.has_stream(id) {
            return self.reliable.incoming.timed_out(id, &mut self.effects);
        }
        let Some(role) = self.exchanges.fail(id, &mut self.effects) else {
            debug_assert!(false, "the timer of a stream runs without the stream");
            return;
        };
        self.exchange_failed(&role, OperationError::TimedOut);
        self.effects.push(Output::ResetStream { id });
    }

    /// The exchange of a stream ended without what it was for.
    fn exchange_failed(&mut self, role: &Role, error: OperationError) {
        match role {
            Role::PushPull { to, purpose } => self.push_pull_failed(to.address, *purpose, error),
            Role::Message { operation } => {
                // All of it was written before: what became of it is not known.
                let is_late = error == OperationError::TimedOut;
                let error = if is_late { OperationError::Unknown } else { error };
                self.effects.finish(*operation, Outcome::Failed(error));
            }
            // The round judges its stream ping at its end; the peer knows that its request failed.
            Role::StreamPing { .. } | Role::Incoming { .. } => {}
        }
    }
}
