//! Reliable messages: which of the two ways they go, and what the application says of those that
//! arrive.

use std::time::Duration;

use super::Membership;
use super::commands::check_length;
use crate::error::{OperationError, SendRefusal};
use crate::exchanges::Role;
use crate::features::Features;
use crate::member_name::MemberName;
use crate::output::{AcknowledgementId, Destination, OperationId, Outcome, StreamId};
use crate::reliable::{Decision, OutgoingMessage};
use crate::time::Time;
use crate::wire::{DeliveryStatus, EXTENSION_BYTE, MAX_USER_MESSAGE, StreamTooLong, encode_user};

impl Membership {
    /// Sends `payload` to one member on a stream, after those sent to it before. Ends in
    /// [`Outcome::Delivered`], whose report says how much that means, or in [`Outcome::Failed`],
    /// after `timeout` at the latest.
    ///
    /// What has not been written by then ends as [`OperationError::TimedOut`] and never will be;
    /// what has, as [`OperationError::Unknown`]. Until then it is sent again when a connection is
    /// lost, and delivered once all the same.
    ///
    /// # Errors
    /// When the member is not there, the payload exceeds 20 MiB less its layers, or too many
    /// operations are under way.
    pub fn send_reliable(
        &mut self,
        to: &MemberName,
        payload: &[u8],
        timeout: Duration,
        now: Time,
    ) -> Result<OperationId, SendRefusal> {
        self.effects.begin(now);
        let index = self.find_live(to)?;
        // An encrypted message must not exceed 20 MiB, and incompressible bytes grow by half when
        // compressed; only then is there less room.
        let limit = if self.effects.encoder().settings().encrypts() && self.config.compression {
            MAX_USER_MESSAGE / 2
        } else {
            MAX_USER_MESSAGE - 128
        };
        check_length(payload, limit)?;
        let operation = self.admit_operation()?;
        let destination = Destination::of(self.members.get(index));
        let payload = payload.to_vec();
        let message = OutgoingMessage { operation, payload, deadline: now + timeout };
        self.reliable.outgoing.send(destination, to, message, &mut self.effects);
        Ok(operation)
    }

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
        match self.reliable.outgoing.decide(id) {
            Decision::None => {}
            Decision::PeerAt(to) if self.takes_reliable(&to) => {
                self.reliable.outgoing.begin(id, &mut self.effects);
            }
            Decision::PeerAt(to) => {
                for message in self.reliable.outgoing.release(id, &mut self.effects) {
                    self.send_as_go(to.clone(), message);
                }
            }
        }
    }

    /// Sends a message on a stream of its own, whose end is the only answer.
    fn send_as_go(&mut self, to: Destination, message: OutgoingMessage) {
        let OutgoingMessage { operation, payload, deadline } = message;
        let mut bytes = Vec::with_capacity(payload.len() + 32);
        encode_user(&payload, &mut bytes);
        let role = Role::Message { operation };
        if let Err(StreamTooLong { length: len, limit }) =
            self.exchanges.open(to, &bytes, deadline, role, &mut self.effects)
        {
            let error = OperationError::TooLarge { len, limit };
            self.effects.finish(operation, Outcome::Failed(error));
        }
    }

    fn takes_reliable(&self, to: &Destination) -> bool {
        let features = self.dissemination.features(to.address);
        features.is_some_and(|features| features.contains(Features::RELIABLE))
    }

    /// Whether the bytes belong to a stream of reliable messages; they are handled then.
    pub(super) fn receive_reliable(&mut self, id: StreamId, bytes: &[u8], fin: bool) -> bool {
        if self.reliable.outgoing.has_stream(id) {
            self.reliable.outgoing.receive(id, bytes, fin, &mut self.effects);
            return true;
        }
        if bytes.first() == Some(&EXTENSION_BYTE)
            && let Some(from) = self.exchanges.take_untouched(id)
        {
            self.reliable.incoming.accept(id, &from, &mut self.effects);
        } else if !self.reliable.incoming.has_stream(id) {
            return false;
        }
        let Self { reliable, members, config, effects, .. } = self;
        reliable.incoming.receive(id, bytes, fin, members, config.max_members, effects);
        true
    }
}
