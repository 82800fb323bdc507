//! Counters of one machine: what it received, sent, refused and dropped.
//!
//! The machine's behaviour does not depend on them.

use crate::member::MemberState;

/// What a machine has seen and done since it was made. Counters have 64 bits; lengths are of
/// the moment.
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MembershipStats {
    /// Members believed alive, ourselves included unless we left.
    pub alive: usize,
    /// Members under suspicion.
    pub suspect: usize,
    /// Members declared dead and not yet purged.
    pub dead: usize,
    /// Members that left and are not yet purged.
    pub left: usize,
    /// Members, whatever their state, from which something has arrived.
    pub heard: usize,
    /// Whether one of the others did not answer a probe within the last minute: somebody may have
    /// invented them, and they count less.
    pub doubts_unheard: bool,
    /// Local health: 0 is good.
    pub health: u8,
    /// Updates about members that are still to be gossiped.
    pub queued_updates: usize,
    /// Application broadcasts not yet sent to everybody.
    pub queued_broadcasts: usize,
    /// Streams the machine has an interest in.
    pub streams: usize,
    /// What happened so far.
    pub counters: Counters,
}

impl MembershipStats {
    /// Of how many members there are in each state, and nothing else.
    pub(crate) fn of_members(count: impl Fn(MemberState) -> usize) -> Self {
        Self {
            alive: count(MemberState::Alive),
            suspect: count(MemberState::Suspect),
            dead: count(MemberState::Dead),
            left: count(MemberState::Left),
            ..Self::default()
        }
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What happened so far, counted.
        #[cfg_attr(feature = "serde", derive(serde::Serialize))]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Every counter with its name, in a fixed order.
            pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Packets handed to us.
    packets_in,
    /// Their bytes.
    packet_bytes_in,
    /// Packets handed to the driver.
    packets_out,
    /// Their bytes.
    packet_bytes_out,
    /// Bytes of streams handed to us.
    stream_bytes_in,
    /// Bytes of streams handed to the driver.
    stream_bytes_out,
    /// Messages decoded from packets.
    messages_in,
    /// Probe rounds begun.
    probes,
    /// Probe rounds that no answer ended.
    probes_failed,
    /// Probe rounds that went on to ask others.
    probes_indirect,
    /// Probe rounds saved by a stream ping only.
    probes_saved_by_stream,
    /// Sends of the transport that failed.
    sends_failed,
    /// Suspicions that began.
    suspicions,
    /// Suspicions that were cleared.
    suspicions_cleared,
    /// Suspicions that timed out with fewer confirmations than would have shortened them fully.
    suspicions_timed_out_alone,
    /// Members declared dead.
    failures,
    /// Members that came back at another address before anybody gave them up.
    moves,
    /// Suspicions of ourselves, and false claims about us, that we refuted with a higher
    /// incarnation.
    refutes,
    /// Stale alive messages whose sender we told what the cluster believes of it.
    stale_alive_notified,
    /// Members that were heard while we held them suspect, dead or left, and told so.
    heard_notified,
    /// Peers that sent a suspicion or death of ourselves, and were sent our alive message directly.
    alive_repeated,
    /// Full exchanges that we began and that succeeded.
    exchanges_started,
    /// Full exchanges that we answered.
    exchanges_answered,
    /// Full exchanges that we began because a member's view differed from ours for a while.
    repairs_started,
    /// Full exchanges that failed or were refused, on either side.
    exchanges_failed,
    /// Application messages delivered.
    user_messages_in,
    /// Reliable messages sent again, because their stream was lost before their answer came.
    reliable_sent_again,
    /// Reliable messages that came again and were not delivered a second time.
    reliable_repeated,
    /// Packets refused: not our label.
    refused_label,
    /// Packets or streams refused: not our key, or plain text where a key is demanded.
    refused_key,
    /// Packets or streams refused: could not be decoded.
    refused_malformed,
    /// Parts of packets lost to truncation, or of an unknown type.
    refused_parts,
    /// Claims refused: impossible incarnation (0 for a living member, the last one there is, or
    /// one far above what is held).
    refused_incarnation,
    /// Claims refused: the member that was said to be gone has answered.
    refused_gone,
    /// Claims refused: others said that a member is alive of which we found that it is not, sooner
    /// than a minute after such a claim was believed. The member itself is asked.
    refused_revival,
    /// Claims refused: impossible name, address, metadata or versions.
    refused_claim,
    /// Claims refused: outside the allowed networks, or vetoed.
    refused_admission,
    /// Claims refused: the table of members is full, or one peer brings too many new ones.
    refused_members_full,
    /// Claims refused: the name belongs to another address.
    refused_conflict,
    /// Messages refused: the peer spoke in somebody else's name.
    refused_impostor,
    /// Pings for somebody else.
    refused_wrong_target,
    /// Acks and nacks that nobody waits for, or from somebody who was not asked.
    refused_ack,
    /// Indirect pings refused: too many at once, in all or for one peer.
    refused_relay_full,
    /// Indirect pings refused: the target is no member that we hold at that address.
    refused_relay_unknown,
    /// Streams refused: too many at once, in all or of one peer.
    refused_streams_full,
    /// Exchanges refused: one peer asked for our state too often.
    refused_exchanges,
    /// Packets and streams refused: their peer has had too much decompressed lately.
    refused_expansion,
    /// Exchanges refused: the versions do not fit.
    refused_version,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_carry_the_fields_by_name() {
        let counters = Counters { refutes: 3, ..Counters::default() };
        assert_eq!(counters.entries().find(|(name, _)| *name == "refutes"), Some(("refutes", 3)));
        assert_eq!(counters.entries().map(|(_, count)| count).sum::<u64>(), 3);
    }
}
