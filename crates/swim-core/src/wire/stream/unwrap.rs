//! The layers of a stream, taken off in the order in which they arrive: label, encryption,
//! compression.
//!
//! Each step returns the next stage, or `None` while bytes are missing. A layer that gives all its
//! bytes at once leaves nothing to wait for: what ends inside it ends for good.

use super::{ENVELOPE_HEAD, Stage, StreamDecoder, StreamError, limited};
use crate::wire::compress::Unpacker;
use crate::wire::label::{LabelError, split_header};
use crate::wire::packet::Layers;
use crate::wire::schema::Compress;
use crate::wire::{MAX_SEALED_STREAM, MAX_STREAM_EXPANSION, MessageType};

impl StreamDecoder {
    pub(super) fn take_label(&mut self, layers: &Layers) -> Result<Option<Stage>, StreamError> {
        if !self.has(1)? {
            return Ok(None);
        }
        let (label, rest) = match split_header(&self.buffer) {
            Ok(split) => split,
            Err(LabelError::Truncated { missing }) if !self.finished => {
                self.wanted = self.buffer.len() + missing;
                return Ok(None);
            }
            Err(error) => return Err(StreamError::Label(error)),
        };
        layers.label.check(label, layers.skip_inbound_label_check).map_err(StreamError::Label)?;
        self.at = self.buffer.len() - rest.len();
        Ok(Some(Stage::Encryption))
    }

    pub(super) fn decrypt(&mut self, layers: &Layers) -> Result<Option<Stage>, StreamError> {
        if !self.has(1)? {
            return Ok(None);
        }
        let is_encrypted = self.unread().first() == Some(&MessageType::Encrypt.to_byte());
        if !is_encrypted {
            if layers.verify_incoming && !layers.keyring.is_empty() {
                return Err(StreamError::NotEncrypted);
            }
            return Ok(Some(Stage::Compression));
        }
        if layers.keyring.is_empty() {
            return Err(StreamError::Encrypted);
        }
        if !self.has(ENVELOPE_HEAD)? {
            return Ok(None);
        }
        let head: [u8; ENVELOPE_HEAD] = self.unread().first_chunk().copied().unwrap_or_default();
        let [_, length @ ..] = head;
        let length = limited("encrypted message", u32::from_be_bytes(length), MAX_SEALED_STREAM)?;
        if !self.has(ENVELOPE_HEAD + length)? {
            return Ok(None);
        }
        let start = self.at + ENVELOPE_HEAD;
        self.trailing = self.buffer.len() - start - length;
        self.buffer.truncate(start + length);
        let associated = [&head, layers.label.as_bytes()].concat();
        let envelope = self.buffer.get_mut(start..).unwrap_or_default();
        let plain = layers.keyring.open(envelope, &associated).map_err(StreamError::Sealed)?;
        self.buffer.truncate(start + plain.end);
        self.at = start + plain.start;
        self.whole = true;
        self.encrypted = true;
        Ok(Some(Stage::Compression))
    }

    pub(super) fn decompress(
        &mut self,
        unpacker: &mut Unpacker,
    ) -> Result<Option<Stage>, StreamError> {
        if !self.has(1)? {
            return Ok(None);
        }
        let Some(body) = self.unread().strip_prefix(&[MessageType::Compress.to_byte()]) else {
            return Ok(Some(Stage::Type));
        };
        let mut spare = Vec::new();
        let (message, consumed) = match Compress::decode(body, &mut spare) {
            Ok(decoded) => decoded,
            Err(fault) => return self.wait_for(MessageType::Compress, self.at + 1, fault),
        };
        let mut plain = Vec::new();
        unpacker
            .message(&message, MAX_STREAM_EXPANSION, &mut plain)
            .map_err(StreamError::Compress)?;
        self.trailing += body.len() - consumed;
        self.buffer = plain;
        self.at = 0;
        self.whole = true;
        self.compressed = true;
        Ok(Some(Stage::Type))
    }
}
