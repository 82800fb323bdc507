//! How the bytes of modelled streams travel, and how streams fail.

use std::time::Duration;

use super::links::{EndpointId, Links};
use super::model_agenda::Move;
use super::stream_table::StreamSide;
use super::transport_model::TransportModel;
use crate::error::StreamFailure;
use crate::time::Time;
use crate::transport::TransportEvent;

/// How soon bytes that found no way are sent again.
const RETRANSMIT: Duration = Duration::from_millis(250);

impl TransportModel {
    /// Sends the next piece of what one end has written, if its peer has room for it.
    pub(super) fn move_bytes(
        &mut self,
        number: u64,
        from: StreamSide,
        now: Time,
        links: &mut impl Links,
    ) {
        let window = self.limits.receive_window;
        let Some(stream) = self.streams.get_mut(number) else { return };
        let into = &stream.end(from.other()).into;
        let room = if into.discards { window } else { window.saturating_sub(into.unread.len()) };
        let ends = (stream.end(from).endpoint, stream.end(from.other()).endpoint);
        let is_open = stream.is_open;
        let out = &mut stream.end_mut(from).out;
        let has_output = out.is_finished || !out.bytes.is_empty();
        let blocked = room == 0 && !out.bytes.is_empty();
        if out.is_moving || out.is_done || !is_open || !has_output || blocked {
            return;
        }
        out.is_moving = true;
        let at = now + links.stream_delay(ends.0, ends.1);
        self.agenda.plan(at, Move::Piece { stream: number, to: from.other() });
    }

    pub(super) fn piece_arrives(
        &mut self,
        number: u64,
        to: StreamSide,
        now: Time,
        links: &mut impl Links,
    ) {
        let Some(stream) = self.streams.get_mut(number) else { return };
        let connection = stream.connection;
        let from = stream.end(to.other()).endpoint;
        let (at, life) = (stream.end(to).endpoint, stream.end(to).life);
        let is_nobodys = stream.is_nobodys();
        let again = Move::Piece { stream: number, to };
        let lives = self.lives(at, life);
        if !lives && is_nobodys {
            return self.streams.remove(number);
        }
        if !links.connects(from, at) || !self.endpoint(at).is_some_and(|end| end.is_up) {
            return self.agenda.plan(now + RETRANSMIT, again);
        }
        if !lives {
            self.answer_with_reset(connection, at, from, now, links);
            return self.agenda.plan(now + RETRANSMIT, again);
        }
        self.heard(connection, at, now, links);
        let Some(stream) = self.streams.get_mut(number) else { return };
        if stream.reset_after == Some(0) {
            self.fail_end(number, StreamSide::Opener, StreamFailure::Reset);
            self.fail_end(number, StreamSide::Acceptor, StreamFailure::Reset);
            return self.streams.remove(number);
        }
        stream.reset_after = stream.reset_after.map(|left| left - 1);
        self.deliver_piece(number, to, now, links);
    }

    fn deliver_piece(&mut self, number: u64, to: StreamSide, now: Time, links: &mut impl Links) {
        let window = self.limits.receive_window;
        let Some(stream) = self.streams.get_mut(number) else { return };
        let into = &stream.end(to).into;
        let room = if into.discards { window } else { window.saturating_sub(into.unread.len()) };
        let out = &mut stream.end_mut(to.other()).out;
        out.is_moving = false;
        let waiting = out.bytes.len();
        let count = links.piece(waiting).min(waiting).min(room);
        let piece: Vec<u8> = out.bytes.drain(..count).collect();
        let fin = out.is_finished && out.bytes.is_empty();
        out.is_done |= fin;
        let takes_more = out.wants_room && out.bytes.is_empty();
        if takes_more {
            out.wants_room = false;
        }
        let sender = stream.end(to.other());
        let writable = sender.id.filter(|_| takes_more).map(|id| (sender.endpoint, id));
        let into = &mut stream.end_mut(to).into;
        // As in quiche, nothing more is said while there is something left to read.
        let was_readable = !into.unread.is_empty();
        into.has_ended |= fin;
        if !into.discards {
            into.unread.extend(piece);
        }
        if let Some((endpoint, id)) = writable {
            self.events.push_back((endpoint, TransportEvent::StreamWritable { id }));
        }
        if !was_readable {
            self.announce(number, to);
        }
        self.move_bytes(number, to.other(), now, links);
        if self.streams.get_mut(number).is_some_and(|stream| stream.is_over()) {
            self.streams.remove(number);
        }
    }

    /// Tells an end that there is something to read; the acceptor's first hears of the stream.
    fn announce(&mut self, number: u64, to: StreamSide) {
        let Some(stream) = self.streams.get_mut(number) else { return };
        let peer = stream.end(to.other()).endpoint;
        let end = stream.end_mut(to);
        let endpoint = end.endpoint;
        // A stream without a byte is for nobody: its first byte tells whom it is meant for.
        let is_new = to == StreamSide::Acceptor && !end.is_announced && !end.into.unread.is_empty();
        if is_new {
            end.is_announced = true;
            let id = self.accept(endpoint);
            self.streams.name_acceptor(number, id);
            if let Some(from) = self.peer(peer) {
                self.report(endpoint, TransportEvent::StreamOpened { id, from });
            }
        }
        let Some(stream) = self.streams.get_mut(number) else { return };
        if let Some(id) = stream.end(to).id {
            self.report(endpoint, TransportEvent::StreamReadable { id });
        }
    }

    /// The opener's deadline has come.
    pub(super) fn expire(&mut self, number: u64, now: Time, links: &mut impl Links) {
        let Some(stream) = self.streams.get_mut(number) else { return };
        if stream.opener.id.is_none() {
            return;
        }
        let (from, to) = (stream.opener.endpoint, stream.acceptor.endpoint);
        let is_open = stream.is_open;
        let is_heard = stream.acceptor.id.is_some();
        self.fail_end(number, StreamSide::Opener, StreamFailure::TimedOut);
        if is_open && is_heard && links.connects(from, to) {
            let at = now + links.stream_delay(from, to);
            self.agenda.plan(at, Move::Reset { stream: number, side: StreamSide::Acceptor });
        } else {
            self.streams.remove(number);
        }
    }

    /// The other end has reset both directions.
    pub(super) fn reset_arrives(&mut self, number: u64, side: StreamSide) {
        let Some(stream) = self.streams.get_mut(number) else { return };
        let end = stream.end_mut(side);
        let (endpoint, id) = (end.endpoint, end.id);
        let writes = !end.out.is_done && (end.out.is_finished || !end.out.bytes.is_empty());
        end.out.is_done = true;
        end.out.bytes.clear();
        let complete = end.into.has_ended;
        if !complete {
            end.into.was_reset = true;
        }
        if let Some(id) = id.filter(|_| !complete) {
            self.report(endpoint, TransportEvent::StreamReadable { id });
        }
        if writes {
            self.fail_end(number, side, StreamFailure::Reset);
        }
        if self.streams.get_mut(number).is_some_and(|stream| stream.end(side).id.is_none()) {
            self.streams.remove(number);
        }
    }

    /// One end's machine learns that the stream is gone, unless it has let go of it.
    pub(super) fn fail_end(&mut self, number: u64, side: StreamSide, reason: StreamFailure) {
        let Some(stream) = self.streams.get_mut(number) else { return };
        let end = stream.end_mut(side);
        let (endpoint, life, id) = (end.endpoint, end.life, end.id);
        end.out.is_done = true;
        end.out.bytes.clear();
        if let Some(id) = id {
            self.streams.release(number, side);
            if self.lives(endpoint, life) {
                self.report(endpoint, TransportEvent::StreamFailed { id, reason });
            }
        }
        if self.streams.get_mut(number).is_some_and(|stream| stream.is_nobodys()) {
            self.streams.remove(number);
        }
    }

    /// The connection under a stream is gone at one end: what was received whole, and answered
    /// whole, can still be read there.
    pub(super) fn connection_of_stream_closed(&mut self, number: u64, at: EndpointId) {
        let Some(stream) = self.streams.get_mut(number) else { return };
        let side =
            if stream.opener.endpoint == at { StreamSide::Opener } else { StreamSide::Acceptor };
        let end = stream.end(side);
        if stream.is_nobodys() {
            self.streams.remove(number);
        } else if !(end.into.has_ended && end.out.is_done) {
            self.fail_end(number, side, StreamFailure::Closed);
        }
    }
}
