//! What a member tells its application: events, raw datagrams, counters, connections.
//!
//! All are owned values; events are cheap to clone, since each subscriber gets its own.

mod conversion;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use certs::Fingerprint;
use quic_net::{ConnectionStats, EndpointStats, Protocol};
use swim_core::{FailureEvidence, Hint, Member, MemberName, MembershipStats, StableView};

use crate::error::{IdentityFilesError, JoinFailureReason};
use crate::protocol::{CLASSIC_PROTOCOL, EXTENDED_PROTOCOL};

/// Something that happened to the cluster, or came from it.
///
/// Round trips of the member's own probes are no events; [`Cluster::ping`] measures one.
///
/// [`Cluster::ping`]: crate::Cluster::ping
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(tag = "event", rename_all = "snake_case"))]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A member appeared, or came back after it had left or failed.
    Joined(Member),
    /// A member restarted at its address before anybody had given it up: what its former process
    /// knew is gone. Not for Go members, which do not tell. Four times at once for each member, and
    /// twelve times a minute from then on; of more restarts the last one is told when it may be.
    Restarted(Member),
    /// A member came back at another address before anybody had given it up: a new process, whose
    /// certificate proves its name. No `Left` and no `Joined` come with it.
    Moved {
        /// The member, with its new address.
        member: Member,
        /// The address that it had.
        from: SocketAddr,
    },
    /// A member changed its metadata.
    Updated(Member),
    /// A member left on purpose.
    Left(Member),
    /// A member was declared dead.
    Failed {
        /// The member, as last known.
        member: Member,
        /// Who suspected it first.
        suspected_by: MemberName,
        /// How long it was suspected before it was given up, by this member's clock; zero when
        /// only the end was heard.
        #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
        after: Duration,
        /// What this member concluded it from.
        evidence: FailureEvidence,
        /// The last hint that it may be gone, if there was one in the last minute.
        hint: Option<Hint>,
    },
    /// The application's hooks refused a member that was there, when its certificate was seen:
    /// this member has forgotten it, and told nobody. See [`Hooks::admit_member`].
    ///
    /// [`Hooks::admit_member`]: crate::Hooks::admit_member
    Removed {
        /// The member, as last known.
        member: Member,
        /// The hook's reason.
        reason: String,
    },
    /// A member did not answer its probes; it may still clear itself.
    Suspected {
        /// The member, as last known.
        member: Member,
        /// Who suspects it.
        by: MemberName,
    },
    /// A suspected member proved to be alive.
    Cleared {
        /// The member, with its new incarnation.
        member: Member,
        /// Who had suspected it.
        by: MemberName,
    },
    /// Somebody at another address claims a member's name; the known member stays. Both members
    /// get it too, each about itself.
    Conflict {
        /// The member we know under the name.
        member: Member,
        /// The address of the other claimant.
        other: SocketAddr,
    },
    /// A message from another member.
    Message {
        /// The sender; verified by its certificate under [`NamePolicy::Match`]. `None` when the
        /// connection belongs to no known member.
        ///
        /// [`NamePolicy::Match`]: crate::NamePolicy::Match
        from: Option<MemberName>,
        /// The address of the connection that delivered it.
        address: SocketAddr,
        /// Sent over a stream, as opposed to a datagram.
        reliable: bool,
        /// The bytes that were sent.
        #[cfg_attr(feature = "serde", serde(serialize_with = "swim_core::bytes_text::serialize"))]
        payload: Arc<[u8]>,
    },
    /// The application state that a peer sent along in a full state exchange: what it
    /// gave to [`set_user_state`](crate::Cluster::set_user_state), what its
    /// [`Hooks::local_state`](crate::Hooks::local_state) returned or, with Go, its delegate's
    /// `LocalState`.
    RemoteState {
        /// The address of the connection.
        address: SocketAddr,
        /// Whether the exchange was a join.
        join: bool,
        /// The bytes that the peer's application made; at most 20 MiB with the exchange.
        #[cfg_attr(feature = "serde", serde(serialize_with = "swim_core::bytes_text::serialize"))]
        state: Arc<[u8]>,
    },
    /// A standing join attempt towards a seed ended.
    Seed {
        /// The seed: a socket address, or the name that could not be resolved.
        address: String,
        /// Why it failed; `None` on success.
        error: Option<Box<JoinFailureReason>>,
    },
    /// Who is live has stood still for a while, about two seconds on a local network: what has
    /// happened since the last such view, in one piece. Those that came and went in between do not
    /// appear. For applications that do something costly when the members change. See
    /// [`Config::stable_view_age`](crate::Config::stable_view_age).
    StableView(Box<StableView>),
    /// This member, or its whole host, stood still (a suspension, a debugger, an overloaded
    /// machine) and goes on. Others may have declared it dead meanwhile; it exchanges states at
    /// once.
    Resumed {
        /// For how long.
        #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
        away: Duration,
    },
    /// Something was refused that an operator should know: a bad certificate, a wrong label.
    Warning {
        /// A stable short name of the refusal.
        what: String,
        /// Who was refused and why, in a sentence.
        detail: String,
        /// How many of the kind there were since the last one shown: at most one a second is.
        count: u64,
    },
    /// This member uses another certificate from here on: [`Cluster::rotate`] was called, or the
    /// files of its identity have changed.
    ///
    /// [`Cluster::rotate`]: crate::Cluster::rotate
    IdentityRotated {
        /// The former certificate.
        former: Box<Fingerprint>,
        /// The one in use.
        fingerprint: Box<Fingerprint>,
        /// When that ends.
        #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
        not_after: SystemTime,
    },
    /// The files of this member's identity have changed and cannot be used: the former certificate
    /// stays in use. Told once for each change, when two looks in a row, 3 s apart, have found it.
    IdentityProblem {
        /// What is wrong, and what to do about it.
        #[cfg_attr(
            feature = "serde",
            serde(serialize_with = "crate::output_serialization::error_text")
        )]
        error: Box<IdentityFilesError>,
    },
    /// This member's certificate ends soon, or has ended: issue a new one. Told 14 days, 7 days
    /// and 1 day before, but not in the first two thirds of its time, and at the end; at the
    /// start what is past.
    CertificateExpiring {
        /// When it ends.
        #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
        not_after: SystemTime,
        /// How long that is from now; zero once it has ended: peers refuse new connections then.
        #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
        left: Duration,
    },
    /// This subscriber was too slow and missed events of one kind; [`Cluster::members`] is still
    /// right. Membership events, messages and warnings have room of their own
    /// ([`SubscriptionLimits`]), so that none pushes out another.
    ///
    /// [`Cluster::members`]: crate::Cluster::members
    /// [`SubscriptionLimits`]: crate::SubscriptionLimits
    Lagged {
        /// How many events were missed.
        missed: u64,
        /// How many of them were messages or application states of peers: all or none.
        messages: u64,
    },
    /// The member does not run any more: the last event of every subscription.
    Stopped {
        /// Why.
        reason: StopReason,
    },
}

/// A channel takes room for 31 events at once: with longer ones an idle subscription would hold
/// more than 4 KiB. What is longer is boxed.
const _: () = assert!(size_of::<Event>() <= 80);

/// Why a member stopped.
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopReason {
    /// [`Cluster::close`](crate::Cluster::close) was called.
    Closed,
    /// The last handle was dropped.
    Dropped,
    /// It was never started: the builder was dropped, or its start failed.
    NotStarted,
    /// The code that runs the member panicked: a bug. Other members of the driver go on.
    Panicked,
    /// The thread that ran the member ended; its log says why.
    DriverEnded,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "it was closed",
            Self::Dropped => "its last handle was dropped",
            Self::NotStarted => "it was never started",
            Self::Panicked => "its code panicked: please report the message on stderr",
            Self::DriverEnded => "its driver thread ended: the log says why",
        })
    }
}

/// Which room of a subscription an event takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// About a member.
    Membership,
    /// From a peer's application.
    Message,
    /// For people: warnings, seeds.
    Notice,
}

impl EventKind {
    pub(crate) const ALL: [Self; 3] = [Self::Membership, Self::Message, Self::Notice];
    pub(crate) const COUNT: usize = Self::ALL.len();
}

/// A datagram that is not QUIC. Anybody can send one and claim any address.
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RawDatagram {
    /// Where it says it comes from.
    pub from: SocketAddr,
    /// Its bytes; the first one is below `0x40`.
    #[cfg_attr(feature = "serde", serde(serialize_with = "swim_core::bytes_text::serialize"))]
    pub payload: Vec<u8>,
}

/// Counters of one member, membership and transport, since its start.
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// What the membership machine counted.
    pub membership: MembershipStats,
    /// What the QUIC endpoint counted.
    pub transport: EndpointStats,
    /// Raw datagrams that nobody took, or not in time.
    pub raw_datagrams_dropped: u64,
    /// Calls of handles that wait for an outcome at this moment: joins (one for each socket
    /// address), leaves, pings, reliable messages, dials, streams that are being opened, and times.
    /// Those whose callers gave up do not count.
    pub pending_calls: usize,
}

/// One connection of a member's pool, for people and metrics.
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// The remote address.
    pub address: SocketAddr,
    /// The names that the peer's certificate proves; empty under the name policy `any`.
    pub names: Vec<MemberName>,
    /// SHA-256 of the peer's leaf certificate (DER): what [`Cluster::revoke`] takes.
    ///
    /// [`Cluster::revoke`]: crate::Cluster::revoke
    pub fingerprint: Fingerprint,
    /// `swim-quic/1`, or `memberlist-quic/1` with a Go peer.
    pub protocol: &'static str,
    /// Whether we dialed it.
    pub dialed: bool,
    /// Whether what we send to that address goes over it.
    pub preferred: bool,
    /// Smoothed round-trip time (RFC 9002).
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub rtt: Duration,
    /// Congestion window in bytes.
    pub congestion_window: usize,
    /// Time since its handshake began.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub age: Duration,
    /// Time since the last packet or stream payload.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub idle: Duration,
    /// Bidirectional streams open at the moment.
    pub streams: usize,
    /// UDP bytes received and sent.
    pub bytes: (u64, u64),
    /// QUIC packets lost.
    pub lost: u64,
}

impl ConnectionInfo {
    pub(crate) fn from_transport(stats: &ConnectionStats) -> Self {
        let names = stats.peer.possible_names().iter();
        Self {
            address: stats.peer.address,
            names: names.filter_map(|name| MemberName::try_from(Arc::clone(name)).ok()).collect(),
            fingerprint: stats.peer.fingerprint.into(),
            protocol: match stats.peer.protocol {
                Protocol::Extended => EXTENDED_PROTOCOL,
                Protocol::Classic => CLASSIC_PROTOCOL,
            },
            dialed: stats.peer.dialed,
            preferred: stats.preferred,
            rtt: stats.rtt,
            congestion_window: stats.congestion_window,
            age: stats.age,
            idle: stats.idle,
            streams: stats.streams,
            bytes: (stats.bytes_received, stats.bytes_sent),
            lost: stats.lost,
        }
    }
}
