//! Application messages and operations: at most once, to whom they were meant for, and true.
//!
//! Every message of a simulation carries a number. The modelled network repeats no packet that
//! carries one, as QUIC repeats none, so every repetition is the machines' doing.

use std::collections::{BTreeMap, BTreeSet};

use crate::output::{OperationId, Outcome};
use crate::sim::checker::Breach;
use crate::sim::fault::HostId;

/// How a message was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Broadcast,
    Packet,
    Stream,
}

/// An operation under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Join,
    Leave,
    Ping,
    /// With the message's number.
    Send(u64),
}

/// All messages and operations of a run.
#[derive(Default)]
pub(crate) struct Messages {
    sent: Vec<Sent>,
    delivered: BTreeSet<(u64, HostId)>,
    operations: BTreeMap<(HostId, OperationId), Operation>,
}

struct Sent {
    kind: Kind,
    to: Option<HostId>,
}

/// Marks the payloads of a simulation.
const MARK: [u8; 4] = *b"sim ";

impl Messages {
    /// Makes a payload of `len` bytes or a little more; `to` is `None` for a broadcast.
    pub(crate) fn compose(&mut self, kind: Kind, to: Option<HostId>, len: usize) -> (u64, Vec<u8>) {
        let number = self.sent.len() as u64;
        self.sent.push(Sent { kind, to });
        let mut payload = MARK.to_vec();
        payload.extend_from_slice(&number.to_le_bytes());
        payload.resize(len.max(payload.len()), 0x5a);
        (number, payload)
    }

    /// A message arrived.
    pub(crate) fn deliver(
        &mut self,
        host: HostId,
        reliable: bool,
        payload: &[u8],
    ) -> Result<Kind, Breach> {
        let breach = |rule, number: Option<u64>| {
            Breach::new(rule, format!("message {number:?} at host {}", host.index()))
        };
        let found = number_of(payload).and_then(|number| Some((number, self.sent(number)?)));
        let Some((number, sent)) = found else {
            return Err(breach("messages arrive as they were sent", None));
        };
        if sent.to.is_some_and(|to| to != host) || reliable != (sent.kind == Kind::Stream) {
            return Err(breach("messages reach only whom they are meant for", Some(number)));
        }
        let kind = sent.kind;
        if !self.delivered.insert((number, host)) {
            return Err(breach("no message is delivered twice", Some(number)));
        }
        Ok(kind)
    }

    fn sent(&self, number: u64) -> Option<&Sent> {
        self.sent.get(usize::try_from(number).ok()?)
    }

    pub(crate) fn begin(&mut self, host: HostId, id: OperationId, operation: Operation) {
        self.operations.insert((host, id), operation);
    }

    /// A crashed host's operations end nowhere.
    pub(crate) fn forget(&mut self, host: HostId) {
        self.operations.retain(|(other, _), _| *other != host);
    }

    /// An operation ended; whether well.
    pub(crate) fn finish(
        &mut self,
        host: HostId,
        id: OperationId,
        outcome: &Outcome,
    ) -> Result<bool, Breach> {
        let breach = |rule| Breach::new(rule, format!("host {}: {outcome:?}", host.index()));
        let Some(operation) = self.operations.remove(&(host, id)) else {
            return Err(breach("an operation ends once"));
        };
        match (operation, outcome) {
            (Operation::Send(number), Outcome::Delivered) => {
                let there = self.sent(number).and_then(|sent| sent.to);
                if there.is_some_and(|to| self.delivered.contains(&(number, to))) {
                    Ok(true)
                } else {
                    Err(breach("what counts as delivered has arrived"))
                }
            }
            (Operation::Join, Outcome::Joined)
            | (Operation::Leave, Outcome::Left { .. })
            | (Operation::Ping, Outcome::Pong { .. }) => Ok(true),
            (_, Outcome::Failed(_)) => Ok(false),
            (
                _,
                Outcome::Joined | Outcome::Left { .. } | Outcome::Pong { .. } | Outcome::Delivered,
            ) => Err(breach("an operation ends as what it is")),
        }
    }

    /// Operations that have not ended.
    pub(crate) fn open(&self) -> usize {
        self.operations.len()
    }
}

/// The number in a payload of ours.
pub(crate) fn number_of(payload: &[u8]) -> Option<u64> {
    let number = payload.strip_prefix(&MARK)?.first_chunk()?;
    Some(u64::from_le_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: HostId = HostId(0);
    const BOB: HostId = HostId(1);

    fn rule(result: Result<impl Sized, Breach>) -> &'static str {
        result.err().map_or("", |breach| breach.rule)
    }

    #[test]
    fn a_second_delivery_is_noticed_but_everybody_gets_a_broadcast() {
        let mut messages = Messages::default();
        let (_, payload) = messages.compose(Kind::Broadcast, None, 40);
        assert_eq!(rule(messages.deliver(ADA, false, &payload)), "");
        assert_eq!(rule(messages.deliver(BOB, false, &payload)), "");
        let again = messages.deliver(BOB, false, &payload);
        assert_eq!(rule(again), "no message is delivered twice");
    }

    #[test]
    fn a_message_to_the_wrong_member_or_with_other_bytes_is_noticed() {
        let mut messages = Messages::default();
        let (_, payload) = messages.compose(Kind::Stream, Some(BOB), 0);
        let astray = messages.deliver(ADA, true, &payload);
        assert_eq!(rule(astray), "messages reach only whom they are meant for");
        let garbage = messages.deliver(BOB, true, b"garbage");
        assert_eq!(rule(garbage), "messages arrive as they were sent");
        assert_eq!(rule(messages.deliver(BOB, true, &payload)), "");
    }

    #[test]
    fn operations_end_once_and_tell_the_truth() {
        let mut messages = Messages::default();
        let (number, payload) = messages.compose(Kind::Stream, Some(BOB), 0);
        let id = OperationId(1);
        messages.begin(ADA, id, Operation::Send(number));
        let lie = messages.finish(ADA, id, &Outcome::Delivered);
        assert_eq!(rule(lie), "what counts as delivered has arrived");

        assert_eq!(rule(messages.deliver(BOB, true, &payload)), "");
        messages.begin(ADA, id, Operation::Send(number));
        assert_eq!(messages.finish(ADA, id, &Outcome::Delivered), Ok(true));
        let twice = messages.finish(ADA, id, &Outcome::Delivered);
        assert_eq!(rule(twice), "an operation ends once");
    }
}
