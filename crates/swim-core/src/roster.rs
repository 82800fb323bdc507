//! The members remembered: found by name, probed in a shuffled order, drawn at random.
//!
//! Keeps the tables together; judges nobody. Members live in slots, so that other tables can
//! refer to them by a small number. Hashing is for lookup only and keyed from the seed; whatever
//! is iterated is ordered.

use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;

use hashbrown::HashTable;

use crate::member::{Member, MemberState, Record};
use crate::seed::Dice;
use crate::time::Time;

/// Where a member lives in the roster. Reused after a purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(u32);

impl Slot {
    pub(crate) const ME: Self = Self(0);

    pub(crate) fn at(index: usize) -> Option<Self> {
        u32::try_from(index).ok().map(Self)
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// All members; ourselves always at [`Slot::ME`].
pub(crate) struct Roster {
    members: Vec<Option<Member>>,
    free: Vec<Slot>,
    index: HashTable<Slot>,
    hash_key: u64,
    by_name: Vec<Slot>,
    probe_order: Vec<Slot>,
    probe_next: usize,
    by_state: [usize; 4],
    generation: u64,
}

impl Roster {
    pub(crate) fn new(me: Member, hash_key: u64) -> Self {
        let mut roster = Self {
            members: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            hash_key,
            by_name: Vec::new(),
            probe_order: Vec::new(),
            probe_next: 0,
            by_state: [0; 4],
            generation: 0,
        };
        roster.settle(me);
        roster
    }

    /// Takes a new member in, at a random place of the probe order. Its name must be unknown.
    pub(crate) fn insert(&mut self, member: Member, dice: &mut Dice) -> Slot {
        let slot = self.settle(member);
        let last = self.probe_order.len() - 1;
        self.probe_order.swap(last, dice.below(last + 1));
        slot
    }

    fn settle(&mut self, member: Member) -> Slot {
        let name = member.name().clone();
        debug_assert!(self.find(name.as_bytes()).is_none(), "{name} is in the roster already");
        self.by_state[state_index(member.state())] += 1;
        self.generation += 1;
        let slot = match self.free.pop() {
            Some(slot) => {
                self.members[slot.index()] = Some(member);
                slot
            }
            None => {
                let index = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
                self.members.push(Some(member));
                Slot(index)
            }
        };
        let place = self.by_name.partition_point(|other| self.get(*other).name() < &name);
        self.by_name.insert(place, slot);
        self.probe_order.push(slot);
        let (members, key) = (&self.members, self.hash_key);
        self.index.insert_unique(hash(key, name.as_bytes()), slot, |slot| {
            members[slot.index()].as_ref().map_or(0, |member| hash(key, member.name().as_bytes()))
        });
        slot
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<Slot> {
        self.index
            .find(hash(self.hash_key, name), |slot| self.get(*slot).name().as_bytes() == name)
            .copied()
    }

    /// The member in a slot that is known to be taken.
    pub(crate) fn get(&self, slot: Slot) -> &Member {
        self.try_get(slot).expect("slots are given up before their members are purged")
    }

    pub(crate) fn try_get(&self, slot: Slot) -> Option<&Member> {
        self.members.get(slot.index())?.as_ref()
    }

    /// Changes what is known of a member; its name must stay.
    pub(crate) fn update(&mut self, slot: Slot, change: impl FnOnce(&mut Record)) {
        let Some(Some(member)) = self.members.get_mut(slot.index()) else {
            return;
        };
        let before = member.state();
        change(member.record_mut());
        self.generation += 1;
        self.by_state[state_index(before)] -= 1;
        self.by_state[state_index(member.state())] += 1;
    }

    /// Counts every change of what [`iter`](Self::iter) shows.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(crate) fn count(&self, state: MemberState) -> usize {
        self.by_state[state_index(state)]
    }

    /// Members other than ourselves that are alive or suspect.
    pub(crate) fn live_others(&self) -> usize {
        let live = self.count(MemberState::Alive) + self.count(MemberState::Suspect);
        live - usize::from(self.get(Slot::ME).state().is_live())
    }

    /// Every member with its slot, ordered by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Member)> + Clone {
        self.by_name.iter().map(|slot| (*slot, self.get(*slot)))
    }

    /// The next member in the shuffled round, or `None` at the end of a round.
    pub(crate) fn next_in_round(&mut self) -> Option<Slot> {
        let slot = self.probe_order.get(self.probe_next).copied()?;
        self.probe_next += 1;
        Some(slot)
    }

    /// Begins a round: a new shuffle.
    pub(crate) fn begin_round(&mut self, dice: &mut Dice) {
        dice.shuffle(&mut self.probe_order);
        self.probe_next = 0;
    }

    /// Forgets every member that is neither live nor newer in its state than `before`; returns
    /// them.
    pub(crate) fn purge(&mut self, before: Time) -> Vec<(Slot, Member)> {
        let gone: Vec<Slot> = self
            .iter()
            .filter(|(slot, member)| {
                *slot != Slot::ME && !member.state().is_live() && member.record().changed < before
            })
            .map(|(slot, _)| slot)
            .collect();
        if gone.is_empty() {
            return Vec::new();
        }
        let gone: Vec<(Slot, Member)> =
            gone.into_iter().filter_map(|slot| self.remove(slot)).collect();
        let members = &self.members;
        let taken = |slot: &Slot| members[slot.index()].is_some();
        self.by_name.retain(taken);
        self.probe_order.retain(taken);
        self.free.extend(gone.iter().map(|(slot, _)| *slot));
        gone
    }

    fn remove(&mut self, slot: Slot) -> Option<(Slot, Member)> {
        let member = self.members.get_mut(slot.index())?.take()?;
        self.generation += 1;
        self.by_state[state_index(member.state())] -= 1;
        let key = hash(self.hash_key, member.name().as_bytes());
        if let Ok(entry) = self.index.find_entry(key, |other| *other == slot) {
            entry.remove();
        }
        Some((slot, member))
    }

    /// At most `count` distinct members that pass, drawn at random as Go does: small clusters are
    /// shuffled whole, large ones drawn from up to three times their size.
    pub(crate) fn draw(
        &self,
        count: usize,
        dice: &mut Dice,
        passes: impl Fn(Slot, &Member) -> bool,
    ) -> Vec<Slot> {
        let total = self.by_name.len();
        let mut drawn = Vec::with_capacity(count.min(total));
        if total < 3 * count {
            let mut order = self.by_name.clone();
            dice.shuffle(&mut order);
            drawn.extend(order.into_iter().filter(|slot| passes(*slot, self.get(*slot))));
            drawn.truncate(count);
            return drawn;
        }
        for _ in 0..3 * total {
            if drawn.len() >= count {
                break;
            }
            let slot = self.by_name[dice.below(total)];
            if !drawn.contains(&slot) && passes(slot, self.get(slot)) {
                drawn.push(slot);
            }
        }
        drawn
    }
}

fn state_index(state: MemberState) -> usize {
    match state {
        MemberState::Alive => 0,
        MemberState::Suspect => 1,
        MemberState::Dead => 2,
        MemberState::Left => 3,
    }
}

/// SipHash over the key and the name, so that nobody can choose names that collide.
fn hash(key: u64, name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(key);
    hasher.write(name);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::{Advertised, MemberName};
    use crate::seed::Seed;

    fn member(name: &str, state: MemberState, changed: u64) -> Member {
        Member::new(Record {
            name: MemberName::try_from(name).unwrap(),
            meta: None,
            changed: Time::from_micros(changed),
            incarnation: 1,
            advertised: Advertised::from_wire(&[10, 0, 0, 1], 7946).unwrap(),
            versions: None,
            state,
        })
    }

    fn roster(names: &[&str]) -> (Roster, Dice) {
        let mut dice = Dice::new(Seed([1; 32]));
        let mut roster = Roster::new(member("me", MemberState::Alive, 0), 7);
        for name in names {
            roster.insert(member(name, MemberState::Alive, 0), &mut dice);
        }
        (roster, dice)
    }

    fn names(roster: &Roster) -> Vec<String> {
        roster.iter().map(|(_, member)| member.name().to_string()).collect()
    }

    #[test]
    fn members_are_found_by_name_and_listed_in_order() {
        let (roster, _) = roster(&["cyd", "ada", "bob"]);
        assert_eq!(names(&roster), ["ada", "bob", "cyd", "me"]);
        let cyd = roster.find(b"cyd").unwrap();
        assert_eq!(roster.get(cyd).name().as_bytes(), b"cyd");
        assert_eq!((roster.find(b"dan"), roster.find(b"me")), (None, Some(Slot::ME)));
        assert_eq!(roster.live_others(), 3);
    }

    #[test]
    fn a_round_visits_everybody_once() {
        let (mut roster, mut dice) = roster(&["ada", "bob", "cyd"]);
        roster.begin_round(&mut dice);
        let mut seen: Vec<Slot> = std::iter::from_fn(|| roster.next_in_round()).collect();
        seen.sort_unstable();
        assert_eq!(seen, [Slot(0), Slot(1), Slot(2), Slot(3)]);
        assert_eq!(roster.next_in_round(), None);
    }

    #[test]
    fn a_purge_forgets_the_long_gone_and_their_slots_are_reused() {
        let (mut roster, mut dice) = roster(&["ada", "bob", "cyd"]);
        for (name, changed) in [("ada", 10), ("bob", 90)] {
            let slot = roster.find(name.as_bytes()).unwrap();
            roster.update(slot, |record| {
                record.state = MemberState::Dead;
                record.changed = Time::from_micros(changed);
            });
        }
        let ada = roster.find(b"ada").unwrap();
        let gone = roster.purge(Time::from_micros(50));
        assert_eq!(gone.iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), [ada]);
        assert_eq!(names(&roster), ["bob", "cyd", "me"]);
        assert_eq!((roster.find(b"ada"), roster.count(MemberState::Dead)), (None, 1));
        assert_eq!(roster.insert(member("dan", MemberState::Alive, 0), &mut dice), ada);
        assert_eq!(roster.find(b"dan"), Some(ada));
    }

    #[test]
    fn draws_are_distinct_pass_the_filter_and_reach_everybody() {
        let all = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
        for count in [1, 3, 5, 20] {
            let (roster, mut dice) = roster(&all);
            let mut reached = std::collections::BTreeSet::new();
            for _ in 0..200 {
                let mut drawn = roster.draw(count, &mut dice, |slot, _| slot != Slot::ME);
                assert_eq!(drawn.len(), count.min(11));
                reached.extend(drawn.iter().copied());
                drawn.sort_unstable();
                drawn.dedup();
                assert_eq!(drawn.len(), count.min(11));
                assert!(!drawn.contains(&Slot::ME));
            }
            assert_eq!(reached.len(), 11);
        }
    }
}
