//! Writes the profile of Go's default msgpack handle.
//!
//! Every function appends one key with its value; the caller keeps the keys in ascending order.
//! Strings and bytes both get the legacy raw head, whatever their length.

use rmp::Marker;

use super::{FALSE, I8, I16, I32, I64, NIL, STR16, STR32, TRUE, U8, U16, U32};

/// A map's head. Ours have at most eight keys.
pub(crate) fn put_map(out: &mut Vec<u8>, keys: u8) {
    out.push(Marker::FixMap(keys).to_u8());
}

pub(crate) fn put_uint(out: &mut Vec<u8>, key: &str, value: u32) {
    put_raw(out, key.as_bytes());
    let [a, b, c, d] = value.to_be_bytes();
    match value {
        0..=0x7f => out.push(d),
        0x80..=0xff => out.extend_from_slice(&[U8, d]),
        0x100..=0xffff => out.extend_from_slice(&[U16, c, d]),
        _ => out.extend_from_slice(&[U32, a, b, c, d]),
    }
}

/// A Go `int`: the signed family, even for positive numbers.
pub(crate) fn put_int(out: &mut Vec<u8>, key: &str, value: i64) {
    put_raw(out, key.as_bytes());
    if let Ok(small) = i8::try_from(value) {
        if small < -32 {
            out.push(I8);
        }
        out.extend_from_slice(&small.to_be_bytes());
    } else if let Ok(short) = i16::try_from(value) {
        out.push(I16);
        out.extend_from_slice(&short.to_be_bytes());
    } else if let Ok(word) = i32::try_from(value) {
        out.push(I32);
        out.extend_from_slice(&word.to_be_bytes());
    } else {
        out.push(I64);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

pub(crate) fn put_bool(out: &mut Vec<u8>, key: &str, value: bool) {
    put_raw(out, key.as_bytes());
    out.push(if value { TRUE } else { FALSE });
}

pub(crate) fn put_text(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    put_raw(out, key.as_bytes());
    put_raw(out, value);
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, key: &str, value: Option<&[u8]>) {
    put_raw(out, key.as_bytes());
    match value {
        Some(bytes) => put_raw(out, bytes),
        None => out.push(NIL),
    }
}

/// Legacy raw: the head that old msgpack gives strings and bytes alike.
pub(super) fn put_raw(out: &mut Vec<u8>, bytes: &[u8]) {
    // More than 4 GiB has no msgpack form; every caller's limit is far below.
    debug_assert!(u32::try_from(bytes.len()).is_ok(), "a field of more than 4 GiB");
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let [a, b, c, d] = length.to_be_bytes();
    match length {
        0..=31 => out.push(Marker::FixStr(d).to_u8()),
        32..=0xffff => out.extend_from_slice(&[STR16, c, d]),
        _ => out.extend_from_slice(&[STR32, a, b, c, d]),
    }
    out.extend_from_slice(bytes);
}
