//! The reliable messages that arrive: handed over once, in order, and answered with what the
//! application did.

mod frames;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::incoming_stream::{IncomingStream, Stage};
use super::sender_record::{Content, SenderKey, SenderRecord};
use crate::effects::Effects;
use crate::member::Peer;
use crate::member_table::MemberTable;
use crate::output::{AcknowledgementId, MembershipEvent, Output, StreamId, WarningKind};
use crate::time::Time;
use crate::timers::Timer;
use crate::wire::{DeliveryStatus, PayloadPlace, ReliableFrame};

/// The most streams of reliable messages under way; further ones are reset.
const MAX_STREAMS: usize = 512;
/// The most bytes that all of them together hold back; the stream that brings too much is reset,
/// and its sender tries again later.
const MAX_HELD: usize = 128 * 1024 * 1024;
/// How long a stream may stay silent. Senders finish theirs after 5 s without traffic.
const SILENCE: Duration = Duration::from_secs(60);
/// How long after its last message a sender's process is remembered.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);
/// Processes remembered of those that prove the same names: a certificate may be shared, or its
/// holder restart again and again. The one that was used longest ago is forgotten.
const MAX_PROCESSES: usize = 16;

/// All senders whose messages arrive.
pub(crate) struct Incoming {
    /// Of this process; never 0.
    epoch: u64,
    streams: BTreeMap<StreamId, IncomingStream>,
    /// At most as many as members may be remembered.
    senders: BTreeMap<SenderKey, SenderRecord>,
    owed: BTreeMap<AcknowledgementId, SenderKey>,
    last_acknowledgement: u64,
    held: usize,
    /// When senders were last looked through for those not to be remembered any longer.
    forgot_at: Time,
}

impl Incoming {
    pub(crate) fn new(epoch: u64, now: Time) -> Self {
        Self {
            epoch,
            streams: BTreeMap::new(),
            senders: BTreeMap::new(),
            owed: BTreeMap::new(),
            last_acknowledgement: 0,
            held: 0,
            forgot_at: now,
        }
    }

    pub(crate) fn streams(&self) -> usize {
        self.streams.len()
    }

    pub(crate) fn has_stream(&self, id: StreamId) -> bool {
        self.streams.contains_key(&id)
    }

    /// A stream of a peer turned out to carry reliable messages.
    pub(crate) fn accept(&mut self, id: StreamId, from: &Peer, effects: &mut Effects) {
        if self.streams.len() >= MAX_STREAMS {
            effects.count().refused_streams_full += 1;
            effects.clear_timer(Timer::Stream(id));
            return effects.push(Output::ResetStream { id });
        }
        self.streams.insert(id, IncomingStream::new(from));
    }

    /// Bytes arrived on a stream.
    pub(crate) fn receive(
        &mut self,
        id: StreamId,
        bytes: &[u8],
        fin: bool,
        members: &MemberTable,
        max_senders: usize,
        effects: &mut Effects,
    ) {
        effects.count().stream_bytes_in += bytes.len() as u64;
        effects.set_timer(Timer::Stream(id), effects.now() + SILENCE);
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let before = stream.buffer.len();
        let is_valid = stream.take(bytes);
        self.held += stream.buffer.len().saturating_sub(before);
        if !is_valid {
            return self.refuse(id, "not what it was opened for", effects);
        }
        if self.held > MAX_HELD {
            effects.count().refused_streams_full += 1;
            return self.reset(id, effects);
        }
        if let Err(cause) = self.read_frames(id, members, max_senders, effects) {
            return self.refuse(id, &cause, effects);
        }
        if fin {
            self.finish(id, members, effects);
        }
    }

    /// The transport gave a stream up, or it stayed silent for too long.
    pub(crate) fn fail(&mut self, id: StreamId, effects: &mut Effects) {
        self.forget(id, effects);
    }

    /// A stream stayed silent for too long.
    pub(crate) fn timed_out(&mut self, id: StreamId, effects: &mut Effects) {
        self.reset(id, effects);
    }

    /// The application disposed of a message.
    pub(crate) fn acknowledge(
        &mut self,
        id: AcknowledgementId,
        status: DeliveryStatus,
        effects: &mut Effects,
    ) {
        let Some(key) = self.owed.remove(&id) else { return };
        let Some(sender) = self.senders.get_mut(&key) else { return };
        sender.acknowledge(id, status);
        write_answers(sender, effects);
    }

    /// Hands the application what is next in order.
    fn hand_over(&mut self, key: &SenderKey, members: &MemberTable, effects: &mut Effects) {
        let Some(sender) = self.senders.get_mut(key) else { return };
        let stream = sender.stream.and_then(|id| self.streams.get(&id));
        let Some(from) = stream.map(|stream| stream.from.clone()) else { return };
        let held = sender.held();
        while let Some((sequence, is_large, content)) = sender.next_in_order() {
            let place = PayloadPlace { is_large, epoch: key.1, sequence };
            let Content { sealed, payload } = content;
            match effects.encoder().open(payload, sealed, place) {
                Ok(payload) => {
                    self.last_acknowledgement += 1;
                    let id = AcknowledgementId(self.last_acknowledgement);
                    self.owed.insert(id, key.clone());
                    sender.offer(sequence, Ok(id));
                    effects.count().user_messages_in += 1;
                    effects.emit(MembershipEvent::Message {
                        from: members.name_of(&from).cloned(),
                        address: from.address,
                        reliable: true,
                        acknowledgement: Some(id),
                        payload,
                    });
                }
                Err(error) => {
                    effects.count().refused_key += 1;
                    effects.warn(WarningKind::WrongKey, from.address, error.to_string());
                    sender.offer(sequence, Err(DeliveryStatus::Refused));
                }
            }
        }
        self.held = (self.held + sender.held()).saturating_sub(held);
        write_answers(sender, effects);
    }

    /// The peer has ended its side of a stream.
    fn finish(&mut self, id: StreamId, members: &MemberTable, effects: &mut Effects) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        match &stream.stage {
            Stage::Large { key, sequence, sealed, length } => {
                if stream.buffer.len() != *length {
                    return self.refuse(id, "shorter than announced", effects);
                }
                let (key, sequence, sealed) = (key.clone(), *sequence, *sealed);
                let payload = std::mem::take(&mut stream.buffer);
                match self.senders.get_mut(&key) {
                    Some(sender) => {
                        sender.complete_large(sequence, Content { sealed, payload });
                        self.close(id, effects);
                        self.hand_over(&key, members, effects);
                    }
                    // Its sender was forgotten meanwhile.
                    None => {
                        self.held = self.held.saturating_sub(payload.len());
                        self.reset(id, effects);
                    }
                }
            }
            Stage::Common(_) | Stage::Discarded => self.close(id, effects),
            Stage::Kind | Stage::First => self.refuse(id, "it ended at once", effects),
        }
    }

    /// The record of a sender's process, made if there is none; `None` if there is no room.
    fn sender(
        &mut self,
        key: &SenderKey,
        max_senders: usize,
        effects: &Effects,
    ) -> Option<&mut SenderRecord> {
        let now = effects.now();
        if !self.senders.contains_key(key) {
            if self.forgot_at + REMEMBERED / 10 <= now {
                self.forgot_at = now;
                let oldest = now.before(REMEMBERED);
                self.senders.retain(|_, s| !s.is_quiet() || s.last_used > oldest);
            }
            let same_names = (Arc::clone(&key.0), 0)..=(Arc::clone(&key.0), u64::MAX);
            let processes = self.senders.range(same_names.clone()).count();
            if !key.0.is_empty() && processes >= MAX_PROCESSES {
                let oldest = oldest(self.senders.range(same_names))?;
                self.forget_sender(&oldest);
            } else if self.senders.len() >= max_senders {
                let oldest = oldest(self.senders.iter())?;
                self.forget_sender(&oldest);
            }
        }
        let sender = self.senders.entry(key.clone()).or_insert_with(|| SenderRecord::new(now));
        sender.last_used = now;
        Some(sender)
    }

    fn forget_sender(&mut self, key: &SenderKey) {
        let Some(sender) = self.senders.remove(key) else { return };
        self.held = self.held.saturating_sub(sender.held());
        for id in sender.owed() {
            self.owed.remove(&id);
        }
    }

    fn set_stage(&mut self, id: StreamId, stage: Stage) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.stage = stage;
        }
    }

    /// A stream breaks the rules.
    fn refuse(&mut self, id: StreamId, cause: &str, effects: &mut Effects) {
        effects.count().refused_malformed += 1;
        if let Some(stream) = self.streams.get(&id) {
            let address = stream.from.address;
            let detail = format!("a stream of reliable messages: {cause}");
            effects.warn(WarningKind::Malformed, address, detail);
        }
        self.reset(id, effects);
    }

    fn reset(&mut self, id: StreamId, effects: &mut Effects) {
        if self.forget(id, effects) {
            effects.push(Output::ResetStream { id });
        }
    }

    fn close(&mut self, id: StreamId, effects: &mut Effects) {
        if self.forget(id, effects) {
            effects.push(Output::WriteStream { id, bytes: Vec::new(), finish: true });
            effects.push(Output::CloseStream { id });
        }
    }

    fn forget(&mut self, id: StreamId, effects: &mut Effects) -> bool {
        effects.clear_timer(Timer::Stream(id));
        let Some(stream) = self.streams.remove(&id) else { return false };
        self.held = self.held.saturating_sub(stream.buffer.len());
        match stream.stage {
            Stage::Common(key) => {
                if let Some(sender) = self.senders.get_mut(&key) {
                    sender.stream.take_if(|current| *current == id);
                }
            }
            Stage::Large { key, sequence, .. } => {
                if let Some(sender) = self.senders.get_mut(&key) {
                    sender.lose_large(sequence, id);
                }
            }
            Stage::Kind | Stage::First | Stage::Discarded => {}
        }
        true
    }
}

/// The sender that was used longest ago among those of whom nothing is under way.
fn oldest<'a>(
    senders: impl Iterator<Item = (&'a SenderKey, &'a SenderRecord)>,
) -> Option<SenderKey> {
    let quiet = senders.filter(|(_, sender)| sender.is_quiet());
    quiet.min_by_key(|(_, sender)| sender.last_used).map(|(key, _)| key.clone())
}

fn write_answers(sender: &mut SenderRecord, effects: &mut Effects) {
    while let Some((sequence, status)) = sender.next_answer() {
        if let Some(stream) = sender.stream {
            write_answer(stream, sequence, status, effects);
        }
    }
}

fn write_answer(stream: StreamId, sequence: u64, status: DeliveryStatus, effects: &mut Effects) {
    let mut bytes = Vec::new();
    ReliableFrame::Answer { sequence, status }.encode(&mut bytes);
    write(stream, bytes, effects);
}

fn write(id: StreamId, bytes: Vec<u8>, effects: &mut Effects) {
    effects.count().stream_bytes_out += bytes.len() as u64;
    effects.push(Output::WriteStream { id, bytes, finish: false });
}
