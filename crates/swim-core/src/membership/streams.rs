//! Streams: one exchange each, opened by whoever needs it.
//!
//! Keeps every stream until its exchange ended, failed or took too long. What the exchanges of
//! full state mean is in `exchange`.

use super::Membership;
use super::exchange::Purpose;
use crate::error::{OperationError, StreamFailure, UnacceptableAnswer};
use crate::member::Peer;
use crate::output::{Destination, OperationId, Outcome, Output, StreamId, WarningKind};
use crate::time::Time;
use crate::timers::Timer;
use crate::wire::{Ack, ErrorMessage, Message, Ping, Side, StreamDecoder, StreamMessage};
use crate::wire::{StreamDecodeError, StreamTooLong};

/// One stream that the machine has an interest in.
pub(super) struct Stream {
    role: Role,
    decoder: StreamDecoder,
    /// Bytes the decoder holds at most.
    held: usize,
}

/// What a stream is for.
#[derive(Clone, Debug)]
pub(super) enum Role {
    /// Ours: a full exchange.
    Exchange { to: Destination, purpose: Purpose },
    /// Ours: the last resort of a probe round.
    StreamPing { sequence: u32 },
    /// Ours: a reliable message.
    Message { operation: OperationId },
    /// Theirs.
    Incoming { from: Peer },
}

/// The most streams of others under way. A full exchange is answered and merged in the moment it
/// is complete, so Go's bound of 127 concurrent ones applies to those still arriving.
pub(crate) const MAX_INCOMING: usize = 512;
/// The most bytes that all incoming streams together may hold back.
const MAX_INCOMING_BYTES: usize = 256 * 1024 * 1024;

impl Membership {
    /// # Errors
    /// When the request is longer than any peer accepts.
    pub(super) fn open_stream(
        &mut self,
        to: Destination,
        plain: &[u8],
        deadline: Time,
        role: Role,
    ) -> Result<StreamId, StreamTooLong> {
        let bytes = match self.codec.seal_stream(plain, Side::Opener) {
            Ok(bytes) => bytes,
            Err(error) => {
                log::warn!("cannot send to {}: {error}", to.address);
                return Err(error);
            }
        };
        self.next_stream += 1;
        let id = StreamId::outgoing(self.next_stream);
        self.counters.stream_bytes_out += bytes.len() as u64;
        let decoder = StreamDecoder::new(Side::Answerer);
        self.streams.insert(id, Stream { role, decoder, held: 0 });
        self.timers.set(Timer::Stream(id), deadline);
        self.outputs.push_back(Output::OpenStream { id, to, bytes, deadline });
        Ok(id)
    }

    pub(super) fn accept_stream(&mut self, id: StreamId, from: &Peer) {
        let incoming = self.streams.keys().filter(|id| id.is_incoming()).count();
        if !id.is_incoming() || self.streams.contains_key(&id) || incoming >= MAX_INCOMING {
            self.counters.refused_streams_full += 1;
            self.outputs.push_back(Output::CloseStream { id });
            return;
        }
        let decoder = StreamDecoder::new(Side::Opener);
        let role = Role::Incoming { from: from.clone() };
        self.streams.insert(id, Stream { role, decoder, held: 0 });
        self.timers.set(Timer::Stream(id), self.now + self.config.stream_timeout);
    }

    pub(super) fn receive_stream(&mut self, id: StreamId, bytes: &[u8], fin: bool) {
        let Some(mut stream) = self.streams.remove(&id) else { return };
        self.counters.stream_bytes_in += bytes.len() as u64;
        stream.held += bytes.len();
        if id.is_incoming() && stream.held + self.incoming_bytes() > MAX_INCOMING_BYTES {
            self.counters.refused_streams_full += 1;
            self.close_stream(id);
            return;
        }
        let Stream { role, decoder, .. } = &mut stream;
        let done = match self.codec.push(decoder, bytes, fin) {
            Ok(Some(message)) => match role.clone() {
                Role::Incoming { from } => self.receive_request(id, &from, message),
                Role::Exchange { to, purpose } => {
                    self.receive_exchange_answer(&to, purpose, message);
                    true
                }
                Role::StreamPing { sequence } => {
                    if matches!(message, StreamMessage::Ack(ack) if ack.seq_no == sequence) {
                        self.stream_ping_answered(sequence);
                    }
                    true
                }
                Role::Message { operation } => {
                    self.finish_message(operation, &message);
                    true
                }
            },
            Ok(None) if fin => {
                self.stream_ended_early(role, OperationError::ClosedWithoutAnswer);
                true
            }
            Ok(None) => false,
            Err(error) => {
                self.refuse_stream(id, role, &error);
                true
            }
        };
        if done {
            self.close_stream(id);
        } else {
            self.streams.insert(id, stream);
        }
    }

    fn incoming_bytes(&self) -> usize {
        let incoming = self.streams.iter().filter(|(id, _)| id.is_incoming());
        incoming.map(|(_, stream)| stream.held).sum()
    }

    /// Whether the stream is done with.
    fn receive_request(&mut self, id: StreamId, from: &Peer, message: StreamMessage<'_>) -> bool {
        match message {
            StreamMessage::Ping(ping) => self.answer_stream_ping(id, from, &ping),
            StreamMessage::PushPull(push_pull) => self.answer_exchange(id, from, &push_pull),
            StreamMessage::User(payload) => {
                if !payload.is_empty() {
                    self.deliver(from, payload, true);
                }
                // No reply exists; that our side ends tells the sender that it was taken.
                self.write_answer(id, Vec::new());
            }
            StreamMessage::Ack(_) | StreamMessage::Error(_) => {
                self.counters.refused_malformed += 1;
            }
        }
        true
    }

    fn answer_stream_ping(&mut self, id: StreamId, from: &Peer, ping: &Ping<'_>) {
        if self.is_for_me(ping.node) && self.is_genuine(from, ping.source_node) {
            let ack = Message::Ack(Ack { seq_no: ping.seq_no, payload: None });
            self.answer_stream(id, &ack.to_vec());
        }
    }

    /// Seals one message, writes it and ends our side.
    pub(super) fn answer_stream(&mut self, id: StreamId, plain: &[u8]) {
        match self.codec.seal_stream(plain, Side::Answerer) {
            Ok(bytes) => self.write_answer(id, bytes),
            Err(error) => log::warn!("cannot answer a stream: {error}"),
        }
    }

    fn write_answer(&mut self, id: StreamId, bytes: Vec<u8>) {
        self.counters.stream_bytes_out += bytes.len() as u64;
        self.outputs.push_back(Output::WriteStream { id, bytes, finish: true });
    }

    fn finish_message(&mut self, operation: OperationId, message: &StreamMessage<'_>) {
        let outcome = match message {
            StreamMessage::Error(error) => {
                Outcome::Failed(OperationError::PeerRefused(error_text(error)))
            }
            StreamMessage::Ping(_)
            | StreamMessage::Ack(_)
            | StreamMessage::PushPull(_)
            | StreamMessage::User(_) => Outcome::Failed(OperationError::UnacceptableAnswer(
                UnacceptableAnswer::UnexpectedMessage,
            )),
        };
        self.finish(operation, outcome);
    }

    /// The decoder found something wrong.
    fn refuse_stream(&mut self, id: StreamId, role: &Role, error: &StreamDecodeError) {
        if let (Role::Message { operation }, StreamDecodeError::Truncated { offset: 0 }) =
            (role, error)
        {
            // The other side ended without a word: it took the message.
            self.finish(*operation, Outcome::Delivered);
            return;
        }
        if let (Role::Exchange { .. }, StreamDecodeError::Truncated { offset: 0 }) = (role, error) {
            let refused = OperationError::ClosedWithoutAnswer;
            self.stream_ended_early(role, refused);
            return;
        }
        let kind = match error {
            StreamDecodeError::Label(_) => {
                self.counters.refused_label += 1;
                WarningKind::WrongLabel
            }
            StreamDecodeError::Encrypted
            | StreamDecodeError::NotEncrypted
            | StreamDecodeError::Decrypt(_) => {
                self.counters.refused_key += 1;
                WarningKind::WrongKey
            }
            StreamDecodeError::Decompress(_)
            | StreamDecodeError::Truncated { .. }
            | StreamDecodeError::UnexpectedType(_)
            | StreamDecodeError::Negative { .. }
            | StreamDecodeError::TooLong { .. }
            | StreamDecodeError::Malformed { .. } => {
                self.counters.refused_malformed += 1;
                WarningKind::Malformed
            }
        };
        match role {
            Role::Incoming { from } => {
                self.warn(kind, from.address, error.to_string());
                if error.is_answered() {
                    let text = error.to_string();
                    let mut plain = Vec::new();
                    ErrorMessage { error: text.as_bytes() }.encode(&mut plain);
                    self.answer_stream(id, &plain);
                }
            }
            Role::Exchange { to, .. } => {
                self.warn(kind, to.address, error.to_string());
                self.stream_ended_early(
                    role,
                    OperationError::UnacceptableAnswer(error.clone().into()),
                );
            }
            Role::StreamPing { .. } | Role::Message { .. } => {
                self.stream_ended_early(
                    role,
                    OperationError::UnacceptableAnswer(error.clone().into()),
                );
            }
        }
    }

    /// The other side ended, or broke off, without an answer.
    fn stream_ended_early(&mut self, role: &Role, error: OperationError) {
        match role {
            Role::Exchange { to, purpose } => {
                self.exchange_failed(to.address, purpose, error);
            }
            Role::Message { operation } => self.finish(*operation, Outcome::Failed(error)),
            Role::StreamPing { .. } | Role::Incoming { .. } => {}
        }
    }

    pub(super) fn fail_stream(&mut self, id: StreamId, reason: StreamFailure) {
        let Some(stream) = self.streams.remove(&id) else { return };
        self.timers.clear(Timer::Stream(id));
        let error = match reason {
            StreamFailure::TimedOut => OperationError::TimedOut,
            StreamFailure::Refused
            | StreamFailure::Reset
            | StreamFailure::PeerMismatch
            | StreamFailure::Closed => OperationError::Unreachable(reason),
        };
        self.stream_ended_early(&stream.role, error);
    }

    pub(super) fn stream_took_too_long(&mut self, id: StreamId) {
        let Some(stream) = self.streams.remove(&id) else { return };
        self.stream_ended_early(&stream.role, OperationError::TimedOut);
        self.close_stream(id);
    }

    /// Lets go of a stream whose outcome matters to nobody any more.
    pub(super) fn abandon_stream(&mut self, id: StreamId) {
        if self.streams.remove(&id).is_some() {
            self.close_stream(id);
        }
    }

    /// Ends every full exchange that we began; returns with whom.
    pub(super) fn cancel_exchanges(&mut self) -> Vec<Destination> {
        let ours: Vec<(StreamId, Role)> = self
            .streams
            .iter()
            .filter(|(_, stream)| matches!(stream.role, Role::Exchange { .. }))
            .map(|(id, stream)| (*id, stream.role.clone()))
            .collect();
        let mut partners = Vec::new();
        for (id, role) in ours {
            self.abandon_stream(id);
            self.stream_ended_early(&role, OperationError::HasLeft);
            if let Role::Exchange { to, .. } = role {
                partners.push(to);
            }
        }
        partners
    }

    fn close_stream(&mut self, id: StreamId) {
        self.timers.clear(Timer::Stream(id));
        self.outputs.push_back(Output::CloseStream { id });
    }
}

pub(super) fn error_text(error: &ErrorMessage<'_>) -> String {
    String::from_utf8_lossy(error.error).into_owned()
}
