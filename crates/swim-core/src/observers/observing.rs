//! Whom we watch, who watches us, and to whom we are connected for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::candidates::Candidates;
use super::tickets::{Tickets, longest_wait, shortest_wait, untold_wait};
use crate::config::Config;
use crate::member::MemberState;
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::member_table::MemberTable;
use crate::rng::Rng;
use crate::time::Time;

/// Where few watch, so many periods pass between two probes of members that we do not watch, as
/// most need a connection of their own.
const PERIODS_BETWEEN_SWEEPS: u32 = 60;
/// While so many of those whom we watch do not answer, or half of them, it may be we who are cut
/// off with a few others: every period has its probe, as in SWIM.
const MANY_SILENT: usize = 5;
/// Members beside those that we watch, and that watch us, to whom we gossip: ranks of names that
/// are alike may leave groups of members with few connections between them.
const LONG_LINKS: usize = 2;
/// Members that gossip to us and to whom we have drawn no link: so many of them are peers of ours
/// too. Of 2 links that each member draws, 2 in the mean lead to us.
const MAX_LINKED_BY: usize = 8;
/// How long a long link lasts: this, and up to as long again.
const LINK_LASTS: Duration = Duration::from_secs(60);
/// With fewer peers than this, gossip goes to members to whom there may be no connection, ...
const FEW_PEERS: usize = 3;
/// ... once in this time.
const BETWEEN_DIALS: Duration = Duration::from_secs(2);

/// What one member knows of who watches whom.
#[derive(Debug)]
pub(crate) struct Observing {
    /// How many watch each member, where few do.
    count: usize,
    candidates: Candidates,
    tickets: Tickets,
    /// When a member last probed us as one that watches us.
    observed_by: BTreeMap<MemberIndex, Time>,
    /// Members that are dead and that we watched before, until they are purged.
    lost: BTreeSet<MemberIndex>,
    /// Long links, and until when each lasts.
    links: BTreeMap<MemberIndex, Time>,
    /// Who has drawn a long link to us, as it seems, and until when each lasts.
    linked_by: BTreeMap<MemberIndex, Time>,
    /// Since the last sweep.
    periods: u32,
    /// When gossip last went to members to whom there may be no connection.
    dialed: Option<Time>,
}

impl Observing {
    /// A member that knows only itself; `None` where all probe all.
    pub(crate) fn new(me: &MemberName, config: &Config, now: Time) -> Option<Self> {
        (config.observers > 0).then(|| Self {
            count: config.observers,
            candidates: Candidates::new(me.clone(), config.observers, now),
            tickets: Tickets::default(),
            observed_by: BTreeMap::new(),
            lost: BTreeSet::new(),
            links: BTreeMap::new(),
            linked_by: BTreeMap::new(),
            periods: 0,
            dialed: None,
        })
    }

    pub(crate) fn candidates(&self) -> &Candidates {
        &self.candidates
    }

    /// A member came, or came back.
    pub(crate) fn insert(&mut self, index: MemberIndex, name: &MemberName, now: Time) {
        self.lost.remove(&index);
        self.candidates.insert(name, now);
    }

    /// A member has died, or has left.
    pub(crate) fn remove(
        &mut self,
        index: MemberIndex,
        name: &MemberName,
        is_dead: bool,
        now: Time,
    ) {
        if is_dead && self.candidates.watches(name) {
            self.lost.insert(index);
        }
        self.observed_by.remove(&index);
        self.candidates.remove(name, now);
    }

    /// The member was purged.
    pub(crate) fn forget(&mut self, index: MemberIndex, name: &MemberName, now: Time) {
        self.remove(index, name, false, now);
        self.lost.remove(&index);
        self.links.remove(&index);
        self.linked_by.remove(&index);
        self.tickets.forget(index);
    }

    /// What is due by now in who watches whom.
    pub(crate) fn advance(&mut self, now: Time) {
        self.candidates.advance(now);
    }

    /// How many watch each member, ourselves among them.
    pub(crate) fn observers(&self, members: &MemberTable) -> usize {
        if self.candidates.few_watch() { self.count } else { members.live_others().max(1) }
    }

    /// How long we wait before we probe a member again that has told us no turn.
    pub(crate) fn untold_wait(&self, members: &MemberTable, config: &Config) -> Duration {
        untold_wait(self.observers(members), config.min_report_interval())
    }

    /// How long we wait if a member has told us to wait for so long.
    pub(crate) fn told_wait(
        &self,
        told: Duration,
        members: &MemberTable,
        config: &Config,
    ) -> Duration {
        let period = config.min_report_interval();
        told.max(shortest_wait(period)).min(longest_wait(self.observers(members), period))
    }

    /// A member has probed us as one that watches us: how long it is to wait before the next time.
    pub(crate) fn observed(
        &mut self,
        by: MemberIndex,
        members: &MemberTable,
        config: &Config,
        now: Time,
    ) -> Duration {
        self.observed_by.insert(by, now);
        let pace = (self.observers(members), config.min_report_interval());
        self.tickets.deal(by, pace, now)
    }

    /// A member gossips to us.
    pub(crate) fn heard_gossip(&mut self, from: MemberIndex, now: Time) {
        if self.candidates.few_watch() && !self.links.contains_key(&from) {
            self.linked_by.retain(|_, until| *until > now);
            if self.linked_by.len() < MAX_LINKED_BY {
                self.linked_by.entry(from).or_insert(now + LINK_LASTS);
            }
        }
    }

    /// A period is over: whether a member is to be probed that we do not watch.
    pub(crate) fn sweeps(&mut self, members: &MemberTable) -> bool {
        if !self.candidates.few_watch() {
            return false;
        }
        self.periods += 1;
        let is_due = self.periods >= PERIODS_BETWEEN_SWEEPS || self.many_are_silent(members);
        if is_due {
            self.periods = 0;
        }
        is_due
    }

    fn many_are_silent(&self, members: &MemberTable) -> bool {
        let watched = self.candidates.watched();
        let (mut all, mut silent) = (self.lost.len(), self.lost.len());
        for name in watched {
            let index = members.find(name.as_bytes());
            all += 1;
            silent += usize::from(index.is_some_and(|it| members.suspicion(it).is_some()));
        }
        silent >= MANY_SILENT || (silent > 0 && 2 * silent >= all)
    }

    /// The members that gossip goes to; `None` where it may go to everybody.
    ///
    /// `warm` are others to whom there is a connection anyway.
    pub(crate) fn gossips_to(
        &mut self,
        (members, warm): (&MemberTable, impl Iterator<Item = MemberIndex>),
        config: &Config,
        rng: &mut Rng,
        now: Time,
    ) -> Option<BTreeSet<MemberIndex>> {
        if !self.candidates.few_watch() {
            return None;
        }
        self.draw_links(members, rng, now);
        let longest = longest_wait(self.count, config.min_report_interval());
        self.observed_by.retain(|_, at| now - *at <= longest);
        let watched = self.candidates.watched();
        let mut peers: BTreeSet<MemberIndex> =
            watched.filter_map(|name| members.find(name.as_bytes())).collect();
        peers.extend(self.observed_by.keys());
        peers.extend(self.links.keys());
        self.linked_by.retain(|_, until| *until > now);
        peers.extend(self.linked_by.keys());
        peers.extend(&self.lost);
        peers.extend(warm);
        let may_dial = self.dialed.is_none_or(|at| now - at >= BETWEEN_DIALS);
        if peers.len() < FEW_PEERS && may_dial {
            self.dialed = Some(now);
            return None;
        }
        Some(peers)
    }

    /// Links that have lasted for long enough, or whose member is gone, are drawn anew.
    fn draw_links(&mut self, members: &MemberTable, rng: &mut Rng, now: Time) {
        let live = |index: MemberIndex| members.get(index).state().is_live();
        self.links.retain(|index, until| *until > now && live(*index));
        let missing = LONG_LINKS.saturating_sub(self.links.len());
        if missing == 0 {
            return;
        }
        let drawn = members.draw(missing, rng, |index, member| {
            index != MemberIndex::ME
                && member.state().is_live()
                && !self.links.contains_key(&index)
                && !self.candidates.watches(member.name())
        });
        for index in drawn {
            self.links.insert(index, now + LINK_LASTS + rng.span(LINK_LASTS));
        }
    }

    /// Who watches a member beside us, by rank: they have connections to it. `None` where all do.
    pub(crate) fn others_watching(
        &self,
        subject: MemberIndex,
        members: &MemberTable,
    ) -> Option<Vec<MemberIndex>> {
        if !self.candidates.few_watch() {
            return None;
        }
        let others = self.candidates.others_watching(members.get(subject).name());
        let found = others.into_iter().filter_map(|name| members.find(name.as_bytes()));
        let is_alive = |it: &MemberIndex| members.get(*it).state() == MemberState::Alive;
        Some(found.filter(is_alive).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::{Advertised, Member, MemberRecord};
    use crate::rng::RngSeed;
    use crate::suspicion::{Suspicion, SuspicionTimeout};

    fn member(number: usize) -> Member {
        Member::new(MemberRecord {
            name: MemberName::try_from(format!("node-{number}").as_str()).unwrap(),
            meta: None,
            changed: Time::ZERO,
            incarnation: 1,
            advertised: Advertised::from_wire(&[10, 0, 0, 1], 7946).unwrap(),
            versions: None,
            state: MemberState::Alive,
        })
    }

    /// One that has known so many for long, and whom it watches.
    fn acquainted(count: usize) -> (Observing, MemberTable, Vec<MemberIndex>) {
        let config = Config { observers: 10, ..Config::lan() };
        let mut table = MemberTable::new(member(0), 7, b"");
        let mut observing = Observing::new(member(0).name(), &config, Time::ZERO).unwrap();
        let mut rng = Rng::new(RngSeed([1; 32]));
        for number in 1..count {
            let index = table.insert(member(number), &mut rng);
            observing.insert(index, member(number).name(), Time::ZERO);
        }
        while let Some(due) = observing.candidates().next_deadline() {
            observing.advance(due);
        }
        let watched = observing.candidates().watched();
        let watched = watched.map(|name| table.find(name.as_bytes()).unwrap()).collect();
        (observing, table, watched)
    }

    fn suspect(table: &mut MemberTable, index: MemberIndex) {
        let by = member(0).name().clone();
        let timeout = SuspicionTimeout::new(60, 60, 4, 6, Duration::from_secs(1));
        let suspicion = Suspicion::new(by.clone(), true, timeout, Time::ZERO);
        table.set_suspect(index, 1, by, suspicion, Time::ZERO);
    }

    #[test]
    fn one_period_in_sixty_is_for_members_that_are_not_watched_and_each_while_many_are_silent() {
        let (mut observing, mut table, watched) = acquainted(100);
        let sweeps = |observing: &mut Observing, table: &MemberTable| {
            (0..600).filter(|_| observing.sweeps(table)).count()
        };
        assert_eq!(sweeps(&mut observing, &table), 10);
        assert!(watched.len() >= 10, "{}", watched.len());
        let silent = MANY_SILENT.min(watched.len().div_ceil(2));
        for index in &watched[..silent - 1] {
            suspect(&mut table, *index);
        }
        assert_eq!(sweeps(&mut observing, &table), 10, "they may have crashed together");
        // One that is dead counts until it is forgotten.
        let name = table.get(watched[silent]).name().clone();
        observing.remove(watched[silent], &name, true, Time::ZERO);
        assert_eq!(sweeps(&mut observing, &table), 600);
        observing.forget(watched[silent], &name, Time::ZERO);
        assert_eq!(sweeps(&mut observing, &table), 10);
    }

    #[test]
    fn where_all_watch_all_nobody_is_left_to_sweep() {
        let (mut observing, table, watched) = acquainted(40);
        assert_eq!(watched.len(), 39);
        assert!((0..600).all(|_| !observing.sweeps(&table)));
    }

    /// Links are few, last, and lead to others than those that are watched.
    #[test]
    fn gossip_goes_to_few_and_to_the_same_for_a_while() {
        let (mut observing, table, watched) = acquainted(100);
        let mut rng = Rng::new(RngSeed([2; 32]));
        let config = Config { observers: 10, ..Config::lan() };
        let mut peers = |observing: &mut Observing, second: u64| {
            let now = Time::from_micros(second * 1_000_000);
            let none = std::iter::empty();
            observing.gossips_to((&table, none), &config, &mut rng, now).unwrap()
        };
        let first = peers(&mut observing, 100);
        assert_eq!(first.len(), watched.len() + LONG_LINKS);
        assert!(watched.iter().all(|index| first.contains(index)));
        assert_eq!(peers(&mut observing, 159), first, "links last for a minute at least");
        assert_ne!(peers(&mut observing, 221), first, "and for two at most");
        let [caller, observer] = [1, 2].map(|place| MemberIndex::at(90 + place).unwrap());
        observing.heard_gossip(caller, Time::from_micros(221_000_000));
        observing.observed(observer, &table, &config, Time::from_micros(221_000_000));
        let more = peers(&mut observing, 222);
        assert!(more.contains(&caller) && more.contains(&observer));
        let later = peers(&mut observing, 282);
        assert!(!later.contains(&caller) || watched.contains(&caller));
    }
}
