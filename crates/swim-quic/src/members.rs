//! The members of one moment, as a handle publishes them.

use std::fmt;
use std::iter::{FlatMap, FusedIterator};
use std::{slice, vec};

use swim_core::{Member, Membership};

use crate::member_runs::{MemberRuns, Run};
use crate::to_member_name::{ToMemberName, name_bytes};

/// The members that one of them knew at one moment, from
/// [`Cluster::members`](crate::Cluster::members).
///
/// It never changes: ask for the members again to see later ones. They are ordered by the bytes of
/// their names, each of which is there once. Clones share one list, so that a clone copies nothing;
/// successive lists share the members that have not changed.
///
/// ```no_run
/// # fn example(cluster: &swim_quic::Cluster) {
/// let members = cluster.members();
/// if let Some(bob) = members.get("bob") {
///     println!("bob is {:?} at {}", bob.state(), bob.address());
/// }
/// for member in &members {
///     println!("{}, one of {}", member.name(), members.len());
/// }
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Members {
    members: MemberRuns,
}

impl Members {
    /// The member of this name, whatever its state; the time grows with the logarithm of the
    /// number of members.
    ///
    /// ```no_run
    /// # use swim_quic::Members;
    /// # fn example(members: &Members) {
    /// if let Some(bob) = members.get("bob") {
    ///     println!("bob is {} at {}", bob.state(), bob.address());
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn get(&self, name: impl ToMemberName) -> Option<&Member> {
        self.members.get(name_bytes(&name))
    }

    /// Whether the machine lists the same, state and incarnation included.
    fn is_list_of(&self, membership: &Membership) -> bool {
        let state = |member: &Member| (member.state(), member.incarnation());
        let is_same = |(one, other): (&Member, Member)| {
            one.name() == other.name() && state(one) == state(&other)
        };
        self.iter().zip(membership.members()).all(is_same)
            && self.len() == membership.members().count()
    }

    /// The members, in the order of their names.
    ///
    /// ```no_run
    /// # use swim_quic::Members;
    /// # fn example(members: &Members) {
    /// let names: Vec<String> = members.iter().map(|member| member.name().to_string()).collect();
    /// println!("{}", names.join(", "));
    /// # }
    /// ```
    pub fn iter(&self) -> MembersIter<'_> {
        let members: fn(_) -> _ = members_of;
        MembersIter { members: self.members.runs().iter().flat_map(members), left: self.len() }
    }

    /// How many there are, this member and those of any state included.
    ///
    /// ```no_run
    /// # use swim_quic::Members;
    /// # fn example(members: &Members) {
    /// println!("{} members, the dead included", members.len());
    /// # }
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nobody is listed.
    ///
    /// ```
    /// # use swim_quic::Members;
    /// assert!(Members::default().is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn members_of(run: &Run) -> slice::Iter<'_, Member> {
    run.iter()
}

type InRuns<'a> =
    FlatMap<slice::Iter<'a, Run>, slice::Iter<'a, Member>, fn(&'a Run) -> slice::Iter<'a, Member>>;

/// The members of [`Members`] in the order of their names, from [`Members::iter`].
#[derive(Clone)]
pub struct MembersIter<'a> {
    members: InRuns<'a>,
    left: usize,
}

impl fmt::Debug for MembersIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<'a> Iterator for MembersIter<'a> {
    type Item = &'a Member;

    fn next(&mut self) -> Option<&'a Member> {
        let next = self.members.next();
        self.left -= usize::from(next.is_some());
        next
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl DoubleEndedIterator for MembersIter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let next = self.members.next_back();
        self.left -= usize::from(next.is_some());
        next
    }
}

impl ExactSizeIterator for MembersIter<'_> {}

impl FusedIterator for MembersIter<'_> {}

impl<'a> IntoIterator for &'a Members {
    type Item = &'a Member;
    type IntoIter = MembersIter<'a>;

    fn into_iter(self) -> MembersIter<'a> {
        self.iter()
    }
}

/// Each member by itself: a [`Member`] is a pointer that clones share.
impl IntoIterator for Members {
    type Item = Member;
    type IntoIter = vec::IntoIter<Member>;

    fn into_iter(self) -> vec::IntoIter<Member> {
        self.iter().cloned().collect::<Vec<_>>().into_iter()
    }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

/// What has been published of a machine's members.
#[derive(Default)]
pub(crate) struct PublishedMembers {
    /// The generation of the machine's list; `None` before the first.
    generation: Option<u64>,
    members: MemberRuns,
}

impl PublishedMembers {
    /// The members, if they have changed since the last call. The time grows with the changes.
    pub(crate) fn update(&mut self, membership: &mut Membership) -> Option<Members> {
        let generation = membership.generation();
        if self.generation.replace(generation) == Some(generation) {
            return None;
        }
        match membership.take_changed_names() {
            None => self.members = MemberRuns::from_ordered(membership.members()),
            Some(names) => {
                for name in names {
                    match membership.member(&name) {
                        Some(member) => self.members.set(member),
                        None => self.members.remove(&name),
                    }
                }
            }
        }
        let members = Members { members: self.members.clone() };
        debug_assert!(members.is_list_of(membership), "a change was not told");
        Some(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member_runs::tests::member;

    fn members<const COUNT: usize>(names: [&str; COUNT]) -> Members {
        Members { members: MemberRuns::from_ordered(names.map(member).into_iter()) }
    }

    #[test]
    fn each_is_found_by_its_name_and_nobody_else_is() {
        let names = ["Ada", "ada", "ada-2", "bob", "zoë"];
        let members = members(names);
        for name in names {
            assert_eq!(members.get(name).unwrap().name().as_bytes(), name.as_bytes());
        }
        let ada = members.get("ada").unwrap();
        for found in [members.get(ada), members.get(ada.name()), members.get("ada".to_owned())] {
            assert_eq!(found.unwrap().name(), ada.name());
        }
        for name in ["", "ad", "ada-", "ada-20", "zz", "BOB"] {
            assert!(members.get(name).is_none(), "{name}");
        }
        assert!(Members::default().get("ada").is_none());
    }

    #[test]
    fn they_are_listed_in_the_order_of_their_names_and_clones_share_the_list() {
        let members = members(["ada", "bob", "cyd"]);
        let listed: Vec<String> =
            (&members).into_iter().map(|one| one.name().to_string()).collect();
        assert_eq!(listed, ["ada", "bob", "cyd"]);
        assert_eq!((members.len(), members.is_empty()), (3, false));
        assert!(Members::default().is_empty());
        let clone = members.clone();
        assert!(std::ptr::eq(members.members.runs(), clone.members.runs()));
    }

    #[test]
    fn what_is_published_is_what_the_machine_lists_after_every_change() {
        let mut config = swim_core::Config::local();
        config.label = Vec::new();
        let me = swim_core::LocalMember {
            name: swim_core::MemberName::try_from("me").unwrap(),
            address: "127.0.0.1:1".parse().unwrap(),
            meta: Vec::new(),
        };
        let (seed, now) = (swim_core::RngSeed([1; 32]), swim_core::Time::ZERO);
        let mut machine = Membership::new(config, me, seed, now).unwrap();
        let mut published = PublishedMembers::default();
        while machine.poll_output().is_some() {}
        let first = published.update(&mut machine).unwrap();
        assert!(published.update(&mut machine).is_none(), "nothing has changed");
        for meta in ["a", "b"] {
            machine.set_meta(meta.into(), now).unwrap();
            while machine.poll_output().is_some() {}
            let shown = published.update(&mut machine).unwrap();
            assert_eq!(shown.get("me").unwrap().meta(), meta.as_bytes());
            assert_eq!(shown.len(), 1);
        }
        assert_eq!(first.get("me").unwrap().meta(), b"", "what was shown stays");
    }

    #[test]
    fn they_are_walked_from_both_ends_by_reference_and_by_value() {
        for count in [0_usize, 1, 2, 95, 96, 97, 500] {
            let names: Vec<String> = (0..count).map(|number| format!("{number:03}")).collect();
            let all = MemberRuns::from_ordered(names.iter().map(|name| member(name)));
            let all = Members { members: all };
            let forward: Vec<String> = all.iter().map(|one| one.name().to_string()).collect();
            assert_eq!(forward, names);
            let owned: Vec<String> =
                all.clone().into_iter().map(|one| one.name().to_string()).collect();
            assert_eq!(owned, names);
            // One from the front, one from the back, until they meet.
            let (mut borrowed, mut owned) = (all.iter(), all.clone().into_iter());
            for step in 0..count + 2 {
                assert_eq!(borrowed.len(), count.saturating_sub(step));
                assert_eq!(owned.len(), borrowed.len());
                let (one, other) = match step % 2 {
                    0 => (borrowed.next(), owned.next()),
                    _ => (borrowed.next_back(), owned.next_back()),
                };
                let from_the_back = count.wrapping_sub(1 + step / 2);
                let place = if step % 2 == 0 { step / 2 } else { from_the_back };
                let expected = names.get(place).filter(|_| step < count).map(String::as_bytes);
                assert_eq!(one.map(|one| one.name().as_bytes()), expected);
                assert_eq!(other.as_ref().map(|other| other.name().as_bytes()), expected);
            }
        }
    }
}
