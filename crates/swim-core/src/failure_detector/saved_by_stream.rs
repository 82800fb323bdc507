//! Members whose probes only the stream ping saves: packets to or from them may not pass.

use std::collections::BTreeMap;

use super::probe_round::ProbeRound;
use crate::effects::Effects;
use crate::member_name::MemberName;
use crate::output::WarningKind;

/// After so many rounds in a row that only a stream ping saved, packets count as blocked. At 20 %
/// loss each way one round in fourteen is saved so, and five in a row one in half a million.
const BLOCKED_AFTER: u32 = 5;
/// The most members of which such rounds are counted.
const MAX_SAVED_BY_STREAM: usize = 256;

/// How many rounds in a row were saved, by member. Bounded by [`MAX_SAVED_BY_STREAM`].
#[derive(Debug, Default)]
pub(super) struct SavedByStream {
    rounds: BTreeMap<MemberName, u32>,
}

impl SavedByStream {
    /// Packets that are lost save a round by stream now and then; only several in a row, none of
    /// them answered by packet, say that packets do not pass.
    pub(super) fn note(&mut self, round: &ProbeRound, effects: &mut Effects) {
        let is_new = !self.rounds.contains_key(&round.name);
        if is_new && self.rounds.len() >= MAX_SAVED_BY_STREAM {
            return;
        }
        let rounds = self.rounds.entry(round.name.clone()).or_insert(0);
        *rounds = rounds.saturating_add(1);
        if rounds.is_multiple_of(BLOCKED_AFTER) {
            let detail = format!(
                "{} answered {rounds} probes in a row by stream and none by packet: is something \
                 between us dropping datagrams?",
                round.name
            );
            effects.warn(WarningKind::PacketsBlocked, round.address, detail);
        }
    }

    /// It answered by packet, or was purged.
    pub(super) fn forget(&mut self, name: &MemberName) {
        self.rounds.remove(name);
    }
}
