//! What a member may believe of another after what it believed before.
//!
//! Incarnations never fall; nobody returns from suspicion, death or leave without a higher one;
//! nobody is ahead of what the member itself has said; nobody has left that did not, or at another
//! incarnation than it did; dead and left are not confused; hearsay in a full exchange kills
//! nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::member::MemberState::{self, Alive, Dead, Left, Suspect};
use crate::sim::checker::Breach;
use crate::sim::coverage::Counted;
use crate::sim::fault::HostId;
use crate::sim::host::Place;
use crate::sim::simulation::Cause;
use crate::time::Time;

/// What one member believes of another: nothing while `state` is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) incarnation: u32,
    pub(crate) place: Place,
    pub(crate) state: Option<MemberState>,
}

/// What is true of a member, whatever others believe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Truth {
    /// The highest incarnation it ever announced, over all its lives.
    pub(crate) highest: u32,
    /// It was told to leave in this life.
    pub(crate) leaving: bool,
}

/// Every belief, as of the last look: views of members over all members.
#[derive(Default)]
pub(crate) struct Views {
    seen: Vec<Vec<Seen>>,
    truth: Vec<Truth>,
    /// The incarnations that each member left at, over all its lives.
    left_at: Vec<BTreeSet<u32>>,
    looked_at: Vec<u64>,
    /// When each viewer buried whom, by its own clock.
    buried: BTreeMap<(HostId, HostId), Time>,
    /// Whom each viewer may have forgotten since the last look.
    released: BTreeSet<(HostId, HostId)>,
}

/// One look of one viewer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glance {
    pub(crate) viewer: HostId,
    /// What happened since the last look; `None` when that may be several things.
    pub(crate) cause: Option<Cause>,
    /// By the viewer's clock.
    pub(crate) now: Time,
    /// How long the viewer must remember the dead.
    pub(crate) keeps_dead: Duration,
}

impl Views {
    pub(crate) fn set_hosts(&mut self, hosts: usize) {
        self.truth.resize(hosts, Truth::default());
        self.left_at.resize(hosts, BTreeSet::new());
        self.seen.resize_with(hosts, Vec::new);
        self.looked_at.resize(hosts, u64::MAX);
        for view in &mut self.seen {
            view.resize(hosts, Seen::default());
        }
    }

    /// A new life knows nothing.
    pub(crate) fn forget(&mut self, viewer: HostId) {
        self.seen[viewer.index()].fill(Seen::default());
        self.looked_at[viewer.index()] = u64::MAX;
        self.truth[viewer.index()].leaving = false;
        self.buried.retain(|(other, _), _| *other != viewer);
    }

    pub(crate) fn truth(&self, host: HostId) -> Truth {
        self.truth[host.index()]
    }

    /// A member was told to leave while it was at this incarnation.
    pub(crate) fn note_leave(&mut self, host: HostId, incarnation: u32) {
        self.truth[host.index()].leaving = true;
        self.left_at[host.index()].insert(incarnation);
    }

    /// A viewer said that it let go of a place: whoever was buried there long ago may be forgotten,
    /// and heard of anew before the next look.
    pub(crate) fn note_release(&mut self, glance: Glance, place: Place) {
        for (subject, seen) in (0..).map(HostId).zip(&self.seen[glance.viewer.index()]) {
            let buried = self.buried.get(&(glance.viewer, subject));
            // Who has just left is let go as well, and still remembered.
            let long = buried.is_some_and(|buried| glance.now - *buried >= glance.keeps_dead);
            if seen.place == place && (long || (buried.is_some() && glance.cause.is_none())) {
                self.released.insert((glance.viewer, subject));
            }
        }
    }

    /// Everything that happened has been looked at.
    pub(crate) fn end_look(&mut self) {
        self.released.clear();
    }

    /// What a member says of itself; later looks are held against it.
    pub(crate) fn note_own_incarnation(&mut self, host: HostId, incarnation: u32) {
        let truth = &mut self.truth[host.index()];
        truth.highest = truth.highest.max(incarnation);
    }

    /// Whether a view has changed since the last call with another generation.
    pub(crate) fn is_new(&mut self, viewer: HostId, generation: u64) -> bool {
        std::mem::replace(&mut self.looked_at[viewer.index()], generation) != generation
    }

    /// How many members a view remembered at the last look.
    pub(crate) fn remembered(&self, viewer: HostId) -> usize {
        self.seen[viewer.index()].iter().filter(|seen| seen.state.is_some()).count()
    }

    /// Takes in what a viewer believes of a subject.
    pub(crate) fn observe(
        &mut self,
        glance: Glance,
        subject: HostId,
        after: Seen,
    ) -> Result<Option<Counted>, Breach> {
        let place = &mut self.seen[glance.viewer.index()][subject.index()];
        if *place == after {
            return Ok(None);
        }
        let before = std::mem::replace(place, after);
        let truth = self.truth[subject.index()];
        let left_at = &self.left_at[subject.index()];
        let verdict = if glance.viewer == subject {
            judge_own(before, after, truth)
        } else if after.state.is_none() {
            judge_forgotten(before, self.buried.get(&(glance.viewer, subject)).copied(), glance)
        } else if after.state == Some(Left) && !left_at.contains(&after.incarnation) {
            Err(if left_at.is_empty() {
                "only who left has left"
            } else {
                "a leave stays where it was"
            })
        } else {
            let judged = judge_change(before, after, truth, glance.cause);
            if judged.is_err() && self.released.contains(&(glance.viewer, subject)) {
                judge_change(Seen::default(), after, truth, glance.cause)
            } else {
                judged
            }
        };
        if before.state != after.state {
            match after.state {
                Some(Dead | Left) => {
                    self.buried.insert((glance.viewer, subject), glance.now);
                }
                Some(Alive | Suspect) | None => {
                    self.buried.remove(&(glance.viewer, subject));
                }
            }
        }
        verdict.map_err(|rule| {
            let (viewer, subject, cause) = (glance.viewer.index(), subject.index(), glance.cause);
            Breach::new(
                rule,
                format!("host {viewer} of host {subject}: {before} became {after} by {cause:?}"),
            )
        })
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.state {
            Some(state) => write!(f, "{state} at {} in {}", self.incarnation, self.place.0),
            None => f.write_str("unknown"),
        }
    }
}

/// What a member may come to believe of itself.
fn judge_own(before: Seen, after: Seen, truth: Truth) -> Result<Option<Counted>, &'static str> {
    match after.state {
        Some(Alive) if truth.leaving && before.state == Some(Left) => Err("a leave is final"),
        Some(Alive) if before.state.is_some() && after.incarnation < before.incarnation => {
            Err("own incarnation never falls")
        }
        Some(Alive) => Ok((before.state == Some(Alive)).then_some(Counted::Refuted)),
        Some(Left) if truth.leaving => Ok(None),
        Some(Suspect | Dead | Left) | None => Err("a member knows that it is alive"),
    }
}

/// What a member may come to believe of another. Without a cause several steps lie between, so
/// that a member may have been forgotten and found again unseen.
fn judge_change(
    before: Seen,
    after: Seen,
    truth: Truth,
    cause: Option<Cause>,
) -> Result<Option<Counted>, &'static str> {
    let Some(new) = after.state else {
        return Ok(None);
    };
    if after.incarnation > truth.highest {
        return Err("nobody is ahead of the member itself");
    }
    let Some(old) = before.state else {
        return Ok(Some(Counted::Appeared));
    };
    if before.place != after.place {
        // Only a name that its holder gave up is free; without a cause it may be a new one.
        return match old {
            Left => Ok(Some(Counted::TakenOver)),
            Alive | Suspect | Dead if cause.is_none() => Ok(None),
            Alive | Suspect | Dead => Err("a name belongs to its address"),
        };
    }
    if after.incarnation < before.incarnation {
        return Err("incarnations never fall");
    }
    let raised = after.incarnation > before.incarnation;
    match (old, new) {
        (Suspect | Dead | Left, Alive) if !raised => Err("no return without a higher incarnation"),
        (Dead | Left, Suspect | Dead | Left) if old != new && !raised => {
            Err("what is settled stays settled")
        }
        (Alive | Suspect, Dead) if cause == Some(Cause::Stream) && !raised => {
            Err("an exchange kills nobody")
        }
        (Alive, Dead) if cause == Some(Cause::Timer) => Err("nobody dies unsuspected"),
        (Alive, Alive) => Ok(None),
        (Alive | Dead | Left, Suspect) => Ok(Some(Counted::Suspected)),
        (Alive, Dead) => Ok(Some(Counted::FailedByWord)),
        (Alive, Left) => Ok(Some(Counted::Left)),
        (Suspect, Alive) => Ok(Some(Counted::Cleared)),
        (Suspect, Dead) => Ok(Some(Counted::Failed)),
        (Suspect, Left) => Ok(Some(Counted::LeftWhileSuspect)),
        (Dead, Alive) => Ok(Some(Counted::Returned)),
        (Left, Alive) => Ok(Some(Counted::Rejoined)),
        (Suspect, Suspect) | (Dead | Left, Dead | Left) => Ok(Some(Counted::Remembered)),
    }
}

fn judge_forgotten(
    before: Seen,
    buried: Option<Time>,
    glance: Glance,
) -> Result<Option<Counted>, &'static str> {
    let change = match before.state {
        Some(Dead) => Counted::PurgedDead,
        Some(Left) => Counted::PurgedLeft,
        Some(Alive | Suspect) | None if glance.cause.is_none() => return Ok(None),
        Some(Alive | Suspect) | None => return Err("nobody forgets the living"),
    };
    let kept = buried.map(|buried| glance.now - buried);
    if glance.cause.is_some() && kept.is_none_or(|kept| kept < glance.keeps_dead) {
        return Err("the dead are remembered for a while");
    }
    Ok(Some(change))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: HostId = HostId(0);
    const BOB: HostId = HostId(1);

    fn seen(state: MemberState, incarnation: u32) -> Seen {
        Seen { incarnation, place: Place(1), state: Some(state) }
    }

    fn elsewhere(seen: Seen) -> Seen {
        Seen { place: Place(2), ..seen }
    }

    fn glance(viewer: HostId, seconds: u64, cause: Option<Cause>) -> Glance {
        let now = Time::from_micros(seconds * 1_000_000);
        Glance { viewer, cause, now, keeps_dead: Duration::from_secs(30) }
    }

    /// What ada may make of bob, who is at incarnation 9 and never left.
    fn change(before: Seen, after: Seen, cause: Cause) -> Result<Option<Counted>, &'static str> {
        let mut views = Views::default();
        views.set_hosts(2);
        views.note_own_incarnation(BOB, 9);
        views.seen[0][1] = before;
        views.observe(glance(ADA, 0, Some(cause)), BOB, after).map_err(|breach| breach.rule)
    }

    /// What becomes of bob, buried at 0 s, when ada forgets him at that second.
    fn forgets_after(seconds: u64, state: MemberState) -> Result<Option<Counted>, &'static str> {
        let mut views = Views::default();
        views.set_hosts(2);
        views.note_own_incarnation(BOB, 9);
        let glance = |seconds| glance(ADA, seconds, Some(Cause::Timer));
        assert!(views.observe(glance(0), BOB, seen(state, 4)).is_ok());
        views.observe(glance(seconds), BOB, Seen::default()).map_err(|breach| breach.rule)
    }

    #[test]
    fn an_incarnation_that_falls_is_noticed_and_one_that_rises_is_not() {
        let rule = change(seen(Alive, 4), seen(Alive, 3), Cause::Packet);
        assert_eq!(rule, Err("incarnations never fall"));
        assert_eq!(change(seen(Alive, 3), seen(Alive, 4), Cause::Packet), Ok(None));
    }

    #[test]
    fn a_return_needs_a_higher_incarnation() {
        for state in [Suspect, Dead] {
            let rule = change(seen(state, 4), seen(Alive, 4), Cause::Packet);
            assert_eq!(rule, Err("no return without a higher incarnation"));
            assert!(change(seen(state, 4), seen(Alive, 5), Cause::Packet).is_ok());
        }
    }

    #[test]
    fn nobody_is_ahead_of_the_member_itself() {
        let rule = change(seen(Alive, 4), seen(Suspect, 10), Cause::Packet);
        assert_eq!(rule, Err("nobody is ahead of the member itself"));
        assert!(change(seen(Alive, 4), seen(Suspect, 9), Cause::Packet).is_ok());
    }

    #[test]
    fn dead_and_left_are_not_confused() {
        let rule = change(seen(Alive, 4), seen(Left, 4), Cause::Packet);
        assert_eq!(rule, Err("only who left has left"));
        let rule = change(seen(Left, 4), seen(Dead, 4), Cause::Packet);
        assert_eq!(rule, Err("what is settled stays settled"));
        assert!(change(seen(Dead, 4), seen(Dead, 5), Cause::Packet).is_ok());
    }

    #[test]
    fn a_leave_stays_at_the_incarnation_it_happened_at() {
        let hears = |incarnation| {
            let mut views = Views::default();
            views.set_hosts(2);
            views.note_own_incarnation(BOB, 9);
            views.note_leave(BOB, 4);
            views.note_leave(BOB, 7);
            let glance = glance(ADA, 0, Some(Cause::Packet));
            views.observe(glance, BOB, seen(Left, incarnation)).map_err(|breach| breach.rule)
        };
        assert_eq!(hears(6), Err("a leave stays where it was"));
        assert!(hears(4).is_ok() && hears(7).is_ok());
    }

    #[test]
    fn a_name_moves_only_when_its_holder_has_left() {
        for state in [Alive, Suspect, Dead] {
            let rule = change(seen(state, 4), elsewhere(seen(Alive, 5)), Cause::Packet);
            assert_eq!(rule, Err("a name belongs to its address"));
        }
        let taken = change(seen(Left, 4), elsewhere(seen(Alive, 1)), Cause::Packet);
        assert_eq!(taken, Ok(Some(Counted::TakenOver)));
    }

    #[test]
    fn hearsay_kills_nobody_but_a_verdict_does() {
        let rule = change(seen(Alive, 4), seen(Dead, 4), Cause::Stream);
        assert_eq!(rule, Err("an exchange kills nobody"));
        let rule = change(seen(Alive, 4), seen(Dead, 4), Cause::Timer);
        assert_eq!(rule, Err("nobody dies unsuspected"));
        let verdict = change(seen(Alive, 4), seen(Dead, 4), Cause::Packet);
        assert_eq!(verdict, Ok(Some(Counted::FailedByWord)));
        let verdict = change(seen(Suspect, 4), seen(Dead, 4), Cause::Timer);
        assert_eq!(verdict, Ok(Some(Counted::Failed)));
    }

    #[test]
    fn the_living_are_not_forgotten_and_the_dead_only_in_time() {
        assert_eq!(forgets_after(60, Alive), Err("nobody forgets the living"));
        assert_eq!(forgets_after(29, Dead), Err("the dead are remembered for a while"));
        assert_eq!(forgets_after(30, Dead), Ok(Some(Counted::PurgedDead)));
    }

    #[test]
    fn who_was_forgotten_may_be_heard_of_anew() {
        let again = |released| {
            let mut views = Views::default();
            views.set_hosts(2);
            views.note_own_incarnation(BOB, 9);
            let at = |seconds| glance(ADA, seconds, Some(Cause::Packet));
            assert!(views.observe(at(0), BOB, seen(Dead, 4)).is_ok());
            views.note_release(at(released), Place(1));
            views.observe(at(released), BOB, seen(Alive, 1)).map_err(|breach| breach.rule)
        };
        assert_eq!(again(29), Err("incarnations never fall"));
        assert_eq!(again(30), Ok(Some(Counted::Appeared)));
    }

    #[test]
    fn the_own_incarnation_never_falls_and_a_leave_is_final() {
        let mut views = Views::default();
        views.set_hosts(1);
        views.note_own_incarnation(ADA, 5);
        let own = |views: &mut Views, seen| {
            views.observe(glance(ADA, 0, None), ADA, seen).err().map_or("", |breach| breach.rule)
        };
        assert_eq!(own(&mut views, seen(Alive, 5)), "");
        assert_eq!(own(&mut views, seen(Alive, 4)), "own incarnation never falls");
        assert_eq!(own(&mut views, seen(Dead, 5)), "a member knows that it is alive");
        views.note_leave(ADA, 5);
        assert_eq!(own(&mut views, seen(Left, 5)), "");
        assert_eq!(own(&mut views, seen(Alive, 6)), "a leave is final");
    }
}
