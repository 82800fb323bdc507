//! What a run explored: faults that took effect, changes of belief, activity.
//!
//! A campaign in which something never happened has proved nothing about it, so each thing is
//! counted and a large campaign fails when one of them is missing.

use std::fmt;

macro_rules! counted {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Something that is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Counted {
            $($(#[$doc])* $variant,)*
        }

        impl Counted {
            /// All of them, in the order of a report.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// What a report calls it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

counted! {
    /// A packet lost on its way, at either end.
    PacketLost = "fault: packet lost",
    /// A packet into a partition or a one-way cut.
    PacketCut = "fault: packet cut off",
    /// A packet that arrived twice.
    PacketDuplicated = "fault: packet duplicated",
    /// A packet held back, so that later ones overtake it.
    PacketReordered = "fault: packet held back",
    /// A packet with flipped bits.
    PacketCorrupted = "fault: packet corrupted",
    /// A packet on a slow path.
    PacketSlowed = "fault: packet slowed",
    /// A packet to a host that is down, or was restarted underway.
    PacketToNobody = "fault: packet to nobody",
    /// A peer that could not be dialed, reported to the member.
    SendFailed = "fault: send reported failed",
    /// A smaller or larger packet limit, reported to the member.
    LimitChanged = "fault: packet limit changed",
    /// A stream that the peer refused when it was opened.
    StreamRefused = "fault: stream refused",
    /// A stream reset underway.
    StreamReset = "fault: stream reset",
    /// A stream that ended at its deadline.
    StreamTimedOut = "fault: stream timed out",
    /// A stream whose connection closed, or could not be made.
    StreamClosed = "fault: stream without a connection",
    /// A stream delivered in several pieces.
    StreamChopped = "fault: stream in pieces",
    /// A stream to an address where somebody else is.
    StreamMismatched = "fault: stream to somebody else",
    /// A stream slowed down.
    StreamSlowed = "fault: stream slowed",
    /// A member learnt that a path carries less than before.
    PathNarrowed = "fault: path carries less",
    /// A connection dialed in place of another one.
    ConnectionReplaced = "fault: connection replaced",
    /// A partition began.
    Partition = "fault: partition",
    /// A one-way cut began.
    OneWay = "fault: one-way cut",
    /// A link began to flip between good and bad.
    FlipFlop = "fault: flip-flop",
    /// A host whose sends and receives blocked.
    StalledNetwork = "fault: sends and receives blocked",
    /// A host whose driver stood still.
    StalledDriver = "fault: driver stood still",
    /// A packet that did not fit the receive buffer of a stalled host.
    ReceiveBufferFull = "fault: receive buffer full",
    /// A host that went down without a word, or for a restart.
    Crash = "fault: crash",
    /// A restart at incarnation 1.
    Restart = "fault: restart",
    /// A restart at another address.
    Moved = "fault: moved to another address",
    /// A new member at the address of one that is gone.
    AddressReused = "fault: address taken over",
    /// A clock that began to run fast or slow.
    Drift = "fault: clock drift",
    /// A member told to leave.
    Leave = "member told to leave",
    /// A member that came late.
    Join = "member came late",
    /// Nothing known, then alive.
    Appeared = "belief: unknown to alive",
    /// Alive, then suspect.
    Suspected = "belief: alive to suspect",
    /// Suspect, then alive.
    Cleared = "belief: suspect to alive",
    /// Suspect, then dead.
    Failed = "belief: suspect to dead",
    /// Alive, then dead: somebody else's dead message came first.
    FailedByWord = "belief: alive to dead",
    /// Alive, then left.
    Left = "belief: alive to left",
    /// Suspect, then left.
    LeftWhileSuspect = "belief: suspect to left",
    /// Dead, then alive with a higher incarnation.
    Returned = "belief: dead to alive",
    /// Left, then alive with a higher incarnation.
    Rejoined = "belief: left to alive",
    /// Left, then alive at another address.
    TakenOver = "belief: left to alive elsewhere",
    /// Alive or suspect, then alive where the member had gone.
    FollowedMove = "belief: live to alive elsewhere",
    /// Dead, then alive where the member had gone.
    ReturnedElsewhere = "belief: dead to alive elsewhere",
    /// Dead, then forgotten.
    PurgedDead = "belief: dead to unknown",
    /// Left, then forgotten.
    PurgedLeft = "belief: left to unknown",
    /// A dead or suspected member whose higher incarnation was noted.
    Remembered = "belief: higher incarnation noted",
    /// A member raised its own incarnation.
    Refuted = "member raised its incarnation",
    /// Application broadcasts delivered.
    BroadcastDelivered = "broadcast delivered",
    /// Application packets delivered.
    PacketDelivered = "message delivered by packet",
    /// Application messages delivered on streams.
    StreamDelivered = "message delivered by stream",
    /// A reliable message too long for the common stream.
    LargeDelivered = "activity: large message delivered",
    /// A reliable message for which the application had no room, or no reader.
    MessageNotTaken = "activity: message not taken",
    /// Operations that ended well.
    OperationDone = "operation done",
    /// Operations that failed.
    OperationFailed = "operation failed",
}

/// How often each thing happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage(Vec<u64>);

impl Coverage {
    /// Nothing has happened.
    #[must_use]
    pub fn new() -> Self {
        Self(vec![0; Counted::ALL.len()])
    }

    pub(crate) fn add(&mut self, what: Counted) {
        self.0[what as usize] += 1;
    }

    /// How often it happened.
    #[must_use]
    pub fn count(&self, what: Counted) -> u64 {
        self.0[what as usize]
    }

    /// Adds another run's counts.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine += theirs;
        }
    }

    /// What never happened.
    #[must_use]
    pub fn missing(&self) -> Vec<Counted> {
        Counted::ALL.iter().copied().filter(|what| self.count(*what) == 0).collect()
    }
}

impl Default for Coverage {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for what in Counted::ALL {
            writeln!(f, "{:<42}{:>14}", what.name(), self.count(*what))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_happened_is_named() {
        let mut coverage = Coverage::new();
        for what in Counted::ALL {
            if *what != Counted::Rejoined {
                coverage.add(*what);
            }
        }
        assert_eq!(coverage.missing(), [Counted::Rejoined]);
        let mut other = Coverage::new();
        other.add(Counted::Rejoined);
        coverage.merge(&other);
        assert!(coverage.missing().is_empty());
        assert!(coverage.to_string().contains("belief: left to alive"));
    }
}
