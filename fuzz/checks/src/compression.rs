//! LZW: what is packed unpacks again, and arbitrary bytes are judged as a second decoder does.
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

/// Checks one input. Returns whether something was unpacked.
///
/// # Panics
/// On a finding.
pub fn check(input: &[u8]) -> bool {
    let mut draw = Draw::new(input);
    if draw.flag() { packs(draw.rest()) } else { unpacks(draw.rest()) }
}

fn packs(plain: &[u8]) -> bool {
    let packed = compress(plain);
    let mut out = b"before".to_vec();
    assert_eq!(decompress(&packed, plain.len(), &mut out), Ok(()));
    assert_eq!(out.strip_prefix(b"before"), Some(plain));
    assert_eq!(lzw::unpack(&packed, plain.len()).as_deref(), Ok(plain));
    if let Some(limit) = plain.len().checked_sub(1) {
        let refused = decompress(&packed, limit, &mut Vec::new());
        assert_eq!(refused, Err(DecompressError::TooLarge { limit }));
    }

    let message = compress_message(plain);
    let mut scratch = Vec::new();
    let (message, consumed) =
        Compress::decode(&message[1..], &mut scratch).expect("our own message");
    assert!(consumed > packed.len());
    let mut out = Vec::new();
    assert_eq!(decompress_message(&message, plain.len(), &mut out), Ok(()));
    assert_eq!(out, plain);
    true
}

fn unpacks(packed: &[u8]) -> bool {
    let mut out = Vec::new();
    let result = decompress(packed, LIMIT, &mut out);
    assert!(out.len() <= LIMIT + 1, "{} bytes come out of a limit of {LIMIT}", out.len());
    match (result, lzw::unpack(packed, LIMIT)) {
        (Ok(()), Ok(plain)) => {
            assert!(out == plain, "the decoders differ in what they unpack");
            true
        }
        (Err(DecompressError::InvalidCode), Err(Refusal::InvalidCode))
        | (Err(DecompressError::Truncated), Err(Refusal::Truncated))
        | (Err(DecompressError::TooLarge { .. }), Err(Refusal::TooLarge)) => false,
        (ours, other) => panic!("one decoder says {ours:?}, the other {:?}", other.err()),
    }
}
