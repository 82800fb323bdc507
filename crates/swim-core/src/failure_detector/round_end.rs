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
        effects.clear_timer(Timer::ProbePhase(round.target));
        let probe_overdue = std::mem::take(&mut self.probe_overdue);
        RoundEnd { stream: round.stream, probe_overdue, answered: None }
    }

    /// Another bound of the local health score.
    pub(crate) fn set_max_multiplier(&mut self, max_multiplier: u8) {
        self.awareness.set_max_multiplier(max_multiplier);
    }

    /// Ends the rounds under way without a verdict: we ourselves were not there.
    pub(crate) fn abandon_rounds(&mut self, effects: &mut Effects) -> Vec<RoundEnd> {
        let rounds = std::mem::take(&mut self.rounds);
        rounds.into_values().map(|round| self.end_round(&round, effects)).collect()
    }

    /// Ends the round about this member without a verdict, if there is one.
    pub(crate) fn abandon_round_of(
        &mut self,
        target: MemberIndex,
        effects: &mut Effects,
    ) -> Option<RoundEnd> {
        let round = self.rounds.remove(&target)?;
        Some(self.end_round(&round, effects))
    }

    /// Ends all probing.
    pub(crate) fn stop(&mut self, effects: &mut Effects) -> Vec<RoundEnd> {
        self.probe_overdue = false;
        effects.clear_timer(Timer::Probe);
        self.abandon_rounds(effects)
    }
}
