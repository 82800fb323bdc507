//! Bounds on what members are believed to say of others, or of us.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::member_index::MemberIndex;
use crate::payer::Payer;
use crate::rechecks::Rechecks;
use crate::refuted_suspicions::RefutedSuspicions;
use crate::time::Time;

/// How far above what is held a claim of somebody else may be that is not dropped. Members raise
/// their incarnations by one, so an honest claim is a few ahead.
const MOST_AHEAD: u32 = 1 << 16;
/// A claim that is so little ahead may come from anybody: whoever believes it missed a few
/// refutations.
const FEW_AHEAD: u32 = 64;
/// By so much such claims may raise what is held of a member in a minute, all together, and what
/// we hold of ourselves those of one peer.
const MAX_FEW_AHEAD: u32 = 1_024;
/// A claim that is so little ahead is taken all the same: it is the last refutation or the one
/// before, which must reach everybody whatever others have claimed.
const LEAST_AHEAD: u32 = 2;
/// From here on only what is held already is claimed: nobody has refuted so often, and beyond this
/// the highest incarnations that there are would come within a few claims.
pub(crate) const HALF_OF_ALL: u32 = 1 << 31;
/// How often a member is asked for its incarnation because of what one peer claims, and how often
/// one peer may raise our own by more than [`MAX_FEW_AHEAD`] in all.
const BETWEEN_RAISES: Duration = Duration::from_secs(60);
/// New members that one peer may bring in a minute, beside those of exchanges that we began.
const MAX_NEW_MEMBERS: u32 = 1_024;
/// The most that is remembered of each kind; while there is no room, further ones are refused.
const MAX_REMEMBERED: usize = 4_096;
/// How often hearsay outweighs what we found ourselves of a member: that it is gone, or does not
/// answer. Whoever claims more often that it is alive has us ask it.
const BETWEEN_REVIVALS: Duration = Duration::from_secs(60);
/// How often such a member is asked.
const BETWEEN_QUESTIONS: Duration = Duration::from_secs(1);
/// How often refutations that one peer causes count against our own health, at most, in probe
/// intervals.
const BETWEEN_COSTS: u32 = 10;

/// What peers have claimed lately.
#[derive(Debug, Default)]
pub(crate) struct Hearsay {
    /// Whose suspicions were refuted.
    pub(crate) refuted: RefutedSuspicions,
    /// Who is to be probed because hearsay was believed.
    pub(crate) rechecks: Rechecks,
    /// When a peer last made us ask a member, or raised ourselves by much, and then to what.
    asked: BTreeMap<(MemberIndex, Payer), (Time, u32)>,
    /// By how much members were raised, each since when.
    raised: Vec<Raised>,
    /// By how much peers raised ourselves, each since when.
    raised_us: BTreeMap<Payer, (Time, u32)>,
    introduced: BTreeMap<Payer, (Time, u32)>,
    /// Of which members hearsay was believed against what we found; at most the table of members.
    revived: BTreeMap<MemberIndex, Revived>,
    costs: BTreeMap<Payer, Time>,
    last_cost: Option<Time>,
}

/// When hearsay was believed against what we found of a member, and when it made us ask it.
#[derive(Clone, Copy, Debug)]
struct Revived {
    at: Time,
    asked: Time,
}

/// What follows when somebody says that a member is alive of which we found otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revival {
    /// Where that is against what we know, the member has its turn to be probed soon.
    Believed,
    /// It may be so, and the probe or the question that is under way goes on.
    Doubted,
    /// It is not believed, and the member is to be asked.
    Asked,
    Ignored,
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
    /// Whether a claim may raise what is held of another member from `held` to `claimed`, which is
    /// a few above. What was admitted before may be repeated: it did not raise what is held, as
    /// when it is said to be alive of one that does not answer us.
    pub(crate) fn admit_few_ahead(
        &mut self,
        subject: MemberIndex,
        (claimed, held): (u32, u32),
        now: Time,
    ) -> bool {
        if claimed.saturating_sub(held) <= LEAST_AHEAD {
            return true;
        }
        if self.raised.len() <= subject.index() {
            // As long as the table of members.
            self.raised.resize(subject.index() + 1, Raised::default());
        }
        let raised = self.raised.get_mut(subject.index());
        raised.is_some_and(|raised| raised.admit(claimed, held, now))
    }

    /// Whether a peer may raise what we say of ourselves from `held` to `claimed`: in all by as
    /// much as others are raised, and once in a while by more. What it was once admitted to claim
    /// it may repeat: a claim that did not raise us, as one of another address, uses nothing up.
    pub(crate) fn admit_about_us(
        &mut self,
        (claimed, held): (u32, u32),
        by: Payer,
        now: Time,
    ) -> bool {
        let key = (MemberIndex::ME, by);
        let lately = self.asked.get(&key).filter(|(at, _)| now - *at < BETWEEN_RAISES);
        let held = lately.map_or(held, |(_, admitted)| held.max(*admitted));
        let ahead = claimed.saturating_sub(held);
        if Lead::of(claimed, held) == Lead::Impossible {
            return false;
        }
        if ahead <= LEAST_AHEAD {
            return true;
        }
        let (_, by) = key;
        if self.raised_us.len() >= MAX_REMEMBERED {
            self.raised_us.retain(|_, (since, _)| now - *since < BETWEEN_RAISES);
        }
        let has_room = self.raised_us.len() < MAX_REMEMBERED || self.raised_us.contains_key(&by);
        has_room && add(self.raised_us.entry(by.clone()).or_insert((now, 0)), ahead, now)
            || self.admit_claim((MemberIndex::ME, by), claimed, now)
    }

    /// Whether a peer may make us ask another member.
    pub(crate) fn admit_question(&mut self, subject: MemberIndex, by: Payer, now: Time) -> bool {
        self.admit_claim((subject, by), 0, now)
    }

    fn admit_claim(&mut self, key: (MemberIndex, Payer), claimed: u32, now: Time) -> bool {
        let recent = |(at, _): &(Time, u32)| now - *at < BETWEEN_RAISES;
        if self.asked.get(&key).is_some_and(recent) {
            return false;
        }
        if self.asked.len() >= MAX_REMEMBERED {
            self.asked.retain(|_, asked| recent(asked));
        }
        let has_room = self.asked.len() < MAX_REMEMBERED;
        if has_room {
            self.asked.insert(key, (now, claimed));
        }
        has_room
    }

    /// Whether somebody else is believed that a member is alive of which we found otherwise.
    pub(crate) fn judge_revival(&mut self, subject: MemberIndex, now: Time) -> Revival {
        match self.revived.get_mut(&subject) {
            Some(revived) if now - revived.at < BETWEEN_REVIVALS => {
                if now - revived.asked < BETWEEN_QUESTIONS {
                    return Revival::Ignored;
                }
                revived.asked = now;
                Revival::Asked
            }
            Some(_) | None => {
                self.revived.insert(subject, Revived { at: now, asked: now });
                self.rechecks.add(subject);
                Revival::Believed
            }
        }
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
        self.asked.retain(|(other, _), _| *other != subject);
        self.revived.remove(&subject);
        self.rechecks.forget(subject);
        if let Some(raised) = self.raised.get_mut(subject.index()) {
            *raised = Raised::default();
        }
    }
}

/// By how much claims of others have raised a member in a minute.
#[derive(Clone, Copy, Debug)]
struct Raised {
    sum: (Time, u32),
    /// The highest claim that was admitted in that minute.
    admitted: u32,
}

impl Default for Raised {
    fn default() -> Self {
        Self { sum: (Time::ZERO, 0), admitted: 0 }
    }
}

impl Raised {
    fn admit(&mut self, claimed: u32, held: u32, now: Time) -> bool {
        if now - self.sum.0 >= BETWEEN_RAISES {
            self.admitted = 0;
        }
        let ahead = claimed.saturating_sub(held.max(self.admitted));
        let admitted = add(&mut self.sum, ahead, now);
        if admitted {
            self.admitted = self.admitted.max(claimed);
        }
        admitted
    }
}

/// Adds to what was raised in a minute, unless it exceeds [`MAX_FEW_AHEAD`].
fn add((since, sum): &mut (Time, u32), ahead: u32, now: Time) -> bool {
    if now - *since >= BETWEEN_RAISES {
        (*since, *sum) = (now, 0);
    }
    let admitted = ahead <= MAX_FEW_AHEAD - *sum;
    *sum += if admitted { ahead } else { 0 };
    admitted
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
    fn claims_of_little_raise_a_member_by_so_much_in_a_minute() {
        let mut hearsay = Hearsay::default();
        let mut held = [100; 9];
        let mut raise = |member: usize, ahead, second| {
            let claims = (held[member] + ahead, held[member]);
            let index = MemberIndex::at(member).unwrap();
            let admitted = hearsay.admit_few_ahead(index, claims, at(second));
            held[member] += if admitted { ahead } else { 0 };
            admitted
        };
        assert_eq!((0..100).filter(|_| raise(7, 64, 1_000)).count(), 16);
        assert!(raise(7, 2, 1_000) && !raise(7, 5, 1_059) && raise(8, 64, 1_059));
        assert!(raise(7, 5, 1_060));
    }

    #[test]
    fn what_raises_nobody_uses_up_nothing() {
        let mut hearsay = Hearsay::default();
        let bob = MemberIndex::at(7).unwrap();
        let mut admits = |claimed| hearsay.admit_few_ahead(bob, (claimed, 2), at(1_000));
        assert!((0..1_000).all(|_| admits(23)));
        assert!(admits(25) && (0..1_000).all(|time| admits(25 + time % 2)));
        // Nothing is lost of the bound on what is claimed in all.
        assert_eq!((27..2_000).filter(|claimed| admits(*claimed)).count(), 1_024 - 24);
    }

    #[test]
    fn each_peer_raises_us_by_so_much_and_once_in_a_minute_by_more() {
        let mut hearsay = Hearsay::default();
        // Each claim that is believed raises us.
        let mut held = 100;
        let mut raise = |port, ahead, s| {
            let claimed = held + ahead;
            let admitted = hearsay.admit_about_us((claimed, held), payer(port), at(s));
            held = if admitted { claimed } else { held };
            admitted
        };
        assert!(raise(1, 1_024, 1_000), "as much as others hold of us after a minute");
        assert!(raise(1, 60_000, 1_001) && !raise(1, 3, 1_002));
        assert!(raise(2, 1_000, 1_002) && raise(2, 60_000, 1_003));
        assert!(raise(1, 2, 1_003) && raise(1, 1_024, 1_061));
        for port in 0..5_000 {
            raise(port, 2_000, 1_062);
        }
        assert_eq!(hearsay.raised_us.len(), MAX_REMEMBERED);
    }

    #[test]
    fn a_claim_that_did_not_raise_us_may_be_repeated_a_little_higher() {
        let mut hearsay = Hearsay::default();
        let mut admits =
            |port, claimed, s| hearsay.admit_about_us((claimed, 197_499), payer(port), at(s));
        // That we are elsewhere; that we are suspect there; that somebody else raised that.
        assert!(admits(1, 263_033, 0) && admits(1, 263_033, 1) && admits(1, 263_058, 2));
        assert!(!admits(1, 263_033 + 1_027, 3), "in all no more than before");
        assert!(!admits(1, 263_033 + 60_000, 3), "much higher once in a minute only");
        assert!(!admits(2, 263_058, 3), "too high for those who were not admitted");
        assert!(admits(2, 263_035, 3) && !admits(1, HALF_OF_ALL, 4));
    }

    #[test]
    fn a_peer_makes_us_ask_once_in_a_minute_and_the_table_is_bounded() {
        let mut hearsay = Hearsay::default();
        let bob = MemberIndex::at(7).unwrap();
        assert!(hearsay.admit_question(bob, payer(1), at(0)));
        assert!(!hearsay.admit_question(bob, payer(1), at(59)));
        assert!(hearsay.admit_question(bob, payer(2), at(59)));
        assert!(hearsay.admit_question(bob, payer(1), at(60)));
        for port in 0..5_000 {
            hearsay.admit_question(bob, payer(port), at(60));
        }
        assert_eq!(hearsay.asked.len(), MAX_REMEMBERED);
        hearsay.forget(bob);
        assert!(hearsay.asked.is_empty());
    }

    #[test]
    fn hearsay_brings_a_member_back_once_a_minute_and_has_it_asked_once_a_second() {
        let mut hearsay = Hearsay::default();
        let bob = MemberIndex::at(7).unwrap();
        let mut judge = |second| hearsay.judge_revival(bob, at(second));
        assert_eq!(judge(0), Revival::Believed);
        assert_eq!(
            [judge(0), judge(1), judge(1)],
            [Revival::Ignored, Revival::Asked, Revival::Ignored]
        );
        assert_eq!([judge(59), judge(60)], [Revival::Asked, Revival::Believed]);
        hearsay.forget(bob);
        assert_eq!(hearsay.judge_revival(bob, at(61)), Revival::Believed);
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
