//! What machines ask of modelled streams: open, write, read, stop, reset.

use std::time::Duration;

use super::connection_table::is_expected;
use super::links::{EndpointId, Links, StreamFaults};
use super::model_agenda::Move;
use super::packet_carrier::Route;
use super::stream_table::{Stream, StreamEnd, StreamSide};
use super::transport_model::TransportModel;
use crate::error::StreamFailure;
use crate::output::{Destination, StreamId};
use crate::time::Time;
use crate::transport::{StreamGone, StreamRead, TransportEvent};

/// How long a stopped stream discards what arrives before the sender is told to stop.
const DISCARD: Duration = Duration::from_secs(5);

impl TransportModel {
    pub(super) fn open_stream(
        &mut self,
        from: EndpointId,
        id: StreamId,
        to: &Destination,
        deadline: Time,
        now: Time,
        links: &mut impl Links,
    ) {
        let deadline = deadline.max(now);
        let Route::Over(connection) = self.route(from, to.address, false, now, links) else {
            return debug_assert!(false, "only packets wait after a failed dial");
        };
        let Some(held) = self.connections.get(connection) else { return };
        let (target, life) = held.other(from);
        let is_established = held.is_established();
        let stream = Stream {
            connection,
            expected: to.name.clone(),
            opener: StreamEnd::new(from, self.life(from), Some(id)),
            acceptor: StreamEnd::new(target, life, None),
            reset_after: None,
            is_open: false,
        };
        let number = self.streams.insert(stream, id);
        self.agenda.plan(deadline, Move::Expire { stream: number });
        if is_established {
            self.begin_stream(number, now, links);
        }
    }

    /// Its connection is there: the stream may carry bytes.
    pub(super) fn begin_stream(&mut self, number: u64, now: Time, links: &mut impl Links) {
        let Some(stream) = self.streams.get_mut(number) else { return };
        let (from, target) = (stream.opener.endpoint, stream.acceptor.endpoint);
        stream.acceptor.life = self.endpoints.get(target.index()).map_or(0, |e| e.life);
        let peer = self.endpoints.get(target.index()).map(|endpoint| &endpoint.peer);
        if !is_expected(peer, stream.expected.as_ref()) {
            self.fail_end(number, StreamSide::Opener, StreamFailure::PeerMismatch);
            self.streams.remove(number);
            return;
        }
        stream.is_open = true;
        let StreamFaults { refused, reset_after } = links.stream_faults();
        if refused {
            let delay = links.stream_delay(from, target) + links.stream_delay(target, from);
            return self.agenda.plan(now + delay, Move::Refuse { stream: number });
        }
        stream.reset_after = reset_after;
        if let Some(id) = stream.opener.id {
            self.events.push_back((from, TransportEvent::StreamWritable { id }));
        }
        self.move_bytes(number, StreamSide::Opener, now, links);
    }

    pub(super) fn write_stream(
        &mut self,
        at: EndpointId,
        id: StreamId,
        (bytes, finish): (&[u8], bool),
        buffer: usize,
        (now, links): (Time, &mut impl Links),
    ) -> Result<usize, StreamGone> {
        let (number, side, stream) = self.streams.find(at, id).ok_or(StreamGone)?;
        let out = &mut stream.end_mut(side).out;
        if out.is_finished || out.is_done {
            return Err(StreamGone);
        }
        let taken = bytes.len().min(buffer.saturating_sub(out.bytes.len()));
        out.bytes.extend(bytes.iter().take(taken));
        out.is_finished = finish && taken == bytes.len();
        out.wants_room = taken < bytes.len();
        self.move_bytes(number, side, now, links);
        Ok(taken)
    }

    pub(super) fn read_stream(
        &mut self,
        at: EndpointId,
        id: StreamId,
        buffer: &mut [u8],
        now: Time,
        links: &mut impl Links,
    ) -> Result<StreamRead, StreamFailure> {
        let found = self.streams.find(at, id).ok_or(StreamFailure::Closed)?;
        let (number, side, stream) = found;
        let into = &mut stream.end_mut(side).into;
        if into.was_reset {
            self.streams.release(number, side);
            return Err(StreamFailure::Reset);
        }
        let count = into.unread.len().min(buffer.len());
        for (slot, byte) in buffer.iter_mut().zip(into.unread.drain(..count)) {
            *slot = byte;
        }
        let fin = into.unread.is_empty() && into.has_ended;
        if count > 0 {
            // The sender may go on: what was read grants it as many bytes more.
            self.move_bytes(number, side.other(), now, links);
        }
        Ok(StreamRead { bytes: count, fin })
    }

    /// The machine is done with a stream.
    pub(super) fn stop_stream(
        &mut self,
        at: EndpointId,
        id: StreamId,
        now: Time,
        links: &mut impl Links,
    ) {
        let Some((number, side, stream)) = self.streams.find(at, id) else { return };
        let is_open = stream.is_open;
        let end = stream.end_mut(side);
        let was_idle = end.out.bytes.is_empty() && !end.out.is_finished && !is_open;
        end.out.is_finished = true;
        end.into.discards = true;
        end.into.unread.clear();
        let awaits_more = !end.into.has_ended && !end.into.was_reset;
        self.streams.release(number, side);
        if was_idle {
            // Nobody but us has heard of it.
            return self.streams.remove(number);
        }
        if awaits_more {
            self.agenda.plan(now + DISCARD, Move::EndDiscard { stream: number, side });
        }
        self.move_bytes(number, side, now, links);
        self.move_bytes(number, side.other(), now, links);
    }

    /// The machine gives a stream up.
    pub(super) fn reset_stream(
        &mut self,
        at: EndpointId,
        id: StreamId,
        now: Time,
        links: &mut impl Links,
    ) {
        let Some((number, side, stream)) = self.streams.find(at, id) else { return };
        let (is_open, to) = (stream.is_open, stream.end(side.other()).endpoint);
        let end = stream.end_mut(side);
        end.out.is_done = true;
        end.out.bytes.clear();
        end.into.discards = true;
        end.into.has_ended = true;
        if is_open {
            let delay = links.stream_delay(at, to);
            self.agenda.plan(now + delay, Move::Reset { stream: number, side: side.other() });
        }
        self.streams.release(number, side);
        if !is_open {
            self.streams.remove(number);
        }
    }

    /// A stopped end has discarded for long enough: the sender is told to stop.
    pub(super) fn end_discard(
        &mut self,
        number: u64,
        side: StreamSide,
        now: Time,
        links: &mut impl Links,
    ) {
        let Some(stream) = self.streams.get_mut(number) else { return };
        if !stream.is_open {
            return self.streams.remove(number);
        }
        let end = stream.end_mut(side);
        if end.into.has_ended || end.into.was_reset {
            return;
        }
        end.into.has_ended = true;
        let (from, to) = (end.endpoint, stream.end(side.other()).endpoint);
        let delay = links.stream_delay(from, to);
        self.agenda.plan(now + delay, Move::Reset { stream: number, side: side.other() });
    }
}
