//! The list of all series. Every exporter takes names, kinds, units, help and values from here.

use std::collections::BTreeMap;
use std::fmt;

use super::snapshot::Snapshot;

/// One series of numbers that every member has: its name, what it is, and how it is read.
///
/// There are at most 60, none for a member or an address, so that what is stored of them does not
/// grow with the cluster. docs/METRICS.md has them as a table.
#[derive(Debug)]
pub struct Series {
    name: &'static str,
    kind: SeriesKind,
    unit: SeriesUnit,
    help: &'static str,
    value: fn(&Snapshot) -> u64,
    fields: &'static [&'static str],
}

/// How the values of a series change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesKind {
    /// It only grows, from zero at the member's start.
    Counter,
    /// It is of the moment.
    Gauge,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesUnit {
    /// Things; of local health, points.
    Number,
    /// Of payloads, or of memory.
    Bytes,
}

impl Series {
    /// All of them, in the order in which they are exported.
    ///
    /// ```
    /// # use swim_quic::Series;
    /// for series in Series::all() {
    ///     println!("{} ({:?}): {}", series.name(), series.kind(), series.help());
    /// }
    /// ```
    #[must_use]
    pub fn all() -> &'static [Self] {
        SERIES
    }

    /// Unique, of lower case letters and `_`. Counters end in `_total`, and what is in bytes in
    /// `_bytes` before that.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it only grows.
    ///
    /// ```
    /// # use swim_quic::{Series, SeriesKind};
    /// let counters = Series::all().iter().filter(|series| series.kind() == SeriesKind::Counter);
    /// assert!(counters.count() > 0);
    /// ```
    #[must_use]
    pub fn kind(&self) -> SeriesKind {
        self.kind
    }

    /// The unit of its values.
    ///
    /// ```
    /// # use swim_quic::{Series, SeriesUnit};
    /// let sizes = Series::all().iter().filter(|series| series.unit() == SeriesUnit::Bytes);
    /// assert!(sizes.clone().all(|series| series.name().contains("_bytes")));
    /// ```
    #[must_use]
    pub fn unit(&self) -> SeriesUnit {
        self.unit
    }

    /// One sentence that says what is counted.
    #[must_use]
    pub fn help(&self) -> &'static str {
        self.help
    }

    /// What its values are the sum of: below `stats`, fields of [`Stats`](crate::Stats); below
    /// `memory`, what the handles of a member hold.
    #[must_use]
    pub fn fields(&self) -> &'static [&'static str] {
        self.fields
    }

    pub(super) fn value(&self, snapshot: &Snapshot) -> u64 {
        (self.value)(snapshot)
    }
}

/// As Prometheus writes it.
impl fmt::Display for SeriesKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        })
    }
}

impl fmt::Display for SeriesUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "number",
            Self::Bytes => "bytes",
        })
    }
}

/// A field of a snapshot that can be added up.
trait Amount {
    fn amount(&self) -> u64;
}

impl Amount for u64 {
    fn amount(&self) -> u64 {
        *self
    }
}

impl Amount for u8 {
    fn amount(&self) -> u64 {
        u64::from(*self)
    }
}

impl Amount for bool {
    fn amount(&self) -> u64 {
        u64::from(*self)
    }
}

impl Amount for usize {
    fn amount(&self) -> u64 {
        u64::try_from(*self).unwrap_or(u64::MAX)
    }
}

/// What is counted by kind, of all kinds.
impl<K> Amount for BTreeMap<K, u64> {
    fn amount(&self) -> u64 {
        self.values().sum()
    }
}

macro_rules! series {
    ($($kind:ident $unit:ident $name:literal $help:literal = $($($part:ident).+)|+;)+) => {
        const SERIES: &[Series] = &[$(Series {
            name: concat!("swim_quic_", $name),
            kind: SeriesKind::$kind,
            unit: SeriesUnit::$unit,
            help: $help,
            value: |snapshot| {
                [$(snapshot.$($part).+.amount()),+].into_iter().fold(0, u64::saturating_add)
            },
            fields: &[$(stringify!($($part).+)),+],
        }),+];
    };
}

series! {
    Gauge Number "members_alive" "Members believed alive, this one included unless it has left."
        = stats.membership.alive;
    Gauge Number "members_suspect"
        "Members under suspicion."
        = stats.membership.suspect;
    Gauge Number "members_dead"
        "Members declared dead and not yet purged."
        = stats.membership.dead;
    Gauge Number "members_left"
        "Members that left and are not yet purged."
        = stats.membership.left;
    Gauge Number "members_heard"
        "Members, whatever their state, from which something has arrived."
        = stats.membership.heard;
    Gauge Number "unheard_members_doubted"
        "1 while a member that was never heard has left a probe unanswered within a minute, else 0."
        = stats.membership.doubts_unheard;
    Gauge Number "health_score"
        "Local health as Lifeguard counts it: 0 is good, and each point makes probes slower."
        = stats.membership.health;
    Gauge Number "queued_updates"
        "Updates about members that are still to be gossiped."
        = stats.membership.queued_updates;
    Gauge Number "queued_broadcasts"
        "Broadcasts of the application that were not yet sent to everybody."
        = stats.membership.queued_broadcasts;
    Gauge Number "membership_streams"
        "Streams of the membership that are open: exchanges, pings and reliable messages."
        = stats.membership.streams;
    Gauge Number "connections"
        "Connections held."
        = stats.transport.connections;
    Gauge Number "handshakes"
        "Handshakes under way, dialed and accepted."
        = stats.transport.handshakes;
    Gauge Number "pending_calls"
        "Calls of the application that wait for their outcome."
        = stats.pending_calls;
    Gauge Bytes "reliable_messages_bytes"
        "Memory held by reliable messages that the application has under way."
        = memory.reliable_messages;
    Gauge Bytes "queued_commands_bytes"
        "Memory held by payloads that wait for the driver thread."
        = memory.queued_commands;
    Counter Number "membership_packets_received_total"
        "Packets of the membership received."
        = stats.membership.counters.packets_in;
    Counter Bytes "membership_packets_received_bytes_total"
        "Bytes of packets of the membership received."
        = stats.membership.counters.packet_bytes_in;
    Counter Number "membership_packets_sent_total"
        "Packets of the membership sent."
        = stats.membership.counters.packets_out;
    Counter Bytes "membership_packets_sent_bytes_total"
        "Bytes of packets of the membership sent."
        = stats.membership.counters.packet_bytes_out;
    Counter Bytes "membership_streams_received_bytes_total"
        "Bytes of streams of the membership received."
        = stats.membership.counters.stream_bytes_in;
    Counter Bytes "membership_streams_sent_bytes_total"
        "Bytes of streams of the membership sent."
        = stats.membership.counters.stream_bytes_out;
    Counter Number "messages_received_total"
        "Messages decoded from packets."
        = stats.membership.counters.messages_in;
    Counter Number "probes_total"
        "Probe rounds begun."
        = stats.membership.counters.probes;
    Counter Number "probes_failed_total"
        "Probe rounds that no answer ended."
        = stats.membership.counters.probes_failed;
    Counter Number "probes_indirect_total"
        "Probe rounds that went on to ask other members."
        = stats.membership.counters.probes_indirect;
    Counter Number "probes_saved_by_stream_total"
        "Probe rounds that only a ping over a stream ended."
        = stats.membership.counters.probes_saved_by_stream;
    Counter Number "membership_sends_failed_total"
        "Packets and streams of the membership that the transport could not send."
        = stats.membership.counters.sends_failed;
    Counter Number "suspicions_total"
        "Suspicions that began."
        = stats.membership.counters.suspicions;
    Counter Number "suspicions_cleared_total"
        "Suspicions that their members cleared."
        = stats.membership.counters.suspicions_cleared;
    Counter Number "suspicions_timed_out_alone_total"
        "Suspicions that timed out with fewer confirmations than would have shortened them fully."
        = stats.membership.counters.suspicions_timed_out_alone;
    Counter Number "failures_total"
        "Members declared dead."
        = stats.membership.counters.failures;
    Counter Number "moves_total"
        "Members that came back at another address before anybody gave them up."
        = stats.membership.counters.moves;
    Counter Number "refutes_total"
        "Suspicions and false claims about this member that it refuted."
        = stats.membership.counters.refutes;
    Counter Number "notices_sent_total"
        "Members told at once what the cluster believes of them, or of this member what is true."
        = stats.membership.counters.stale_alive_notified
        | stats.membership.counters.heard_notified
        | stats.membership.counters.alive_repeated;
    Counter Number "exchanges_total"
        "Full exchanges of states that succeeded or were answered."
        = stats.membership.counters.exchanges_started
        | stats.membership.counters.exchanges_answered;
    Counter Number "exchanges_failed_total"
        "Full exchanges of states that failed or were refused, on either side."
        = stats.membership.counters.exchanges_failed;
    Counter Number "repairs_total" "Exchanges begun since a view differed for a while."
        = stats.membership.counters.repairs_started;
    Counter Number "user_messages_received_total"
        "Messages delivered to the application."
        = stats.membership.counters.user_messages_in;
    Counter Number "reliable_messages_repeated_total"
        "Reliable messages sent again, or that came again and were not delivered twice."
        = stats.membership.counters.reliable_sent_again
        | stats.membership.counters.reliable_repeated;
    Counter Number "refused_packets_total"
        "Packets, parts of them and streams refused for their label, key or encoding."
        = stats.membership.counters.refused_label
        | stats.membership.counters.refused_key
        | stats.membership.counters.refused_malformed
        | stats.membership.counters.refused_parts
        | stats.membership.counters.refused_expansion;
    Counter Number "refused_claims_total"
        "Claims about members that were not believed or not admitted."
        = stats.membership.counters.refused_incarnation
        | stats.membership.counters.refused_gone
        | stats.membership.counters.refused_revival
        | stats.membership.counters.refused_claim
        | stats.membership.counters.refused_admission
        | stats.membership.counters.refused_members_full
        | stats.membership.counters.refused_conflict;
    Counter Number "refused_messages_total"
        "Pings, acks, relayed pings and messages in another one's name that were refused."
        = stats.membership.counters.refused_impostor
        | stats.membership.counters.refused_wrong_target
        | stats.membership.counters.refused_ack
        | stats.membership.counters.refused_relay_full
        | stats.membership.counters.refused_relay_unknown;
    Counter Number "refused_exchanges_total"
        "Streams and exchanges of states refused: too many, too often, or of other versions."
        = stats.membership.counters.refused_streams_full
        | stats.membership.counters.refused_exchanges
        | stats.membership.counters.refused_version;
    Counter Number "dials_total"
        "Dials begun."
        = stats.transport.dials;
    Counter Number "dials_failed_total"
        "Dials that did not end in an authenticated connection."
        = stats.transport.dials_failed;
    Counter Number "connections_accepted_total"
        "Incoming connections taken on."
        = stats.transport.accepted;
    Counter Number "connections_confirmed_total"
        "Connections, dialed or accepted, whose handshake both sides completed."
        = stats.transport.confirmed;
    Counter Number "connections_ended_early_total"
        "Connections and handshakes ended or replaced by a limit, a stall, a reset or a duplicate."
        = stats.transport.handshakes_displaced
        | stats.transport.handshakes_too_long
        | stats.transport.too_many_pieces
        | stats.transport.credit_replacements
        | stats.transport.stalled
        | stats.transport.duplicates
        | stats.transport.idle_closed
        | stats.transport.evicted
        | stats.transport.idle_limit_closed
        | stats.transport.certificate_limit_closed
        | stats.transport.recycled
        | stats.transport.resets_received;
    Counter Number "peers_refused_total"
        "Peers that this member turned away, or that turned it away, for whatever reason."
        = stats.transport.refusals;
    Counter Number "datagrams_received_total"
        "UDP datagrams received."
        = stats.transport.udp_received;
    Counter Number "datagrams_sent_total"
        "UDP datagrams sent."
        = stats.transport.udp_sent;
    Counter Bytes "datagrams_received_bytes_total"
        "Bytes of UDP payload received."
        = stats.transport.bytes_received;
    Counter Bytes "datagrams_sent_bytes_total"
        "Bytes of UDP payload sent."
        = stats.transport.bytes_sent;
    Counter Number "packets_by_datagram_total"
        "Packets of the membership and of the application that went as datagrams, in or out."
        = stats.transport.packets_received
        | stats.transport.packets_sent;
    Counter Number "packets_by_stream_total"
        "Packets of the membership and of the application that went as streams, in or out."
        = stats.transport.packets_received_by_stream
        | stats.transport.packets_sent_by_stream;
    Counter Number "datagrams_unsent_total"
        "UDP datagrams that the kernel refused to send."
        = stats.transport.send_errors
        | stats.transport.other_send_errors;
    Counter Number "drops_total"
        "Packets and datagrams dropped at the bound of a queue or of a rate."
        = stats.transport.dial_queue_drops
        | stats.transport.send_queue_drops
        | stats.transport.endpoint_buffer_drops
        | stats.transport.undecryptable_drops
        | stats.transport.raw_datagram_drops
        | stats.transport.handshake_rate_drops
        | stats.transport.resets_withheld
        | stats.raw_datagrams_dropped;
    Counter Number "invalid_datagrams_total"
        "Datagrams and streams of no connection, malformed, or from an address that cannot be."
        = stats.transport.bad_packet_streams
        | stats.transport.reserved_first_bytes
        | stats.transport.unknown_extensions
        | stats.transport.stray_datagrams
        | stats.transport.moved_peers
        | stats.transport.bad_retry_tokens;
    Counter Number "stateless_answers_total"
        "Retry packets and stateless resets sent."
        = stats.transport.resets_sent
        | stats.transport.retries_sent;
    Counter Number "path_changes_total"
        "Peers that were found at another address, and paths that carry no large packets any more."
        = stats.transport.migrations
        | stats.transport.path_mtu_lowered;
}
