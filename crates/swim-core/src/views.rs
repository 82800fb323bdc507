//! What the live members have told of their views, held against our own.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::member::Member;
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::time::Time;
use crate::view_digest::{Halves, ViewDigest};

/// How many of our former views a peer may still be at to count as being behind.
const FORMER_VIEWS: usize = 16;
/// In how many probe intervals a member is heard: it is probed once in each on average, and probes
/// as often, so that one of which nothing came in twenty has told nothing lately.
const HEARD_INTERVALS: u32 = 20;

/// Whether the members share one view, as far as this member has heard.
///
/// Each live member other than ourselves is in one of the four lists, which are ordered by name. A
/// member of this library tells a digest of its view with each ping and ack. What is known of it is
/// as old as the last one: this is an observation, not a guarantee, and a member that lies is
/// believed.
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Agreement {
    /// They know the same live members as we do, at the same addresses, incarnations and metadata.
    pub agreeing: Vec<MemberName>,
    /// What they told last was one of our own last 16 views: they have yet to hear what we did.
    pub behind: Vec<MemberName>,
    /// They know something else.
    pub differing: Vec<Difference>,
    /// They told nothing in the last 20 probe intervals: Go members, which tell no digests, and
    /// those that no probe has reached since. In a cluster of more than about 20 members many are
    /// here at any time.
    pub unheard: Vec<MemberName>,
}

/// A member whose view differs from ours, and in what.
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// Whose view.
    pub member: MemberName,
    /// It knows other live members, or one at another address; if not, only an incarnation or
    /// metadata.
    pub in_members: bool,
}

impl Agreement {
    /// Whether nobody heard is behind or differs. Who was not heard does not count; see
    /// [`is_complete`](Self::is_complete).
    ///
    /// ```
    /// assert!(swim_core::Agreement::default().is_undisputed());
    /// ```
    #[must_use]
    pub fn is_undisputed(&self) -> bool {
        self.behind.is_empty() && self.differing.is_empty()
    }

    /// Whether every live member was heard lately and agrees. Not with a Go member alive, nor in a
    /// large cluster, where a member hears only some of the others in 20 probe intervals.
    ///
    /// ```
    /// assert!(swim_core::Agreement::default().is_complete());
    /// ```
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_undisputed() && self.unheard.is_empty()
    }
}

/// A digest, and when it came.
#[derive(Clone, Copy, Debug)]
struct Heard {
    halves: Halves,
    at: Time,
}

/// Our own view over time, and the last digest of each member.
#[derive(Debug, Default)]
pub(crate) struct Views {
    own: Halves,
    since: Time,
    /// When who is live began to change, since the last stable view.
    began: Option<Time>,
    /// The live halves of our former views, the latest last.
    former: VecDeque<u32>,
    heard: BTreeMap<MemberIndex, Heard>,
}

impl Views {
    /// All that has happened at `now` has been handled. If others are live, or live elsewhere, than
    /// before: when that began, since the last stable view.
    pub(crate) fn settle(&mut self, own: Halves, now: Time) -> Option<Time> {
        if own == self.own {
            return None;
        }
        let is_other = own.live != self.own.live;
        if is_other {
            if self.former.len() == FORMER_VIEWS {
                self.former.pop_front();
            }
            self.former.push_back(self.own.live);
        }
        (self.own, self.since) = (own, now);
        is_other.then(|| *self.began.get_or_insert(now))
    }

    /// The view is a stable one.
    pub(crate) fn ended(&mut self) {
        self.began = None;
    }

    /// What we tell others, who may get it before [`settle`](Self::settle).
    pub(crate) fn digest(&self, own: Halves, now: Time) -> ViewDigest {
        let age = if own == self.own { now - self.since } else { Duration::ZERO };
        ViewDigest::new(own, age)
    }

    /// A member told its view.
    pub(crate) fn hear(&mut self, index: MemberIndex, digest: ViewDigest, now: Time) {
        self.heard.insert(index, Heard { halves: digest.halves, at: now });
    }

    /// The member was purged, or is no longer there.
    pub(crate) fn forget(&mut self, index: MemberIndex) {
        self.heard.remove(&index);
    }

    /// Holds what the members have told against our own view of them.
    pub(crate) fn agreement<'a>(
        &self,
        own: Halves,
        members: impl Iterator<Item = (MemberIndex, &'a Member)>,
        probe_interval: Duration,
        now: Time,
    ) -> Agreement {
        let oldest = now.before(HEARD_INTERVALS * probe_interval);
        let mut agreement = Agreement::default();
        for (index, member) in members {
            if index == MemberIndex::ME || !member.state().is_live() {
                continue;
            }
            let name = member.name().clone();
            match self.heard.get(&index).filter(|heard| heard.at >= oldest) {
                None => agreement.unheard.push(name),
                Some(heard) if heard.halves == own => agreement.agreeing.push(name),
                Some(heard) => {
                    let in_members = heard.halves.live != own.live;
                    if in_members && self.was_ours(heard.halves.live) {
                        agreement.behind.push(name);
                    } else {
                        agreement.differing.push(Difference { member: name, in_members });
                    }
                }
            }
        }
        agreement
    }

    fn was_ours(&self, live: u32) -> bool {
        live == self.own.live || self.former.contains(&live)
    }
}
