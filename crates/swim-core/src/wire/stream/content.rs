//! A complete message, from its place in the decoder's buffer: byte fields gathered, values read.
//!
//! What arrives here has been read once already; nothing is waited for.

use std::ops::Range;

use super::{Content, NodeStates, PushPull, StreamDecoder, StreamError, StreamMessage, malformed};
use crate::wire::MessageType;
use crate::wire::msgpack::{Reader, Record, gather};
use crate::wire::schema::{Ack, ErrorMessage, Ping};

impl StreamDecoder {
    /// Rewrites a message whose byte fields came as arrays of numbers.
    pub(super) fn gather(&mut self, content: Content) -> Result<Content, StreamError> {
        let mut out = Vec::new();
        let content = match content {
            Content::Single(kind, value) => {
                let message = self.buffer.get(value).unwrap_or_default();
                gather(message, &mut out).map_err(|fault| malformed(kind, fault))?;
                Content::Single(kind, 0..out.len())
            }
            Content::User(_) => return Ok(content),
            Content::PushPull { join, count, nodes, user_state } => {
                let mut rest = self.buffer.get(nodes).unwrap_or_default();
                for _ in 0..count {
                    let consumed = gather(rest, &mut out)
                        .map_err(|fault| malformed(MessageType::PushPull, fault))?;
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

    pub(super) fn message(&self, content: &Content) -> Result<StreamMessage<'_>, StreamError> {
        let bytes = |range: &Range<usize>| self.buffer.get(range.clone()).unwrap_or_default();
        Ok(match content {
            Content::User(payload) => StreamMessage::User(bytes(payload)),
            Content::PushPull { join, count, nodes, user_state } => {
                StreamMessage::PushPull(PushPull {
                    join: *join,
                    nodes: NodeStates { rest: bytes(nodes), left: *count },
                    user_state: bytes(user_state),
                })
            }
            Content::Single(kind, value) => {
                let mut reader = Reader::new(bytes(value));
                let failed = |fault| malformed(*kind, fault);
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
