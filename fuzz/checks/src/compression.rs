//! LZW: what is compressed decompresses to the same, and a second, simpler decoder agrees on any
//! bytes.
//!
//! The first byte chooses the direction.

use swim_core::wire::compress::{
    DecompressError, compress, compress_message, decompress, decompress_message,
};
use swim_core::wire::schema::Compress;

use crate::draw::Draw;
use crate::lzw::{self, Refusal};

/// The most output that the comparison of two decoders goes on for.
const LIMIT: usize = 32 * 1024;

/// Checks one input. Returns whether something was decompressed.
///
/// # Panics
/// On a finding.
pub fn check(input: &[u8]) -> bool {
    let mut draw = Draw::new(input);
    if draw.flag() { compresses(draw.rest()) } else { decompresses(draw.rest()) }
}

fn compresses(plain: &[u8]) -> bool {
    let compressed = compress(plain);
    let mut out = b"before".to_vec();
    assert_eq!(decompress(&compressed, plain.len(), &mut out), Ok(()));
    assert_eq!(out.strip_prefix(b"before"), Some(plain));
    assert_eq!(lzw::decompress(&compressed, plain.len()).as_deref(), Ok(plain));
    if let Some(limit) = plain.len().checked_sub(1) {
        let refused = decompress(&compressed, limit, &mut Vec::new());
        assert_eq!(refused, Err(DecompressError::TooLarge { limit }));
    }

    let message = compress_message(plain);
    let mut scratch = Vec::new();
    let (message, consumed) =
        Compress::decode(&message[1..], &mut scratch).expect("our own message");
    assert!(consumed > compressed.len());
    let mut out = Vec::new();
    assert_eq!(decompress_message(&message, plain.len(), &mut out), Ok(()));
    assert_eq!(out, plain);
    true
}

fn decompresses(compressed: &[u8]) -> bool {
    let mut out = Vec::new();
    let result = decompress(compressed, LIMIT, &mut out);
    assert!(out.len() <= LIMIT + 1, "{} bytes come out of a limit of {LIMIT}", out.len());
    match (result, lzw::decompress(compressed, LIMIT)) {
        (Ok(()), Ok(plain)) => {
            assert!(out == plain, "the decoders differ in their output");
            true
        }
        (Err(DecompressError::InvalidCode), Err(Refusal::InvalidCode))
        | (Err(DecompressError::Truncated), Err(Refusal::Truncated))
        | (Err(DecompressError::TooLarge { .. }), Err(Refusal::TooLarge)) => false,
        (ours, other) => panic!("one decoder says {ours:?}, the other {:?}", other.err()),
    }
}
