//! Compress messages: `09 | {Algo: 0, Buf: LZW stream of one message}`.

use super::lzw_decoder::LzwDecoder;
use super::lzw_encoder::compress_within;
use super::schema::Compress;

pub use super::lzw_decoder::DecompressError;

/// The least that a compress message adds to its LZW stream: type, map, field names, algorithm
/// and the shortest length.
const MIN_OVERHEAD: usize = 13;

/// Most bytes that a compress message adds to its LZW stream: four more for a long length.
const MAX_OVERHEAD: usize = MIN_OVERHEAD + 4;

/// Shorter messages are not compressed: a single ping or alive message repeats too little to save
/// more than a few bytes of a packet that has room for 1,400.
const MIN_COMPRESSED: usize = 128;

/// A compress message (type 9) around `message`.
pub fn compress_message(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_compressed(message, &mut out);
    out
}

/// Appends a compress message around `message`.
pub(super) fn put_compressed(message: &[u8], out: &mut Vec<u8>) {
    let stream = compress(message);
    out.reserve(stream.len() + MAX_OVERHEAD);
    put_stream(&stream, out);
}

/// Replaces the message that begins at `start` of `buffer` by a compress message around it, if
/// that is shorter. Gives up on what does not compress before its end.
pub(super) fn compress_if_shorter(buffer: &mut Vec<u8>, start: usize) {
    let message = buffer.get(start..).unwrap_or_default();
    let length = message.len();
    if length < MIN_COMPRESSED {
        return;
    }
    let Some(stream) = compress_within(message, length - MIN_OVERHEAD - 1) else {
        return;
    };
    // The exact length depends on how many bytes the stream's own length takes.
    if message_length(stream.len()) < length {
        buffer.truncate(start);
        put_stream(&stream, buffer);
    }
}

fn put_stream(stream: &[u8], out: &mut Vec<u8>) {
    Compress { algo: 0, buf: Some(stream) }.encode(out);
}

/// Length of the compress message around an LZW stream of `stream` bytes.
const fn message_length(stream: usize) -> usize {
    MIN_OVERHEAD
        + stream
        + match stream {
            0..=31 => 0,
            32..=0xffff => 2,
            _ => 4,
        }
}

/// Appends to `out` what the compress message holds, `limit` bytes at most.
///
/// # Errors
/// An unknown algorithm, a bad or unfinished LZW stream, or more than `limit` bytes of output.
pub fn decompress_message(
    message: &Compress<'_>,
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    decompress_with(&mut LzwDecoder::default(), message, limit, out)
}

/// As [`decompress_message`], with a decoder that is used again.
pub(super) fn decompress_with(
    decoder: &mut LzwDecoder,
    message: &Compress<'_>,
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    if message.algo != 0 {
        return Err(DecompressError::Algorithm(message.algo));
    }
    decoder.decompress(message.buf.unwrap_or_default(), limit, out)
}

/// The LZW stream of `plain`, byte for byte as Go writes it.
pub fn compress(plain: &[u8]) -> Vec<u8> {
    compress_within(plain, usize::MAX).unwrap_or_default()
}

/// Appends to `out` what an LZW stream expands to, `limit` bytes at most. Bytes after the end code
/// are ignored, as in Go.
///
/// # Errors
/// A code that cannot be, an end before the end code, or more than `limit` bytes of output.
pub fn decompress(
    compressed: &[u8],
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    LzwDecoder::default().decompress(compressed, limit, out)
}

#[cfg(test)]
mod tests;
