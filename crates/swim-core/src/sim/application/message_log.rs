//! Application messages: each arrives at most once, whole, at the host it was meant for; reliable
//! ones in the order in which they were sent.
//!
//! Every message carries a number. The modelled network never repeats a packet that carries one,
//! as QUIC repeats none, so every repetition is the members' doing.

use std::collections::{BTreeMap, BTreeSet};

use crate::sim::fault::HostId;
use crate::sim::hosts::ProcessNumber;

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
    #[error(
        "reliable messages arrive in order: message {number} came after {before}, at host {host}"
    )]
    OutOfOrder { host: usize, number: MessageNumber, before: MessageNumber },
}

/// All messages of a run.
#[derive(Default)]
pub(crate) struct MessageLog {
    sent: Vec<SentMessage>,
    delivered: BTreeSet<(MessageNumber, HostId)>,
    /// The last reliable message that a process of a host had of a process of another one.
    last: BTreeMap<(Process, Process), MessageNumber>,
}

struct SentMessage {
    kind: MessageKind,
    /// `None` for a broadcast.
    to: Option<HostId>,
    len: usize,
    /// Once it was given to a member.
    from: Option<Process>,
}

/// One process of a host.
pub(crate) type Process = (HostId, ProcessNumber);

/// Marks the payloads of a simulation.
const MARK: [u8; 4] = *b"sim ";
/// What a payload ends with, up to its length.
const FILLER: u8 = 0x5a;
/// The shortest payload: the mark and the number.
pub(crate) const MIN_PAYLOAD: usize = MARK.len() + size_of::<MessageNumber>();

impl MessageLog {
    /// Makes a payload of `len` bytes, or of [`MIN_PAYLOAD`] if that is more; `to` is `None` for a
    /// broadcast.
    pub(crate) fn compose(&mut self, kind: MessageKind, to: Option<HostId>, len: usize) -> Vec<u8> {
        let number = self.sent.len() as MessageNumber;
        let len = len.max(MIN_PAYLOAD);
        self.sent.push(SentMessage { kind, to, len, from: None });
        let mut payload = MARK.to_vec();
        payload.extend_from_slice(&number.to_le_bytes());
        payload.resize(len, FILLER);
        payload
    }

    /// A message is given to the member that is to send it.
    pub(crate) fn send(&mut self, number: MessageNumber, from: Process) {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        if let Some(sent) = self.sent.get_mut(index) {
            sent.from = Some(from);
        }
    }

    /// A message arrived.
    pub(crate) fn deliver(
        &mut self,
        (host, process): Process,
        reliable: bool,
        payload: &[u8],
    ) -> Result<MessageKind, MessageViolation> {
        let found = number_of(payload).and_then(|number| Some((number, self.sent(number)?)));
        let Some((number, sent)) = found else {
            return Err(MessageViolation::Unknown { host: host.index() });
        };
        let (kind, from) = (sent.kind, sent.from);
        let filler = payload.get(MIN_PAYLOAD..).unwrap_or_default();
        if payload.len() != sent.len || filler.iter().any(|byte| *byte != FILLER) {
            return Err(MessageViolation::Unknown { host: host.index() });
        }
        if sent.to.is_some_and(|to| to != host) || reliable != (kind == MessageKind::Stream) {
            return Err(MessageViolation::Misdelivered { host: host.index(), number });
        }
        if !self.delivered.insert((number, host)) {
            return Err(MessageViolation::Repeated { host: host.index(), number });
        }
        if let Some(from) = from.filter(|_| kind == MessageKind::Stream) {
            match self.last.insert((from, (host, process)), number) {
                Some(before) if before > number => {
                    let host = host.index();
                    return Err(MessageViolation::OutOfOrder { host, number, before });
                }
                Some(_) | None => {}
            }
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
        assert!(messages.deliver((ADA, 1), false, &payload).is_ok());
        assert!(messages.deliver((BOB, 1), false, &payload).is_ok());
        let again = messages.deliver((BOB, 1), false, &payload);
        assert_eq!(again, Err(MessageViolation::Repeated { host: 1, number: 0 }));
    }

    #[test]
    fn a_message_to_the_wrong_member_or_with_other_bytes_is_noticed() {
        let mut messages = MessageLog::default();
        let payload = messages.compose(MessageKind::Stream, Some(BOB), 0);
        let astray = messages.deliver((ADA, 1), true, &payload);
        assert_eq!(astray, Err(MessageViolation::Misdelivered { host: 0, number: 0 }));
        let garbage = messages.deliver((BOB, 1), true, b"garbage");
        assert_eq!(garbage, Err(MessageViolation::Unknown { host: 1 }));
        assert!(messages.deliver((BOB, 1), true, &payload).is_ok());
    }

    #[test]
    fn a_message_has_arrived_once_it_was_delivered_to_its_host() {
        let mut messages = MessageLog::default();
        let payload = messages.compose(MessageKind::Stream, Some(BOB), 0);
        assert!(!messages.has_arrived(0));
        assert!(messages.deliver((BOB, 1), true, &payload).is_ok());
        assert!(messages.has_arrived(0));
    }

    #[test]
    fn a_reliable_message_after_a_later_one_or_cut_short_is_noticed() {
        let mut messages = MessageLog::default();
        let mut send = |len| {
            let payload = messages.compose(MessageKind::Stream, Some(BOB), len);
            messages.send(number_of(&payload).unwrap(), (ADA, 1));
            payload
        };
        let (first, second, third) = (send(40), send(40), send(40));
        assert!(messages.deliver((BOB, 1), true, &second).is_ok());
        let late = messages.deliver((BOB, 1), true, &first);
        assert_eq!(late, Err(MessageViolation::OutOfOrder { host: 1, number: 0, before: 1 }));
        let cut = messages.deliver((BOB, 1), true, &third[..39]);
        assert_eq!(cut, Err(MessageViolation::Unknown { host: 1 }));
    }
}
