//! What leaves the machine: packets, stream orders, finished operations, events.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::error::OperationError;
use crate::evidence::{FailureEvidence, Hint};
use crate::live_changes::StableView;
use crate::member::Member;
use crate::member_name::MemberName;
use crate::time::Time;

/// One thing that the driver must do or pass on.
#[derive(Debug)]
pub enum Output {
    /// Send one packet: best effort, one datagram or whatever the transport falls back to.
    Packet {
        /// To whom.
        to: Destination,
        /// The whole packet.
        bytes: Vec<u8>,
    },
    /// Open a bidirectional stream and write all of `bytes`.
    /// What the peer answers comes back through
    /// [`handle_stream_data`](crate::Membership::handle_stream_data); a dial that fails, a reset
    /// or a missed deadline through
    /// [`handle_stream_failed`](crate::Membership::handle_stream_failed).
    OpenStream {
        /// The name of the stream from here on.
        id: StreamId,
        /// To whom.
        to: Destination,
        /// What to write first; nothing for a stream that is to be written once it is open, see
        /// [`handle_stream_writable`](crate::Membership::handle_stream_writable).
        bytes: Vec<u8>,
        /// Whether our side ends with the last of these bytes.
        finish: bool,
        /// When the exchange must have ended. The transport keeps it, and reports
        /// [`StreamFailure::TimedOut`](crate::StreamFailure::TimedOut) then.
        deadline: Time,
    },
    /// Write on a stream that is open.
    WriteStream {
        /// Which one.
        id: StreamId,
        /// What to write.
        bytes: Vec<u8>,
        /// Whether our side ends with the last of these bytes.
        finish: bool,
    },
    /// The machine is done with this stream: let what was written drain, read no more, and
    /// report nothing about it (reports are ignored).
    CloseStream {
        /// Which one.
        id: StreamId,
    },
    /// The machine refuses this stream, or has given it up: reset both directions at once, so that
    /// the peer does not take the end of the stream for an answer.
    ResetStream {
        /// Which one.
        id: StreamId,
    },
    /// A member was purged or has left: connections to it may be closed.
    ForgetPeer {
        /// Where connections to it lead.
        address: SocketAddr,
    },
    /// A round of joining seeds is due: resolve the names behind them again and call
    /// [`set_seeds`](crate::Membership::set_seeds) with what they mean.
    ResolveSeeds,
    /// An operation that a command began has ended. Comes exactly once for each.
    Finished {
        /// What the command returned.
        operation: OperationId,
        /// How it ended.
        outcome: Outcome,
    },
    /// Something the application may want to know.
    Event(MembershipEvent),
}

/// To whom something goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Where: dialable, IPv4-mapped addresses already plain.
    pub address: SocketAddr,
    /// Whom we expect there, if we know. A peer that proves to be somebody else is a failure.
    pub name: Option<MemberName>,
}

impl Destination {
    pub(crate) fn of(member: &Member) -> Self {
        Self { address: member.address(), name: Some(member.name().clone()) }
    }
}

/// Names one stream between the machine and its driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u64);

impl StreamId {
    /// For a stream that the remote opened: `n` is the driver's choice, below 2⁶³ and never
    /// reused. Ids of the machine's own streams never equal it.
    #[must_use]
    pub const fn incoming(n: u64) -> Self {
        Self(n << 1 | 1)
    }

    /// For a stream that this side opens: `n` below 2⁶³, never reused.
    #[must_use]
    pub const fn outgoing(n: u64) -> Self {
        Self(n << 1)
    }

    /// The lowest that exists.
    #[cfg(feature = "sim")]
    pub(crate) const FIRST: Self = Self(0);
    /// The highest that exists.
    #[cfg(feature = "sim")]
    pub(crate) const LAST: Self = Self(u64::MAX);

    /// The number behind it, for a transport that names its streams by numbers too: the lowest
    /// bit is set for streams that the remote opened.
    #[must_use]
    pub const fn to_raw(self) -> u64 {
        self.0
    }

    /// The id with this number, as [`to_raw`](Self::to_raw) gave it.
    #[must_use]
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// Whether the remote opened it.
    #[must_use]
    pub const fn is_incoming(self) -> bool {
        self.0 & 1 == 1
    }
}

/// Names one operation that takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(pub(crate) u64);

/// Names one reliable message that was handed to the application, until the application has said
/// what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AcknowledgementId(pub(crate) u64);

/// How much is known about the delivery of a reliable message.
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryReport {
    /// Every subscription of the application there has it, exactly once and in order.
    Acknowledged,
    /// The member took all of it; whether its application did is not known. That is all that Go's
    /// members, and older versions of this library, tell.
    Sent,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The exchange of a [`join`](crate::Membership::join) succeeded.
    Joined,
    /// We have left.
    Left {
        /// How many distinct members acknowledged that they heard it.
        told: usize,
        /// How many were to acknowledge it: as many as an update is retransmitted to, or all that
        /// we held alive or suspect, if they were fewer. Whether those that did not acknowledge it
        /// heard it is not known.
        wanted: usize,
    },
    /// A ping was answered.
    Pong {
        /// From sending the ping to handling its ack.
        rtt: Duration,
    },
    /// A reliable message was delivered.
    Delivered(DeliveryReport),
    /// It failed.
    Failed(OperationError),
}

/// Something the application may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MembershipEvent {
    /// A member appeared, or came back.
    Joined(Member),
    /// A new process of it is at its address, while it was held alive or suspect: it restarted
    /// before anybody gave it up. Peers that do not give a start number, as Go's, are not noticed,
    /// and others four times at once and twelve times a minute.
    Restarted(Member),
    /// It came back at another address before anybody gave it up: a new process, whose name its
    /// certificate proves.
    Moved {
        /// Who, with its new address.
        member: Member,
        /// Where it was.
        from: SocketAddr,
    },
    /// Its metadata changed.
    Updated(Member),
    /// It left on purpose.
    Left(Member),
    /// It was declared dead.
    Failed {
        /// Who.
        member: Member,
        /// Whose suspicion started it.
        suspected_by: MemberName,
        /// Who declared it dead: we ourselves when its time to refute was over, else whoever said
        /// so, after which it did not answer us either.
        declared_by: MemberName,
        /// How long it had been suspected, by our clock; zero when we only heard the end.
        after: Duration,
        /// What that was concluded from, here.
        evidence: FailureEvidence,
        /// The last hint that it may be gone, if there was one in the last minute.
        hint: Option<Hint>,
    },
    /// The application refused a member that was there, when asked again: it was forgotten, and
    /// nobody was told, see [`review_member`](crate::Membership::review_member).
    Removed {
        /// Who, as last known: it may well be alive.
        member: Member,
        /// The application's reason.
        reason: String,
    },
    /// It is suspected.
    Suspected {
        /// Who.
        member: Member,
        /// Who suspects it.
        by: MemberName,
    },
    /// A suspicion ended well.
    Cleared {
        /// Who.
        member: Member,
        /// Whose suspicion it was.
        by: MemberName,
    },
    /// Somebody claims a member's name at another address; the claim was refused.
    Conflict {
        /// Who holds the name.
        member: Member,
        /// Where the other claimant says it is.
        other: SocketAddr,
    },
    /// An application message arrived.
    Message {
        /// The sender, where the certificate or a known address tells.
        from: Option<MemberName>,
        /// The remote address of the connection.
        address: SocketAddr,
        /// Whether it came on a stream.
        reliable: bool,
        /// Given where the sender waits for what the application does with it: say so with
        /// [`acknowledge`](crate::Membership::acknowledge).
        acknowledgement: Option<AcknowledgementId>,
        /// The message.
        payload: Vec<u8>,
    },
    /// The application state that a peer sent along in a push-pull.
    RemoteState {
        /// The remote address, where known: a stream we opened leads to its destination.
        address: SocketAddr,
        /// Whether the exchange was a join.
        join: bool,
        /// What the application there passed to
        /// [`set_user_state`](crate::Membership::set_user_state).
        state: Vec<u8>,
    },
    /// A direct probe was answered in time.
    ProbeAnswered {
        /// By whom.
        member: Member,
        /// From sending the ping to handling its ack.
        rtt: Duration,
        /// What the member's application put into its acks.
        payload: Vec<u8>,
    },
    /// An attempt to join a seed ended.
    SeedTried {
        /// The seed.
        address: SocketAddr,
        /// Why it failed, if it did.
        error: Option<OperationError>,
    },
    /// Who is live has stood still for a while: what has happened since the last time.
    StableView(Box<StableView>),
    /// This process, or its host, stood still, and goes on. Others may have declared it dead
    /// meanwhile.
    Resumed {
        /// For how long.
        away: Duration,
    },
    /// A refusal worth knowing.
    Warning {
        /// What kind.
        kind: WarningKind,
        /// Whose packet or stream was refused.
        address: SocketAddr,
        /// The cause in words.
        detail: String,
    },
}

/// The kinds of [`MembershipEvent::Warning`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum WarningKind {
    /// Not our label: another cluster, or a forgotten setting.
    WrongLabel,
    /// Could not be decrypted with any of our keys, or came in plain text.
    WrongKey,
    /// The versions of the two sides do not fit.
    VersionRefused,
    /// Could not be decoded.
    Malformed,
    /// A peer spoke in somebody else's name.
    Impostor,
    /// A veto of our own application, or an address outside the allowed networks.
    NotAdmitted,
    /// A bound of ours was reached.
    Overload,
    /// A member answers streams but no packets.
    PacketsBlocked,
    /// Two members announce the same address.
    SharedAddress,
}

impl fmt::Display for WarningKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongLabel => "wrong label",
            Self::WrongKey => "wrong key",
            Self::VersionRefused => "version refused",
            Self::Malformed => "malformed",
            Self::Impostor => "impostor",
            Self::NotAdmitted => "not admitted",
            Self::Overload => "overload",
            Self::PacketsBlocked => "packets blocked",
            Self::SharedAddress => "shared address",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_ids_of_the_two_sides_never_meet() {
        assert_ne!(StreamId::incoming(7), StreamId::outgoing(7));
        assert!(StreamId::incoming(0).is_incoming() && !StreamId::outgoing(0).is_incoming());
    }
}
