//! One stream on which reliable messages arrive.

use super::sender_record::SenderKey;
use crate::member::Peer;
use crate::wire::{EXTENSION_BYTE, RELIABLE_KIND};

/// A stream that a peer opened for reliable messages.
pub(super) struct IncomingStream {
    pub(super) from: Peer,
    pub(super) stage: Stage,
    /// What has arrived and makes no frame yet; of a large message, its payload so far.
    pub(super) buffer: Vec<u8>,
}

/// What is expected next on a stream.
pub(super) enum Stage {
    /// The two bytes of the extension.
    Kind,
    /// The first frame.
    First,
    /// Messages of a sender.
    Common(SenderKey),
    /// The payload of a large message.
    Large { key: SenderKey, sequence: u64, sealed: bool, length: usize },
    /// Nothing that matters: what comes is discarded up to the end of the stream.
    Discarded,
}

impl IncomingStream {
    pub(super) fn new(from: &Peer) -> Self {
        Self { from: from.clone(), stage: Stage::Kind, buffer: Vec::new() }
    }

    /// Takes bytes in; whether they may be what the stream was opened for.
    pub(super) fn take(&mut self, bytes: &[u8]) -> bool {
        match &self.stage {
            Stage::Discarded => return true,
            Stage::Large { length, .. } if self.buffer.len() + bytes.len() > *length => {
                return false;
            }
            Stage::Kind | Stage::First | Stage::Common(_) | Stage::Large { .. } => {}
        }
        self.buffer.extend_from_slice(bytes);
        if matches!(self.stage, Stage::Kind) {
            match self.buffer.as_slice() {
                [EXTENSION_BYTE, RELIABLE_KIND, ..] => {
                    self.buffer.drain(..2);
                    self.stage = Stage::First;
                }
                [] | [EXTENSION_BYTE] => {}
                [..] => return false,
            }
        }
        true
    }
}
