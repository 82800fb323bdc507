//! Rewrites byte fields that came as arrays of numbers, so that they can be borrowed.
//!
//! Go accepts such fields, though nothing is known to write them. Numbers below 128 are encoded as
//! themselves, so that the array's contents are the field's bytes; from 128 on each number has a
//! marker before it, which must be removed.

use super::write::put_raw;
use super::{Reader, Start};
use crate::wire::decode_error::DecodeError;

/// Appends one message to `out` with every array of numbers 0..=255 turned into plain bytes, and
/// returns how many bytes of input it took.
pub(crate) fn rewrite_number_arrays(
    message: &[u8],
    out: &mut Vec<u8>,
) -> Result<usize, DecodeError> {
    let mut reader = Reader::new(message);
    let values = match reader.start()? {
        Start::Nil => 0,
        Start::Map(pairs) => pairs.saturating_mul(2),
        Start::Array(count) => count,
    };
    out.extend_from_slice(consumed(message, &reader, 0));
    for _ in 0..values {
        let start = reader.offset();
        let mut probe = Reader::new(reader.rest);
        if probe.bytes().is_ok() && probe.has_number_array() {
            copy_numbers(reader.rest, out)?;
            reader.rest = probe.rest;
        } else {
            reader.skip()?;
            out.extend_from_slice(consumed(message, &reader, start));
        }
    }
    Ok(reader.offset())
}

fn consumed<'m>(message: &'m [u8], reader: &Reader<'_>, start: usize) -> &'m [u8] {
    message.get(start..reader.offset()).unwrap_or_default()
}

fn copy_numbers(container: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut reader = Reader::new(container);
    let (_, marker) = reader.marker()?;
    let count = match reader.array_length(marker)? {
        Some(count) => count,
        None => reader.map_length(marker)?.unwrap_or(0).saturating_mul(2),
    };
    let mut numbers = Vec::new();
    for _ in 0..count {
        numbers.push(reader.u8()?);
    }
    put_raw(out, &numbers);
    Ok(())
}
