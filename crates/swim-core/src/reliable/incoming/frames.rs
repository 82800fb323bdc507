//! The frames that arrive on streams of reliable messages, and what each leads to.

use std::sync::Arc;

use super::{Incoming, write, write_answer};
use crate::effects::Effects;
use crate::member_table::MemberTable;
use crate::output::StreamId;
use crate::reliable::incoming_stream::Stage;
use crate::reliable::sender_record::{Arrived, Content, LargeRefusal, SenderKey};
use crate::wire::ReliableFrame;

impl Incoming {
    /// Handles the frames that are complete.
    pub(super) fn read_frames(
        &mut self,
        id: StreamId,
        members: &MemberTable,
        max_senders: usize,
        effects: &mut Effects,
    ) -> Result<(), String> {
        let mut offset = 0;
        while let Some(stream) = self.streams.get_mut(&id)
            && matches!(stream.stage, Stage::First | Stage::Common(_))
        {
            // The frame borrows from the buffer, and its handling from everything else.
            let buffer = std::mem::take(&mut stream.buffer);
            let rest = buffer.get(offset..).unwrap_or_default();
            let handled = match ReliableFrame::decode(rest) {
                Ok(Some((frame, length))) => {
                    offset += length;
                    self.handle_frame(id, frame, members, max_senders, effects).map(|()| true)
                }
                Ok(None) => Ok(false),
                Err(error) => Err(error.to_string()),
            };
            match self.streams.get_mut(&id) {
                Some(stream) => stream.buffer = buffer,
                None => self.held = self.held.saturating_sub(buffer.len()),
            }
            if !handled? {
                break;
            }
        }
        let Some(stream) = self.streams.get_mut(&id) else { return Ok(()) };
        stream.buffer.drain(..offset);
        if stream.buffer.is_empty() {
            stream.buffer = Vec::new();
        }
        self.held = self.held.saturating_sub(offset);
        match &stream.stage {
            Stage::Large { length, .. } if stream.buffer.len() > *length => {
                Err("more bytes than announced".to_owned())
            }
            Stage::Discarded => {
                self.held = self.held.saturating_sub(stream.buffer.len());
                stream.buffer = Vec::new();
                Ok(())
            }
            Stage::Kind | Stage::First | Stage::Common(_) | Stage::Large { .. } => Ok(()),
        }
    }

    fn handle_frame(
        &mut self,
        id: StreamId,
        frame: ReliableFrame<'_>,
        members: &MemberTable,
        max_senders: usize,
        effects: &mut Effects,
    ) -> Result<(), String> {
        let Some(stream) = self.streams.get(&id) else { return Ok(()) };
        match (&stream.stage, frame) {
            (Stage::First, ReliableFrame::Begin { epoch, receiver }) => {
                let key = (Arc::clone(&stream.from.names), epoch);
                self.begin(id, key, receiver, max_senders, effects);
                Ok(())
            }
            (Stage::First, ReliableFrame::Large { epoch, receiver, sequence, sealed, length }) => {
                let key = (Arc::clone(&stream.from.names), epoch);
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let stage = Stage::Large { key, sequence, sealed, length };
                self.begin_large(id, stage, receiver, max_senders, effects);
                Ok(())
            }
            (Stage::Common(key), ReliableFrame::Message { sequence, sealed, payload }) => {
                let (key, payload) = (key.clone(), payload.to_vec());
                let content = Some(Content { sealed, payload });
                self.arrive(&key, sequence, content, members, effects)
            }
            (Stage::Common(key), ReliableFrame::Elsewhere { sequence, .. }) => {
                let key = key.clone();
                self.arrive(&key, sequence, None, members, effects)
            }
            (_, frame) => Err(format!("{frame:?} does not belong there")),
        }
    }

    /// A sender's stream begins.
    fn begin(
        &mut self,
        id: StreamId,
        key: SenderKey,
        receiver: u64,
        max_senders: usize,
        effects: &mut Effects,
    ) {
        let mut bytes = Vec::new();
        ReliableFrame::Receiver { epoch: self.epoch }.encode(&mut bytes);
        write(id, bytes, effects);
        // What follows was meant for a process that was here before us.
        let is_ours = receiver == 0 || receiver == self.epoch;
        if !is_ours {
            return self.set_stage(id, Stage::Discarded);
        }
        let Some(sender) = self.sender(&key, max_senders, effects) else {
            effects.count().refused_streams_full += 1;
            return self.reset(id, effects);
        };
        let held = sender.held();
        let before = sender.begin(id);
        let freed = held.saturating_sub(sender.held());
        self.held = self.held.saturating_sub(freed);
        self.set_stage(id, Stage::Common(key));
        if let Some(before) = before {
            self.reset(before, effects);
        }
    }

    fn begin_large(
        &mut self,
        id: StreamId,
        stage: Stage,
        receiver: u64,
        max_senders: usize,
        effects: &mut Effects,
    ) {
        let Stage::Large { key, sequence, .. } = &stage else { return };
        if receiver != 0 && receiver != self.epoch {
            return self.set_stage(id, Stage::Discarded);
        }
        let sequence = *sequence;
        let begun = self.sender(key, max_senders, effects).map(|s| s.begin_large(sequence, id));
        match begun {
            Some(Ok(before)) => {
                self.set_stage(id, stage);
                if let Some(before) = before {
                    self.reset(before, effects);
                }
            }
            Some(Err(LargeRefusal::Known)) => self.set_stage(id, Stage::Discarded),
            Some(Err(LargeRefusal::TooMany)) | None => {
                effects.count().refused_streams_full += 1;
                self.reset(id, effects);
            }
        }
    }

    /// A message arrived on the common stream, or the place of one that travels elsewhere.
    fn arrive(
        &mut self,
        key: &SenderKey,
        sequence: u64,
        content: Option<Content>,
        members: &MemberTable,
        effects: &mut Effects,
    ) -> Result<(), String> {
        let Some(sender) = self.senders.get_mut(key) else { return Ok(()) };
        sender.last_used = effects.now();
        let held = sender.held();
        let arrived = sender.arrive(sequence, content);
        self.held = (self.held + sender.held()).saturating_sub(held);
        match arrived {
            Arrived::Waits => self.hand_over(key, members, effects),
            Arrived::Again(status) => {
                effects.count().reliable_repeated += 1;
                if let (Some(status), Some(stream)) = (status, sender.stream) {
                    write_answer(stream, sequence, status, effects);
                }
            }
            Arrived::Refused => {
                return Err(format!("message {sequence} is out of order, or one too many"));
            }
        }
        Ok(())
    }
}
