//! Modelled streams: two directions with bounded buffers, flow control, resets and deadlines.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::agenda::Move;
use super::connection::{ConnectionId, Route, is_expected};
use super::{EndpointId, Links, StreamFaults, TransportModel};
use crate::error::StreamFailure;
use crate::member_name::MemberName;
use crate::output::{Destination, StreamId};
use crate::time::Time;
use crate::transport::{StreamGone, StreamRead, TransportEvent};

/// How soon bytes that found no way are sent again.
const RETRANSMIT: Duration = Duration::from_millis(250);

/// How long a stopped stream discards what arrives before the sender is told to stop.
const DISCARD: Duration = Duration::from_secs(5);

/// Which end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Opener,
    Acceptor,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Opener => Self::Acceptor,
            Self::Acceptor => Self::Opener,
        }
    }
}

/// All streams under way.
#[derive(Default)]
pub(super) struct Streams {
    held: BTreeMap<u64, Stream>,
    by_end: BTreeMap<(EndpointId, StreamId), (u64, Side)>,
    by_connection: BTreeSet<(ConnectionId, u64)>,
    count: u64,
}

/// One stream.
pub(super) struct Stream {
    connection: ConnectionId,
    /// Who must be at the other end.
    expected: Option<MemberName>,
    opener: End,
    acceptor: End,
    /// It is reset after this many more pieces.
    reset_after: Option<usize>,
    /// Its connection is established.
    is_open: bool,
}

/// One end: what it sends, and what has arrived for it.
struct End {
    endpoint: EndpointId,
    life: u32,
    /// What its machine calls it, while the machine is interested.
    id: Option<StreamId>,
    /// It has been told of the stream.
    is_announced: bool,
    out: Outbound,
    into: Inbound,
}

/// What one end sends.
#[derive(Default)]
struct Outbound {
    /// Written and not arrived yet.
    bytes: VecDeque<u8>,
    is_finished: bool,
    /// Everything has arrived, the end of the stream too, or nobody wants it.
    is_done: bool,
    /// The writer was told less than it offered.
    wants_room: bool,
    /// The next piece is under way.
    is_moving: bool,
}

/// What has arrived for one end.
#[derive(Default)]
struct Inbound {
    unread: VecDeque<u8>,
    has_ended: bool,
    was_reset: bool,
    /// Nobody reads it any more.
    discards: bool,
}

impl End {
    fn new(endpoint: EndpointId, life: u32, id: Option<StreamId>) -> Self {
        let is_announced = id.is_some();
        let (out, into) = (Outbound::default(), Inbound::default());
        Self { endpoint, life, id, is_announced, out, into }
    }
}

impl Stream {
    fn end(&self, side: Side) -> &End {
        match side {
            Side::Opener => &self.opener,
            Side::Acceptor => &self.acceptor,
        }
    }

    fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::Opener => &mut self.opener,
            Side::Acceptor => &mut self.acceptor,
        }
    }

    /// Neither machine has it: nobody awaits anything.
    fn is_nobodys(&self) -> bool {
        self.opener.id.is_none() && self.acceptor.id.is_none()
    }

    /// Nothing can happen on it any more.
    fn is_over(&self) -> bool {
        [&self.opener, &self.acceptor].iter().all(|end| end.id.is_none() && end.out.is_done)
    }
}

impl Streams {
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    fn insert(&mut self, stream: Stream, id: StreamId) -> u64 {
        self.count += 1;
        let number = self.count;
        self.by_end.insert((stream.opener.endpoint, id), (number, Side::Opener));
        self.by_connection.insert((stream.connection, number));
        self.held.insert(number, stream);
        number
    }

    fn get_mut(&mut self, number: u64) -> Option<&mut Stream> {
        self.held.get_mut(&number)
    }

    fn find(&mut self, endpoint: EndpointId, id: StreamId) -> Option<(u64, Side, &mut Stream)> {
        let (number, side) = *self.by_end.get(&(endpoint, id))?;
        Some((number, side, self.held.get_mut(&number)?))
    }

    /// Takes an end's name away: its machine hears nothing of the stream any more.
    fn release(&mut self, number: u64, side: Side) {
        let Some(stream) = self.held.get_mut(&number) else { return };
        let end = stream.end_mut(side);
        if let Some(id) = end.id.take() {
            self.by_end.remove(&(end.endpoint, id));
        }
        if stream.is_over() {
            self.remove(number);
        }
    }

    /// The acceptor has learnt of the stream and calls it `id`.
    fn name_acceptor(&mut self, number: u64, id: StreamId) {
        let Some(stream) = self.held.get_mut(&number) else { return };
        stream.acceptor.id = Some(id);
        self.by_end.insert((stream.acceptor.endpoint, id), (number, Side::Acceptor));
    }

    pub(super) fn remove(&mut self, number: u64) {
        let Some(stream) = self.held.remove(&number) else { return };
        self.by_connection.remove(&(stream.connection, number));
        for end in [stream.opener, stream.acceptor] {
            if let Some(id) = end.id {
                self.by_end.remove(&(end.endpoint, id));
            }
        }
    }

    pub(super) fn on_connection(&self, connection: ConnectionId) -> Vec<u64> {
        let range = (connection, 0)..=(connection, u64::MAX);
        self.by_connection.range(range).map(|(_, number)| *number).collect()
    }

    /// An endpoint's memory is gone: its ends of all streams are nobody's.
    pub(super) fn forget_endpoint(&mut self, endpoint: EndpointId) {
        let range = (endpoint, StreamId::FIRST)..=(endpoint, StreamId::LAST);
        let gone: Vec<(u64, Side)> = self.by_end.range(range).map(|(_, end)| *end).collect();
        for (number, side) in gone {
            self.release(number, side);
        }
    }
}

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
            opener: End::new(from, self.life(from), Some(id)),
            acceptor: End::new(target, life, None),
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
            self.fail_end(number, Side::Opener, StreamFailure::PeerMismatch);
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
        self.move_bytes(number, Side::Opener, now, links);
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
        side: Side,
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

    /// Sends the next piece of what one end has written, if its peer has room for it.
    fn move_bytes(&mut self, number: u64, from: Side, now: Time, links: &mut impl Links) {
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
        to: Side,
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
        self.heard(connection, at, links);
        let Some(stream) = self.streams.get_mut(number) else { return };
        if stream.reset_after == Some(0) {
            self.fail_end(number, Side::Opener, StreamFailure::Reset);
            self.fail_end(number, Side::Acceptor, StreamFailure::Reset);
            return self.streams.remove(number);
        }
        stream.reset_after = stream.reset_after.map(|left| left - 1);
        self.deliver_piece(number, to, now, links);
    }

    fn deliver_piece(&mut self, number: u64, to: Side, now: Time, links: &mut impl Links) {
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
        into.has_ended |= fin;
        if !into.discards {
            into.unread.extend(piece);
        }
        if let Some((endpoint, id)) = writable {
            self.events.push_back((endpoint, TransportEvent::StreamWritable { id }));
        }
        self.announce(number, to);
        self.move_bytes(number, to.other(), now, links);
        if self.streams.get_mut(number).is_some_and(|stream| stream.is_over()) {
            self.streams.remove(number);
        }
    }

    /// Tells an end that there is something to read; the acceptor's first hears of the stream.
    fn announce(&mut self, number: u64, to: Side) {
        let Some(stream) = self.streams.get_mut(number) else { return };
        let peer = stream.end(to.other()).endpoint;
        let end = stream.end_mut(to);
        let endpoint = end.endpoint;
        // A stream without a byte is for nobody: its first byte tells whom it is meant for.
        let is_new = to == Side::Acceptor && !end.is_announced && !end.into.unread.is_empty();
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
        self.fail_end(number, Side::Opener, StreamFailure::TimedOut);
        if is_open && is_heard && links.connects(from, to) {
            let at = now + links.stream_delay(from, to);
            self.agenda.plan(at, Move::Reset { stream: number, side: Side::Acceptor });
        } else {
            self.streams.remove(number);
        }
    }

    /// The other end has reset both directions.
    pub(super) fn reset_arrives(&mut self, number: u64, side: Side) {
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
    pub(super) fn fail_end(&mut self, number: u64, side: Side, reason: StreamFailure) {
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
        let side = if stream.opener.endpoint == at { Side::Opener } else { Side::Acceptor };
        let end = stream.end(side);
        if stream.is_nobodys() {
            self.streams.remove(number);
        } else if !(end.into.has_ended && end.out.is_done) {
            self.fail_end(number, side, StreamFailure::Closed);
        }
    }
}
