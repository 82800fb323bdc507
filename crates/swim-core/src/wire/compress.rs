//! LZW as in Go's `compress/lzw`: least significant bit first, 8-bit literals, codes of 9 to 12
//! bits.
//!
//! The decoder takes streams with and without an initial clear code (old Go releases write none)
//! and never expands beyond a given limit. The encoder writes Go's bytes: it clears its table
//! after the code 4,095, one earlier than most encoders.

use std::fmt;

use weezl::{BitOrder, LzwStatus, decode::Decoder};

use super::schema::Compress;

const CLEAR: u16 = 256;
const END: u16 = 257;
const LAST_CODE: u16 = 4_095;
const FIRST_WIDTH: u32 = 9;

/// Output is grown by at least this much at a time.
const CHUNK: usize = 4_096;

/// The least that a compress message adds to its LZW stream: type, map, field names, algorithm
/// and the shortest length.
const LEAST_AROUND: usize = 13;

/// A compress message (type 9) around `message`.
pub fn compress_message(message: &[u8]) -> Vec<u8> {
    message_around(&compress(message))
}

/// Nothing is tried with shorter messages: a single ping or claim repeats too little to win more
/// than a few bytes of a packet that has room for 1,400.
const LEAST_WORTH: usize = 128;

/// A compress message around `message` if that is the shorter one. Gives up on what does not
/// compress before its end.
pub(crate) fn compress_shorter(message: &[u8]) -> Option<Vec<u8>> {
    if message.len() < LEAST_WORTH {
        return None;
    }
    let limit = message.len().checked_sub(LEAST_AROUND + 1)?;
    let compressed = message_around(&compress_within(message, limit)?);
    (compressed.len() < message.len()).then_some(compressed)
}

fn message_around(packed: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(packed.len() + LEAST_AROUND + 4);
    Compress { algo: 0, buf: Some(packed) }.encode(&mut out);
    out
}

/// Appends to `out` what the compress message holds, `limit` bytes at most.
///
/// # Errors
/// An unknown algorithm, a bad or unfinished LZW stream, or too much output.
pub fn decompress_message(
    message: &Compress<'_>,
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), CompressError> {
    Unpacker::default().message(message, limit, out)
}

/// The LZW stream of `plain`, byte for byte as Go writes it.
pub fn compress(plain: &[u8]) -> Vec<u8> {
    compress_within(plain, usize::MAX).unwrap_or_default()
}

/// `None` as soon as the stream is known to be longer than `limit` bytes.
fn compress_within(plain: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut encoder = Encoder::new(plain.len());
    encoder.put(CLEAR);
    let mut bytes = plain.iter();
    if let Some(&first) = bytes.next() {
        let mut prefix = u16::from(first);
        for &byte in bytes {
            let vacancy = match encoder.table.find(prefix, byte) {
                Ok(longer) => {
                    prefix = longer;
                    continue;
                }
                Err(vacancy) => vacancy,
            };
            encoder.put(prefix);
            if encoder.out.len() > limit {
                return None;
            }
            if let Some(code) = encoder.advance() {
                encoder.table.insert(vacancy, code);
            }
            prefix = u16::from(byte);
        }
        encoder.put(prefix);
        encoder.advance();
    }
    encoder.put(END);
    let packed = encoder.finish();
    (packed.len() <= limit).then_some(packed)
}

/// Appends to `out` what the LZW stream `packed` holds, `limit` bytes at most. Bytes after the
/// end code are ignored, as in Go.
///
/// # Errors
/// A code that cannot be, an end before the end code, or more than `limit` bytes of output.
pub fn decompress(packed: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), CompressError> {
    Unpacker::default().unpack(packed, limit, out)
}

/// Unpacks one message after the other with one table of codes, some 28 KiB, which is made when
/// it is needed first.
#[derive(Default)]
pub(crate) struct Unpacker {
    decoder: Option<Decoder>,
}

impl fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unpacker").finish_non_exhaustive()
    }
}

impl Unpacker {
    /// As [`decompress_message`].
    pub(crate) fn message(
        &mut self,
        message: &Compress<'_>,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        if message.algo != 0 {
            return Err(CompressError::Algorithm(message.algo));
        }
        self.unpack(message.buf.unwrap_or_default(), limit, out)
    }

    fn unpack(
        &mut self,
        packed: &[u8],
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        let decoder = self.decoder.get_or_insert_with(|| Decoder::new(BitOrder::Lsb, 8));
        decoder.reset();
        unpack_with(decoder, packed, limit, out)
    }
}

fn unpack_with(
    decoder: &mut Decoder,
    packed: &[u8],
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), CompressError> {
    let mut input = packed;
    let start = out.len();
    let mut filled = start;
    loop {
        // One byte beyond the limit tells "exactly at the limit" from "more to come".
        let room = (start + limit + 1 - filled).min(CHUNK.max(filled - start));
        out.resize(filled + room, 0);
        let step = decoder.decode_bytes(input, out.get_mut(filled..).unwrap_or_default());
        input = input.get(step.consumed_in..).unwrap_or_default();
        filled += step.consumed_out;
        out.truncate(filled);
        if filled - start > limit {
            return Err(CompressError::TooLarge { limit });
        }
        match step.status {
            Err(weezl::LzwError::InvalidCode) => return Err(CompressError::InvalidCode),
            Ok(LzwStatus::Done) => return Ok(()),
            Ok(LzwStatus::NoProgress) => return Err(CompressError::Truncated),
            Ok(LzwStatus::Ok) => {}
        }
    }
}

/// Packs codes into bytes and follows the code width.
struct Encoder {
    out: Vec<u8>,
    bits: u32,
    held: u32,
    width: u32,
    highest: u16,
    table: Table,
}

impl Encoder {
    fn new(length: usize) -> Self {
        Self {
            out: Vec::with_capacity(length.min(CHUNK)),
            bits: 0,
            held: 0,
            width: FIRST_WIDTH,
            highest: END,
            table: Table::new(length),
        }
    }

    fn put(&mut self, code: u16) {
        self.bits |= u32::from(code) << self.held;
        self.held += self.width;
        while self.held >= 8 {
            self.push_byte();
            self.held -= 8;
        }
    }

    /// Counts a code as used up: the number for a new entry, unless the table had to be cleared.
    fn advance(&mut self) -> Option<u16> {
        self.highest += 1;
        if u32::from(self.highest) == 1 << self.width {
            self.width += 1;
        }
        if self.highest < LAST_CODE {
            return Some(self.highest);
        }
        self.put(CLEAR);
        self.width = FIRST_WIDTH;
        self.highest = END;
        self.table.clear();
        None
    }

    fn finish(mut self) -> Vec<u8> {
        if self.held > 0 {
            self.push_byte();
        }
        self.out
    }

    fn push_byte(&mut self) {
        let [low, ..] = self.bits.to_le_bytes();
        self.out.push(low);
        self.bits >>= 8;
    }
}

/// Which code stands for (prefix code, next byte): open addressing, at most half full, so that
/// the largest table, 32 KiB, stays in the processor's nearest cache.
struct Table {
    slots: Vec<u32>,
    shift: u32,
    /// Their number less one; the number is a power of two.
    mask: usize,
}

/// Where an entry that is missing belongs.
struct Vacancy {
    slot: usize,
    key: u32,
}

impl Table {
    /// No entry is 0: the codes of strings begin above [`END`].
    const VACANT: u32 = 0;

    /// For an input of `length` bytes, each of which makes one entry at most: most packets are
    /// far shorter than the largest table.
    fn new(length: usize) -> Self {
        let slots = (2 * length.clamp(1, usize::from(LAST_CODE))).next_power_of_two();
        Self {
            slots: vec![Self::VACANT; slots],
            shift: u32::BITS - slots.trailing_zeros(),
            mask: slots - 1,
        }
    }

    fn clear(&mut self) {
        self.slots.fill(Self::VACANT);
    }

    fn find(&self, prefix: u16, byte: u8) -> Result<u16, Vacancy> {
        // 20 bits: a 12-bit code and a byte.
        let key = u32::from(prefix) << 8 | u32::from(byte);
        let mut slot = self.home(key);
        loop {
            let entry = self.slots.get(slot).copied().unwrap_or(Self::VACANT);
            if entry == Self::VACANT {
                return Err(Vacancy { slot, key });
            }
            if entry >> 12 == key {
                let [low, high, ..] = entry.to_le_bytes();
                return Ok(u16::from_le_bytes([low, high & 0xf]));
            }
            slot = (slot + 1) & self.mask;
        }
    }

    fn insert(&mut self, vacancy: Vacancy, code: u16) {
        if let Some(entry) = self.slots.get_mut(vacancy.slot) {
            *entry = vacancy.key << 12 | u32::from(code);
        }
    }

    fn home(&self, key: u32) -> usize {
        // Fibonacci hashing: 2^32 divided by the golden ratio.
        let hash = key.wrapping_mul(0x9e37_79b9) >> self.shift;
        usize::try_from(hash).unwrap_or(0)
    }
}

/// Why compressed bytes are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressError {
    /// An algorithm other than LZW.
    Algorithm(u8),
    /// A code that the table does not hold yet.
    InvalidCode,
    /// The stream ends before its end code.
    Truncated,
    /// It expands to more than is allowed here.
    TooLarge {
        /// The most that is allowed, in bytes.
        limit: usize,
    },
}

impl fmt::Display for CompressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Algorithm(algo) => write!(f, "unknown compression algorithm {algo}"),
            Self::InvalidCode => f.write_str("invalid LZW code"),
            Self::Truncated => f.write_str("LZW stream ends before its end code"),
            Self::TooLarge { limit } => write!(f, "decompresses to more than {limit} bytes"),
        }
    }
}

impl std::error::Error for CompressError {}

#[cfg(test)]
mod tests;
