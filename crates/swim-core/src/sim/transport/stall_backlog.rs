//! What waits at a host that hangs: arrivals in its receive buffers, outputs it is blocked in.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::output::{Destination, StreamId};
use crate::sim::arrival::Arrival;
use crate::sim::fault::Stall;
use crate::time::Time;
use crate::transport::TransportEvent;

/// The usual receive buffer of a UDP socket on Linux (`net.core.rmem_default`), in bytes.
const RECEIVE_BUFFER: usize = 212_992;
/// What the kernel counts for a datagram beside its payload, in bytes.
const DATAGRAM_OVERHEAD: usize = 768;

/// Everything that waits at one blocked host.
pub(crate) struct Backlog {
    stall: Stall,
    /// No timer acts any more: the driver is blocked, or a timer's send is.
    stuck: bool,
    arrivals: VecDeque<Arrival>,
    calls: Vec<DelayedCall>,
    /// Bytes in the receive buffer.
    buffered: usize,
}

/// What had to wait at a blocked host, in the order in which it came.
pub(crate) struct Blocked {
    pub(crate) stall: Stall,
    pub(crate) calls: Vec<DelayedCall>,
    pub(crate) arrivals: VecDeque<Arrival>,
}

/// A call of the transport in which a host is blocked.
#[derive(Debug)]
pub(crate) enum DelayedCall {
    SendPacket(Destination, Vec<u8>),
    /// With the deadline in virtual time.
    OpenStream(StreamId, Destination, Time),
    Write(StreamId, Vec<u8>, bool),
    Stop(StreamId),
    Reset(StreamId),
    ClosePeer(SocketAddr),
}

/// What becomes of an arrival at a host that may be blocked.
#[derive(Debug)]
pub(crate) enum Admission {
    /// The host runs: hand it over.
    Now(Arrival),
    /// It waits until the host runs again.
    Later,
    /// The receive buffer is full: it is lost.
    Overflow,
}

impl Backlog {
    pub(crate) fn new(stall: Stall) -> Self {
        Self {
            stall,
            stuck: stall == Stall::Driver,
            arrivals: VecDeque::new(),
            calls: Vec::new(),
            buffered: 0,
        }
    }

    pub(crate) fn keep_arrival(&mut self, arrival: Arrival) -> Admission {
        if let Arrival::Transport(TransportEvent::Packet { bytes, .. }) = &arrival {
            let size = bytes.len() + DATAGRAM_OVERHEAD;
            if self.buffered + size > RECEIVE_BUFFER {
                return Admission::Overflow;
            }
            self.buffered += size;
        }
        self.arrivals.push_back(arrival);
        Admission::Later
    }

    /// Keeps a call of the transport, in which the host is blocked from then on.
    pub(crate) fn keep_call(&mut self, call: DelayedCall) {
        self.stuck = true;
        self.calls.push(call);
    }

    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck
    }

    pub(crate) fn into_blocked(self) -> Blocked {
        let Self { stall, calls, arrivals, .. } = self;
        Blocked { stall, calls, arrivals }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::application::AppRequest;

    #[test]
    fn a_stalled_host_keeps_what_its_receive_buffer_holds() {
        let mut backlog = Backlog::new(Stall::Network);
        let from = crate::Peer::unverified(SocketAddr::from(([10, 0, 0, 1], 7946)));
        let packet = || {
            let (from, bytes) = (from.clone(), vec![0; 1400]);
            Arrival::Transport(TransportEvent::Packet { from, bytes })
        };
        let kept = (0..1000)
            .filter(|_| matches!(backlog.keep_arrival(packet()), Admission::Later))
            .count();
        assert_eq!(kept, RECEIVE_BUFFER / (1400 + DATAGRAM_OVERHEAD));
        let request = Arrival::Request(AppRequest::Leave);
        assert!(matches!(backlog.keep_arrival(request), Admission::Later));
    }

    #[test]
    fn a_host_with_blocked_sends_runs_until_it_wants_to_send() {
        let mut backlog = Backlog::new(Stall::Network);
        assert!(!backlog.is_stuck());
        backlog.keep_call(DelayedCall::Stop(StreamId::outgoing(1)));
        assert!(backlog.is_stuck());
        assert!(Backlog::new(Stall::Driver).is_stuck());
    }
}
