//! The members of one moment, as a handle publishes them.

use std::fmt;
use std::slice;
use std::sync::Arc;

use swim_core::Member;

use crate::to_member_name::{ToMemberName, name_bytes};

/// The members that one of them knew at one moment, from
/// [`Cluster::members`](crate::Cluster::members).
///
/// It never changes: ask for the members again to see later ones. They are ordered by the bytes of
/// their names, each of which is there once. Clones share one list, so that a clone copies nothing.
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
    ordered: Arc<[Member]>,
}

impl Members {
    /// `ordered` is what the machine lists: by name, each once.
    pub(crate) fn from_ordered(ordered: impl Iterator<Item = Member>) -> Self {
        let ordered: Arc<[Member]> = ordered.collect();
        debug_assert!(ordered.is_sorted_by(|one, next| one.name() < next.name()));
        Self { ordered }
    }

    /// The member of this name, whatever its state; the time grows with the logarithm of the
    /// number of members.
    #[must_use]
    pub fn get(&self, name: impl ToMemberName) -> Option<&Member> {
        let name = name_bytes(&name);
        let by_name = |member: &Member| member.name().as_bytes().cmp(name);
        self.ordered.binary_search_by(by_name).ok().and_then(|index| self.ordered.get(index))
    }

    /// The members, in the order of their names.
    pub fn iter(&self) -> slice::Iter<'_, Member> {
        self.ordered.iter()
    }

    /// How many there are, this member and those of any state included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ordered.len()
    }

    /// Whether nobody is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ordered.is_empty()
    }
}

impl<'a> IntoIterator for &'a Members {
    type Item = &'a Member;
    type IntoIter = slice::Iter<'a, Member>;

    fn into_iter(self) -> slice::Iter<'a, Member> {
        self.iter()
    }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The entry of a member of its own cluster.
    fn member(name: &str) -> Member {
        let mut config = swim_core::Config::local();
        config.label = Vec::new();
        let name = swim_core::MemberName::try_from(name).unwrap();
        let address = "127.0.0.1:1".parse().unwrap();
        let me = swim_core::LocalMember { name, address, meta: Vec::new() };
        let seed = swim_core::RngSeed([0; 32]);
        swim_core::Membership::new(config, me, seed, swim_core::Time::ZERO).unwrap().local()
    }

    #[test]
    fn each_is_found_by_its_name_and_nobody_else_is() {
        let names = ["Ada", "ada", "ada-2", "bob", "zoë"];
        let members = Members::from_ordered(names.map(member).into_iter());
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
        let members = Members::from_ordered(["ada", "bob", "cyd"].map(member).into_iter());
        let listed: Vec<String> =
            (&members).into_iter().map(|one| one.name().to_string()).collect();
        assert_eq!(listed, ["ada", "bob", "cyd"]);
        assert_eq!((members.len(), members.is_empty()), (3, false));
        assert!(Members::default().is_empty());
        assert!(Arc::ptr_eq(&members.ordered, &members.clone().ordered));
    }
}
