//! Gossip: news to a few random members at a time, and broadcasts to everybody.
//!
//! Decides what goes into a packet beside or instead of its main message.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Membership;
use super::codec::CRC_LENGTH;
use crate::member::MemberState;
use crate::roster::Slot;
use crate::timers::Timer;
use crate::wire::Message;
use crate::wire::compound;

/// What a part costs beside its bytes: its length.
const PART_OVERHEAD: usize = 2;
/// The header of a compound.
const COMPOUND_OVERHEAD: usize = 2;
/// Parts beside the main message.
const MAX_EXTRAS: usize = 254;
/// Packets of their own that broadcasts may take in one gossip round.
const BROADCAST_PACKETS_IN_A_ROUND: usize = 128;

impl Membership {
    /// Queues news for everybody, unless we have left and nobody shall hear from us.
    pub(super) fn push_news(&mut self, subject: Slot, message: &Message<'_>) {
        if self.is_leaving() && subject != Slot::ME {
            return;
        }
        self.news.push(subject, &message.to_vec());
        self.schedule_gossip();
    }

    /// Makes sure that a round comes; without news there are none.
    pub(super) fn schedule_gossip(&mut self) {
        let interval = self.config.gossip_interval;
        if interval.is_zero() || self.timers.at(Timer::Gossip).is_some() {
            return;
        }
        if self.now >= self.gossip_phase {
            let missed = (self.now - self.gossip_phase).as_micros() / interval.as_micros().max(1);
            let missed = u32::try_from(missed).unwrap_or(u32::MAX);
            self.gossip_phase += interval.saturating_mul(missed.saturating_add(1));
        }
        self.timers.set(Timer::Gossip, self.gossip_phase);
    }

    /// Brings the next round forward for news that should not wait, but at most to a quarter of
    /// the interval after the last one, so that nobody can make us talk all the time.
    pub(super) fn hasten_gossip(&mut self) {
        let Some(scheduled) = self.timers.at(Timer::Gossip) else { return };
        let earliest = self
            .last_gossip
            .map_or(self.now, |last| (last + self.config.gossip_interval / 4).max(self.now));
        self.timers.set(Timer::Gossip, scheduled.min(earliest));
    }

    pub(super) fn gossip_round(&mut self) {
        self.last_gossip = Some(self.now);
        let (now, dead_for) = (self.now, self.config.gossip_to_the_dead);
        let targets = self.roster.draw(self.config.gossip_nodes, &mut self.dice, |slot, member| {
            slot != Slot::ME
                && match member.state() {
                    MemberState::Alive | MemberState::Suspect => true,
                    MemberState::Dead => now - member.record().changed <= dead_for,
                    MemberState::Left => false,
                }
        });
        for slot in targets {
            if !self.gossip_to(slot) {
                break;
            }
        }
        self.visit_for_broadcasts();
        if self.news.len() > 0 || self.user_broadcasts.len() > 0 {
            self.schedule_gossip();
        }
    }

    /// One packet of news; false if there were none.
    fn gossip_to(&mut self, slot: Slot) -> bool {
        let to = self.destination(slot);
        let free = self.room_for(to.address).saturating_sub(COMPOUND_OVERHEAD);
        let mut parts = self.take_extras(Some(slot), free);
        if parts.is_empty() {
            // What is too long for this peer's packets goes alone and costs a stream, or it would
            // stay for ever.
            parts = self.news.take(usize::MAX, PART_OVERHEAD, self.retransmits(), 1);
        }
        let checks = self.checks_crc(slot);
        match pack(&parts) {
            Some(plain) => {
                self.send_plain(to, plain, checks);
                true
            }
            None => false,
        }
    }

    /// Packets of their own for those whom the oldest broadcasts have not reached.
    fn visit_for_broadcasts(&mut self) {
        for _ in 0..BROADCAST_PACKETS_IN_A_ROUND {
            let Some(slot) = self.user_broadcasts.next_waiting() else { return };
            let to = self.destination(slot);
            let room = self.room_for(to.address).saturating_sub(COMPOUND_OVERHEAD);
            // Above the peer's datagram limit a message goes alone and costs a stream.
            let oldest = self.user_broadcasts.oldest_for(slot).unwrap_or(0);
            let free = room.max(oldest + PART_OVERHEAD);
            let parts = self.user_broadcasts.take(slot, free, PART_OVERHEAD, MAX_EXTRAS);
            let checks = self.checks_crc(slot);
            if let Some(plain) = pack(&parts) {
                self.send_plain(to, plain, checks);
            }
        }
    }

    /// `main` with as much news as fits beside it.
    pub(super) fn piggyback(
        &mut self,
        main: Vec<u8>,
        to: SocketAddr,
        slot: Option<Slot>,
    ) -> Vec<u8> {
        let used = main.len() + COMPOUND_OVERHEAD;
        let free = self.room_for(to).saturating_sub(used);
        let mut parts = vec![Arc::from(main.as_slice())];
        parts.extend(self.take_extras(slot, free));
        pack(&parts).unwrap_or(main)
    }

    /// Bytes of messages in one packet to that peer.
    fn room_for(&self, peer: SocketAddr) -> usize {
        let budget = self.config.packet_budget;
        let limit = self
            .packet_limits
            .get(&peer)
            .map_or(budget, |limit| budget.min(limit.saturating_sub(CRC_LENGTH)));
        limit.saturating_sub(self.codec.packet_overhead())
    }

    /// News and broadcasts for one packet. Broadcasts have a quarter of it for certain; where the
    /// oldest needs more, every fourth packet is filled from them first, so that a churning
    /// cluster cannot starve them.
    fn take_extras(&mut self, slot: Option<Slot>, free: usize) -> Vec<Arc<[u8]>> {
        let limit = self.retransmits();
        let oldest = slot.and_then(|slot| self.user_broadcasts.oldest_for(slot));
        let (Some(slot), Some(oldest)) = (slot, oldest) else {
            return self.news.take(free, PART_OVERHEAD, limit, MAX_EXTRAS);
        };
        let quarter = free / 4;
        let mut parts = if oldest + PART_OVERHEAD <= quarter {
            self.news.take(free - quarter, PART_OVERHEAD, limit, MAX_EXTRAS)
        } else {
            self.user_turn = self.user_turn.wrapping_add(1);
            if self.user_turn.is_multiple_of(4) {
                let mut parts = self.user_broadcasts.take(slot, free, PART_OVERHEAD, MAX_EXTRAS);
                let (free, most) = left_over(&parts, free);
                parts.extend(self.news.take(free, PART_OVERHEAD, limit, most));
                return parts;
            }
            self.news.take(free, PART_OVERHEAD, limit, MAX_EXTRAS)
        };
        let (free, most) = left_over(&parts, free);
        parts.extend(self.user_broadcasts.take(slot, free, PART_OVERHEAD, most));
        parts
    }

    /// The largest broadcast that fits a packet of its own.
    pub(super) fn broadcast_limit(&self) -> usize {
        let overhead = self.codec.packet_overhead() + COMPOUND_OVERHEAD + PART_OVERHEAD + 1;
        self.config.packet_budget.saturating_sub(overhead)
    }

    /// Whether the member is known to check checksums; Go adds one exactly then.
    pub(super) fn checks_crc(&self, slot: Slot) -> bool {
        let versions = self.roster.get(slot).versions();
        versions.is_some_and(|versions| versions.protocol_max >= 5)
    }
}

fn left_over(parts: &[Arc<[u8]>], free: usize) -> (usize, usize) {
    let used: usize = parts.iter().map(|part| part.len() + PART_OVERHEAD).sum();
    (free.saturating_sub(used), MAX_EXTRAS.saturating_sub(parts.len()))
}

/// One message bare, several as a compound.
fn pack(parts: &[Arc<[u8]>]) -> Option<Vec<u8>> {
    match parts {
        [] => None,
        [single] => Some(single.to_vec()),
        several => compound::join(several).ok()?.into_iter().next(),
    }
}
