//! Several messages in one packet: `07 | count u8 | count x length u16 | parts`.
//!
//! Parts that run past the end are dropped and counted, with all that follow them; the earlier
//! ones are kept, as in Go.

use std::ops::Range;

use thiserror::Error;

use super::message_type::MessageType;
use super::wire_limits::{MAX_COMPOUND_PARTS, MAX_PART_LENGTH};

/// Type byte and count: what a compound costs, whatever it holds.
pub const FIXED_HEADER: usize = 2;

/// What each part of a compound costs beside its bytes: its length.
pub const PART_HEADER: usize = 2;

/// Length of everything before the first part of a compound of `parts`.
pub const fn header_length(parts: usize) -> usize {
    FIXED_HEADER + PART_HEADER * parts
}

/// Walks through the parts of a compound message, type byte included.
///
/// Each step takes the message as an argument, so that it may be in a buffer that grows meanwhile.
#[derive(Clone, Debug)]
pub struct CompoundParts {
    count: usize,
    next: usize,
    at: usize,
    truncated: usize,
}

impl CompoundParts {
    /// Reads the head of `message`, which begins with the type byte.
    ///
    /// # Errors
    /// The count or the lengths are not all there.
    pub fn of(message: &[u8]) -> Result<Self, CompoundError> {
        let Some(&count) = message.get(1) else {
            return Err(CompoundError::NoCount);
        };
        let count = usize::from(count);
        let at = header_length(count);
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
        let length = message.get(header_length(self.next)..)?.first_chunk().copied()?;
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
    let total: usize = parts.iter().map(|part| part.as_ref().len()).sum();
    let mut out = Vec::with_capacity(header_length(parts.len()) + total);
    out.push(MessageType::Compound.to_byte());
    out.extend(u8::try_from(parts.len()));
    for part in parts {
        let length = part.as_ref().len();
        let short = u16::try_from(length).map_err(|_| PartTooLong { length })?;
        out.extend_from_slice(&short.to_be_bytes());
    }
    for part in parts {
        out.extend_from_slice(part.as_ref());
    }
    Ok(out)
}

/// A message too long to be part of a compound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("message of {length} bytes; send those above {MAX_PART_LENGTH} on their own")]
pub struct PartTooLong {
    /// Its length in bytes.
    pub length: usize,
}

/// Why a compound message is refused whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CompoundError {
    /// Nothing after the type byte.
    #[error("compound message without a count")]
    NoCount,
    /// Fewer lengths than parts.
    #[error("compound message ends among its lengths")]
    NoLengths,
}
