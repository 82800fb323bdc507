//! Our view of the cluster as push-pulls send it, and how often each peer may ask for it.

use crate::effects::Effects;
use crate::member::Peer;
use crate::member_table::MemberTable;
use crate::payer::Payer;
use crate::payer_ledger::{PayerLedger, Share};
use crate::push_pull::node_state;
use crate::version_fit::CommonVersions;
use crate::wire::{NodeState, encode_push_pull};

/// How many bytes of our state one member may ask for. Members ask each other more seldom the more
/// there are: a thousand of them, whose state takes 100 kB, ask some member once in 3 minutes.
const ANSWERS: Share = Share { at_once: 1024 * 1024, a_second: 128 * 1024 };
/// As how many bytes the shortest state counts: it can be asked for 512 times, and 64 times a
/// second from then on.
const LEAST_ANSWER: usize = 2 * 1024;
/// As how many bytes the longest state counts: two members whose application adds 10 MiB may
/// exchange it every 8 s.
const MOST_ANSWER: usize = 1024 * 1024;

/// What push-pulls say of the cluster, and to whom.
pub(crate) struct OwnState {
    /// What the application adds.
    user_state: Vec<u8>,
    /// Bytes when it was encoded last.
    length: usize,
    /// Bytes that peers have asked for.
    answered: PayerLedger,
}

impl OwnState {
    pub(crate) fn new() -> Self {
        Self { user_state: Vec::new(), length: 0, answered: PayerLedger::new(ANSWERS) }
    }

    /// What the application sends along in push-pulls.
    pub(crate) fn set_user_state(&mut self, state: Vec<u8>) {
        self.user_state = state;
    }

    /// The whole state. Left out are members that announced no versions, and members that do not
    /// understand others: they would make a receiver that runs Go refuse all of it.
    pub(crate) fn encode(&mut self, join: bool, members: &MemberTable) -> Vec<u8> {
        let mut common = CommonVersions::of(members.me().record());
        let nodes: Vec<NodeState<'_>> = members
            .iter()
            .filter(|(_, member)| member.record().versions.is_some_and(|it| common.admit(it)))
            .filter_map(|(_, member)| node_state(member.record()))
            .collect();
        let mut state = Vec::new();
        encode_push_pull(join, nodes.into_iter(), &self.user_state, &mut state);
        self.length = state.len();
        state
    }

    /// Has a peer pay for an answer as long as the last one; false and counted if it cannot.
    pub(crate) fn is_paid_by(&mut self, from: &Peer, effects: &mut Effects) -> bool {
        let (payer, now) = (Payer::of(from), effects.now());
        let can_pay = self.answered.has_share(&payer, now);
        if can_pay {
            let length = self.length.clamp(LEAST_ANSWER, MOST_ANSWER);
            self.answered.charge(payer, u64::try_from(length).unwrap_or(u64::MAX), now);
        }
        effects.count().refused_exchanges += u64::from(!can_pay);
        can_pay
    }
}
