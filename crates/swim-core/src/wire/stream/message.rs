//! What a complete stream says.
//!
//! Borrowed from the decoder. A push-pull may hold a million members: they are read one by one.

use crate::wire::msgpack::{Reader, Record};
use crate::wire::schema::{Ack, ErrorMessage, NodeState, Ping};

/// What one side wrote on a stream, all layers undone.
#[derive(Clone, Debug)]
pub enum StreamMessage<'a> {
    /// The opener probes us.
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

/// The members in a push-pull, read again one by one: all of them have been found well formed.
#[derive(Clone, Debug)]
pub struct NodeStates<'a> {
    pub(super) rest: &'a [u8],
    pub(super) left: usize,
}

impl<'a> Iterator for NodeStates<'a> {
    type Item = NodeState<'a>;

    fn next(&mut self) -> Option<NodeState<'a>> {
        self.left = self.left.checked_sub(1)?;
        let mut reader = Reader::new(self.rest);
        let node = NodeState::read(&mut reader).ok()?;
        self.rest = self.rest.get(reader.offset()..).unwrap_or_default();
        Some(node)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for NodeStates<'_> {}
