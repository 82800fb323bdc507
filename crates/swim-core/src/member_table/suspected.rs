//! What is kept of the members that are not believed alive.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::member::MemberState;
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::suspicion::Suspicion;
use crate::time::Time;

/// Of every suspected, dead or departed member: why, and whether it was told.
#[derive(Debug, Default)]
pub(super) struct SuspectedMembers(BTreeMap<MemberIndex, Suspected>);

/// Why a member is not believed alive.
#[derive(Debug)]
pub(crate) struct Suspected {
    /// Whose suspicion started it; the member itself if it left.
    by: MemberName,
    /// While the member may still refute.
    suspicion: Option<Suspicion>,
    /// When the member was last told.
    notified: Option<Time>,
}

impl Suspected {
    /// Whose suspicion started it.
    pub(crate) fn by(&self) -> &MemberName {
        &self.by
    }

    /// Whether whoever is said to have begun it said so itself.
    pub(crate) fn is_first_hand(&self) -> bool {
        self.suspicion.as_ref().is_some_and(Suspicion::is_first_hand)
    }

    /// Whether the member's host refused us and others while it was suspected.
    pub(crate) fn is_refused(&self) -> bool {
        self.suspicion.as_ref().is_some_and(Suspicion::is_refused)
    }

    /// How long the member has been suspected; zero if it is dead or has left.
    pub(crate) fn lasted(&self, now: Time) -> Duration {
        self.suspicion.as_ref().map_or(Duration::ZERO, |suspicion| now - suspicion.started())
    }
}

impl SuspectedMembers {
    pub(super) fn begin(&mut self, index: MemberIndex, by: MemberName, suspicion: Suspicion) {
        let suspicion = Some(suspicion);
        self.0.insert(index, Suspected { by, suspicion, notified: None });
    }

    /// The member is dead or has left, as `from` says. Returns its suspicion, if there was one.
    pub(super) fn end(
        &mut self,
        index: MemberIndex,
        state: MemberState,
        from: MemberName,
    ) -> Option<Suspected> {
        let before = self.0.remove(&index);
        let by = match &before {
            Some(before) if state == MemberState::Dead => before.by.clone(),
            Some(_) | None => from,
        };
        self.0.insert(index, Suspected { by, suspicion: None, notified: None });
        before
    }

    pub(super) fn remove(&mut self, index: MemberIndex) -> Option<Suspected> {
        self.0.remove(&index)
    }

    pub(super) fn suspicion(&self, index: MemberIndex) -> Option<&Suspicion> {
        self.0.get(&index)?.suspicion.as_ref()
    }

    /// The new deadline, if `from` counts as a confirmation.
    pub(super) fn confirm(&mut self, index: MemberIndex, from: &MemberName) -> Option<Time> {
        let suspicion = self.0.get_mut(&index)?.suspicion.as_mut()?;
        suspicion.confirm(from).then(|| suspicion.deadline())
    }

    /// The member did not answer us, at this incarnation.
    pub(super) fn add_own_evidence(&mut self, index: MemberIndex, incarnation: u32) {
        if let Some(Suspected { suspicion: Some(suspicion), .. }) = self.0.get_mut(&index) {
            suspicion.add_own_evidence(incarnation);
        }
    }

    /// A suspect's host refused us and others: when it first did, and the new deadline.
    pub(super) fn note_refused(&mut self, index: MemberIndex, now: Time) -> Option<(Time, Time)> {
        let suspicion = self.0.get_mut(&index)?.suspicion.as_mut()?;
        Some((suspicion.note_refused(now), suspicion.deadline()))
    }

    pub(super) fn forget_evidence(&mut self, index: MemberIndex, itself: bool) {
        if let Some(Suspected { suspicion: Some(suspicion), .. }) = self.0.get_mut(&index) {
            suspicion.forget_evidence(itself);
        }
    }

    pub(super) fn notify(
        &mut self,
        index: MemberIndex,
        now: Time,
        interval: Option<Duration>,
    ) -> Option<&MemberName> {
        let suspected = self.0.get_mut(&index)?;
        if let Some(interval) = interval {
            if suspected.notified.is_some_and(|at| now - at < interval) {
                return None;
            }
            suspected.notified = Some(now);
        }
        Some(&suspected.by)
    }
}
