//! Where members are in the member table, and lists of them.

/// Where a member is in the table. Reused after a purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MemberIndex(u32);

impl MemberIndex {
    /// Where we ourselves are.
    pub(crate) const ME: Self = Self(0);

    /// More members than this cannot be: `Config::max_members` is far below it.
    pub(crate) const LAST: Self = Self(u32::MAX);

    pub(crate) fn at(index: usize) -> Option<Self> {
        u32::try_from(index).ok().map(Self)
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Inserts into a list that grows by an eighth: with 10,000 members, the empty places of lists
/// that grow by doubling would be a tenth of what the members cost.
pub(crate) fn insert_tight<T>(list: &mut Vec<T>, place: usize, item: T) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / 8).max(4));
    }
    list.insert(place, item);
}
