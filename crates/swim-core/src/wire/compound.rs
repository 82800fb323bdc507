//! Several messages in one packet: `07 | count u8 | count x length u16 | parts`.
//!
//! Parts that run past the end are dropped and counted, with all that follow them; the earlier
//! ones stand. What is inside a part is not looked at here.

use std::fmt;
use std::ops::Range;

use super::{MAX_COMPOUND_PARTS, MAX_PART_LENGTH, MessageType};

/// Walks through the parts of a compound message, type byte included.
///
/// The message is lent to each step anew, so that it may live in a buffer that grows meanwhile.
#[derive(Clone, Debug)]
pub struct Parts {
    count: usize,
    next: usize,
    at: usize,
    truncated: usize,
}

impl Parts {
    /// Reads the head of `message`, which begins with the type byte.
    ///
    /// # Errors
    /// The count or the lengths are not all there.
    pub fn of(message: &[u8]) -> Result<Self, CompoundError> {
        let Some(&count) = message.get(1) else {
            return Err(CompoundError::NoCount);
        };
        let count = usize::from(count);
        let at = 2 + 2 * count;
        if message.len() < at {
            return Err(CompoundError::NoLengths);
        }
        Ok(Self { count, next: 0, at, truncated: 0 })
    }

    /// Where the next part lies in `message`; `None` after the last that is whole.
    pub fn next(&mut self, message: &[u8]) -> Option<Range<usize>> {
        if self.next == self.count {
            return None;
        }
        let length = message.get(2 + 2 * self.next..)?.first_chunk().copied()?;
        let end = self.at + usize::from(u16::from_be_bytes(length));
        if message.len() < end {
            self.truncated = self.count - self.next;
            self.next = self.count;
            return None;
        }
        let part = self.at..end;
        self.at = end;
        self.next += 1;
        Some(part)
    }

    /// How many parts were cut off, once [`next`](Self::next) has returned `None`.
    pub fn truncated(&self) -> usize {
        self.truncated
    }
}

/// The compound messages that hold `parts`, 255 at most in each.
///
/// # Errors
/// [`PartTooLong`] if a part exceeds 65,535 bytes (Go would send a broken packet).
pub fn join<P: AsRef<[u8]>>(parts: &[P]) -> Result<Vec<Vec<u8>>, PartTooLong> {
    parts.chunks(MAX_COMPOUND_PARTS).map(join_one).collect()
}

fn join_one<P: AsRef<[u8]>>(parts: &[P]) -> Result<Vec<u8>, PartTooLong> {
    let total: usize = parts.iter().map(|part| 2 + part.as_ref().len()).sum();
    let mut out = Vec::with_capacity(2 + total);
    out.push(MessageType::Compound.to_byte());
    out.extend(u8::try_from(parts.len()));
    for part in parts {
        let length = part.as_ref().len();
        let short = u16::try_from(length).map_err(|_| PartTooLong { length })?;
        out.extend(short.to_be_bytes());
    }
    for part in parts {
        out.extend_from_slice(part.as_ref());
    }
    Ok(out)
}

/// A message too long to be part of a compound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartTooLong {
    /// Its length in bytes.
    pub length: usize,
}

impl fmt::Display for PartTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { length } = self;
        write!(f, "message of {length} bytes; send those above {MAX_PART_LENGTH} on their own")
    }
}

impl std::error::Error for PartTooLong {}

/// Why a compound message is refused whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompoundError {
    /// Nothing after the type byte.
    NoCount,
    /// Fewer lengths than parts.
    NoLengths,
}

impl fmt::Display for CompoundError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCount => "compound message without a count",
            Self::NoLengths => "compound message ends among its lengths",
        })
    }
}

impl std::error::Error for CompoundError {}
