//! How rounds end without a verdict, and what is forgotten with a member.

use super::FailureDetector;
use super::probe_round::{ProbeRound, RoundEnd};
use crate::effects::Effects;
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::timers::Timer;

impl FailureDetector {
    /// A member was forgotten.
    pub(crate) fn forget(&mut self, name: &MemberName) {
        self.saved_by_stream.forget(name);
    }

    pub(super) fn end_round(&mut self, round: &ProbeRound, effects: &mut Effects) -> RoundEnd {
        effects.clear_timer(Timer::ProbePhase);
        let probe_overdue = std::mem::take(&mut self.probe_overdue);
        RoundEnd { stream: round.stream, probe_overdue, answered: None }
    }

    /// Another bound of the local health score.
    pub(crate) fn set_max_multiplier(&mut self, max_multiplier: u8) {
        self.awareness.set_max_multiplier(max_multiplier);
    }

    /// Ends the round under way without a verdict: we ourselves were not there.
    pub(crate) fn abandon_round(&mut self, effects: &mut Effects) -> Option<RoundEnd> {
        let round = self.round.take()?;
        Some(self.end_round(&round, effects))
    }

    /// Ends the round under way without a verdict, if it is about this member.
    pub(crate) fn abandon_round_of(
        &mut self,
        target: MemberIndex,
        effects: &mut Effects,
    ) -> Option<RoundEnd> {
        let is_its = self.round.as_ref().is_some_and(|round| round.target == target);
        is_its.then(|| self.abandon_round(effects)).flatten()
    }

    /// Ends all probing.
    pub(crate) fn stop(&mut self, effects: &mut Effects) -> Option<RoundEnd> {
        self.probe_overdue = false;
        effects.clear_timer(Timer::Probe);
        let round = self.round.take()?;
        Some(self.end_round(&round, effects))
    }
}
