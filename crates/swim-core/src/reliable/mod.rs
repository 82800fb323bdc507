//! Reliable messages between members of this library: acknowledged, in order, each once.
//!
//! Each member opens one stream to each member that it sends reliable messages to
//! ([`outgoing`]); the receiver hands them to its application and answers with what the
//! application did ([`incoming`]). The frames are those of
//! [`ReliableFrame`](crate::wire::ReliableFrame). A sender whose stream is lost sends again what
//! was not answered; the receiver knows by epoch and sequence number what it has handed over.

mod incoming;
mod incoming_stream;
mod outgoing;
mod outgoing_peer;
mod sender_record;

use incoming::Incoming;
use outgoing::Outgoing;
pub(crate) use outgoing_peer::OutgoingMessage;

use crate::effects::Effects;
use crate::member_table::MemberTable;
use crate::output::StreamId;
use crate::time::Time;

/// The reliable messages of one member, both ways; the two ways share nothing.
pub(crate) struct ReliableMessages {
    pub(crate) outgoing: Outgoing,
    pub(crate) incoming: Incoming,
}

impl ReliableMessages {
    /// `epoch` names this process to the others.
    pub(crate) fn new(epoch: u64, now: Time) -> Self {
        Self { outgoing: Outgoing::new(epoch), incoming: Incoming::new(epoch, now) }
    }

    /// Whether the bytes belong to a stream of reliable messages; they are handled then.
    pub(crate) fn receive(
        &mut self,
        id: StreamId,
        (bytes, fin): (&[u8], bool),
        members: &MemberTable,
        max_senders: usize,
        effects: &mut Effects,
    ) -> bool {
        if self.outgoing.has_stream(id) {
            self.outgoing.receive(id, bytes, fin, effects);
        } else if self.incoming.has_stream(id) {
            self.incoming.receive(id, bytes, fin, members, max_senders, effects);
        } else {
            return false;
        }
        true
    }

    /// How many streams are under way.
    pub(crate) fn streams(&self) -> usize {
        self.outgoing.streams() + self.incoming.streams()
    }

    /// Whether the stream is under way.
    pub(crate) fn has_stream(&self, id: StreamId) -> bool {
        self.outgoing.has_stream(id) || self.incoming.has_stream(id)
    }
}
