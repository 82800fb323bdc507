//! What is true of each member, and from when on others must believe it.
//!
//! Every fault opens a window, derived from [`time_bounds`](super::time_bounds). Until it closes,
//! old beliefs about the member are excused, and so are its own while it catches up. Outside all
//! windows only what is true is accepted.

use std::time::Duration;

use super::soak_event::Row;
use super::time_bounds::Bounds;
use crate::fleet::event::SeenState as State;

/// Beyond the end of any soak.
const NEVER: Duration = Duration::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// Started, not listening yet; or not started at all.
    Coming,
    Up,
    Killed,
    /// Told to leave and to quit.
    Leaving,
}

/// One member as it really is.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) life: Life,
    /// When that began.
    pub(super) since: Duration,
    /// Stopped since.
    pub(super) frozen: Option<Duration>,
    /// Others must see the truth about it from here on.
    pub(super) seen_by: Duration,
    /// Its own beliefs count from here on.
    pub(super) sees_by: Duration,
    /// It has found out by itself from here on who does not answer.
    finds_by: Duration,
    /// To hold it for dead, or for departed, is excused before.
    pub(super) excused: Duration,
    /// It came back last: it was ready, or ran again.
    pub(super) back: Duration,
    /// Ordinarily all is well again from here on.
    pub(super) well_by: Duration,
    /// It went away last.
    gone: Duration,
    /// A sleeper may have brought back old updates about it, which may still spread until then.
    rumours: Duration,
    /// The last freeze, until it had caught up at the latest.
    lapse: Option<(Duration, Duration)>,
    pub(super) meta: String,
    /// The metadata must be known from here on.
    pub(super) meta_by: Duration,
}

impl Subject {
    pub(super) fn new() -> Self {
        Self {
            life: Life::Coming,
            since: Duration::ZERO,
            frozen: None,
            seen_by: NEVER,
            sees_by: NEVER,
            finds_by: NEVER,
            excused: NEVER,
            back: NEVER,
            well_by: NEVER,
            gone: Duration::ZERO,
            rumours: Duration::ZERO,
            lapse: None,
            meta: String::new(),
            meta_by: NEVER,
        }
    }

    fn enter(&mut self, life: Life, at: Duration) {
        self.life = life;
        self.since = at;
        self.frozen = None;
    }

    pub(super) fn started(&mut self, meta: String, at: Duration) {
        self.enter(Life::Coming, at);
        (self.seen_by, self.sees_by, self.well_by) = (NEVER, NEVER, NEVER);
        (self.meta, self.meta_by) = (meta, NEVER);
    }

    pub(super) fn ready(&mut self, at: Duration, bounds: Bounds) {
        self.enter(Life::Up, at);
        self.recover(at, bounds);
        self.meta_by = at + bounds.repair();
    }

    /// All have been seen to agree on everything.
    pub(super) fn settled(&mut self, at: Duration) {
        (self.seen_by, self.sees_by, self.excused) = (at, at, at);
        (self.well_by, self.meta_by, self.finds_by) = (at, at, at);
    }

    pub(super) fn killed(&mut self, at: Duration, bounds: Bounds) {
        self.enter(Life::Killed, at);
        self.suffer(at, at + bounds.detection());
    }

    pub(super) fn left(&mut self, at: Duration, bounds: Bounds) {
        self.enter(Life::Leaving, at);
        self.suffer(at, at + bounds.repair());
    }

    pub(super) fn froze(&mut self, at: Duration, bounds: Bounds) {
        self.frozen = Some(at);
        self.suffer(at, at + bounds.detection());
    }

    /// It runs again. Who slept too long for its name has that excused until it is cleared.
    pub(super) fn thawed(&mut self, at: Duration, bounds: Bounds) {
        let Some(from) = self.frozen.take() else { return };
        let was_brief = at.saturating_sub(from) <= bounds.harmless_freeze();
        self.recover(at, bounds);
        if was_brief {
            (self.seen_by, self.excused) = (at, at);
            self.sees_by = self.well_by;
        }
        self.lapse = Some((from, self.sees_by));
    }

    pub(super) fn changed_meta(&mut self, meta: String, at: Duration, bounds: Bounds) {
        (self.meta, self.meta_by) = (meta, at + bounds.repair());
    }

    fn suffer(&mut self, at: Duration, seen_by: Duration) {
        (self.gone, self.seen_by) = (at, seen_by);
        (self.sees_by, self.well_by) = (NEVER, NEVER);
    }

    fn recover(&mut self, at: Duration, bounds: Bounds) {
        self.sees_by = at + bounds.repair();
        self.finds_by = at + bounds.detection();
        // A sleeper that woke while this member was away may still have to hear of its return.
        self.excused = self.sees_by.max(self.rumours);
        self.seen_by = self.excused;
        (self.back, self.well_by) = (at, at + bounds.spread());
    }

    /// Somebody wakes who had slept since `asleep`, so long that the others may have forgotten
    /// what they knew of this member. If it went away meanwhile, he takes it for alive, and the
    /// others learn that from him; if it was away for long and is back, he may have heard of the
    /// death of its former self, and the others learn that. Says whether either is so.
    pub(super) fn is_rumoured(&mut self, asleep: Duration, at: Duration, bounds: Bounds) -> bool {
        let is_away = self.life != Life::Up || self.frozen.is_some();
        if is_away && self.gone + bounds.detection() > asleep {
            self.rumours = at + bounds.detection();
        } else if !is_away
            && self.back > asleep
            && self.back.saturating_sub(self.gone) + bounds.spread() > bounds.memory()
        {
            self.rumours = at + bounds.spread();
            self.excused = self.excused.max(self.rumours);
            // Whoever welcomed it by now may change his mind once more.
            self.back = at;
        } else {
            return false;
        }
        self.seen_by = self.seen_by.max(self.rumours);
        true
    }

    /// Somebody takes it for alive that is away. A Go member may have been deaf until now, for as
    /// long as it gossips to the dead, and have told that to one who has forgotten the death;
    /// whoever hears it has to find out once more. Says whether that may be so.
    pub(super) fn is_revived(&mut self, at: Duration, bounds: Bounds) -> bool {
        let may_be = !self.is_well() && at < self.gone + bounds.detection() + bounds.memory();
        if may_be {
            self.rumours = at + bounds.detection();
            self.seen_by = self.seen_by.max(self.rumours);
        }
        may_be
    }

    /// It was declared dead for being deaf for a while, which is excused in some members: all
    /// must take it back as if it had slept.
    pub(super) fn was_deaf(&mut self, at: Duration, bounds: Bounds) {
        let sees_by = self.sees_by;
        self.recover(at, bounds);
        self.sees_by = sees_by;
    }

    /// It is up, runs, and is not recovering: whatever it is asked must work.
    pub(super) fn is_well(&self) -> bool {
        self.life == Life::Up && self.frozen.is_none()
    }

    /// It is well and has been since before this time, its last recovery included.
    pub(super) fn was_well_since(&self, since: Duration) -> bool {
        self.is_well() && self.well_by <= since
    }

    /// Who sees it as it is from here on has no older update to come.
    pub(super) fn settles_by(&self, bounds: Bounds) -> Duration {
        let change = match (self.life, self.frozen) {
            (Life::Up, None) => self.well_by,
            (Life::Up, Some(since)) => since + bounds.spread(),
            (Life::Killed | Life::Leaving | Life::Coming, _) => self.since + bounds.spread(),
        };
        change.max(self.rumours)
    }

    /// Its beliefs have been seen to be right.
    pub(super) fn caught_up(&mut self, at: Duration) {
        if at >= self.well_by {
            self.sees_by = self.sees_by.min(at);
        }
    }

    /// Whether its list of members, asked for at this time, counts.
    pub(super) fn is_accountable(&self, at: Duration) -> bool {
        self.is_well() && at >= self.sees_by
    }

    /// It was in trouble at some time of a lapse of which the effects may still be felt.
    fn overlaps(&self, lapse: Option<(Duration, Duration)>, at: Duration) -> bool {
        lapse.is_some_and(|(from, until)| at < until && self.well_by > from)
    }

    /// Why nobody may say so of it at this time, if that is so: `observer` declares it `state`.
    /// Who has `welcomed` it back knows better than to take it for its former self, unless
    /// he had forgotten that one and somebody who has not reminds him.
    pub(super) fn scandal(
        &self,
        state: State,
        (observer, welcomed): (&Self, bool),
        at: Duration,
        bounds: Bounds,
    ) -> Option<&'static str> {
        let slept = self.overlaps(observer.lapse, at);
        match (state, self.life) {
            (State::Failed | State::Left, Life::Up) => {
                let absent = self
                    .frozen
                    .is_some_and(|since| at.saturating_sub(since) > bounds.harmless_freeze());
                let forgotten = self.back.saturating_sub(self.gone) >= bounds.memory();
                let knows_better = welcomed && at >= self.rumours && !forgotten;
                let excused = at < self.excused && !knows_better || absent || slept;
                (!excused).then_some("is a live member outside of any fault's window")
            }
            (State::Failed, Life::Leaving) => (!slept).then_some("left and did not fail"),
            (State::Left, Life::Killed) => (!slept).then_some("was killed and did not leave"),
            (State::Alive, Life::Killed | Life::Leaving) => {
                let late = at >= self.seen_by && at >= observer.sees_by;
                late.then_some("is gone for long")
            }
            (State::Failed, Life::Killed | Life::Coming)
            | (State::Left, Life::Leaving | Life::Coming)
            | (State::Alive, Life::Up | Life::Coming)
            | (State::Suspect, _) => None,
        }
    }

    /// What is not as it must be in this row (none: not listed) of a list that `observer` was
    /// `asked` for. Who is `settled` has known the truth and must not forget it.
    pub(super) fn misbelief(
        &self,
        row: Option<&Row>,
        (observer, settled): (&Self, bool),
        asked: Duration,
    ) -> Option<&'static str> {
        // Whoever is new, or slept, may have an old update from somebody who was deaf.
        let finds_by = if self.is_well() { Duration::ZERO } else { observer.finds_by };
        if !settled && asked < self.seen_by.max(finds_by) {
            return None;
        }
        let state = row.map(|row| row.state);
        let known_dead = matches!(state, Some(State::Failed) | None);
        match self.life {
            Life::Coming => None,
            Life::Up if self.frozen.is_some() => (!known_dead).then_some("must be seen dead"),
            Life::Up => match state {
                Some(State::Alive | State::Suspect) => {
                    let stale = row.is_some_and(|row| row.meta != self.meta);
                    let due = settled || asked >= self.meta_by;
                    (stale && due).then_some("has other metadata")
                }
                Some(State::Failed | State::Left) | None => Some("must be seen alive"),
            },
            Life::Killed => (!known_dead).then_some("must be seen dead"),
            Life::Leaving => {
                let slept = observer.lapse.is_some_and(|(_, until)| until > self.since);
                let settled = state != Some(State::Alive) && state != Some(State::Suspect);
                let right = settled && (slept || state != Some(State::Failed));
                (!right).then_some("must be seen to have left")
            }
        }
    }
}

#[cfg(test)]
mod tests;
