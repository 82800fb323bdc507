//! What waits for one peer, what it has not answered yet, and the streams it goes over.

use std::collections::VecDeque;
use std::time::Duration;

use crate::effects::Effects;
use crate::error::OperationError;
use crate::member_name::MemberName;
use crate::output::{DeliveryReport, Destination, OperationId, Outcome, Output, StreamId};
use crate::time::Time;
use crate::wire::{
    DeliveryStatus, EXTENSION_BYTE, MAX_COMMON_MESSAGE, PayloadPlace, RELIABLE_KIND, ReliableFrame,
};

/// Messages without an answer that a stream carries at most; further ones wait at the sender.
pub(super) const MAX_UNANSWERED: usize = 1_024;
/// Bytes of messages without an answer on the common stream; further ones wait at the sender.
pub(super) const MAX_UNANSWERED_BYTES: usize = 1024 * 1024;
/// Large messages without an answer, each on a stream of its own.
pub(super) const MAX_LARGE_UNANSWERED: usize = 2;

/// How long a stream of ours may live: the transport replaces a connection within a day.
pub(super) const STREAM_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a stream stays open without traffic.
pub(super) const IDLE_TIME: Duration = Duration::from_secs(5);
/// How long a peer may leave everything unanswered, if what it has to answer is short.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// Bytes a second at which even a slow path carries messages: each so many bytes without an
/// answer give the peer a second more.
const SLOWEST_PATH: u32 = 32 * 1024;
/// The first pause before what was lost is sent again; it doubles with every failure, five times.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const MAX_DOUBLINGS: u32 = 5;

/// A message of our application.
pub(crate) struct OutgoingMessage {
    pub(crate) operation: OperationId,
    pub(crate) payload: Vec<u8>,
    pub(crate) deadline: Time,
}

/// A message that was written.
pub(super) struct Written {
    sequence: u64,
    /// `None` once its sender was told that its fate is not known.
    message: Option<OutgoingMessage>,
    length: usize,
    /// The stream of a large message.
    stream: Option<StreamId>,
}

/// The common stream to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// There is none.
    Down,
    /// It is being opened: nothing was written yet.
    Opening(StreamId),
    Open(StreamId),
}

/// Everything about one peer that we send reliable messages to.
pub(super) struct OutgoingPeer {
    pub(super) to: Destination,
    pub(super) link: Link,
    /// The epoch of the peer's process; 0 until it has answered.
    receiver: u64,
    /// The start number of that process, which tells a restart before the first answer.
    process: Option<u64>,
    /// Not written yet, in the order of the calls.
    waiting: VecDeque<OutgoingMessage>,
    /// Written, in the order of their numbers.
    unanswered: VecDeque<Written>,
    /// Bytes of answers that make no frame yet.
    answers: Vec<u8>,
    /// When something was written or answered last.
    last_used: Time,
    /// When the peer has left everything unanswered for too long.
    overdue_at: Time,
    /// When the stream is opened again.
    retry_at: Option<Time>,
    /// Streams lost since the last answer.
    failures: u32,
}

impl OutgoingPeer {
    pub(super) fn new(to: Destination, now: Time) -> Self {
        Self {
            to,
            link: Link::Down,
            receiver: 0,
            process: None,
            waiting: VecDeque::new(),
            unanswered: VecDeque::new(),
            answers: Vec::new(),
            last_used: now,
            overdue_at: now,
            retry_at: None,
            failures: 0,
        }
    }

    pub(super) fn name(&self) -> Option<&MemberName> {
        self.to.name.as_ref()
    }

    /// A message joins those that wait.
    pub(super) fn push(&mut self, message: OutgoingMessage) {
        self.waiting.push_back(message);
    }

    /// Whether nothing is left to do for this peer.
    pub(super) fn is_idle(&self) -> bool {
        self.link == Link::Down && self.waiting.is_empty() && self.unanswered.is_empty()
    }

    /// Whether the stream is to be opened now.
    pub(super) fn wants_stream(&self, now: Time) -> bool {
        let is_due = self.retry_at.is_none_or(|at| at <= now);
        self.link == Link::Down && !self.is_idle() && is_due
    }

    /// All streams of ours to the peer.
    pub(super) fn streams(&self) -> Vec<StreamId> {
        let common = match self.link {
            Link::Down => None,
            Link::Opening(id) | Link::Open(id) => Some(id),
        };
        common.into_iter().chain(self.unanswered.iter().filter_map(|w| w.stream)).collect()
    }

    /// The stream is being opened.
    pub(super) fn opening(&mut self, id: StreamId) {
        self.link = Link::Opening(id);
        self.retry_at = None;
    }

    /// The peer takes reliable messages on the stream: begins it, and lists what has to be sent
    /// again.
    pub(super) fn begin(&mut self, id: StreamId, epoch: u64, effects: &mut Effects) -> Vec<usize> {
        self.link = Link::Open(id);
        let mut bytes = vec![EXTENSION_BYTE, RELIABLE_KIND];
        ReliableFrame::Begin { epoch, receiver: self.receiver }.encode(&mut bytes);
        write(id, bytes, false, effects);
        self.note_use(effects.now());
        (0..self.unanswered.len()).collect()
    }

    /// Gives the next message that may be written its number.
    pub(super) fn number_next(&mut self, sequence: u64) -> Option<usize> {
        let next = self.waiting.front()?;
        let large = next.payload.len() > MAX_COMMON_MESSAGE;
        let common = self.unanswered.iter().filter(|written| written.stream.is_none());
        let bytes: usize = common.map(|written| written.length).sum();
        let streams = self.unanswered.iter().filter(|written| written.stream.is_some()).count();
        let has_room = self.unanswered.len() < MAX_UNANSWERED
            && match large {
                true => streams < MAX_LARGE_UNANSWERED,
                false => bytes + next.payload.len() <= MAX_UNANSWERED_BYTES,
            };
        if !has_room {
            return None;
        }
        let message = self.waiting.pop_front()?;
        let length = message.payload.len();
        self.unanswered.push_back(Written {
            sequence,
            message: Some(message),
            length,
            stream: None,
        });
        Some(self.unanswered.len() - 1)
    }

    /// Writes a message: on the common stream, or, if it is large, on a stream of its own, whose
    /// id it returns. `own_stream` is called only for that.
    pub(super) fn write(
        &mut self,
        place: usize,
        epoch: u64,
        own_stream: impl FnOnce() -> StreamId,
        effects: &mut Effects,
    ) -> Option<StreamId> {
        let Link::Open(common) = self.link else { return None };
        self.note_use(effects.now());
        let Some(Written { sequence, message: Some(message), length, stream }) =
            self.unanswered.get_mut(place)
        else {
            return None;
        };
        let sequence = *sequence;
        let is_large = *length > MAX_COMMON_MESSAGE;
        let place = PayloadPlace { is_large, epoch, sequence };
        let (payload, sealed) = effects.encoder_mut().seal(&message.payload, place);
        let mut bytes = Vec::new();
        if !is_large {
            ReliableFrame::Message { sequence, sealed, payload: &payload }.encode(&mut bytes);
            write(common, bytes, false, effects);
            return None;
        }
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        ReliableFrame::Elsewhere { sequence, length }.encode(&mut bytes);
        write(common, bytes, false, effects);
        let (mut bytes, receiver) = (vec![EXTENSION_BYTE, RELIABLE_KIND], self.receiver);
        ReliableFrame::Large { epoch, receiver, sequence, sealed, length }.encode(&mut bytes);
        bytes.extend_from_slice(&payload);
        let id = own_stream();
        *stream = Some(id);
        effects.count().stream_bytes_out += bytes.len() as u64;
        let deadline = effects.now() + STREAM_LIFETIME;
        let to = self.to.clone();
        effects.push(Output::OpenStream { id, to, bytes, finish: true, deadline });
        Some(id)
    }

    /// Bytes of answers arrived; [`next_answer`](Self::next_answer) takes the frames out.
    pub(super) fn receive(&mut self, bytes: &[u8], now: Time) {
        self.answers.extend_from_slice(bytes);
        self.note_use(now);
    }

    /// Takes out the next frame of the answers; `Err` where the peer has sent something else.
    pub(super) fn next_answer(&mut self) -> Result<Option<Answer>, ()> {
        let Ok(decoded) = ReliableFrame::decode(&self.answers) else { return Err(()) };
        let Some((frame, length)) = decoded else { return Ok(None) };
        let answer = match frame {
            ReliableFrame::Receiver { epoch } => Answer::Receiver(epoch),
            ReliableFrame::Answer { sequence, status } => Answer::Status(sequence, status),
            ReliableFrame::Begin { .. }
            | ReliableFrame::Message { .. }
            | ReliableFrame::Elsewhere { .. }
            | ReliableFrame::Large { .. } => return Err(()),
        };
        self.answers.drain(..length);
        Ok(Some(answer))
    }

    /// Whether the stream leads to another process than the one before.
    pub(super) fn note_process(&mut self, process: Option<u64>) -> bool {
        let is_other = self.process.is_some_and(|before| process != Some(before));
        self.receiver = if is_other { 0 } else { self.receiver };
        self.process = process;
        is_other
    }

    /// The peer said which of its processes answers; whether it is another one than before, so
    /// that nobody knows what became of the messages without an answer.
    pub(super) fn note_receiver(&mut self, epoch: u64) -> bool {
        self.failures = 0;
        let before = std::mem::replace(&mut self.receiver, epoch);
        ![0, epoch].contains(&before)
    }

    /// The peer disposed of every message up to `sequence`: their streams, which are no longer
    /// needed. `None` if it answers what was never asked.
    pub(super) fn settle(
        &mut self,
        sequence: u64,
        status: DeliveryStatus,
        effects: &mut Effects,
    ) -> Option<Vec<StreamId>> {
        if self.unanswered.back().is_none_or(|last| last.sequence < sequence) {
            return None;
        }
        self.failures = 0;
        let mut streams = Vec::new();
        while self.unanswered.front().is_some_and(|first| first.sequence <= sequence)
            && let Some(written) = self.unanswered.pop_front()
        {
            streams.extend(written.stream);
            if let Some(message) = written.message {
                effects.finish(message.operation, outcome_of(status));
            }
        }
        Some(streams)
    }

    /// The common stream, or that of a large message, is gone. What was not answered is sent again
    /// after a pause.
    pub(super) fn lose_link(&mut self, now: Time) {
        self.link = Link::Down;
        self.answers.clear();
        self.unanswered.retain(|written| written.message.is_some());
        for written in &mut self.unanswered {
            written.stream = None;
        }
        let pause = FIRST_RETRY * 2_u32.pow(self.failures.min(MAX_DOUBLINGS));
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(now + pause);
    }

    /// Sends what was not answered again at once.
    pub(super) fn retry_at_once(&mut self) {
        self.retry_at = None;
    }

    /// Whether the peer has never answered, and was sent nothing that it could have taken.
    pub(super) fn was_never_reached(&self) -> bool {
        self.receiver == 0 && self.unanswered.is_empty()
    }

    /// Takes out what was not written.
    pub(super) fn take_waiting(&mut self) -> VecDeque<OutgoingMessage> {
        std::mem::take(&mut self.waiting)
    }

    /// Nobody knows what became of what was written, and nobody will.
    pub(super) fn give_up_unanswered(&mut self, effects: &mut Effects) {
        for written in std::mem::take(&mut self.unanswered) {
            if let Some(message) = written.message {
                effects.finish(message.operation, Outcome::Failed(OperationError::Unknown));
            }
        }
    }

    /// Ends what is past its deadline: what was not written is withdrawn, of the rest nobody knows
    /// what became. Whether a large message was among the latter: its stream must not go on.
    pub(super) fn expire(&mut self, effects: &mut Effects) -> bool {
        let now = effects.now();
        let is_due = |message: &OutgoingMessage| message.deadline <= now;
        if self.waiting.iter().any(is_due) {
            for message in self.take_waiting() {
                if message.deadline > now {
                    self.waiting.push_back(message);
                } else {
                    let outcome = Outcome::Failed(OperationError::TimedOut);
                    effects.finish(message.operation, outcome);
                }
            }
        }
        let mut cuts_large = false;
        for written in &mut self.unanswered {
            if let Some(message) = written.message.take_if(|message| message.deadline <= now) {
                cuts_large |= written.stream.is_some();
                effects.finish(message.operation, Outcome::Failed(OperationError::Unknown));
            }
        }
        if self.link == Link::Down {
            self.unanswered.retain(|written| written.message.is_some());
        }
        cuts_large
    }

    /// Whether the peer has left everything unanswered for too long.
    pub(super) fn is_overdue(&self, now: Time) -> bool {
        matches!(self.link, Link::Open(_)) && !self.unanswered.is_empty() && self.overdue_at <= now
    }

    /// The stream that has carried nothing for long enough.
    pub(super) fn idle_stream(&self, now: Time) -> Option<StreamId> {
        let Link::Open(id) = self.link else { return None };
        let is_empty = self.waiting.is_empty() && self.unanswered.is_empty();
        (is_empty && self.last_used + IDLE_TIME <= now).then_some(id)
    }

    /// When something is due without anybody's doing.
    pub(super) fn next_due(&self) -> Option<Time> {
        let waiting = self.waiting.iter().map(|message| message.deadline);
        let written = self.unanswered.iter().filter_map(|w| w.message.as_ref());
        let deadlines = waiting.chain(written.map(|message| message.deadline)).min();
        let link = match self.link {
            Link::Down => self.retry_at.filter(|_| !self.is_idle()),
            // The transport reports a dial that takes too long.
            Link::Opening(_) => None,
            Link::Open(_) if self.unanswered.is_empty() => Some(self.last_used + IDLE_TIME),
            Link::Open(_) => Some(self.overdue_at),
        };
        [deadlines, link].into_iter().flatten().min()
    }

    fn note_use(&mut self, now: Time) {
        self.last_used = now;
        let bytes: usize = self.unanswered.iter().map(|written| written.length).sum();
        let slow = Duration::from_secs(1) * u32::try_from(bytes).unwrap_or(u32::MAX) / SLOWEST_PATH;
        let patience = (ANSWER_TIME + slow) * 2_u32.pow(self.failures.min(MAX_DOUBLINGS));
        self.overdue_at = now + patience;
    }
}

/// One frame of the answers.
pub(super) enum Answer {
    Receiver(u64),
    Status(u64, DeliveryStatus),
}

fn outcome_of(status: DeliveryStatus) -> Outcome {
    Outcome::Failed(match status {
        DeliveryStatus::Taken => return Outcome::Delivered(DeliveryReport::Acknowledged),
        DeliveryStatus::Busy => OperationError::Busy,
        DeliveryStatus::NoReceiver => OperationError::NoReceiver,
        DeliveryStatus::Refused => {
            OperationError::PeerRefused("no key of its opens the message".to_owned())
        }
    })
}

fn write(id: StreamId, bytes: Vec<u8>, finish: bool, effects: &mut Effects) {
    effects.count().stream_bytes_out += bytes.len() as u64;
    effects.push(Output::WriteStream { id, bytes, finish });
}
