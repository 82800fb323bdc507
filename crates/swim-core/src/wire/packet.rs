//! Packets: label, encryption, checksum, compression and compounds, done and undone.
//!
//! A packet is decoded wholly before its first message is handed out, and refused wholly when a
//! message in it is malformed, so that a caller never acts on half of a bad packet. Messages of
//! unknown types are skipped and counted. Messages borrow from the packet or from the decoder's
//! own buffers, which are used again for the next packet.

use super::compound::Parts;
use super::compress::Unpacker;
use super::label::split_header;
use super::msgpack::{Fault, Reader, gather};
use super::schema::{Compress, Message};
use super::{MAX_NESTING, MAX_PACKET_EXPANSION, MAX_PACKET_MESSAGES, MessageType, crc};

mod error;
mod layers;

pub use error::PacketError;
pub use layers::{Layers, seal_packet};

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
/// A default one is free to make, so that an owner can take it out of itself while it acts on a
/// packet and put it back afterwards. Between packets it holds at most the decrypted and
/// decompressed bytes of the largest one, some 2 MiB, and a table of 28 KiB.
#[derive(Debug, Default)]
pub struct PacketDecoder {
    unpacked: Vec<u8>,
    gathered: Vec<u8>,
    plain: Vec<Span>,
    unpacker: Unpacker,
}

impl PacketDecoder {
    pub(super) fn unpacker(&mut self) -> &mut Unpacker {
        &mut self.unpacker
    }

    /// Undoes all layers of a packet and reads every message in it.
    ///
    /// # Errors
    /// The first thing that is wrong. Cut-off parts of a compound and messages of unknown types
    /// are not wrong; the packet counts them.
    pub fn decode<'a>(
        &'a mut self,
        packet: &'a [u8],
        layers: &Layers,
    ) -> Result<Packet<'a>, PacketError> {
        let Self { unpacked, gathered, plain, unpacker } = self;
        unpacked.clear();
        plain.clear();
        let mut unwrapping = Unwrapping {
            packet,
            unpacked,
            plain,
            unpacker,
            expanded: 0,
            counts: Packet::default(),
        };
        let outermost = unwrapping.open(layers)?;
        unwrapping.flatten(outermost, 0)?;
        let counts = unwrapping.counts;

        let sources = Sources { packet, unpacked, gathered: &[] };
        let (messages, scattered) = read_all(plain, sources)?;
        if !scattered {
            return Ok(Packet { messages, ..counts });
        }
        let plain = gather_all(plain, sources, gathered)?;
        let (messages, _) = read_all(&plain, Sources { packet, unpacked, gathered })?;
        Ok(Packet { messages, ..counts })
    }
}

/// Where the bytes of a message are.
#[derive(Clone, Copy, Debug)]
struct Span {
    place: Place,
    start: usize,
    end: usize,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// In the packet as it came.
    Packet,
    /// Among the decrypted and decompressed bytes.
    Unpacked,
    /// Among the messages that were rewritten to be borrowed from.
    Gathered,
}

#[derive(Clone, Copy)]
struct Sources<'a> {
    packet: &'a [u8],
    unpacked: &'a [u8],
    gathered: &'a [u8],
}

impl<'a> Sources<'a> {
    fn bytes(self, span: Span) -> &'a [u8] {
        let place = match span.place {
            Place::Packet => self.packet,
            Place::Unpacked => self.unpacked,
            Place::Gathered => self.gathered,
        };
        place.get(span.start..span.end).unwrap_or_default()
    }
}

/// A packet on its way to plain messages.
struct Unwrapping<'p, 'd> {
    packet: &'p [u8],
    unpacked: &'d mut Vec<u8>,
    plain: &'d mut Vec<Span>,
    unpacker: &'d mut Unpacker,
    expanded: usize,
    counts: Packet<'static>,
}

impl Unwrapping<'_, '_> {
    /// Takes off the outer layers: label, encryption, checksum.
    fn open(&mut self, layers: &Layers) -> Result<Span, PacketError> {
        if self.packet.is_empty() {
            return Err(PacketError::Empty);
        }
        let (label, rest) = split_header(self.packet).map_err(PacketError::Label)?;
        layers.label.check(label, layers.skip_inbound_label_check).map_err(PacketError::Label)?;
        let start = self.packet.len() - rest.len();
        let mut inner = Span { place: Place::Packet, start, end: self.packet.len() };

        if !layers.keyring.is_empty() {
            self.unpacked.extend_from_slice(rest);
            match layers.keyring.open(self.unpacked, layers.label.as_bytes()) {
                Ok(plain) => {
                    inner = Span { place: Place::Unpacked, start: plain.start, end: plain.end };
                }
                Err(_) if !layers.verify_incoming => self.unpacked.clear(),
                Err(reason) => return Err(PacketError::Sealed { offset: start, reason }),
            }
        }

        let Some(checked) = crc::split_header(self.bytes(inner)) else {
            return Ok(inner);
        };
        if !checked.is_ok() {
            return Err(PacketError::Checksum {
                offset: inner.start,
                announced: checked.announced,
                computed: checked.computed,
            });
        }
        Ok(Span { start: inner.start + crc::HEADER_LENGTH, ..inner })
    }

    /// Finds the plain messages in compound and compress messages.
    fn flatten(&mut self, span: Span, depth: usize) -> Result<(), PacketError> {
        let Some(&first) = self.bytes(span).first() else {
            self.counts.empty += 1;
            return Ok(());
        };
        match MessageType::from_byte(first) {
            Some(MessageType::Compound) => self.flatten_compound(span, depth),
            Some(MessageType::Compress) => {
                let inner = self.decompress(span, depth)?;
                self.flatten(inner, depth + 1)
            }
            Some(
                MessageType::Ping
                | MessageType::IndirectPing
                | MessageType::Ack
                | MessageType::Suspect
                | MessageType::Alive
                | MessageType::Dead
                | MessageType::User
                | MessageType::Nack,
            ) => {
                if self.plain.len() == MAX_PACKET_MESSAGES {
                    return Err(PacketError::TooManyMessages { offset: span.start });
                }
                self.plain.push(span);
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

    fn flatten_compound(&mut self, span: Span, depth: usize) -> Result<(), PacketError> {
        if depth == MAX_NESTING {
            return Err(PacketError::TooDeep { offset: span.start });
        }
        let refused = |reason| PacketError::Compound { offset: span.start, reason };
        let mut parts = Parts::of(self.bytes(span)).map_err(refused)?;
        while let Some(part) = parts.next(self.bytes(span)) {
            let (start, end) = (span.start + part.start, span.start + part.end);
            self.flatten(Span { start, end, ..span }, depth + 1)?;
        }
        self.counts.truncated += parts.truncated();
        Ok(())
    }

    fn decompress(&mut self, span: Span, depth: usize) -> Result<Span, PacketError> {
        if depth == MAX_NESTING {
            return Err(PacketError::TooDeep { offset: span.start });
        }
        // The buffer that is written to may be the one that holds the compressed bytes.
        let message = self.bytes(span).get(1..).unwrap_or_default().to_vec();
        let mut spare = Vec::new();
        let (message, _) = Compress::decode(&message, &mut spare)
            .map_err(|fault| malformed(MessageType::Compress, span, fault))?;
        let start = self.unpacked.len();
        let room = MAX_PACKET_EXPANSION - self.expanded;
        self.unpacker
            .message(&message, room, self.unpacked)
            .map_err(|reason| PacketError::Compress { offset: span.start, reason })?;
        let end = self.unpacked.len();
        self.expanded += end - start;
        Ok(Span { place: Place::Unpacked, start, end })
    }

    fn bytes(&self, span: Span) -> &[u8] {
        Sources { packet: self.packet, unpacked: self.unpacked, gathered: &[] }.bytes(span)
    }
}

/// Reads the messages, and whether one of them cannot be borrowed as it is.
fn read_all<'a>(
    plain: &[Span],
    sources: Sources<'a>,
) -> Result<(Vec<Message<'a>>, bool), PacketError> {
    let mut messages = Vec::with_capacity(plain.len());
    let mut scattered = false;
    for &span in plain {
        let Some((&first, body)) = sources.bytes(span).split_first() else {
            continue;
        };
        let Some(kind) = MessageType::from_byte(first) else {
            continue;
        };
        let mut reader = Reader::new(body);
        if let Some(message) = Message::read(kind, body, &mut reader) {
            messages.push(message.map_err(|fault| malformed(kind, span, fault))?);
            scattered |= reader.is_scattered();
        }
    }
    Ok((messages, scattered))
}

/// Rewrites all messages so that each can be borrowed.
fn gather_all(
    plain: &[Span],
    sources: Sources<'_>,
    gathered: &mut Vec<u8>,
) -> Result<Vec<Span>, PacketError> {
    gathered.clear();
    let mut rewritten = Vec::with_capacity(plain.len());
    for &span in plain {
        let Some((&first, body)) = sources.bytes(span).split_first() else {
            continue;
        };
        let start = gathered.len();
        gathered.push(first);
        match MessageType::from_byte(first) {
            Some(kind) if kind != MessageType::User => {
                gather(body, gathered).map_err(|fault| malformed(kind, span, fault))?;
            }
            Some(_) | None => gathered.extend_from_slice(body),
        }
        rewritten.push(Span { place: Place::Gathered, start, end: gathered.len() });
    }
    Ok(rewritten)
}

fn malformed(kind: MessageType, span: Span, fault: Fault) -> PacketError {
    PacketError::Malformed { kind, offset: span.start + 1 + fault.offset, reason: fault.reason }
}

#[cfg(test)]
mod tests;
