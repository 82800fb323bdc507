//! Answers to claims that are not adopted: a refute, an accusation returned, a conflict told.
//!
//! Decides who hears of it and how often; what to believe was decided by `verdict` before. Never
//! changes the record of another member.

use std::net::SocketAddr;

use super::Membership;
use super::claims::LAST_INCARNATION;
use crate::member::{Advertised, MemberState};
use crate::output::Event;
use crate::roster::Slot;
use crate::wire::{Dead, Message, Suspect};

impl Membership {
    /// Objects to a claim about ourselves, with an incarnation that outranks it.
    pub(super) fn refute(&mut self, accused: u32) {
        self.roster.update(Slot::ME, |me| {
            me.incarnation =
                me.incarnation.max(accused).saturating_add(1).min(LAST_INCARNATION - 1);
        });
        self.counters.refutes += 1;
        self.awareness.worsen(1);
        log::debug!("refuting incarnation {accused} as {}", self.me().incarnation());
        self.gossip_about_me();
        self.hasten_gossip();
    }

    /// A member that lost its incarnation announces itself in vain: it learns why straight from
    /// us, so that it can refute. Once per member and beat.
    pub(super) fn answer_stale(&mut self, slot: Option<Slot>, source: SocketAddr) {
        let Some(slot) = slot else { return };
        let (member, beat, now) = (self.roster.get(slot).clone(), self.beat(), self.now);
        if member.state() == MemberState::Left && member.address() != source {
            // Old gossip about somebody who left: nobody is there to hear the answer.
            return;
        }
        let Some(accusation) = self.accusations.get_mut(&slot) else { return };
        if accusation.answered.is_some_and(|at| now - at < beat) {
            return;
        }
        accusation.answered = Some(now);
        let (incarnation, node) = (member.incarnation(), member.name().as_bytes());
        let by = accusation.by.clone();
        let message = match member.state() {
            MemberState::Suspect => {
                Message::Suspect(Suspect { incarnation, node, from: by.as_bytes() })
            }
            MemberState::Dead | MemberState::Left => {
                Message::Dead(Dead { incarnation, node, from: by.as_bytes() })
            }
            MemberState::Alive => return,
        };
        self.counters.accusations_answered += 1;
        self.send_plain(self.destination(slot), message.to_vec(), false);
    }

    pub(super) fn report_conflict(
        &mut self,
        slot: Option<Slot>,
        claimed: Advertised,
        source: SocketAddr,
    ) {
        let Some(slot) = slot else { return };
        self.counters.refused_conflict += 1;
        let other = claimed.to_socket();
        if self.conflicts.insert(slot, other) == Some(other) {
            return;
        }
        let member = self.roster.get(slot).clone();
        log::warn!(
            "{} at {} is also claimed at {other} (by {source}): give each member its own name",
            member.name(),
            member.address()
        );
        if let Some(hooks) = &mut self.hooks {
            hooks.on_conflict(&member, other);
        }
        self.emit(Event::Conflict { member, other });
    }
}
