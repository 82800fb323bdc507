//! The view of who is live, once it stood still.

use super::MemberTable;
use crate::live_changes::StableView;
use crate::member::MemberState;

impl MemberTable {
    /// Who is live now is a stable view; `None` if it is the last one still.
    pub(crate) fn settle_view(&mut self) -> Option<StableView> {
        let (id, changed) = self.view.take_changed()?;
        let live = self.iter().filter(|(_, member)| member.state().is_live());
        let members = live.map(|(_, member)| member.clone()).collect();
        let (joined, left, failed) = (Vec::new(), Vec::new(), Vec::new());
        let mut view = StableView { id, members, joined, left, failed };
        for (name, gone) in changed {
            let held = self.find(name.as_bytes()).map(|index| self.get(index).clone());
            match (gone, held) {
                (None, held) => view.joined.extend(held),
                (Some(gone), held) => {
                    let member = held.unwrap_or(gone);
                    let has_left = member.state() == MemberState::Left;
                    if has_left { &mut view.left } else { &mut view.failed }.push(member);
                }
            }
        }
        Some(view)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::member::{Advertised, Member, MemberRecord};
    use crate::member_name::MemberName;
    use crate::rng::{Rng, RngSeed};
    use crate::time::Time;

    fn member(name: &str, port: u16) -> Member {
        Member::new(MemberRecord {
            name: MemberName::try_from(name).unwrap(),
            meta: None,
            changed: Time::ZERO,
            incarnation: 1,
            advertised: Advertised::from_socket(SocketAddr::from(([10, 0, 0, 1], port))),
            versions: None,
            state: MemberState::Alive,
        })
    }

    fn names(members: &[Member]) -> Vec<String> {
        members.iter().map(|member| member.name().to_string()).collect()
    }

    struct Story(MemberTable, Rng);

    impl Story {
        fn joins(&mut self, name: &str) {
            self.0.insert(member(name, 1), &mut self.1);
        }

        fn is(&mut self, name: &str, state: MemberState) {
            let index = self.0.find(name.as_bytes()).unwrap();
            if state == MemberState::Alive {
                self.0.set_alive(index, member(name, 1));
            } else {
                let by = MemberName::try_from("me").unwrap();
                self.0.set_gone(index, 1, state, by, Time::ZERO);
            }
        }

        /// Joined, left, failed.
        fn settled(&mut self) -> Option<[Vec<String>; 3]> {
            let StableView { joined, left, failed, .. } = self.0.settle_view()?;
            Some([joined, left, failed].map(|members| names(&members)))
        }
    }

    #[test]
    fn what_happened_in_between_is_told_once_and_in_the_whole() {
        let table = MemberTable::new(member("me", 1), 7, b"");
        let mut story = Story(table, Rng::new(RngSeed([1; 32])));
        for name in ["ada", "bob", "cyd", "dan"] {
            story.joins(name);
        }
        story.is("dan", MemberState::Dead);
        let none: Vec<String> = Vec::new();
        let four = ["ada", "bob", "cyd", "me"].map(str::to_owned).to_vec();
        assert_eq!(story.settled(), Some([four, none.clone(), none.clone()]));
        assert_eq!(story.settled(), None, "nothing has happened");

        story.is("ada", MemberState::Dead);
        story.is("bob", MemberState::Left);
        story.is("cyd", MemberState::Dead);
        story.is("cyd", MemberState::Alive);
        let purged = story.0.purge(Time::from_micros(1));
        assert_eq!(purged.len(), 3, "what is forgotten is still told");
        let [left, failed] = ["bob", "ada"].map(|name| vec![name.to_owned()]);
        assert_eq!(story.settled(), Some([none.clone(), left, failed]));

        let cyd = story.0.find(b"cyd").unwrap();
        story.0.set_alive(cyd, member("cyd", 2));
        let moved = story.0.settle_view().unwrap();
        assert!(moved.joined.is_empty() && moved.left.is_empty() && moved.failed.is_empty());
        assert_eq!(names(&moved.members), ["cyd", "me"]);
        story.0.set_alive(cyd, member("cyd", 1));
        assert_ne!(story.0.settle_view().unwrap().id, moved.id);
        story.0.remove(cyd);
        assert_eq!(story.settled(), Some([none.clone(), none, vec!["cyd".to_owned()]]));
    }
}
