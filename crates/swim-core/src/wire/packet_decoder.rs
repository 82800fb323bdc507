//! Decodes packets: removes label, encryption, checksum, compression and compounds.
//!
//! A packet is decoded wholly before its first message is returned, and refused wholly when a
//! message in it is malformed, so that a caller never acts on half of a bad packet. Messages of
//! unknown types are skipped and counted. Messages borrow from the packet where it is neither
//! encrypted nor compressed, else from the decoder's buffers, which are used again for the next
//! packet.

use super::compound::CompoundParts;
use super::compress::decompress_with;
use super::crc;
use super::decode_error::DecodeError;
use super::label::split_header;
use super::lzw_decoder::LzwDecoder;
use super::message_type::MessageType;
use super::msgpack::{Reader, rewrite_number_arrays};
use super::packet_decode_error::PacketDecodeError;
use super::schema::{Compress, Message};
use super::wire_limits::{MAX_NESTING, MAX_PACKET_EXPANSION, MAX_PACKET_MESSAGES};
use super::wire_settings::WireSettings;

/// What was in a packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The messages, in order.
    pub messages: Vec<Message<'a>>,
    /// How many parts were cut off at the end of compounds.
    pub truncated: usize,
    /// How many messages were of a type that no packet carries.
    pub unknown: usize,
    /// How many parts of compounds were empty.
    pub empty: usize,
}

/// Decodes packets, one after the other, with buffers that are used again.
///
/// A default one allocates nothing, so that an owner can take it out of itself while it acts on a
/// packet and put it back afterwards. Between packets it keeps the buffers of the largest one: at
/// most 1 MiB of decompressed bytes and 2 MiB of message positions, and a table of 28 KiB.
#[derive(Debug, Default)]
pub struct PacketDecoder {
    decrypted: Vec<u8>,
    decompressed: Vec<u8>,
    rewritten: Vec<u8>,
    found: Vec<Found>,
    lzw: LzwDecoder,
}

impl PacketDecoder {
    pub(super) fn lzw_decoder(&mut self) -> &mut LzwDecoder {
        &mut self.lzw
    }

    /// Whether anything is decompressed from here on, or refused.
    pub(crate) fn set_may_decompress(&mut self, may: bool) {
        self.lzw.set_may_decompress(may);
    }

    /// Bytes decompressed since this was asked last, those of refused messages included.
    pub(crate) fn take_decompressed(&mut self) -> u64 {
        self.lzw.take_decompressed()
    }

    /// Removes all layers of a packet and reads every message in it.
    ///
    /// # Errors
    /// The first thing that is wrong. Cut-off parts of a compound and messages of unknown types
    /// are no errors; the packet counts them.
    pub fn decode<'a>(
        &'a mut self,
        packet: &'a [u8],
        settings: &WireSettings,
    ) -> Result<Packet<'a>, PacketDecodeError> {
        let Self { decrypted, decompressed, rewritten, found, lzw } = self;
        decompressed.clear();
        found.clear();
        let content = remove_outer_layers(packet, settings, decrypted)?;
        let mut search =
            Search { packet, decrypted, decompressed, found, lzw, counts: Packet::default() };
        search.visit(content, 0)?;
        let counts = search.counts;

        let buffers = Buffers { packet, decrypted, decompressed, rewritten: &[] };
        let (messages, has_number_array) = read_all(found, buffers)?;
        if !has_number_array {
            return Ok(Packet { messages, ..counts });
        }
        let found = rewrite_all(found, buffers, rewritten)?;
        let (messages, _) = read_all(&found, Buffers { rewritten, ..buffers })?;
        Ok(Packet { messages, ..counts })
    }
}

/// Where the bytes of a message are.
#[derive(Clone, Copy, Debug)]
struct Span {
    buffer: BufferName,
    start: usize,
    end: usize,
}

/// A message that a packet carries.
#[derive(Clone, Copy, Debug)]
struct Found {
    kind: MessageType,
    /// Without the type byte.
    body: Span,
}

#[derive(Clone, Copy, Debug)]
enum BufferName {
    /// The packet as it came.
    Packet,
    Decrypted,
    Decompressed,
    /// Messages in which arrays of numbers were replaced by bytes.
    Rewritten,
}

#[derive(Clone, Copy)]
struct Buffers<'a> {
    packet: &'a [u8],
    decrypted: &'a [u8],
    decompressed: &'a [u8],
    rewritten: &'a [u8],
}

impl<'a> Buffers<'a> {
    fn bytes(self, span: Span) -> &'a [u8] {
        let buffer = match span.buffer {
            BufferName::Packet => self.packet,
            BufferName::Decrypted => self.decrypted,
            BufferName::Decompressed => self.decompressed,
            BufferName::Rewritten => self.rewritten,
        };
        let bytes = buffer.get(span.start..span.end);
        debug_assert!(bytes.is_some(), "{span:?} is outside of its buffer");
        bytes.unwrap_or_default()
    }
}

/// Removes label, encryption and checksum; returns where the message or compound inside is.
fn remove_outer_layers(
    packet: &[u8],
    settings: &WireSettings,
    decrypted: &mut Vec<u8>,
) -> Result<Span, PacketDecodeError> {
    if packet.is_empty() {
        return Err(PacketDecodeError::Empty);
    }
    let (label, rest) = split_header(packet)?;
    settings.label.check(label, settings.skip_inbound_label_check)?;
    let start = packet.len() - rest.len();
    let mut span = Span { buffer: BufferName::Packet, start, end: packet.len() };
    let mut content = rest;

    if !settings.keyring.is_empty() {
        // Decryption is in place, and the packet is not ours to change.
        decrypted.clear();
        decrypted.extend_from_slice(rest);
        match settings.keyring.decrypt_in_place(decrypted, settings.label.as_bytes()) {
            Ok(plain) => {
                span = Span { buffer: BufferName::Decrypted, start: plain.start, end: plain.end };
                content = decrypted.get(plain).unwrap_or_default();
            }
            Err(_) if !settings.verify_incoming => {}
            Err(source) => return Err(PacketDecodeError::Decrypt { offset: start, source }),
        }
    }

    let Some(checksum) = crc::split_header(content) else {
        return Ok(span);
    };
    if !checksum.is_ok() {
        let crc::Checksum { announced, computed, .. } = checksum;
        return Err(PacketDecodeError::Checksum { offset: span.start, announced, computed });
    }
    Ok(Span { start: span.start + crc::HEADER_LENGTH, ..span })
}

/// The search for messages in compounds and compress messages, which may be nested.
struct Search<'p, 'd> {
    packet: &'p [u8],
    decrypted: &'d [u8],
    decompressed: &'d mut Vec<u8>,
    found: &'d mut Vec<Found>,
    lzw: &'d mut LzwDecoder,
    counts: Packet<'static>,
}

impl Search<'_, '_> {
    fn visit(&mut self, span: Span, depth: usize) -> Result<(), PacketDecodeError> {
        let Some(&first) = self.bytes(span).first() else {
            self.counts.empty += 1;
            return Ok(());
        };
        match MessageType::from_byte(first) {
            Some(MessageType::Compound) => self.visit_compound(span, depth),
            Some(MessageType::Compress) => {
                let inner = self.decompress(span, depth)?;
                self.visit(inner, depth + 1)
            }
            Some(
                kind @ (MessageType::Ping
                | MessageType::IndirectPing
                | MessageType::Ack
                | MessageType::Suspect
                | MessageType::Alive
                | MessageType::Dead
                | MessageType::User
                | MessageType::Nack),
            ) => {
                if self.found.len() == MAX_PACKET_MESSAGES {
                    return Err(PacketDecodeError::TooManyMessages { offset: span.start });
                }
                self.found.push(Found { kind, body: Span { start: span.start + 1, ..span } });
                Ok(())
            }
            Some(
                MessageType::PushPull
                | MessageType::Encrypt
                | MessageType::HasCrc
                | MessageType::Error
                | MessageType::Label,
            )
            | None => {
                self.counts.unknown += 1;
                Ok(())
            }
        }
    }

    fn visit_compound(&mut self, span: Span, depth: usize) -> Result<(), PacketDecodeError> {
        if depth == MAX_NESTING {
            return Err(PacketDecodeError::TooDeep { offset: span.start });
        }
        let refused = |cause| PacketDecodeError::Compound { offset: span.start, cause };
        let mut parts = CompoundParts::of(self.bytes(span)).map_err(refused)?;
        while let Some(part) = parts.next(self.bytes(span)) {
            let (start, end) = (span.start + part.start, span.start + part.end);
            self.visit(Span { start, end, ..span }, depth + 1)?;
        }
        self.counts.truncated += parts.truncated();
        Ok(())
    }

    /// Expands a compress message and returns where the message inside is.
    fn decompress(&mut self, span: Span, depth: usize) -> Result<Span, PacketDecodeError> {
        if depth == MAX_NESTING {
            return Err(PacketDecodeError::TooDeep { offset: span.start });
        }
        let copy;
        let message = match span.buffer {
            BufferName::Packet => self.packet.get(span.start..span.end).unwrap_or_default(),
            BufferName::Decrypted => self.decrypted.get(span.start..span.end).unwrap_or_default(),
            // The buffer that is written to cannot be read meanwhile.
            BufferName::Decompressed | BufferName::Rewritten => {
                copy = self.bytes(span).to_vec();
                &copy
            }
        };
        let mut scratch = Vec::new();
        let (message, _) = Compress::decode(message.get(1..).unwrap_or_default(), &mut scratch)
            .map_err(|error| malformed(MessageType::Compress, span.start + 1, error))?;
        let start = self.decompressed.len();
        // Nothing else is in the buffer, so that its length is what has been expanded so far.
        let room = MAX_PACKET_EXPANSION - start;
        decompress_with(self.lzw, &message, room, self.decompressed)
            .map_err(|source| PacketDecodeError::Decompress { offset: span.start, source })?;
        Ok(Span { buffer: BufferName::Decompressed, start, end: self.decompressed.len() })
    }

    fn bytes(&self, span: Span) -> &[u8] {
        let Self { packet, decrypted, decompressed, .. } = self;
        Buffers { packet, decrypted, decompressed, rewritten: &[] }.bytes(span)
    }
}

/// Reads the messages, and whether one of them has a field that cannot be borrowed.
fn read_all<'a>(
    found: &[Found],
    buffers: Buffers<'a>,
) -> Result<(Vec<Message<'a>>, bool), PacketDecodeError> {
    let mut messages = Vec::with_capacity(found.len());
    let mut has_number_array = false;
    for &Found { kind, body: span } in found {
        let body = buffers.bytes(span);
        let mut reader = Reader::new(body);
        let message = Message::read(kind, body, &mut reader);
        debug_assert!(message.is_some(), "{kind} is not a message that packets carry");
        if let Some(message) = message {
            messages.push(message.map_err(|error| malformed(kind, span.start, error))?);
            has_number_array |= reader.has_number_array();
        }
    }
    Ok((messages, has_number_array))
}

/// Copies all bodies, with arrays of numbers replaced by bytes.
fn rewrite_all(
    found: &[Found],
    buffers: Buffers<'_>,
    out: &mut Vec<u8>,
) -> Result<Vec<Found>, PacketDecodeError> {
    out.clear();
    let mut rewritten = Vec::with_capacity(found.len());
    for &Found { kind, body: span } in found {
        let body = buffers.bytes(span);
        let start = out.len();
        if kind == MessageType::User {
            out.extend_from_slice(body);
        } else {
            rewrite_number_arrays(body, out).map_err(|error| malformed(kind, span.start, error))?;
        }
        let body = Span { buffer: BufferName::Rewritten, start, end: out.len() };
        rewritten.push(Found { kind, body });
    }
    Ok(rewritten)
}

/// A message whose body begins at `start` is malformed.
fn malformed(message: MessageType, start: usize, error: DecodeError) -> PacketDecodeError {
    let DecodeError { offset, kind } = error;
    PacketDecodeError::Malformed { message, offset: start + offset, source: kind }
}

#[cfg(test)]
mod tests;
