//! Streams between hosts: a handshake, bytes in order and in pieces, an end or a failure.
//!
//! Order is kept and nothing arrives twice, as QUIC promises. How long pieces take and which
//! streams fail follow from the faults in effect.

use std::time::Duration;

use crate::error::StreamFailure;
use crate::output::{Destination, StreamId};
use crate::sim::arrival::Arrival;
use crate::sim::coverage::Counted;
use crate::sim::fault::HostId;
use crate::sim::hosts::ProcessNumber;
use crate::sim::sim_event::SimDelivery;
use crate::sim::transport::dialing::DIAL_TIMEOUT;
use crate::sim::transport::model_streams::{
    ModelStreams, Piece, StreamNumber, StreamSide, split_randomly,
};
use crate::sim::transport::network::SimNetwork;
use crate::sim::transport::transport_context::TransportContext;
use crate::sim::transport::transport_timer::TransportTimer;
use crate::time::Time;

/// How soon a piece is tried again whose link is cut.
const RETRY: Duration = Duration::from_millis(250);

/// What a member writes to one stream at once.
pub(crate) struct StreamWrite {
    pub(crate) bytes: Vec<u8>,
    pub(crate) fin: bool,
}

/// Moves the bytes of all streams.
#[derive(Default)]
pub(crate) struct StreamCarrier {
    streams: ModelStreams,
}

impl StreamCarrier {
    /// Streams that have not ended.
    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }

    /// Opens a stream and sends its first and only write of the opener; `deadline` is by the
    /// opener's clock.
    pub(crate) fn open(
        &mut self,
        (from, id): (HostId, StreamId),
        to: &Destination,
        bytes: Vec<u8>,
        deadline: Time,
        network: &mut SimNetwork,
        context: &mut TransportContext<'_>,
    ) {
        let now = context.now();
        // A host that hung sends afterwards what it wanted before, perhaps after the deadline.
        let deadline = context.hosts.global(from, deadline).max(now);
        let Some(process) = context.hosts.process(from) else {
            return;
        };
        let round_trip = network.travel() + network.travel();
        let (target, there) = match reach(from, to, network, context) {
            Ok(reached) => reached,
            Err(Unreached::Nobody) => {
                let (reason, at) = (StreamFailure::TimedOut, deadline.min(now + DIAL_TIMEOUT));
                return plan_failure((from, process), id, reason, at, context);
            }
            Err(Unreached::AnotherMember) => {
                let (reason, at) = (StreamFailure::PeerMismatch, now + 2 * round_trip);
                return plan_failure((from, process), id, reason, at, context);
            }
        };
        let trouble = network.stream_trouble();
        if network.rng().happens(trouble.refused) {
            context.count(Counted::StreamRefused);
            let (reason, at) = (StreamFailure::Refused, now + round_trip);
            return plan_failure((from, process), id, reason, at, context);
        }
        let stream = self.streams.insert((from, process, id), (target, there), deadline);
        if network.rng().happens(trouble.reset) {
            let pieces = network.rng().below(2 * trouble.pieces.max(1));
            self.streams.reset_after(stream, pieces);
        }
        context.plan(deadline, TransportTimer::Deadline { stream });
        let write = StreamWrite { bytes, fin: true };
        self.put((stream, StreamSide::Acceptor), write, round_trip, network, context);
    }

    pub(crate) fn write(
        &mut self,
        (from, id): (HostId, StreamId),
        write: StreamWrite,
        network: &mut SimNetwork,
        context: &mut TransportContext<'_>,
    ) {
        let Some((number, side)) = self.streams.find(from, id) else {
            return;
        };
        if let Some(stream) = self.streams.get_mut(number) {
            stream.end_mut(side).finished |= write.fin;
        }
        self.put((number, side.other()), write, Duration::ZERO, network, context);
    }

    /// Sends bytes towards one side; `handshake` is what must pass before the first ones travel.
    fn put(
        &mut self,
        (number, to): (StreamNumber, StreamSide),
        write: StreamWrite,
        handshake: Duration,
        network: &mut SimNetwork,
        context: &mut TransportContext<'_>,
    ) {
        let most = network.stream_trouble().pieces;
        let pieces = split_randomly(write.bytes, write.fin, most, network.rng());
        if pieces.len() > 1 {
            context.count(Counted::StreamChopped);
        }
        let Some(stream) = self.streams.get_mut(number) else {
            return;
        };
        let from = stream.end(to.other()).host;
        let end = stream.end_mut(to);
        end.inbox.extend(pieces);
        if !end.moving {
            end.moving = true;
            let delay = network.travel() + network.retransmission(from, end.host);
            let at = context.now() + handshake + delay;
            context.plan(at, TransportTimer::Piece { stream: number, to });
        }
    }

    /// A piece has travelled to one side: what that side is given, if its link is not cut.
    pub(crate) fn move_piece(
        &mut self,
        number: StreamNumber,
        to: StreamSide,
        network: &mut SimNetwork,
        context: &mut TransportContext<'_>,
    ) -> Vec<SimDelivery> {
        let Some(stream) = self.streams.get_mut(number) else {
            return Vec::new();
        };
        let (from, target) = (stream.end(to.other()).host, stream.end(to).host);
        match context.hosts.process(target) {
            // It hangs until the deadline.
            None => return Vec::new(),
            Some(current) if current != stream.end(to).process => {
                return self.fail_both(number, StreamFailure::Reset);
            }
            Some(_) => {}
        }
        if !network.connects(from, target) {
            if context.now() < stream.deadline {
                let at = context.now() + RETRY;
                context.plan(at, TransportTimer::Piece { stream: number, to });
            }
            return Vec::new();
        }
        if stream.spend_piece() {
            return self.deliver_piece(number, to, network, context);
        }
        context.count(Counted::StreamReset);
        self.fail_both(number, StreamFailure::Reset)
    }

    fn deliver_piece(
        &mut self,
        number: StreamNumber,
        to: StreamSide,
        network: &mut SimNetwork,
        context: &mut TransportContext<'_>,
    ) -> Vec<SimDelivery> {
        let Some(stream) = self.streams.get_mut(number) else {
            return Vec::new();
        };
        let peer = stream.end(to.other()).host;
        let end = stream.end_mut(to);
        end.moving = false;
        let Some(Piece { bytes, fin }) = end.inbox.pop_front() else {
            return Vec::new();
        };
        let (host, process, id) = (end.host, end.process, end.id);
        let first = to == StreamSide::Acceptor && !end.open && !end.finished && !end.complete;
        end.open |= first;
        let wanted = end.open;
        end.complete |= fin;
        if !end.inbox.is_empty() {
            end.moving = true;
            let delay = network.travel() + network.retransmission(peer, host);
            let at = context.now() + delay;
            context.plan(at, TransportTimer::Piece { stream: number, to });
        }
        if stream.is_over() {
            self.streams.remove(number);
        }
        let opened = first.then_some(Arrival::StreamOpened { id, from: peer });
        let data = wanted.then_some(Arrival::StreamData { id, bytes, fin });
        let arrivals = opened.into_iter().chain(data);
        arrivals.map(|arrival| SimDelivery { host, process, arrival }).collect()
    }

    /// A member has no more interest in a stream.
    pub(crate) fn close(
        &mut self,
        (host, id): (HostId, StreamId),
        network: &mut SimNetwork,
        context: &mut TransportContext<'_>,
    ) {
        let Some((number, side)) = self.streams.find(host, id) else {
            return;
        };
        let Some(stream) = self.streams.get_mut(number) else {
            return;
        };
        let late = stream.deadline <= context.now();
        let end = stream.end_mut(side);
        end.open = false;
        let abandoned = !end.finished;
        let unanswered = side == StreamSide::Opener && !end.complete;
        end.complete = true;
        if unanswered && late {
            context.count(Counted::StreamTimedOut);
        }
        let other = stream.end(side.other());
        let (peer, process) = (other.host, other.process);
        if stream.is_over() {
            self.streams.remove(number);
        } else if abandoned {
            let at = context.now() + network.travel();
            let reason = StreamFailure::Reset;
            let (host, side) = (peer, side.other());
            let timer = TransportTimer::Failure { host, process, stream: number, side, reason };
            context.plan(at, timer);
        }
    }

    /// One side learns that the stream is gone.
    pub(crate) fn fail_side(
        &mut self,
        (host, process): (HostId, ProcessNumber),
        (number, side): (StreamNumber, StreamSide),
        reason: StreamFailure,
    ) -> Option<SimDelivery> {
        let stream = self.streams.remove(number)?;
        let end = stream.end(side);
        let arrival = Arrival::StreamFailed { id: end.id, reason };
        (end.open && !end.complete).then_some(SimDelivery { host, process, arrival })
    }

    /// The deadline of a stream has passed: both sides are told, as far as they still wait.
    pub(crate) fn expire(
        &mut self,
        number: StreamNumber,
        context: &mut TransportContext<'_>,
    ) -> Vec<SimDelivery> {
        if self.streams.get_mut(number).is_some_and(|stream| {
            let opener = stream.end(StreamSide::Opener);
            opener.open && !opener.complete
        }) {
            context.count(Counted::StreamTimedOut);
        }
        self.fail_both(number, StreamFailure::TimedOut)
    }

    fn fail_both(&mut self, number: StreamNumber, reason: StreamFailure) -> Vec<SimDelivery> {
        let Some(stream) = self.streams.remove(number) else {
            return Vec::new();
        };
        let ends = [StreamSide::Opener, StreamSide::Acceptor].map(|side| stream.end(side));
        let waiting = ends.into_iter().filter(|end| end.open && !(end.complete && end.finished));
        waiting
            .map(|end| SimDelivery {
                host: end.host,
                process: end.process,
                arrival: Arrival::StreamFailed { id: end.id, reason },
            })
            .collect()
    }
}

/// Why a dial leads to no stream.
enum Unreached {
    Nobody,
    /// The certificate there names another member than the expected one.
    AnotherMember,
}

/// Who can be reached at a destination.
fn reach(
    from: HostId,
    to: &Destination,
    network: &SimNetwork,
    context: &mut TransportContext<'_>,
) -> Result<(HostId, ProcessNumber), Unreached> {
    let found = context.hosts.at(to.address).filter(|target| {
        *target != from && network.connects(from, *target) && network.connects(*target, from)
    });
    let Some(reached) = found.and_then(|target| Some((target, context.hosts.process(target)?)))
    else {
        context.count(Counted::StreamTimedOut);
        return Err(Unreached::Nobody);
    };
    if context.names_another(reached.0, to) {
        context.count(Counted::StreamMismatched);
        return Err(Unreached::AnotherMember);
    }
    Ok(reached)
}

fn plan_failure(
    (host, process): (HostId, ProcessNumber),
    id: StreamId,
    reason: StreamFailure,
    at: Time,
    context: &mut TransportContext<'_>,
) {
    context.plan_arrival(at, host, process, Arrival::StreamFailed { id, reason });
}
