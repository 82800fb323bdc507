//! What each payer has used of something that it has a share of in each second.

use std::collections::BTreeMap;

use crate::payer::Payer;
use crate::time::Time;

/// In a second.
const MILLISECONDS: u64 = 1_000;
/// The most payers that are remembered; while there is no room, others wait. Whoever has used
/// nothing for a moment is forgotten.
const MAX_REMEMBERED: usize = 4_096;

/// How much one member may use: `at_once`, and `a_second` from then on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) at_once: u64,
    pub(crate) a_second: u64,
}

/// What the payers have used. Whoever has something left may use more than that once.
#[derive(Debug)]
pub(crate) struct PayerLedger {
    share: Share,
    used: BTreeMap<Payer, Used>,
}

/// What a payer has used and time has not made up for.
#[derive(Clone, Copy, Debug)]
struct Used {
    amount: u64,
    at: Time,
}

impl PayerLedger {
    /// Allocates nothing before something is used.
    pub(crate) const fn new(share: Share) -> Self {
        Self { share, used: BTreeMap::new() }
    }

    /// Whether nobody has used anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    /// Whether a payer has something left, and can be remembered.
    pub(crate) fn has_share(&mut self, payer: &Payer, now: Time) -> bool {
        match self.used.get(payer) {
            Some(used) => self.still_used(payer, *used, now) < of(payer, self.share.at_once),
            None => self.has_room(now),
        }
    }

    /// A payer has used so much more.
    pub(crate) fn charge(&mut self, payer: Payer, amount: u64, now: Time) {
        let before = self.used.get(&payer).map_or(0, |used| self.still_used(&payer, *used, now));
        self.used.insert(payer, Used { amount: before.saturating_add(amount), at: now });
    }

    fn still_used(&self, payer: &Payer, used: Used, now: Time) -> u64 {
        let elapsed = u64::try_from((now - used.at).as_millis()).unwrap_or(u64::MAX);
        let regained = elapsed.saturating_mul(of(payer, self.share.a_second) / MILLISECONDS);
        used.amount.saturating_sub(regained)
    }

    /// Whether one more payer can be remembered.
    fn has_room(&mut self, now: Time) -> bool {
        if self.used.len() >= MAX_REMEMBERED {
            let mut all = std::mem::take(&mut self.used);
            all.retain(|payer, used| self.still_used(payer, *used, now) > 0);
            self.used = all;
        }
        self.used.len() < MAX_REMEMBERED
    }
}

fn of(payer: &Payer, share: u64) -> u64 {
    share.saturating_mul(u64::try_from(payer.shares()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::Peer;

    fn payer(port: u16) -> Payer {
        Payer::of(&Peer::unverified(([10, 0, 0, 1], port).into()))
    }

    fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1_000)
    }

    #[test]
    fn what_is_used_is_made_up_for_by_time() {
        let mut ledger = PayerLedger::new(Share { at_once: 10_000, a_second: 1_000 });
        assert!(ledger.is_empty() && ledger.has_share(&payer(1), at(0)));
        ledger.charge(payer(1), 9_999, at(0));
        assert!(ledger.has_share(&payer(1), at(0)), "something is left");
        ledger.charge(payer(1), 11_001, at(0));
        assert!(!ledger.has_share(&payer(1), at(11_000)) && ledger.has_share(&payer(2), at(0)));
        assert!(ledger.has_share(&payer(1), at(11_001)));
    }

    #[test]
    fn so_many_are_remembered_and_others_wait_until_some_are_forgotten() {
        let mut ledger = PayerLedger::new(Share { at_once: 1_000, a_second: 1_000 });
        for port in 0..4_096 {
            ledger.charge(payer(port), 1_000, at(0));
        }
        assert!(!ledger.has_share(&payer(5_000), at(999)));
        assert!(ledger.has_share(&payer(5_000), at(1_000)));
    }
}
