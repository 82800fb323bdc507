//! What hostile members may not achieve: honest members that are connected are not held as gone
//! for long, what they say spreads, who joins is let in, and a crash is noticed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::config::Config;
use crate::member::MemberState;
use crate::sim::fault::HostId;
use crate::time::Time;

/// How long an honest member may hold another, connected one as dead or left, in one go: time to
/// hear of it, to refute and to have that told again.
const HELD_GONE: Duration = Duration::from_secs(5);
/// After so many probe intervals somebody has probed a member that crashed: with n members that
/// probe one of n in each interval, all of them miss it with a probability of e⁻¹⁰.
const FIRST_PROBE: u32 = 10;

/// A member that has crashed and was held as gone may come back once in so long: others are
/// believed once a minute, and views are taken ten times a second.
const BETWEEN_REVIVALS: Duration = Duration::from_secs(59);

/// What must become true.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AwaitedBelief {
    /// All have held the metadata.
    Metadata(Vec<u8>),
    /// All have held it as live, and it them.
    Joined,
    /// All have held it as dead.
    Dead,
}

impl fmt::Display for AwaitedBelief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metadata(_) => "the new metadata",
            Self::Joined => "the newcomer as live",
            Self::Dead => "the crashed one as dead",
        })
    }
}

/// How long each may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HonestBounds {
    pub(crate) metadata: Duration,
    pub(crate) join: Duration,
    pub(crate) death: Duration,
    /// Who is held as gone is forgotten after so long at the earliest.
    pub(crate) remembered: Duration,
}

impl HonestBounds {
    /// From how long gossip may take among members that are all honest:
    ///
    /// - metadata: twice as long as without hostile members, which is gossip, and a periodic
    ///   exchange for those whom gossip missed (one in some hundred changes misses somebody);
    /// - a join: as long, and the time that the first exchange has;
    /// - a death: one and a half times as long as without hostile members, which is until the
    ///   first probe, the longest suspicion, and gossip.
    pub(crate) fn of(config: &Config, gossip: Duration, members: usize) -> Self {
        let metadata = 2 * (gossip + config.push_pull_interval);
        // Lifeguard's formula has the logarithm, which is no higher than this.
        let digits = (members.max(2) - 1).checked_ilog10().unwrap_or(0) + 1;
        let suspicion = config.probe_interval
            * config.suspicion_multiplier
            * config.suspicion_max_timeout_multiplier
            * digits;
        let death = FIRST_PROBE * config.probe_interval + suspicion + gossip;
        let (join, death) = (config.stream_timeout + metadata, death * 3 / 2);
        Self { metadata, join, death, remembered: config.gossip_to_the_dead }
    }

    fn bound(&self, what: &AwaitedBelief) -> Duration {
        match what {
            AwaitedBelief::Metadata(_) => self.metadata,
            AwaitedBelief::Joined => self.join,
            AwaitedBelief::Dead => self.death,
        }
    }
}

/// What one honest member that is connected believes of the others that are honest.
#[derive(Clone, Debug)]
pub(crate) struct HonestView {
    pub(crate) viewer: HostId,
    /// Their states and metadata; those that it does not know are missing.
    pub(crate) others: BTreeMap<HostId, (MemberState, Vec<u8>)>,
}

impl HonestView {
    fn is_live(&self, subject: HostId) -> bool {
        self.others.get(&subject).is_some_and(|(state, _)| state.is_live())
    }
}

/// A rule that hostile members made an honest one break.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HonestViolation {
    #[error(
        "nobody connected is held as gone for long: host {viewer} holds host {subject} as {state} \
         since {since}"
    )]
    HeldGone { viewer: usize, subject: usize, state: MemberState, since: Time },
    #[error(
        "what is true becomes known: host {viewer} has not come to hold {what} of host {subject}, \
         since {since}, bound {bound:?}"
    )]
    NotKnown { viewer: usize, subject: usize, what: AwaitedBelief, since: Time, bound: Duration },
    #[error(
        "nobody is immortal: host {viewer} holds host {subject}, which has crashed, as live again, \
         and did so at {before}"
    )]
    Revived { viewer: usize, subject: usize, before: Time },
    #[error(
        "nobody is immortal: host {viewer} holds host {subject}, which has crashed, as live again \
         since {since}, bound {bound:?}"
    )]
    StaysRevived { viewer: usize, subject: usize, since: Time, bound: Duration },
}

/// What honest members must come to believe, and since when they believe what is false.
pub(crate) struct HonestMembers {
    bounds: HonestBounds,
    held_gone: BTreeMap<(HostId, HostId), Time>,
    expected: BTreeMap<HostId, Vec<Expectation>>,
    /// When each viewer was there for the first time: who came after a crash has as long from then.
    arrived: BTreeMap<HostId, Time>,
    /// Those that crashed, by viewer that has held them as gone since.
    crashed: BTreeMap<HostId, BTreeMap<HostId, SeenGone>>,
}

/// What a viewer held of a member that crashed.
#[derive(Clone, Copy)]
struct SeenGone {
    /// Whether it is live again, and since when it is or is not.
    is_live: bool,
    since: Time,
    revived: Option<Time>,
}

impl SeenGone {
    fn since(now: Time) -> Self {
        Self { is_live: false, since: now, revived: None }
    }

    /// The viewer holds the one that crashed as live, or as gone.
    fn look(
        &mut self,
        is_live: bool,
        (viewer, subject): (HostId, HostId),
        bounds: &HonestBounds,
        now: Time,
    ) -> Result<(), HonestViolation> {
        let (viewer, subject, since) = (viewer.index(), subject.index(), self.since);
        if is_live == self.is_live {
            let bound = bounds.death;
            if is_live && now - since > bound {
                return Err(HonestViolation::StaysRevived { viewer, subject, since, bound });
            }
            return Ok(());
        }
        (self.is_live, self.since) = (is_live, now);
        if !is_live {
            return Ok(());
        }
        if now - since >= bounds.remembered {
            // Whoever has forgotten it hears of it as of a new member.
            self.revived = None;
            return Ok(());
        }
        match self.revived.replace(now) {
            Some(before) if now - before < BETWEEN_REVIVALS => {
                Err(HonestViolation::Revived { viewer, subject, before })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Something that must become known, and whom it has reached so far.
struct Expectation {
    what: AwaitedBelief,
    since: Time,
    reached: BTreeSet<HostId>,
}

impl HonestMembers {
    pub(crate) fn new(bounds: HonestBounds) -> Self {
        Self {
            bounds,
            held_gone: BTreeMap::new(),
            expected: BTreeMap::new(),
            arrived: BTreeMap::new(),
            crashed: BTreeMap::new(),
        }
    }

    /// Something has become true of a member; replaces what was expected of the same kind.
    pub(crate) fn expect(&mut self, subject: HostId, what: AwaitedBelief, now: Time) {
        if what == AwaitedBelief::Dead {
            self.crashed.insert(subject, BTreeMap::new());
        }
        let expected = self.expected.entry(subject).or_default();
        expected.retain(|other| {
            let same = std::mem::discriminant(&other.what) == std::mem::discriminant(&what);
            // Nobody waits for what a member that crashed had to say.
            !same && what != AwaitedBelief::Dead
        });
        expected.push(Expectation { what, since: now, reached: BTreeSet::new() });
    }

    /// Whether anything is still to become known.
    pub(crate) fn has_expectations(&self) -> bool {
        self.expected.values().any(|expected| !expected.is_empty())
    }

    /// Checks all views of honest members that are connected, at one moment.
    pub(crate) fn check(&mut self, views: &[HonestView], now: Time) -> Result<(), HonestViolation> {
        for view in views {
            self.arrived.entry(view.viewer).or_insert(now);
        }
        self.check_held_gone(views, now)?;
        self.check_crashed(views, now)?;
        self.check_expected(views, now)
    }

    fn is_joining(&self, host: HostId) -> bool {
        let expected = self.expected.get(&host);
        expected.is_some_and(|all| all.iter().any(|other| other.what == AwaitedBelief::Joined))
    }

    fn check_held_gone(&mut self, views: &[HonestView], now: Time) -> Result<(), HonestViolation> {
        let connected: Vec<HostId> = views.iter().map(|view| view.viewer).collect();
        let mut held_gone = BTreeMap::new();
        for view in views {
            for subject in connected.iter().filter(|subject| **subject != view.viewer) {
                let Some((state, _)) = view.others.get(subject) else { continue };
                if state.is_live() {
                    continue;
                }
                let key = (view.viewer, *subject);
                let since = self.held_gone.get(&key).copied().unwrap_or(now);
                if now - since > HELD_GONE {
                    return Err(HonestViolation::HeldGone {
                        viewer: view.viewer.index(),
                        subject: subject.index(),
                        state: *state,
                        since,
                    });
                }
                held_gone.insert(key, since);
            }
        }
        self.held_gone = held_gone;
        Ok(())
    }

    fn check_crashed(&mut self, views: &[HonestView], now: Time) -> Result<(), HonestViolation> {
        for (subject, seen) in &mut self.crashed {
            for view in views {
                let Some((state, _)) = view.others.get(subject) else { continue };
                let between = (view.viewer, *subject);
                match seen.get_mut(&view.viewer) {
                    Some(seen) => seen.look(state.is_live(), between, &self.bounds, now)?,
                    None if state.is_live() => {}
                    None => {
                        seen.insert(view.viewer, SeenGone::since(now));
                    }
                }
            }
        }
        Ok(())
    }

    fn check_expected(&mut self, views: &[HonestView], now: Time) -> Result<(), HonestViolation> {
        let joining: Vec<HostId> =
            self.expected.keys().copied().filter(|host| self.is_joining(*host)).collect();
        let Self { bounds, expected, arrived, .. } = self;
        for (subject, all) in expected {
            let mut late = None;
            all.retain_mut(|Expectation { what, since, reached }| {
                let bound = bounds.bound(what);
                let lacking = lacking(views, (*subject, what), &joining, reached);
                let due = |viewer: &HostId| {
                    let came = arrived.get(viewer).filter(|_| *what == AwaitedBelief::Dead);
                    came.map_or(*since, |came| (*since).max(*came))
                };
                if let Some(viewer) = lacking.iter().find(|viewer| now - due(viewer) > bound) {
                    late = Some(HonestViolation::NotKnown {
                        viewer: viewer.index(),
                        subject: subject.index(),
                        what: what.clone(),
                        since: due(viewer),
                        bound,
                    });
                }
                !lacking.is_empty()
            });
            if let Some(late) = late {
                return Err(late);
            }
        }
        Ok(())
    }
}

/// The connected members that have not come to believe yet what it must; who is joining itself
/// need not, unless it is about its own join. Others may claim the opposite afterwards.
fn lacking(
    views: &[HonestView],
    (subject, what): (HostId, &AwaitedBelief),
    joining: &[HostId],
    reached: &mut BTreeSet<HostId>,
) -> Vec<HostId> {
    let settled = |view: &&HonestView| view.viewer == subject || !joining.contains(&view.viewer);
    let believes = |view: &HonestView| match what {
        AwaitedBelief::Joined if view.viewer == subject => {
            let mut others = views.iter().filter(|other| !joining.contains(&other.viewer));
            others.all(|other| other.viewer == subject || view.is_live(other.viewer))
        }
        _ if view.viewer == subject => true,
        AwaitedBelief::Joined => view.is_live(subject),
        AwaitedBelief::Metadata(wanted) => {
            view.others.get(&subject).is_some_and(|(_, meta)| meta == wanted)
        }
        // Forgotten in the meantime is as good; a leave that was forged after the death too.
        AwaitedBelief::Dead => !view.is_live(subject),
    };
    reached.extend(views.iter().filter(|view| believes(view)).map(|view| view.viewer));
    let settled = views.iter().filter(settled).map(|view| view.viewer);
    settled.filter(|viewer| !reached.contains(viewer)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: HostId = HostId(0);
    const BOB: HostId = HostId(1);

    fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1_000)
    }

    fn rules() -> HonestMembers {
        let (metadata, join, death) =
            (Duration::from_secs(6), Duration::from_secs(16), Duration::from_secs(60));
        let remembered = Duration::from_secs(30);
        HonestMembers::new(HonestBounds { metadata, join, death, remembered })
    }

    fn view(viewer: HostId, of: HostId, state: MemberState, meta: &[u8]) -> HonestView {
        HonestView { viewer, others: BTreeMap::from([(of, (state, meta.to_vec()))]) }
    }

    /// Ada's view of bob, who holds her as live.
    fn both(state: MemberState, meta: &[u8]) -> [HonestView; 2] {
        [view(ADA, BOB, state, meta), view(BOB, ADA, MemberState::Alive, &[])]
    }

    #[test]
    fn who_is_connected_is_held_as_gone_for_five_seconds_at_most() {
        for state in [MemberState::Dead, MemberState::Left] {
            let mut rules = rules();
            assert_eq!(rules.check(&both(state, &[]), at(0)), Ok(()));
            assert_eq!(rules.check(&both(state, &[]), at(5_000)), Ok(()));
            assert!(matches!(
                rules.check(&both(state, &[]), at(5_100)),
                Err(HonestViolation::HeldGone { viewer: 0, subject: 1, .. })
            ));
        }
    }

    #[test]
    fn who_comes_back_between_or_is_down_may_be_held_as_gone() {
        let mut rules = rules();
        for second in 0..10 {
            let state = if second == 4 { MemberState::Suspect } else { MemberState::Dead };
            assert_eq!(rules.check(&both(state, &[]), at(second * 1_000)), Ok(()));
        }
        let mut rules = self::rules();
        for second in 0..10 {
            let alone = [view(ADA, BOB, MemberState::Dead, &[])];
            assert_eq!(rules.check(&alone, at(second * 1_000)), Ok(()));
        }
    }

    #[test]
    fn metadata_that_does_not_spread_is_noticed_and_newer_metadata_has_its_own_time() {
        let mut rules = rules();
        rules.expect(BOB, AwaitedBelief::Metadata(vec![1]), at(0));
        assert_eq!(rules.check(&both(MemberState::Alive, &[0]), at(5_000)), Ok(()));
        rules.expect(BOB, AwaitedBelief::Metadata(vec![2]), at(5_000));
        assert_eq!(rules.check(&both(MemberState::Alive, &[1]), at(11_000)), Ok(()));
        assert!(rules.check(&both(MemberState::Alive, &[1]), at(11_001)).is_err());
        assert_eq!(rules.check(&both(MemberState::Alive, &[2]), at(11_001)), Ok(()));
        assert!(!rules.has_expectations());
    }

    #[test]
    fn a_crash_that_nobody_notices_is_noticed() {
        let alone = |state| [view(ADA, BOB, state, &[])];
        let mut rules = rules();
        rules.expect(BOB, AwaitedBelief::Metadata(vec![1]), at(0));
        rules.expect(BOB, AwaitedBelief::Dead, at(0));
        assert_eq!(rules.check(&alone(MemberState::Suspect), at(0)), Ok(()));
        assert_eq!(rules.check(&alone(MemberState::Suspect), at(60_000)), Ok(()));
        assert!(rules.check(&alone(MemberState::Suspect), at(60_001)).is_err());
        assert_eq!(rules.check(&alone(MemberState::Dead), at(60_001)), Ok(()));
    }

    #[test]
    fn who_came_after_a_crash_has_as_long_and_no_longer() {
        const CYD: HostId = HostId(2);
        let mut rules = rules();
        rules.expect(BOB, AwaitedBelief::Dead, at(0));
        let ada = |state| view(ADA, BOB, state, &[]);
        let cyd = view(CYD, BOB, MemberState::Alive, &[]);
        assert_eq!(rules.check(&[ada(MemberState::Suspect)], at(0)), Ok(()));
        assert_eq!(rules.check(&[ada(MemberState::Dead), cyd.clone()], at(50_000)), Ok(()));
        assert_eq!(rules.check(&[ada(MemberState::Dead), cyd.clone()], at(110_000)), Ok(()));
        assert!(matches!(
            rules.check(&[ada(MemberState::Dead), cyd], at(110_001)),
            Err(HonestViolation::NotKnown { viewer: 2, subject: 1, .. })
        ));
    }

    #[test]
    fn whoever_has_crashed_comes_back_seldom_and_not_for_long() {
        let held = |state| [view(ADA, BOB, state, &[])];
        let crashed = || {
            let mut rules = rules();
            rules.expect(BOB, AwaitedBelief::Dead, at(0));
            assert_eq!(rules.check(&held(MemberState::Alive), at(0)), Ok(()));
            assert_eq!(rules.check(&held(MemberState::Dead), at(1_000)), Ok(()));
            assert_eq!(rules.check(&held(MemberState::Alive), at(2_000)), Ok(()));
            rules
        };
        let mut rules = crashed();
        assert_eq!(rules.check(&held(MemberState::Suspect), at(62_000)), Ok(()));
        assert!(matches!(
            rules.check(&held(MemberState::Suspect), at(62_001)),
            Err(HonestViolation::StaysRevived { viewer: 0, subject: 1, .. })
        ));
        for (gone, again, is_ok) in
            [(32_000, 60_999, false), (32_000, 61_000, true), (3_000, 33_000, true)]
        {
            let mut rules = crashed();
            assert_eq!(rules.check(&held(MemberState::Left), at(gone)), Ok(()));
            assert_eq!(rules.check(&held(MemberState::Alive), at(again)).is_ok(), is_ok);
        }
    }

    #[test]
    fn a_join_is_over_when_both_sides_know_of_it() {
        let one_sided = [
            view(ADA, BOB, MemberState::Alive, &[]),
            HonestView { viewer: BOB, others: BTreeMap::new() },
        ];
        let mut rules = rules();
        rules.expect(BOB, AwaitedBelief::Joined, at(0));
        assert_eq!(rules.check(&one_sided, at(16_000)), Ok(()));
        assert!(rules.check(&one_sided, at(16_001)).is_err());
        assert_eq!(rules.check(&both(MemberState::Alive, &[]), at(16_001)), Ok(()));
        assert!(!rules.has_expectations());
    }
}
