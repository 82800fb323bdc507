//! Reads a complete message from its place in the decoder's buffer.

use std::ops::Range;

use super::{Content, StreamDecoder, malformed};
use crate::wire::message_type::MessageType;
use crate::wire::msgpack::{MsgpackStruct, Reader, rewrite_number_arrays};
use crate::wire::schema::{Ack, ErrorMessage, Ping};
use crate::wire::stream_decode_error::StreamDecodeError;
use crate::wire::stream_message::{NodeStates, PushPull, StreamMessage};

impl StreamDecoder {
    /// Rewrites a message whose byte fields came as arrays of numbers.
    pub(super) fn rewrite_number_arrays(
        &mut self,
        content: Content,
    ) -> Result<Content, StreamDecodeError> {
        let mut out = Vec::new();
        let content = match content {
            Content::Single(kind, value) => {
                let message = self.buffer.get(value).unwrap_or_default();
                rewrite_number_arrays(message, &mut out).map_err(|error| malformed(kind, error))?;
                Content::Single(kind, 0..out.len())
            }
            Content::User(_) => return Ok(content),
            Content::PushPull { join, count, nodes, user_state } => {
                let mut rest = self.buffer.get(nodes).unwrap_or_default();
                for _ in 0..count {
                    let consumed = rewrite_number_arrays(rest, &mut out)
                        .map_err(|error| malformed(MessageType::PushPull, error))?;
                    rest = rest.get(consumed..).unwrap_or_default();
                }
                let end = out.len();
                out.extend_from_slice(self.buffer.get(user_state).unwrap_or_default());
                Content::PushPull { join, count, nodes: 0..end, user_state: end..out.len() }
            }
        };
        self.buffer = out;
        Ok(content)
    }

    pub(super) fn message(
        &self,
        content: &Content,
    ) -> Result<StreamMessage<'_>, StreamDecodeError> {
        let bytes = |range: &Range<usize>| self.buffer.get(range.clone()).unwrap_or_default();
        Ok(match content {
            Content::User(payload) => StreamMessage::User(bytes(payload)),
            Content::PushPull { join, count, nodes, user_state } => {
                StreamMessage::PushPull(PushPull {
                    join: *join,
                    nodes: NodeStates::new(bytes(nodes), *count),
                    user_state: bytes(user_state),
                })
            }
            Content::Single(kind, value) => {
                let mut reader = Reader::new(bytes(value));
                let failed = |error| malformed(*kind, error);
                if *kind == MessageType::Ping {
                    StreamMessage::Ping(Ping::read(&mut reader).map_err(failed)?)
                } else if *kind == MessageType::Ack {
                    StreamMessage::Ack(Ack::read(&mut reader).map_err(failed)?)
                } else {
                    StreamMessage::Error(ErrorMessage::read(&mut reader).map_err(failed)?)
                }
            }
        })
    }
}
