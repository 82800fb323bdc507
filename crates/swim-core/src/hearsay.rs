//! Bounds on what members are believed to say of others, or of us.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::member_index::MemberIndex;
use crate::payer::Payer;
use crate::refuted_suspicions::RefutedSuspicions;
use crate::time::Time;

/// How far above what is held a claim of somebody else may be. Members raise their incarnations by
/// one, so an honest claim is a few ahead.
const MOST_AHEAD: u32 = 1 << 16;
/// A claim that is so little ahead may come from anybody at any time: whoever believes it missed a
/// few refutations.
const FEW_AHEAD: u32 = 64;
/// From here on only what is held already is claimed: nobody has refuted so often, and beyond this
/// the highest incarnations that there are would come within a few claims.
pub(crate) const HALF_OF_ALL: u32 = 1 << 31;
/// How often one peer may raise what is held of a member by more than [`FEW_AHEAD`]. At this pace
/// it takes three weeks to [`HALF_OF_ALL`].
const BETWEEN_RAISES: Duration = Duration::from_secs(60);
/// New members that one peer may bring in a minute, beside those of exchanges that we began.
const MAX_NEW_MEMBERS: u32 = 1_024;
/// The most that is remembered of each kind; while there is no room, further ones are refused.
const MAX_REMEMBERED: usize = 4_096;
/// How often refutations that one peer causes count against our own health, at most, in probe
/// intervals.
const BETWEEN_COSTS: u32 = 10;

/// What peers have claimed lately.
#[derive(Debug, Default)]
pub(crate) struct Hearsay {
    /// Whose suspicions were refuted.
    pub(crate) refuted: RefutedSuspicions,
    raised: BTreeMap<(MemberIndex, Payer), Time>,
    introduced: BTreeMap<Payer, (Time, u32)>,
    costs: BTreeMap<Payer, Time>,
    last_cost: Option<Time>,
}

/// How far a claim is above what is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lead {
    /// Not at all, or by a few refutations.
    Small,
    /// By more than anybody missed in a while.
    Large,
    /// By so much that it cannot be honest.
    Impossible,
}

impl Lead {
    pub(crate) fn of(claimed: u32, held: u32) -> Self {
        match claimed.saturating_sub(held) {
            0 => Self::Small,
            ahead if ahead > MOST_AHEAD || claimed >= HALF_OF_ALL => Self::Impossible,
            ahead if ahead > FEW_AHEAD => Self::Large,
            _ => Self::Small,
        }
    }
}

impl Hearsay {
    /// Whether a peer may raise what is held of a member by much.
    pub(crate) fn admit_raise(&mut self, subject: MemberIndex, by: Payer, now: Time) -> bool {
        let recent = |at: &Time| now - *at < BETWEEN_RAISES;
        let key = (subject, by);
        if self.raised.get(&key).is_some_and(recent) {
            return false;
        }
        if self.raised.len() >= MAX_REMEMBERED {
            self.raised.retain(|_, at| recent(at));
        }
        let has_room = self.raised.len() < MAX_REMEMBERED;
        if has_room {
            self.raised.insert(key, now);
        }
        has_room
    }

    /// Whether a peer may bring one more member that nobody here knows.
    pub(crate) fn admit_new_member(&mut self, by: Payer, now: Time) -> bool {
        const MINUTE: Duration = Duration::from_secs(60);
        let shares = u32::try_from(by.shares()).unwrap_or(u32::MAX);
        if self.introduced.len() >= MAX_REMEMBERED {
            self.introduced.retain(|_, (since, _)| now - *since < MINUTE);
        }
        if self.introduced.len() >= MAX_REMEMBERED && !self.introduced.contains_key(&by) {
            return false;
        }
        let (since, count) = self.introduced.entry(by).or_insert((now, 0));
        if now - *since >= MINUTE {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= MAX_NEW_MEMBERS.saturating_mul(shares)
    }

    /// Whether a refutation that a peer made us send says something about ourselves: once in ten
    /// probe intervals for each peer, and once in an interval in all.
    pub(crate) fn counts_against_us(&mut self, by: Payer, interval: Duration, now: Time) -> bool {
        let long = interval.saturating_mul(BETWEEN_COSTS);
        let is_recent = |at: Time, span| now - at < span;
        if self.last_cost.is_some_and(|at| is_recent(at, interval))
            || self.costs.get(&by).is_some_and(|at| is_recent(*at, long))
        {
            return false;
        }
        self.costs.retain(|_, at| is_recent(*at, long));
        self.costs.insert(by, now);
        self.last_cost = Some(now);
        true
    }

    /// The member was purged.
    pub(crate) fn forget(&mut self, subject: MemberIndex) {
        self.raised.retain(|(other, _), _| *other != subject);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::Peer;

    fn payer(port: u16) -> Payer {
        Payer::of(&Peer::unverified(([10, 0, 0, 1], port).into()))
    }

    fn at(seconds: u64) -> Time {
        Time::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_claim_is_impossible_beyond_what_members_reach_by_refuting() {
        for (claimed, lead) in [
            (3, Lead::Small),
            (7 + FEW_AHEAD, Lead::Small),
            (8 + FEW_AHEAD, Lead::Large),
            (7 + MOST_AHEAD, Lead::Large),
            (8 + MOST_AHEAD, Lead::Impossible),
        ] {
            assert_eq!(Lead::of(claimed, 7), lead, "{claimed}");
        }
        assert_eq!(Lead::of(HALF_OF_ALL, HALF_OF_ALL - 1), Lead::Impossible);
        assert_eq!(Lead::of(HALF_OF_ALL, HALF_OF_ALL), Lead::Small);
    }

    #[test]
    fn a_peer_raises_a_member_once_in_a_minute_and_the_table_is_bounded() {
        let mut hearsay = Hearsay::default();
        assert!(hearsay.admit_raise(MemberIndex::ME, payer(1), at(0)));
        assert!(!hearsay.admit_raise(MemberIndex::ME, payer(1), at(59)));
        assert!(hearsay.admit_raise(MemberIndex::ME, payer(2), at(59)));
        assert!(hearsay.admit_raise(MemberIndex::ME, payer(1), at(60)));
        for port in 0..5_000 {
            hearsay.admit_raise(MemberIndex::ME, payer(port), at(60));
        }
        assert_eq!(hearsay.raised.len(), MAX_REMEMBERED);
        hearsay.forget(MemberIndex::ME);
        assert!(hearsay.raised.is_empty());
    }

    #[test]
    fn a_peer_brings_so_many_new_members_a_minute() {
        let mut hearsay = Hearsay::default();
        let mut bring = |port, second| hearsay.admit_new_member(payer(port), at(second));
        assert_eq!((0..2_000).filter(|_| bring(1, 5)).count(), 1_024);
        assert!(bring(2, 6) && !bring(1, 64) && bring(1, 65));
    }

    #[test]
    fn what_one_peer_makes_us_refute_counts_once_in_a_while() {
        let mut hearsay = Hearsay::default();
        let mut counts =
            |port, s| hearsay.counts_against_us(payer(port), Duration::from_secs(1), at(s));
        assert!(counts(1, 0) && !counts(2, 0) && counts(2, 1));
        assert!(!counts(1, 9) && counts(1, 10));
    }
}
