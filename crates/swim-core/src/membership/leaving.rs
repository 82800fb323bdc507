//! Leaving on purpose: enough others must know before we call it done.
//!
//! Our departure goes straight to as many members as news are retransmitted to, each time with a
//! ping behind it, so that an ack proves that it was heard. Gossip carries it on.

use std::collections::BTreeSet;

use super::Membership;
use super::packets::Expected;
use crate::error::OperationError;
use crate::member::{Member, MemberName, MemberState};
use crate::output::{Destination, Event, OperationId, Outcome};
use crate::roster::Slot;
use crate::time::Time;
use crate::timers::Timer;
use crate::wire::{Dead, Message, compound};

/// Whether we are a member.
#[derive(Debug)]
pub(super) enum Standing {
    Member,
    Leaving(Departure),
    Left { told: usize },
}

/// A leave under way.
#[derive(Debug)]
pub(super) struct Departure {
    operations: Vec<OperationId>,
    wanted: usize,
    heard: BTreeSet<MemberName>,
    asked: BTreeSet<Slot>,
    rounds: u32,
}

/// Rounds of telling others, each as long as a direct probe may take.
const MAX_ROUNDS: u32 = 4;
/// Leave commands that wait for the same departure.
const MAX_WAITING: usize = 64;

impl Membership {
    /// Leaves the cluster. Ends in [`Outcome::Left`] when as many distinct members as news are
    /// retransmitted to have acknowledged it, when nobody is there, or when those that are there
    /// have stayed silent four times.
    ///
    /// From then on the machine only answers: pings, exchanges, and what it hears of itself.
    pub fn leave(&mut self, now: Time) -> OperationId {
        self.begin(now);
        let operation = self.new_operation();
        match &mut self.standing {
            Standing::Member => self.begin_leave(operation),
            Standing::Leaving(departure) if departure.operations.len() < MAX_WAITING => {
                departure.operations.push(operation);
            }
            Standing::Leaving(_) => {
                self.finish(
                    operation,
                    Outcome::Failed(OperationError::TooManyOperations { limit: MAX_WAITING }),
                );
            }
            Standing::Left { told } => {
                let told = *told;
                self.finish(operation, Outcome::Left { told });
            }
        }
        operation
    }

    /// Whether our leave has begun.
    pub(super) fn is_leaving(&self) -> bool {
        !matches!(self.standing, Standing::Member)
    }

    fn begin_leave(&mut self, operation: OperationId) {
        self.stop_probing();
        self.timers.clear(Timer::PushPull);
        self.timers.clear(Timer::Seeds);
        self.seeds.clear();
        let wanted = usize::try_from(self.retransmits()).unwrap_or(usize::MAX);
        self.standing = Standing::Leaving(Departure {
            operations: vec![operation],
            wanted: wanted.min(self.roster.live_others()),
            heard: BTreeSet::new(),
            asked: BTreeSet::new(),
            rounds: 0,
        });
        let partners = self.cancel_exchanges();
        let now = self.now;
        self.roster.update(Slot::ME, |me| {
            me.state = MemberState::Left;
            me.changed = now;
        });
        let me = self.local();
        log::info!("leaving as {}", me.name());
        self.push_news(Slot::ME, &Message::Dead(departure_of(me.name(), me.incarnation())));
        self.emit(Event::Left(me));
        for partner in partners {
            self.tell_stranger(partner);
        }
        self.advance_leave();
    }

    /// Whoever we were just joining through may know us already though we do not know it yet: it
    /// is told once, in hope.
    fn tell_stranger(&mut self, to: Destination) {
        let known = |member: &Member| member.state().is_live() && member.address() == to.address;
        if self.roster.iter().any(|(_, member)| known(member)) {
            return;
        }
        let me = self.local();
        let departure = Message::Dead(departure_of(me.name(), me.incarnation())).to_vec();
        self.send_plain(to, departure, false);
    }

    /// Asks more members to take note, or ends the leave.
    pub(super) fn advance_leave(&mut self) {
        let Standing::Leaving(departure) = &self.standing else { return };
        let missing = departure.wanted.saturating_sub(departure.heard.len());
        let is_missing = |slot: Slot, again: bool| {
            let member = self.roster.get(slot);
            slot != Slot::ME
                && member.state().is_live()
                && !departure.heard.contains(member.name())
                && departure.asked.contains(&slot) == again
        };
        let mut chosen =
            self.roster.draw(missing, &mut self.dice, |slot, _| is_missing(slot, false));
        if chosen.len() < missing {
            let rest = missing - chosen.len();
            chosen.extend(self.roster.draw(rest, &mut self.dice, |slot, _| is_missing(slot, true)));
        }
        let Standing::Leaving(departure) = &mut self.standing else { return };
        if chosen.is_empty() || departure.rounds >= MAX_ROUNDS {
            self.end_leave();
            return;
        }
        departure.rounds += 1;
        departure.asked.extend(chosen.iter().copied());
        for slot in chosen {
            self.tell_departure(slot);
        }
        self.timers.set(Timer::Leave, self.now + self.answer_time());
    }

    fn tell_departure(&mut self, slot: Slot) {
        let me = self.local();
        let to = self.destination(slot);
        let Some(name) = to.name.clone() else { return };
        let sequence = self.next_sequence();
        let parts = [
            Message::Dead(departure_of(me.name(), me.incarnation())).to_vec(),
            self.encode_ping(sequence, &name),
        ];
        let Some(plain) = compound::join(&parts).ok().and_then(|mut packets| packets.pop()) else {
            return;
        };
        self.expect(sequence, Expected::Leave { target: name });
        let checks = self.checks_crc(slot);
        self.send_plain(to, plain, checks);
    }

    pub(super) fn leave_was_heard(&mut self, by: &MemberName) {
        let Standing::Leaving(departure) = &mut self.standing else { return };
        departure.heard.insert(by.clone());
        if departure.heard.len() >= departure.wanted {
            self.end_leave();
        }
    }

    fn end_leave(&mut self) {
        self.timers.clear(Timer::Leave);
        let Standing::Leaving(departure) = &mut self.standing else { return };
        let told = departure.heard.len();
        let operations = std::mem::take(&mut departure.operations);
        self.standing = Standing::Left { told };
        log::info!("left; {told} members acknowledged it");
        for operation in operations {
            self.finish(operation, Outcome::Left { told });
        }
    }
}

fn departure_of(me: &MemberName, incarnation: u32) -> Dead<'_> {
    Dead { incarnation, node: me.as_bytes(), from: me.as_bytes() }
}
