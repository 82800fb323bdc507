//! What is told to whom: updates gossiped to a few random members at a time and piggybacked on
//! other packets, and application broadcasts to everybody.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::broadcast_queue::BroadcastQueue;
use crate::config::Config;
use crate::effects::Effects;
use crate::features::Features;
use crate::immediate_updates::ImmediateUpdates;
use crate::member::{Member, MemberState};
use crate::member_index::MemberIndex;
use crate::member_table::MemberTable;
use crate::output::Destination;
use crate::peer_processes::PeerProcesses;
use crate::time::Time;
use crate::timers::Timer;
use crate::update_queue::{Reach, Recipient, Room, Update, UpdateQueue, Urgency, retransmit_limit};
use crate::wire::compound::{self, FIXED_HEADER, PART_HEADER};
use crate::wire::{MAX_COMPOUND_PARTS, Message, PacketBuilder, crc};

/// Messages beside the main one.
const MAX_EXTRAS: usize = MAX_COMPOUND_PARTS - 1;
/// Between two rounds of gossip that send what is new at once, at least: so nobody can make us send
/// all the time.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(20);
/// Packets of their own that broadcasts may take in one gossip round.
const BROADCAST_PACKETS_IN_A_ROUND: usize = 128;
/// Addresses whose datagram limit is remembered; others get full packets, which may cost a stream.
const MAX_PACKET_LIMITS: usize = 4096;
/// Addresses whose features are remembered; others get memberlist's wire only.
const MAX_FEATURES: usize = 4096;

pub(crate) struct Dissemination {
    updates: UpdateQueue,
    immediate: ImmediateUpdates,
    broadcasts: BroadcastQueue,
    /// Counts packets in which updates and broadcasts compete: every fourth is the broadcasts'.
    broadcast_turn: u32,
    /// When the next regular round is due; they are whole intervals apart.
    round_phase: Time,
    last_round: Option<Time>,
    /// The largest datagrams, by address: a limit is one of the path, whoever is at its end.
    packet_limits: BTreeMap<SocketAddr, usize>,
    /// What connected peers of our kind speak, by address.
    features: BTreeMap<SocketAddr, Features>,
    /// Where updates are encoded before they are queued.
    scratch: Vec<u8>,
}

impl Dissemination {
    /// `round_phase` is when the first gossip round may begin.
    pub(crate) fn new(round_phase: Time) -> Self {
        Self {
            updates: UpdateQueue::default(),
            immediate: ImmediateUpdates::default(),
            broadcasts: BroadcastQueue::default(),
            broadcast_turn: 0,
            round_phase,
            last_round: None,
            packet_limits: BTreeMap::new(),
            features: BTreeMap::new(),
            scratch: Vec::new(),
        }
    }

    /// Gossip rounds begin at other intervals than before, if these have changed.
    pub(crate) fn restart_rounds(
        &mut self,
        former: &Config,
        config: &Config,
        effects: &mut Effects,
    ) {
        if former.gossip_interval != config.gossip_interval {
            effects.clear_timer(Timer::Gossip);
            self.round_phase = effects.now() + effects.rng().span(config.gossip_interval);
            self.schedule_round(config, effects);
        }
    }

    pub(crate) fn queued_updates(&self) -> usize {
        self.updates.len()
    }

    pub(crate) fn queued_broadcasts(&self) -> usize {
        self.broadcasts.len()
    }

    /// Queues an update about a member, replacing an older one. `told_by` is who sent it to us.
    pub(crate) fn queue_update(
        &mut self,
        subject: MemberIndex,
        (message, urgency): (&Message<'_>, Urgency),
        told_by: Option<SocketAddr>,
        config: &Config,
        effects: &mut Effects,
    ) {
        self.scratch.clear();
        message.encode(&mut self.scratch);
        let message = Arc::from(self.scratch.as_slice());
        let at_once = self.immediate.take(urgency, effects.now());
        self.updates.push(Update { subject, urgency, message, told_by }, at_once);
        self.schedule_round(config, effects);
        if at_once {
            self.expedite_round(config, effects);
        }
    }

    /// Queues an application broadcast to every other member that is alive.
    pub(crate) fn queue_broadcast(
        &mut self,
        payload: &[u8],
        members: &MemberTable,
        config: &Config,
        effects: &mut Effects,
    ) {
        self.scratch.clear();
        Message::User(payload).encode(&mut self.scratch);
        let alive = |(index, member): (MemberIndex, &Member)| {
            let wanted = index != MemberIndex::ME && member.state() == MemberState::Alive;
            wanted.then_some(index)
        };
        let recipients = members.iter().filter_map(alive);
        self.broadcasts.push(Arc::from(self.scratch.as_slice()), recipients);
        self.schedule_round(config, effects);
    }

    /// A member was purged: no updates about it, no broadcasts to it.
    pub(crate) fn forget(&mut self, index: MemberIndex, address: SocketAddr) {
        self.updates.remove(index);
        self.broadcasts.forget(index);
        self.packet_limits.remove(&address);
    }

    /// A member is dead or has left: no more broadcasts to it.
    pub(crate) fn stop_broadcasts_to(&mut self, index: MemberIndex) {
        self.broadcasts.forget(index);
    }

    /// The largest payload that fits one datagram to `peer`. Beyond [`MAX_PACKET_LIMITS`] it is
    /// not remembered.
    pub(crate) fn set_packet_limit(&mut self, peer: SocketAddr, limit: usize) {
        if self.packet_limits.len() < MAX_PACKET_LIMITS || self.packet_limits.contains_key(&peer) {
            self.packet_limits.insert(peer, limit);
        }
    }

    /// What `peer` speaks, or that it is not connected. Beyond [`MAX_FEATURES`] it is not
    /// remembered.
    pub(crate) fn set_features(&mut self, peer: SocketAddr, features: Option<Features>) {
        let Some(features) = features else {
            self.features.remove(&peer);
            return;
        };
        if self.features.len() < MAX_FEATURES || self.features.contains_key(&peer) {
            self.features.insert(peer, features);
        }
    }

    /// What `peer` speaks; `None` if it is not connected or speaks memberlist's wire only.
    pub(crate) fn features(&self, peer: SocketAddr) -> Option<Features> {
        self.features.get(&peer).copied()
    }

    /// The largest broadcast that fits a packet of its own.
    pub(crate) fn broadcast_limit(&self, config: &Config, effects: &Effects) -> usize {
        let overhead = effects.encoder().packet_overhead() + compound::header_length(1) + 1;
        config.packet_budget.saturating_sub(overhead)
    }

    /// Makes sure that a round comes; without anything to tell there are none.
    fn schedule_round(&mut self, config: &Config, effects: &mut Effects) {
        let (interval, now) = (config.gossip_interval, effects.now());
        if interval.is_zero() || effects.deadline(Timer::Gossip).is_some() {
            return;
        }
        if now >= self.round_phase {
            let missed = (now - self.round_phase).as_micros() / interval.as_micros().max(1);
            let missed = u32::try_from(missed).unwrap_or(u32::MAX);
            self.round_phase += interval.saturating_mul(missed.saturating_add(1));
        }
        effects.set_timer(Timer::Gossip, self.round_phase);
    }

    /// Brings the next round forward, because there is something new to tell: to now, or to
    /// [`BETWEEN_ROUNDS`] after the last one.
    fn expedite_round(&self, config: &Config, effects: &mut Effects) {
        // Without a gossip interval there are no rounds.
        let Some(scheduled) = effects.deadline(Timer::Gossip) else { return };
        let (now, pause) = (effects.now(), BETWEEN_ROUNDS.min(config.gossip_interval));
        let earliest = self.last_round.map_or(now, |last| (last + pause).max(now));
        effects.set_timer(Timer::Gossip, scheduled.min(earliest));
    }

    /// Tells some members what is new: any, or some of these `peers`.
    pub(crate) fn gossip_round(
        &mut self,
        (members, processes): (&MemberTable, &PeerProcesses),
        peers: Option<&BTreeSet<MemberIndex>>,
        config: &Config,
        effects: &mut Effects,
    ) {
        let now = effects.now();
        self.last_round = Some(now);
        // An update goes out at once, to half as many members as it is sent to in all, in rounds of
        // their own that bring nothing else. The regular rounds do not count that, so that whoever
        // stands still for a moment misses nothing.
        let is_regular = now >= self.round_phase;
        let gets_gossip = |index, member: &Member| {
            index != MemberIndex::ME
                && match member.state() {
                    MemberState::Alive | MemberState::Suspect => true,
                    MemberState::Dead => now - member.record().changed <= config.gossip_to_the_dead,
                    MemberState::Left => false,
                }
        };
        // All but one are members that were heard: others may have been invented.
        let (count, rng) = (config.gossip_nodes, effects.rng());
        let mut draw = |count: usize, passes: &dyn Fn(MemberIndex, &Member) -> bool| match peers {
            None => members.draw(count, rng, passes),
            Some(peers) => {
                let passing = peers.iter().filter(|it| passes(**it, members.get(**it)));
                let mut passing: Vec<MemberIndex> = passing.copied().collect();
                rng.shuffle(&mut passing);
                passing.truncate(count);
                passing
            }
        };
        let mut recipients = draw(count.saturating_sub(1), &|index, member| {
            processes.was_heard(index) && gets_gossip(index, member)
        });
        let rest = draw(count - recipients.len(), &|index, member| {
            !recipients.contains(&index) && gets_gossip(index, member)
        });
        recipients.extend(rest);
        for &recipient in &recipients {
            self.gossip_to((recipient, is_regular), members, config, effects);
        }
        if is_regular {
            self.send_waiting_broadcasts(members, config, effects);
        }
        if !self.updates.is_empty() || !self.broadcasts.is_empty() {
            self.schedule_round(config, effects);
        }
        if !is_regular && recipients.is_empty() {
            self.updates.clear_at_once();
        }
        if self.updates.has_any_at_once() {
            self.expedite_round(config, effects);
        }
    }

    /// One packet of updates, if there are any that the recipient may not know.
    fn gossip_to(
        &mut self,
        (recipient, is_regular): (MemberIndex, bool),
        members: &MemberTable,
        config: &Config,
        effects: &mut Effects,
    ) {
        if self.updates.is_empty() && self.broadcasts.is_empty() {
            return;
        }
        let member = members.get(recipient);
        let to = Destination::of(member);
        let free = self.room_for(to.address, config, effects).saturating_sub(FIXED_HEADER);
        let mut packet = effects.packet(member.record().checks_checksums(), free);
        let recipient = recipient_of(Some(recipient), to.address, members, false);
        let reach = reach(members, config);
        if is_regular {
            self.add_extras(&mut packet, recipient, free, reach);
        } else {
            let mut room = Room { bytes: free, parts: MAX_EXTRAS };
            self.updates.take_at_once(&mut room, reach, recipient, |new| add(&mut packet, new));
        }
        if packet.parts() == 0 && is_regular {
            // What is too long for this peer's packets goes alone and costs a stream, or it would
            // stay for ever.
            let mut room = Room { bytes: usize::MAX, parts: 1 };
            self.updates.take(&mut room, reach, recipient, |update| add(&mut packet, update));
        }
        if packet.parts() > 0 {
            effects.send(to, packet);
        }
    }

    /// Packets of their own for those whom the oldest broadcasts have not reached.
    fn send_waiting_broadcasts(
        &mut self,
        members: &MemberTable,
        config: &Config,
        effects: &mut Effects,
    ) {
        for _ in 0..BROADCAST_PACKETS_IN_A_ROUND {
            let Some(recipient) = self.broadcasts.next_waiting() else { return };
            let member = members.get(recipient);
            let to = Destination::of(member);
            let room = self.room_for(to.address, config, effects).saturating_sub(FIXED_HEADER);
            // Above the peer's datagram limit a message goes alone and costs a stream.
            let oldest = self.broadcasts.oldest_for(recipient).unwrap_or(0);
            let mut room = Room { bytes: room.max(oldest + PART_HEADER), parts: MAX_EXTRAS };
            let mut packet = effects.packet(member.record().checks_checksums(), room.bytes);
            self.broadcasts.take(recipient, &mut room, |message| add(&mut packet, message));
            debug_assert!(packet.parts() > 0, "a member waits for a broadcast and gets none");
            effects.send(to, packet);
        }
    }

    /// Sends a message with as many updates as fit beside it, and with broadcasts if the recipient
    /// is known.
    pub(crate) fn send_with_updates(
        &mut self,
        message: &Message<'_>,
        to: Destination,
        recipient: Option<MemberIndex>,
        members: &MemberTable,
        config: &Config,
        effects: &mut Effects,
    ) {
        let room = self.room_for(to.address, config, effects);
        // With nothing to add, room for the message alone is enough.
        let is_quiet = self.updates.is_empty() && self.broadcasts.is_empty();
        let mut packet = effects.packet(false, if is_quiet { MESSAGE } else { room });
        let pushed = packet.push(message);
        debug_assert_eq!(pushed, Ok(()), "a single message has no length limit");
        let free = room.saturating_sub(packet.messages_length() + FIXED_HEADER);
        let recipient = recipient_of(recipient, to.address, members, true);
        self.add_extras(&mut packet, recipient, free, reach(members, config));
        effects.send(to, packet);
    }

    /// Bytes of messages in one packet to that peer.
    fn room_for(&self, peer: SocketAddr, config: &Config, effects: &Effects) -> usize {
        let budget = config.packet_budget;
        let limit = self
            .packet_limits
            .get(&peer)
            .map_or(budget, |limit| budget.min(limit.saturating_sub(crc::HEADER_LENGTH)));
        limit.saturating_sub(effects.encoder().packet_overhead())
    }

    /// Updates and broadcasts for one packet. Broadcasts have a quarter of it for certain; where
    /// the oldest needs more, every fourth packet is filled from them first, so that a churning
    /// cluster cannot starve them.
    fn add_extras(&mut self, packet: &mut PacketBuilder, to: Recipient, free: usize, reach: Reach) {
        let mut room = Room { bytes: free, parts: MAX_EXTRAS };
        let oldest = to.index.and_then(|recipient| self.broadcasts.oldest_for(recipient));
        let (Some(recipient), Some(oldest)) = (to.index, oldest) else {
            self.updates.take(&mut room, reach, to, |update| add(packet, update));
            return;
        };
        let reserved = if oldest + PART_HEADER <= free / 4 { free / 4 } else { 0 };
        if reserved == 0 {
            self.broadcast_turn = self.broadcast_turn.wrapping_add(1);
            if self.broadcast_turn.is_multiple_of(4) {
                self.broadcasts.take(recipient, &mut room, |message| add(packet, message));
                self.updates.take(&mut room, reach, to, |update| add(packet, update));
                return;
            }
        }
        room.bytes -= reserved;
        self.updates.take(&mut room, reach, to, |update| add(packet, update));
        room.bytes += reserved;
        self.broadcasts.take(recipient, &mut room, |message| add(packet, message));
    }
}

/// Members that are dead or have left, and strangers, may get updates too, but do not count.
fn recipient_of(
    index: Option<MemberIndex>,
    address: SocketAddr,
    members: &MemberTable,
    asked: bool,
) -> Recipient {
    let is_live = index.is_some_and(|index| members.get(index).state().is_live());
    Recipient { index, address, is_live, asked }
}

fn reach(members: &MemberTable, config: &Config) -> Reach {
    let others = members.live_others();
    // Two regular rounds at least: who stands still for one of them hears of it in the other one.
    let two_rounds = u32::try_from(2 * config.gossip_nodes.min(others)).unwrap_or(u32::MAX);
    let limit = retransmit_limit(config.retransmit_multiplier, members.len()).max(two_rounds);
    let at_once = limit.div_ceil(2).min(u32::try_from(others).unwrap_or(u32::MAX));
    Reach { limit, others, at_once }
}

/// Bytes of a ping or an ack without application payload, with some to spare.
const MESSAGE: usize = 128;

fn add(packet: &mut PacketBuilder, message: &[u8]) {
    let pushed = packet.push_encoded(message);
    debug_assert_eq!(pushed, Ok(()), "what is taken from a queue fits the packet");
}
