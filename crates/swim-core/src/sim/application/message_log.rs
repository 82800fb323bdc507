//! Application messages: each arrives at most once, unharmed, at the host it was meant for.
//!
//! Every message carries a number. The modelled network never repeats a packet that carries one,
//! as QUIC repeats none, so every repetition is the members' doing.

use std::collections::BTreeSet;

use crate::sim::fault::HostId;

/// Numbers all messages of a simulation in the order in which they were composed.
pub(crate) type MessageNumber = u64;

/// How a message was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageKind {
    Broadcast,
    Packet,
    Stream,
}

/// What must not happen to a message; hosts are given by their numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MessageViolation {
    #[error("messages arrive as they were sent: host {host} got a payload that nobody sent")]
    Unknown { host: usize },
    #[error("messages reach only whom they are meant for: message {number} reached host {host}")]
    Misdelivered { host: usize, number: MessageNumber },
    #[error("no message is delivered twice: message {number} was, at host {host}")]
    Repeated { host: usize, number: MessageNumber },
}

/// All messages of a run.
#[derive(Default)]
pub(crate) struct MessageLog {
    sent: Vec<SentMessage>,
    delivered: BTreeSet<(MessageNumber, HostId)>,
}

struct SentMessage {
    kind: MessageKind,
    /// `None` for a broadcast.
    to: Option<HostId>,
}

/// Marks the payloads of a simulation.
const MARK: [u8; 4] = *b"sim ";
/// The shortest payload: the mark and the number.
pub(crate) const MIN_PAYLOAD: usize = MARK.len() + size_of::<MessageNumber>();

impl MessageLog {
    /// Makes a payload of `len` bytes, or of [`MIN_PAYLOAD`] if that is more; `to` is `None` for a
    /// broadcast.
    pub(crate) fn compose(&mut self, kind: MessageKind, to: Option<HostId>, len: usize) -> Vec<u8> {
        let number = self.sent.len() as MessageNumber;
        self.sent.push(SentMessage { kind, to });
        let mut payload = MARK.to_vec();
        payload.extend_from_slice(&number.to_le_bytes());
        payload.resize(len.max(MIN_PAYLOAD), 0x5a);
        payload
    }

    /// A message arrived.
    pub(crate) fn deliver(
        &mut self,
        host: HostId,
        reliable: bool,
        payload: &[u8],
    ) -> Result<MessageKind, MessageViolation> {
        let found = number_of(payload).and_then(|number| Some((number, self.sent(number)?)));
        let Some((number, sent)) = found else {
            return Err(MessageViolation::Unknown { host: host.index() });
        };
        let kind = sent.kind;
        if sent.to.is_some_and(|to| to != host) || reliable != (kind == MessageKind::Stream) {
            return Err(MessageViolation::Misdelivered { host: host.index(), number });
        }
        if !self.delivered.insert((number, host)) {
            return Err(MessageViolation::Repeated { host: host.index(), number });
        }
        Ok(kind)
    }

    /// Whether a message has reached the host it was sent to.
    pub(crate) fn has_arrived(&self, number: MessageNumber) -> bool {
        let to = self.sent(number).and_then(|sent| sent.to);
        to.is_some_and(|to| self.delivered.contains(&(number, to)))
    }

    fn sent(&self, number: MessageNumber) -> Option<&SentMessage> {
        self.sent.get(usize::try_from(number).ok()?)
    }
}

/// The number in a payload of ours.
pub(crate) fn number_of(payload: &[u8]) -> Option<MessageNumber> {
    let number = payload.strip_prefix(&MARK)?.first_chunk()?;
    Some(MessageNumber::from_le_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: HostId = HostId(0);
    const BOB: HostId = HostId(1);

    #[test]
    fn a_second_delivery_is_noticed_but_everybody_gets_a_broadcast() {
        let mut messages = MessageLog::default();
        let payload = messages.compose(MessageKind::Broadcast, None, 40);
        assert!(messages.deliver(ADA, false, &payload).is_ok());
        assert!(messages.deliver(BOB, false, &payload).is_ok());
        let again = messages.deliver(BOB, false, &payload);
        assert_eq!(again, Err(MessageViolation::Repeated { host: 1, number: 0 }));
    }

    #[test]
    fn a_message_to_the_wrong_member_or_with_other_bytes_is_noticed() {
        let mut messages = MessageLog::default();
        let payload = messages.compose(MessageKind::Stream, Some(BOB), 0);
        let astray = messages.deliver(ADA, true, &payload);
        assert_eq!(astray, Err(MessageViolation::Misdelivered { host: 0, number: 0 }));
        let garbage = messages.deliver(BOB, true, b"garbage");
        assert_eq!(garbage, Err(MessageViolation::Unknown { host: 1 }));
        assert!(messages.deliver(BOB, true, &payload).is_ok());
    }

    #[test]
    fn a_message_has_arrived_once_it_was_delivered_to_its_host() {
        let mut messages = MessageLog::default();
        let payload = messages.compose(MessageKind::Stream, Some(BOB), 0);
        assert!(!messages.has_arrived(0));
        assert!(messages.deliver(BOB, true, &payload).is_ok());
        assert!(messages.has_arrived(0));
    }
}
