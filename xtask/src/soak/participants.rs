//! Who takes part in a soak: so many nodes of ours, then so many Go peers, and their names.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Participants {
    /// All of them.
    pub(super) members: usize,
    /// Those of them that are Go peers, the last ones.
    pub(super) go: usize,
}

impl Participants {
    pub(super) fn is_go(self, node: usize) -> bool {
        node >= self.ours()
    }

    /// How many are ours.
    pub(super) fn ours(self) -> usize {
        self.members - self.go
    }

    pub(super) fn everybody(self) -> std::ops::Range<usize> {
        0..self.members
    }

    /// Ours are n1, n2, …; Go peers g1, g2, ….
    pub(super) fn name(self, node: usize) -> String {
        if self.is_go(node) {
            format!("g{}", node - self.ours() + 1)
        } else {
            format!("n{}", node + 1)
        }
    }

    pub(super) fn find(self, name: &str) -> Option<usize> {
        self.everybody().find(|node| self.name(*node) == name)
    }

    /// The most members that may be in trouble at a time: never a majority.
    pub(super) fn most_in_trouble(self) -> usize {
        self.members.saturating_sub(1) / 2
    }

    /// Whether it lives from the beginning to the end: some of ours must, to show leaks.
    pub(super) fn stays(self, node: usize) -> bool {
        node < self.ours().div_ceil(4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_name_and_is_found_by_it() {
        let participants = Participants { members: 10, go: 3 };
        let names: Vec<String> =
            participants.everybody().map(|node| participants.name(node)).collect();
        assert_eq!(names, ["n1", "n2", "n3", "n4", "n5", "n6", "n7", "g1", "g2", "g3"]);
        for node in participants.everybody() {
            assert_eq!(participants.find(&participants.name(node)), Some(node));
        }
        assert_eq!(participants.find("n8"), None);
        assert_eq!(participants.most_in_trouble(), 4);
        let stayers: Vec<usize> =
            participants.everybody().filter(|node| participants.stays(*node)).collect();
        assert_eq!(stayers, [0, 1]);
    }
}
