//! Who is who in the model, what the network between them does, and the bounds of endpoints.

use std::net::SocketAddr;
use std::time::Duration;

/// One modelled endpoint, in the order in which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(pub u32);

impl EndpointId {
    /// Stands for one of the addresses at which nobody is.
    pub(super) fn nobody(number: usize) -> Self {
        Self(u32::MAX - u32::try_from(number).unwrap_or(FIRST_NOBODY))
    }

    pub(super) fn is_nobody(self) -> bool {
        self.0 > u32::MAX - FIRST_NOBODY
    }

    /// Its place in the order of adding, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Half of all numbers are for endpoints, half for addresses without one.
const FIRST_NOBODY: u32 = u32::MAX / 2;

/// What the network between endpoints does. Asked at the moment at which something is sent.
pub trait Links {
    /// Who is at an address, or was there last; `None` where nobody ever was.
    fn endpoint_at(&self, address: SocketAddr) -> Option<EndpointId>;

    /// Whether anything travels from one to the other at present.
    fn connects(&self, from: EndpointId, to: EndpointId) -> bool;

    /// What becomes of one datagram: lost wherever [`connects`](Self::connects) is false. Its bytes
    /// may be damaged where the application's checksum or encryption notices it; there are none
    /// where QUIC itself has something to say.
    fn datagram(&mut self, from: EndpointId, to: EndpointId, bytes: &mut [u8]) -> Journey;

    /// Whether packets from one to the other are refused, as the sender is told: by the host of a
    /// process that `is_up` or not, or by a firewall that rejects them.
    fn refuses(&self, from: EndpointId, to: EndpointId, is_up: bool) -> bool {
        let _ = (from, to, is_up);
        false
    }

    /// The longest packet that gets from one to the other as a datagram. Those that are longer and
    /// do not exceed the sender's limit are lost, and the sender lowers its limit after some.
    fn longest_datagram(&self, from: EndpointId, to: EndpointId) -> usize {
        let _ = (from, to);
        usize::MAX
    }

    /// How long bytes of a stream take, retransmissions included.
    fn stream_delay(&mut self, from: EndpointId, to: EndpointId) -> Duration;

    /// What happens to a stream that is being opened.
    fn stream_faults(&mut self) -> StreamFaults {
        StreamFaults::default()
    }

    /// How many of the bytes that wait on a stream arrive together.
    fn piece(&mut self, waiting: usize) -> usize {
        waiting
    }
}

/// What becomes of one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journey {
    /// It is gone.
    Lost,
    /// It arrives after this time, and perhaps once more after another.
    Arrives {
        /// The time of travel.
        after: Duration,
        /// A second copy.
        again: Option<Duration>,
    },
}

/// What happens to one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamFaults {
    /// It is refused.
    pub refused: bool,
    /// It is reset after so many more pieces.
    pub reset_after: Option<usize>,
}

/// The longest packet that travels as a datagram once a path has proved to carry less than before:
/// the 1,200 bytes of UDP payload that every path of QUIC carries (RFC 9000 section 14), less what
/// the real endpoint puts around a packet.
pub const LOWERED_PACKET_LIMIT: usize = 1_168;

/// The bounds and timeouts of modelled endpoints. They carry the names of the real endpoint's.
#[derive(Clone, Copy, Debug)]
pub struct ModelLimits {
    /// How long a dial may take.
    pub dial_timeout: Duration,
    /// The first pause after a failed dial; it doubles with each further failure.
    pub dial_backoff: Duration,
    /// The longest pause after failed dials.
    pub dial_backoff_max: Duration,
    /// Packets queued for a peer while it is dialed; the oldest is dropped.
    pub dial_queue: usize,
    /// How long everything may go unanswered before the next packet dials anew.
    pub stall_timeout: Duration,
    /// Bytes queued for sending on one stream.
    pub stream_buffer: usize,
    /// Unread bytes that one stream grants its sender.
    pub receive_window: usize,
    /// The largest packet that travels as one datagram.
    pub packet_limit: usize,
}

impl Default for ModelLimits {
    /// The defaults of the real endpoint.
    fn default() -> Self {
        Self {
            dial_timeout: Duration::from_secs(3),
            dial_backoff: Duration::from_millis(100),
            dial_backoff_max: Duration::from_secs(5),
            dial_queue: 32,
            stall_timeout: Duration::from_secs(5),
            stream_buffer: 256 * 1024,
            receive_window: 128 * 1024,
            packet_limit: 1_420,
        }
    }
}
