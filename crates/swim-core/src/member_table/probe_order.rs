//! The order in which members are probed: every member once in a round, shuffled for each round
//! (SWIM, section 4.3).

use crate::member_index::{MemberIndex, insert_tight};
use crate::rng::Rng;

/// A round of all members, ourselves and the dead included, and how far it has come.
#[derive(Debug, Default)]
pub(super) struct ProbeOrder {
    order: Vec<MemberIndex>,
    next: usize,
}

impl ProbeOrder {
    /// Ourselves, alone.
    pub(super) fn of_me() -> Self {
        Self { order: vec![MemberIndex::ME], next: 0 }
    }

    /// Adds a member at a random place.
    pub(super) fn add(&mut self, index: MemberIndex, rng: &mut Rng) {
        let last = self.order.len();
        insert_tight(&mut self.order, last, index);
        self.order.swap(last, rng.below(last + 1));
    }

    pub(super) fn retain(&mut self, stays: impl Fn(&MemberIndex) -> bool) {
        self.order.retain(stays);
    }

    /// `None` at the end of the round.
    pub(super) fn next(&mut self) -> Option<MemberIndex> {
        let index = self.order.get(self.next).copied()?;
        self.next += 1;
        Some(index)
    }

    pub(super) fn begin_round(&mut self, rng: &mut Rng) {
        rng.shuffle(&mut self.order);
        self.next = 0;
    }
}
