//! Reads a complete message from its place in the decoder's buffer.

use std::ops::Range;

use super::decode_stage::Content;
use super::{StreamDecoder, malformed};
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
        let mut rewrite = |value, kind| {
            let message = self.buffer.get(value).unwrap_or_default();
            rewrite_number_arrays(message, &mut out).map_err(|error| malformed(kind, error))?;
            Ok::<_, StreamDecodeError>(0..out.len())
        };
        let content = match content {
            Content::Ping(value) => Content::Ping(rewrite(value, MessageType::Ping)?),
            Content::Ack(value) => Content::Ack(rewrite(value, MessageType::Ack)?),
            Content::Error(value) => Content::Error(rewrite(value, MessageType::Error)?),
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
        let reader = |range| Reader::new(bytes(range));
        Ok(match content {
            Content::Ping(value) => StreamMessage::Ping(
                Ping::read(&mut reader(value)).map_err(|e| malformed(MessageType::Ping, e))?,
            ),
            Content::Ack(value) => StreamMessage::Ack(
                Ack::read(&mut reader(value)).map_err(|e| malformed(MessageType::Ack, e))?,
            ),
            Content::Error(value) => StreamMessage::Error(
                ErrorMessage::read(&mut reader(value))
                    .map_err(|e| malformed(MessageType::Error, e))?,
            ),
            Content::User(payload) => StreamMessage::User(bytes(payload)),
            Content::PushPull { join, count, nodes, user_state } => {
                StreamMessage::PushPull(PushPull {
                    join: *join,
                    nodes: NodeStates::new(bytes(nodes), *count),
                    user_state: bytes(user_state),
                })
            }
        })
    }
}
