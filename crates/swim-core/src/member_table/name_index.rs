//! Members by name.

use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;

use hashbrown::HashTable;

use crate::member_index::MemberIndex;

/// A hash table of indices only: the names are in the members, which the callers look up.
pub(super) struct NameIndex {
    table: HashTable<MemberIndex>,
    /// Has the key in it already; cloned for each name.
    hasher: DefaultHasher,
}

impl NameIndex {
    pub(super) fn new(key: u64) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(key);
        Self { table: HashTable::new(), hasher }
    }

    pub(super) fn find<'a>(
        &self,
        name: &[u8],
        name_of: impl Fn(MemberIndex) -> &'a [u8],
    ) -> Option<MemberIndex> {
        self.table.find(hash(&self.hasher, name), |index| name_of(*index) == name).copied()
    }

    /// Adds a member, whose name must be unknown.
    pub(super) fn insert<'a>(
        &mut self,
        index: MemberIndex,
        name_of: impl Fn(MemberIndex) -> &'a [u8],
    ) {
        let hash_of = |index: &MemberIndex| hash(&self.hasher, name_of(*index));
        self.table.insert_unique(hash_of(&index), index, hash_of);
    }

    pub(super) fn remove(&mut self, index: MemberIndex, name: &[u8]) {
        match self.table.find_entry(hash(&self.hasher, name), |other| *other == index) {
            Ok(entry) => {
                entry.remove();
            }
            Err(_) => debug_assert!(false, "{index:?} was not found by its name"),
        }
    }
}

/// SipHash over the key and the name, so that nobody can choose names that collide.
fn hash(keyed: &DefaultHasher, name: &[u8]) -> u64 {
    let mut hasher = keyed.clone();
    hasher.write(name);
    hasher.finish()
}
