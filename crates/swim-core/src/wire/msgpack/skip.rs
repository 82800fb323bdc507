//! Skips values of unknown fields.
//!
//! Everything that Go skips is skipped, extensions and floats included; what Go refuses even there
//! is refused. Nesting is followed on a list, not by recursion, so that input cannot exhaust the
//! stack.

use rmp::Marker;

use super::{FALSE, I8, I16, I32, I64, NIL, Reader, TRUE, U8, U16, U32, U64, wrong_type};
use crate::wire::decode_error::{DecodeError, DecodeErrorKind};
use crate::wire::wire_limits::MAX_VALUE_NESTING;

/// Type byte of msgpack's timestamp extension.
const TIMESTAMP: u8 = 0xff;

const EXT8: u8 = Marker::Ext8.to_u8();
const EXT16: u8 = Marker::Ext16.to_u8();
const EXT32: u8 = Marker::Ext32.to_u8();
const F32: u8 = Marker::F32.to_u8();
const F64: u8 = Marker::F64.to_u8();
const FIX_EXT1: u8 = Marker::FixExt1.to_u8();
const FIX_EXT2: u8 = Marker::FixExt2.to_u8();
const FIX_EXT4: u8 = Marker::FixExt4.to_u8();
const FIX_EXT8: u8 = Marker::FixExt8.to_u8();
const FIX_EXT16: u8 = Marker::FixExt16.to_u8();

impl Reader<'_> {
    /// Skips one value, however it is nested.
    pub(crate) fn skip(&mut self) -> Result<(), DecodeError> {
        let mut open: Vec<usize> = Vec::new();
        loop {
            let entries = self.skip_marker()?;
            if let Some(count) = entries {
                // The message itself is the first level.
                if open.len() + 2 > MAX_VALUE_NESTING {
                    return Err(self.error(DecodeErrorKind::TooDeep));
                }
                open.push(count);
            }
            loop {
                match open.last_mut() {
                    None => return Ok(()),
                    Some(0) => {
                        open.pop();
                    }
                    Some(left) => {
                        *left -= 1;
                        break;
                    }
                }
            }
        }
    }

    /// Skips a scalar, or a container's head: then returns the number of values in it.
    fn skip_marker(&mut self) -> Result<Option<usize>, DecodeError> {
        let (start, marker) = self.marker()?;
        if let Some(length) = self.raw_length(marker)? {
            return self.take(length).map(|_| None);
        }
        if let Some(count) = self.array_length(marker)? {
            return Ok(Some(count));
        }
        if let Some(pairs) = self.map_length(marker)? {
            return Ok(Some(pairs.saturating_mul(2)));
        }
        let length = match marker {
            0x00..=0x7f | 0xe0..=0xff | NIL | FALSE | TRUE => 0,
            U8 | I8 => 1,
            U16 | I16 => 2,
            U32 | I32 | F32 => 4,
            U64 | I64 | F64 => 8,
            _ => return self.skip_extension(start, marker),
        };
        self.take(length).map(|_| None)
    }

    fn skip_extension(&mut self, start: usize, marker: u8) -> Result<Option<usize>, DecodeError> {
        let length = match marker {
            FIX_EXT1 => 1,
            FIX_EXT2 => 2,
            FIX_EXT4 => 4,
            FIX_EXT8 => 8,
            FIX_EXT16 => 16,
            EXT8 => usize::from(self.byte()?),
            EXT16 => usize::from(u16::from_be_bytes(self.array()?)),
            EXT32 => self.length32()?,
            found => return Err(wrong_type(start, "any value", found)),
        };
        let kind = self.byte()?;
        if kind == TIMESTAMP && !matches!(length, 4 | 8 | 12) {
            return Err(DecodeError { offset: start, kind: DecodeErrorKind::TimestampLength });
        }
        self.take(length).map(|_| None)
    }
}
