//! Every bound and timeout of an endpoint, and which values cannot work.
//!
//! Each says what happens when it is reached; the number of times that happened is in
//! [`EndpointStats`](crate::EndpointStats).

use std::fmt;
use std::time::Duration;

use thiserror::Error;

/// The bounds and timeouts of an endpoint.
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections held at once, default 512, incoming handshakes not counted. At the bound the
    /// idle connection that was used longest ago is closed when a further peer has proved who it
    /// is; if none is idle, new ones are refused.
    pub connections: usize,
    /// Connections that are kept while idle, default 256: a soft target. With each sweep, idle
    /// ones beyond it are closed, those unused longest first.
    pub max_idle_connections: usize,
    /// Connections that one certificate may hold in one of its names, where names are enforced,
    /// default 16: a peer needs one or two. Beyond it the one of them that was used longest ago is
    /// closed. As long as it is open which of its names is meant, a certificate may hold as many
    /// for each.
    pub per_certificate: usize,
    /// Handshakes of incoming connections in flight, default 64. Above it the other side must
    /// first prove its address with a Retry token, which costs it one round trip.
    pub handshakes: usize,
    /// Handshakes of incoming connections in flight, default 256. From half of it on, each has a
    /// third of [`dial_timeout`](Self::dial_timeout), and a prefix of addresses (24 bits of IPv4,
    /// 48 of IPv6) may hold a quarter of the places. Above it one that has proved its address
    /// takes the place of the oldest of the prefix that has most, and there of the host that has
    /// most; handshakes of one host replace each other four times as often in a second as there
    /// are places. Others are dropped.
    pub half_open: usize,
    /// Streams of each kind that a peer may have open towards us, default 256.
    pub streams: u64,
    /// Bytes that we queue for sending on the streams of one connection, default 1 MiB, and at
    /// most a quarter of it for one stream. At the bound [`write`](crate::Endpoint::write) takes
    /// no more until the peer has read some; only a stream with nothing queued may always queue
    /// 4 KiB, so that one slow reader cannot hold up the others.
    pub stream_buffer: usize,
    /// Unread stream bytes that a connection grants its peer, default 1 MiB, an eighth of it for
    /// one stream: up to three streams that nobody reads hold up no other. A stream carries at
    /// most its window in a round trip: 128 KiB make 12 MiB/s where that takes 10 ms.
    pub receive_window: u64,
    /// Pieces of streams that a connection keeps until they are read, default 65,536, in some 10
    /// MB of heap: each stream frame is one, and costs 146 bytes however short it is. A peer that
    /// sends more, as every other byte of its streams, is parted with.
    pub stream_pieces: usize,
    /// Datagrams queued in each direction of one connection, default 256. At the bound the older
    /// half is dropped: a fresh datagram is worth more than a stale one.
    pub datagrams: usize,
    /// Packets queued for a peer while it is being dialed, default 32; the oldest is dropped.
    pub dial_queue: usize,
    /// Bytes in all queues of the endpoint together, default 64 MiB: what waits for a dial, for
    /// room in a connection, for the rest of a packet, or for the application. At the bound new
    /// packets are dropped, and streams queue no more than 4 KiB each. What QUIC itself holds is
    /// bounded for each connection, by [`receive_window`](Self::receive_window) and
    /// [`datagrams`](Self::datagrams).
    pub endpoint_buffer: usize,
    /// Bytes of datagrams that overtook the handshakes of their connections, default 4 MiB, and of
    /// one connection at most 8 of 1,500 bytes: more than all of [`half_open`](Self::half_open)
    /// take. Further ones are dropped. Strangers send them too, so that they do not count against
    /// [`endpoint_buffer`](Self::endpoint_buffer).
    pub undecryptable_buffer: usize,
    /// How long a dial may take, default 3 s.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub dial_timeout: Duration,
    /// First pause after a failed dial, default 100 ms, doubled with each failure up to
    /// [`dial_backoff_max`](Self::dial_backoff_max); jittered by half. Packets for the peer fail
    /// at once during the pause; a stream dials anyway.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub dial_backoff: Duration,
    /// Longest pause after a failed dial, default 5 s.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub dial_backoff_max: Duration,
    /// How long a packet that travels as a unidirectional stream may make no progress, default
    /// 10 s: at the sender, none of the queue is taken; at the receiver, less than 4 KiB arrive.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub packet_stream_timeout: Duration,
    /// How long a stream that the application is done with may wait for the peer to take more of
    /// what was written, default 60 s from the last byte taken; then it is reset, which both sides
    /// see. A connection that makes way for another one keeps its streams for as long as they
    /// carry something within each such time.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub stream_stall_timeout: Duration,
    /// How long a connection may carry no packet and no stream payload before we close it,
    /// default 5 min.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub idle_timeout: Duration,
    /// The idle timeout that QUIC negotiates (the smaller of both sides' counts; any traffic
    /// keeps it up), default 6 min, so that our own [`idle_timeout`](Self::idle_timeout) decides.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub max_idle_timeout: Duration,
    /// Interval of QUIC keep-alives, default zero: none are sent.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub keep_alive_period: Duration,
    /// How long a peer may leave everything unanswered before the next packet dials it anew,
    /// default 5 s.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub stall_timeout: Duration,
    /// How long a stream waits for the peer's permission to open before its connection is
    /// replaced, default 500 ms, or half of the time left to the stream's deadline.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub credit_timeout: Duration,
    /// How long a connection that lost against another one to the same peer stays open for what
    /// is still under way, default 2 s.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub duplicate_grace: Duration,
    /// Age at which a connection is replaced, default zero: only the limits of the cipher count
    /// (24 h, or [`max_connection_packets`](Self::max_connection_packets)). Its streams go on as
    /// long as they carry something within each
    /// [`stream_stall_timeout`](Self::stream_stall_timeout); new ones use another connection.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub max_connection_age: Duration,
    /// Packets in one direction after which a connection is replaced, default 4,000,000, which is
    /// also the most; at twice as many it is closed, its streams with it. A key of AES-GCM is good
    /// for 2^23 packets (RFC 9001 section 6.6), and quiche never changes keys.
    pub max_connection_packets: usize,
    /// How often idle, aged and stale connections are looked for, default 30 s.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub sweep_interval: Duration,
    /// Stateless resets sent in a second, default 100: 4 to an address, a quarter kept for known
    /// peers, and of the rest two quarters to a prefix of addresses (24 bits of IPv4, 48 of IPv6).
    /// To packets whose connection id was not made for their sender, two quarters, and one to a
    /// prefix. More are not sent.
    pub resets_per_second: u32,
    /// QUIC packets sent for one connection in a turn, default 64; the rest waits for the other
    /// connections' turns.
    pub packets_per_turn: usize,
    /// How long after its path was found to carry less than before a connection is replaced, so
    /// that a new one finds out whether it carries more again; default 60 s, doubled with each try
    /// in vain up to 16 min. Looked at every [`sweep_interval`](Self::sweep_interval).
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub path_mtu_raise_interval: Duration,
    /// Largest UDP payload we try to send, default 1452 (1500 minus IPv6 and UDP headers);
    /// path MTU discovery finds what passes.
    pub max_udp_payload: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            max_idle_connections: 256,
            per_certificate: 16,
            handshakes: 64,
            half_open: 256,
            streams: 256,
            stream_buffer: 1 << 20,
            receive_window: 1 << 20,
            stream_pieces: 65_536,
            datagrams: 256,
            dial_queue: 32,
            endpoint_buffer: 64 << 20,
            undecryptable_buffer: 4 << 20,
            dial_timeout: Duration::from_secs(3),
            dial_backoff: Duration::from_millis(100),
            dial_backoff_max: Duration::from_secs(5),
            packet_stream_timeout: Duration::from_secs(10),
            stream_stall_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(300),
            max_idle_timeout: Duration::from_secs(360),
            keep_alive_period: Duration::ZERO,
            stall_timeout: Duration::from_secs(5),
            credit_timeout: Duration::from_millis(500),
            duplicate_grace: Duration::from_secs(2),
            max_connection_age: Duration::ZERO,
            max_connection_packets: MAX_CONNECTION_PACKETS,
            sweep_interval: Duration::from_secs(30),
            resets_per_second: 100,
            packets_per_turn: 64,
            path_mtu_raise_interval: Duration::from_secs(60),
            max_udp_payload: 1452,
        }
    }
}

impl Limits {
    /// Finds settings with which no connection could do its work.
    ///
    /// # Errors
    /// The first one found: its field, its value, and what to do about it.
    ///
    /// ```
    /// # use quic_net::Limits;
    /// let mut limits = Limits::default();
    /// limits.connections = 0;
    /// println!("{}", limits.validate().unwrap_err());
    /// ```
    pub fn validate(&self) -> Result<(), LimitsError> {
        let refuse = |field, value: &dyn fmt::Debug, remedy| {
            Err(LimitsError { field, value: format!("{value:?}"), remedy })
        };
        let counts = [
            ("connections", self.connections),
            ("per_certificate", self.per_certificate),
            ("half_open", self.half_open),
            ("stream_pieces", self.stream_pieces),
            ("datagrams", self.datagrams),
            ("dial_queue", self.dial_queue),
            ("packets_per_turn", self.packets_per_turn),
        ];
        if let Some((field, count)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return refuse(field, &count, "use at least 1");
        }
        if self.streams < 4 {
            return refuse("streams", &self.streams, "allow at least 4: an exchange is a stream");
        }
        let sizes = [
            ("stream_buffer", self.stream_buffer),
            ("endpoint_buffer", self.endpoint_buffer),
            ("undecryptable_buffer", self.undecryptable_buffer),
            ("receive_window", usize::try_from(self.receive_window).unwrap_or(usize::MAX)),
        ];
        if let Some((field, size)) = sizes.into_iter().find(|(_, size)| *size < LEAST_BUFFER) {
            return refuse(field, &size, "use at least 65536 bytes, the longest packet");
        }
        let spans = [
            ("dial_timeout", self.dial_timeout),
            ("packet_stream_timeout", self.packet_stream_timeout),
            ("stream_stall_timeout", self.stream_stall_timeout),
            ("idle_timeout", self.idle_timeout),
            ("max_idle_timeout", self.max_idle_timeout),
            ("stall_timeout", self.stall_timeout),
            ("path_mtu_raise_interval", self.path_mtu_raise_interval),
            ("credit_timeout", self.credit_timeout),
            ("sweep_interval", self.sweep_interval),
        ];
        let usable = LEAST_TIMEOUT..=LONGEST_TIMEOUT;
        if let Some((field, span)) = spans.into_iter().find(|(_, span)| !usable.contains(span)) {
            return refuse(field, &span, "use 1 ms to 10 years (3650 days)");
        }
        let may_be_zero = [
            ("dial_backoff", self.dial_backoff),
            ("dial_backoff_max", self.dial_backoff_max),
            ("keep_alive_period", self.keep_alive_period),
            ("duplicate_grace", self.duplicate_grace),
            ("max_connection_age", self.max_connection_age),
        ];
        let unusable = |span: &Duration| !span.is_zero() && !usable.contains(span);
        if let Some((field, span)) = may_be_zero.into_iter().find(|(_, span)| unusable(span)) {
            return refuse(field, &span, "use 1 ms to 10 years (3650 days), or zero for none");
        }
        if self.dial_backoff > self.dial_backoff_max {
            return refuse("dial_backoff", &self.dial_backoff, "keep it within dial_backoff_max");
        }
        if !(1000..=MAX_CONNECTION_PACKETS).contains(&self.max_connection_packets) {
            let packets = &self.max_connection_packets;
            return refuse("max_connection_packets", packets, "use 1,000 to 4,000,000");
        }
        if !(1200..=1500).contains(&self.max_udp_payload) {
            return refuse("max_udp_payload", &self.max_udp_payload, "use 1200 to 1500 bytes");
        }
        Ok(())
    }
}

/// A limit that cannot work; the message is a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the limit {field} = {value} does not work: {remedy}")]
pub struct LimitsError {
    /// Which one.
    pub field: &'static str,
    /// What it was set to.
    pub value: String,
    /// What to do about it.
    pub remedy: &'static str,
}

/// Largest packet that [`send_packet`](crate::Endpoint::send_packet) takes and that a peer may
/// send as a unidirectional stream, in bytes. The classic protocol refuses longer ones.
pub const MAX_PACKET: usize = 65_536;
/// Less than half of what a key of AES-GCM is good for.
const MAX_CONNECTION_PACKETS: usize = 4_000_000;
/// Room for the longest packet.
const LEAST_BUFFER: usize = MAX_PACKET;
/// Timers are no finer.
const LEAST_TIMEOUT: Duration = Duration::from_millis(1);
/// Ten years. Longer times are mistakes, and sums of them leave the range of a clock.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(10 * 365 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_work_and_a_bad_limit_is_named_with_its_remedy() {
        assert_eq!(Limits::default().validate(), Ok(()));
        type Change = fn(&mut Limits);
        let changes: [(&str, Change); 6] = [
            ("connections = 0", |limits| limits.connections = 0),
            ("streams = 3", |limits| limits.streams = 3),
            ("endpoint_buffer = 1000", |limits| limits.endpoint_buffer = 1000),
            ("sweep_interval = 0ns", |limits| limits.sweep_interval = Duration::ZERO),
            ("dial_backoff = 60s", |limits| limits.dial_backoff = Duration::from_secs(60)),
            ("max_udp_payload = 9000", |limits| limits.max_udp_payload = 9000),
        ];
        for (named, change) in changes {
            let mut limits = Limits::default();
            change(&mut limits);
            let error = limits.validate().unwrap_err().to_string();
            assert!(error.contains(named) && error.contains("does not work: "), "{error}");
        }
    }

    #[test]
    fn every_time_is_off_or_within_what_timers_can_keep() {
        type Field = (&'static str, fn(&mut Limits) -> &mut Duration);
        let fields: [Field; 12] = [
            ("dial_timeout", |limits| &mut limits.dial_timeout),
            ("dial_backoff", |limits| &mut limits.dial_backoff),
            ("dial_backoff_max", |limits| &mut limits.dial_backoff_max),
            ("packet_stream_timeout", |limits| &mut limits.packet_stream_timeout),
            ("idle_timeout", |limits| &mut limits.idle_timeout),
            ("max_idle_timeout", |limits| &mut limits.max_idle_timeout),
            ("keep_alive_period", |limits| &mut limits.keep_alive_period),
            ("stall_timeout", |limits| &mut limits.stall_timeout),
            ("credit_timeout", |limits| &mut limits.credit_timeout),
            ("duplicate_grace", |limits| &mut limits.duplicate_grace),
            ("max_connection_age", |limits| &mut limits.max_connection_age),
            ("sweep_interval", |limits| &mut limits.sweep_interval),
        ];
        let beyond = LONGEST_TIMEOUT + Duration::from_nanos(1);
        for (name, field) in fields {
            for bad in [Duration::from_nanos(500), beyond, Duration::MAX] {
                let mut limits = Limits::default();
                *field(&mut limits) = bad;
                let error = limits.validate().unwrap_err();
                assert_eq!((error.field, error.value), (name, format!("{bad:?}")));
                assert!(error.remedy.contains("1 ms to 10 years"), "{}", error.remedy);
            }
        }
    }
}
