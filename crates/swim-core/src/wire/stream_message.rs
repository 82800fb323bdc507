//! What one side writes on a stream, all layers removed.

use super::msgpack::{MsgpackStruct, Reader};
use super::schema::{Ack, ErrorMessage, NodeState, Ping};

/// Who wrote the bytes of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The side that opened it: writes the label header.
    Opener,
    /// The side that answers: writes no label header, though the label is authenticated all the
    /// same.
    Answerer,
}

/// What one side wrote on a stream. Borrows from the decoder.
#[derive(Clone, Debug)]
pub enum StreamMessage<'a> {
    /// A probe by stream.
    Ping(Ping<'a>),
    /// The answer to a ping.
    Ack(Ack<'a>),
    /// A full state.
    PushPull(PushPull<'a>),
    /// Application bytes.
    User(&'a [u8]),
    /// Why the other side refused.
    Error(ErrorMessage<'a>),
}

/// A full state.
#[derive(Clone, Debug)]
pub struct PushPull<'a> {
    /// Whether the sender is joining.
    pub join: bool,
    /// The members it knows, itself included.
    pub nodes: NodeStates<'a>,
    /// The application's state.
    pub user_state: &'a [u8],
}

/// The members in a push-pull.
///
/// There may be a million of them, so that they are not collected but decoded one by one. The
/// decoder has found all of them well formed before.
#[derive(Clone, Debug)]
pub struct NodeStates<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> NodeStates<'a> {
    /// The states of `count` members, encoded one after the other.
    pub(super) fn new(encoded: &'a [u8], count: usize) -> Self {
        Self { rest: encoded, left: count }
    }
}

impl<'a> Iterator for NodeStates<'a> {
    type Item = NodeState<'a>;

    fn next(&mut self) -> Option<NodeState<'a>> {
        self.left = self.left.checked_sub(1)?;
        let mut reader = Reader::new(self.rest);
        let node = NodeState::read(&mut reader);
        debug_assert!(node.is_ok(), "a node state was read before and cannot be read again");
        self.rest = self.rest.get(reader.offset()..).unwrap_or_default();
        node.ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for NodeStates<'_> {}
