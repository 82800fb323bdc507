//! The msgpack profile of Go's memberlist: what its encoder writes, all that its decoder reads.
//!
//! Writing follows the old msgpack specification, as Go's default handle does: strings and byte
//! slices are both "raw" (never str8, never bin), Go's `int` fields use the signed family.
//! Reading accepts what Go accepts and refuses what Go refuses. It borrows from the input, never
//! allocates by an announced length and never recurses.

use rmp::Marker;

use super::decode_error::{DecodeError, DecodeErrorKind};
use super::wire_limits::MAX_VALUES;

mod number_arrays;
mod skip;
mod write;

pub(crate) use number_arrays::rewrite_number_arrays;
pub(crate) use write::{put_bool, put_bytes, put_int, put_map, put_text, put_uint};

const NIL: u8 = Marker::Null.to_u8();
const FALSE: u8 = Marker::False.to_u8();
const TRUE: u8 = Marker::True.to_u8();
const BIN8: u8 = Marker::Bin8.to_u8();
const BIN16: u8 = Marker::Bin16.to_u8();
const BIN32: u8 = Marker::Bin32.to_u8();
const U8: u8 = Marker::U8.to_u8();
const U16: u8 = Marker::U16.to_u8();
const U32: u8 = Marker::U32.to_u8();
const U64: u8 = Marker::U64.to_u8();
const I8: u8 = Marker::I8.to_u8();
const I16: u8 = Marker::I16.to_u8();
const I32: u8 = Marker::I32.to_u8();
const I64: u8 = Marker::I64.to_u8();
const STR8: u8 = Marker::Str8.to_u8();
const STR16: u8 = Marker::Str16.to_u8();
const STR32: u8 = Marker::Str32.to_u8();
const ARRAY16: u8 = Marker::Array16.to_u8();
const ARRAY32: u8 = Marker::Array32.to_u8();
const MAP16: u8 = Marker::Map16.to_u8();
const MAP32: u8 = Marker::Map32.to_u8();

/// A Go struct on the wire: its fields are read by key and written in ascending order of keys.
pub(crate) trait MsgpackStruct<'a>: Copy + Default {
    /// The keys in Go's order of declaration, which is that of the positional form.
    const DECLARED: &'static [&'static [u8]];

    /// Reads the value of one key; an unknown key's value is skipped.
    fn set(&mut self, key: &[u8], reader: &mut Reader<'a>) -> Result<(), DecodeError>;

    /// Appends the msgpack map.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads one value, a map, a positional array or nil (a message of zeros).
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut message = Self::default();
        match reader.start()? {
            Start::Nil => {}
            Start::Map(count) => {
                for _ in 0..count {
                    let key = reader.key()?;
                    message.set(key, reader)?;
                }
            }
            Start::Array(count) => {
                let mut keys = Self::DECLARED.iter();
                for _ in 0..count {
                    match keys.next() {
                        Some(key) => message.set(key, reader)?,
                        None => reader.skip()?,
                    }
                }
            }
        }
        Ok(message)
    }
}

/// How a message begins, with its number of entries.
enum Start {
    Nil,
    Map(usize),
    Array(usize),
}

/// Reads values one after the other, borrowing from the bytes.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
    values: usize,
    number_array: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, length: bytes.len(), values: 0, number_array: false }
    }

    /// Bytes read so far.
    pub(crate) fn offset(&self) -> usize {
        self.length - self.rest.len()
    }

    /// Whether a byte field came as an array with numbers above 127, which cannot be borrowed.
    ///
    /// The value read for it is empty; [`rewrite_number_arrays`] turns such a message into one that
    /// can be borrowed from.
    pub(crate) fn has_number_array(&self) -> bool {
        self.number_array
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        let start = self.offset();
        let wide = self.unsigned()?;
        u32::try_from(wide)
            .map_err(|_| DecodeError { offset: start, kind: DecodeErrorKind::OutOfRange })
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        let start = self.offset();
        let wide = self.unsigned()?;
        u16::try_from(wide)
            .map_err(|_| DecodeError { offset: start, kind: DecodeErrorKind::OutOfRange })
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        let start = self.offset();
        let wide = self.unsigned()?;
        u8::try_from(wide)
            .map_err(|_| DecodeError { offset: start, kind: DecodeErrorKind::OutOfRange })
    }

    /// A Go `int`. As in Go, an unsigned number above `i64::MAX` turns negative.
    pub(crate) fn int(&mut self) -> Result<i64, DecodeError> {
        let (start, marker) = self.marker()?;
        Ok(match marker {
            NIL => 0,
            0x00..=0x7f => i64::from(marker),
            0xe0..=0xff => i64::from(marker.cast_signed()),
            U8 => i64::from(self.byte()?),
            U16 => i64::from(u16::from_be_bytes(self.array()?)),
            U32 => i64::from(u32::from_be_bytes(self.array()?)),
            U64 | I64 => i64::from_be_bytes(self.array()?),
            I8 => i64::from(self.byte()?.cast_signed()),
            I16 => i64::from(i16::from_be_bytes(self.array()?)),
            I32 => i64::from(i32::from_be_bytes(self.array()?)),
            found => return Err(wrong_type(start, "an integer", found)),
        })
    }

    pub(crate) fn bool(&mut self) -> Result<bool, DecodeError> {
        let (start, marker) = self.marker()?;
        match marker {
            FALSE | NIL | 0 => Ok(false),
            TRUE | 1 => Ok(true),
            found => Err(wrong_type(start, "a boolean", found)),
        }
    }

    /// A field's name. Go refuses a nameless field.
    fn key(&mut self) -> Result<&'a [u8], DecodeError> {
        match self.short_raw() {
            Some(key) if !key.is_empty() => return Ok(key),
            Some(_) => return Err(self.error(DecodeErrorKind::EmptyKey)),
            None => {}
        }
        let start = self.offset();
        let number_array = std::mem::take(&mut self.number_array);
        let key = self.text()?;
        // No field of ours has a name with bytes above 127.
        let unknown = std::mem::replace(&mut self.number_array, number_array);
        match key {
            [] if unknown => Ok(b"?"),
            [] => Err(DecodeError { offset: start, kind: DecodeErrorKind::EmptyKey }),
            key => Ok(key),
        }
    }

    /// A Go `string`; nil is the empty one.
    pub(crate) fn text(&mut self) -> Result<&'a [u8], DecodeError> {
        if let Some(text) = self.short_raw() {
            return Ok(text);
        }
        let (start, marker) = self.marker()?;
        if let Some(length) = self.raw_length(marker)? {
            return self.take(length);
        }
        match self.array_length(marker)? {
            Some(count) => self.number_array(count),
            None if marker == NIL => Ok(&[]),
            None => Err(wrong_type(start, "a string", marker)),
        }
    }

    /// A Go byte slice; nil and empty are told apart.
    pub(crate) fn bytes(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        if let Some(bytes) = self.short_raw() {
            return Ok(Some(bytes));
        }
        let (start, marker) = self.marker()?;
        if let Some(length) = self.raw_length(marker)? {
            return self.take(length).map(Some);
        }
        if let Some(count) = self.array_length(marker)? {
            return self.number_array(count).map(Some);
        }
        // Go fills a slice from a map too: keys and values in turn.
        match self.map_length(marker)? {
            Some(pairs) => self.number_array(pairs.saturating_mul(2)).map(Some),
            None if marker == NIL => Ok(None),
            None => Err(wrong_type(start, "bytes", marker)),
        }
    }

    /// The bytes of `count` numbers: borrowed if each is one byte of the input.
    fn number_array(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let Some((numbers, after)) = self.rest.split_at_checked(count) else {
            return Err(self.error(DecodeErrorKind::Truncated { missing: count - self.rest.len() }));
        };
        if numbers.iter().all(|&number| number < 0x80) {
            self.rest = after;
            return Ok(numbers);
        }
        self.number_array = true;
        for _ in 0..count {
            self.u8()?;
        }
        Ok(&[])
    }

    /// What nearly all keys and values are: a whole string of at most 31 bytes.
    #[inline]
    fn short_raw(&mut self) -> Option<&'a [u8]> {
        let (&marker @ 0xa0..=0xbf, rest) = self.rest.split_first()? else {
            return None;
        };
        let (bytes, after) = rest.split_at_checked(usize::from(marker & 0x1f))?;
        if self.values == MAX_VALUES {
            return None;
        }
        self.values += 1;
        self.rest = after;
        Some(bytes)
    }

    fn start(&mut self) -> Result<Start, DecodeError> {
        let (start, marker) = self.marker()?;
        if let Some(count) = self.map_length(marker)? {
            return Ok(Start::Map(count));
        }
        match self.array_length(marker)? {
            Some(count) => Ok(Start::Array(count)),
            None if marker == NIL => Ok(Start::Nil),
            None => Err(DecodeError { offset: start, kind: DecodeErrorKind::NotAStruct }),
        }
    }

    #[inline]
    fn unsigned(&mut self) -> Result<u64, DecodeError> {
        let (start, marker) = self.marker()?;
        let signed = match marker {
            0x00..=0x7f => return Ok(u64::from(marker)),
            NIL => return Ok(0),
            U8 => return Ok(u64::from(self.byte()?)),
            U16 => return Ok(u64::from(u16::from_be_bytes(self.array()?))),
            U32 => return Ok(u64::from(u32::from_be_bytes(self.array()?))),
            U64 => return Ok(u64::from_be_bytes(self.array()?)),
            0xe0..=0xff => i64::from(marker.cast_signed()),
            I8 => i64::from(self.byte()?.cast_signed()),
            I16 => i64::from(i16::from_be_bytes(self.array()?)),
            I32 => i64::from(i32::from_be_bytes(self.array()?)),
            I64 => i64::from_be_bytes(self.array()?),
            found => return Err(wrong_type(start, "an unsigned integer", found)),
        };
        u64::try_from(signed)
            .map_err(|_| DecodeError { offset: start, kind: DecodeErrorKind::Negative })
    }

    fn raw_length(&mut self, marker: u8) -> Result<Option<usize>, DecodeError> {
        Ok(Some(match marker {
            0xa0..=0xbf => usize::from(marker & 0x1f),
            STR8 | BIN8 => usize::from(self.byte()?),
            STR16 | BIN16 => usize::from(u16::from_be_bytes(self.array()?)),
            STR32 | BIN32 => self.length32()?,
            _ => return Ok(None),
        }))
    }

    fn array_length(&mut self, marker: u8) -> Result<Option<usize>, DecodeError> {
        Ok(Some(match marker {
            0x90..=0x9f => usize::from(marker & 0x0f),
            ARRAY16 => usize::from(u16::from_be_bytes(self.array()?)),
            ARRAY32 => self.length32()?,
            _ => return Ok(None),
        }))
    }

    fn map_length(&mut self, marker: u8) -> Result<Option<usize>, DecodeError> {
        Ok(Some(match marker {
            0x80..=0x8f => usize::from(marker & 0x0f),
            MAP16 => usize::from(u16::from_be_bytes(self.array()?)),
            MAP32 => self.length32()?,
            _ => return Ok(None),
        }))
    }

    fn length32(&mut self) -> Result<usize, DecodeError> {
        let length = u32::from_be_bytes(self.array()?);
        usize::try_from(length).map_err(|_| self.error(DecodeErrorKind::OutOfRange))
    }

    /// The next value's first byte and its offset.
    #[inline]
    fn marker(&mut self) -> Result<(usize, u8), DecodeError> {
        let start = self.offset();
        if self.values == MAX_VALUES {
            return Err(DecodeError { offset: start, kind: DecodeErrorKind::TooManyValues });
        }
        self.values += 1;
        Ok((start, self.byte()?))
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, DecodeError> {
        let Some((&byte, after)) = self.rest.split_first() else {
            return Err(self.error(DecodeErrorKind::Truncated { missing: 1 }));
        };
        self.rest = after;
        Ok(byte)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((head, after)) = self.rest.split_first_chunk() else {
            return Err(self.error(DecodeErrorKind::Truncated { missing: N - self.rest.len() }));
        };
        self.rest = after;
        Ok(*head)
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let Some((head, after)) = self.rest.split_at_checked(length) else {
            return Err(
                self.error(DecodeErrorKind::Truncated { missing: length - self.rest.len() })
            );
        };
        self.rest = after;
        Ok(head)
    }

    fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError { offset: self.offset(), kind }
    }
}

fn wrong_type(offset: usize, expected: &'static str, found: u8) -> DecodeError {
    DecodeError { offset, kind: DecodeErrorKind::WrongType { expected, found } }
}

#[cfg(test)]
mod tests;
