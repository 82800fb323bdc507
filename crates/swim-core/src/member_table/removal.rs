//! Members that are forgotten.

use super::MemberTable;
use crate::member::Member;
use crate::member_index::MemberIndex;
use crate::time::Time;

impl MemberTable {
    /// Forgets and returns all members that are not live, and not newer in that than `before`.
    pub(crate) fn purge(&mut self, before: Time) -> Vec<(MemberIndex, Member)> {
        let gone: Vec<MemberIndex> = self
            .iter()
            .filter(|(index, member)| {
                *index != MemberIndex::ME
                    && !member.state().is_live()
                    && member.record().changed < before
            })
            .map(|(index, _)| index)
            .collect();
        self.remove_all(gone)
    }

    /// Forgets one member, which may be live; not ourselves.
    pub(crate) fn remove(&mut self, index: MemberIndex) {
        debug_assert!(index != MemberIndex::ME, "we always know ourselves");
        if index != MemberIndex::ME {
            self.remove_all(vec![index]);
        }
    }

    fn remove_all(&mut self, gone: Vec<MemberIndex>) -> Vec<(MemberIndex, Member)> {
        if gone.is_empty() {
            return Vec::new();
        }
        let gone: Vec<(MemberIndex, Member)> =
            gone.into_iter().filter_map(|index| self.take_out(index)).collect();
        let members = &self.members;
        let taken = |index: &MemberIndex| members[index.index()].is_some();
        self.by_name.retain(taken);
        self.by_address.retain(taken);
        self.probe_order.retain(taken);
        self.free.extend(gone.iter().map(|(index, _)| *index));
        gone
    }

    /// Leaves the ordered lists to [`remove_all`](Self::remove_all).
    fn take_out(&mut self, index: MemberIndex) -> Option<(MemberIndex, Member)> {
        let member = self.members.get_mut(index.index())?.take()?;
        self.generation += 1;
        self.changed_names.note(member.name());
        self.view.forget(index, &member);
        self.by_state[member.state() as usize] -= 1;
        self.suspected.remove(index);
        self.conflicts.forget(index);
        self.names.remove(index, member.name().as_bytes());
        Some((index, member))
    }
}
