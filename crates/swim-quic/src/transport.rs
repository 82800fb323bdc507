//! The QUIC endpoint as the membership machine's transport.
//!
//! Translates names, times and failures between `swim-core` and `quic-net`, which do not know
//! each other. A stream is called the same on both sides, by the number in its token.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quic_net::{
    CloseReason, Endpoint, EndpointEvent, HostError, KernelRefusal, PeerIdentity, Read, ReadError,
    SendFailure, StreamError, StreamToken,
};
use swim_core::{
    Destination, DialFailure, Features, Hint, MemberName, Peer, StreamFailure, StreamGone,
    StreamId, StreamRead, Time, Transport, TransportEvent,
};

/// An endpoint, lent to the machine for one call.
pub(crate) struct EndpointTransport<'a> {
    endpoint: &'a mut Endpoint,
    clock: Clock,
}

/// Translates between the machine's time and the real one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn starting_at(origin: Instant) -> Self {
        Self { origin }
    }

    /// The machine's time at a real one; zero before the start.
    pub(crate) fn time(self, now: Instant) -> Time {
        let micros = now.saturating_duration_since(self.origin).as_micros();
        Time::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    pub(crate) fn instant(self, time: Time) -> Instant {
        self.origin + Duration::from_micros(time.as_micros())
    }

    /// How long the machine has existed.
    pub(crate) fn age(self, now: Instant) -> Duration {
        now.saturating_duration_since(self.origin)
    }
}

impl<'a> EndpointTransport<'a> {
    pub(crate) fn new(endpoint: &'a mut Endpoint, clock: Clock) -> Self {
        Self { endpoint, clock }
    }
}

impl Transport for EndpointTransport<'_> {
    fn send_packet(&mut self, to: &Destination, bytes: &[u8], now: Time) {
        let expected = to.name.as_ref().map(MemberName::as_bytes);
        self.endpoint.send_packet(to.address, expected, bytes, self.clock.instant(now));
    }

    fn open_stream(&mut self, id: StreamId, to: &Destination, deadline: Time, now: Time) {
        let expected = to.name.as_ref().map(MemberName::as_bytes);
        let (deadline, now) = (self.clock.instant(deadline), self.clock.instant(now));
        self.endpoint.open_stream(token_of(id), to.address, expected, deadline, now);
    }

    fn write(&mut self, id: StreamId, bytes: &[u8], finish: bool) -> Result<usize, StreamGone> {
        self.endpoint.write(token_of(id), bytes, finish).map_err(|_| StreamGone)
    }

    fn read(&mut self, id: StreamId, buffer: &mut [u8]) -> Result<StreamRead, StreamFailure> {
        match self.endpoint.read(token_of(id), buffer) {
            Ok(Read { bytes, fin }) => Ok(StreamRead { bytes, fin }),
            Err(ReadError::Reset(_)) => Err(StreamFailure::Reset),
            Err(ReadError::UnknownStream | _) => Err(StreamFailure::Closed),
        }
    }

    fn stop(&mut self, id: StreamId) {
        self.endpoint.stop(token_of(id));
    }

    fn reset(&mut self, id: StreamId) {
        self.endpoint.reset(token_of(id));
    }

    fn close_peer(&mut self, address: SocketAddr, now: Time) {
        self.endpoint.close(address, CloseReason::Requested, self.clock.instant(now));
    }
}

/// What the machine knows of the connections' peers, made once for each connection.
#[derive(Default)]
pub(crate) struct Peers {
    last: Option<(Arc<PeerIdentity>, Peer)>,
}

impl Peers {
    pub(crate) fn get(&mut self, identity: &Arc<PeerIdentity>) -> Peer {
        if let Some((known, peer)) = &self.last
            && Arc::ptr_eq(known, identity)
        {
            return peer.clone();
        }
        let names = identity.possible_names().iter();
        let names = names.filter_map(|name| MemberName::try_from(Arc::clone(name)).ok()).collect();
        let peer = Peer { address: identity.address, names };
        self.last = Some((Arc::clone(identity), peer.clone()));
        peer
    }

    /// What an endpoint's event means to the machine; the event back if it means nothing there.
    pub(crate) fn translate(
        &mut self,
        event: EndpointEvent,
    ) -> Result<TransportEvent, EndpointEvent> {
        Ok(match event {
            EndpointEvent::Packet { peer, bytes } => {
                TransportEvent::Packet { from: self.get(&peer), bytes }
            }
            EndpointEvent::StreamOpened { stream, peer, application: false } => {
                TransportEvent::StreamOpened { id: id_of(stream), from: self.get(&peer) }
            }
            EndpointEvent::StreamReadable { stream } => {
                TransportEvent::StreamReadable { id: id_of(stream) }
            }
            EndpointEvent::StreamWritable { stream } => {
                TransportEvent::StreamWritable { id: id_of(stream) }
            }
            EndpointEvent::StreamFailed { stream, reason } => {
                TransportEvent::StreamFailed { id: id_of(stream), reason: failure_of(&reason) }
            }
            EndpointEvent::SendFailed { to, reason } => {
                TransportEvent::SendFailed { to, reason: packet_failure_of(&reason) }
            }
            EndpointEvent::HostError { to, what } => {
                TransportEvent::Hint { from: to, hint: hint_of(what) }
            }
            EndpointEvent::PacketLimit { to, limit } => TransportEvent::PacketLimit { to, limit },
            EndpointEvent::PeerFeatures { to, features } => {
                let start = features.as_deref().and_then(Features::start_in);
                let features = features.map(|bytes| Features::from_bytes(&bytes));
                TransportEvent::PeerFeatures { to, features, start }
            }
            other @ (EndpointEvent::Connected { .. }
            | EndpointEvent::Closed { .. }
            | EndpointEvent::ApplicationPacket { .. }
            | EndpointEvent::StreamOpened { application: true, .. }
            | EndpointEvent::StreamStopped { .. }
            | EndpointEvent::SendError { .. }
            | EndpointEvent::Refused { .. }
            | EndpointEvent::RawDatagram { .. }) => return Err(other),
        })
    }
}

/// A stream's name in the endpoint: the machine numbers what it opens, the endpoint what peers
/// open, and both keep the lowest bit for telling the two apart.
pub(crate) fn token_of(id: StreamId) -> StreamToken {
    StreamToken::from_raw(id.to_raw())
}

fn id_of(token: StreamToken) -> StreamId {
    StreamId::from_raw(token.raw())
}

fn hint_of(error: HostError) -> Hint {
    match error {
        HostError::PortUnreachable => Hint::Refused,
        HostError::HostUnreachable | _ => Hint::Unreachable,
    }
}

fn failure_of(error: &StreamError) -> StreamFailure {
    match error {
        StreamError::TimedOut => StreamFailure::TimedOut,
        StreamError::Refused(_) => StreamFailure::Refused,
        StreamError::NameMismatch => StreamFailure::PeerMismatch,
        StreamError::Reset(_) => StreamFailure::Reset,
        StreamError::DialTimedOut => StreamFailure::NotConnected(DialFailure::NoAnswer),
        StreamError::HandshakeTimedOut => {
            StreamFailure::NotConnected(DialFailure::HandshakeUnfinished)
        }
        StreamError::Unreachable => StreamFailure::NotConnected(DialFailure::Ended),
        StreamError::Kernel(refusal) => StreamFailure::NotConnected(dial_failure_of(*refusal)),
        StreamError::Closed | StreamError::ClassicPeer | StreamError::Unavailable | _ => {
            StreamFailure::Closed
        }
    }
}

fn packet_failure_of(failure: &SendFailure) -> StreamFailure {
    match failure {
        SendFailure::DialTimedOut => StreamFailure::NotConnected(DialFailure::NoAnswer),
        SendFailure::HandshakeTimedOut => {
            StreamFailure::NotConnected(DialFailure::HandshakeUnfinished)
        }
        SendFailure::Kernel(refusal) => StreamFailure::NotConnected(dial_failure_of(*refusal)),
        SendFailure::Backoff => StreamFailure::NotConnected(DialFailure::Pausing),
        SendFailure::Refused(_) => StreamFailure::Refused,
        SendFailure::NameMismatch => StreamFailure::PeerMismatch,
        SendFailure::Unreachable
        | SendFailure::TooLarge
        | SendFailure::ClassicPeer
        | SendFailure::Unavailable
        | _ => StreamFailure::Closed,
    }
}

fn dial_failure_of(refusal: KernelRefusal) -> DialFailure {
    match refusal {
        KernelRefusal::NotPermitted => DialFailure::NotPermitted,
        KernelRefusal::NetworkUnreachable => DialFailure::NetworkUnreachable,
        KernelRefusal::HostUnreachable => DialFailure::HostUnreachable,
        KernelRefusal::AddressFamily => DialFailure::AddressFamily,
        KernelRefusal::Other(errno) => DialFailure::Kernel(errno),
        // These two do not end a dial.
        KernelRefusal::TooLong | KernelRefusal::ConnectionRefused | _ => DialFailure::Kernel(0),
    }
}
