//! LZW as Go's `compress/lzw` writes it, byte for byte.
//!
//! Least significant bit first, 8-bit literals, codes of 9 to 12 bits. The table is cleared after
//! the code 4,095, one earlier than most encoders do.

const CLEAR: u16 = 256;
const END: u16 = 257;
const LAST_CODE: u16 = 4_095;
const FIRST_WIDTH: u32 = 9;

/// Room for the output of an input of unknown compressibility, at most.
const FIRST_CAPACITY: usize = 4_096;

/// The LZW stream of `plain`; `None` as soon as it is known to be longer than `limit` bytes.
pub(super) fn compress_within(plain: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut encoder = LzwEncoder::new(plain.len());
    encoder.put(CLEAR);
    let mut bytes = plain.iter();
    if let Some(&first) = bytes.next() {
        let mut prefix = u16::from(first);
        for &byte in bytes {
            let free = match encoder.table.find(prefix, byte) {
                Ok(longer) => {
                    prefix = longer;
                    continue;
                }
                Err(free) => free,
            };
            encoder.put(prefix);
            if encoder.out.len() > limit {
                return None;
            }
            if let Some(code) = encoder.advance() {
                encoder.table.insert(free, code);
            }
            prefix = u16::from(byte);
        }
        encoder.put(prefix);
        encoder.advance();
    }
    encoder.put(END);
    let compressed = encoder.finish();
    (compressed.len() <= limit).then_some(compressed)
}

/// Packs codes into bytes, least significant bit first, and follows the code width.
struct LzwEncoder {
    out: Vec<u8>,
    /// Bits that are not in `out` yet, `held` of them, fewer than 32 between two codes.
    bits: u64,
    held: u32,
    width: u32,
    highest: u16,
    table: CodeTable,
}

impl LzwEncoder {
    fn new(length: usize) -> Self {
        Self {
            out: Vec::with_capacity(length.min(FIRST_CAPACITY)),
            bits: 0,
            held: 0,
            width: FIRST_WIDTH,
            highest: END,
            table: CodeTable::new(length),
        }
    }

    fn put(&mut self, code: u16) {
        self.bits |= u64::from(code) << self.held;
        self.held += self.width;
        if self.held >= u32::BITS {
            let [a, b, c, d, ..] = self.bits.to_le_bytes();
            self.out.extend_from_slice(&[a, b, c, d]);
            self.bits >>= u32::BITS;
            self.held -= u32::BITS;
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
        let last = self.bits.to_le_bytes();
        let used = self.held.div_ceil(u8::BITS);
        self.out.extend(last.iter().zip(0..used).map(|(byte, _)| *byte));
        self.out
    }
}

/// Which code stands for (prefix code, next byte): open addressing, at most half full, so that
/// the largest table, 32 KiB, stays in the processor's nearest cache.
struct CodeTable {
    slots: Vec<u32>,
    shift: u32,
    /// Their number less one; the number is a power of two.
    mask: usize,
}

/// Where an entry that is missing belongs.
struct FreeSlot {
    slot: usize,
    key: u32,
}

impl CodeTable {
    /// No entry is 0: the codes of strings begin above [`END`].
    const FREE: u32 = 0;

    /// For an input of `length` bytes, each of which makes one entry at most: most packets are
    /// far shorter than the largest table.
    fn new(length: usize) -> Self {
        let slots = (2 * length.clamp(1, usize::from(LAST_CODE))).next_power_of_two();
        Self {
            slots: vec![Self::FREE; slots],
            shift: u32::BITS - slots.trailing_zeros(),
            mask: slots - 1,
        }
    }

    fn clear(&mut self) {
        self.slots.fill(Self::FREE);
    }

    fn find(&self, prefix: u16, byte: u8) -> Result<u16, FreeSlot> {
        // 20 bits: a 12-bit code and a byte.
        let key = u32::from(prefix) << 8 | u32::from(byte);
        let mut slot = self.home(key);
        loop {
            let entry = self.slots.get(slot).copied().unwrap_or(Self::FREE);
            if entry == Self::FREE {
                return Err(FreeSlot { slot, key });
            }
            if entry >> 12 == key {
                let [low, high, ..] = entry.to_le_bytes();
                return Ok(u16::from_le_bytes([low, high & 0xf]));
            }
            slot = (slot + 1) & self.mask;
        }
    }

    fn insert(&mut self, free: FreeSlot, code: u16) {
        if let Some(entry) = self.slots.get_mut(free.slot) {
            *entry = free.key << 12 | u32::from(code);
        }
    }

    fn home(&self, key: u32) -> usize {
        // Fibonacci hashing: 2^32 divided by the golden ratio.
        let hash = key.wrapping_mul(0x9e37_79b9) >> self.shift;
        usize::try_from(hash).unwrap_or(0)
    }
}
