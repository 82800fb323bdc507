//! Reliable messages: which of the two ways they go, and what the application says of those that
//! arrive.

use super::Membership;
use crate::features::Features;
use crate::output::{AcknowledgementId, StreamId};
use crate::time::Time;
use crate::wire::{DeliveryStatus, EXTENSION_BYTE};

impl Membership {
    /// The application disposed of a reliable message that [`MembershipEvent::Message`] handed to
    /// it: its sender learns that. Of messages that are not under way nothing is said.
    ///
    /// [`MembershipEvent::Message`]: crate::MembershipEvent::Message
    pub fn acknowledge(&mut self, id: AcknowledgementId, status: DeliveryStatus, now: Time) {
        self.effects.begin(now);
        self.reliable.incoming.acknowledge(id, status, &mut self.effects);
    }

    /// A stream of ours is open, or takes more bytes than before.
    pub fn handle_stream_writable(&mut self, id: StreamId, now: Time) {
        self.effects.begin(now);
        let Self { reliable, exchanges, dissemination, processes, effects, .. } = self;
        let features = |peer| dissemination.features(peer).unwrap_or(Features::NONE);
        let speaks = |peer| processes.if_listed(peer, features(peer).contains(Features::RELIABLE));
        for (to, message) in reliable.outgoing.opened(id, speaks, effects) {
            exchanges.open_message(to, message, effects);
        }
    }

    /// Whether the bytes belong to a stream of reliable messages; they are handled then.
    pub(super) fn receive_reliable(&mut self, id: StreamId, bytes: &[u8], fin: bool) -> bool {
        let Self { reliable, exchanges, members, config, effects, .. } = self;
        if bytes.first() == Some(&EXTENSION_BYTE)
            && let Some(from) = exchanges.take_untouched(id)
        {
            reliable.incoming.accept(id, &from, effects);
        }
        reliable.receive(id, (bytes, fin), members, config.max_members, effects)
    }
}
