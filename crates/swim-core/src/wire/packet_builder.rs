//! Builds packets: messages are encoded into one buffer, in which all layers are added in place.
//!
//! From the outermost layer to the innermost, and in the order of the bytes:
//!
//! ```text
//! label header | encryption header | checksum header | compound header | messages | padding, tag
//! ```
//!
//! Room for the headers is left before the first message is encoded, and is filled in when they
//! are known. Only compression needs a second buffer, and only for its output.

use thiserror::Error;

use super::compound::{PART_HEADER, PartTooLong, header_length};
use super::compress::compress_if_shorter;
use super::crc;
use super::encryption::{ENCRYPTION_HEADER, NONCE_LENGTH};
use super::message_type::MessageType;
use super::schema::Message;
use super::wire_limits::MAX_COMPOUND_PARTS;
use super::wire_settings::WireSettings;

/// For how many lengths room is made at once: more than a gossip packet holds of alive messages
/// (some 20), so that these are moved once, when the room that is left is closed.
const RESERVED_PARTS: usize = 32;

/// A packet that is being built: one message as it is, or several as a compound.
#[derive(Clone, Debug)]
pub struct PacketBuilder {
    buffer: Vec<u8>,
    /// Where the encryption header begins, if there is one: behind the label header.
    encryption: Option<usize>,
    /// Where the checksum header begins, if there is one.
    checksum: Option<usize>,
    /// Where the compound header begins; without one, the first message.
    message: usize,
    /// Where the first message begins. Between `message` and this is the compound's header, with
    /// room for `parts` lengths or some more once there are two messages.
    first: usize,
    parts: usize,
}

impl PacketBuilder {
    /// An empty packet.
    ///
    /// `checksum` adds the checksum header, which Go does towards members whose highest protocol
    /// version is at least 5. `capacity` is how many bytes of messages are expected, with
    /// [`PART_HEADER`] for each; more may come.
    pub fn new(settings: &WireSettings, checksum: bool, capacity: usize) -> Self {
        let overhead =
            settings.packet_overhead() + crc::HEADER_LENGTH + header_length(RESERVED_PARTS);
        let mut buffer = Vec::with_capacity(overhead + capacity);
        settings.label.put_header(&mut buffer);
        let encryption = settings.encrypts().then_some(buffer.len());
        if encryption.is_some() {
            buffer.resize(buffer.len() + ENCRYPTION_HEADER, 0);
        }
        let checksum = checksum.then_some(buffer.len());
        if checksum.is_some() {
            buffer.resize(buffer.len() + crc::HEADER_LENGTH, 0);
        }
        let message = buffer.len();
        Self { buffer, encryption, checksum, message, first: message, parts: 0 }
    }

    /// How many messages the packet holds.
    pub fn parts(&self) -> usize {
        self.parts
    }

    /// Bytes of the messages so far, without compound header and layers.
    pub fn messages_length(&self) -> usize {
        self.buffer.len() - self.first
    }

    /// Adds a message.
    ///
    /// # Errors
    /// [`PartError`] if the message does not fit beside those before it, or they beside it. The
    /// packet is then as it was.
    pub fn push(&mut self, message: &Message<'_>) -> Result<(), PartError> {
        self.push_part(|buffer| message.encode(buffer))
    }

    /// Adds a message that is encoded already.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_encoded(&mut self, message: &[u8]) -> Result<(), PartError> {
        self.push_part(|buffer| buffer.extend_from_slice(message))
    }

    fn push_part(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Result<(), PartError> {
        if self.parts == MAX_COMPOUND_PARTS {
            return Err(PartError::TooMany);
        }
        self.reserve_length();
        if self.parts == 1 {
            // Alone the first message needed no length.
            let first = part_length(self.messages_length())?;
            self.put_length(0, first);
        }
        let start = self.buffer.len();
        encode(&mut self.buffer);
        if self.parts > 0 {
            match part_length(self.buffer.len() - start) {
                Ok(length) => self.put_length(self.parts, length),
                Err(error) => {
                    self.buffer.truncate(start);
                    return Err(error);
                }
            }
        }
        self.parts += 1;
        Ok(())
    }

    /// Makes room for the next message's length, if it needs one, by moving the messages so far.
    fn reserve_length(&mut self) {
        if self.parts == 0 || self.message + header_length(self.parts + 1) <= self.first {
            return;
        }
        let parts = (self.parts + RESERVED_PARTS).min(MAX_COMPOUND_PARTS);
        let end = self.buffer.len();
        let first = self.message + header_length(parts);
        self.buffer.resize(end + first - self.first, 0);
        self.buffer.copy_within(self.first..end, first);
        self.first = first;
    }

    fn put_length(&mut self, part: usize, length: [u8; PART_HEADER]) {
        let at = self.message + header_length(part);
        self.overwrite(at, length);
    }

    /// Adds the layers and returns the packet's bytes.
    ///
    /// `settings` are those of [`new`](Self::new). A message of 128 bytes or more is compressed if
    /// they say so and if that is shorter. The nonce is used only with encryption; under one key,
    /// no nonce may be used twice. A packet without messages is one that every receiver refuses.
    pub fn finish(mut self, settings: &WireSettings, nonce: [u8; NONCE_LENGTH]) -> Vec<u8> {
        debug_assert_eq!(self.encryption.is_some(), settings.encrypts(), "settings were changed");
        self.finish_compound();
        if settings.compression {
            compress_if_shorter(&mut self.buffer, self.message);
        }
        if let Some(at) = self.checksum {
            let header = crc::header(self.buffer.get(self.message..).unwrap_or_default());
            self.overwrite(at, header);
        }
        if let Some(at) = self.encryption {
            settings.keyring.encrypt_in_place(
                settings.encryption_version,
                nonce,
                settings.label.as_bytes(),
                &mut self.buffer,
                at,
            );
        }
        self.buffer
    }

    /// Fills in type and count, and closes the gap that unused lengths leave.
    fn finish_compound(&mut self) {
        let header = if self.parts < 2 { 0 } else { header_length(self.parts) };
        let used = self.message + header;
        if used < self.first {
            self.buffer.copy_within(self.first.., used);
            self.buffer.truncate(used + self.messages_length());
            self.first = used;
        }
        if self.parts >= 2 {
            let [.., count] = self.parts.to_be_bytes();
            self.overwrite(self.message, [MessageType::Compound.to_byte(), count]);
        }
    }

    fn overwrite<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        match self.buffer.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
            Some(room) => *room = bytes,
            None => debug_assert!(false, "no room was left for a header"),
        }
    }
}

fn part_length(length: usize) -> Result<[u8; PART_HEADER], PartError> {
    let short = u16::try_from(length).map_err(|_| PartTooLong { length })?;
    Ok(short.to_be_bytes())
}

/// Adds all layers to one message, or compound, and returns the packet's bytes.
///
/// The same as [`PacketBuilder`] with one message, which says more about the arguments.
pub fn encode_packet(
    message: &[u8],
    settings: &WireSettings,
    checksum: bool,
    nonce: [u8; NONCE_LENGTH],
) -> Vec<u8> {
    let mut packet = PacketBuilder::new(settings, checksum, message.len());
    let pushed = packet.push_encoded(message);
    debug_assert_eq!(pushed, Ok(()), "a single message has no length limit");
    packet.finish(settings, nonce)
}

/// Why a message cannot be added to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PartError {
    /// The packet holds as many messages as a compound can.
    #[error("packet holds {MAX_COMPOUND_PARTS} messages already; begin another one")]
    TooMany,
    /// This message, or the one before it, is too long for a compound.
    #[error(transparent)]
    TooLong(#[from] PartTooLong),
}

#[cfg(test)]
mod tests;
