//! Counters and gauges of an endpoint and of its connections.
//!
//! Counters only grow; every bound and every refusal has a counter of its own, so that nothing is
//! ever dropped without a trace.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::event::PeerIdentity;
use crate::kernel_refusal::KernelRefusal;
use crate::reason::Refusal;

/// What an endpoint has done since it was made; every field is a count unless it says otherwise.
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointStats {
    /// Connections held at the moment.
    pub connections: usize,
    /// Handshakes under way at the moment, dialed and accepted.
    pub handshakes: usize,
    /// Dials begun.
    pub dials: u64,
    /// Dials that did not end in an authenticated connection.
    pub dials_failed: u64,
    /// Incoming connections taken on.
    pub accepted: u64,
    /// Connections, dialed or accepted, whose handshake both sides completed. An Initial that
    /// waited in a socket buffer until its sender had given up counts as accepted only.
    pub confirmed: u64,
    /// Datagrams that the kernel refused to send, by reason and destination: the first 64 pairs.
    #[cfg_attr(feature = "serde", serde(serialize_with = "send_errors_list"))]
    pub send_errors: BTreeMap<(KernelRefusal, SocketAddr), u64>,
    /// Datagrams that the kernel refused to send to further destinations.
    pub other_send_errors: u64,
    /// UDP datagrams handed in.
    pub udp_received: u64,
    /// UDP datagrams handed out.
    pub udp_sent: u64,
    /// Bytes of UDP payload handed in.
    pub bytes_received: u64,
    /// Bytes of UDP payload handed out.
    pub bytes_sent: u64,
    /// Packets received as datagrams.
    pub packets_received: u64,
    /// Packets received as unidirectional streams.
    pub packets_received_by_stream: u64,
    /// Packets sent as datagrams.
    pub packets_sent: u64,
    /// Packets sent as unidirectional streams.
    pub packets_sent_by_stream: u64,
    /// Packets dropped because the queue of a peer being dialed was full:
    /// [`dial_queue`](crate::Limits::dial_queue).
    pub dial_queue_drops: u64,
    /// Packets dropped because a connection's send queue was full:
    /// [`datagrams`](crate::Limits::datagrams), [`stream_buffer`](crate::Limits::stream_buffer).
    pub send_queue_drops: u64,
    /// Packets dropped because the endpoint's queues were full:
    /// [`endpoint_buffer`](crate::Limits::endpoint_buffer).
    pub endpoint_buffer_drops: u64,
    /// Datagrams dropped that overtook the handshake of their connection:
    /// [`undecryptable_buffer`](crate::Limits::undecryptable_buffer).
    pub undecryptable_drops: u64,
    /// Datagrams that are not QUIC dropped because 1 MiB of them waited for the application.
    pub raw_datagram_drops: u64,
    /// Packets of handshakes dropped because their network sent more than 512 KiB of them a second,
    /// within 10 s of a handshake that was [too long](Self::handshakes_too_long).
    pub handshake_rate_drops: u64,
    /// Handshakes of peers that made way for others at [`half_open`](crate::Limits::half_open).
    pub handshakes_displaced: u64,
    /// Handshakes ended because their peers had sent too much of them: 32 KiB, 16 KiB from an
    /// address that may be forged, or 8 KiB while all that peers began have together brought 8 KiB
    /// for each of [`half_open`](crate::Limits::half_open).
    pub handshakes_too_long: u64,
    /// Connections closed because their peers sent streams in too many pieces:
    /// [`stream_pieces`](crate::Limits::stream_pieces).
    pub too_many_pieces: u64,
    /// Unidirectional streams that missed their deadline or were malformed.
    pub bad_packet_streams: u64,
    /// Application or extension bytes on the classic protocol, dropped.
    pub reserved_first_bytes: u64,
    /// Extensions of an unknown kind, ignored.
    pub unknown_extensions: u64,
    /// UDP datagrams that belong to no connection.
    pub stray_datagrams: u64,
    /// Packets of a known connection that came from an address that cannot be its peer's, dropped.
    pub moved_peers: u64,
    /// How often a peer that dialed was found at another address than before, where it answered.
    pub migrations: u64,
    /// Stateless resets sent.
    pub resets_sent: u64,
    /// Stateless resets withheld because too many were sent.
    pub resets_withheld: u64,
    /// Connections ended by a stateless reset from the peer.
    pub resets_received: u64,
    /// Retry packets sent.
    pub retries_sent: u64,
    /// Retry tokens that were forged, too old, or from another address.
    pub bad_retry_tokens: u64,
    /// Connections replaced because they granted no stream in time, each counted once.
    pub credit_replacements: u64,
    /// Connections bypassed because the peer left everything unanswered for
    /// [`stall_timeout`](crate::Limits::stall_timeout).
    pub stalled: u64,
    /// Connections closed in favour of another one to the same peer.
    pub duplicates: u64,
    /// Connections closed because they were idle for
    /// [`idle_timeout`](crate::Limits::idle_timeout).
    pub idle_closed: u64,
    /// Connections closed to make room for others, at
    /// [`connections`](crate::Limits::connections).
    pub evicted: u64,
    /// Idle connections closed because there were more than
    /// [`max_idle_connections`](crate::Limits::max_idle_connections).
    pub idle_limit_closed: u64,
    /// Connections closed because their certificate held more than
    /// [`per_certificate`](crate::Limits::per_certificate).
    pub certificate_limit_closed: u64,
    /// Connections replaced because of their age or packet count, or to find out whether the path
    /// carries larger packets again.
    pub recycled: u64,
    /// How often a path was found to carry no large packets any more.
    pub path_mtu_lowered: u64,
    /// Peers turned away or turning us away, by kind.
    #[cfg_attr(feature = "serde", serde(serialize_with = "refusals_by_name"))]
    pub refusals: BTreeMap<Refusal, u64>,
}

/// A list, since formats know no keys of two parts.
#[cfg(feature = "serde")]
fn send_errors_list<S: serde::Serializer>(
    errors: &BTreeMap<(KernelRefusal, SocketAddr), u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(serde::Serialize)]
    struct Entry {
        reason: String,
        destination: SocketAddr,
        count: u64,
    }
    let entry = |(&(reason, destination), &count): (&(KernelRefusal, SocketAddr), &u64)| Entry {
        reason: reason.to_string(),
        destination,
        count,
    };
    serializer.collect_seq(errors.iter().map(entry))
}

/// The reasons by their stable short names.
#[cfg(feature = "serde")]
fn refusals_by_name<S: serde::Serializer>(
    refusals: &BTreeMap<Refusal, u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(refusals.iter().map(|(reason, count)| (reason.name(), count)))
}

/// One connection whose peer is authenticated, at the moment of the call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// Who is at the other end.
    pub peer: Arc<PeerIdentity>,
    /// Whether packets to that address use this connection.
    pub preferred: bool,
    /// Smoothed round-trip time (RFC 9002 section 5.3).
    pub rtt: Duration,
    /// Congestion window in bytes.
    pub congestion_window: usize,
    /// Time since the handshake began.
    pub age: Duration,
    /// Time since the last packet or stream payload.
    pub idle: Duration,
    /// Bidirectional streams open at the moment.
    pub streams: usize,
    /// Largest packet in bytes that fits one datagram, if the peer takes datagrams.
    pub packet_limit: Option<usize>,
    /// QUIC packets received.
    pub received: u64,
    /// QUIC packets sent.
    pub sent: u64,
    /// QUIC packets lost.
    pub lost: u64,
    /// UDP bytes received.
    pub bytes_received: u64,
    /// UDP bytes sent.
    pub bytes_sent: u64,
}
