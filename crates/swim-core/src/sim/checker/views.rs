//! What members believe of each other, held against what they believed before.
//!
//! Incarnations never fall; nobody returns from suspicion, death or leave without a higher one;
//! nobody is ahead of what the member itself has said; nobody has left that did not, or at another
//! incarnation than it did; dead and left are not confused; a full exchange kills nobody.

use std::collections::{BTreeMap, BTreeSet};

use crate::member::MemberState::{self, Alive, Dead, Left, Suspect};
use crate::sim::arrival::Cause;
use crate::sim::checker::belief_rules::{
    Belief, OwnClaims, ViewObservation, ViewRule, judge_change, judge_forgotten, judge_own,
};
use crate::sim::coverage::Counted;
use crate::sim::fault::HostId;
use crate::sim::hosts::HostAddress;
use crate::time::Time;

/// A belief that became what it must not become; hosts are given by their numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: host {viewer} of host {subject}: {before} became {after}{}", by(cause))]
pub(crate) struct ViewViolation {
    pub(crate) rule: ViewRule,
    viewer: usize,
    subject: usize,
    before: Belief,
    after: Belief,
    cause: Option<Cause>,
}

fn by(cause: &Option<Cause>) -> String {
    cause.map_or_else(String::new, |cause| format!(" by {cause}"))
}

/// Every belief, as of the last look: views of members over all members.
#[derive(Default)]
pub(crate) struct Views {
    /// By viewer, then by subject.
    beliefs: Vec<Vec<Belief>>,
    own: Vec<OwnClaims>,
    /// The incarnations that each member left at, over all its processes.
    left_at: Vec<BTreeSet<u32>>,
    /// Where each member has run, in this order.
    places: Vec<Vec<HostAddress>>,
    /// The generation of each member's table at the last look.
    generations: Vec<u64>,
    /// Since when each viewer has held whom dead or left, by its own clock.
    dead_since: BTreeMap<(HostId, HostId), Time>,
    /// Whom each viewer may have forgotten since the last look.
    released: BTreeSet<(HostId, HostId)>,
}

impl Views {
    pub(crate) fn set_hosts(&mut self, hosts: usize) {
        self.own.resize(hosts, OwnClaims::default());
        self.left_at.resize(hosts, BTreeSet::new());
        self.places.resize(hosts, Vec::new());
        self.beliefs.resize_with(hosts, Vec::new);
        self.generations.resize(hosts, u64::MAX);
        for view in &mut self.beliefs {
            view.resize(hosts, Belief::default());
        }
    }

    /// A new process runs at this address, and knows nobody.
    pub(crate) fn process_started(&mut self, viewer: HostId, at: HostAddress) {
        let places = &mut self.places[viewer.index()];
        if places.last() != Some(&at) {
            places.push(at);
        }
        self.beliefs[viewer.index()].fill(Belief::default());
        self.generations[viewer.index()] = u64::MAX;
        self.own[viewer.index()].leaving = false;
        self.dead_since.retain(|(other, _), _| *other != viewer);
    }

    pub(crate) fn own(&self, host: HostId) -> OwnClaims {
        self.own[host.index()]
    }

    /// A member was told to leave while it was at this incarnation.
    pub(crate) fn note_leave(&mut self, host: HostId, incarnation: u32) {
        self.own[host.index()].leaving = true;
        self.left_at[host.index()].insert(incarnation);
    }

    /// A viewer let go of an address: whoever has been dead there for long may be forgotten, and
    /// heard of anew, before the next look.
    pub(crate) fn note_release(&mut self, observation: ViewObservation, address: HostAddress) {
        let ViewObservation { viewer, cause, now, keeps_dead } = observation;
        for (subject, belief) in (0..).map(HostId).zip(&self.beliefs[viewer.index()]) {
            let dead_since = self.dead_since.get(&(viewer, subject));
            // Who has just left is let go as well, and still remembered.
            let long = dead_since.is_some_and(|since| now - *since >= keeps_dead);
            let perhaps = dead_since.is_some() && cause.is_none();
            if belief.address == address && (long || perhaps) {
                self.released.insert((viewer, subject));
            }
        }
    }

    /// Everything that happened has been looked at.
    pub(crate) fn end_look(&mut self) {
        self.released.clear();
    }

    /// What a member says of itself; later looks are held against it.
    pub(crate) fn note_own_incarnation(&mut self, host: HostId, incarnation: u32) {
        let own = &mut self.own[host.index()];
        own.highest = own.highest.max(incarnation);
    }

    /// Whether a view has changed since the last call with another generation.
    pub(crate) fn is_new(&mut self, viewer: HostId, generation: u64) -> bool {
        std::mem::replace(&mut self.generations[viewer.index()], generation) != generation
    }

    /// How many members a view remembered at the last look.
    pub(crate) fn remembered(&self, viewer: HostId) -> usize {
        self.beliefs[viewer.index()].iter().filter(|seen| seen.state.is_some()).count()
    }

    /// Compares what a viewer believes of a subject with what it believed at the last look.
    pub(crate) fn observe(
        &mut self,
        observation: ViewObservation,
        subject: HostId,
        after: Belief,
    ) -> Result<Option<Counted>, ViewViolation> {
        let belief = &mut self.beliefs[observation.viewer.index()][subject.index()];
        if *belief == after {
            return Ok(None);
        }
        let before = std::mem::replace(belief, after);
        let judged = self.judge(observation, subject, before, after);
        if before.state != after.state {
            self.note_end(observation, subject, after.state);
        }
        judged.map_err(|rule| ViewViolation {
            rule,
            viewer: observation.viewer.index(),
            subject: subject.index(),
            before,
            after,
            cause: observation.cause,
        })
    }

    fn judge(
        &self,
        observation: ViewObservation,
        subject: HostId,
        before: Belief,
        after: Belief,
    ) -> Result<Option<Counted>, ViewRule> {
        let ViewObservation { viewer, cause, .. } = observation;
        let own = self.own[subject.index()];
        if viewer == subject {
            return judge_own(before, after, own);
        }
        if after.state.is_none() {
            let dead_since = self.dead_since.get(&(viewer, subject)).copied();
            return judge_forgotten(before, dead_since, observation);
        }
        let left_at = &self.left_at[subject.index()];
        let places = &self.places[subject.index()];
        // Who came back elsewhere tells members that may run Go that it left where it was.
        let is_step = places.len() > 1 && after.incarnation < own.highest;
        if after.state == Some(Left) && !left_at.contains(&after.incarnation) && !is_step {
            let never = left_at.is_empty();
            return Err(if never { ViewRule::NeverLeft } else { ViewRule::LeaveMoved });
        }
        let order = |at| places.iter().rposition(|place| *place == at);
        let went_there = order(after.address) > order(before.address);
        let judged = judge_change(before, after, own, (cause, went_there));
        if judged.is_err() && self.released.contains(&(viewer, subject)) {
            // It was forgotten in between, and heard of anew.
            return judge_change(Belief::default(), after, own, (cause, went_there));
        }
        judged
    }

    /// Notes since when a subject is dead or has left, or that it is neither.
    fn note_end(
        &mut self,
        observation: ViewObservation,
        subject: HostId,
        state: Option<MemberState>,
    ) {
        let pair = (observation.viewer, subject);
        match state {
            Some(Dead | Left) => {
                self.dead_since.insert(pair, observation.now);
            }
            Some(Alive | Suspect) | None => {
                self.dead_since.remove(&pair);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ADA: HostId = HostId(0);
    const BOB: HostId = HostId(1);

    fn belief(state: MemberState, incarnation: u32) -> Belief {
        Belief { incarnation, address: HostAddress(1), state: Some(state) }
    }

    fn elsewhere(belief: Belief) -> Belief {
        Belief { address: HostAddress(2), ..belief }
    }

    fn observation(viewer: HostId, seconds: u64, cause: Option<Cause>) -> ViewObservation {
        let now = Time::from_micros(seconds * 1_000_000);
        ViewObservation { viewer, cause, now, keeps_dead: Duration::from_secs(30) }
    }

    /// What ada may make of bob, who is at incarnation 9 and never left.
    fn change(before: Belief, after: Belief, cause: Cause) -> Result<Option<Counted>, ViewRule> {
        let mut views = Views::default();
        views.set_hosts(2);
        views.note_own_incarnation(BOB, 9);
        views.beliefs[0][1] = before;
        views
            .observe(observation(ADA, 0, Some(cause)), BOB, after)
            .map_err(|violation| violation.rule)
    }

    /// What becomes of bob, held so since 0 s, when ada forgets him at that second.
    fn forgets_after(seconds: u64, state: MemberState) -> Result<Option<Counted>, ViewRule> {
        let mut views = Views::default();
        views.set_hosts(2);
        views.note_own_incarnation(BOB, 9);
        let observation = |seconds| observation(ADA, seconds, Some(Cause::Timer));
        assert!(views.observe(observation(0), BOB, belief(state, 4)).is_ok());
        views
            .observe(observation(seconds), BOB, Belief::default())
            .map_err(|violation| violation.rule)
    }

    #[test]
    fn an_incarnation_that_falls_is_noticed_and_one_that_rises_is_not() {
        let rule = change(belief(Alive, 4), belief(Alive, 3), Cause::Packet);
        assert_eq!(rule, Err(ViewRule::IncarnationFell));
        assert_eq!(change(belief(Alive, 3), belief(Alive, 4), Cause::Packet), Ok(None));
    }

    #[test]
    fn a_return_needs_a_higher_incarnation() {
        for state in [Suspect, Dead] {
            let rule = change(belief(state, 4), belief(Alive, 4), Cause::Packet);
            assert_eq!(rule, Err(ViewRule::ReturnAtSameIncarnation));
            assert!(change(belief(state, 4), belief(Alive, 5), Cause::Packet).is_ok());
        }
    }

    #[test]
    fn nobody_is_ahead_of_the_member_itself() {
        let rule = change(belief(Alive, 4), belief(Suspect, 10), Cause::Packet);
        assert_eq!(rule, Err(ViewRule::AheadOfMember));
        assert!(change(belief(Alive, 4), belief(Suspect, 9), Cause::Packet).is_ok());
    }

    #[test]
    fn dead_and_left_are_not_confused() {
        let rule = change(belief(Alive, 4), belief(Left, 4), Cause::Packet);
        assert_eq!(rule, Err(ViewRule::NeverLeft));
        let rule = change(belief(Left, 4), belief(Dead, 4), Cause::Packet);
        assert_eq!(rule, Err(ViewRule::DeadAndLeftConfused));
        assert!(change(belief(Dead, 4), belief(Dead, 5), Cause::Packet).is_ok());
    }

    #[test]
    fn a_leave_stays_at_the_incarnation_it_happened_at() {
        let hears = |incarnation| {
            let mut views = Views::default();
            views.set_hosts(2);
            views.note_own_incarnation(BOB, 9);
            views.note_leave(BOB, 4);
            views.note_leave(BOB, 7);
            let observation = observation(ADA, 0, Some(Cause::Packet));
            views
                .observe(observation, BOB, belief(Left, incarnation))
                .map_err(|violation| violation.rule)
        };
        assert_eq!(hears(6), Err(ViewRule::LeaveMoved));
        assert!(hears(4).is_ok() && hears(7).is_ok());
    }

    #[test]
    fn a_name_moves_to_where_its_member_went_or_when_its_holder_has_left() {
        let follows = |places: &[u32], state, incarnation| {
            let mut views = Views::default();
            views.set_hosts(2);
            views.note_own_incarnation(BOB, 9);
            for place in places {
                views.process_started(BOB, HostAddress(*place));
            }
            views.beliefs[0][1] = belief(state, 4);
            let after = elsewhere(belief(Alive, incarnation));
            views.observe(observation(ADA, 0, Some(Cause::Packet)), BOB, after).is_ok()
        };
        for state in [Alive, Suspect, Dead] {
            assert!(follows(&[1, 2], state, 5));
            assert!(!follows(&[1], state, 5) && !follows(&[2, 1], state, 5));
            assert!(!follows(&[1, 2], state, 4));
        }
        let taken = change(belief(Left, 4), elsewhere(belief(Alive, 1)), Cause::Packet);
        assert_eq!(taken, Ok(Some(Counted::TakenOver)));
    }

    #[test]
    fn an_exchange_kills_nobody_but_a_dead_message_does() {
        let rule = change(belief(Alive, 4), belief(Dead, 4), Cause::Stream);
        assert_eq!(rule, Err(ViewRule::KilledByExchange));
        let rule = change(belief(Alive, 4), belief(Dead, 4), Cause::Timer);
        assert_eq!(rule, Err(ViewRule::DiedUnsuspected));
        let told = change(belief(Alive, 4), belief(Dead, 4), Cause::Packet);
        assert_eq!(told, Ok(Some(Counted::FailedByWord)));
        let told = change(belief(Suspect, 4), belief(Dead, 4), Cause::Timer);
        assert_eq!(told, Ok(Some(Counted::Failed)));
    }

    #[test]
    fn the_living_are_not_forgotten_and_the_dead_only_in_time() {
        assert_eq!(forgets_after(60, Alive), Err(ViewRule::LivingForgotten));
        assert_eq!(forgets_after(29, Dead), Err(ViewRule::DeadForgottenEarly));
        assert_eq!(forgets_after(30, Dead), Ok(Some(Counted::PurgedDead)));
    }

    #[test]
    fn who_was_forgotten_may_be_heard_of_anew() {
        let again = |released| {
            let mut views = Views::default();
            views.set_hosts(2);
            views.note_own_incarnation(BOB, 9);
            let at = |seconds| observation(ADA, seconds, Some(Cause::Packet));
            assert!(views.observe(at(0), BOB, belief(Dead, 4)).is_ok());
            views.note_release(at(released), HostAddress(1));
            views.observe(at(released), BOB, belief(Alive, 1)).map_err(|violation| violation.rule)
        };
        assert_eq!(again(29), Err(ViewRule::IncarnationFell));
        assert_eq!(again(30), Ok(Some(Counted::Appeared)));
    }

    #[test]
    fn the_own_incarnation_never_falls_and_a_leave_is_final() {
        let mut views = Views::default();
        views.set_hosts(1);
        views.note_own_incarnation(ADA, 5);
        let own = |views: &mut Views, belief| {
            views
                .observe(observation(ADA, 0, None), ADA, belief)
                .err()
                .map(|violation| violation.rule)
        };
        assert_eq!(own(&mut views, belief(Alive, 5)), None);
        assert_eq!(own(&mut views, belief(Alive, 4)), Some(ViewRule::OwnIncarnationFell));
        assert_eq!(own(&mut views, belief(Dead, 5)), Some(ViewRule::OwnLifeDenied));
        views.note_leave(ADA, 5);
        assert_eq!(own(&mut views, belief(Left, 5)), None);
        assert_eq!(own(&mut views, belief(Alive, 6)), Some(ViewRule::LeaveUndone));
    }
}
