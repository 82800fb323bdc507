//! Who is live: as sums that are told to others, and as what came and went since the view last
//! stood still.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use crate::member::Member;
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::repairs::Repairs;
use crate::time::Time;
use crate::view_digest::{Halves, Share, ViewDigest, ViewSums};
use crate::views::Views;

/// A view of who is live, which has stood still: what has happened on the way to it, where those
/// that came and went, or went and came back, do not appear.
///
/// A member that moved to another address makes another view, in which nobody joined or left.
/// Members whose view is the same have the same [`id`](Self::id). Nobody guarantees that all see
/// the same views, or when: [`agreement`](crate::Membership::agreement) says what others have
/// told.
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StableView {
    /// The same number at all members that have this view: it stands for the names and addresses
    /// of the live members, and for the label.
    pub id: u64,
    /// The members that are alive or suspect, ourselves included, ordered by name.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize_all"))]
    pub members: Arc<[Member]>,
    /// Those of them that were not in the last stable view.
    pub joined: Vec<Member>,
    /// Those of the last stable view that have left.
    pub left: Vec<Member>,
    /// Those of the last stable view that were declared dead, or were
    /// [removed](crate::MembershipEvent::Removed).
    pub failed: Vec<Member>,
}

#[cfg(feature = "serde")]
fn serialize_all<S: serde::Serializer>(members: &[Member], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(members)
}

/// The members whose being there differs from the last stable view: for one that is gone, how it
/// was when it went. Bounded by the members of that view and those that are live now.
pub(crate) type Changed = BTreeMap<MemberName, Option<Member>>;

/// The members that are live.
pub(crate) struct LiveView {
    sums: ViewSums,
    changed: Changed,
    /// The sum over who was live in the last stable view, and where.
    last: u64,
    /// What the view was, and what others have told of theirs.
    told: Views,
    repairs: Repairs,
}

impl LiveView {
    /// Of nobody, in the cluster with this label.
    pub(crate) fn new(label: &[u8]) -> Self {
        let (sums, changed) = (ViewSums::new(label), Changed::new());
        Self { sums, changed, last: 0, told: Views::default(), repairs: Repairs::default() }
    }

    /// What a member adds to the sums, to be given back when it has changed.
    pub(crate) fn share(&self, member: &Member) -> Share {
        self.sums.share(member)
    }

    /// A member is another one than the one that added `before`, and was live or not.
    pub(crate) fn follow(&mut self, before: Share, was_live: bool, member: &Member) {
        let after = self.sums.share(member);
        self.sums.replace(before, after);
        let is_live = member.state().is_live();
        if is_live != was_live {
            self.note(member, is_live);
        }
    }

    /// A member is forgotten, which may be live.
    pub(crate) fn forget(&mut self, index: MemberIndex, member: &Member) {
        self.told.forget(index);
        self.repairs.forget(index);
        if member.state().is_live() {
            let share = self.sums.share(member);
            self.sums.replace(share, Share::default());
            self.note(member, false);
        }
    }

    fn note(&mut self, member: &Member, is_live: bool) {
        match self.changed.entry(member.name().clone()) {
            Entry::Vacant(place) => {
                place.insert((!is_live).then(|| member.clone()));
            }
            // It is again what it was.
            Entry::Occupied(place) => {
                place.remove();
            }
        }
    }

    /// The halves that are told to others.
    pub(crate) fn halves(&self) -> Halves {
        self.sums.halves()
    }

    /// What is told to others at this moment.
    pub(crate) fn digest(&self, now: Time) -> ViewDigest {
        self.told.digest(self.halves(), now)
    }

    /// A member told its view. Whether it differs from ours, and both have been the same for so
    /// long that updates would have reached everybody.
    pub(crate) fn hear(
        &mut self,
        index: MemberIndex,
        digest: ViewDigest,
        settled: Duration,
        now: Time,
    ) -> bool {
        self.told.hear(index, digest, now);
        let own = self.digest(now);
        let differs = digest.halves != own.halves;
        self.repairs.note(differs);
        differs && own.is_as_old_as(settled) && digest.is_as_old_as(settled)
    }

    /// Whether to exchange states with a member whose view differs, `apart` from the last time.
    pub(crate) fn begins_repair(&mut self, index: MemberIndex, apart: Duration, now: Time) -> bool {
        let own = self.halves();
        self.repairs.begins(index, own, apart, now)
    }

    /// What others have told, held against what was so here.
    pub(crate) fn told(&self) -> &Views {
        &self.told
    }

    /// All that has happened at `now` has been handled. If who is live has changed by it: since
    /// when it does so, after the last stable view.
    pub(crate) fn settle(&mut self, now: Time) -> Option<Time> {
        self.told.settle(self.sums.halves(), now)
    }

    /// The view is a stable one from here on: its number, and what differs from the last one.
    /// `None` if it is the same.
    pub(crate) fn take_changed(&mut self) -> Option<(u64, Changed)> {
        self.told.ended();
        let changed = std::mem::take(&mut self.changed);
        let id = self.sums.live();
        (id != std::mem::replace(&mut self.last, id)).then_some((id, changed))
    }
}
