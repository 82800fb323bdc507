//! Streams between hosts: a handshake, bytes in order and in pieces, an end or a failure.
//!
//! Order is kept and nothing arrives twice, as QUIC promises; all else is the weather's to draw.

use crate::error::StreamFailure;
use crate::output::{Destination, StreamId};
use crate::sim::coverage::Counted;
use crate::sim::fault::HostId;
use crate::sim::host::Arrival;
use crate::sim::simulation::packets::DIAL_TIMEOUT;
use crate::sim::simulation::{SimEvent, Simulation};
use crate::sim::streams::{Piece, Side, chop};
use crate::time::Time;

use std::time::Duration;

/// How soon a piece is tried again that found no way.
const RETRY: Duration = Duration::from_millis(250);

impl Simulation {
    pub(super) fn open_stream(
        &mut self,
        from: HostId,
        id: StreamId,
        to: &Destination,
        bytes: Vec<u8>,
        deadline: Time,
    ) {
        let state = &self.hosts[from.index()];
        // What a host wanted before it hung comes out afterwards, perhaps too late.
        let deadline = state.clock.global(deadline).max(self.now);
        let Some(life) = state.life.as_ref().map(|life| life.number) else {
            return;
        };
        let round_trip = self.network.travel() + self.network.travel();
        let Some(target) = self.host_at(to.address).filter(|target| *target != from) else {
            self.coverage.add(Counted::StreamTimedOut);
            let at = deadline.min(self.now + DIAL_TIMEOUT);
            return self.plan_failure(from, id, StreamFailure::TimedOut, at);
        };
        let connected = self.network.connects(from, target) && self.network.connects(target, from);
        let Some(there) =
            self.hosts[target.index()].life.as_ref().map(|life| life.number).filter(|_| connected)
        else {
            self.coverage.add(Counted::StreamTimedOut);
            let at = deadline.min(self.now + DIAL_TIMEOUT);
            return self.plan_failure(from, id, StreamFailure::TimedOut, at);
        };
        if self.is_somebody_else(target, to) {
            self.coverage.add(Counted::StreamMismatched);
            let at = self.now + 2 * round_trip;
            return self.plan_failure(from, id, StreamFailure::PeerMismatch, at);
        }
        let trouble = self.network.stream_trouble();
        if self.network.rng().happens(trouble.refused) {
            self.coverage.add(Counted::StreamRefused);
            let at = self.now + round_trip;
            return self.plan_failure(from, id, StreamFailure::Refused, at);
        }
        let number = self.streams.insert((from, life, id), (target, there), deadline);
        if self.network.rng().happens(trouble.reset) {
            let pieces = self.network.rng().below(2 * trouble.pieces.max(1));
            if let Some(stream) = self.streams.get_mut(number) {
                stream.reset_after = Some(pieces);
            }
        }
        self.agenda.plan(deadline, SimEvent::Expire { stream: number });
        self.put(number, Side::Acceptor, bytes, true, round_trip);
    }

    fn plan_failure(&mut self, host: HostId, id: StreamId, reason: StreamFailure, at: Time) {
        if let Some(life) = &self.hosts[host.index()].life {
            let life = life.number;
            let arrival = Arrival::StreamFailed { id, reason };
            self.agenda.plan(at, SimEvent::Arrive { host, life, arrival });
        }
    }

    pub(super) fn write_stream(&mut self, from: HostId, id: StreamId, bytes: Vec<u8>, fin: bool) {
        let Some((number, side)) = self.streams.find(from, id) else {
            return;
        };
        if let Some(stream) = self.streams.get_mut(number) {
            stream.end_mut(side).finished |= fin;
        }
        self.put(number, side.other(), bytes, fin, Duration::ZERO);
    }

    /// Sends bytes towards one end.
    fn put(&mut self, number: u64, to: Side, bytes: Vec<u8>, fin: bool, handshake: Duration) {
        let most = self.network.stream_trouble().pieces;
        let pieces = chop(bytes, fin, most, self.network.rng());
        if pieces.len() > 1 {
            self.coverage.add(Counted::StreamChopped);
        }
        let Some(stream) = self.streams.get_mut(number) else {
            return;
        };
        let from = stream.end(to.other()).host;
        let end = stream.end_mut(to);
        end.inbox.extend(pieces);
        if !end.moving {
            end.moving = true;
            let delay = self.network.travel() + self.network.retransmission(from, end.host);
            let at = self.now + handshake + delay;
            self.agenda.plan(at, SimEvent::Piece { stream: number, to });
        }
    }

    pub(super) fn move_piece(&mut self, number: u64, to: Side) {
        let now = self.now;
        let Some(stream) = self.streams.get_mut(number) else {
            return;
        };
        let deadline = stream.deadline;
        let (from, target) = (stream.end(to.other()).host, stream.end(to).host);
        let life = stream.end(to).life;
        match self.hosts[target.index()].life.as_ref().map(|current| current.number) {
            // It hangs until the deadline.
            None => return,
            Some(current) if current != life => {
                self.fail_both(number, StreamFailure::Reset);
                return;
            }
            Some(_) => {}
        }
        if !self.network.connects(from, target) {
            if now < deadline {
                self.agenda.plan(now + RETRY, SimEvent::Piece { stream: number, to });
            }
            return;
        }
        if let Some(left) = &mut stream.reset_after {
            if *left == 0 {
                self.coverage.add(Counted::StreamReset);
                self.fail_both(number, StreamFailure::Reset);
                return;
            }
            *left -= 1;
        }
        self.deliver_piece(number, to);
    }

    fn deliver_piece(&mut self, number: u64, to: Side) {
        let Some(stream) = self.streams.get_mut(number) else {
            return;
        };
        let peer = stream.end(to.other()).host;
        let end = stream.end_mut(to);
        end.moving = false;
        let Some(Piece { bytes, fin }) = end.inbox.pop_front() else {
            return;
        };
        let (host, life, id) = (end.host, end.life, end.id);
        let first = to == Side::Acceptor && !end.open && !end.finished && !end.complete;
        if first {
            end.open = true;
        }
        let wanted = end.open;
        end.complete |= fin;
        if !end.inbox.is_empty() {
            end.moving = true;
            let delay = self.network.travel() + self.network.retransmission(peer, host);
            self.agenda.plan(self.now + delay, SimEvent::Piece { stream: number, to });
        }
        if stream.is_over() {
            self.streams.remove(number);
        }
        if first {
            self.arrive(host, life, Arrival::StreamOpened { id, from: peer });
        }
        if wanted {
            self.arrive(host, life, Arrival::StreamData { id, bytes, fin });
        }
    }

    pub(super) fn close_stream(&mut self, host: HostId, id: StreamId) {
        let Some((number, side)) = self.streams.find(host, id) else {
            return;
        };
        let Some(stream) = self.streams.get_mut(number) else {
            return;
        };
        let late = stream.deadline <= self.now;
        let end = stream.end_mut(side);
        end.open = false;
        let abandoned = !end.finished;
        let in_vain = side == Side::Opener && !end.complete;
        end.complete = true;
        if in_vain && late {
            self.coverage.add(Counted::StreamTimedOut);
        }
        let other = stream.end(side.other());
        let (peer, life) = (other.host, other.life);
        if stream.is_over() {
            self.streams.remove(number);
        } else if abandoned {
            let at = self.now + self.network.travel();
            let reason = StreamFailure::Reset;
            let side = side.other();
            let event = SimEvent::FailStream { host: peer, life, stream: number, side, reason };
            self.agenda.plan(at, event);
        }
    }

    /// One end learns that the stream is gone.
    pub(super) fn fail_end(
        &mut self,
        host: HostId,
        life: u32,
        number: u64,
        side: Side,
        reason: StreamFailure,
    ) {
        let Some(stream) = self.streams.get_mut(number) else {
            return;
        };
        let end = stream.end_mut(side);
        let wanted = end.open && !end.complete;
        let id = end.id;
        end.open = false;
        self.streams.remove(number);
        if wanted {
            self.arrive(host, life, Arrival::StreamFailed { id, reason });
        }
    }

    fn fail_both(&mut self, number: u64, reason: StreamFailure) {
        let Some(stream) = self.streams.remove(number) else {
            return;
        };
        for side in [Side::Opener, Side::Acceptor] {
            let end = stream.end(side);
            if end.open && !(end.complete && end.finished) {
                self.arrive(end.host, end.life, Arrival::StreamFailed { id: end.id, reason });
            }
        }
    }

    pub(super) fn expire(&mut self, number: u64) {
        if self.streams.get_mut(number).is_some_and(|stream| {
            let opener = stream.end(Side::Opener);
            opener.open && !opener.complete
        }) {
            self.coverage.add(Counted::StreamTimedOut);
        }
        self.fail_both(number, StreamFailure::TimedOut);
    }
}
