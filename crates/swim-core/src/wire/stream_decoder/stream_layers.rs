//! Removes the settings of a stream in the order in which they arrive: label, encryption,
//! compression.
//!
//! Each step returns the next stage, or `None` while bytes are missing. Encryption and compression
//! yield all their bytes at once, so that a message that is incomplete inside them is refused.

use super::decode_stage::Stage;
use super::{StreamDecoder, limited};
use crate::wire::compress::decompress_with;
use crate::wire::label::{LabelError, split_header};
use crate::wire::lzw_decoder::LzwDecoder;
use crate::wire::message_type::MessageType;
use crate::wire::schema::Compress;
use crate::wire::stream_decode_error::{LimitedLength, StreamDecodeError};
use crate::wire::stream_encoder::ENCRYPT_HEADER;
use crate::wire::wire_limits::{MAX_ENCRYPTED_STREAM, MAX_STREAM_EXPANSION};
use crate::wire::wire_settings::WireSettings;

impl StreamDecoder {
    pub(super) fn take_label(
        &mut self,
        settings: &WireSettings,
    ) -> Result<Option<Stage>, StreamDecodeError> {
        if !self.has(1)? {
            return Ok(None);
        }
        let (label, rest) = match split_header(&self.buffer) {
            Ok(split) => split,
            Err(LabelError::Truncated { missing }) if !self.finished => {
                self.wanted = self.buffer.len() + missing;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        settings.label.check(label, settings.skip_inbound_label_check)?;
        self.at = self.buffer.len() - rest.len();
        Ok(Some(Stage::Encryption))
    }

    pub(super) fn decrypt(
        &mut self,
        settings: &WireSettings,
    ) -> Result<Option<Stage>, StreamDecodeError> {
        if !self.has(1)? {
            return Ok(None);
        }
        let is_encrypted = self.unread().first() == Some(&MessageType::Encrypt.to_byte());
        if !is_encrypted {
            if settings.verify_incoming && !settings.keyring.is_empty() {
                return Err(StreamDecodeError::NotEncrypted);
            }
            return Ok(Some(Stage::Compression));
        }
        if settings.keyring.is_empty() {
            return Err(StreamDecodeError::Encrypted);
        }
        if !self.has(ENCRYPT_HEADER)? {
            return Ok(None);
        }
        let header: [u8; ENCRYPT_HEADER] = self.unread().first_chunk().copied().unwrap_or_default();
        let [_, length @ ..] = header;
        let length = limited(
            LimitedLength::EncryptedMessage,
            u32::from_be_bytes(length),
            MAX_ENCRYPTED_STREAM,
        )?;
        if !self.has(ENCRYPT_HEADER + length)? {
            return Ok(None);
        }
        let start = self.at + ENCRYPT_HEADER;
        self.trailing = self.buffer.len() - start - length;
        self.buffer.truncate(start + length);
        let associated = [&header, settings.label.as_bytes()].concat();
        let encrypted = self.buffer.get_mut(start..).unwrap_or_default();
        let plain = settings.keyring.decrypt_in_place(encrypted, &associated)?;
        self.buffer.truncate(start + plain.end);
        self.at = start + plain.start;
        self.whole = true;
        self.encrypted = true;
        Ok(Some(Stage::Compression))
    }

    pub(super) fn decompress(
        &mut self,
        lzw: &mut LzwDecoder,
    ) -> Result<Option<Stage>, StreamDecodeError> {
        if !self.has(1)? {
            return Ok(None);
        }
        let Some(body) = self.unread().strip_prefix(&[MessageType::Compress.to_byte()]) else {
            return Ok(Some(Stage::Type));
        };
        let mut scratch = Vec::new();
        let (message, consumed) = match Compress::decode(body, &mut scratch) {
            Ok(decoded) => decoded,
            Err(error) => return self.wait_for(MessageType::Compress, self.at + 1, error),
        };
        let mut plain = Vec::new();
        decompress_with(lzw, &message, MAX_STREAM_EXPANSION, &mut plain)?;
        self.trailing += body.len() - consumed;
        self.buffer = plain;
        self.at = 0;
        self.whole = true;
        self.compressed = true;
        Ok(Some(Stage::Type))
    }
}
