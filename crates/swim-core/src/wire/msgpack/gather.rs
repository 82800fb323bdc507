//! Messages whose byte fields came as arrays of numbers, rewritten so that they can be borrowed.
//!
//! Go accepts such fields, though nothing is known to write them. Numbers below 128 are their own
//! bytes and need no rewriting; this is for the others.

use super::write::put_raw;
use super::{Fault, Reader, Start};

/// Appends one message to `out` with every array of numbers 0..=255 turned into plain bytes, and
/// returns how many bytes of input it took.
pub(crate) fn gather(message: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
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
        if probe.bytes().is_ok() && probe.is_scattered() {
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

fn copy_numbers(container: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
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
