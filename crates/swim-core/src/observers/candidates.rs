//! Whom a member watches, kept up to date as members come and go.
//!
//! Computing every rank for every change would cost the square of the number of members while a
//! cluster forms. A member therefore keeps candidates only: the subjects for which its own score
//! is among the highest 4 K of as many scores as there are members, where K is how many watch each:
//! about 40 where ten do. For those it counts who outranks it. A newcomer costs one score for each
//! candidate, and with probability 40 / n, when it becomes a candidate itself, one for each member:
//! 80 in the mean.
//!
//! A rank that changes for a moment changes nothing: see [`START_AFTER`] and [`STOP_AFTER`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::ranking::{NameHash, observers_of, score};
use crate::member_name::MemberName;
use crate::time::Time;

/// How long a member must have lived without a break before it outranks others, so that names
/// that are invented, or come and go, displace no observer.
pub(crate) const SETTLED_AFTER: Duration = Duration::from_secs(30);

/// How long our rank for a subject must have been among those that watch before we do.
pub(crate) const START_AFTER: Duration = Duration::from_secs(2);

/// How long our rank must have been lower than that by two or more before we cease to watch. The
/// gap of two ranks keeps who is at the edge from starting and stopping by turns.
pub(crate) const STOP_AFTER: Duration = Duration::from_secs(10);

/// A member that we hold alive or suspect.
#[derive(Debug)]
struct Living {
    hash: NameHash,
    since: Time,
    is_settled: bool,
}

/// A subject that we watch, or may come to watch.
#[derive(Debug)]
struct Candidate {
    hash: NameHash,
    /// How many members that count outrank us.
    rank: usize,
    is_watched: bool,
    /// When `is_watched` turns around, unless the rank comes back before.
    turns: Option<Time>,
}

impl Candidate {
    /// The rank may have changed, and only few watch.
    fn reconsider(&mut self, observers: usize, now: Time) {
        let (differs, patience) = if self.is_watched {
            (self.rank >= observers + 2, STOP_AFTER)
        } else {
            (self.rank < observers, START_AFTER)
        };
        self.turns = differs.then(|| self.turns.unwrap_or(now + patience));
    }
}

/// Whom one member watches, in its own view of the members.
///
/// Tell it of every member that comes ([`insert`](Self::insert)) and goes
/// ([`remove`](Self::remove)), and call [`advance`](Self::advance) at
/// [`next_deadline`](Self::next_deadline). Members held suspect rank and are watched like those
/// held alive. `now` must never decrease.
///
/// Holds an entry for each member and one for each candidate, at most 80 in the mean.
#[derive(Debug)]
pub(crate) struct Candidates {
    me: MemberName,
    hash: NameHash,
    /// How many watch each subject, where few do.
    observers: usize,
    /// When we ourselves have lived for long enough to outrank others, until then.
    we_settle: Option<Time>,
    living: BTreeMap<MemberName, Living>,
    /// Who has not settled yet, by when it came.
    unsettled: BTreeSet<(Time, MemberName)>,
    candidates: BTreeMap<MemberName, Candidate>,
    /// Whether only the highest ranks watch.
    few_watch: bool,
    /// Whether those count who have not settled: there are too few who have, or we have not.
    all_count: bool,
    /// For how many members, ourselves included, candidates were last chosen.
    chosen_for: usize,
}

impl Candidates {
    /// A member that knows only itself. With more than 4 × `observers` members, ourselves included,
    /// so many watch each one; with fewer than 16/5 × `observers` all do again.
    pub(crate) fn new(me: MemberName, observers: usize, now: Time) -> Self {
        Self {
            hash: NameHash::of(&me),
            me,
            observers,
            we_settle: Some(now + SETTLED_AFTER),
            living: BTreeMap::new(),
            unsettled: BTreeSet::new(),
            candidates: BTreeMap::new(),
            few_watch: false,
            all_count: true,
            chosen_for: 1,
        }
    }

    /// A member came, or came back; nothing happens if it is there already, or is ourselves.
    pub(crate) fn insert(&mut self, name: &MemberName, now: Time) {
        if *name == self.me || self.living.contains_key(name) {
            return;
        }
        let hash = NameHash::of(name);
        if self.all_count {
            self.change_ranks((name, hash), |rank| rank.checked_add(1), now);
        }
        let living = Living { hash, since: now, is_settled: false };
        self.living.insert(name.clone(), living);
        self.unsettled.insert((now, name.clone()));
        // First of all: with this one it may be that only few watch.
        self.resize(now);
        let is_chosen = !self.few_watch || self.scores_high(hash);
        if is_chosen && !self.candidates.contains_key(name) {
            self.add_candidate(name, hash, now);
        }
    }

    /// A member is dead, has left, or is forgotten; nothing happens if it is not there.
    pub(crate) fn remove(&mut self, name: &MemberName, now: Time) {
        let Some(gone) = self.living.remove(name) else { return };
        self.candidates.remove(name);
        self.unsettled.remove(&(gone.since, name.clone()));
        if gone.is_settled || self.all_count {
            self.change_ranks((name, gone.hash), |rank| rank.checked_sub(1), now);
        }
        self.resize(now);
    }

    /// Members settle, and we start or cease to watch, as far as it is due.
    pub(crate) fn advance(&mut self, now: Time) {
        self.settle(now);
        let observers = self.observers;
        for candidate in self.candidates.values_mut() {
            if candidate.turns.is_some_and(|at| at <= now) {
                candidate.is_watched = !candidate.is_watched;
                candidate.turns = None;
                candidate.reconsider(observers, now);
            }
        }
        let (chosen_for, observers, me) = (self.chosen_for, self.observers, self.hash);
        if self.few_watch {
            // Whoever was no candidate any more was kept until we had ceased to watch it.
            self.candidates.retain(|_, it| {
                it.is_watched || is_high(score(it.hash, me), observers, chosen_for)
            });
        }
    }

    /// When [`advance`](Self::advance) has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let settles = self.unsettled.first().map(|(since, _)| *since + SETTLED_AFTER);
        let turns = self.candidates.values().filter_map(|candidate| candidate.turns).min();
        settles.into_iter().chain(self.we_settle).chain(turns).min()
    }

    /// Whom we watch, in the order of names.
    pub(crate) fn watched(&self) -> impl Iterator<Item = &MemberName> {
        self.candidates.iter().filter(|(_, it)| it.is_watched).map(|(name, _)| name)
    }

    /// Whether we watch this member.
    pub(crate) fn watches(&self, name: &MemberName) -> bool {
        self.candidates.get(name).is_some_and(|candidate| candidate.is_watched)
    }

    /// Whether only the highest ranks watch, as there are many members.
    pub(crate) fn few_watch(&self) -> bool {
        self.few_watch
    }

    /// Who else watches a subject, by rank; suspects among them.
    pub(crate) fn others_watching(&self, subject: &MemberName) -> Vec<&MemberName> {
        let members = self.living.iter().map(|(name, living)| (name, living.hash));
        observers_of((subject, NameHash::of(subject)), members, self.observers)
    }

    /// Subjects that we do not watch and would if `missing` members did not count, the `newest` of
    /// which has only just been found to be missing.
    pub(crate) fn watched_without<'a>(
        &'a self,
        newest: &'a MemberName,
        missing: impl Iterator<Item = &'a MemberName> + Clone + 'a,
    ) -> impl Iterator<Item = &'a MemberName> + 'a {
        let is_before_us = |name: &MemberName, subject: &MemberName, candidate: &Candidate| {
            let living = self.living.get(name).filter(|it| self.all_count || it.is_settled);
            let me = (&self.me, self.hash);
            name != subject
                && living.is_some_and(|it| outranks((name, it.hash), me, candidate.hash))
        };
        let would = move |(subject, candidate): (&'a MemberName, &'a Candidate)| {
            // For most subjects it makes no difference, however many are missing already.
            if candidate.is_watched || !is_before_us(newest, subject, candidate) {
                return None;
            }
            let before_us = missing.clone().filter(|name| is_before_us(name, subject, candidate));
            (candidate.rank < self.observers + before_us.count()).then_some(subject)
        };
        let candidates = self.few_watch.then_some(&self.candidates);
        candidates.into_iter().flatten().filter_map(would)
    }

    /// How many subjects are held as candidates.
    #[cfg(test)]
    pub(crate) fn candidate_count(&self) -> usize {
        self.candidates.len()
    }

    fn settle(&mut self, now: Time) {
        while let Some((since, _)) = self.unsettled.first() {
            if *since + SETTLED_AFTER > now {
                break;
            }
            let Some((_, name)) = self.unsettled.pop_first() else { break };
            let Some(living) = self.living.get_mut(&name) else {
                debug_assert!(false, "{name} is unsettled and does not live");
                continue;
            };
            living.is_settled = true;
            let hash = living.hash;
            if !self.all_count {
                self.change_ranks((&name, hash), |rank| rank.checked_add(1), now);
            }
        }
        self.choose_who_counts(now);
    }

    /// A member counts from here on, or does so no longer: where it scores higher than we do, our
    /// rank changes.
    fn change_ranks(
        &mut self,
        member: (&MemberName, NameHash),
        change: fn(usize) -> Option<usize>,
        now: Time,
    ) {
        if !self.few_watch {
            // Then ranks are not kept.
            return;
        }
        let (me, observers) = ((&self.me, self.hash), self.observers);
        for (subject, candidate) in &mut self.candidates {
            if subject != member.0 && outranks(member, me, candidate.hash) {
                let rank = change(candidate.rank);
                debug_assert!(rank.is_some(), "a member that was never counted");
                candidate.rank = rank.unwrap_or(0);
                candidate.reconsider(observers, now);
            }
        }
    }

    /// How many that count outrank us for this subject.
    fn rank_for(&self, subject: &MemberName, hash: NameHash) -> usize {
        let me = (&self.me, self.hash);
        let counted = self.living.iter().filter(|(name, living)| {
            (self.all_count || living.is_settled)
                && *name != subject
                && outranks((name, living.hash), me, hash)
        });
        counted.count()
    }

    fn scores_high(&self, subject: NameHash) -> bool {
        is_high(score(subject, self.hash), self.observers, self.chosen_for)
    }

    fn add_candidate(&mut self, name: &MemberName, hash: NameHash, now: Time) {
        let rank = if self.few_watch { self.rank_for(name, hash) } else { 0 };
        let mut candidate = Candidate { hash, rank, is_watched: !self.few_watch, turns: None };
        if self.few_watch {
            candidate.reconsider(self.observers, now);
        }
        self.candidates.insert(name.clone(), candidate);
    }

    /// The number of members has changed: whether few watch, who counts, and for how many members
    /// the candidates are chosen.
    fn resize(&mut self, now: Time) {
        let members = self.living.len() + 1;
        let few_watch = if self.few_watch {
            5 * members >= 16 * self.observers
        } else {
            members > 4 * self.observers
        };
        let changed = few_watch != self.few_watch;
        self.few_watch = few_watch;
        // At half the number there would be 20 candidates, and one subject in 200 would have an
        // observer that does not know it is one; at three quarters one in 100,000.
        let is_off = members > 2 * self.chosen_for || 4 * members < 3 * self.chosen_for;
        if changed || (few_watch && is_off) {
            self.choose(now);
        }
        self.choose_who_counts(now);
    }

    /// With fewer that have settled than twice as many as watch each, all count. They do too as
    /// long as we ourselves have not: else all newcomers would watch beside those who have, who do
    /// not count them.
    fn choose_who_counts(&mut self, now: Time) {
        let settled = self.living.len() - self.unsettled.len();
        self.we_settle = self.we_settle.filter(|at| now < *at);
        let all_count = settled < 2 * self.observers || self.we_settle.is_some();
        if all_count != self.all_count {
            self.all_count = all_count;
            self.choose(now);
        }
    }

    /// Chooses the candidates anew; whom we watch we go on watching, for now.
    fn choose(&mut self, now: Time) {
        self.chosen_for = self.living.len() + 1;
        let former = std::mem::take(&mut self.candidates);
        let of = |(name, living): (&MemberName, &Living)| {
            // Whom we have just begun to watch, as all did, is let go of at once: a cluster that
            // forms quickly has few connections from the beginning.
            let is_new = now < living.since + START_AFTER;
            (name.clone(), living.hash, is_new)
        };
        let living: Vec<(MemberName, NameHash, bool)> = self.living.iter().map(of).collect();
        for (name, hash, is_new) in living {
            let before = former.get(&name).filter(|_| !is_new || !self.few_watch);
            let was_watched = before.is_some_and(|candidate| candidate.is_watched);
            if !self.few_watch {
                self.add_candidate(&name, hash, now);
            } else if was_watched || self.scores_high(hash) {
                let mut candidate = Candidate {
                    hash,
                    rank: self.rank_for(&name, hash),
                    is_watched: was_watched,
                    turns: before.and_then(|candidate| candidate.turns),
                };
                candidate.reconsider(self.observers, now);
                self.candidates.insert(name, candidate);
            }
        }
    }
}

/// Whether the score is among the highest 4 × `observers` of that many, if spread evenly.
fn is_high(score: u64, observers: usize, members: usize) -> bool {
    let chosen = 4 * observers as u128;
    u128::from(u64::MAX - score) * members as u128 <= chosen * u128::from(u64::MAX)
}

/// Whether the one ranks higher than the other for a subject.
fn outranks(
    (name, hash): (&MemberName, NameHash),
    (other, others_hash): (&MemberName, NameHash),
    subject: NameHash,
) -> bool {
    let (score, others_score) = (score(subject, hash), score(subject, others_hash));
    score > others_score || (score == others_score && name < other)
}

#[cfg(test)]
mod tests;
