//! Decodes streams: one exchange each way, read as its bytes arrive.
//!
//! The opener writes the label header and a ping, a push-pull or a user message; the other side
//! answers with an ack, a push-pull or an error, without a label header. Nobody waits for the end
//! of a stream: a message is complete when its own lengths say so. A decoder keeps only bytes that
//! arrived, and decodes again only once all bytes that the last attempt lacked are there.

use super::decode_error::{DecodeError, DecodeErrorKind};
use super::lzw_decoder::LzwDecoder;
use super::message_type::MessageType;
use super::msgpack::{MsgpackStruct, Reader};
use super::packet_decoder::PacketDecoder;
use super::schema::{Ack, ErrorMessage, NodeState, Ping, PushPullHeader, UserHeader};
use super::stream_decode_error::{LimitedLength, StreamDecodeError};
use super::stream_message::{Side, StreamMessage};
use super::wire_limits::{MAX_PLAIN_STREAM, MAX_PUSH_PULL_NODES, MAX_USER_MESSAGE, MAX_USER_STATE};
use super::wire_settings::WireSettings;

mod decode_stage;
mod stream_content;
mod stream_layers;

use decode_stage::{Content, PushPullLengths, Stage, StreamType, Value};

/// Reads what one side writes on a stream, in whatever pieces it comes.
///
/// Holds the bytes that arrived and no more: at most 20 MiB of an encrypted stream, 40 MiB of a
/// decompressed one, 128 MiB of a plain one.
#[derive(Debug)]
pub struct StreamDecoder {
    buffer: Vec<u8>,
    /// Where in the buffer the current stage begins.
    at: usize,
    /// How long the buffer must be before another attempt can succeed.
    wanted: usize,
    /// Whether the other side has ended the stream.
    finished: bool,
    stage: Stage,
    /// Whether a layer has yielded all bytes that there are: what is missing then never comes.
    whole: bool,
    encrypted: bool,
    compressed: bool,
    has_number_array: bool,
    trailing: usize,
}

impl StreamDecoder {
    /// A decoder for what `side` writes.
    pub fn new(side: Side) -> Self {
        Self {
            buffer: Vec::new(),
            at: 0,
            wanted: 1,
            finished: false,
            stage: match side {
                Side::Opener => Stage::Label,
                Side::Answerer => Stage::Encryption,
            },
            whole: false,
            encrypted: false,
            compressed: false,
            has_number_array: false,
            trailing: 0,
        }
    }

    /// Takes the next bytes; `fin` says that none follow them. Returns the message with the call
    /// that completes it; later bytes are counted and ignored.
    ///
    /// # Errors
    /// The first thing that is wrong; the stream is of no further use then.
    pub fn push(
        &mut self,
        bytes: &[u8],
        fin: bool,
        settings: &WireSettings,
    ) -> Result<Option<StreamMessage<'_>>, StreamDecodeError> {
        self.take(bytes, fin, settings, &mut LzwDecoder::default())
    }

    /// As [`push`](Self::push), with the LZW table of a packet decoder, so that a compressed
    /// message needs none of its own.
    ///
    /// # Errors
    /// As `push`.
    pub fn push_with(
        &mut self,
        bytes: &[u8],
        fin: bool,
        settings: &WireSettings,
        packets: &mut PacketDecoder,
    ) -> Result<Option<StreamMessage<'_>>, StreamDecodeError> {
        self.take(bytes, fin, settings, packets.lzw_decoder())
    }

    fn take(
        &mut self,
        bytes: &[u8],
        fin: bool,
        settings: &WireSettings,
        lzw: &mut LzwDecoder,
    ) -> Result<Option<StreamMessage<'_>>, StreamDecodeError> {
        if matches!(self.stage, Stage::Failed | Stage::Done(_)) {
            self.trailing = self.trailing.saturating_add(bytes.len());
            return Ok(None);
        }
        self.finished |= fin;
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() < self.wanted && !self.finished {
            return Ok(None);
        }
        let content = match self.advance(settings, lzw) {
            Ok(Some(content)) => content,
            Ok(None) => return Ok(None),
            Err(error) => {
                self.stage = Stage::Failed;
                self.buffer = Vec::new();
                return Err(error);
            }
        };
        let content =
            if self.has_number_array { self.rewrite_number_arrays(content)? } else { content };
        self.stage = Stage::Done(content.clone());
        self.message(&content).map(Some)
    }

    /// Bytes that came after the message.
    pub fn trailing(&self) -> usize {
        self.trailing
    }

    /// Whether the message came encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Whether the message came compressed.
    pub fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// Goes as far as the bytes allow; the message's place once it is complete.
    fn advance(
        &mut self,
        settings: &WireSettings,
        lzw: &mut LzwDecoder,
    ) -> Result<Option<Content>, StreamDecodeError> {
        loop {
            let step = match self.stage {
                Stage::Label => self.take_label(settings)?,
                Stage::Encryption => self.decrypt(settings)?,
                Stage::Compression => self.decompress(lzw)?,
                Stage::Type => self.take_type()?,
                Stage::Value(kind) => self.take_value(kind)?,
                Stage::User { length } => self.take_user(length)?,
                Stage::States { lengths, left } => self.take_states(lengths, left)?,
                Stage::UserState { lengths } => self.take_user_state(lengths)?,
                Stage::Done(_) | Stage::Failed => None,
            };
            match step {
                Some(Stage::Done(content)) => {
                    self.trailing += self.buffer.len() - self.at;
                    return Ok(Some(content));
                }
                Some(stage) => self.stage = stage,
                None => return Ok(None),
            }
        }
    }

    fn take_type(&mut self) -> Result<Option<Stage>, StreamDecodeError> {
        if !self.has(1)? {
            return Ok(None);
        }
        let first = self.unread().first().copied().unwrap_or_default();
        let kind = StreamType::from_byte(first).ok_or(StreamDecodeError::UnexpectedType(first))?;
        self.at += 1;
        Ok(Some(Stage::Value(kind)))
    }

    /// Reads the one value of a short message, or the header of a long one.
    fn take_value(&mut self, kind: StreamType) -> Result<Option<Stage>, StreamDecodeError> {
        let start = self.at;
        let mut reader = Reader::new(self.buffer.get(start..).unwrap_or_default());
        let read = match kind {
            StreamType::Ping => Ping::read(&mut reader).map(|_| Value::Ping),
            StreamType::Ack => Ack::read(&mut reader).map(|_| Value::Ack),
            StreamType::Error => ErrorMessage::read(&mut reader).map(|_| Value::Error),
            StreamType::PushPull => PushPullHeader::read(&mut reader).map(Value::PushPull),
            StreamType::User => UserHeader::read(&mut reader).map(Value::User),
        };
        let has_number_array = reader.has_number_array();
        let end = start + reader.offset();
        let value = match read {
            Ok(value) => value,
            Err(error) => return self.wait_for(kind.message_type(), start, error),
        };
        self.has_number_array |= has_number_array;
        self.at = end;
        Ok(Some(match value {
            Value::Ping => Stage::Done(Content::Ping(start..end)),
            Value::Ack => Stage::Done(Content::Ack(start..end)),
            Value::Error => Stage::Done(Content::Error(start..end)),
            Value::User(header) => Stage::User {
                length: limited(LimitedLength::UserMessage, header.user_msg_len, MAX_USER_MESSAGE)?,
            },
            Value::PushPull(header) => {
                let nodes = limited(LimitedLength::NodeStates, header.nodes, MAX_PUSH_PULL_NODES)?;
                let user_state =
                    limited(LimitedLength::UserState, header.user_state_len, MAX_USER_STATE)?;
                let lengths =
                    PushPullLengths { join: header.join, nodes, nodes_at: end, user_state };
                Stage::States { lengths, left: nodes }
            }
        }))
    }

    fn take_user(&mut self, length: usize) -> Result<Option<Stage>, StreamDecodeError> {
        if !self.has(length)? {
            return Ok(None);
        }
        let start = self.at;
        self.at += length;
        Ok(Some(Stage::Done(Content::User(start..self.at))))
    }

    fn take_states(
        &mut self,
        lengths: PushPullLengths,
        left: usize,
    ) -> Result<Option<Stage>, StreamDecodeError> {
        for left in (0..left).rev() {
            let mut reader = Reader::new(self.buffer.get(self.at..).unwrap_or_default());
            if let Err(error) = NodeState::read(&mut reader) {
                self.stage = Stage::States { lengths, left: left + 1 };
                return self.wait_for(MessageType::PushPull, self.at, error);
            }
            self.has_number_array |= reader.has_number_array();
            self.at += reader.offset();
        }
        Ok(Some(Stage::UserState { lengths }))
    }

    fn take_user_state(
        &mut self,
        lengths: PushPullLengths,
    ) -> Result<Option<Stage>, StreamDecodeError> {
        if !self.has(lengths.user_state)? {
            return Ok(None);
        }
        let nodes_end = self.at;
        self.at += lengths.user_state;
        Ok(Some(Stage::Done(Content::PushPull {
            join: lengths.join,
            count: lengths.nodes,
            nodes: lengths.nodes_at..nodes_end,
            user_state: nodes_end..self.at,
        })))
    }

    /// Whether this many bytes are there to be read; an error if they will never be.
    fn has(&mut self, length: usize) -> Result<bool, StreamDecodeError> {
        let end = self.at + length;
        if self.buffer.len() >= end {
            return Ok(true);
        }
        if self.whole || self.finished {
            return Err(StreamDecodeError::Truncated { offset: self.buffer.len() });
        }
        if end > MAX_PLAIN_STREAM {
            return Err(StreamDecodeError::TooLong {
                what: LimitedLength::Stream,
                limit: MAX_PLAIN_STREAM,
            });
        }
        self.wanted = end;
        Ok(false)
    }

    /// After a value that could not be read: more bytes may help, or nothing will.
    fn wait_for(
        &mut self,
        message: MessageType,
        start: usize,
        error: DecodeError,
    ) -> Result<Option<Stage>, StreamDecodeError> {
        match error.kind {
            DecodeErrorKind::Truncated { missing } => {
                let arrived = self.buffer.len() - self.at;
                self.has(arrived.saturating_add(missing)).map(|_| None)
            }
            DecodeErrorKind::NotAStruct
            | DecodeErrorKind::WrongType { .. }
            | DecodeErrorKind::EmptyKey
            | DecodeErrorKind::Negative
            | DecodeErrorKind::OutOfRange
            | DecodeErrorKind::TooDeep
            | DecodeErrorKind::TooManyValues
            | DecodeErrorKind::TimestampLength => Err(StreamDecodeError::Malformed {
                message,
                offset: start + error.offset,
                source: error.kind,
            }),
        }
    }

    fn unread(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or_default()
    }
}

fn malformed(message: MessageType, error: DecodeError) -> StreamDecodeError {
    StreamDecodeError::Malformed { message, offset: error.offset, source: error.kind }
}

/// An announced number, if it is one that we accept.
fn limited(
    what: LimitedLength,
    announced: impl Into<i64>,
    limit: usize,
) -> Result<usize, StreamDecodeError> {
    let announced = announced.into();
    let length = usize::try_from(announced).map_err(|_| StreamDecodeError::Negative { what })?;
    if length > limit {
        return Err(StreamDecodeError::TooLong { what, limit });
    }
    Ok(length)
}

#[cfg(test)]
mod tests;
