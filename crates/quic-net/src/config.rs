//! What an endpoint is told when it starts: who it is, and every limit it keeps.
//!
//! Decides nothing by itself. Each limit says what happens when it is reached; the number of
//! times that happened is in [`EndpointStats`](crate::EndpointStats).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Tells which names a leaf certificate (DER) proves.
///
/// Called once for each authenticated connection. An empty answer means that names are not
/// enforced for that peer: every expected name matches it.
pub type Identify = Arc<dyn Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync>;

/// Everything an [`Endpoint`](crate::Endpoint) needs besides its TLS context.
#[derive(Clone)]
#[non_exhaustive]
pub struct EndpointConfig {
    /// The ALPN token of the extended protocol, offered first and spoken with peers of our kind:
    /// it allows the first bytes `0xF5` and `0xF6` and exchanges a HELLO.
    pub extended_protocol: Vec<u8>,
    /// The ALPN token of the classic protocol, offered second: plain packets and streams only.
    pub classic_protocol: Vec<u8>,
    /// Our own name, 1 to 255 bytes, sent in HELLO. Two peers that dialed each other keep the
    /// connection that the lower name dialed.
    pub name: Vec<u8>,
    /// A label, at most 255 bytes, sent in HELLO. Peers with unequal labels part at once.
    pub label: Vec<u8>,
    /// The key of connection ids, reset tokens and retry tokens. It must survive a restart, else
    /// peers keep sending into connections that no longer exist until these time out.
    pub reset_secret: [u8; 32],
    /// Reads the names out of a peer's certificate. Default: names are not enforced.
    pub identify: Identify,
    /// Every bound and timeout.
    pub limits: Limits,
}

impl EndpointConfig {
    /// A configuration with the given ALPN tokens and reset secret, and defaults elsewhere.
    pub fn new(
        extended_protocol: impl Into<Vec<u8>>,
        classic_protocol: impl Into<Vec<u8>>,
        reset_secret: [u8; 32],
    ) -> Self {
        Self {
            extended_protocol: extended_protocol.into(),
            classic_protocol: classic_protocol.into(),
            name: Vec::new(),
            label: Vec::new(),
            reset_secret,
            identify: Arc::new(|_| Vec::new()),
            limits: Limits::default(),
        }
    }
}

impl fmt::Debug for EndpointConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EndpointConfig")
            .field("extended_protocol", &self.extended_protocol.escape_ascii().to_string())
            .field("classic_protocol", &self.classic_protocol.escape_ascii().to_string())
            .field("name", &self.name.escape_ascii().to_string())
            .field("label", &self.label.escape_ascii().to_string())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// The bounds and timeouts of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections held at once, default 512. At the bound the idle connection that was used
    /// longest ago is closed; if none is idle, new ones are refused.
    pub connections: usize,
    /// Connections that one certificate may hold where names are enforced, default 16: a peer
    /// needs one or two. Beyond it the certificate's own connection that was used longest ago is
    /// closed.
    pub per_certificate: usize,
    /// Handshakes of incoming connections in flight, default 64. Above it the other side must
    /// first prove its address with a Retry token, which costs it one round trip.
    pub handshakes: usize,
    /// Handshakes of incoming connections in flight, default 256. Above it new ones are dropped.
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
    /// Datagrams queued in each direction of one connection, default 256. At the bound the older
    /// half is dropped: a fresh datagram is worth more than a stale one.
    pub datagrams: usize,
    /// Packets queued for a peer while it is being dialed, default 32; the oldest is dropped.
    pub dial_queue: usize,
    /// Bytes in all queues of the endpoint, default 64 MiB. At the bound new packets are dropped.
    pub endpoint_buffer: usize,
    /// How long a dial may take, default 3 s.
    pub dial_timeout: Duration,
    /// First pause after a failed dial, default 100 ms, doubled with each failure up to
    /// [`dial_backoff_max`](Self::dial_backoff_max); jittered by half. Packets for the peer fail
    /// at once during the pause; a stream dials anyway.
    pub dial_backoff: Duration,
    /// Longest pause after a failed dial, default 5 s.
    pub dial_backoff_max: Duration,
    /// How long a packet that travels as a unidirectional stream may take, on both ends,
    /// default 10 s.
    pub packet_stream_timeout: Duration,
    /// How long a connection may carry no packet and no stream payload before we close it,
    /// default 5 min.
    pub idle_timeout: Duration,
    /// The idle timeout that QUIC negotiates (the smaller of both sides' counts; any traffic
    /// keeps it up), default 6 min, so that our own [`idle_timeout`](Self::idle_timeout) decides.
    pub max_idle_timeout: Duration,
    /// Interval of QUIC keep-alives, default zero: none are sent.
    pub keep_alive_period: Duration,
    /// How long a peer may leave everything unanswered before the next packet dials it anew,
    /// default 5 s.
    pub stall_timeout: Duration,
    /// How long a stream waits for the peer's permission to open before its connection is
    /// replaced, default 500 ms, or half of the time left to the stream's deadline.
    pub credit_timeout: Duration,
    /// How long a connection that lost against another one to the same peer stays open for what
    /// is still under way, default 2 s.
    pub duplicate_grace: Duration,
    /// Age at which a connection is replaced, default zero: only the limits of the cipher count
    /// (24 h or 4 million packets, well below 2^23 packets, RFC 9001 section 6.6).
    pub max_connection_age: Duration,
    /// How often idle, aged and stale connections are looked for, default 30 s.
    pub sweep_interval: Duration,
    /// Stateless resets sent in a second, default 100; more are not sent.
    pub resets_per_second: u32,
    /// QUIC packets sent for one connection in a turn, default 64; the rest waits for the other
    /// connections' turns.
    pub packets_per_turn: usize,
    /// Largest UDP payload we try to send, default 1452 (1500 minus IPv6 and UDP headers);
    /// path MTU discovery finds what passes.
    pub max_udp_payload: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            per_certificate: 16,
            handshakes: 64,
            half_open: 256,
            streams: 256,
            stream_buffer: 1 << 20,
            receive_window: 1 << 20,
            datagrams: 256,
            dial_queue: 32,
            endpoint_buffer: 64 << 20,
            dial_timeout: Duration::from_secs(3),
            dial_backoff: Duration::from_millis(100),
            dial_backoff_max: Duration::from_secs(5),
            packet_stream_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(300),
            max_idle_timeout: Duration::from_secs(360),
            keep_alive_period: Duration::ZERO,
            stall_timeout: Duration::from_secs(5),
            credit_timeout: Duration::from_millis(500),
            duplicate_grace: Duration::from_secs(2),
            max_connection_age: Duration::ZERO,
            sweep_interval: Duration::from_secs(30),
            resets_per_second: 100,
            packets_per_turn: 64,
            max_udp_payload: 1452,
        }
    }
}

/// Largest packet that [`send_packet`](crate::Endpoint::send_packet) takes and that a peer may
/// send as a unidirectional stream, in bytes. The classic protocol refuses longer ones.
pub const MAX_PACKET: usize = 65_536;
