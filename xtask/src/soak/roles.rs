//! Who takes part in a soak, by number and by name.

use std::time::Duration;

use crate::fleet::programs::GoPeer;

/// So many nodes of ours, then so many Go peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Participants {
    /// All of them.
    pub(super) members: usize,
    /// Those of them that are Go peers, the last ones.
    pub(super) go: usize,
}

impl Participants {
    pub(super) fn all(self) -> std::ops::Range<usize> {
        0..self.members
    }

    pub(super) fn others(self, member: usize) -> impl Iterator<Item = usize> {
        self.all().filter(move |other| *other != member)
    }

    pub(super) fn is_go(self, member: usize) -> bool {
        member >= self.members - self.go
    }

    pub(super) fn go_peer(self) -> GoPeer {
        if self.go > 0 { GoPeer::Pinned } else { GoPeer::No }
    }

    /// Ours are n1, n2, …; Go peers g1, g2, ….
    pub(super) fn name(self, member: usize) -> String {
        let ours = self.members - self.go;
        if member < ours { format!("n{}", member + 1) } else { format!("g{}", member - ours + 1) }
    }

    pub(super) fn find(self, name: &str) -> Option<usize> {
        self.all().find(|member| self.name(*member) == name)
    }

    /// The most members that may be absent at a time: never a majority.
    pub(super) fn most_absent(self) -> usize {
        self.members.saturating_sub(1) / 2
    }

    /// Whether its process lives from the beginning to the end: some of ours must, to show leaks.
    pub(super) fn stays(self, member: usize) -> bool {
        member < (self.members - self.go).div_ceil(4)
    }
}

/// What one soak is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) participants: Participants,
    pub(super) length: Duration,
    pub(super) seed: u64,
    pub(super) json: bool,
    pub(super) keep: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_name_and_is_found_by_it() {
        let ten = Participants { members: 10, go: 3 };
        let names: Vec<String> = ten.all().map(|member| ten.name(member)).collect();
        assert_eq!(names, ["n1", "n2", "n3", "n4", "n5", "n6", "n7", "g1", "g2", "g3"]);
        assert!(ten.all().all(|member| ten.find(&names[member]) == Some(member)));
        assert_eq!((ten.find("n8"), ten.most_absent()), (None, 4));
        assert!(ten.all().all(|member| ten.stays(member) == (member < 2)));
    }
}
