//! The members remembered: found by name and by address, probed in a shuffled order, drawn at
//! random.
//!
//! Members live at indices, so that other tables can refer to them by a small number. Hashing is
//! for lookups only and keyed from the seed; whatever is iterated is ordered.

mod changed_names;
mod conflicts;
mod draw;
mod name_index;
mod probe_order;
mod removal;
mod stable_views;
mod suspected;

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

pub(crate) use suspected::Suspected;

use crate::live_changes::LiveView;
use crate::member::{Member, MemberRecord, MemberState, Peer};
use crate::member_index::{MemberIndex, insert_tight};
use crate::member_name::MemberName;
use crate::rng::Rng;
use crate::suspicion::Suspicion;
use crate::time::Time;
use crate::view_digest::Share;
use changed_names::ChangedNames;
use conflicts::Conflicts;
use name_index::NameIndex;
use probe_order::ProbeOrder;
use suspected::SuspectedMembers;

/// All members; ourselves always at [`MemberIndex::ME`].
pub(crate) struct MemberTable {
    members: Vec<Option<Member>>,
    free: Vec<MemberIndex>,
    /// Kept beside the members, nearly all of which are alive, so that those cost nothing for it.
    suspected: SuspectedMembers,
    conflicts: Conflicts,
    names: NameIndex,
    by_name: Vec<MemberIndex>,
    /// Ordered by address, among equal ones by name.
    by_address: Vec<MemberIndex>,
    probe_order: ProbeOrder,
    /// By `MemberState as usize`.
    by_state: [usize; 4],
    generation: u64,
    changed_names: ChangedNames,
    view: LiveView,
}

impl MemberTable {
    pub(crate) fn new(me: Member, hash_key: u64, label: &[u8]) -> Self {
        let mut table = Self {
            members: Vec::new(),
            free: Vec::new(),
            suspected: SuspectedMembers::default(),
            conflicts: Conflicts::default(),
            names: NameIndex::new(hash_key),
            by_name: Vec::new(),
            by_address: Vec::new(),
            probe_order: ProbeOrder::of_me(),
            by_state: [0; 4],
            generation: 0,
            changed_names: ChangedNames::default(),
            view: LiveView::new(label),
        };
        table.add(me);
        table
    }

    /// Adds a member at a random place of the probe order. Its name must be unknown.
    pub(crate) fn insert(&mut self, member: Member, rng: &mut Rng) -> MemberIndex {
        let index = self.add(member);
        self.probe_order.add(index, rng);
        index
    }

    fn add(&mut self, member: Member) -> MemberIndex {
        debug_assert!(self.find(member.name().as_bytes()).is_none(), "{member:?} is known already");
        self.by_state[member.state() as usize] += 1;
        self.generation += 1;
        self.changed_names.note(member.name());
        self.view.follow(Share::default(), false, &member);
        let index = match self.free.pop() {
            Some(index) => {
                self.members[index.index()] = Some(member);
                index
            }
            None => {
                let index = MemberIndex::at(self.members.len()).unwrap_or(MemberIndex::LAST);
                insert_tight(&mut self.members, index.index(), Some(member));
                index
            }
        };
        let name = self.get(index).name();
        let place = self.by_name.partition_point(|other| self.get(*other).name() < name);
        insert_tight(&mut self.by_name, place, index);
        self.add_address(index);
        let members = &self.members;
        self.names.insert(index, |index| name_of(members, index));
        index
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<MemberIndex> {
        self.names.find(name, |index| name_of(&self.members, index))
    }

    /// The members at an address, ordered by name.
    pub(crate) fn at_address(&self, address: SocketAddr) -> impl Iterator<Item = &Member> {
        self.by_address[self.range_at(address)].iter().map(|index| self.get(*index))
    }

    /// Who is at the other end: of the proven names the one at the address, else a known one.
    pub(crate) fn name_of<'a>(&'a self, peer: &'a Peer) -> Option<&'a MemberName> {
        if let [only] = &*peer.names {
            return Some(only);
        }
        let mut here = self.at_address(peer.address).map(Member::name);
        let is_known = |name: &&MemberName| self.find(name.as_bytes()).is_some();
        let Some(first) = peer.names.first() else { return here.next() };
        let here = here.find(|name| peer.names.contains(name));
        here.or_else(|| peer.names.iter().find(is_known)).or(Some(first))
    }

    /// Whether a member that is alive or suspect has this address.
    pub(crate) fn is_live_at(&self, address: SocketAddr) -> bool {
        self.at_address(address).any(|member| member.state().is_live())
    }

    /// The member at an index that is known to be taken.
    pub(crate) fn get(&self, index: MemberIndex) -> &Member {
        let member = self.members.get(index.index()).and_then(Option::as_ref);
        member.expect("indices are given up before their members are purged")
    }

    /// Ourselves.
    pub(crate) fn me(&self) -> &Member {
        self.get(MemberIndex::ME)
    }

    /// Replaces what is known of a member, whose name stays, by its being alive. Returns why it
    /// was not believed alive before.
    pub(crate) fn set_alive(&mut self, index: MemberIndex, member: Member) -> Option<Suspected> {
        let held = self.get(index);
        debug_assert!(held.name() == member.name(), "a member's name changed");
        if held.address() == member.address() {
            self.change(index, |held| *held = member);
        } else {
            self.remove_address(index);
            self.change(index, |held| *held = member);
            self.add_address(index);
        }
        self.conflicts.forget(index);
        self.suspected.remove(index)
    }

    /// A suspicion of a member begins.
    pub(crate) fn set_suspect(
        &mut self,
        index: MemberIndex,
        incarnation: u32,
        by: MemberName,
        suspicion: Suspicion,
        now: Time,
    ) {
        self.update(index, |record| {
            record.incarnation = incarnation;
            record.state = MemberState::Suspect;
            record.changed = now;
        });
        self.suspected.begin(index, by, suspicion);
    }

    /// A member is dead or has left, as `from` says. Returns its suspicion, if there was one.
    pub(crate) fn set_gone(
        &mut self,
        index: MemberIndex,
        incarnation: u32,
        state: MemberState,
        from: MemberName,
        now: Time,
    ) -> Option<Suspected> {
        debug_assert!(!state.is_live(), "{state} is not gone");
        self.update(index, |record| {
            record.incarnation = incarnation;
            record.state = state;
            record.changed = now;
        });
        self.suspected.end(index, state, from)
    }

    /// One more member suspects this one: the new deadline, if it counts as a confirmation.
    pub(crate) fn confirm_suspicion(
        &mut self,
        index: MemberIndex,
        from: &MemberName,
    ) -> Option<Time> {
        self.suspected.confirm(index, from)
    }

    /// A member that is suspected did not answer us either.
    pub(crate) fn add_own_evidence(&mut self, index: MemberIndex) {
        let incarnation = self.get(index).incarnation();
        self.suspected.add_own_evidence(index, incarnation);
    }

    /// A suspect's host refused us and others: when it first did, and the new deadline; `None`
    /// where the member is no suspect.
    pub(crate) fn note_refused(&mut self, index: MemberIndex, now: Time) -> Option<(Time, Time)> {
        self.suspected.note_refused(index, now)
    }

    /// A suspect has answered, or is another process by now: that its host refused packets means
    /// nothing any more, nor that it did not answer us, where it has done so `itself`.
    pub(crate) fn forget_evidence(&mut self, index: MemberIndex, itself: bool) {
        self.suspected.forget_evidence(index, itself);
    }

    /// The suspicion of a member that may still refute it.
    pub(crate) fn suspicion(&self, index: MemberIndex) -> Option<&Suspicion> {
        self.suspected.suspicion(index)
    }

    pub(crate) fn raise_incarnation(&mut self, index: MemberIndex, incarnation: u32) {
        if incarnation > self.get(index).incarnation() {
            self.update(index, |record| record.incarnation = incarnation);
        }
    }

    /// Notes that a member is told why it is not believed alive, and returns whose suspicion
    /// started it. `None` if it was told less than `interval` ago, or is believed alive. Without an
    /// interval it may be told at any time, and nothing is noted.
    pub(crate) fn notify(
        &mut self,
        index: MemberIndex,
        now: Time,
        interval: Option<Duration>,
    ) -> Option<&MemberName> {
        self.suspected.notify(index, now, interval)
    }

    /// Notes that `other` claims a member's name. Whether that is to be reported.
    pub(crate) fn note_conflict(
        &mut self,
        index: MemberIndex,
        other: SocketAddr,
        at: Time,
    ) -> bool {
        self.conflicts.note(index, other, at)
    }

    /// Our own metadata changes, and others shall know.
    pub(crate) fn set_meta(&mut self, meta: Vec<u8>) {
        self.update(MemberIndex::ME, |me| {
            me.incarnation = outranking(me.incarnation);
            me.meta = (!meta.is_empty()).then(|| meta.into());
        });
    }

    /// We raise our incarnation above one that was claimed of us.
    pub(crate) fn outrank(&mut self, claimed: u32) {
        self.update(MemberIndex::ME, |me| {
            me.incarnation = outranking(me.incarnation.max(claimed));
        });
    }

    /// We leave.
    pub(crate) fn set_left(&mut self, now: Time) {
        self.update(MemberIndex::ME, |me| {
            me.state = MemberState::Left;
            me.changed = now;
        });
    }

    fn update(&mut self, index: MemberIndex, change: impl FnOnce(&mut MemberRecord)) {
        self.change(index, |member| change(member.record_mut()));
    }

    fn change(&mut self, index: MemberIndex, change: impl FnOnce(&mut Member)) {
        let Some(Some(member)) = self.members.get_mut(index.index()) else {
            debug_assert!(false, "nobody is at {index:?}");
            return;
        };
        let (before, share) = (member.state(), self.view.share(member));
        change(member);
        let after = member.state();
        self.view.follow(share, before.is_live(), member);
        self.generation += 1;
        self.changed_names.note(member.name());
        self.by_state[before as usize] -= 1;
        self.by_state[after as usize] += 1;
    }

    /// Counts every change of what [`iter`](Self::iter) shows.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The names of those that [`iter`](Self::iter) shows in another way since the last call, or
    /// shows no more: in order, each once. `None` if they are not known one by one.
    pub(crate) fn take_changed_names(&mut self) -> Option<Vec<MemberName>> {
        self.changed_names.take()
    }

    /// Who is live, as others are told of it.
    pub(crate) fn view(&self) -> &LiveView {
        &self.view
    }

    pub(crate) fn view_mut(&mut self) -> &mut LiveView {
        &mut self.view
    }

    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(crate) fn count(&self, state: MemberState) -> usize {
        self.by_state[state as usize]
    }

    /// Members other than ourselves that are alive or suspect.
    pub(crate) fn live_others(&self) -> usize {
        let live = self.count(MemberState::Alive) + self.count(MemberState::Suspect);
        live - usize::from(self.me().state().is_live())
    }

    /// Every member with its index, ordered by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (MemberIndex, &Member)> + Clone {
        self.by_name.iter().map(|index| (*index, self.get(*index)))
    }

    /// The next member in the shuffled round, or `None` at the end of a round.
    pub(crate) fn next_in_round(&mut self) -> Option<MemberIndex> {
        self.probe_order.next()
    }

    /// Begins a round: a new shuffle.
    pub(crate) fn begin_round(&mut self, rng: &mut Rng) {
        self.probe_order.begin_round(rng);
    }

    /// At most `count` distinct members that pass, drawn at random as Go does: small clusters are
    /// shuffled whole, large ones drawn from up to three times their size.
    pub(crate) fn draw(
        &self,
        count: usize,
        rng: &mut Rng,
        passes: impl Fn(MemberIndex, &Member) -> bool,
    ) -> Vec<MemberIndex> {
        draw::draw(&self.by_name, count, rng, |index| passes(index, self.get(index)))
    }

    /// The part of `by_address` that has this address.
    fn range_at(&self, address: SocketAddr) -> Range<usize> {
        let address_of = |index: &MemberIndex| self.get(*index).address();
        let begin = self.by_address.partition_point(|index| address_of(index) < address);
        let rest = &self.by_address[begin..];
        begin..begin + rest.partition_point(|index| address_of(index) == address)
    }

    fn add_address(&mut self, index: MemberIndex) {
        let member = self.get(index);
        let range = self.range_at(member.address());
        let before = self.by_address[range.clone()]
            .partition_point(|other| self.get(*other).name() < member.name());
        insert_tight(&mut self.by_address, range.start + before, index);
    }

    fn remove_address(&mut self, index: MemberIndex) {
        let mut range = self.range_at(self.get(index).address());
        match range.find(|place| self.by_address[*place] == index) {
            Some(place) => {
                self.by_address.remove(place);
            }
            None => debug_assert!(false, "a member was not found by its address"),
        }
    }
}

/// The incarnation above this one, but not the last one there is, which nobody could outrank.
fn outranking(incarnation: u32) -> u32 {
    incarnation.saturating_add(1).min(u32::MAX - 1)
}

fn name_of(members: &[Option<Member>], index: MemberIndex) -> &[u8] {
    let member = members.get(index.index()).and_then(Option::as_ref);
    member.map_or(&[], |member| member.name().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::Advertised;
    use crate::rng::RngSeed;

    fn member(name: &str, state: MemberState, changed: u64) -> Member {
        Member::new(MemberRecord {
            name: MemberName::try_from(name).unwrap(),
            meta: None,
            changed: Time::from_micros(changed),
            incarnation: 1,
            advertised: Advertised::from_wire(&[10, 0, 0, 1], 7946).unwrap(),
            versions: None,
            state,
        })
    }

    fn table(names: &[&str]) -> (MemberTable, Rng) {
        let mut rng = Rng::new(RngSeed([1; 32]));
        let mut table = MemberTable::new(member("me", MemberState::Alive, 0), 7, b"");
        for name in names {
            table.insert(member(name, MemberState::Alive, 0), &mut rng);
        }
        (table, rng)
    }

    fn names(table: &MemberTable) -> Vec<String> {
        table.iter().map(|(_, member)| member.name().to_string()).collect()
    }

    #[test]
    fn members_are_found_by_name_and_listed_in_order() {
        let (table, _) = table(&["cyd", "ada", "bob"]);
        assert_eq!(names(&table), ["ada", "bob", "cyd", "me"]);
        let cyd = table.find(b"cyd").unwrap();
        assert_eq!(table.get(cyd).name().as_bytes(), b"cyd");
        assert_eq!((table.find(b"dan"), table.find(b"me")), (None, Some(MemberIndex::ME)));
        assert_eq!(table.live_others(), 3);
    }

    #[test]
    fn a_round_visits_everybody_once() {
        let (mut table, mut rng) = table(&["ada", "bob", "cyd"]);
        table.begin_round(&mut rng);
        let mut seen: Vec<MemberIndex> = std::iter::from_fn(|| table.next_in_round()).collect();
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3].map(|index| MemberIndex::at(index).unwrap()));
        assert_eq!(table.next_in_round(), None);
    }

    #[test]
    fn a_purge_forgets_the_long_gone_and_their_indices_are_reused() {
        let (mut table, mut rng) = table(&["ada", "bob", "cyd"]);
        for (name, changed) in [("ada", 10), ("bob", 90)] {
            let index = table.find(name.as_bytes()).unwrap();
            let by = MemberName::try_from("me").unwrap();
            table.set_gone(index, 1, MemberState::Dead, by, Time::from_micros(changed));
        }
        let ada = table.find(b"ada").unwrap();
        let gone = table.purge(Time::from_micros(50));
        assert_eq!(gone.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [ada]);
        assert_eq!(names(&table), ["bob", "cyd", "me"]);
        assert_eq!((table.find(b"ada"), table.count(MemberState::Dead)), (None, 1));
        assert_eq!(table.insert(member("dan", MemberState::Alive, 0), &mut rng), ada);
        assert_eq!(table.find(b"dan"), Some(ada));
    }

    #[test]
    fn members_are_found_by_the_address_they_have() {
        let (mut table, mut rng) = table(&["cyd", "ada"]);
        let at = |port| Advertised::from_wire(&[10, 0, 0, 1], port).unwrap();
        let names_at = |table: &MemberTable, port| -> Vec<String> {
            let address = at(port).to_socket();
            table.at_address(address).map(|member| member.name().to_string()).collect()
        };
        assert_eq!(names_at(&table, 7946), ["ada", "cyd", "me"]);

        let moved = |name: &str, port| {
            let mut member = member(name, MemberState::Alive, 0);
            member.record_mut().advertised = at(port);
            member
        };
        let cyd = table.find(b"cyd").unwrap();
        table.set_alive(cyd, moved("cyd", 1));
        table.insert(moved("bob", 1), &mut rng);
        assert_eq!((names_at(&table, 7946).len(), names_at(&table, 2).len()), (2, 0));
        assert_eq!(names_at(&table, 1), ["bob", "cyd"]);
        assert!(table.is_live_at(at(1).to_socket()) && !table.is_live_at(at(2).to_socket()));
    }

    #[test]
    fn draws_are_distinct_pass_the_filter_and_reach_everybody() {
        let all = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
        for count in [1, 3, 5, 20] {
            let (table, mut rng) = table(&all);
            let mut reached = std::collections::BTreeSet::new();
            for _ in 0..200 {
                let mut drawn = table.draw(count, &mut rng, |index, _| index != MemberIndex::ME);
                assert_eq!(drawn.len(), count.min(11));
                reached.extend(drawn.iter().copied());
                drawn.sort_unstable();
                drawn.dedup();
                assert_eq!(drawn.len(), count.min(11));
                assert!(!drawn.contains(&MemberIndex::ME));
            }
            assert_eq!(reached.len(), 11);
        }
    }
}
