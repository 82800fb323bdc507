//! Writing in the profile of Go's default msgpack handle.
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
    match value {
        0..=0x7f => put_low_byte(out, value),
        0x80..=0xff => {
            out.push(U8);
            put_low_byte(out, value);
        }
        0x100..=0xffff => {
            out.push(U16);
            out.extend(value.to_be_bytes().into_iter().skip(2));
        }
        _ => {
            out.push(U32);
            out.extend(value.to_be_bytes());
        }
    }
}

/// A Go `int`: the signed family, even for positive numbers.
pub(crate) fn put_int(out: &mut Vec<u8>, key: &str, value: i64) {
    put_raw(out, key.as_bytes());
    if let Ok(small) = i8::try_from(value) {
        if small < -32 {
            out.push(I8);
        }
        out.extend(small.to_be_bytes());
    } else if let Ok(short) = i16::try_from(value) {
        out.push(I16);
        out.extend(short.to_be_bytes());
    } else if let Ok(word) = i32::try_from(value) {
        out.push(I32);
        out.extend(word.to_be_bytes());
    } else {
        out.push(I64);
        out.extend(value.to_be_bytes());
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
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    match length {
        0..=31 => {
            let [.., low] = length.to_be_bytes();
            out.push(Marker::FixStr(low).to_u8());
        }
        32..=0xffff => {
            out.push(STR16);
            out.extend(length.to_be_bytes().into_iter().skip(2));
        }
        _ => {
            out.push(STR32);
            out.extend(length.to_be_bytes());
        }
    }
    out.extend_from_slice(bytes);
}

fn put_low_byte(out: &mut Vec<u8>, value: u32) {
    let [.., low] = value.to_be_bytes();
    out.push(low);
}
