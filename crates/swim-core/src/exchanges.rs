//! What runs on streams: push-pulls, stream pings and reliable messages, one on each stream.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::effects::Effects;
use crate::error::OperationError;
pub(crate) use crate::exchange_role::{Purpose, Role};
use crate::member::Peer;
use crate::member_table::MemberTable;
use crate::output::{Destination, Outcome, Output, StreamId};
use crate::own_state::OwnState;
use crate::payer::Payer;
use crate::reliable::OutgoingMessage;
use crate::shared_decoder::SharedDecoder;
use crate::time::Time;
use crate::timers::Timer;
use crate::wire::{
    Side, StreamDecodeError, StreamDecoder, StreamMessage, StreamTooLong, encode_user,
};

/// The most streams of others under way. A push-pull is answered and merged in the moment it is
/// complete, so Go's bound of 127 concurrent ones applies to those still arriving.
pub(crate) const MAX_INCOMING: usize = 512;
/// The most of them from one member.
const MAX_INCOMING_OF_ONE: usize = 64;
/// The most bytes that all incoming streams together may hold back.
const MAX_INCOMING_BYTES: usize = 48 * 1024 * 1024;
/// The most bytes that the streams of one member may hold back: the longest message, and some.
const MAX_INCOMING_BYTES_OF_ONE: usize = 24 * 1024 * 1024;

/// What a peer must bring on a stream within each `stream_timeout`, in bytes, a request of its own
/// or the answer to ours; the last part may be shorter. At the default of 10 s that is 1.6 kB/s.
const STREAM_PROGRESS: usize = 16 * 1024;
/// How many times `stream_timeout` a stream of a peer may last, whatever it brings: 1,000 s at the
/// default of 10 s. The longest message, 20 MiB, takes 655 s where a link carries 32 kB/s. A peer
/// that is as slow as it may be so holds one of [`MAX_INCOMING`] places for a bounded time.
const MOST_STREAM_TIMEOUTS: u32 = 100;

/// Every stream until its exchange ended, failed or took too long.
pub(crate) struct Exchanges {
    streams: BTreeMap<StreamId, Stream>,
    last_outgoing: u64,
    /// Of `streams`, how many are incoming.
    incoming: usize,
    /// Bytes that have arrived on these.
    incoming_bytes: usize,
    /// Whether something was written on the stream that was taken out last.
    is_answered: bool,
    own_state: OwnState,
}

/// One stream under way.
pub(crate) struct Stream {
    role: Role,
    decoder: StreamDecoder,
    /// Bytes that have arrived, which is the most that the decoder holds.
    arrived: usize,
    /// When the stream was opened.
    opened: Time,
    /// How many bytes had arrived when its timer was set.
    arrived_by_timer: usize,
    /// The request is complete, and its answer waits.
    is_held: bool,
}

impl Stream {
    fn new(role: Role, remote: Side, opened: Time) -> Self {
        let decoder = StreamDecoder::new(remote);
        Self { role, decoder, arrived: 0, opened, arrived_by_timer: 0, is_held: false }
    }

    /// Takes the next bytes: the message, once it is complete, beside the role of the stream.
    pub(crate) fn receive(
        &mut self,
        bytes: &[u8],
        fin: bool,
        decoder: &mut SharedDecoder,
        effects: &Effects,
    ) -> (&Role, Result<Option<StreamMessage<'_>>, StreamDecodeError>) {
        let settings = effects.encoder().settings();
        let (from, now) = (self.role.peer(), effects.now());
        let packets = match from {
            Some(from) => decoder.for_peer(from, now),
            None => decoder.for_answer(),
        };
        let received = self.decoder.push_with(bytes, fin, settings, packets);
        decoder.charge(from, now);
        (&self.role, received)
    }
}

impl Exchanges {
    pub(crate) fn new() -> Self {
        Self {
            streams: BTreeMap::new(),
            last_outgoing: 0,
            incoming: 0,
            incoming_bytes: 0,
            is_answered: false,
            own_state: OwnState::new(),
        }
    }

    /// How many streams are under way.
    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether the stream is under way.
    pub(crate) fn contains(&self, id: StreamId) -> bool {
        self.streams.contains_key(&id)
    }

    /// What push-pulls say of the cluster.
    pub(crate) fn own_state(&mut self) -> &mut OwnState {
        &mut self.own_state
    }

    /// Opens a stream and sends one message on it.
    ///
    /// # Errors
    /// When the message is longer than any peer accepts.
    pub(crate) fn open(
        &mut self,
        to: Destination,
        message: &[u8],
        deadline: Time,
        role: Role,
        effects: &mut Effects,
    ) -> Result<StreamId, StreamTooLong> {
        let bytes = match effects.encoder_mut().encode_stream(message, Side::Opener) {
            Ok(bytes) => bytes,
            Err(error) => {
                log::warn!("cannot send to {}: {error}", to.address);
                return Err(error);
            }
        };
        self.last_outgoing += 1;
        let id = StreamId::outgoing(self.last_outgoing);
        effects.count().stream_bytes_out += bytes.len() as u64;
        self.insert(id, Stream::new(role, Side::Answerer, effects.now()));
        effects.push(Output::OpenStream { id, to, bytes, finish: true, deadline });
        Ok(id)
    }

    /// Sends a reliable message on a stream of its own, whose end is the only answer.
    pub(crate) fn open_message(
        &mut self,
        to: Destination,
        message: OutgoingMessage,
        effects: &mut Effects,
    ) {
        let OutgoingMessage { operation, payload, deadline } = message;
        let mut bytes = Vec::with_capacity(payload.len() + 32);
        encode_user(&payload, &mut bytes);
        let role = Role::Message { operation };
        if let Err(error) = self.open(to, &bytes, deadline, role, effects) {
            let StreamTooLong { length: len, limit } = error;
            let error = OperationError::TooLarge { len, limit };
            effects.finish(operation, Outcome::Failed(error));
        }
    }

    /// The remote opened a stream.
    pub(crate) fn accept(
        &mut self,
        id: StreamId,
        from: &Peer,
        config: &Config,
        effects: &mut Effects,
    ) {
        let is_odd = !id.is_incoming() || self.streams.contains_key(&id);
        if is_odd || self.incoming >= MAX_INCOMING || self.has_its_share(from) {
            effects.count().refused_streams_full += 1;
            effects.push(Output::ResetStream { id });
            return;
        }
        let role = Role::Incoming { from: from.clone() };
        self.insert(id, Stream::new(role, Side::Opener, effects.now()));
        effects.set_timer(Timer::Stream(id), effects.now() + config.stream_timeout);
    }

    /// Whether so many streams of this peer are under way that others might want for them.
    fn has_its_share(&self, from: &Peer) -> bool {
        let payer = Payer::of(from);
        self.incoming_of(&payer).count() >= MAX_INCOMING_OF_ONE * payer.shares()
    }

    /// Whether what has arrived on a stream may be kept beside all that others hold back.
    fn have_room_for(&self, stream: &Stream) -> bool {
        let Role::Incoming { from } = &stream.role else { return true };
        let payer = Payer::of(from);
        let theirs: usize = self.incoming_of(&payer).map(|stream| stream.arrived).sum();
        stream.arrived + self.incoming_bytes <= MAX_INCOMING_BYTES
            && stream.arrived + theirs <= MAX_INCOMING_BYTES_OF_ONE * payer.shares()
    }

    fn incoming_of(&self, payer: &Payer) -> impl Iterator<Item = &Stream> {
        self.streams.values().filter(move |stream| match &stream.role {
            Role::Incoming { from } => Payer::of(from) == *payer,
            Role::PushPull { .. } | Role::StreamPing { .. } | Role::Message { .. } => false,
        })
    }

    /// Who opened a stream on which nothing has arrived so far; it is taken out. Its timer runs on.
    pub(crate) fn take_untouched(&mut self, id: StreamId) -> Option<Peer> {
        match self.streams.get(&id) {
            Some(Stream { role: Role::Incoming { from }, arrived: 0, .. }) => {
                let from = from.clone();
                self.remove(id);
                Some(from)
            }
            Some(_) | None => None,
        }
    }

    /// Takes out a stream on which so many bytes have arrived; [`put_back`](Self::put_back) or
    /// [`close`](Self::close) follows. `None` if it is not under way, or if the incoming streams
    /// hold too many bytes.
    pub(crate) fn take(
        &mut self,
        id: StreamId,
        arrived: usize,
        effects: &mut Effects,
    ) -> Option<Stream> {
        if self.streams.get(&id).is_some_and(|stream| stream.is_held) {
            // What follows a complete request says nothing.
            return None;
        }
        let mut stream = self.remove(id)?;
        self.is_answered = false;
        effects.count().stream_bytes_in += arrived as u64;
        stream.arrived += arrived;
        if id.is_incoming() && !self.have_room_for(&stream) {
            effects.count().refused_streams_full += 1;
            self.close(id, effects);
            return None;
        }
        Some(stream)
    }

    /// The message of the stream is not complete. A peer that has brought [`STREAM_PROGRESS`] since
    /// its timer was set gets as much time again.
    pub(crate) fn put_back(
        &mut self,
        id: StreamId,
        mut stream: Stream,
        config: &Config,
        effects: &mut Effects,
    ) {
        let is_timed = id.is_incoming() || matches!(stream.role, Role::PushPull { .. });
        if is_timed && stream.arrived - stream.arrived_by_timer >= STREAM_PROGRESS {
            stream.arrived_by_timer = stream.arrived;
            let last = stream.opened + config.stream_timeout.saturating_mul(MOST_STREAM_TIMEOUTS);
            let timeout = effects.now() + config.stream_timeout;
            effects.set_timer(Timer::Stream(id), timeout.min(last));
        }
        self.insert(id, stream);
    }

    /// The request is complete, but its answer waits: [`answer_held`](Self::answer_held) gives
    /// it. The deadline of the stream stays.
    pub(crate) fn hold(&mut self, id: StreamId, mut stream: Stream) {
        stream.is_held = true;
        self.insert(id, stream);
    }

    /// Answers a stream that was held, unless it was given up meanwhile, and closes it.
    pub(crate) fn answer_held(&mut self, id: StreamId, message: &[u8], effects: &mut Effects) {
        if self.streams.get(&id).is_some_and(|stream| stream.is_held) {
            self.remove(id);
            self.is_answered = false;
            self.answer(id, message, effects);
            self.close(id, effects);
        }
    }

    /// The stream was given up: what it was for.
    pub(crate) fn fail(&mut self, id: StreamId, effects: &mut Effects) -> Option<Role> {
        let stream = self.remove(id)?;
        self.is_answered = false;
        effects.clear_timer(Timer::Stream(id));
        Some(stream.role)
    }

    /// The exchange is over. A stream of theirs on which nothing was answered is reset: its mere
    /// end would tell the sender of a reliable message that the message was taken.
    pub(crate) fn close(&mut self, id: StreamId, effects: &mut Effects) {
        debug_assert!(!self.streams.contains_key(&id), "a stream is closed and kept");
        effects.clear_timer(Timer::Stream(id));
        effects.push(match id.is_incoming() && !self.is_answered {
            true => Output::ResetStream { id },
            false => Output::CloseStream { id },
        });
    }

    /// Closes a stream whose outcome is of no interest any more: what it was for.
    pub(crate) fn abandon(&mut self, id: StreamId, effects: &mut Effects) -> Option<Role> {
        let stream = self.remove(id)?;
        self.close(id, effects);
        Some(stream.role)
    }

    /// The push-pulls that we began.
    pub(crate) fn own_push_pulls(&self) -> Vec<StreamId> {
        let is_own = |role: &Role| match role {
            Role::PushPull { .. } => true,
            Role::StreamPing { .. } | Role::Message { .. } | Role::Incoming { .. } => false,
        };
        let own = self.streams.iter().filter(|(_, stream)| is_own(&stream.role));
        own.map(|(id, _)| *id).collect()
    }

    /// Encodes one message, writes it and ends our side.
    pub(crate) fn answer(&mut self, id: StreamId, message: &[u8], effects: &mut Effects) {
        match effects.encoder_mut().encode_stream(message, Side::Answerer) {
            Ok(bytes) => self.write(id, bytes, effects),
            Err(error) => log::warn!("cannot answer a stream: {error}"),
        }
    }

    /// Ends our side without a message.
    pub(crate) fn finish(&mut self, id: StreamId, effects: &mut Effects) {
        self.write(id, Vec::new(), effects);
    }

    fn write(&mut self, id: StreamId, bytes: Vec<u8>, effects: &mut Effects) {
        self.is_answered = true;
        effects.count().stream_bytes_out += bytes.len() as u64;
        effects.push(Output::WriteStream { id, bytes, finish: true });
    }

    /// Begins to exchange our view of the cluster against a peer's.
    ///
    /// # Errors
    /// When our own state is longer than any peer accepts.
    pub(crate) fn begin_push_pull(
        &mut self,
        to: &Destination,
        purpose: Purpose,
        members: &MemberTable,
        config: &Config,
        effects: &mut Effects,
    ) -> Result<(), OperationError> {
        let state = self.own_state.encode(purpose.is_join(), members);
        let last = config.stream_timeout.saturating_mul(MOST_STREAM_TIMEOUTS);
        let deadline = effects.now() + last;
        let role = Role::PushPull { to: to.clone(), purpose };
        match self.open(to.clone(), &state, deadline, role, effects) {
            Ok(id) => {
                // The peer cannot answer before it has all of ours.
                let parts = u32::try_from(1 + state.len() / STREAM_PROGRESS).unwrap_or(u32::MAX);
                let timeout = config.stream_timeout.saturating_mul(parts).min(last);
                effects.set_timer(Timer::Stream(id), effects.now() + timeout);
                Ok(())
            }
            Err(StreamTooLong { length: len, limit }) => {
                Err(OperationError::TooLarge { len, limit })
            }
        }
    }

    fn insert(&mut self, id: StreamId, stream: Stream) {
        if id.is_incoming() {
            self.incoming += 1;
            self.incoming_bytes += stream.arrived;
        }
        let before = self.streams.insert(id, stream);
        debug_assert!(before.is_none(), "two streams have the id {id:?}");
    }

    fn remove(&mut self, id: StreamId) -> Option<Stream> {
        let stream = self.streams.remove(&id)?;
        if id.is_incoming() {
            self.incoming -= 1;
            self.incoming_bytes -= stream.arrived;
        }
        Some(stream)
    }
}
