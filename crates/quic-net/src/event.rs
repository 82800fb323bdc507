//! What an endpoint reports: peers, packets, streams, and every refusal with its reason.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use crate::error::{SendFailure, StreamError};
use crate::host_error::HostError;
use crate::kernel_refusal::KernelRefusal;
use crate::reason::{CloseReason, Refusal};
use crate::stream_token::StreamToken;

/// Something the application should know; drained with
/// [`poll_event`](crate::Endpoint::poll_event).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointEvent {
    /// A peer is authenticated both ways and can be talked to.
    Connected {
        /// Who it is.
        peer: Arc<PeerIdentity>,
    },
    /// A connection that was reported as [`Connected`](Self::Connected) is gone. That proves
    /// nothing about the peer itself.
    Closed {
        /// Who it was.
        peer: Arc<PeerIdentity>,
        /// Why.
        reason: CloseReason,
    },
    /// A packet arrived, as a datagram or as a unidirectional stream.
    Packet {
        /// Who sent it.
        peer: Arc<PeerIdentity>,
        /// The payload; its first byte is neither `0xF5` nor `0xF6`.
        bytes: Vec<u8>,
    },
    /// An application packet: its first byte is `0xF5` (extended protocol only).
    ApplicationPacket {
        /// Who sent it.
        peer: Arc<PeerIdentity>,
        /// The whole payload, first byte included.
        bytes: Vec<u8>,
    },
    /// The peer opened a bidirectional stream and its first byte has arrived.
    StreamOpened {
        /// The stream; [`StreamReadable`](Self::StreamReadable) follows.
        stream: StreamToken,
        /// Who opened it.
        peer: Arc<PeerIdentity>,
        /// Whether the first byte is `0xF5`: the stream belongs to an application protocol.
        application: bool,
    },
    /// There is something to read. Read until nothing comes any more, else no further event
    /// announces what is left.
    StreamReadable {
        /// Which one, of either side.
        stream: StreamToken,
    },
    /// The peer has room for a new stream of ours, or a stream whose buffer was full takes more.
    StreamWritable {
        /// Which one, of either side.
        stream: StreamToken,
    },
    /// The peer reads no more of an application stream: what it has not taken is lost, and nothing
    /// more can be written. What it sends can still be read. A stream whose first byte is not
    /// `0xF5` fails instead.
    StreamStopped {
        /// Which one, of either side.
        stream: StreamToken,
        /// The peer's application error code.
        code: u64,
    },
    /// The stream is gone; its token is not valid any more.
    StreamFailed {
        /// Which one, of either side.
        stream: StreamToken,
        /// Why.
        reason: StreamError,
    },
    /// At least one packet for this address was not sent.
    SendFailed {
        /// The address given to [`send_packet`](crate::Endpoint::send_packet).
        to: SocketAddr,
        /// Why.
        reason: SendFailure,
    },
    /// This machine's kernel refused to send a datagram. Reported at most once a second; the
    /// [counters](crate::EndpointStats::send_errors) know all.
    SendError {
        /// Where to.
        to: SocketAddr,
        /// Why.
        reason: KernelRefusal,
    },
    /// A host or a router answered a datagram of a connection with an ICMP error. That proves
    /// nothing about the peer: a firewall may have sent it.
    HostError {
        /// The peer's address.
        to: SocketAddr,
        /// What it says.
        what: HostError,
    },
    /// The largest packet that travels as one datagram to this peer was learnt or has changed:
    /// after the handshake, and when path MTU discovery is done.
    PacketLimit {
        /// The peer's address.
        to: SocketAddr,
        /// In bytes.
        limit: usize,
    },
    /// What the peer at this address speaks beyond the basics was learnt or has changed. It comes
    /// before [`Connected`](Self::Connected) of the connection that told it, and with `None` when
    /// no connection to the address is left on which packets would be sent at once.
    PeerFeatures {
        /// The peer's address.
        to: SocketAddr,
        /// The [`features`](crate::EndpointConfig::features) in its HELLO; empty from peers of
        /// our kind that do not say, `None` without a confirmed connection and on the classic
        /// protocol.
        features: Option<Arc<[u8]>>,
    },
    /// A peer was turned away, or turned us away, before it was authenticated.
    Refused {
        /// The other side's address.
        from: SocketAddr,
        /// Which kind of refusal.
        what: Refusal,
        /// Which side refused and why, for a log line. Part of it may come from the peer's
        /// certificate.
        detail: String,
    },
    /// A datagram that is not QUIC arrived on the port: its first byte is below
    /// [`FIRST_QUIC_BYTE`](crate::FIRST_QUIC_BYTE).
    RawDatagram {
        /// Its sender, unauthenticated.
        from: SocketAddr,
        /// The whole datagram.
        bytes: Vec<u8>,
    },
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// The remote UDP address, with IPv4-mapped addresses unmapped.
    pub address: SocketAddr,
    /// The names that its certificate proves; empty if names are not enforced.
    pub names: Vec<Arc<[u8]>>,
    /// The one of [`names`](Self::names) that the connection belongs to: the only one, or the one
    /// that the peer's HELLO gives, or the one that
    /// [`set_peer_name`](crate::Endpoint::set_peer_name) gave. `None` while that is open, and if
    /// names are not enforced.
    pub name: Option<Arc<[u8]>>,
    /// SHA-256 of the leaf certificate (DER).
    pub fingerprint: [u8; 32],
    /// SHA-256 of each certificate (DER) that the peer sent beside its leaf.
    pub issuers: Vec<[u8; 32]>,
    /// When the first of the two leaf certificates of the connection ends, the peer's or ours;
    /// see [`close_expired`](crate::Endpoint::close_expired). `None` if no clock can tell.
    pub expires: Option<SystemTime>,
    /// The protocol that was negotiated.
    pub protocol: Protocol,
    /// Whether we dialed; else the peer did.
    pub dialed: bool,
}

impl PeerIdentity {
    /// Whether the peer may be `name`: the connection belongs to it or, while that is open, the
    /// certificate proves it, or names are not enforced.
    pub fn is(&self, name: &[u8]) -> bool {
        let names = self.possible_names();
        names.is_empty() || names.iter().any(|own| **own == *name)
    }

    /// Whether the peer has shown this certificate, as its own or as one of its issuers.
    pub fn shows(&self, fingerprint: &[u8; 32]) -> bool {
        self.fingerprint == *fingerprint || self.issuers.contains(fingerprint)
    }

    /// The name that the connection belongs to or, while that is open, all that its certificate
    /// proves; empty if names are not enforced.
    pub fn possible_names(&self) -> &[Arc<[u8]>] {
        self.name.as_ref().map_or(&self.names, std::slice::from_ref)
    }

    /// Whether nothing that the peer has still to say decides who it is. A classic peer says
    /// nothing.
    pub(crate) fn is_settled(&self) -> bool {
        self.name.is_some() || self.names.is_empty() || self.protocol == Protocol::Classic
    }
}

/// The application protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// With HELLO, application packets and application streams.
    Extended,
    /// Packets and streams only.
    Classic,
}

/// What [`read`](crate::Endpoint::read) found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// Bytes written to the buffer; 0 without `fin` means that nothing is there at the moment.
    pub bytes: usize,
    /// Whether the peer has finished and everything was read.
    pub fin: bool,
}
