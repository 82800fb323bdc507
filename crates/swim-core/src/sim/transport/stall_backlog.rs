//! What waits at a host that hangs: arrivals in its receive buffers, outputs it is blocked in.

use std::collections::VecDeque;

use crate::output::Output;
use crate::sim::arrival::Arrival;
use crate::sim::fault::Stall;

/// The usual receive buffer of a UDP socket on Linux (`net.core.rmem_default`), in bytes.
const RECEIVE_BUFFER: usize = 212_992;
/// What the kernel counts for a datagram beside its payload, in bytes.
const DATAGRAM_OVERHEAD: usize = 768;

/// Everything that waits at one blocked host.
pub(crate) struct StallBacklog {
    stall: Stall,
    /// No timer acts any more: the driver is blocked, or a timer's send is.
    stuck: bool,
    arrivals: VecDeque<Arrival>,
    outputs: Vec<Output>,
    /// Bytes in the receive buffer.
    buffered: usize,
}

/// What had to wait at a blocked host, in the order in which it came.
pub(crate) struct Blocked {
    pub(crate) stall: Stall,
    pub(crate) outputs: Vec<Output>,
    pub(crate) arrivals: VecDeque<Arrival>,
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

impl StallBacklog {
    pub(crate) fn new(stall: Stall) -> Self {
        Self {
            stall,
            stuck: stall == Stall::Driver,
            arrivals: VecDeque::new(),
            outputs: Vec::new(),
            buffered: 0,
        }
    }

    pub(crate) fn keep_arrival(&mut self, arrival: Arrival) -> Admission {
        if let Arrival::Packet { bytes, .. } = &arrival {
            let size = bytes.len() + DATAGRAM_OVERHEAD;
            if self.buffered + size > RECEIVE_BUFFER {
                return Admission::Overflow;
            }
            self.buffered += size;
        }
        self.arrivals.push_back(arrival);
        Admission::Later
    }

    /// Keeps what goes to the network, in which the host is blocked from then on; returns what
    /// does not go there.
    pub(crate) fn keep_output(&mut self, output: Output) -> Option<Output> {
        match output {
            Output::Packet { .. }
            | Output::OpenStream { .. }
            | Output::WriteStream { .. }
            | Output::CloseStream { .. } => {
                self.stuck = true;
                self.outputs.push(output);
                None
            }
            Output::ForgetPeer { .. }
            | Output::ResolveSeeds
            | Output::Finished { .. }
            | Output::Event(_) => Some(output),
        }
    }

    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck
    }

    pub(crate) fn into_blocked(self) -> Blocked {
        let Self { stall, outputs, arrivals, .. } = self;
        Blocked { stall, outputs, arrivals }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::application::AppRequest;
    use crate::sim::fault::HostId;

    #[test]
    fn a_stalled_host_keeps_what_its_receive_buffer_holds() {
        let mut backlog = StallBacklog::new(Stall::Network);
        let packet = || Arrival::Packet { from: HostId(0), bytes: vec![0; 1400] };
        let kept = (0..1000)
            .filter(|_| matches!(backlog.keep_arrival(packet()), Admission::Later))
            .count();
        assert_eq!(kept, RECEIVE_BUFFER / (1400 + DATAGRAM_OVERHEAD));
        let request = Arrival::Request(AppRequest::Leave);
        assert!(matches!(backlog.keep_arrival(request), Admission::Later));
    }

    #[test]
    fn a_host_with_blocked_sends_runs_until_it_wants_to_send() {
        let mut backlog = StallBacklog::new(Stall::Network);
        assert!(backlog.keep_output(Output::ResolveSeeds).is_some() && !backlog.is_stuck());
        let close = Output::CloseStream { id: crate::StreamId::outgoing(1) };
        assert!(backlog.keep_output(close).is_none() && backlog.is_stuck());
        assert!(StallBacklog::new(Stall::Driver).is_stuck());
    }
}
