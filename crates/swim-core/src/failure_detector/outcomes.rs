//! What follows from acks, and from their absence.

use std::net::SocketAddr;

use super::pending_acks::GoneClaim;
use super::probe_round::RoundEnd;
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::output::Destination;
use crate::time::Time;
use crate::wire::Nack;

/// What must be done about a round whose present phase is over.
#[derive(Debug)]
pub(crate) enum ProbeStep {
    /// Ask the relays, and the target by stream.
    AskOthers(IndirectProbe),
    /// Suspect the member: nobody reached it.
    Suspect { target: MemberIndex, end: RoundEnd },
    /// Nothing but ending the round.
    End(RoundEnd),
}

/// The second phase of a round.
#[derive(Debug)]
pub(crate) struct IndirectProbe {
    pub(crate) sequence: u32,
    pub(crate) target: MemberIndex,
    /// Whom to ask, and whether each of them sends a nack.
    pub(crate) relays: Vec<(MemberIndex, bool)>,
    /// Until when to ping the target by stream too, if that is allowed.
    pub(crate) stream_until: Option<Time>,
}

/// What must be done about an ack.
#[derive(Debug)]
pub(crate) enum Acknowledged {
    /// End the round.
    Probe(RoundEnd),
    /// Pass it on, under the number of who asked.
    Relay { sequence: u32, reply_to: Destination },
    /// This member knows that we leave.
    Leave(MemberName),
    /// This member is at the address where it was asked for.
    Place { name: MemberName, address: SocketAddr },
    /// Somebody said that this member is gone, and it is not.
    Gone(GoneClaim),
}

/// What follows when nobody acknowledges a ping in time.
#[derive(Debug)]
pub(crate) enum TimedOut {
    /// Whoever asked us to ping gets this nack.
    Relay(Destination, Nack),
    /// The member that is said to be gone does not answer.
    Gone(GoneClaim),
}
