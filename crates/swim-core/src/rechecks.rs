//! Who is probed out of turn: members of which others were believed that they are alive, though
//! they did not answer us.

use std::collections::BTreeSet;

use crate::member_index::MemberIndex;

/// At most the table of members, each once.
#[derive(Debug, Default)]
pub(crate) struct Rechecks {
    members: BTreeSet<MemberIndex>,
    /// Whether the last round was one of these: every other one at most, as others wait too.
    was_last: bool,
}

impl Rechecks {
    /// The member has its turn soon.
    pub(crate) fn add(&mut self, index: MemberIndex) {
        self.members.insert(index);
    }

    /// Whose turn it is before all others'.
    pub(crate) fn next(&mut self) -> Option<MemberIndex> {
        let next = (!self.was_last).then(|| self.members.pop_first()).flatten();
        self.was_last = next.is_some();
        next
    }

    /// The member was purged.
    pub(crate) fn forget(&mut self, index: MemberIndex) {
        self.members.remove(&index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_round_is_one_of_them_at_most() {
        let mut rechecks = Rechecks::default();
        let [ada, bob] = [1, 2].map(|place| MemberIndex::at(place).unwrap());
        for index in [bob, ada, bob] {
            rechecks.add(index);
        }
        let turns: Vec<_> = (0..4).map(|_| rechecks.next()).collect();
        assert_eq!(turns, [Some(ada), None, Some(bob), None]);
        rechecks.add(ada);
        rechecks.forget(ada);
        assert_eq!(rechecks.next(), None);
    }
}
